"""What one tick has to offer to the orders of a paper exchange, and what they have taken of it."""

from dataclasses import dataclass

from durable_orders.trading.ist import IST
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Side


@dataclass(slots=True)
class Liquidity:
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


def offered(tick: Tick, before: Tick | None) -> Liquidity:
    """What a tick has to offer after the tick before it of the same symbol: the volume counts up over a session.

    The first tick of a session offers what was traded until then. A counter that went back, as that of a replay
    which begins anew, says nothing.
    """
    if not tick.volume:
        return Liquidity(tick)
    if before is None or before.at.astimezone(IST).date() != tick.at.date():
        return Liquidity(tick, tick.volume)
    return Liquidity(tick, tick.volume - before.volume if before.volume <= tick.volume else None)
