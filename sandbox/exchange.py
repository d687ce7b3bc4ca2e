"""The paper exchange for an event loop: one call after the other in a thread of their own, the book in memory.

The sandbox is the only one to use its database, so what the book in memory says is what the tables say.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from durable_orders.sandbox.book import Book, DayTrade, OrderView
from durable_orders.sandbox.envelopes import ErrorType, KiteError
from durable_orders.sandbox.store import OrderDetails, Store
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.exchange.oms import Expired, PaperOms
from durable_orders.trading.exchange.orders import KiteStatus
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.expiry import Expiry
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BrokerOrder, BrokerPosition
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Fill, Product
from durable_orders.trading.orders.outcome import Accepted, NotSent, Outcome, Refused

Result = TypeVar("Result")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Change:
    """An order that has changed: how many of its statuses were known before, and the trades that were not."""

    view: OrderView
    known: int
    trades: Sequence[DayTrade]


@dataclass(frozen=True, slots=True)
class _Read:
    history: list[BrokerOrder]
    fills: list[Fill]


class Exchange:
    """Commands raise `KiteError` for what the exchange refuses. To be used from one event loop."""

    def __init__(
        self, desk: PaperOms, market: PaperMarket, store: Store, user_id: str, clock: Callable[[], datetime]
    ) -> None:
        self.book = Book()
        self.session: Session | None = None
        self.on_change: list[Callable[[Change], None]] = []
        self.on_new_day: list[Callable[[Session, Sequence[BrokerPosition]], None]] = []
        """Called with what is held from the days before."""
        self.on_session_end: list[Callable[[date], Awaitable[None]]] = []
        """Called with the last day that is over, before the next one begins."""
        self._desk = desk
        self._market = market
        self._store = store
        self._user_id = user_id
        self._clock = clock
        self._closes_at: datetime | None = None
        self._day: date | None = None
        self._details: dict[BrokerOrderId, OrderDetails] = {}
        self._unread: list[BrokerOrderId] = []
        self._showing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="exchange")

    @property
    def is_open(self) -> bool:
        return self._closes_at is not None and self._clock() < self._closes_at

    @property
    def day(self) -> date | None:
        """Of the session that is or was open last."""
        return self._day

    async def start(self) -> datetime | None:
        """Own the market, and read what an earlier run has left. Gives the market time that was shown last."""
        self._details, wiped = self._store.details()
        await self._in_thread(self._market.take_over)
        self._day = await self._in_thread(self._market.session_date)
        rows = [row for row in await self._in_thread(self._desk.order_book) if row.broker_order_id not in wiped]
        orders = [row.broker_order_id for row in rows]
        histories = await self._in_thread(lambda: [self._desk.order_history(order) for order in orders])
        for order, history in zip(orders, histories, strict=True):
            self.book.absorb(history, [], self._details_of(order))
        known = dict(zip(orders, histories, strict=True))
        for fill in await self._in_thread(self._desk.trades):
            if history := known.get(fill.broker_order_id, []):
                self.book.absorb(history, [fill], self._details_of(fill.broker_order_id))
        return await self._in_thread(self._market.resume_point)

    async def place(self, details: OrderDetails, way_in: Callable[[PaperOms], Outcome]) -> BrokerOrderId:
        """Take an order by one of the desk's ways in, and give its id."""

        return await self._command(lambda: self._kept(way_in(self._desk), details))

    async def modify(self, order: BrokerOrderId, change: Amendment, details: OrderDetails) -> BrokerOrderId:
        return await self._command(
            lambda: self._kept(self._desk.change(order, change, details.disclosed_quantity), details)
        )

    async def cancel(self, order: BrokerOrderId) -> BrokerOrderId:
        return await self._command(lambda: self._desk.cancel(order))

    async def release(self, order: BrokerOrderId) -> BrokerOrderId:
        return await self._command(lambda: self._desk.release(order))

    async def trade(self, order: BrokerOrderId, quantity: int, price: Decimal) -> BrokerOrderId:
        return await self._command(lambda: self._desk.trade(order, quantity, price))

    async def move(self, symbol: str, product: Product, quantity: int, price: Decimal) -> None:
        """A position moves by so many, signed, at so many rupees, without an order."""
        await self._in_thread(lambda: self._desk.move(symbol, product, quantity, price))

    async def expired(self, expiry: Expiry, last: date) -> list[Expired]:
        return await self._in_thread(lambda: self._desk.expired(expiry, last))

    async def show(self, tick: Tick, session: Session, closes_at: datetime) -> None:
        """Bring a tick, which fills what it can."""
        async with self._showing:
            await self._open(session, closes_at)
            await self._shown([tick], session, closes_at)

    async def open(self, session: Session, closes_at: datetime) -> None:
        """Let the market be open until then, on the wall's clock. A new session wipes the book of the one before."""
        async with self._showing:
            await self._open(session, closes_at)

    async def close_session(self) -> None:
        """End the session; what is placed from now on belongs to the next."""
        async with self._showing:
            self._closes_at = self._clock()
            self._absorb(await self._in_thread(lambda: self._read(self._market.close_session())))
            if self._day is not None:
                await self._end(self._day)

    def close(self) -> None:
        self._thread.shutdown()

    async def _open(self, session: Session, closes_at: datetime) -> None:
        self._closes_at = closes_at
        if self.session is not None and self.session.date == session.date:
            return
        await self._shown([], session, closes_at)
        await self._end(session.date - DAY)
        if self._day is not None and self._day != session.date:
            self._store.wipe(self.book.wipe())
        self.session, self._day = session, session.date
        self._begin_day(session, await self._in_thread(self._desk.positions))
        for view in self.book.working():
            if view.row.status == KiteStatus.AMO_REQ_RECEIVED:
                await self.release(view.row.broker_order_id)

    async def _end(self, day: date) -> None:
        for end in self.on_session_end:
            await end(day)

    def _begin_day(self, session: Session, held: Sequence[BrokerPosition]) -> None:
        """After a restart the day has trades already: they are not of the days before, and are told again."""
        views = self.book.all()
        overnight = [_without_trades(one, views) for one in held]
        for begin in self.on_new_day:
            begin(session, overnight)
        for view in views:
            for follow in self.on_change:
                follow(Change(view, len(view.snapshots), view.trades))

    async def _shown(self, ticks: Sequence[Tick], session: Session, closes_at: datetime) -> None:
        self._absorb(await self._in_thread(lambda: self._read(self._market.on_ticks(ticks, session, closes_at))))

    async def _command(self, call: Callable[[], Outcome]) -> BrokerOrderId:
        def done() -> tuple[Outcome, list[_Read]]:
            outcome = call()
            return outcome, self._read([outcome.broker_order_id] if isinstance(outcome, Accepted) else [])

        outcome, reads = await self._in_thread(done)
        self._absorb(reads)
        if not isinstance(outcome, Accepted):
            raise _as_error(outcome)
        return outcome.broker_order_id

    def _kept(self, outcome: Outcome, details: OrderDetails) -> Outcome:
        """In the thread."""
        if isinstance(outcome, Accepted):
            self._details[outcome.broker_order_id] = details
            self._store.keep(outcome.broker_order_id, details)
        return outcome

    def _read(self, changed: Sequence[BrokerOrderId]) -> list[_Read]:
        """In the thread. What cannot be read now, though it was done, is read with the next change."""
        self._unread += changed
        if not self._unread:
            return []
        try:
            fills: dict[BrokerOrderId, list[Fill]] = {order: [] for order in self._unread}
            for fill in self._desk.trades():
                if fill.broker_order_id in fills:
                    fills[fill.broker_order_id].append(fill)
            reads = [_Read(self._desk.order_history(order), found) for order, found in fills.items()]
        except BookUnreadable:
            return []
        self._unread.clear()
        return reads

    def _absorb(self, reads: Sequence[_Read]) -> None:
        for read in reads:
            order = read.history[-1].broker_order_id
            known, trades = self.book.absorb(read.history, read.fills, self._details_of(order))
            view = self.book.get(order)
            if view is not None:
                for call in self.on_change:
                    call(Change(view, known, trades))

    def _details_of(self, order: BrokerOrderId) -> OrderDetails:
        return self._details.get(order) or OrderDetails(placed_by=self._user_id)

    async def _in_thread(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _without_trades(held: BrokerPosition, views: Iterable[OrderView]) -> BrokerPosition:
    """What was held before the day's trades."""
    traded = sum(
        view.row.side.sign * view.row.filled_quantity
        for view in views
        if (view.row.symbol, view.row.product) == (held.symbol, held.product)
    )
    return replace(held, quantity=held.quantity - traded)


def _as_error(outcome: Outcome) -> KiteError:
    """The exchange's refusal as an answer; a database that fails is an OMS that cannot be reached."""
    if isinstance(outcome, Refused):
        error_type = outcome.evidence.error_type or ErrorType.INPUT
        status = 429 if error_type == ErrorType.NETWORK else outcome.evidence.http_status or 400
        return KiteError(status, error_type, outcome.evidence.message)
    if isinstance(outcome, NotSent):
        return KiteError(503, ErrorType.NETWORK, "Request failed (kitetrade-oms)")
    return KiteError(504, ErrorType.NETWORK, "Gateway timed out")
