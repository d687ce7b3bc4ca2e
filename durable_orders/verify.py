"""Whether histories, ledger and broker say the same of every order of an account."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Literal

import sqlalchemy as sa

from durable_orders.histories import Histories, Run, WorkflowStatus, runs_of
from durable_orders.orders import Orders
from durable_orders.trading.brokers.broker import Broker
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.audit import fill_sums, order_ids, orders_named, was_added_to
from durable_orders.trading.ledger.broker_positions import BrokerReading
from durable_orders.trading.ledger.certificates import broken_certificates
from durable_orders.trading.ledger.day import traded_since
from durable_orders.trading.ledger.delivery import moved_today
from durable_orders.trading.ledger.reading import positions_of, views_for
from durable_orders.trading.ledger.rows import chunks
from durable_orders.trading.orders.book import BrokerHolding, BrokerOrder, BrokerPosition
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Frozen, Mode, Order, OrderId, is_adopted
from durable_orders.trading.reconciliation import compare as agreement
from durable_orders.trading.reconciliation.book_diff import KnownOrders
from durable_orders.workers.components import book_of
from durable_orders.workers.home import Home

LOOKS = 3
"""A difference counts when it is still there at the last look: orders move on while they are compared."""
PAUSE_SECONDS = 1.0
AT_ONCE = 16
"""Results that are asked of the server at the same time."""


class Difference(Frozen):
    """One thing of which the ledger and somebody else say different things."""

    between: Literal["history", "broker", "ledger"]
    """With what the ledger does not agree; it may not agree with itself."""
    about: str
    """An order id, the broker's id of an order, or symbol and product of a position."""
    words: str


class Findings(Frozen):
    """Every difference, and how much was compared."""

    differences: tuple[Difference, ...]
    orders: int
    """In the ledger."""
    adopted: int
    """Of those: found at the broker, without a workflow."""
    forgotten: int
    """Of those: the server has no history of them any more."""
    rows: int
    """Orders in the broker's book."""
    trades: int
    """In the broker's book."""
    positions: int
    """That the broker holds."""


@dataclass(frozen=True, slots=True)
class Book:
    """The broker's book, read whole."""

    rows: Mapping[BrokerOrderId, BrokerOrder]
    trades: Mapping[BrokerOrderId, Sequence[Fill]]
    positions: Sequence[BrokerPosition]
    holdings: Sequence[BrokerHolding]

    @classmethod
    def read(cls, broker: Broker) -> "Book":
        """Blocks. Raises `BookUnreadable`."""
        rows = {row.broker_order_id: row for row in broker.order_book()}
        order_id = attrgetter("broker_order_id")
        trades = {key: list(group) for key, group in groupby(sorted(broker.trades(), key=order_id), order_id)}
        return cls(rows, trades, broker.positions(), broker.holdings())


@dataclass(frozen=True, slots=True)
class Compared:
    """All that is known of one order of the ledger."""

    order: Order
    history: WorkflowStatus | None
    row: BrokerOrder | None
    trades: Sequence[Fill]

    def differences(self, *, late: bool = False) -> list[Difference]:
        """`late` if something was recorded of the order after its end."""
        now = datetime.now(UTC)
        book = agreement.against_book(self.order, self.row, self.trades, now, late=late)
        return [
            *(Difference(between="history", about=self.order.order_id, words=words) for words in self._history(late)),
            *(Difference(between="broker", about=self.order.order_id, words=each.words) for each in book),
        ]

    def _history(self, late: bool) -> list[str]:
        history, is_open = self.history, not self.order.status.terminal
        if history is None or history.order is None:
            nobody = is_open and not is_adopted(self.order.order_id)
            return [f"{self.order.status} in the ledger, and no workflow follows it"] if nobody else []
        if history.trouble is not None:
            return [f"its history cannot be followed to its end: {history.trouble}"]
        found = agreement.against_history(self.order, history.order, late=late)
        if is_open and not history.is_open and not found:
            found = [f"{self.order.status}, and its workflow has ended: nobody follows it"]
        return found


async def verify_home(orders: Orders, home: Home) -> Findings:
    """`verify` with the broker that the home's settings name."""
    with home.ledger(orders.settings) as database:
        return await verify(orders, book_of(home, orders.settings, database))


async def verify(orders: Orders, broker: Broker) -> Findings:
    """Compare all that there is of the account. Raises `ServerUnreachable` or `BookUnreadable` if it cannot be read."""
    verification = Verification(orders, broker)
    findings = await verification.look(None)
    for _ in range(LOOKS - 1):
        if not findings.differences:
            break
        await asyncio.sleep(PAUSE_SECONDS)
        findings = await verification.look({difference.about for difference in findings.differences})
    return findings


