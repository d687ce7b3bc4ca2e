"""The evening: a day of the ledger held against all that the broker tells of it, and certified."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from durable_orders.activities.day_end import SHARE, DayEnd, day_end, must_be_over
from durable_orders.trading.brokers.broker import Broker, ContractNotes
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.errors import BookGone, BookUnreadable, DayNotOver
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.audit import orders_named, was_added_to
from durable_orders.trading.ledger.broker_positions import BrokerReading
from durable_orders.trading.ledger.certificates import Certificate, canonical, certificates_of_day, certify
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.day_orders import Traded, order_ids_of, symbols_within, traded_within
from durable_orders.trading.ledger.delivery import moved_today
from durable_orders.trading.ledger.reading import views_for
from durable_orders.trading.ledger.rows import chunks
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.orders.book import BilledOrder, BrokerOrder, Funds
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, BrokerOrderId, Fill, Mode, Order
from durable_orders.trading.reconciliation import day as comparing
from durable_orders.trading.reconciliation.book_diff import KnownOrders
from durable_orders.trading.reconciliation.day import Booked, DayDifference, DayOrder, Kind
from durable_orders.trading.reconciliation.position_settling import held_by_ledger
from durable_orders.trading.reconciliation.positions import differences as position_differences

LOOKS = 3
"""At least so many find a difference before it counts: orders move on while they are compared."""
MOST_LOOKS = 10
"""As long as a look finds another difference than the one before, there is one more, up to so many."""
PAUSE_SECONDS = 1.0
NAMED = 3
"""Differences that an alert puts into words; the others are counted."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Book:
    """Everything that the broker tells of the day."""

    rows: Mapping[BrokerOrderId, BrokerOrder]
    trades: Mapping[BrokerOrderId, Sequence[Fill]]
    holdings: BrokerReading
    funds: Funds | None

    @classmethod
    def read(cls, broker: Broker, now: datetime) -> "Book":
        """Blocks. Raises `BookUnreadable`."""
        rows = {row.broker_order_id: row for row in broker.order_book()}
        order_id = attrgetter("broker_order_id")
        trades = {key: list(group) for key, group in groupby(sorted(broker.trades(), key=order_id), order_id)}
        return cls(rows, trades, BrokerReading.of(now, broker.positions(), broker.holdings()), broker.margins())

    @property
    def symbols(self) -> set[str]:
        """Of what was ordered, and of what is held."""
        return {row.symbol for row in self.rows.values()} | {symbol for symbol, _ in self.holdings.rows}


@dataclass(frozen=True, slots=True)
class Evening:
    """What a day came to, and on what of it the broker does not agree."""

    day: date
    differences: tuple[DayDifference, ...]
    figures: dict[str, Any]
    """As they are certified: rupees as text."""

    @classmethod
    def of(cls, made: Certificate) -> "Evening":
        content = made.content
        return cls(made.day, tuple(DayDifference(**each) for each in content["differences"]), content["figures"])

    @property
    def agrees(self) -> bool:
        return not self.differences

    @property
    def body(self) -> str:
        told = [each.model_dump(mode="json") for each in self.differences]
        return canonical({"figures": self.figures, "differences": told})


@dataclass(frozen=True, slots=True)
class _Day:
    """What the ledger has of the day."""

    orders: Sequence[DayOrder]
    traded: Mapping[str, Traded]
    unknown_rows: Sequence[BrokerOrder]
    positions: dict[tuple[str, str], int]
    moved: dict[tuple[str, str], int]


