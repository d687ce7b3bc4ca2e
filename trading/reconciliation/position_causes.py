"""What is likely to have made the broker's positions differ from the ledger's. Pure; a guess for whoever looks."""

from collections.abc import Collection, Mapping
from fractions import Fraction

from durable_orders.trading.ledger.broker_positions import BrokerReading, Key
from durable_orders.trading.ledger.delivery import DELIVERY
from durable_orders.trading.ledger.position_differences import Cause
from durable_orders.trading.orders.order import Product
from durable_orders.trading.reconciliation.positions import PositionDifference

LARGEST_RATIO = 10
"""Of a split, a bonus or a consolidation: as in 1:5 or 3:2, with numbers up to this."""
CLOSE = Fraction(1, 200)
"""By how much of itself the cost of holdings may seem to change: average prices are rounded."""


def likely_cause(
    each: PositionDifference, others: Collection[PositionDifference], *, expired: bool, carried_over: bool
) -> Cause:
    """Of one that is no corporate action. `expired`: its contract's last session is over. `carried_over`: its last
    trade is of an earlier day."""
    if expired and not each.theirs:
        return Cause.EXPIRY
    if any(other.symbol == each.symbol and other.quantity == -each.quantity for other in others):
        return Cause.CONVERSION
    if each.product not in list(Product):
        return Cause.EXTERNAL_ORDER
    if not (carried_over or not each.ours):  # an order of today would be in today's book
        return Cause.UNKNOWN
    if each.product in DELIVERY:
        return Cause.TRANSFER
    return Cause.RMS if each.product == Product.MIS and not each.theirs else Cause.EXTERNAL_ORDER


def corporate_actions(
    ours: Mapping[Key, int], before: BrokerReading | None, now: BrokerReading
) -> list[PositionDifference]:
    """Where the holdings have become more, or fewer, in a whole ratio and at the same cost since they were last read:
    what the ledger has of them goes with that, though shares that it does not know are nothing to be explained."""
    if before is None:
        return []
    found = []
    for (symbol, product), held in sorted(ours.items()):
        was, now_is = before.rows.get((symbol, product)), now.rows.get((symbol, product))
        if was is None or now_is is None or was.quantity or now_is.quantity or held <= 0:
            continue
        cost, cost_now = was.carried * was.average_price, now_is.carried * now_is.average_price
        if not (cost and _is_a_ratio(was.carried, now_is.carried)):
            continue
        if abs(cost_now - cost) <= cost * CLOSE.numerator / CLOSE.denominator:
            found.append(PositionDifference(symbol, product, held, held * now_is.carried // was.carried))
    return found


def _is_a_ratio(ours: int, theirs: int) -> bool:
    if ours <= 0 or theirs <= 0 or ours == theirs:
        return False
    ratio = Fraction(theirs, ours)
    return max(ratio.numerator, ratio.denominator) <= LARGEST_RATIO
