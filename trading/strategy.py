"""What a strategy file is written against: the same for backtest, paper and live.

    from trading.strategy import Desk, Strategy

    class BuyOnce(Strategy):
        def on_tick(self, desk: Desk, tick: Tick) -> None:
            if not desk.open_orders() and not desk.position(tick.symbol).quantity:
                desk.buy(tick.symbol, 75)

A strategy is told things and asks for things. It never waits: what it asks for happens after its callback has
returned, and what becomes of it is told to `on_order`.
"""

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from trading.ledger.positions import Position
from trading.market.ticks import Tick
from trading.order import ClientOrderId, Order, OrderIntent, OrderType, Product


class Desk(Protocol):
    """What a strategy can see and do. It is given to every callback and is good for use within it.

    Orders get the strategy's own name, its account and mode, and a UUIDv7 for an id where none is given. An id is
    asked for once: the same id with the same content is the order that exists, so a strategy that names its orders
    after their reason may ask again after a restart.
    """

    @property
    def now(self) -> datetime:
        """The market's clock, IST: where a day is replayed, the replay's."""

    def buy(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | None = None,
        trigger_price: Decimal | str | None = None,
        product: Product | str = Product.MIS,
        client_order_id: str | None = None,
    ) -> ClientOrderId:
        """Ask for an order, and give its id at once. Prices are in rupees, `quantity` in units, never lots.

        Raises `InvalidOrder` for one that cannot be expressed and `DuplicateOrder` for an id that belongs to an order
        with other content. Everything else, a refusal of the guardian included, is told to `on_order`.
        """

    def sell(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | None = None,
        trigger_price: Decimal | str | None = None,
        product: Product | str = Product.MIS,
        client_order_id: str | None = None,
    ) -> ClientOrderId:
        """As `buy`."""

    def place(self, intent: OrderIntent) -> ClientOrderId:
        """Ask for this order, as it is: its strategy, account and mode are those that it says. Raises as `buy`."""

    def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel. One of an order that has ended changes nothing. Raises `OrderNotFound`."""

    def open_orders(self) -> list[Order]:
        """This strategy's orders that have not ended, oldest first. One that was just asked for is among them."""

    def position(self, symbol: str, product: Product | str = Product.MIS) -> Position:
        """What this strategy's own orders have come to; flat if there were none."""


class Strategy(Protocol):
    """The callbacks. A class that inherits from this one writes those that it needs; any other object that has all
    four is as good. Plain functions, called one at a time. One that raises stops the strategy.

    `name`, if there is one, is the strategy's code in orders and journal; else it is the name of the file.
    """

    def on_start(self, desk: Desk) -> None:
        """Before the first tick; after a restart too. `desk.open_orders()` shows what an earlier run left behind."""

    def on_tick(self, desk: Desk, tick: Tick) -> None:
        """The market moved. Resting orders have met the tick already."""

    def on_order(self, desk: Desk, order: Order) -> None:
        """An order of the strategy stands differently. Several changes that came together may be told as one."""

    def on_stop(self, desk: Desk) -> None:
        """After the last tick, or when the strategy is stopped. Orders asked for here are not matched any more."""


CALLBACKS = ("on_start", "on_tick", "on_order", "on_stop")
