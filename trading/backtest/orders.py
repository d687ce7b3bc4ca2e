"""An order while it lives, and what is kept of it. Both show a whole `Order` when they are asked for one.

A model of every order at every step would be most of what a backtest costs. The fields here are those that
`lifecycle` reads and changes; what they may be is still decided there, and a whole `Order` checks all of it again.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from durable_orders.trading.exchange.orders import ExchangeOrder, Traded
from durable_orders.trading.orders.order import (
    CARRIED,
    Account,
    BrokerOrderId,
    ClientOrderId,
    Fill,
    Instructions,
    Mode,
    Order,
    OrderId,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Status,
    Tag,
    Validity,
    order_id,
    tag_of,
)

PENDING = Status.PENDING


class Live:
    """An order that has not ended. Reads like an `Order`: a check may be somebody else's."""

    __slots__ = (
        "account",
        "amended",
        "arrival_price",
        "broker_order_id",
        "cancel_requested",
        "client_order_id",
        "created_at",
        "fills",
        "instructions",
        "intent",
        "key",
        "mode",
        "number",
        "order_type",
        "price",
        "product",
        "quantity",
        "reasons",
        "side",
        "status",
        "strategy",
        "symbol",
        "trigger_price",
        "updated_at",
        "validity",
        "working",
    )

    def __init__(
        self, intent: OrderIntent, name: str, key: str, at: datetime, arrival_price: Decimal | None, number: int = 0
    ) -> None:
        """`name` is its client order id, the intent's or another; `key` tells it from the others of its core, `number`
        is its place among them."""
        asked = vars(intent)  # each attribute of a model costs three of these
        self.intent = intent
        self.key = key
        self.number = number
        self.amended = False
        """Whether a change of it was asked for: it may have other terms than its intent then."""
        self.account: Account = asked["account"]
        self.mode: Mode = asked["mode"]
        self.client_order_id = ClientOrderId(name)
        self.strategy: str = asked["strategy"]
        self.symbol: str = asked["symbol"]
        self.side: Side = asked["side"]
        self.product: Product = asked["product"]
        self.instructions: Instructions | None = asked["instructions"]
        self.validity: Validity = asked["validity"]
        self.order_type: OrderType = asked["order_type"]
        self.quantity: int = asked["quantity"]
        self.price: Decimal | None = asked["price"]
        self.trigger_price: Decimal | None = asked["trigger_price"]
        self.status = PENDING
        self.broker_order_id: BrokerOrderId | None = None
        self.fills: tuple[Traded, ...] = ()
        self.reasons: tuple[str, ...] = ()
        self.cancel_requested = False
        self.created_at = self.updated_at = at
        self.working: ExchangeOrder | None = None
        """The exchange's own, once it is there."""
        self.arrival_price = arrival_price
        """Rupees: the last price when the strategy asked for it."""

    @property
    def order_id(self) -> OrderId:
        return order_id(self.account, self.client_order_id)

    @property
    def tag(self) -> Tag:
        return tag_of(self.order_id)

    @property
    def filled_quantity(self) -> int:
        return sum([fill.quantity for fill in self.fills])

    def change(self, changes: dict[str, Any], at: datetime) -> None:
        """Take what the lifecycle says."""
        for field, value in changes.items():
            setattr(self, field, value)
        if at > self.updated_at:
            self.updated_at = at

    def order(self) -> Order:
        content = {field: getattr(self.intent, field) for field in CARRIED}
        own = (
            "client_order_id",
            "order_id",
            "tag",
            "order_type",
            "quantity",
            "price",
            "trigger_price",
            "status",
            "broker_order_id",
        )
        more = ("reasons", "cancel_requested", "created_at", "updated_at")
        fills = tuple([traded.fill for traded in self.fills])
        return Order(**content | {field: getattr(self, field) for field in (*own, *more)}, fills=fills)


def _of_order(name: str) -> property:
    return property(lambda live: getattr(live.order(), name))


def _of_intent(name: str) -> property:
    return property(lambda live: getattr(live.intent, name))


for _name in OrderIntent.model_fields:
    if _name in Order.model_fields and not hasattr(Live, _name):
        setattr(Live, _name, _of_intent(_name))
for _name in (*dir(Order), *Order.model_fields):
    if not _name.startswith("_") and not hasattr(Live, _name):
        setattr(Live, _name, _of_order(_name))


class Ended:
    """An order that is over: some 700 bytes, its place in the ledger included."""

    __slots__ = (
        "account",
        "arrival_price",
        "asked",
        "broker_order_id",
        "cancel_requested",
        "client_order_id",
        "created_at",
        "mode",
        "number",
        "order_type",
        "price",
        "product",
        "quantity",
        "reason",
        "reasons",
        "side",
        "status",
        "strategy",
        "symbol",
        "tags",
        "trades",
        "trigger_price",
        "updated_at",
        "validity",
    )

    def __init__(self, live: Live) -> None:
        self.account: str = live.account
        self.mode: Mode = live.mode
        self.client_order_id: ClientOrderId = live.client_order_id
        self.strategy: str = live.strategy
        self.reason: str = live.intent.reason
        self.number = live.number
        self.asked = live.intent if live.amended else None
        """What was asked for, where that is not how it ended."""
        self.tags = live.intent.tags or None
        self.symbol: str = live.symbol
        self.side: Side = live.side
        self.quantity: int = live.quantity
        self.order_type: OrderType = live.order_type
        self.price: Decimal | None = live.price
        self.trigger_price: Decimal | None = live.trigger_price
        self.product: Product = live.product
        self.validity: Validity = live.validity
        self.status: Status = live.status
        self.broker_order_id: BrokerOrderId | None = live.broker_order_id
        self.trades = live.fills
        self.reasons: tuple[str, ...] = live.reasons
        self.cancel_requested: bool = live.cancel_requested
        self.created_at: datetime = live.created_at
        self.updated_at: datetime = live.updated_at
        self.arrival_price: Decimal | None = live.arrival_price

    @property
    def fills(self) -> tuple[Fill, ...]:
        return tuple([traded.fill for traded in self.trades])

    def order(self) -> Order:
        left_out = ("arrival_price", "asked", "number", "trades", "tags")
        content = {field: getattr(self, field) for field in self.__slots__ if field not in left_out}
        own = order_id(self.account, self.client_order_id)
        return Order(**content, order_id=own, tag=tag_of(own), fills=self.fills, tags=self.tags or {})
