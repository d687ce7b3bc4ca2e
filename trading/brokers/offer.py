"""What one tick has to offer to the orders of a paper exchange, and what they have taken of it."""

from dataclasses import dataclass

from trading.market.ticks import Tick
from trading.order import Side


@dataclass(slots=True)
class Offer:
    """One for each tick. Orders take from it in the order of their placing, so none is promised a share twice."""

    tick: Tick
    traded: int | None = None
    """Units that changed hands since the tick before; `None` where the source does not count them."""
    bought: int = 0
    """Units that orders of this exchange have bought on this tick."""
    sold: int = 0

    def taken(self, side: Side) -> int:
        return self.bought if side is Side.BUY else self.sold

    def take(self, side: Side, quantity: int) -> None:
        if side is Side.BUY:
            self.bought += quantity
        else:
            self.sold += quantity
