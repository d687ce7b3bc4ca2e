"""Execution engines: one interface over durable workflows, and in process where no server is wanted."""

from durable_orders.engines.interface import ExecutionEngine

__all__ = ["ExecutionEngine"]
