"""A backend in memory: the backtest's guardian and exchange, on the prices of the caller's market data."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN
from typing import Any

from durable_orders.callers.market import Quote, last_quote
from durable_orders.engines.books import Books
from durable_orders.engines.changing import checked, must_be_made, must_work
from durable_orders.engines.checking import refusal_of
from durable_orders.engines.followed import Followed
from durable_orders.engines.terms import intent_of, owned, tradingsymbol
from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import OrderNotFound
from durable_orders.trading.exchange.fill_models import Request, latency
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.book import BookState, OrderReport, row_of
from durable_orders.trading.orders.order import PRICE_PLACES, Amendment, Mode, Order, OrderId

GONE = "the process that simulated its exchange has ended"


class SimulatedBackend:
    """A `ExecutionBackend`. Thread-safe; never waits, so the same calls on the same prices give the same fills.

    Time is what the prices say; those that say nothing are of now, by the wall's clock. Latency passes on that clock,
    too, and holds nobody up.
    """

    def __init__(
        self,
        market_data: Any,
        guardian: Any,
        timeframe: str,
        settings: Settings,
        instruments: Instruments,
        bus: EventBus,
        books: Books,
    ) -> None:
        """Raises what reading the caller's state raises."""
        self._market_data = market_data
        self._guardian = guardian
        self._timeframe = timeframe
        self._settings = settings
        self._instruments = instruments
        self._sessions = InstrumentSessions(settings.market, instruments)
        self._followed = Followed(bus, books)
        self._changed: list[Order] = []
        self._core: Core | None = None
        self._shown: dict[str, Quote] = {}
        self._lock = threading.RLock()
        for order in books.open_orders():
            self._end(order)

    async def place(self, order: Order) -> Order:
        with self._lock:
            own = order if order.account == self._settings.account else self._owned(order)
            known = self._followed.find(own.order_id)
            if known is not None and known.status.terminal and known.broker_order_id is None:
                return known
            try:
                quote = last_quote(self._market_data, tradingsymbol(own), self._timeframe)
            except Exception as error:
                return self._refuse(own, f"Simulation error: {error}")
            if quote is None:
                return self._refuse(own, f"No market data available for {tradingsymbol(own)}")
            if quote.price <= 0:
                return self._refuse(own, f"Invalid price data for {tradingsymbol(own)}")
            return self._simulate(own, quote)

    async def cancel(self, name: str) -> Order:
        with self._lock:
            order = self._known(name)
            if not order.status.terminal and self._core is not None:
                self._core.cancel(order.client_order_id, "by the strategy")
                self._core.pass_time(self._core.now + self._latency(Request.CANCEL))
                self._take_changes()
            return self._known(name)

    async def amend(self, name: str, change: Amendment) -> Order:
        with self._lock:
            order = self._known(name)
            must_work(order)
            checked(order, change, self._guardian, self._market_data)
            if self._core is not None:
                self._core.change(order.client_order_id, change)
                self._core.pass_time(self._core.now + self._latency(Request.MODIFY))
                self._take_changes()
            return must_be_made(self._known(name), change)

    async def poll(self) -> list[Order]:
        """The resting orders meet the prices of now. A symbol that has none keeps its last one."""
        with self._lock:
            working = {order.symbol: order for order in self._followed.all() if not order.status.terminal}
            for symbol, order in sorted(working.items()):
                quote = last_quote(self._market_data, tradingsymbol(order), self._timeframe)
                if quote is not None and quote.price > 0:
                    self._show(symbol, quote)
            self._take_changes()
            return self._followed.all()

    async def close(self) -> None:
        """Nothing is held."""

    def _simulate(self, order: Order, quote: Quote) -> Order:
        core = self._show(order.symbol, quote)
        live = core.ask(intent_of(order, self._settings.account, Mode.PAPER))
        if live is not None:
            entered = live.order()
            self._followed.enter(entered)
            reason = refusal_of(self._guardian, self._market_data, order)
            if reason is not None:
                core.refuse(live, reason)
            else:
                core.submit(live)
                core.pass_time(core.now + self._latency(Request.PLACE))
        self._take_changes()
        return core.order(order.client_order_id)

    def _show(self, symbol: str, quote: Quote) -> Core:
        """The exchange sees the price, if it is another one, or one that does not say when it was."""
        at = (quote.at or datetime.now(UTC)).astimezone(UTC)
        if self._core is None:
            self._core = Core(self._settings, self._instruments, at, set(), self._note)
        core = self._core
        if quote.at is None or self._shown.get(symbol) != quote:
            tick = Tick(
                symbol=symbol,
                last_price=quote.price.quantize(PRICE_PLACES, ROUND_HALF_EVEN).normalize(),
                at=max(at, core.now),
                bid=quote.bid,
                ask=quote.ask,
            )
            core.on_tick(tick, self._sessions.of(symbol).session_at_or_after(tick.at))
            self._shown[symbol] = quote
        return core

    def _refuse(self, order: Order, reason: str) -> Order:
        self._followed.enter(order)
        return self._followed.apply(order.order_id, lifecycle.Refused((reason,)))

    def _end(self, order: Order) -> None:
        """An order whose exchange was in an earlier process: it cannot fill any more."""
        self._followed.restore(order)
        ended: lifecycle.Event = lifecycle.Withdrawn(GONE)
        if order.broker_order_id is not None:
            row = row_of(order, order.broker_order_id, BookState.CANCELLED, datetime.now(UTC), message=GONE)
            ended = lifecycle.Reported(OrderReport(row, ()))
        self._followed.apply(order.order_id, ended)

    def _note(self, live: Live) -> None:
        self._changed.append(live.order())

    def _take_changes(self) -> None:
        changed, self._changed = self._changed, []
        for order in changed:
            self._followed.show(order)

    def _latency(self, request: Request) -> timedelta:
        return timedelta(seconds=latency(request, self._settings.execution.paper))

    def _owned(self, order: Order) -> Order:
        return owned(order, self._settings.account, Mode.PAPER)

    def _known(self, name: str) -> Order:
        order = self._followed.find(self._id_of(name))
        if order is None:
            raise OrderNotFound(f"no order {name}")
        return order

    def _id_of(self, name: str) -> OrderId:
        return OrderId(name if name.startswith("order:") else f"order:{self._settings.account}:{name}")
