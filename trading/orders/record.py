"""An order as it stands, and what is still to be written down of what happened to it."""

from datetime import datetime

from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.events import EVENT_OF, Entry, EventType
from durable_orders.trading.orders.narration import sentence
from durable_orders.trading.orders.order import Frozen, Order


class OnRecord(Frozen):
    """What the ledger has of an order."""

    order: Order
    sequence: int
    """Of its last event."""
    attempt: int = 0
    """The highest attempt to send it that was used."""
    not_sent: int = 0
    """Nothing came of any attempt up to this one."""


class OrderRecord:
    """Changes by `lifecycle.step` alone; each change is an entry with a number, in words that a trader understands."""

    def __init__(self, order: Order, sequence: int = 0) -> None:
        """`sequence` is that of the last entry before."""
        self.order = order
        self.sequence = sequence
        self.entries: tuple[Entry, ...] = ()
        """What was not written down yet."""

    def apply(self, event: lifecycle.Event, now: datetime) -> None:
        before, self.order = self.order, lifecycle.step(self.order, event, now)
        if self.order is before:
            return
        is_new = self.order.status is not before.status or self.order.filled_quantity > before.filled_quantity
        kind = EVENT_OF[self.order.status] if is_new else EventType.ORDER_UPDATED
        if isinstance(event, lifecycle.Approved):
            kind = EventType.ORDER_APPROVED
        self.note(sentence(before, self.order), kind, now)

    def go_on_from(self, known: OnRecord) -> None:
        """What was not written down yet is left out: it is not what comes after that."""
        self.order, self.sequence, self.entries = known.order, known.sequence, ()

    def is_behind(self, known: OnRecord) -> bool:
        """Whether that has more, or something else, than what was written down of this. An end is more."""
        if known.order.status.terminal and not self.order.status.terminal:
            return True
        written = self.sequence - len(self.entries)
        if known.sequence != written or self.entries:
            return known.sequence > written
        times = {"updated_at": self.order.updated_at}  # a step that is done again has later ones
        return known.order.model_copy(update=times) != self.order

    def alert(self, words: str, now: datetime) -> None:
        """What a human should look at."""
        self.note(words, EventType.ALERT, now)

    def note(self, words: str, kind: EventType, now: datetime) -> None:
        self.sequence += 1
        entry = Entry(sequence=self.sequence, type=kind, at=now, message=words, status=self.order.status)
        self.entries = (*self.entries, entry)
