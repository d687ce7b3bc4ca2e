"""Where an installation keeps its state, if nothing else is said."""

from pathlib import Path

DEFAULT_HOME = Path(".durable-orders")
HOME_VARIABLE = "DURABLE_ORDERS_HOME"
