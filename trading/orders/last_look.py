"""What is looked at once more just before the first byte of a placement leaves."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from durable_orders.trading.orders.outcome import Held, NotSent


class LastLook(Protocol):
    """Its deadline, whether its worker was held up, whether the account was halted. Each broker takes it once."""

    not_after: datetime
    """The deadline."""

    def leaving(self) -> AbstractContextManager[Held | None]:
        """What is against sending, if anything. Within the block it is sent, and nobody can halt the account: a halt
        that has returned came before, and is seen, or comes after what has left."""

    def late(self) -> NotSent | None:
        """The deadline and the worker alone: for a broker that redeems the permission as it takes the order, which
        looks at the account."""
