"""What an in-process session keeps of its orders: in the caller's journal, in the caller's state, and in memory.

The state is what a restart begins with; while the process lives, its memory counts, whatever else writes the state.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.callers.journal import journal_row
from durable_orders.callers.lost import Lost
from durable_orders.callers.positions import book_fill
from durable_orders.callers.state import keep_state, state_of
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import Side, Status
from durable_orders.v2.throttler import TradeThrottler

State = dict[str, Any]

EXECUTION = "execution"
"""The part of the state that is the engine's own: what is booked of each order of the day, and the day's trades."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An order as it was last seen."""

    order_id: str
    symbol: str
    """As the caller wrote it."""
    side: Side
    quantity: int
    status: Status
    strategy: str = ""
    filled: int = 0
    """Cumulative."""
    average: Decimal | None = None
    """Rupees a unit."""
    price: float | None = None

    @property
    def entry(self) -> State:
        """As it stands among the `open_orders` of a state."""
        named = {"order_id": self.order_id, "symbol": self.symbol, "status": self.status.value}
        terms = {"quantity": self.quantity, "price": self.price, "side": self.side.value}
        return named | terms | {"filled_quantity": self.filled, "strategy": self.strategy}


class Books:
    """Thread-safe. `lock` is held by whoever checks an order against the books and then sends it."""

    def __init__(self, store: Any, journal: Any, counter: TradeThrottler, logger: logging.Logger) -> None:
        self.lock = threading.RLock()
        self._counter = counter
        self._store = store
        self._journal = journal
        self._logger = logger
        self._without_a_store: State = {}
        self._lost: dict[str, Lost] | None = None
        self._booked: dict[str, tuple[int, Decimal]] = {}
        self._orders: dict[str, Seen] = {}
        self._named: dict[str, str] = {}
        self._strangers: set[str] = set()
        self._settled: set[str] = set()
        self._unproved: dict[str, Seen] = {}
        self._unsaved: State | None = None
        self._owed: list[Seen] = []

    def state(self) -> State:
        """The caller's state as it is now. What the store raises goes on."""
        if self._store is None:
            return self._without_a_store
        return state_of(self._store) if self._unsaved is None else self._unsaved

    def lost(self) -> list[Lost]:
        """Orders whose answer was lost and that are not settled, of this process and of those before it."""
        with self.lock:
            return list(self._known_lost().values())

    def send_later(self, lost: Lost) -> None:
        """Before an order is sent: a crash then leaves it unknown, not forgotten. Raises what the store raises, and
        then nothing may be sent.
        """
        with self.lock:
            self._known_lost()[lost.tag] = lost
            self._settled.discard(lost.tag)
            try:
                self._keep()
            except BaseException:
                self.settle(lost.tag)
                raise

    def keep_lost(self, lost: Lost) -> None:
        """More is known of it, and not yet what became of it."""
        with self.lock:
            self._known_lost()[lost.tag] = lost
            self._keep_if_possible()

    def settle(self, tag: str) -> None:
        """It is known what became of it."""
        with self.lock:
            if self._known_lost().pop(tag, None) is not None:
                self._settled.add(tag)
                self._keep_if_possible()

    def unproved(self) -> list[Seen]:
        """Orders whose end the broker's own figures do not prove, of this process and of those before it."""
        with self.lock:
            self._known_lost()
            return list(self._unproved.values())

    def doubt(self, seen: Seen) -> None:
        """Its end is told, and the figures of it do not add up."""
        with self.lock:
            self._known_lost()
            self._unproved[seen.order_id] = seen
            self._keep_if_possible()

    def prove(self, order_id: str) -> None:
        """What the broker tells of it adds up."""
        with self.lock:
            self._known_lost()
            if self._unproved.pop(order_id, None) is not None:
                self._keep_if_possible()

    def over_the_position_limit(self, symbol: str, strategy: str) -> str | None:
        """Why the day's trades and losses allow no further one, if they do not."""
        with self.lock:
            self._known_lost()
            allowed, reason = self._counter.can_trade(symbol, strategy)
            return None if allowed else reason

    def known_ids(self) -> set[str]:
        """The broker order ids that are certainly orders of this session: a stranger may be the one that is lost."""
        return (set(self._orders) | set(self._booked)) - self._strangers

    def booked(self, order_id: str) -> tuple[int, Decimal]:
        """Units of an order that are in the positions, and the rupees that they were traded for."""
        return self._booked.get(order_id, (0, Decimal(0)))

    def find(self, order_id: str) -> Seen | None:
        return self._orders.get(order_id)

    def write(self, row: Mapping[str, Any]) -> str | None:
        """Journal a row. What the journal raises does not undo what happened: it is logged, and returned."""
        try:
            journal_row(self._journal, row)
        except Exception as error:
            self._logger.exception("a row of order %s was not journaled", row.get("order_id"))
            return str(error)
        return None

    def name(self, tag: str, order_id: str) -> None:
        """Remember for the day which order an intent with an id of its own became: it is not sent again."""
        with self.lock:
            self._known_lost()
            self._named[tag] = order_id
            self._keep_if_possible()

    def named(self, tag: str) -> str | None:
        with self.lock:
            self._known_lost()
            return self._named.get(tag)

    def take(self, seen: Seen, *, is_ours: bool = True) -> bool:
        """Book what is new of an order: what it filled beyond what is booked, and whether it is still open.

        The same again, or something older, changes nothing. Returns whether anything was new.
        """
        with self.lock:
            self._known_lost()
            if is_ours:
                self._strangers.discard(seen.order_id)
            else:
                self._strangers.add(seen.order_id)
            before = self._orders.get(seen.order_id)
            now = _later(before, seen)
            if now == before:
                return False
            self._orders[seen.order_id] = now
            if before is None and seen.order_id not in self._booked and seen.status is not Status.REJECTED:
                self._count(seen, Decimal(0), trade=True)
            self._owed.append(now)
            self._keep_if_possible()
            return True

    def _book(self, state: State, seen: Seen) -> None:
        filled, value = self._booked.get(seen.order_id, (0, Decimal(0)))
        more = seen.filled - filled
        if more > 0 and seen.average is not None:
            price = (seen.average * seen.filled - value) / more
            at = datetime.now(UTC).isoformat()
            earned = book_fill(state, seen.symbol, seen.side.sign * more, price, at)
            self._booked[seen.order_id] = (seen.filled, seen.average * seen.filled)
            self._count(seen, earned, trade=False)
        elif more > 0:
            self._logger.error("order %s filled %s at no price: it is not booked yet", seen.order_id, seen.filled)
        _replace(state, seen.order_id, None if seen.status.terminal else seen.entry)

    def _count(self, seen: Seen, earned: Decimal, *, trade: bool) -> None:
        price = float(seen.average or 0)
        args = (seen.symbol, seen.strategy, seen.side.value, seen.quantity, price, float(earned))
        self._counter.register_fill(*args, count_towards_limits=trade)

    def _keep_if_possible(self) -> None:
        """What happened has happened, whatever the store does. What it did not take, it gets with the next change."""
        try:
            self._keep()
        except Exception:
            self._logger.exception("the state could not be kept")

    def _keep(self) -> None:
        state = self.state()
        while self._owed:
            self._book(state, self._owed[0])
            self._owed.pop(0)
        for tag in self._settled:
            _replace(state, tag, None)
        for lost in self._known_lost().values():
            _replace(state, lost.tag, lost.entry())
        booked = {order_id: [filled, float(value)] for order_id, (filled, value) in self._booked.items()}
        known = {"booked": booked, "named": self._named, "strangers": sorted(self._strangers)}
        known["unproved"] = [seen.entry for seen in self._unproved.values()]
        state[EXECUTION] = {"stamp": _today(), "trades": self._counter.snapshot(), **known}
        self._unsaved = state
        keep_state(self._store, state)
        self._unsaved = None
        self._settled.clear()

    def _known_lost(self) -> dict[str, Lost]:
        """Out of the state, the first time."""
        if self._lost is None:
            state = self.state()
            entries = list(state.get("open_orders") or [])
            unknown = [entry for entry in entries if entry.get("status") == "UNKNOWN"]
            self._lost = {lost.tag: lost for lost in map(Lost.from_entry, unknown)}
            self._orders = {seen.order_id: seen for entry in entries if (seen := _seen(entry)) is not None}
            kept = first_of(state, EXECUTION) or {}
            doubtful = [seen for entry in kept.get("unproved") or () if (seen := _seen(entry)) is not None]
            self._unproved = {seen.order_id: seen for seen in doubtful}
            if kept.get("stamp") == _today():
                booked = kept.get("booked") or {}
                self._booked = {own: (int(filled), exact(value, "booked")) for own, (filled, value) in booked.items()}
                self._named = dict(kept.get("named") or {})
                self._strangers = set(kept.get("strangers") or ())
                self._counter.resume(kept.get("trades") or {})
        return self._lost


