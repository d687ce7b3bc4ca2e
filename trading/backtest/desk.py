"""A strategy's desk over the core: what it asks for is done when its callback has returned."""

from collections import deque
from collections.abc import Callable
from datetime import datetime

from trading.backtest.core import Core
from trading.backtest.orders import Live
from trading.ledger.positions import Position
from trading.order import ClientOrderId, Order, OrderIntent, Product, new_client_order_id
from trading.strategy_desk import AskingDesk


class BacktestDesk(AskingDesk):
    """A `Desk`. `ids` makes the ids of orders without one."""

    def __init__(self, core: Core, strategy: str, account: str, ids: Callable[[], str] = new_client_order_id) -> None:
        self._core = core
        super().__init__({"strategy": strategy, "account": account}, ids)
        self._strategy = strategy
        self._asked: deque[Callable[[], None]] = deque()

    @property
    def now(self) -> datetime:
        return self._core.now

    def place(self, intent: OrderIntent) -> ClientOrderId:
        live = self._core.ask(intent)
        if live is not None:
            self._asked.append(lambda: self._core.submit(live))
        return ClientOrderId(intent.client_order_id)

    def cancel(self, client_order_id: str) -> None:
        self._core.find(client_order_id)
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
