"""An order while it lives, and what is kept of it. Both show a whole `Order` when they are asked for one.

A model of every order at every step would be most of what a backtest costs. The fields here are those that
`lifecycle` reads and changes; what they may be is still decided there, and a whole `Order` checks all of it again.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from trading.brokers.paper_orders import ExchangeOrder
from trading.order import (
    BrokerOrderId,
    ClientOrderId,
    Fill,
    Mode,
    Order,
    OrderId,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Status,
    Tag,
    TradeId,
    Validity,
    order_id,
    tag_of,
)


class Live:
    """An order that has not ended."""

    __slots__ = (
        "account",
        "arrival_price",
        "broker_order_id",
        "cancel_requested",
        "client_order_id",
        "created_at",
        "fills",
        "intent",
        "mode",
        "order_id",
        "order_type",
        "price",
        "product",
        "quantity",
        "reasons",
        "side",
        "status",
        "strategy",
        "symbol",
        "tag",
        "trigger_price",
        "updated_at",
        "validity",
        "working",
    )

    def __init__(self, intent: OrderIntent, at: datetime) -> None:
        self.intent = intent
        self.account = intent.account
        self.mode = intent.mode
        self.client_order_id = intent.client_order_id
        self.order_id: OrderId = intent.order_id
        self.tag: Tag = tag_of(self.order_id)
        self.strategy = intent.strategy
        self.symbol = intent.symbol
        self.side: Side = intent.side
        self.product: Product = intent.product
        self.validity: Validity = intent.validity
        self.order_type: OrderType = intent.order_type
        self.quantity = intent.quantity
        self.price = intent.price
        self.trigger_price = intent.trigger_price
        self.status = Status.PENDING
        self.broker_order_id: BrokerOrderId | None = None
        self.fills: tuple[Fill, ...] = ()
        self.reasons: tuple[str, ...] = ()
        self.cancel_requested = False
        self.created_at = self.updated_at = at
        self.working: ExchangeOrder | None = None
        """The exchange's own, once it is there."""
        self.arrival_price: Decimal | None = None
        """Rupees: the last price when the strategy asked for it."""

    def __getattr__(self, name: str) -> Any:
        """Whatever else can be read of an `Order`: a check may be somebody else's."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.order(), name)

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
        content = {field: getattr(self.intent, field) for field in OrderIntent.model_fields if field != "place_by"}
        own = ("order_id", "tag", "order_type", "quantity", "price", "trigger_price", "status", "broker_order_id")
        more = ("fills", "reasons", "cancel_requested", "created_at", "updated_at")
        return Order(**content | {field: getattr(self, field) for field in (*own, *more)})


class Trade(NamedTuple):
    """A fill as it is kept: its ids follow from its order and its place."""

    quantity: int
    price: Decimal
    at: datetime


class Ended:
    """An order that is over: some 700 bytes, its place in the ledger included."""

    __slots__ = (
        "account",
        "arrival_price",
        "broker_order_id",
        "cancel_requested",
        "client_order_id",
        "created_at",
        "mode",
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
        self.client_order_id = ClientOrderId(live.client_order_id)
        self.strategy: str = live.strategy
        self.reason: str = live.intent.reason
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
        self.trades = tuple([Trade(fill.quantity, fill.price, fill.at) for fill in live.fills])
        self.reasons: tuple[str, ...] = live.reasons
        self.cancel_requested: bool = live.cancel_requested
        self.created_at: datetime = live.created_at
        self.updated_at: datetime = live.updated_at
        self.arrival_price: Decimal | None = live.arrival_price

    @property
    def fills(self) -> tuple[Fill, ...]:
        broker = self.broker_order_id or BrokerOrderId("")
        return tuple(
            Fill(
                trade_id=TradeId(f"{broker}-{number}"),
                broker_order_id=broker,
                quantity=trade.quantity,
                price=trade.price,
                at=trade.at,
            )
            for number, trade in enumerate(self.trades, 1)
        )

    def order(self) -> Order:
        left_out = ("arrival_price", "trades", "tags")
        content = {field: getattr(self, field) for field in self.__slots__ if field not in left_out}
        own = order_id(self.account, self.client_order_id)
        return Order(**content, order_id=own, tag=tag_of(own), fills=self.fills, tags=self.tags or {})
