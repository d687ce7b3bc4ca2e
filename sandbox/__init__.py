"""A Kite Connect v3 server on loopback, over the paper exchange, with faults on demand. See docs/sandbox.md."""

from sandbox.faults import FaultRule
from sandbox.server import Sandbox, SandboxUnusable, run
from sandbox.settings import FeedKind, SandboxSettings

__all__ = ["FaultRule", "FeedKind", "Sandbox", "SandboxSettings", "SandboxUnusable", "run"]
