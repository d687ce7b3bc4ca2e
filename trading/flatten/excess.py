"""The order that closes what went out of a plan too much."""

from durable_orders.trading.flatten.closing import closable, closing_order
from durable_orders.trading.flatten.snapshot import Closing
from durable_orders.trading.orders.order import OrderIntent
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.state import closing_id


def closing_of(intent: PlanIntent, number: int, left: int, ours: int, broker: int) -> OrderIntent | None:
    """The closing order of that number: no more than is `left` of the excess, and than the account and its broker have.
    `None` where that is nothing."""
    wanted = min(closable(intent.product, ours, broker) * -intent.side.sign, left)
    if wanted <= 0:
        return None
    closing = Closing(
        symbol=intent.symbol,
        product=intent.product,
        side=intent.side,
        slices=(wanted,),
        strategy=intent.strategy,
    )
    name = closing_id(intent.plan_id, number)
    reason = f"plan {intent.plan_id}: more went out than came in"
    return closing_order(intent.account, intent.mode, name, reason, closing, wanted)
