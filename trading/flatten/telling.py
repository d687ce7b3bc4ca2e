"""When a human is told again of a position that is not closed yet."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from durable_orders.trading.flatten.exits import Waiting
from durable_orders.trading.flatten.snapshot import Snapshot
from durable_orders.trading.orders.order import Frozen

POSITIONS = "what is held"
"""The key of what can be told of no position, as none can be read."""


class LastTold(Frozen):
    """What was last said of it."""

    kind: Waiting
    at: AwareDatetime


def is_due(last: LastTold | None, kind: Waiting, now: datetime, every: timedelta) -> bool:
    """At once when it waits for something else than before, then again and again; that a session is waited for is said
    once."""
    if last is None or last.kind is not kind:
        return True
    return kind is not Waiting.FOR_THE_SESSION and now - last.at >= every


def not_closed(seen: Snapshot, placed: Mapping[str, str]) -> dict[str, str]:
    """What is not closed, by key, and why, but for what waits for a session. `placed` are the keys of the closing
    orders by order id."""
    found = {POSITIONS: seen.waits} if seen.waits else {}
    positions = {each.key: each.position for each in seen.closings}
    asleep = {each.key for each in seen.closings if each.quote is not None and each.quote.closed}
    works = {placed[each.order_id]: each for each in seen.working if each.order_id in placed}
    opens = {order.position: f"{order.summary} is {order.status}" for order in seen.open}
    for key in dict.fromkeys([*positions, *placed.values()]):
        if key in works:
            found[key] = f"{works[key].summary} is {works[key].status}"
        elif key not in asleep:
            waits = "it waits for the broker's positions to settle, or for the next try"
            found[key] = opens.pop(positions.get(key, key), waits)
    return found | opens
