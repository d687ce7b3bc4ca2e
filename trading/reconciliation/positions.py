"""Where the broker's positions and the ledger's differ. Pure.

Net positions are compared as they stand. Of delivery, Kite's positions are of one day: what was traded today is held
against today's trades, and what the ledger has carried into the day must be among the holdings. Those may be more: what
was bought elsewhere, before and beside this system, is nothing to be explained.
"""

from collections.abc import Mapping
from typing import NamedTuple

from durable_orders.trading.ledger.broker_positions import BrokerReading, Key
from durable_orders.trading.ledger.delivery import DELIVERY


class PositionDifference(NamedTuple):
    """One position of which the two say different things. Quantities are signed."""

    symbol: str
    product: str
    ours: int
    theirs: int

    @property
    def quantity(self) -> int:
        """By how much the broker has more."""
        return self.theirs - self.ours

    def __str__(self) -> str:
        return f"{self.symbol} {self.product}: {self.ours} in the ledger, {self.theirs} at the broker"


def differences(
    ours: Mapping[Key, int], moved_today: Mapping[Key, int], reading: BrokerReading, *, is_of_one_day: bool
) -> list[PositionDifference]:
    """In the order of symbol and product. `moved_today` are the ledger's delivery trades of the day, added up."""
    found = []
    for symbol, product in sorted(ours.keys() | reading.rows.keys()):
        own, theirs = ours.get((symbol, product), 0), reading.at_broker(symbol, product)
        if product in DELIVERY and is_of_one_day:
            moved = moved_today.get((symbol, product), 0)
            missing = max(own - moved, 0) - theirs.carried
            other = own + theirs.quantity - moved - max(missing, 0)
        else:
            other = theirs.total
        if own != other:
            found.append(PositionDifference(symbol, product, own, other))
    return found
