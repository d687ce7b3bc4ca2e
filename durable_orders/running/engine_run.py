"""A run of a strategy that is written against `ExecutionEngine`: one session of the market, from its open to its end.

The strategy awaits its orders, on an event loop in a thread of its own, so that one that computes for long delays
neither the worker nor the market's feed. It begins with the session's first tick; at the session's end, or when it is
time to square off, it is stopped, its orders are cancelled, and what it holds intraday is closed.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from datetime import UTC, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from durable_orders.background import BackgroundLoop
from durable_orders.engines import ExecutionEngine, LiveExecutionEngine, PaperExecutionEngine, SessionEngine
from durable_orders.orders import Orders
from durable_orders.running.run import MOST_AT_ONCE, Run
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidOrder, InvalidSettings, StrategyFailed
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.reading import find_order, strategy_positions_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Mode, Order, Product
from durable_orders.trading.strategies.files import Loaded

BEFORE_THE_CLOSE = timedelta(minutes=20)
"""When a session is squared off unless the run says when: for shares before Zerodha's cut-off for MIS, 15:12."""
BEFORE_THE_CUTOFF = timedelta(minutes=2)
"""At the latest so long before the broker's cut-off for MIS, which commodities have 25 minutes before the close."""


class Hours:
    """A guardian of the caller's (`validate_pre_trade`): whether the session takes orders."""

    def __init__(self) -> None:
        self.refusal: str | None = "the session has not begun"

    def validate_pre_trade(self, _intent: object, _snapshot: object) -> tuple[bool, str | None]:
        return self.refusal is None, self.refusal


