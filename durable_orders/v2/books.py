"""What the older engine keeps of its live orders in the caller's state and journal, in its own words."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from durable_orders.engines.books import Books, journal_content
from durable_orders.engines.durable import NOT_KNOWN_HERE
from durable_orders.trading.orders.order import Mode, Order, Status
from durable_orders.v2.keeping import EXECUTION, UNPROVED, Keeping
from durable_orders.v2.results import status_word

CODE = "strategy_code"
"""The tag of an order whose strategy has a code that is no name."""
UNSETTLED = (Status.PENDING, Status.UNKNOWN)
SENT_BEFORE = (
    "sent by an earlier version, and nothing follows it: look at the broker, and take it out of the state's open_orders"
)


class OlderBooks(Books):
    """An order has the broker's own id, and the first of its rows tells what became of the sending."""

    def __init__(self, keeping: Keeping, logger: logging.Logger) -> None:
        super().__init__(keeping, keeping, Mode.LIVE.value, logger)
        self._keeping = keeping

    def note(self, before: Order | None, after: Order) -> None:
        """As a trade it is counted in the same state that has its fills."""
        self._keeping.count(self.row_of(after) or {"status": Status.PENDING.value})
        super().note(before, after)

    def shown_id(self, order: Order) -> str:
        """The broker's id; as long as nobody knows it, the tag by which the order can be found there."""
        return str(order.broker_order_id or order.tag)

    def row_of(self, order: Order) -> dict[str, Any] | None:
        if order.status is Status.PENDING:
            return None
        own = {
            "order_id": self.shown_id(order),
            "strategy": order.tags.get(CODE, order.strategy),
            "status": status_word(order.status),
            "reason": order.reason,
        }
        return journal_content(order, Mode.LIVE.value) | own


def unsettled(state: Mapping[str, Any]) -> Iterator[str]:
    """The orders of a state of which it is not known what became of them, or what will: those included that an earlier
    version has left there, which followed them in its own process."""
    for entry in state.get("open_orders") or ():
        if "order" in entry:
            if entry.get("status") in UNSETTLED:
                said = [str(reason) for reason in entry["order"].get("reasons") or ()][-1:]
                yield ", ".join([_named(entry), *(f"{words}," for words in said if words.startswith(NOT_KNOWN_HERE))])
        elif entry.get("status") == Status.UNKNOWN or {"filled_quantity", "strategy"} <= entry.keys():
            yield f"{_named(entry)}, {SENT_BEFORE},"
    for entry in (state.get(EXECUTION) or {}).get(UNPROVED) or ():
        yield f"{_named(entry)}, {SENT_BEFORE.replace('open_orders', f'{EXECUTION}.{UNPROVED}')},"


def _named(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('side')} {entry.get('quantity')} {entry.get('symbol')} ({entry.get('order_id')})"
