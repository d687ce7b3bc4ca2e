"""What reading the broker's book for one order can show."""

from typing import Annotated, Literal

from pydantic import Discriminator

from durable_orders.trading.orders.book import OrderReport
from durable_orders.trading.orders.order import Frozen
from durable_orders.trading.orders.outcome import Evidence


class Found(Frozen):
    kind: Literal["found"] = "found"
    report: OrderReport


class Absent(Frozen):
    """The book was read, whole, and does not have the order."""

    kind: Literal["absent"] = "absent"
    rows: int
    """How many orders it did have."""


class Unreadable(Frozen):
    """The book could not be read: nothing is known."""

    kind: Literal["unreadable"] = "unreadable"
    evidence: Evidence


BookLookup = Annotated[Found | Absent | Unreadable, Discriminator("kind")]
