"""A Kite Connect v3 server on loopback, over the paper exchange, with faults on demand. See docs/sandbox.md."""

if __name__ == "sandbox":  # beside the links in `durable_orders/`, a checkout's root would offer each module twice
    from durable_orders.moved import not_by_itself

    raise not_by_itself(__name__)

from durable_orders.sandbox.faults import FaultRule
from durable_orders.sandbox.server import Sandbox, SandboxUnusable, run
from durable_orders.sandbox.settings import FeedKind, SandboxSettings

__all__ = ["FaultRule", "FeedKind", "Sandbox", "SandboxSettings", "SandboxUnusable", "run"]
