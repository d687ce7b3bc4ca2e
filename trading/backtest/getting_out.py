"""What a circuit breaker that tripped does to open orders and positions: `UnwindWorkflow` in memory.

What is to be cancelled and closed, in which slices and how often, is `trading.unwinding`'s. Here nobody has to be
waited for, so it goes on as far as it can whenever the account has changed, and with every tick.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from trading.backtest.orders import Live
from trading.ledger.accounts import AccountState
from trading.ledger.positions import Position
from trading.ledger.trips import Trip
from trading.order import Mode, OrderIntent
from trading.settings import Guardian
from trading.unwinding import (
    BETWEEN_ROUNDS,
    Closing,
    OpenOrder,
    Picture,
    Unwinding,
    after_trip,
    busy,
    closing_order,
    due,
    is_out,
    position_name,
    problems,
    to_close,
)


class Account(Protocol):
    """What is to be got out."""

    now: datetime

    def state(self) -> AccountState: ...

    def live(self) -> Iterator[Live]:
        """The orders that have not ended."""

    def positions(self) -> list[Position]: ...

    def withdraw(self, live: Live, reason: str) -> None:
        """Ask for a cancel."""

    def send(self, intent: OrderIntent) -> Live:
        """A new order, through the guardian."""


@dataclass(slots=True)
class Tripped:
    """A breaker that tripped, and what came of it."""

    trip: Trip
    cancelled: list[str] = field(default_factory=list)
    """Client order ids of the open orders that were asked to end."""
    closing: list[str] = field(default_factory=list)
    """Those of the orders that were to close positions."""
    problems: list[str] = field(default_factory=list)


class GettingOut:
    """Of one account; what trips while it runs joins it."""

    def __init__(self, account: Account, limits: Guardian, closes: Callable[[Position], Closing]) -> None:
        """`closes` is how a position is closed now."""
        self._account = account
        self._limits = limits
        self._closes = closes
        self.request: Unwinding | None = None
        """`None` while there is nothing to do."""
        self._busy = False
        self._asked: set[str] = set()
        self._placed: dict[str, tuple[Live, str]] = {}
        self._rounds: dict[str, int] = {}
        self._next_round: dict[str, datetime] = {}
        self.tripped: list[Tripped] = []

    def trip(self, trip: Trip) -> None:
        """Nothing is done yet: the exchange may be in the middle of a tick."""
        self.tripped.append(Tripped(trip))
        request = after_trip(trip)
        if request is not None:
            self.request = request if self.request is None else self.request.joined_by(request)
            self._rounds, self._next_round = {}, {}

    def go_on(self) -> None:
        """As far as it can be done now."""
        if self._busy:
            return  # it is its own order that moved
        self._busy = True
        while self.request is not None and self._step(self.request):
            pass
        self._busy = False

    def _step(self, request: Unwinding) -> bool:
        """Whether anything was done that may let more be done."""
        picture = self._look(request)
        if picture.state is AccountState.ACTIVE:
            self._end()
            return False
        done = self._cancel(picture, request)
        done = self._close(picture, request) or done
        if not done and is_out(request, picture, self._standing(), self._rounds):
            self._end()
        return done

    def _look(self, request: Unwinding) -> Picture:
        self._placed = {own: each for own, each in self._placed.items() if not each[0].status.terminal}
        held = to_close(self._account.positions(), self._limits) if request.flatten else []
        return Picture(
            state=self._account.state(),
            mode=Mode.PAPER,
            open=tuple(_open(live) for live in self._account.live() if live.order_id not in self._placed),
            closings=tuple(self._closes(position) for position in held),
        )

    def _standing(self) -> dict[str, str]:
        return {own: position for own, (_, position) in self._placed.items()}

    def _cancel(self, picture: Picture, request: Unwinding) -> bool:
        """Each is asked once: its request stands."""
        fresh = {order.order_id for order in picture.open} - self._asked
        for live in [live for live in self._account.live() if live.order_id in fresh]:
            self._asked.add(live.order_id)
            self.tripped[-1].cancelled.append(live.client_order_id)
            self._account.withdraw(live, request.reason)
        return bool(fresh)

    def _close(self, picture: Picture, request: Unwinding) -> bool:
        now, done = self._account.now, False
        for closing in due(picture, busy(picture, self._standing()), self._rounds):
            position = closing.position
            if now < self._next_round.get(position, now):
                continue
            tries = self._rounds[position] = self._rounds.get(position, 0) + 1
            self._next_round[position] = now + BETWEEN_ROUNDS * 2**tries
            for quantity in closing.slices:
                self._place(closing, quantity, request)
            done = True
        return done

    def _place(self, closing: Closing, quantity: int, request: Unwinding) -> None:
        found = self.tripped[-1]
        own = sha256(f"{found.trip.account} {found.trip.key}".encode()).hexdigest()[:12]
        name = f"flatten-{own}-{len(found.closing) + 1}"
        live = self._account.send(closing_order(request, name, closing, quantity, Mode.PAPER))
        self._placed[live.order_id] = (live, closing.position)
        found.closing.append(name)

    def _end(self) -> None:
        self.tripped[-1].problems += problems(self._rounds)
        self.request = None
        self._asked, self._rounds, self._next_round = set(), {}, {}


def _open(live: Live) -> OpenOrder:
    return OpenOrder(
        order_id=live.order_id,
        summary="",
        status=live.status,
        position=position_name(live.symbol, live.product),
        followed=True,
    )
