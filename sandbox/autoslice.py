"""Autoslice: an order above the freeze quantity goes as several (Kite documentation, since 27 March 2026)."""

from dataclasses import dataclass, replace
from typing import Any

from durable_orders.sandbox.envelopes import ErrorType, KiteError, wrong_input
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.sandbox.order_desk import OrderDesk
from durable_orders.sandbox.order_forms import Placement
from durable_orders.sandbox.routes import Route
from durable_orders.trading.orders.slices import MOST_SLICES

TOO_LITTLE = "Insufficient funds. Required margin is 1.00 but available margin is 0.00."


@dataclass(frozen=True, slots=True)
class Autoslice:
    desk: OrderDesk

    async def place(self, asked: Placement) -> dict[str, Any]:
        """The first slice is the parent; each of the others has an id, or the error it ended in."""
        self.desk.rms.check_placement(asked)
        quantities = slices(asked.terms.quantity, self.desk.rms.slice_quantity(asked.terms.symbol))
        if len(quantities) > MOST_SLICES:
            raise wrong_input(f"The order would need {len(quantities)} slices, at most {MOST_SLICES} are allowed.")
        parent = await self.desk.send(_slice(asked, quantities[0], "autoslice"))
        behind = asked if self.desk.tags_parts else replace(asked, tag=None)
        rest = [_slice(behind, quantity, "autoslice", f"autoslice:{parent}") for quantity in quantities[1:]]
        return {"order_id": parent, "children": [await self._child(part) for part in rest]}

    async def _child(self, part: Placement) -> dict[str, Any]:
        try:
            if refused := self.desk.faults.take(FaultKind.SLICE_REFUSED, Route.PLACE):
                raise KiteError(400, ErrorType.MARGIN, refused.message or TOO_LITTLE)
            return {"order_id": await self.desk.send(part)}
        except KiteError as error:
            told = {"code": error.status, "error_type": error.error_type, "message": error.message, "data": error.data}
            return {"error": told}


def slices(quantity: int, most: int | None) -> list[int]:
    """Quantities of at most `most` that add up to `quantity`; `None` is no limit."""
    if most is None:
        return [quantity]
    whole, rest = divmod(quantity, most)
    return [most] * whole + ([rest] if rest else [])


def _slice(asked: Placement, quantity: int, *tags: str) -> Placement:
    details = asked.details.model_copy(update={"system_tags": (*asked.details.system_tags, *tags)})
    terms = asked.terms.model_copy(update={"quantity": quantity})
    return Placement(asked.variety, terms, asked.tag, details, autoslice=True)
