"""What is to be done next about a plan."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from durable_orders.trading.gtt.gtt import GttChange, GttIntent
from durable_orders.trading.orders.order import Amendment, Order, OrderIntent, Product


@dataclass(frozen=True, slots=True)
class Admit:
    """Check the plan as a whole, and record it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Start an order of the plan's. Its name is its own: one that exists is taken as it is."""

    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class Amend:
    """Change a working order: whole terms, so that asking twice comes to the same."""

    client_order_id: str
    change: Amendment


@dataclass(frozen=True, slots=True)
class Cancel:
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlaceGtt:
    """Have the broker keep an exit. Its id is its own: one that exists is taken as it is."""

    intent: GttIntent


@dataclass(frozen=True, slots=True)
class ChangeGtt:
    """Change a GTT, or delete it."""

    change: GttChange


@dataclass(frozen=True, slots=True)
class CancelPlaced:
    """Cancel the order that a GTT has placed: no workflow follows it."""

    order: Order


@dataclass(frozen=True, slots=True)
class CloseExcess:
    """More went out than came in: have the account's closing function close that, as far as it is there."""

    quantity: int
    number: int


@dataclass(frozen=True, slots=True)
class CloseLine:
    """So much of an instrument is not to be kept: have the account's closing function close it, as far as it is
    there."""

    symbol: str
    product: Product
    quantity: int
    """Signed: what is held."""
    number: int
    """Of the first order that closes it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Read the last prices of these symbols."""

    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """A human should know."""

    words: str


@dataclass(frozen=True, slots=True)
class Record:
    """Write down how the plan stands."""


@dataclass(frozen=True, slots=True)
class Sync:
    """Read what the ledger has of the plan's orders."""


@dataclass(frozen=True, slots=True)
class Survey:
    """See how much of the position there is still to close, and when the market is open."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Until that moment, until something is heard, or until a price is traded at or beyond one of the two."""

    until: datetime
    below: Decimal | None = None
    above: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The plan is over."""


ADMIT, RECORD, SYNC, SURVEY, DONE = Admit(), Record(), Sync(), Survey(), Done()
OfGtt = PlaceGtt | ChangeGtt | CancelPlaced
Action = (
    Admit
    | Place
    | Amend
    | Cancel
    | OfGtt
    | CloseExcess
    | CloseLine
    | Quote
    | Alert
    | Record
    | Sync
    | Survey
    | Wait
    | Done
)
