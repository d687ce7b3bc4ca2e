"""A GTT as the sandbox keeps it: what it waits for, the order of each trigger value, and what became of it."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, model_validator

from durable_orders.sandbox.envelopes import wrong_input
from durable_orders.trading.orders.order import BrokerOrderId, OrderType, Price, Product, Quantity, Side, Symbol, Terms


class GttType(StrEnum):
    SINGLE = "single"
    TWO_LEG = "two-leg"


class GttStatus(StrEnum):
    """Kite documentation, GTT, status."""

    ACTIVE = "active"
    TRIGGERED = "triggered"
    DISABLED = "disabled"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DELETED = "deleted"


class Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GttResult(Kept):
    """What came of a leg that was triggered. A failed one has no order."""

    at: AwareDatetime
    triggered_at: Price
    """The last price that did it, in rupees."""
    order_id: BrokerOrderId | None = None
    rejection_reason: str = ""


class GttLeg(Kept):
    """One trigger value, and the LIMIT order that it places."""

    trigger: Price
    side: Side
    quantity: Quantity
    product: Product
    price: Price
    result: GttResult | None = None

    def terms(self, symbol: str) -> Terms:
        return Terms(
            symbol=symbol,
            side=self.side,
            quantity=self.quantity,
            order_type=OrderType.LIMIT,
            price=self.price,
            product=self.product,
        )


class GttRequest(Kept):
    """A GTT as it was asked for."""

    symbol: Symbol
    last_price: Price
    """Rupees, as the client said: whether a value is reached from above or from below is told by it."""
    legs: tuple[GttLeg, ...]

    @model_validator(mode="after")
    def _legs_fit(self) -> Self:
        if len(self.legs) not in (1, 2):
            raise ValueError("trigger_values: must be one, or two of a two-leg GTT")
        if len(self.legs) == 2 and not self.legs[0].trigger < self.last_price < self.legs[1].trigger:
            raise ValueError("trigger_values: the last price must lie between the two, the lower one first")
        return self

    @property
    def type(self) -> GttType:
        return GttType.SINGLE if len(self.legs) == 1 else GttType.TWO_LEG

    def reached(self, price: Decimal) -> int | None:
        """Which leg's value the price has reached or passed; `None` for none."""
        for number, leg in enumerate(self.legs):
            is_above = leg.trigger > self.last_price
            if price >= leg.trigger if is_above else price <= leg.trigger:
                return number
        return None


class Gtt(Kept):
    id: int
    asked: GttRequest
    created_at: AwareDatetime
    updated_at: AwareDatetime
    expires_at: AwareDatetime
    status: GttStatus = GttStatus.ACTIVE
    hidden_until: AwareDatetime | None = None

    def must_be_active(self) -> None:
        """Raises `KiteError`: only an active one is modified or deleted (Kite documentation)."""
        if self.status is not GttStatus.ACTIVE:
            raise wrong_input(f"The trigger is {self.status}.")

    def ended(self, status: GttStatus, at: datetime) -> "Gtt":
        return self.model_copy(update={"status": status, "updated_at": at})

    def with_result(self, number: int, result: GttResult) -> "Gtt":
        legs = tuple(
            leg.model_copy(update={"result": result}) if number == own else leg
            for own, leg in enumerate(self.asked.legs)
        )
        return self.model_copy(update={"asked": self.asked.model_copy(update={"legs": legs}), "updated_at": result.at})
