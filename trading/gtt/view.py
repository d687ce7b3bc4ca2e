"""A GTT for readers: how it stands, and which orders came of it."""

from collections.abc import Mapping

from pydantic import AwareDatetime

from durable_orders.trading.gtt.gtt import GttId, GttStatus, GttType, TriggerId
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.orders.order import BrokerOrderId, Frozen, Price, Product, Side, Status


class GttLegView(Frozen):
    """One trigger, its order, and what came of it. Rupees."""

    trigger_price: Price
    price: Price
    quantity: int
    triggered_at: Price | None = None
    """The last price that did it."""
    order_id: BrokerOrderId | None = None
    """The broker's id of the order that was placed then."""
    order_status: Status | None = None
    """`None` also while the ledger has not met that order."""
    filled_quantity: int = 0
    rejection_reason: str = ""
    """Why no order was placed then."""


class GttView(Frozen):
    gtt_id: GttId
    trigger_id: TriggerId | None
    """The broker's id of it."""
    status: GttStatus
    type: GttType
    symbol: str
    side: Side
    product: Product
    strategy: str
    legs: tuple[GttLegView, ...]
    reasons: tuple[str, ...]
    changing: str = ""
    """What was asked for of it, `change` or `delete`, and is not known to have been done."""
    is_external: bool
    """Whether somebody placed it at the broker, past this system."""
    created_at: AwareDatetime
    expires_at: AwareDatetime | None


Placed = Mapping[str, tuple[Status, int]]
"""Orders by the broker's id: how each stands, and how much of it is filled."""


def view_of(state: GttState, orders: Placed) -> GttView:
    results = state.results or (None,) * len(state.legs)
    legs = []
    for leg, result in zip(state.legs, results, strict=False):
        content = {"trigger_price": leg.trigger_price, "price": leg.price, "quantity": leg.quantity}
        if result is not None:
            status, filled = orders.get(result.order_id or "", (None, 0))
            content |= result.model_dump(exclude={"at"}) | {"order_status": status, "filled_quantity": filled}
        legs.append(GttLegView.model_validate(content))
    asked = "" if state.change is None else "delete" if state.change.legs is None else "change"
    intent = state.intent
    return GttView(
        gtt_id=intent.gtt_id,
        trigger_id=state.trigger_id,
        status=state.status,
        type=intent.type,
        symbol=intent.symbol,
        side=intent.side,
        product=intent.product,
        strategy=intent.strategy,
        legs=tuple(legs),
        reasons=state.reasons,
        changing=asked,
        is_external=state.is_external,
        created_at=state.created_at,
        expires_at=state.expires_at,
    )
