"""Events within a process: who wants to hear of something subscribes, and nobody waits for anybody.

Publishing puts an event into the buffer and into the backlog of every subscriber that wants it, which takes
microseconds. Each subscriber works its own backlog off, in order: one that is slow, raises, or publishes itself delays
nobody. Nothing is dropped: a slow subscriber's backlog grows, and that is reported.
"""

import logging
import threading
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from durable_orders.trading.bus.subscriptions import Callback, Stream, Subscription, subscribed
from durable_orders.trading.orders.events import EventType

ALL: Literal["*"] = "*"
"""For `subscribe` and `stream`: events of every type."""
BUFFER = 1000
GRACE = 0.05
"""Seconds that `publish` waits for subscribers that have kept up so far."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. The keys of `data` are those of the type (`event_data.py`)."""

    type: EventType
    timestamp: datetime
    """UTC."""
    data: Mapping[str, Any]
    feed_id: int | None = None
    """Its row of the ledger's feed; `None` for one that is not from there."""


Wanted = EventType | str | Collection[EventType | str]


class EventBus:
    """Thread-safe. Works in and outside of a running event loop."""

    def __init__(self, buffer_size: int = BUFFER) -> None:
        """`buffer_size` is how many events `get_recent_events` remembers. Raises `ValueError` below 1."""
        if buffer_size < 1:
            raise ValueError(f"buffer_size: must be at least 1, was {buffer_size}")
        self._recent: deque[Event] = deque(maxlen=buffer_size)
        self._subscriptions: tuple[Subscription[Event], ...] = ()
        self._lock = threading.RLock()

    def subscribe(self, event_type: Wanted, callback: Callback[Event]) -> Subscription[Event]:
        """Call back with each event of the type, of one of the types, or of all (`ALL`), from now on and in order.

        An `async def` runs on the event loop that subscribes, so it must not block. A plain function runs in a thread
        of its own, so it may. What either raises is logged and counted, and the next event comes all the same.
        Raises `ValueError` for a type that does not exist.
        """
        return self._enter(subscribed(_types(event_type), callback, self._leave))

    def unsubscribe(self, callback: Callback[Event]) -> None:
        """End every subscription of this callback. Unknown ones are ignored."""
        for subscription in self._subscriptions:
            if subscription.callback is callback or subscription.callback == callback:
                subscription.unsubscribe()

    def stream(self, event_type: Wanted = ALL) -> Stream[Event]:
        """The events from now on, for `async for`. Unsubscribed by `close`, or at the end of an `async with`."""
        stream: Stream[Event] = Stream(_types(event_type), self._leave)
        self._enter(stream)
        return stream

    def post(self, *events: Event) -> None:
        """Publish without waiting, from any thread. The events go out together and in this order."""
        with self._lock:
            self._recent.extend(events)
            for subscription in self._subscriptions:
                subscription.take(events)

    async def publish(self, event_type: EventType | str, data: Mapping[str, Any]) -> Event:
        """Publish, and let subscribers that keep up finish. Within a subscriber it does not wait.

        Raises `ValueError` for a type that does not exist.
        """
        event = Event(_type(event_type), datetime.now(UTC), dict(data))
        self.post(event)
        await self.settled()
        return event

    async def settled(self, within: float = GRACE) -> None:
        """Until every subscriber that has kept up so far has had what was published, at most `within` seconds."""
        for subscription in self._subscriptions:
            await subscription.finished(within)

    def get_recent_events(self, event_type: EventType | str | None = None, limit: int = 100) -> list[Event]:
        """The last events, of one type or of all, newest last. Raises `ValueError` for an unknown type."""
        wanted = None if event_type in (None, ALL) else _type(str(event_type))
        with self._lock:
            found = [event for event in self._recent if wanted in (None, event.type)]
        return found[-limit:] if limit > 0 else []

    def close(self) -> None:
        """End every subscription. What was published before is still delivered."""
        for subscription in self._subscriptions:
            subscription.unsubscribe()

    def _enter(self, subscription: Subscription[Event]) -> Subscription[Event]:
        with self._lock:
            self._subscriptions += (subscription,)
        return subscription

    def _leave(self, subscription: Subscription[Event]) -> None:
        with self._lock:
            self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)


def _types(wanted: Wanted) -> frozenset[EventType]:
    if isinstance(wanted, str):
        return frozenset(EventType) if wanted == ALL else frozenset({_type(wanted)})
    return frozenset(_type(one) for one in wanted)


def _type(name: str) -> EventType:
    with suppress(ValueError):
        return EventType(name)
    raise ValueError(f"event_type: must be one of {', '.join(EventType)}; was {name!r:.40}")


__all__ = ["ALL", "Event", "EventBus", "Stream", "Subscription"]
