"""A strategy's desk over durable orders: what it asks for is done when its callback has returned."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from durable_orders.orders import Orders
from durable_orders.running.view import View
from trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound
from trading.ist import IST
from trading.ledger.positions import Position
from trading.ledger.reading import find_order, fingerprint_of
from trading.order import ClientOrderId, Order, OrderIntent, OrderType, Product, Side, order_id
from trading.strategy_desk import AskingDesk, numbered_id


@dataclass(frozen=True, slots=True)
class Place:
    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class Cancel:
    client_order_id: str


Asked = Place | Cancel


class RunDesk(AskingDesk):
    """A `Desk`. Its methods are called by the strategy, in the thread of its callbacks."""

    def __init__(self, orders: Orders, strategy: str, view: View, last_number: int) -> None:
        """`last_number` is that of the strategy's last order that has a number for an id."""
        settings = orders.settings
        own = {"strategy": strategy, "account": settings.account, "mode": settings.execution.mode}
        super().__init__(own, lambda: numbered_id(strategy, self._number + 1))
        self._orders = orders
        self._strategy = strategy
        self._number = last_number
        self._asked: deque[Asked] = deque()
        self._intents: dict[str, str] = {}
        self._unrecorded: dict[str, Order] = {}
        self.view = view
        self.market_time: datetime | None = None

    @property
    def now(self) -> datetime:
        return (self.market_time or datetime.now(UTC)).astimezone(IST)

    def place(self, intent: OrderIntent) -> ClientOrderId:
        intent = self._of_this_account(intent)
        known = self._intents.get(intent.client_order_id) or self._recorded(intent)
        if known is None:
            self._enter(intent)
        elif known != intent.fingerprint():
            raise DuplicateOrder(f"client_order_id: {intent.client_order_id} is the id of another order")
        return ClientOrderId(intent.client_order_id)

    def cancel(self, client_order_id: str) -> None:
        if not any(order.client_order_id == client_order_id for order in self.open_orders()):
            with self._orders.database.read() as connection:
                found = find_order(connection, order_id(self._orders.settings.account, client_order_id))
            if found is None and client_order_id not in self._intents:
                raise OrderNotFound(f"no order {client_order_id}")
            if found is not None and found.status.terminal:
                return
        self._asked.append(Cancel(client_order_id))

    def open_orders(self) -> list[Order]:
        return [*self.view.open, *self._unrecorded.values()]

    def position(self, symbol: str, product: Product | str = Product.MIS) -> Position:
        own = Product(product)
        return self.view.positions.get((symbol, own)) or Position(self._orders.settings.account, symbol, own)

    def close(self, held: Position, reason: str) -> OrderIntent:
        """The order that closes a position of the strategy's. It is not entered: whoever asked places it."""
        intent = OrderIntent(
            symbol=held.symbol,
            side=Side.SELL if held.quantity > 0 else Side.BUY,
            quantity=abs(held.quantity),
            order_type=OrderType.MARKET,
            product=held.product,
            client_order_id=self._ids(),
            reason=reason,
            **self._own,
        )
        self._number += 1
        return intent

    def next_asked(self) -> Asked | None:
        """The oldest thing that was asked for, once."""
        return self._asked.popleft() if self._asked else None

    def see(self, view: View) -> None:
        """Show the strategy how things stand now."""
        self.view = view
        for own in view.recorded:
            self._unrecorded.pop(own, None)

    def adopt(self, order: Order) -> None:
        """An order of the strategy that the ledger does not have yet."""
        if order.strategy == self._strategy and not order.status.terminal:
            self._unrecorded.setdefault(order.client_order_id, order)

    def forget(self, client_order_id: str) -> None:
        """It is not an order of this run after all."""
        self._unrecorded.pop(client_order_id, None)

    @property
    def unrecorded(self) -> list[str]:
        """Client order ids of orders that the ledger does not have yet."""
        return list(self._unrecorded)

    def _enter(self, intent: OrderIntent) -> None:
        if intent.client_order_id == numbered_id(self._strategy, self._number + 1):
            self._number += 1
        self._intents[intent.client_order_id] = intent.fingerprint()
        self.adopt(Order.from_intent(intent, datetime.now(UTC)))
        self._asked.append(Place(intent))

    def _of_this_account(self, intent: OrderIntent) -> OrderIntent:
        """An intent that does not say whose it is is this account's. Raises `InvalidOrder` for another's."""
        own = {name: self._own[name] for name in ("account", "mode")}
        for name, value in own.items():
            if name in intent.model_fields_set and getattr(intent, name) != value:
                raise InvalidOrder(f"{name}: must be that of the run, {value}, was {getattr(intent, name)}")
        return intent.model_copy(update=own)

    def _recorded(self, intent: OrderIntent) -> str | None:
        with self._orders.database.read() as connection:
            return fingerprint_of(connection, intent.order_id)