class Verification:
    """Looks at all three, as often as it is asked to."""

    def __init__(self, orders: Orders, broker: Broker) -> None:
        self._orders = orders
        self._broker = broker
        self._account = orders.settings.account
        self._histories = Histories(orders.client)
        self._limit = asyncio.Semaphore(AT_ONCE)

    async def look(self, only: set[str] | None) -> Findings:
        """One look; `only` names what to look at, by the `about` of earlier differences."""
        runs = await runs_of(self._orders.client, self._account)
        book = await asyncio.to_thread(Book.read, self._broker)
        known = await self._orders.read(lambda connection: order_ids(connection, self._account))
        owned = await self._orders.read(lambda connection: self._owned(connection, book))
        chosen = [order_id for order_id in known if only is None or order_id in only]
        found: list[Difference] = []
        for chunk in chunks(chosen):
            found += await self._compare(chunk, runs, book, owned)
        found += await self._unrecorded({order_id: runs[order_id] for order_id in runs.keys() - set(known)})
        found += _unknown(book.rows[order_id] for order_id in book.rows.keys() - owned.values())
        found += await self._orders.read(lambda connection: self._positions(connection, book))
        found += await self._orders.read(self._certificates)
        return Findings(
            differences=tuple(each for each in found if only is None or each.about in only),
            orders=len(known),
            adopted=sum(is_adopted(order_id) for order_id in known),
            forgotten=sum(order_id not in runs and not is_adopted(order_id) for order_id in known),
            rows=len(book.rows),
            trades=sum(len(trades) for trades in book.trades.values()),
            positions=len(book.positions),
        )

    def _owned(self, connection: sa.Connection, book: Book) -> dict[str, BrokerOrderId]:
        """The row of each order that has one."""
        tags = {row.tag for row in book.rows.values() if row.tag}
        views = KnownOrders(views_for(connection, self._account, tags=tags, broker_order_ids=book.rows.keys()))
        owners = ((views.owner(row), order_id) for order_id, row in book.rows.items())
        return {view.order_id: order_id for view, order_id in owners if view is not None}

    async def _compare(
        self, ids: Sequence[str], runs: Mapping[OrderId, Sequence[Run]], book: Book, owned: Mapping[str, BrokerOrderId]
    ) -> list[Difference]:
        recorded, senseless = await self._orders.read(lambda connection: orders_named(connection, ids))
        histories = await asyncio.gather(*(self._history(runs.get(order.order_id)) for order in recorded))
        found = [
            Difference(between="ledger", about=order_id, words=f"its rows make no order: {words}")
            for order_id, words in senseless.items()
        ]
        for order, history in zip(recorded, histories, strict=True):
            order_id = owned.get(order.order_id, BrokerOrderId(""))
            compared = Compared(order, history, book.rows.get(order_id), book.trades.get(order_id, ()))
            said = compared.differences()
            if said and await self._was_added_to(order):
                said = compared.differences(late=True)
            found += said
        return found

    async def _was_added_to(self, order: Order) -> bool:
        return await self._orders.read(lambda connection: was_added_to(connection, order.order_id))

    async def _history(self, runs: Sequence[Run] | None) -> WorkflowStatus | None:
        async with self._limit:
            return await self._histories.standing(runs) if runs else None

    async def _unrecorded(self, runs: Mapping[OrderId, Sequence[Run]]) -> list[Difference]:
        """Orders that only the server has: waiting for a worker, or lost from the ledger."""
        histories = await asyncio.gather(*(self._history(each) for each in runs.values()))
        return [
            Difference(
                between="history", about=order_id, words=f"{history.order.status} by its history, not in the ledger"
            )
            for order_id, history in zip(runs, histories, strict=True)
            if history is not None and history.order is not None and history.was_told
        ]

    def _positions(self, connection: sa.Connection, book: Book) -> list[Difference]:
        ours = positions_of(connection, self._account)
        own = agreement.against_own_fills(ours, fill_sums(connection, self._account))
        is_live, now = self._orders.settings.execution.mode is Mode.LIVE, datetime.now(UTC)
        moved = moved_today(connection, self._account, now) if is_live else {}
        reading = BrokerReading.of(now, book.positions, book.holdings)
        broker = agreement.against_positions(ours, moved, reading, is_of_one_day=is_live)
        traded = {
            (symbol, product.value): (each.quantity, each.paid)
            for (symbol, product), each in traded_since(connection, self._account, start_of_day(now)).items()
        }
        same = [each for each in book.positions if (each.symbol, str(each.product)) not in broker]
        day = agreement.against_day(traded, same)
        return [
            *(Difference(between="ledger", about=" ".join(key), words=words) for key, words in own.items()),
            *(Difference(between="broker", about=" ".join(key), words=words) for key, words in broker.items()),
            *(Difference(between="broker", about=" ".join(key), words=words) for key, words in day.items()),
        ]

    def _certificates(self, connection: sa.Connection) -> list[Difference]:
        broken = broken_certificates(connection, self._account)
        return [Difference(between="ledger", about=about, words=words) for about, words in broken.items()]


def _unknown(rows: Iterable[BrokerOrder]) -> list[Difference]:
    return [
        Difference(
            between="broker",
            about=row.broker_order_id,
            words=f"{row.side} {row.quantity} {row.symbol} {row.status} at the broker, and no order of the ledger",
        )
        for row in rows
    ]
