"""One thing that `durable-orders doctor` looked at."""

from durable_orders.trading.orders.order import Frozen


class Finding(Frozen):
    """One thing that was looked at."""

    name: str
    healthy: bool
    detail: str