def _later(known: Seen | None, seen: Seen) -> Seen:
    """Both together: what filled never grows less, and an end is not left."""
    if known is None:
        return seen
    if known.status.terminal:
        seen = replace(seen, status=known.status)
    if seen.filled < known.filled:
        seen = replace(seen, filled=known.filled, average=known.average)
    if seen.status is Status.PLACED and seen.filled:
        seen = replace(seen, status=Status.PARTIAL)
    return replace(seen, average=known.average) if seen.average is None and seen.filled == known.filled else seen


def _seen(entry: Mapping[str, Any]) -> Seen | None:
    """An order that an earlier process left open; `None` for an entry of somebody else's shape."""
    try:
        return Seen(
            order_id=str(entry["order_id"]),
            symbol=str(entry["symbol"]),
            side=Side(entry["side"]),
            quantity=int(entry["quantity"]),
            status=Status(entry["status"]),
            strategy=str(entry.get("strategy") or ""),
            price=entry.get("price"),
        )
    except (KeyError, ValueError, TypeError):
        return None


def _replace(state: State, order_id: str, entry: State | None) -> None:
    """One entry of the open orders, by its id; taken out with `None`."""
    others = [one for one in state.get("open_orders") or [] if str(one.get("order_id")) != order_id]
    state["open_orders"] = others if entry is None else [*others, entry]


def _today() -> str:
    return datetime.now(IST).date().isoformat()
