"""A strategy's desk over the core: what it asks for is done when its callback has returned."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from trading.backtest.core import Core
from trading.backtest.orders import Live
from trading.errors import InvalidOrder
from trading.explained import explained
from trading.ledger.positions import Position
from trading.order import ClientOrderId, Order, OrderIntent, OrderType, Product, Side, new_client_order_id


class BacktestDesk:
    """A `Desk`. `ids` makes the ids of orders without one."""

    def __init__(self, core: Core, strategy: str, account: str, ids: Callable[[], str] = new_client_order_id) -> None:
        self._core = core
        self._own = {"strategy": strategy, "account": account}
        self._strategy = strategy
        self._ids = ids
        self._asked: deque[Callable[[], None]] = deque()

    @property
    def now(self) -> datetime:
        return self._core.now

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
        return self._ask(Side.BUY, symbol, quantity, order_type, price, trigger_price, product, client_order_id)

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
        return self._ask(Side.SELL, symbol, quantity, order_type, price, trigger_price, product, client_order_id)

    def place(self, intent: OrderIntent) -> ClientOrderId:
        live = self._core.ask(intent)
        if live is not None:
            self._asked.append(lambda: self._core.submit(live))
        return ClientOrderId(intent.client_order_id)

    def cancel(self, client_order_id: str) -> None:
        self._core.order(client_order_id)
        self._asked.append(lambda: self._core.cancel(client_order_id, f"by {self._strategy}"))

    def open_orders(self) -> list[Order]:
        return [live.order() for live in self._core.live() if self._is_mine(live)]

    def position(self, symbol: str, product: Product | str = Product.MIS) -> Position:
        return self._core.guard.of_strategy(self._strategy).position(symbol, Product(product))

    def do_one(self) -> bool:
        """The oldest thing that was asked for; `False` if there is none."""
        if not self._asked:
            return False
        self._asked.popleft()()
        return True

    def _is_mine(self, live: Live) -> bool:
        return live.strategy == self._strategy

    def _ask(
        self,
        side: Side,
        symbol: str,
        quantity: int,
        order_type: OrderType | str,
        price: Any,
        trigger_price: Any,
        product: Product | str,
        client_order_id: str | None,
    ) -> ClientOrderId:
        try:
            intent = OrderIntent(
                symbol=symbol,
                side=side,
                quantity=quantity,
                order_type=OrderType(order_type),
                price=price,
                trigger_price=trigger_price,
                product=Product(product),
                client_order_id=client_order_id or self._ids(),
                **self._own,
            )
        except ValidationError as error:
            raise explained(error) from None
        except ValueError as error:
            raise InvalidOrder(str(error)) from None
        return self.place(intent)
