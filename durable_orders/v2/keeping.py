"""Between an execution engine and the caller's state and journal: counts the day's trades and losses on the way."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.callers.journal import journal_row
from durable_orders.callers.state import keep_state, state_of
from durable_orders.engines.settled import SETTLED
from durable_orders.trading.ist import IST
from durable_orders.v2.throttler import TradeThrottler

State = dict[str, Any]

EXECUTION = "execution"
"""The part of the state that is the engine's own: the day's trades, and what the older engine knows of the day."""
UNPROVED = "unproved"
"""There, and kept beyond the day: orders of an earlier version whose end did not add up."""
NO_TRADE = ("PENDING", "UNKNOWN", "REJECTED", SETTLED)


class Keeping:
    """Stands in for both towards the engine. A caller without a state store gets one in memory. Thread-safe."""

    def __init__(self, state_store: Any, journal_store: Any, counter: TradeThrottler, *, in_process: bool) -> None:
        """`in_process`: an engine that writes one thing at a time, so that the state may be written between."""
        self._in_process = in_process
        self._store = state_store
        self._journal = journal_store
        self._counter = counter
        self._without_a_store: State = {}
        self._realized: Any = None
        self._is_owed = False
        """Whether the store has not taken what is counted already: the same comes again."""
        self._counted: set[str] = set()
        self._began = False
        self._lock = threading.RLock()

    def load(self) -> State:
        """The caller's state. What the store raises goes on."""
        with self._lock:
            state = dict(self._without_a_store) if self._store is None else state_of(self._store)
            if not self._began:
                kept = first_of(first_of(state, EXECUTION) or {}, "trades") or {}
                self._counter.resume(kept)
                self._counted |= {str(entry.get("order_id")) for entry in _open(state) if _is_a_trade(entry)}
                self._began = True
            if not self._is_owed:
                self._realized = _realized(state)
            return state

    def save(self, state: State) -> None:
        """What the state has realized since it was loaded counts as one trade's result."""
        with self._lock:
            before, now = self._realized, _realized(state)
            if before is not None and now != before:
                self._counter.register_fill("", "", "", 0, 0.0, float(now - before), count_towards_limits=False)
            for entry in _open(state):
                self.count(entry)
            self._realized, self._is_owed = now, True
            self._keep(state)
            self._is_owed = False

    def append_orders(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Each order that is at the broker counts once as a trade."""
        for row in rows:
            with self._lock:
                if self.count(row) and self._in_process:
                    self._keep(self.load())
            journal_row(self._journal, row)

    def count(self, row: Mapping[str, Any]) -> bool:
        """Count the order of a row as a trade, if it is one that has not been counted."""
        order_id = str(row.get("order_id"))
        with self._lock:
            if not _is_a_trade(row) or order_id in self._counted:
                return False
            self._counted.add(order_id)
            self._counter.register_fill(str(row.get("symbol")), str(row.get("strategy")), "", 0, 0.0, 0.0)
            return True

    def forget(self, client_order_id: str) -> None:
        """An order that was never placed is open no more. Raises what the store raises."""
        with self._lock:
            state = self.load()
            entries = first_of(state, "open_orders") or ()
            state["open_orders"] = [
                entry for entry in entries if (entry.get("order") or {}).get("client_order_id") != client_order_id
            ]
            self._keep(state)

    def _keep(self, state: State) -> None:
        state[EXECUTION] = of_today(state) | {"trades": self._counter.snapshot()}
        self._without_a_store = state
        keep_state(self._store, state)

    def over_the_position_limit(self, symbol: str, strategy: str) -> str | None:
        """Why the day's trades and losses allow no further one, if they do not."""
        self.load()
        allowed, reason = self._counter.can_trade(symbol, strategy)
        return None if allowed else reason


def of_today(state: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's own part, without what is of another day."""
    own, today = first_of(state, EXECUTION) or {}, datetime.now(IST).date().isoformat()
    return {name: own[name] for name in own if own.get("stamp") == today or name == UNPROVED} | {"stamp": today}


def _open(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The entries of open orders that an engine has written."""
    for entry in first_of(state, "open_orders") or ():
        if "order" in entry:
            yield {**entry, "strategy": entry["order"].get("strategy")}


def _is_a_trade(row: Mapping[str, Any]) -> bool:
    return row.get("status") not in NO_TRADE


def _realized(state: Mapping[str, Any]) -> Any:
    return exact(first_of(first_of(state, "equity") or {}, "realized_pnl") or 0, "equity.realized_pnl")
