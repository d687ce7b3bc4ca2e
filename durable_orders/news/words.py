"""What a message says: a line for each event, bursts folded, what comes late told as late. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from durable_orders.trading.bus.bus import Event
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.events import Severity

LINES = 5
"""Events of one message that have a line each; more are counted."""
LONGEST = 300
"""Characters of a line."""


def title(account: str, events: Sequence[Event]) -> str:
    """The account, and how bad it is."""
    worst = max((event.type.severity for event in events), key=lambda severity: severity.rank)
    said = f"{len(events)} events" if len(events) > 1 else events[0].type.value.replace("_", " ")
    return f"{'ALERT ' if worst is Severity.ALERT else ''}{account}: {said}"


def body(events: Sequence[Event], now: datetime, late: float, page: str | None) -> str:
    """The worst and newest come first where not all have a line."""
    if len(events) <= LINES:
        return "\n".join(line(event, now, late, page) for event in events)
    shown = sorted(events, key=lambda event: (-event.type.severity.rank, -(event.feed_id or 0)))[:LINES]
    counted = ", ".join(
        f"{count} {kind}" for kind, count in Counter(event.type.value for event in events).most_common()
    )
    lines = [line(event, now, late, page) for event in sorted(shown, key=lambda event: event.feed_id or 0)]
    return "\n".join([f"{len(events)} events: {counted}", *lines])


def line(event: Event, now: datetime, late: float, page: str | None) -> str:
    """One event, with the link to its order."""
    order_id = str(event.data.get("order_id", ""))
    own = order_id.split(":", 2)[-1] if order_id.startswith("order:") else ""
    words = " ".join(str(event.data.get("message", "")).split())
    about = ""
    if own:
        about = f"{own}: {event.data['side']} {event.data['qty']} {event.data['symbol']} ({event.data['strategy']}), "
    is_late = now - event.timestamp > timedelta(seconds=late)
    when = f"LATE, of {event.timestamp.astimezone(IST):%d %b %H:%M:%S}: " if is_late else ""
    said = f"{when}{event.type.value.replace('_', ' ')} {about}{words}"
    shown = said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
    return f"{shown} {page}/order/{quote(own)}" if own and page is not None else shown
