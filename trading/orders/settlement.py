"""What a human says of an order whose end nothing can prove any more, and on what evidence."""

from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from durable_orders.trading.orders.order import BrokerOrderId, Fill, Frozen, Order, Price, Quantity, Status, TradeId

BY_HAND = "settled by hand"
"""How the reason of an end begins that a human gave."""


class Settlement(Frozen):
    """The end of an UNKNOWN order, as a contract note or the broker's statement of trades shows it."""

    status: Status
    """FILLED, CANCELLED, EXPIRED or REJECTED."""
    evidence: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]
    """Where it was looked up, in words. Kept with the order."""
    quantity: Quantity | None = None
    """What was traded beyond what is recorded, as Kite counts."""
    price: Price | None = None
    """Their average price in rupees, as quoted."""
    traded_at: AwareDatetime | None = None
    broker_order_id: BrokerOrderId | None = None
    """For an order whose answer was lost: the broker's id, without which no trade can be booked."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.status.terminal:
            raise ValueError(f"status: must be the end of an order, was {self.status}")
        trade = (self.quantity, self.price, self.traded_at)
        if any(part is not None for part in trade) and None in trade:
            raise ValueError("quantity, price, traded_at: belong together")
        return self

    def problem_with(self, order: Order) -> str | None:
        """Why this cannot be said of the order; `None` if it can."""
        order_id = order.broker_order_id or self.broker_order_id
        filled = order.filled_quantity + (self.quantity or 0)
        if order.status is not Status.UNKNOWN:
            return f"status: only an order that is UNKNOWN is settled by hand, and it is {order.status}"
        if self.broker_order_id is not None and order_id != self.broker_order_id:
            return f"broker_order_id: it is known, and is {order_id}"
        if filled and order_id is None:
            return "broker_order_id: an order that traded has one"
        if self.status is Status.FILLED and filled != order.quantity:
            return f"quantity: a FILLED order has {order.quantity} filled, and with this it is {filled}"
        if self.status is not Status.FILLED and filled >= order.quantity:
            return f"quantity: {filled} of {order.quantity} filled is FILLED, not {self.status}"
        return None

    @property
    def words(self) -> str:
        return f"{BY_HAND} as {self.status}: {self.evidence}"

    def was_said_of(self, order: Order) -> bool:
        return order.status is self.status and self.words in order.reasons

    def fill_of(self, order: Order) -> Fill | None:
        """The trade that is booked with it. Its id says that no exchange gave it."""
        order_id = order.broker_order_id or self.broker_order_id
        if self.quantity is None or self.price is None or self.traded_at is None or order_id is None:
            return None
        return Fill(
            trade_id=TradeId(f"by-hand-{len(order.fills) + 1}"),
            broker_order_id=order_id,
            quantity=self.quantity,
            price=self.price,
            at=self.traded_at,
        )
