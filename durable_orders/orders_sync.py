"""The same client for scripts and notebooks: every call waits for its answer. See `orders.py` for what each does."""

from collections.abc import Collection, Generator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from durable_orders.background import BackgroundLoop
from durable_orders.halting import Standing
from durable_orders.orders import PLACED_SECONDS, OrderHandle, Orders
from trading.bus import Event
from trading.ledger.positions import Position
from trading.ledger.reading import FeedEvent
from trading.order import Amendment, Order, OrderIntent, OrderType, Product, Status, Validity
from trading.settlement import Settlement


class OrderHandleSync:
    """One order, by its id."""

    def __init__(self, loop: BackgroundLoop, handle: OrderHandle) -> None:
        self.order_id = handle.order_id
        self._loop = loop
        self._handle = handle

    def placed(self, timeout: float = PLACED_SECONDS) -> Order:
        """See `OrderHandle.placed`."""
        return self._loop.run(self._handle.placed(timeout))

    def result(self) -> Order:
        """See `OrderHandle.result`."""
        return self._loop.run(self._handle.result())

    def now(self) -> Order:
        """See `OrderHandle.now`."""
        return self._loop.run(self._handle.now())

    def events(self) -> list[FeedEvent]:
        """See `OrderHandle.events`."""
        return self._loop.run(self._handle.events())

    def cancel(self, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """See `OrderHandle.cancel`."""
        return self._loop.run(self._handle.cancel(reason, timeout))

    def amend(self, change: Amendment, timeout: float = 30.0) -> Order:
        """See `OrderHandle.amend`."""
        return self._loop.run(self._handle.amend(change, timeout))

    def settle(self, settlement: Settlement, timeout: float = 30.0) -> Order:
        """See `OrderHandle.settle`."""
        return self._loop.run(self._handle.settle(settlement, timeout))


class OrdersSync:
    """Places and follows the orders of one account, from any number of threads, also where an event loop runs.

        with OrdersSync() as orders:
            order = orders.buy("NFO:NIFTY25MAYFUT", 75).result()

    Each call is that of `Orders`.
    """

    def __init__(self, home: Path | str | None = None, config: Path | str | None = None) -> None:
        """As `Orders`. Connects with `open`, or at the beginning of a `with`."""
        self._orders = Orders(home, config)
        self._loop = BackgroundLoop("durable-orders")

    def open(self) -> Self:
        """See `Orders.open`."""
        self._loop.run(self._orders.open())
        return self

    def close(self) -> None:
        """Disconnect, and end the thread. Orders are not touched by that. Closing twice is fine."""
        with closing(self._loop):
            if self._loop.is_open:
                self._loop.run(self._orders.close())

    def __enter__(self) -> Self:
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def handle(self, client_order_id: str) -> OrderHandleSync:
        """See `Orders.handle`."""
        return self._of(self._orders.handle(client_order_id))

    def place(self, intent: OrderIntent) -> OrderHandleSync:
        """See `Orders.place`."""
        return self._of(self._loop.run(self._orders.place(intent)))

    def place_and_wait(self, intent: OrderIntent, timeout: float = PLACED_SECONDS) -> Order:
        """See `Orders.place_and_wait`."""
        return self._loop.run(self._orders.place_and_wait(intent, timeout))

    def buy(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | int | None = None,
        trigger_price: Decimal | str | int | None = None,
        product: Product | str = Product.MIS,
        validity: Validity | str = Validity.DAY,
        strategy: str = "manual",
        reason: str = "",
        client_order_id: str | None = None,
    ) -> OrderHandleSync:
        """See `Orders.buy`."""
        return self._of(
            self._loop.run(
                self._orders.buy(
                    symbol,
                    quantity,
                    order_type=order_type,
                    price=price,
                    trigger_price=trigger_price,
                    product=product,
                    validity=validity,
                    strategy=strategy,
                    reason=reason,
                    client_order_id=client_order_id,
                )
            )
        )

    def sell(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | int | None = None,
        trigger_price: Decimal | str | int | None = None,
        product: Product | str = Product.MIS,
        validity: Validity | str = Validity.DAY,
        strategy: str = "manual",
        reason: str = "",
        client_order_id: str | None = None,
    ) -> OrderHandleSync:
        """See `Orders.sell`."""
        return self._of(
            self._loop.run(
                self._orders.sell(
                    symbol,
                    quantity,
                    order_type=order_type,
                    price=price,
                    trigger_price=trigger_price,
                    product=product,
                    validity=validity,
                    strategy=strategy,
                    reason=reason,
                    client_order_id=client_order_id,
                )
            )
        )

    def cancel(self, client_order_id: str, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """See `Orders.cancel`."""
        return self._loop.run(self._orders.cancel(client_order_id, reason, timeout))

    def get(self, client_order_id: str) -> Order:
        """See `Orders.get`."""
        return self._loop.run(self._orders.get(client_order_id))

    def raise_flag(self, name: str, reason: str, who: str = "by a strategy") -> Standing:
        """See `Orders.raise_flag`."""
        return self._loop.run(self._orders.raise_flag(name, reason, who))

    def clear_flag(self, name: str, who: str = "by a strategy") -> Standing:
        """See `Orders.clear_flag`."""
        return self._loop.run(self._orders.clear_flag(name, who))

    def settle(self, own_id: str, settlement: Settlement) -> Order:
        """See `Orders.settle`."""
        return self._loop.run(self._orders.settle(own_id, settlement))

    def positions(self) -> list[Position]:
        """See `Orders.positions`."""
        return self._loop.run(self._orders.positions())

    def events(self, after: int = 0) -> list[FeedEvent]:
        """See `Orders.events`."""
        return self._loop.run(self._orders.events(after))

    def follow(self, after: int | None = None) -> Generator[Event, None, None]:
        """See `Orders.follow`."""
        events = self._orders.follow(after)
        try:
            while True:
                yield self._loop.run(events.__anext__())
        finally:
            self._loop.run(events.aclose())

    def list(
        self,
        *,
        statuses: Collection[Status] | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> list[Order]:
        """See `Orders.list`."""
        return self._loop.run(
            self._orders.list(statuses=statuses, symbol=symbol, strategy=strategy, open_only=open_only, limit=limit)
        )

    def _of(self, handle: OrderHandle) -> OrderHandleSync:
        return OrderHandleSync(self._loop, handle)
