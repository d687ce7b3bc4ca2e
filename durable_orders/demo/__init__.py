"""The demonstration: a real day on paper, a crash in the middle, and the proof of what happened to every order."""

from durable_orders.demo.run import run

__all__ = ["run"]
