"""Runs a strategy file over durable orders, on paper or live."""

from durable_orders.running.run import OnError, Run, Why
from durable_orders.running.session import Plan, run_strategy
from durable_orders.running.summary import Summary

__all__ = ["OnError", "Plan", "Run", "Summary", "Why", "run_strategy"]