class EngineRun(Run):
    """A `Run` whose callbacks are awaited, and given an engine."""

    squares_off: Collection[Product] = (Product.MIS,)
    tells_of_meanwhile = False
    slow_seconds = None
    sees_ahead = False
    keeps_targets_at_once = False

    def __init__(
        self,
        orders: Orders,
        own: Orders,
        loaded: Loaded,
        *,
        waits: bool = False,
        square_off: time | None = None,
        told: Callable[[Order], object] = lambda _order: None,
        warned: Callable[[str], object] = lambda _words: None,
    ) -> None:
        """`own` is the strategy's connection, which is opened on its loop; the rest is as for `Run`."""
        super().__init__(orders, loaded, waits=waits, square_off=square_off, told=told, warned=warned)
        self._own = own
        self._hours = Hours()
        self._ends: datetime | None = None
        self._loop = BackgroundLoop("strategy")
        self._inner = self._engine()
        self._wanted: deque[tuple[str, int, Product]] = deque()
        """Targets that the strategy has named since it was called."""
        self._answered: dict[str, int] = {}
        """Units of its orders that it was told to be filled, and the ledger may not have yet; by order id."""
        self._session = SessionEngine(
            self._inner, self.strategy, lambda: self.desk.now, self._position, self._order_settled, self._want
        )

    async def begin(self) -> None:
        """Nothing yet: the strategy begins with the session's first tick."""

    async def show(self, tick: Tick, *, is_last: bool = False) -> bool:
        if self._ends is None:
            self.desk.market_time = self.last = tick.at
            self._ends = self._end_of(tick)
            self._mind_the_end(tick, is_last=is_last)
            await super().begin()
        self._mind_the_end(tick, is_last=is_last)
        return await super().show(tick, is_last=is_last)

    async def tell(self) -> bool:
        """What becomes of orders that an earlier run left is told once the strategy has begun."""
        return self._ends is not None and await super().tell()

    async def end(self) -> None:
        if self._ends is not None:
            await self._take_no_more("the session is over")
            await super().end()

    async def close_out(
        self, reason: str, *, flatten: Collection[Product], wait: Callable[[], object] = lambda: None
    ) -> list[str]:
        await self._take_no_more(reason)
        return await super().close_out(reason, flatten=flatten, wait=wait)

    async def close(self) -> None:
        await self._on_its_loop(self._inner.close)
        await self._on_its_loop(self._own.close)
        self._loop.close()
        await super().close()

    def _call_back(self, name: str, *told: object) -> None:
        self._loop.run(getattr(self._callbacks, name)(self._session, *told))

    async def _do_asked(self) -> None:
        """Its orders went out as it asked for them: what is left are those of its targets."""
        await super()._do_asked()
        for _ in range(MOST_AT_ONCE):
            if not await self._has_to_trade():
                return
            await super()._do_asked()
        raise StrategyFailed(f"{self.strategy}: its targets asked for {MOST_AT_ONCE} orders at once")

    async def _has_to_trade(self) -> bool:
        """Whether a target asks for something. None does before the ledger has all fills that the strategy was told
        of: by less, what is held is not known."""
        if not (self._wanted or self.desk.targets) or self._hours.refusal is not None:
            return False
        if not await self._is_all_told():
            return False  # it comes back to this when it is
        await self._in_its_thread("target", self._take_targets)
        await self._keeping.keep(self.desk)
        return self.desk.is_asking

    async def _is_all_told(self) -> bool:
        """Whether the ledger has those fills, and the strategy was told of all that it has."""
        for _ in range(MOST_AT_ONCE):
            if not await self.orders.read(self._are_answers_recorded):
                return False
            if await self._tell_once():
                await super()._do_asked()
            elif not self._answered:
                return True
        raise StrategyFailed(
            f"{self.strategy}: was told of {MOST_AT_ONCE} things at once, and asked for more each time"
        )

    def _are_answers_recorded(self, connection: sa.Connection) -> bool:
        for own, filled in list(self._answered.items()):
            order = find_order(connection, own)
            if order is None or order.filled_quantity < filled:
                return False
            if self._answered.get(own) == filled:
                del self._answered[own]
        return True

    def _take_targets(self) -> None:
        """In the strategy's thread. Raises `StrategyFailed`."""
        while self._wanted:
            self.desk.targets.want(*self._wanted.popleft())
        self._keep_targets()

    def _want(self, symbol: str, quantity: int, product: Product) -> None:
        if self._hours.refusal is not None:
            raise InvalidOrder(f"target: {symbol}: {self._hours.refusal}")
        self._wanted.append((symbol, quantity, product))

    async def _on_its_loop(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._loop.run(call()))

    def _engine(self) -> ExecutionEngine:
        if self.orders.settings.execution.mode is Mode.LIVE:
            return LiveExecutionEngine(orders=self._own, guardian=self._hours)
        return PaperExecutionEngine(orders=self._own, guardian=self._hours)

    def _end_of(self, tick: Tick) -> datetime:
        """When the session of a tick is squared off."""
        calendar = InstrumentSessions(self.orders.settings.market).of(tick.symbol)
        session = calendar.session_at_or_after(tick.at)
        if self._square_off is None:
            cutoff = session.mis_cutoff or session.closes
            return min(session.closes - BEFORE_THE_CLOSE, cutoff - BEFORE_THE_CUTOFF)
        return datetime.combine(session.date, self._square_off, IST)

    def _is_due(self, at: datetime, *, is_last: bool = False) -> bool:
        return self._ends is not None and (is_last or at >= self._ends)

    def _mind_the_end(self, tick: Tick, *, is_last: bool) -> None:
        self._hours.refusal = "the session takes no more orders" if self._is_due(tick.at, is_last=is_last) else None

    async def _take_no_more(self, words: str) -> None:
        """No order is on its way any more when this returns, and none will be."""
        self._hours.refusal = words
        await self._on_its_loop(self._session.finished)

    async def _position(self, symbol: str, product: Product) -> Position:
        account = self.orders.settings.account
        found = await self.orders.read(lambda ledger: strategy_positions_of(ledger, account, self.strategy))
        return found.get((symbol, product)) or Position(account, symbol, product)

    async def _order_settled(self, order: Order) -> Order:
        """The order once the ledger has what the exchange did with it, where the market waits for that."""
        if self._waits:
            await self.settled()
            recorded = await self.orders.read(lambda ledger: find_order(ledger, order.order_id))
            order = recorded if recorded is not None else order
        if order.filled_quantity:
            self._answered[order.order_id] = order.filled_quantity
        return order


def must_be_within_the_session(square_off: time | None, symbol: str, settings: Settings) -> None:
    """Raises `InvalidSettings` for a time of the day at which that symbol does not trade."""
    if square_off is None:
        return
    session = InstrumentSessions(settings.market).of(symbol).session_at_or_after(datetime.now(UTC))
    at = datetime.combine(session.date, square_off, IST)
    if not session.opens < at < session.closes:
        hours = f"{session.opens.astimezone(IST):%H:%M} to {session.closes.astimezone(IST):%H:%M}"
        words = f"must be within the market's session, was {square_off:%H:%M}: {symbol} trades from {hours}"
        raise InvalidSettings(f"--square-off: {words}")
