"""What of a strategy's holding others have closed. A flatten of the account, a human in the broker's app and the
broker's risk management close with orders of their own, so that a strategy's own trades still add up to a holding that
the account has no more. Pure: who keeps the account says what everybody holds."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, TypeVar

from durable_orders.trading.orders.position_entry import OUTSIDE

UNWIND = "unwind"
"""The strategy of orders that close the account's positions."""
N = TypeVar("N", int, Decimal)
CLOSERS = (OUTSIDE, UNWIND)


class Offset(NamedTuple):
    """Of one strategy, in one symbol and product."""

    quantity: int = 0
    """What is closed of its holding, signed as that is."""
    whole: int = 1
    """What those who closed hold, unsigned: of their results, `quantity` in `whole` are the strategy's."""
    by: tuple[str, ...] = ()

    def shared(self, own: N, theirs: N) -> N:
        """`whole` times the strategy's figure, its share of theirs included. Exact: whoever asks divides last."""
        return own * self.whole + theirs * abs(self.quantity)


NO_OFFSET = Offset()


def offset(held: Mapping[str, int], strategy: str) -> Offset:
    """What of the strategy's holding is closed by others, where all of them hold so many, signed, by strategy.

    What those who close hold net is set off against the strategies on the other side, in proportion and in whole
    quantities, no more than each holds. A strategy on the other side of another one has closed nothing of it.
    """
    net = sum(held.get(name, 0) for name in CLOSERS)
    there = {name: abs(own) for name, own in sorted(held.items()) if name not in CLOSERS and own * net < 0}
    if strategy not in there:
        return NO_OFFSET
    total = sum(there.values())
    taken = min(abs(net), total)
    before = sum(own for name, own in there.items() if name < strategy)
    mine = (before + there[strategy]) * taken // total - before * taken // total
    by = tuple(name for name in CLOSERS if held.get(name, 0) * net > 0)
    sign = 1 if net < 0 else -1
    return Offset(sign * mine, sum(abs(held[name]) for name in by), by) if mine else NO_OFFSET
