"""What a plan's process is told: by its orders, by people, by prices, and by the ledger."""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import AwareDatetime, Field

from durable_orders.trading.orders.order import Frozen, Order, OrderIntent
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.plan import PlanChange


@dataclass(frozen=True, slots=True)
class Admitted:
    """The plan was checked, and recorded."""

    refusals: tuple[str, ...] = ()
    tick_size: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An order of the plan stands so."""

    order: Order


@dataclass(frozen=True, slots=True)
class Answered:
    """A change of an order was made, refused, or neither is known."""

    client_order_id: str
    refusal: str | None = None
    is_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Priced:
    """The last price, in rupees."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class CancelAsked:
    reason: str
    flatten: bool = False


@dataclass(frozen=True, slots=True)
class ChangeAsked:
    change: PlanChange


class Surveyed(Frozen):
    """Whether there is still something to close."""

    missing: int = 0
    """How much of what the plan holds others have closed."""
    waits: str = ""
    """Why nothing can be placed now; nothing is known of what is missing then."""
    opens_at: AwareDatetime | None = None
    """When the market opens, if it is closed."""


class Recalled(Frozen):
    """What the ledger has of a plan."""

    orders: tuple[Order, ...] = ()
    missing: int = 0
    """How much of what the plan holds others have closed."""
    oversold: int = 0
    """How much its exits have closed that others had closed already."""
    book_read_at: AwareDatetime | None = None
    """When the broker's book was last read: what others traded by then is known."""
    version: int | None = None
    """That of the plan as it is recorded there, if it is."""
    returned: int = 0
    """What it has let go of beyond what others have closed."""
    other_legs: dict[str, int] = Field(default_factory=dict)
    """Of its GTTs whose other leg, beside the stop, somebody has changed at the broker: the most that it would trade,
    by their ids."""


class ExcessSeen(Frozen):
    """What there is of what went out too much."""

    left: int
    """How much of it is still there; the rest others have bought or sold back."""
    closing: OrderIntent | None = None
    """The order that closes what can be closed of it now, to be placed."""


@dataclass(frozen=True, slots=True)
class LinesAdmitted:
    """A plan of several lines was checked, and recorded."""

    refusals: tuple[str, ...] = ()
    terms: tuple[LineTerms, ...] = ()
    """One for each of its lines."""


class LineClosing(Frozen):
    """What there is of something that is not to be kept."""

    left: int
    """How much of it is still there, unsigned; the rest others have closed."""
    waits: str = ""
    """Why nothing can be closed now."""
    orders: tuple[OrderIntent, ...] = ()
    """Those that close what can be closed of it now, to be placed."""


@dataclass(frozen=True, slots=True)
class GttTold:
    """What was asked of a GTT has come to its end, and the ledger has it."""


@dataclass(frozen=True, slots=True)
class WasReset:
    """Somebody has set the workflow back to an earlier moment: what happened since, the ledger may know."""


News = Admitted | LinesAdmitted | Seen | Answered | Priced | CancelAsked | ChangeAsked | Surveyed | GttTold | WasReset
