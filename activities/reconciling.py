"""Reconciles an account's positions with the broker's: what differs is explained, or said and held against new risk."""

import logging
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.activities.positions import PositionReader
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.broker_positions import BrokerReading, Key
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.day import traded_since
from durable_orders.trading.ledger.delivery import moved_today
from durable_orders.trading.ledger.entering import enter
from durable_orders.trading.ledger.position_differences import Cause, Unexplained, keep_differences, unexplained
from durable_orders.trading.ledger.reading import trades_of_symbols
from durable_orders.trading.ledger.tables import positions
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Fill, Product
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from durable_orders.trading.reconciliation.expiries import Expiries, settlement_price
from durable_orders.trading.reconciliation.position_causes import likely_cause
from durable_orders.trading.reconciliation.position_settling import held_by_ledger
from durable_orders.trading.reconciliation.positions import PositionDifference, differences

LONGEST = 10.0
"""Seconds between two readings of the positions, at most, while nothing differs."""
AT_REST = 3
"""So many of the watch's intervals lie between them, unless that is longer."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


class LedgerPositions(NamedTuple):
    """What the ledger has, in one transaction."""

    ours: dict[Key, int]
    moved: dict[Key, int]
    changed: dict[Key, datetime]
    """When each position was last written."""


class Seen(NamedTuple):
    """A difference, and since when it has been the same."""

    quantity: int
    since: datetime
    """When the first reading that showed it began."""


class PositionReconciliation:
    """One account's. Its methods block.

    A difference counts when two whole readings in a row show it, `window` seconds apart or more, that both began after
    the last change of the position was recorded, and while the broker's book has no trade of that symbol which is not
    booked: today's book explains first, and positions lag behind trades.
    """

    def __init__(
        self,
        account: Account,
        database: Database,
        positions: PositionReader,
        *,
        is_of_one_day: bool,
        window: float,
        interval: float,
        expiries: Expiries | None = None,
    ) -> None:
        """`is_of_one_day`: whether the broker's positions are those of the day, and delivery shares of earlier days are
        holdings. `window` and the watch's `interval` are in seconds. Without `expiries`, no contract expires."""
        self._account = account
        self._database = database
        self._positions = positions
        self._is_of_one_day = is_of_one_day
        self._window = timedelta(seconds=window)
        self._every = min(AT_REST * interval, LONGEST)
        self._expiries = expiries
        self._compared_at: float | None = None
        self._seen: dict[Key, Seen] = {}
        self._is_unreadable = False

    def look(self, rows: Sequence[BrokerOrder], trades: Sequence[Fill]) -> None:
        """Now and then, and at once while something may differ. `rows` and `trades` are the broker's whole book."""
        now = time.monotonic()
        if not self._seen and self._compared_at is not None and now - self._compared_at < self._every:
            return
        self._compared_at = now
        try:
            self.reconcile(rows, trades)
        except BookUnreadable as error:
            if not self._is_unreadable:
                log.warning("the positions of %s cannot be compared now: %s", self._account, error)
            self._is_unreadable = True
        else:
            self._is_unreadable = False

    def reconcile(self, rows: Sequence[BrokerOrder] = (), trades: Sequence[Fill] = ()) -> None:
        """Raises `BookUnreadable`."""
        before = self._standing()
        reading = self._positions.read()
        after = self._standing()
        differing = differences(after.ours, after.moved, reading, is_of_one_day=self._is_of_one_day)
        found = {(each.symbol, each.product): each for each in differing}
        moving = {key for key in found if before.ours.get(key) != after.ours.get(key)} | self._unbooked(
            found, rows, trades
        )
        lasting = self._lasting(found, moving, after, reading)
        self._keep(found, lasting, moving, after)

    def _lasting(
        self,
        found: dict[Key, PositionDifference],
        moving: Collection[Key],
        now: LedgerPositions,
        reading: BrokerReading,
    ) -> set[Key]:
        """Those that have been the same for long enough."""
        seen: dict[Key, Seen] = {}
        lasting = set()
        for key, each in found.items():
            if key in moving:
                continue
            known = self._seen.get(key)
            changed = now.changed.get(key)
            if known is None or known.quantity != each.quantity or (changed is not None and changed >= known.since):
                seen[key] = Seen(each.quantity, reading.at)
                continue
            seen[key] = known
            if reading.at - known.since >= self._window:
                lasting.add(key)
        self._seen = seen
        return lasting

    def _unbooked(
        self, found: dict[Key, PositionDifference], rows: Sequence[BrokerOrder], trades: Sequence[Fill]
    ) -> set[Key]:
        """Positions of whose symbols the book has trades that the ledger lacks: it is about to explain them."""
        if not found:
            return set()
        symbols = {symbol for symbol, _ in found}
        own = {row.broker_order_id: row.symbol for row in rows if row.symbol in symbols}
        since = start_of_day(datetime.now(UTC)) if self._is_of_one_day else LONG_AGO
        with self._database.read() as connection:
            booked = trades_of_symbols(connection, self._account, symbols, since)
        fresh = {
            own[fill.broker_order_id]
            for fill in trades
            if fill.broker_order_id in own and (fill.broker_order_id, fill.trade_id) not in booked
        }
        return {key for key in found if key[0] in fresh}

    def _keep(
        self,
        found: dict[Key, PositionDifference],
        lasting: set[Key],
        moving: Collection[Key],
        now: LedgerPositions,
    ) -> None:
        """Put down what stands, and say what is new and what is over."""
        at = datetime.now(UTC)
        with self._database.write(self._account) as connection:
            stood = {(each.symbol, each.product): each for each in unexplained(connection, self._account)}
            stands: dict[Key, Unexplained] = {}
            for key, each in stood.items():
                if each.cause is Cause.CORPORATE_ACTION:
                    stands[key] = _gone_on(each, now.ours.get(key, 0))
                elif key in moving:
                    stands[key] = each
                elif key in found:
                    stands[key] = each._replace(ours=found[key].ours, theirs=found[key].theirs)
            for key in lasting - stands.keys():
                differing = found[key]
                cause = self._cause(differing, found.values(), now, at)
                each = Unexplained(**differing._asdict(), cause=cause, since=at)
                if not (cause is Cause.EXPIRY and self._is_settled(connection, each, at)):
                    stands[key] = each
            if stands == stood:
                return
            keep_differences(connection, self._account, stands.values())
            for key in sorted(stands.keys() - stood.keys()):
                self._tell(connection, stands[key].as_news, at)
            for key in sorted(stood.keys() - stands.keys()):
                self._tell(connection, stood[key].as_settled, at)

    def _cause(
        self, each: PositionDifference, others: Collection[PositionDifference], now: LedgerPositions, at: datetime
    ) -> Cause:
        changed = now.changed.get((each.symbol, each.product))
        return likely_cause(
            each,
            others,
            expired=self._expiries is not None and self._expiries.is_over(each.symbol, at),
            carried_over=changed is not None and changed < start_of_day(at),
        )

    def _is_settled(self, connection: sa.Connection, each: Unexplained, at: datetime) -> bool:
        """Enter an expiry that was settled in cash, at the price that the broker's own figures say; not without one,
        and not where shares are delivered: then it waits for a human."""
        row = next((row for row in self._positions.rows if (row.symbol, str(row.product)) == each[:2]), None)
        if row is None or self._expiries is None or self._expiries.is_settled_in_shares(each.symbol):
            return False
        traded = traded_since(connection, self._account, start_of_day(at)).get((each.symbol, Product(each.product)))
        price = settlement_price(each.ours, traded.paid if traded else Decimal(0), row)
        if price is None:
            return False
        entry = PositionEntry(
            symbol=each.symbol,
            product=Product(each.product),
            quantity=-each.ours,
            kind=EntryKind.EXPIRY,
            price=price,
            evidence="the broker's position of the day is closed, and its profit says at what price",
            who="by the watch",
        )
        enter(connection, self._account, entry, at)
        return True

    def _tell(self, connection: sa.Connection, words: str, at: datetime) -> None:
        add_event(connection, self._account, EventType.POSITION_DIFFERS, words, at)
        log.warning("%s: %s", self._account, words)

    def _standing(self) -> LedgerPositions:
        with self._database.read() as connection:
            own = positions.c
            asked = sa.select(own.symbol, own.product, own.updated_at).where(own.account == self._account)
            return LedgerPositions(
                held_by_ledger(connection, self._account),
                moved_today(connection, self._account, datetime.now(UTC)) if self._is_of_one_day else {},
                {(symbol, product): at for symbol, product, at in connection.execute(asked)},
            )


def _gone_on(each: Unexplained, ours: int) -> Unexplained:
    """A corporate action is seen once, when the holdings change: it stands until it is settled, and what is bought and
    sold meanwhile is on both sides."""
    return each._replace(ours=ours, theirs=ours + each.quantity)
