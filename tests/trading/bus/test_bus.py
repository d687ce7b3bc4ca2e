"""The bus: everything in order, to everybody who asked, whatever one of them does."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from durable_orders.trading.bus.bus import ALL, Event, EventBus
from durable_orders.trading.orders.events import EventType

PLACED, FILLED, REJECTED = EventType.ORDER_PLACED, EventType.ORDER_FILLED, EventType.ORDER_REJECTED
MAX_WAIT = 120.0
"""Seconds until a test that waits for something gives up."""


@pytest.fixture
def bus() -> Iterator[EventBus]:
    made = EventBus()
    yield made
    made.close()


def event(number: int, kind: EventType = PLACED) -> Event:
    return Event(kind, datetime.now(UTC), {"n": number})


def numbers(events: list[Event]) -> list[int]:
    return [one.data["n"] for one in events]


class Collector:
    """A plain subscriber that knows when it has had enough."""

    def __init__(self, enough: int) -> None:
        self.events: list[Event] = []
        self.full = threading.Event()
        self._enough = enough

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) >= self._enough:
            self.full.set()


async def test_subscribers_have_had_it_when_publish_returns(bus: EventBus) -> None:
    plain: list[Event] = []
    awaited: list[Event] = []

    async def take(event: Event) -> None:
        awaited.append(event)

    bus.subscribe("order_filled", plain.append)
    bus.subscribe(FILLED, take)
    told = await bus.publish("order_filled", {"order_id": "a", "qty": 50})
    await bus.publish("order_placed", {"order_id": "a"})
    assert plain == awaited == [told]
    assert (told.type, told.data, told.timestamp.tzinfo) == (FILLED, {"order_id": "a", "qty": 50}, UTC)


async def test_types_choose(bus: EventBus) -> None:
    every: list[Event] = []
    ends: list[Event] = []
    bus.subscribe(ALL, every.append)
    bus.subscribe([FILLED, "order_rejected"], ends.append)
    for kind in (PLACED, FILLED, REJECTED):
        await bus.publish(kind, {})
    assert [one.type for one in every] == [PLACED, FILLED, REJECTED]
    assert [one.type for one in ends] == [FILLED, REJECTED]


@pytest.mark.parametrize("wrong", ["order_filed", "", "ORDER_FILLED"])
async def test_a_type_that_does_not_exist_is_named(bus: EventBus, wrong: str) -> None:
    for ask in (lambda: bus.subscribe(wrong, print), lambda: bus.get_recent_events(wrong), lambda: bus.stream(wrong)):
        with pytest.raises(ValueError, match=r"event_type: must be one of order_received, .*was"):
            ask()
    with pytest.raises(ValueError, match="event_type"):
        await bus.publish(wrong, {})


async def test_recent_events_are_the_newest_last() -> None:
    bus = EventBus(buffer_size=4)
    bus.post(*(event(n, FILLED if n % 2 else PLACED) for n in range(6)))
    assert numbers(bus.get_recent_events()) == [2, 3, 4, 5]
    assert numbers(bus.get_recent_events(limit=2)) == [4, 5]
    assert numbers(bus.get_recent_events("order_filled")) == [3, 5]
    assert bus.get_recent_events(limit=0) == []
    assert bus.get_recent_events(REJECTED) == []


def test_a_thousand_are_remembered(bus: EventBus) -> None:
    bus.post(*(event(n) for n in range(1500)))
    assert numbers(bus.get_recent_events(limit=5000)) == list(range(500, 1500))


async def test_publishing_from_inside_a_subscriber_comes_to_an_end(bus: EventBus) -> None:
    """Both kinds of subscriber publish what they themselves are subscribed to."""
    seen: list[Event] = []
    done = asyncio.Event()

    async def answer(event: Event) -> None:
        seen.append(event)
        if event.data["n"] < 10:
            await bus.publish(PLACED, {"n": event.data["n"] + 1})
        else:
            done.set()

    loop = asyncio.get_running_loop()

    def answer_in_thread(event: Event) -> None:
        if event.data["n"] == 0:
            asyncio.run_coroutine_threadsafe(bus.publish(FILLED, {"n": 99}), loop).result(MAX_WAIT)

    fills = Collector(1)
    bus.subscribe(PLACED, answer)
    bus.subscribe(PLACED, answer_in_thread)
    bus.subscribe(FILLED, fills)
    async with asyncio.timeout(MAX_WAIT):
        await bus.publish(PLACED, {"n": 0})
        await done.wait()
        assert await asyncio.to_thread(fills.full.wait, MAX_WAIT)
    assert numbers(seen) == list(range(11))


async def test_one_that_raises_is_reported_and_harms_nobody(bus: EventBus, caplog: pytest.LogCaptureFixture) -> None:
    good: list[Event] = []

    def break_down(event: Event) -> None:
        raise KeyError("a bug of the subscriber")

    async def break_down_too(event: Event) -> None:
        raise RuntimeError("another")

    broken = [bus.subscribe(ALL, break_down), bus.subscribe(ALL, break_down_too)]
    bus.subscribe(ALL, good.append)
    for n in range(3):
        await bus.publish(PLACED, {"n": n})
    assert numbers(good) == [0, 1, 2]
    assert [one.failures for one in broken] == [3, 3]
    assert "break_down failed over order_placed" in caplog.text
    assert "break_down_too failed over order_placed" in caplog.text


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_one_that_hangs_harms_nobody_and_loses_nothing(
    bus: EventBus, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It hangs over its first event until all others have been delivered to everybody else."""
    release = threading.Event()
    let_go = asyncio.Event()
    late = Collector(2000)

    def hang(event: Event) -> None:
        release.wait(MAX_WAIT)
        late(event)

    async def hang_too(event: Event) -> None:
        await let_go.wait()
        late(event)

    quick = Collector(2000)
    slow = bus.subscribe(ALL, hang if kind == "plain" else hang_too)
    bus.subscribe(ALL, quick)
    with caplog.at_level(logging.WARNING):
        for n in range(2000):
            await bus.publish(PLACED, {"n": n})
        assert await asyncio.to_thread(quick.full.wait, MAX_WAIT)
    assert (late.events, slow.backlog) == ([], 2000)
    assert "events behind; none is dropped" in caplog.text
    release.set()
    let_go.set()
    assert await asyncio.to_thread(late.full.wait, MAX_WAIT)
    assert numbers(late.events) == list(range(2000))