class DayClose:
    """One account's. Its methods block."""

    def __init__(
        self,
        account: Account,
        mode: Mode,
        broker: Broker,
        notes: ContractNotes | None,
        database: Database,
        sessions: SessionSource | None,
        clock: Callable[[], datetime],
    ) -> None:
        """`notes` is `None` where nobody else works out what orders cost. Without `sessions`, it is always evening."""
        self._account = account
        self._mode = mode
        self._broker = broker
        self._notes = notes
        self._database = database
        self._sessions = sessions
        self._clock = clock

    def close(self, day: date | None = None) -> tuple[Evening, Certificate]:
        """Compare, and certify what was found. A day that is gone from the broker's book is as it was certified then.

        Raises `DayNotOver`, `BookGone`, `BookUnreadable`, `LoginNeeded`.
        """
        chosen = day or self._clock().astimezone(IST).date()
        if (known := self._of_a_day_before(chosen)) is not None:
            return Evening.of(known), known
        self._must_be_over(chosen, set())
        evening = self._steady_look(chosen)
        return evening, certified(self._database, self._account, evening, self._clock(), self._end(chosen))

    def _steady_look(self, day: date) -> Evening:
        """The first look that finds nothing, or the same as the look before."""
        evening, seen, looks = self._look(day), set[object](), 1
        while evening.differences and looks < MOST_LOOKS and (looks < LOOKS or _keys(evening) != seen):
            time.sleep(PAUSE_SECONDS)
            seen, evening, looks = _keys(evening), self._look(day), looks + 1
        return evening

    def is_idle(self, day: date) -> bool:
        """Whether shares have no session on that day, and nothing was ordered or is open."""
        if self._sessions is None or self._sessions.of(SHARE).session_on(day) is not None:
            return False
        since = midnight(day)
        with self._database.read() as connection:
            return not order_ids_of(connection, self._account, since, since + DAY)

    def _of_a_day_before(self, day: date) -> Certificate | None:
        """Of the broker's book before any tradebook."""
        if day >= self._clock().astimezone(IST).date():
            return None
        with self._database.read() as connection:
            known = certificates_of_day(connection, self._account, day)
        end = self._end(day)
        whole = {source: each for source, each in known.items() if _is_whole(each, end)}
        newest = max(whole.values(), key=lambda each: each.number, default=None)
        return whole.get(None, newest)

    def _end(self, day: date, others: Collection[str] = ()) -> DayEnd | None:
        since = midnight(day)
        with self._database.read() as connection:
            symbols = symbols_within(connection, self._account, since, since + DAY)
        return day_end(self._sessions, day, {*symbols, *others})

    def _must_be_over(self, day: date, others: Collection[str]) -> None:
        """`others` are the symbols that the broker has of the day and of its positions, whoever ordered them."""
        now = self._clock()
        today = now.astimezone(IST).date()
        if day > today:
            raise DayNotOver(f"date: {day} has not come yet")
        if day < today:
            words = f"date: the broker's book of {day} is gone, it is of one day"
            raise BookGone(f"{words}: give the tradebook of the Console with --tradebook")
        must_be_over(self._end(day, others), day, now)

    def _look(self, day: date) -> Evening:
        now = self._clock()
        book = Book.read(self._broker, now)
        if odd := [each.what for each in self._notes.odd_rows()] if self._notes is not None else []:
            words = f"the broker's rows of {', '.join(odd)} are not understood"
            raise BookUnreadable(f"{words}: the day is not certified, look at them there")
        self._must_be_over(day, book.symbols)
        with self._database.read() as connection:
            ledger = self._read(connection, book, day, now)
        found = [each for order in ledger.orders for each in comparing.of_order(order, now)]
        found += [
            comparing.of_unknown_row(row, book.trades.get(row.broker_order_id, ())) for row in ledger.unknown_rows
        ]
        strays = (fill for order_id, fills in book.trades.items() if order_id not in book.rows for fill in fills)
        known = {fill.broker_order_id for order in ledger.orders for fill in order.order.fills}
        found += [comparing.of_stray_trade(fill) for fill in strays if fill.broker_order_id not in known]
        apart = position_differences(
            ledger.positions, ledger.moved, book.holdings, is_of_one_day=self._mode is Mode.LIVE
        )
        found += [comparing.of_position(each, ledger.orders, found) for each in apart]
        booked, billed, notes = self._billed(ledger, day)
        found += comparing.charge_differences(booked, billed, notes, day)
        return Evening(day, tuple(found), _figures(ledger, book, notes if self._notes is not None else None))

    def _read(self, connection: sa.Connection, book: Book, day: date, now: datetime) -> _Day:
        since = midnight(day)
        owned = self._owned(connection, book)
        ids = sorted({*order_ids_of(connection, self._account, since, since + DAY), *owned})
        orders = [
            self._day_order(connection, order, book, owned.get(order.order_id))
            for chunk in chunks(ids)
            for order in orders_named(connection, chunk)[0]
        ]
        rows = [row for order_id, row in book.rows.items() if order_id not in set(owned.values())]
        return _Day(
            orders=orders,
            traded=traded_within(connection, self._account, since, since + DAY),
            unknown_rows=rows,
            positions=held_by_ledger(connection, self._account),
            moved=moved_today(connection, self._account, now),
        )

    def _owned(self, connection: sa.Connection, book: Book) -> dict[str, BrokerOrderId]:
        """The row of each order that has one."""
        tags = {row.tag for row in book.rows.values() if row.tag}
        views = KnownOrders(views_for(connection, self._account, tags=tags, broker_order_ids=book.rows.keys()))
        owners = ((views.owner(row), order_id) for order_id, row in book.rows.items())
        return {view.order_id: order_id for view, order_id in owners if view is not None}

    def _day_order(
        self, connection: sa.Connection, order: Order, book: Book, order_id: BrokerOrderId | None
    ) -> DayOrder:
        key = order_id or order.broker_order_id or BrokerOrderId("")
        added = was_added_to(connection, order.order_id)
        return DayOrder(order, book.rows.get(key), book.trades.get(key, ()), added)

    def _billed(self, ledger: _Day, day: date) -> tuple[list[Booked], list[BilledOrder], list[Charges]]:
        if self._notes is None:
            return [], [], []
        booked, billed = [], []
        for each in ledger.orders:
            traded, order_id = ledger.traded.get(each.order.order_id), each.order.broker_order_id
            if traded is not None and order_id is not None:
                own = Booked(each.order, traded.quantity, traded.value, traded.charges)
                booked.append(own)
                billed.append(own.as_billed(order_id, each.row))
        return booked, billed, self._notes.charges(billed) if billed else []


