"""What a check is. Each is one small class with a stable code; the page `docs/guardian.md` lists them all."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ledger.approvals import Count
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.orders.order import Terms


class When(StrEnum):
    """To what a check applies. A new order is all of these but the last."""

    ALWAYS = "every order and every change of one"
    NEW_RISK = "new orders, and changes that need more than is reserved"
    NEW_PRICE = "new orders, and changes of price or type"
    NEW_ORDER = "new orders"
    CHANGE = "changes of an order"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an order does not pass."""

    message: str
    """One sentence with the limit and the value."""
    limit: object = None
    value: object = None


class Measure(NamedTuple):
    """Where an order that passes stands against a limit."""

    limit: object
    value: object
    """With the order."""
    before: object = None
    """Without it; `None` for a limit on each order alone."""
    unit: str = ""
    """What is counted, as in `units`, `rupees` or `orders a day`."""


class Check(ABC):
    """Says whether an order passes. It reads nothing and remembers nothing: what it needs is in the situation.

    One that raises refuses the order: what cannot be checked is not sent.
    """

    __slots__ = ()

    code: ClassVar[str]
    """Stable: reports, dashboards and strategies go by it."""
    settings: ClassVar[tuple[str, ...]] = ()
    """The keys that switch it on; without one it always is."""
    when: ClassVar[When] = When.NEW_RISK
    figures: ClassVar[Figures] = Figures.NONE

    def counts(self) -> Collection[Count]:
        """The counts of orders that it needs."""
        return ()

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        """Whether it can stand against an order with these terms, whatever its prices are, that comes while this
        session is open and is sent in no particular way. It is asked once for all orders that are alike in this, and
        may say no only if it passes them all, whatever else the situation is. Without a word of its own it says yes.
        """
        return True

    @abstractmethod
    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        """`None` if the order passes."""

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        """What is kept of an order that has passed, as evidence. `None` where there is no figure, or where such an
        order passes whatever the figure is."""
        return None