async def test_iteration_gives_everything_from_its_beginning(bus: EventBus) -> None:
    bus.post(event(0))
    async with bus.stream(PLACED) as stream:
        bus.post(event(1), event(2, FILLED), event(3))
        await asyncio.to_thread(bus.post, event(4))
        assert [(await anext(stream)).data["n"] for _ in range(3)] == [1, 3, 4]
        bus.post(event(5))
    bus.post(event(6))
    assert [one.data["n"] async for one in stream] == [5]


async def test_unsubscribed_means_unsubscribed(bus: EventBus) -> None:
    first: list[Event] = []
    second: list[Event] = []
    taken = first.append
    subscription = bus.subscribe(ALL, second.append)
    bus.subscribe(ALL, taken)
    await bus.publish(PLACED, {"n": 0})
    subscription.unsubscribe()
    bus.unsubscribe(taken)
    bus.unsubscribe(print)
    await bus.publish(PLACED, {"n": 1})
    assert numbers(first) == numbers(second) == [0]


def test_it_works_without_an_event_loop_and_from_several_threads(bus: EventBus) -> None:
    """Every subscriber sees the events of all threads in one and the same order."""
    seen = [Collector(4000), Collector(4000)]

    async def take(event: Event) -> None:
        seen[1](event)

    bus.subscribe(ALL, seen[0])
    bus.subscribe(ALL, take)

    def publish(first: int) -> None:
        for n in range(first, first + 1000):
            bus.post(event(n))

    threads = [threading.Thread(target=publish, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(MAX_WAIT)
    assert all(one.full.wait(MAX_WAIT) for one in seen)
    order = numbers(seen[0].events)
    assert order == numbers(seen[1].events)
    for k in range(4):
        assert [n for n in order if n // 1000 == k] == list(range(1000 * k, 1000 * k + 1000))


def test_a_subscriber_whose_loop_is_gone_is_let_go(bus: EventBus, caplog: pytest.LogCaptureFixture) -> None:
    async def subscribe() -> Any:
        async def take(event: Event) -> None: ...

        return bus.subscribe(ALL, take)

    subscription = asyncio.run(subscribe())
    bus.post(event(0))
    bus.post(event(1))
    assert "its event loop is closed" in caplog.text
    assert subscription.backlog <= 1


def test_a_buffer_has_room_for_one_at_least() -> None:
    with pytest.raises(ValueError, match="buffer_size: must be at least 1, was 0"):
        EventBus(buffer_size=0)