def certified(database: Database, account: Account, evening: Evening, now: datetime, end: DayEnd | None) -> Certificate:
    """With what it found in the feed. A day that came to the same before, by the same source, has its certificate
    already, if it was over then."""
    with database.write(account) as connection:
        known = certificates_of_day(connection, account, evening.day).get(evening.figures.get("source"))
        is_known = known is not None and _compared(known.content) == _compared(_loaded(evening))
        if known is not None and is_known and _is_whole(known, end):
            return known
        for kind, words in _told(evening):
            add_event(connection, account, kind, words, now)
        return certify(connection, account, evening.day, evening.body, now)


def _is_whole(made: Certificate, end: DayEnd | None) -> bool:
    return end is None or made.made_at >= end.at


def _keys(evening: Evening) -> set[object]:
    return {(each.kind, each.order_id, each.about) for each in evening.differences}


def midnight(day: date) -> datetime:
    """With which the day begins, in IST."""
    return datetime(day.year, day.month, day.day, tzinfo=IST)


def _loaded(evening: Evening) -> dict[str, Any]:
    return {"figures": evening.figures, "differences": [each.model_dump(mode="json") for each in evening.differences]}


def _compared(content: dict[str, Any]) -> dict[str, Any]:
    """Without the margins, which move on with every price."""
    figures = {name: value for name, value in content["figures"].items() if name not in ("available", "utilised")}
    return content | {"figures": figures}


def _figures(ledger: _Day, book: Book, notes: Sequence[Charges] | None) -> dict[str, Any]:
    traded = ledger.traded.values()
    known = [each.charges for each in traded if each.charges is not None]
    return {
        "orders": len(ledger.orders),
        "trades": sum(each.trades for each in traded),
        "turnover": _rupees(each.turnover for each in traded),
        "realized_pnl": _rupees(each.realized_pnl for each in traded),
        "charges": {name: _rupees(getattr(each, name) for each in known) for name in Charges.model_fields},
        "charges_total": _rupees(each.total for each in known),
        "uncharged": len(ledger.traded) - len(known),
        "broker_orders": len(book.rows),
        "broker_trades": sum(len(trades) for trades in book.trades.values()),
        "broker_charges_total": None if notes is None else _rupees(each.total for each in notes),
        "positions": [[*key, quantity] for key, quantity in sorted(ledger.positions.items())],
        "available": None if book.funds is None else str(book.funds.available),
        "utilised": None if book.funds is None else str(book.funds.utilised),
    }


def _rupees(amounts: Any) -> str:
    return str(sum(amounts, Decimal(0)))


def _told(evening: Evening) -> list[tuple[EventType, str]]:
    """What the feed is told: the result, and each line of the sheet that the broker works out otherwise."""
    figures = evening.figures
    whom = figures.get("source", "the broker")
    counted = f"{figures['orders']} orders and {figures['trades']} trades"
    if evening.agrees:
        return [(EventType.DAY_CLOSED, f"{evening.day} is closed: the ledger and {whom} agree on {counted}")]
    named = "; ".join(str(each) for each in evening.differences[:NAMED])
    more = f"; and {len(evening.differences) - NAMED} more" if len(evening.differences) > NAMED else ""
    words = f"{evening.day}: {len(evening.differences)} differences between the ledger and {whom}"
    of_charges = [each for each in evening.differences if each.kind is Kind.CHARGE]
    lines: dict[str, DayDifference] = {}
    for each in of_charges:
        lines.setdefault(each.about.split(" ")[-1], each)
    rates = [
        (EventType.ALERT, f"charges of {evening.day}: {line} is not the broker's: {each.cause or 'open'}")
        for line, each in lines.items()
    ]
    return [(EventType.ALERT, f"{words}: {named}{more}"), *rates]
