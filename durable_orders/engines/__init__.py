"""Execution engines: one interface over durable workflows, and in process where no server is wanted."""

from durable_orders.engines.interface import ExecutionEngine
from durable_orders.engines.live import LiveExecutionEngine
from durable_orders.engines.paper import PaperExecutionEngine

__all__ = ["ExecutionEngine", "LiveExecutionEngine", "PaperExecutionEngine"]
