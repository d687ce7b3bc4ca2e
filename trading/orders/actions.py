"""What the process of an order can ask to be done next, and what it is then to be told."""

from dataclasses import dataclass
from datetime import datetime

from durable_orders.trading.orders.events import Entry
from durable_orders.trading.orders.order import Amendment


@dataclass(frozen=True, slots=True)
class Admit:
    """Ask the guardian; then `admitted`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Send the order, once; then `place_answered`."""


@dataclass(frozen=True, slots=True)
class Find:
    """Read the broker's book for it; then `looked`."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the broker to cancel it; then `cancel_answered`."""


@dataclass(frozen=True, slots=True)
class CheckAmendment:
    """Ask the guardian about a change; then `amendment_checked`."""

    change: Amendment


@dataclass(frozen=True, slots=True)
class Modify:
    """Ask the broker for the change; then `modify_answered`."""

    change: Amendment


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the oldest amendment that was asked for; then `replied`."""

    refusal: str | None = None
    """Why it was not made, or is not known to be."""
    is_unknown: bool = False
    """Whether it may still be made."""


@dataclass(frozen=True, slots=True)
class Record:
    """Write down how the order stands and what happened to it, alerts included; then `recorded`, or `was_behind` where
    the ledger has more of it."""

    entries: tuple[Entry, ...]
    is_unsettled: bool
    """Whether the account may take no new risk until this order is settled."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Read what the ledger has of the order; then `recalled`."""


@dataclass(frozen=True, slots=True)
class CheckWatch:
    """See how old the account watch's last reading of the book is; then `watch_checked`."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Until that moment, then `time_passed`; or until the process `is_interrupted`, then `interrupted`."""

    until: datetime | None
    """`None`: only what is heard ends it."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Nothing is under way: a new process, made of `order`, `policy` and the counters of this one, goes on."""


@dataclass(frozen=True, slots=True)
class Done:
    """The order has ended, and all of it is recorded and answered."""


Action = (
    Admit
    | Place
    | Find
    | Cancel
    | CheckAmendment
    | Modify
    | Reply
    | Record
    | Recall
    | CheckWatch
    | Wait
    | HandOver
    | Done
)

ADMIT, PLACE, FIND, CANCEL, RECALL, CHECK_WATCH = Admit(), Place(), Find(), Cancel(), Recall(), CheckWatch()
WAIT, HAND_OVER, DONE = Wait(None), HandOver(), Done()
