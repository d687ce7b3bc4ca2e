"""Execution engines: one interface over durable workflows, and in process where no server is wanted."""

from durable_orders.engines.interface import ExecutionEngine
from durable_orders.engines.live import LiveExecutionEngine
from durable_orders.engines.paper import PaperExecutionEngine
from durable_orders.engines.session import EngineStrategy, SessionEngine

__all__ = ["EngineStrategy", "ExecutionEngine", "LiveExecutionEngine", "PaperExecutionEngine", "SessionEngine"]
