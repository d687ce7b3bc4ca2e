"""A day of the ledger against a tradebook or contract notes: for days whose book is gone, and as a second source of all
others."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.activities.day_close import Evening, certified, midnight
from durable_orders.activities.day_end import day_end, must_be_over
from durable_orders.trading.brokers.kite.contract_note import ContractNote
from durable_orders.trading.brokers.kite.tradebook import SEGMENTS, Tradebook
from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.errors import InvalidTradebook
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.audit import orders_named
from durable_orders.trading.ledger.certificates import Certificate
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.day_orders import order_ids_of, symbols_within, traded_within
from durable_orders.trading.ledger.identity import user_of
from durable_orders.trading.ledger.rows import chunks
from durable_orders.trading.ledger.tables import reservations
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.orders.order import Account, Fill, Order, Side, Status, TradeId
from durable_orders.trading.reconciliation.charges import of_note
from durable_orders.trading.reconciliation.day import DayDifference, Kind
from durable_orders.trading.reconciliation.tradebook import Verdict, differences, verdicts

DAY = timedelta(days=1)


class TradebookClose:
    """One account's. Its methods block."""

    def __init__(
        self,
        account: Account,
        database: Database,
        sessions: SessionSource | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Without `sessions`, the market never closes, and a day is over with its midnight."""
        self._account = account
        self._database = database
        self._sessions = sessions
        self._clock = clock

    def verdicts(self, tradebook: Tradebook, day: date) -> list[Verdict]:
        """What it says of the UNKNOWN orders of that day.

        It settles those of its own user alone, once the day is over since a midnight: the Console tells of it later.
        """
        with self._database.read() as connection:
            orders = self._orders(connection, day)
            unknown = [order for order in orders if order.status is Status.UNKNOWN]
            sent = self._sent(connection, [order.order_id for order in unknown])
            user = user_of(connection, self._account)
        if why := self._why_it_settles_nothing(tradebook, user, day):
            return [Verdict(order, None, why) for order in unknown]
        return verdicts(orders, tradebook, day, {order.order_id for order in unknown if self._was_of(order, day, sent)})

    def _why_it_settles_nothing(self, tradebook: Tradebook, user: str | None, day: date) -> str | None:
        if self._clock().astimezone(IST).date() <= day:
            return f"it is settled by a tradebook from the day after {day} on"
        if isinstance(tradebook, ContractNote):
            return f"{tradebook.name} is a contract note: it is settled by the tradebook"
        if user is None:
            return f"nobody has logged in for the account: whether {tradebook.name} is its user's is not known"
        if tradebook.user is None:
            return f"{tradebook.name} does not say whose it is: the Console saves it as tradebook-{user}-EQ.csv"
        return None

    def close(self, tradebook: Tradebook, day: date) -> tuple[Evening, Certificate]:
        """Compare, and certify what was found.

        Raises `InvalidTradebook` for one that tells nothing of that day, and `DayNotOver`.
        """
        since = midnight(day)
        with self._database.read() as connection:
            symbols = symbols_within(connection, self._account, since, since + DAY)
        must_be_over(end := day_end(self._sessions, day, symbols), day, self._clock())
        if not tradebook.tells_of(day):
            raise InvalidTradebook(f"{tradebook.name}: has no trade of {day}, nor of days before and after it")
        why = {each.order.order_id: each.why_not for each in self.verdicts(tradebook, day) if each.why_not}
        with self._database.read() as connection:
            orders = self._orders(connection, day)
        tradebook = _named_alike(tradebook, orders, day)
        found = differences(orders, tradebook, day, why)
        fills = [(order, fill) for order in orders for fill in order.fills if fill.at.astimezone(IST).date() == day]
        of_them = [each for each in fills if tradebook.has_segment_of(each[0].symbol)]
        if fills and not of_them and isinstance(tradebook, ContractNote):
            raise InvalidTradebook(f"{tradebook.name}: has no trade of {day} in a segment that was traded here then")
        turnover = (fill.quantity * fill.price * multiplier_of(order.symbol) for order, fill in of_them)
        figures = {
            "source": tradebook.name,
            "orders": len({order.order_id for order, _ in of_them}),
            "trades": len(of_them),
            "broker_trades": len(tradebook.rows_of(day)),
            "not_covered": len(fills) - len(of_them),
            "turnover": str(sum(turnover, Decimal(0))),
        }
        if isinstance(tradebook, ContractNote):
            more, sums = self._billed(tradebook, day, {order.order_id: order for order, _ in of_them}, found)
            found, figures = found + more, figures | sums
        evening = Evening(day, tuple(found), figures)
        return evening, certified(self._database, self._account, evening, self._clock(), end)

    def _billed(
        self, note: ContractNote, day: date, covered: Mapping[str, Order], known: Sequence[DayDifference]
    ) -> tuple[list[DayDifference], dict[str, str]]:
        """What the notes bill otherwise than the ledger, and both sums."""
        since = midnight(day)
        with self._database.read() as connection:
            traded = traded_within(connection, self._account, since, since + DAY)
        own = [each.charges for order_id, each in traded.items() if order_id in covered]
        billed = note.billed[day]
        ours = sum((each for each in own if each is not None), Charges())
        columns = {order.symbol.partition(":")[0] for order in covered.values()}
        cause = "follows from the trades" if known else None
        if None in own:
            cause = "our sheet does not know what some of it costs"
        found = [
            DayDifference(kind=Kind.CHARGE, order_id=None, about=line, ours=str(here), broker=str(there), cause=cause)
            for line, here, there in of_note(ours, billed, len(own), len(columns))
        ]
        return found, {"charges_total": str(ours.total), "broker_charges_total": str(billed.total)}

    def _orders(self, connection: sa.Connection, day: date) -> list[Order]:
        """Those that were created or traded on that day, and no others that are open."""
        since = midnight(day)
        ids = order_ids_of(connection, self._account, since, since + DAY)
        found = [order for chunk in chunks(ids) for order in orders_named(connection, chunk)[0]]
        return [
            order
            for order in found
            if since <= order.created_at < since + DAY or any(since <= fill.at < since + DAY for fill in order.fills)
        ]

    def _sent(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        for chunk in chunks(ids):
            asked = sa.select(reservations.c.order_id, reservations.c.sent_at)
            rows = connection.execute(asked.where(reservations.c.order_id.in_(chunk)))
            found |= {row.order_id: row.sent_at for row in rows if row.sent_at is not None}
        return found

    def _was_of(self, order: Order, day: date, sent: dict[str, datetime]) -> bool:
        at = sent.get(order.order_id)
        if at is None or at.astimezone(IST).date() != day:
            return False
        if self._sessions is None:
            return True
        session = self._sessions.of(order.symbol).session_on(day)
        return session is not None and session.known and session.is_regular(at)


_Likeness = tuple[str, TradeId, Side, str | None]
"""Exchange, trade id, side, and of a share its name without the series."""


def _likeness(symbol: str, trade_id: TradeId, side: Side) -> _Likeness:
    exchange, _, name = symbol.partition(":")
    return exchange, trade_id, side, name.partition("-")[0] if exchange in SEGMENTS["EQ"] else None


def _named_alike(tradebook: Tradebook, orders: Sequence[Order], day: date) -> Tradebook:
    """Of that day. A note names a share without its series, and a derivative in words: a row is the fill that is like
    it, with its quantity and price; or the only one that is like it and no other row's."""
    if not isinstance(tradebook, ContractNote):
        return tradebook
    known = defaultdict[_Likeness, dict[str, Fill]](dict)
    for order in orders:
        for fill in order.fills:
            known[_likeness(order.symbol, fill.trade_id, order.side)][order.symbol.partition(":")[2]] = fill
    rows, named = tradebook.rows_of(day), dict[int, str]()
    for takes_equal in (True, False):
        for number, row in enumerate(rows):
            free = known[_likeness(row.symbol, row.trade_id, row.side)]
            equal = [name for name, fill in free.items() if (fill.quantity, fill.price) == (row.quantity, row.price)]
            found = equal[:1] if takes_equal else [*free] if number not in named and len(free) == 1 else []
            for name in found:
                named[number] = name
                del free[name]
    others = [row for row in tradebook.rows if row.day != day]
    alike = [replace(row, tradingsymbol=named.get(number, row.tradingsymbol)) for number, row in enumerate(rows)]
    return replace(tradebook, rows=(*others, *alike))
