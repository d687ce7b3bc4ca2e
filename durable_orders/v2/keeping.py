"""Between an execution engine and the caller's state and journal: counts the day's trades and losses on the way."""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.callers.journal import journal_row
from durable_orders.callers.state import keep_state, state_of
from durable_orders.engines.settled import SETTLED
from durable_orders.trading.ist import IST
from durable_orders.v2.books import EXECUTION
from durable_orders.v2.throttler import TradeThrottler

State = dict[str, Any]

NO_TRADE = ("PENDING", "REJECTED", SETTLED)


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
                self._began = True
            self._realized = _realized(state)
            return state

    def save(self, state: State) -> None:
        """What the state has realized since it was loaded counts as one trade's result."""
        with self._lock:
            before, now = self._realized, _realized(state)
            if before is not None and now != before:
                self._counter.register_fill("", "", "", 0, 0.0, float(now - before), count_towards_limits=False)
            self._realized = now
            self._keep(state)

    def append_orders(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Each order that is at the broker counts once as a trade."""
        for row in rows:
            order_id = str(row.get("order_id"))
            with self._lock:
                if row.get("status") not in NO_TRADE and order_id not in self._counted:
                    self._counted.add(order_id)
                    self._counter.register_fill(str(row.get("symbol")), str(row.get("strategy")), "", 0, 0.0, 0.0)
                    if self._in_process:
                        self._keep(self.load())
            journal_row(self._journal, row)

    def _keep(self, state: State) -> None:
        state[EXECUTION] = {"stamp": datetime.now(IST).date().isoformat(), "trades": self._counter.snapshot()}
        self._without_a_store = state
        keep_state(self._store, state)

    def over_the_position_limit(self, symbol: str, strategy: str) -> str | None:
        """Why the day's trades and losses allow no further one, if they do not."""
        self.load()
        allowed, reason = self._counter.can_trade(symbol, strategy)
        return None if allowed else reason


def _realized(state: Mapping[str, Any]) -> Any:
    return exact(first_of(first_of(state, "equity") or {}, "realized_pnl") or 0, "equity.realized_pnl")
