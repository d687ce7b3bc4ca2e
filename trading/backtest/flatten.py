"""What a circuit breaker that tripped does to open orders and positions, and a contract that is to be closed before its
delivery: `FlattenWorkflow` in memory.

What is to be cancelled and closed, in which slices and how often, is `Flatten`'s. Here nobody has to be waited for, so
it goes on as far as it can whenever the account has changed, and with every tick.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol, cast

from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.config.exits import Exits
from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.closing import Held, Target, quantities, targets
from durable_orders.trading.flatten.exits import WorkingExit
from durable_orders.trading.flatten.flatten import Flatten, Progress
from durable_orders.trading.flatten.request import FlattenRequest, OrderOutcome, after_trip
from durable_orders.trading.flatten.snapshot import Closing, OpenOrder, Snapshot, position_name
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.trips import Trip
from durable_orders.trading.orders.order import Amendment, Mode, OrderIntent, Product, Terms


class Account(Protocol):
    """What is to be flat."""

    now: datetime

    def state(self) -> AccountState: ...

    def live(self) -> Iterator[Live]:
        """The orders that have not ended."""

    def positions(self) -> list[Position]: ...

    def of_strategy(self, strategy: str) -> list[Position]:
        """What its own orders have come to."""

    def withdraw(self, live: Live, reason: str) -> None:
        """Ask for a cancel."""

    def amend(self, live: Live, change: Amendment) -> None:
        """Ask for a change, through the guardian."""

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
    """What was not closed when that was last said, and why."""


class FlattenDriver:
    """Of one account; what trips while it runs joins it."""

    def __init__(self, account: Account, limits: Guardian, exits: Exits, closes: Callable[[Target], Closing]) -> None:
        """`closes` is how a position is closed now."""
        self._exits = exits
        self._account = account
        self._limits = limits
        self._closes = closes
        self._flatten: Flatten | None = None
        self._busy = False
        self._asked = 0
        self._report: Tripped | None = None
        """Of the breaker for which it is done now, if one has tripped."""
        self._placed: dict[str, Live] = {}
        self.tripped: list[Tripped] = []

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        return self._flatten is not None

    def closes(self, strategy: str, symbol: str, product: Product) -> bool:
        """Whether that is being closed because the strategy has asked for it."""
        requests = self._flatten.progress.requests if self._flatten is not None else ()
        own = [each for each in requests if each.strategy == strategy and each.covers(symbol, strategy)]
        return any(each.closes(product, self._limits) for each in own)

    def trip(self, trip: Trip) -> None:
        """Nothing is done yet: the exchange may be in the middle of a tick."""
        self.tripped.append(Tripped(trip))
        request = after_trip(trip)
        if request is not None:
            self._report = self.tripped[-1]
            self._begin(request, trip.key)

    def ask(self, request: FlattenRequest) -> None:
        """The same for whoever else wants to be flat."""
        self._asked += 1
        self._begin(request, f"asked {self._asked}")

    def _begin(self, request: FlattenRequest, name: str) -> None:
        if self._flatten is None:
            key = sha256(f"{request.account} {name}".encode()).hexdigest()[:12]
            self._flatten = Flatten(Progress(requests=(request,)), key)
        else:
            self._flatten.join(request)

    def go_on(self) -> None:
        """As far as it can be done now."""
        if self._busy:
            return  # it is its own order that moved
        self._busy = True
        while self._flatten is not None and self._step(self._flatten):
            pass
        self._busy = False

    def _step(self, flatten: Flatten) -> bool:
        """Whether anything was done that may let more be done."""
        seen, now = self._look(flatten.progress.requests), self._account.now
        step = flatten.step(seen, now)
        wanted = {cancel.order.order_id for cancel in step.cancels}
        for live in [live for live in self._account.live() if wanted and live.order_id in wanted]:
            if live.order_id not in self._placed and self._report is not None:
                self._report.cancelled.append(live.client_order_id)
            self._account.withdraw(live, flatten.request.reason)
        for change in step.changes:
            self._account.amend(self._placed[change.order_id], change.amendment)
        if step.alerts and self._report is not None:
            self._report.problems = list(step.alerts)
        for intent in step.orders:
            if self._report is not None:
                self._report.closing.append(intent.client_order_id)
            live = self._account.send(intent)
            self._placed[live.order_id] = live
        if step.is_done:
            if self._report is not None:
                self._report.problems = flatten.problems(seen, now)
            self._report = None
            self._flatten = None
        return bool(step)

    def _look(self, requests: tuple[FlattenRequest, ...]) -> Snapshot:
        over = [live for live in self._placed.values() if live.status.terminal]
        names = {each.strategy for each in requests if each.strategy is not None}
        own = {name: quantities(self._account.of_strategy(name)) for name in sorted(names)}
        held = Held(quantities(self._account.positions()), own)
        snapshot = Snapshot(
            state=self._account.state(),
            mode=Mode.PAPER,
            open=tuple(_open(live) for live in self._account.live() if self._is_asked(live, requests)),
            closings=tuple(self._closes(target) for target in targets(requests, held, self._limits) if target.closable),
            over=tuple(live.order_id for live in over),
            outcomes=tuple(_outcome(live) for live in over),
            working=tuple(_working(live) for live in self._placed.values() if not live.status.terminal),
            exits=self._exits,
        )
        self._placed = {own: live for own, live in self._placed.items() if not live.status.terminal}
        return snapshot

    def _is_asked(self, live: Live, requests: tuple[FlattenRequest, ...]) -> bool:
        """Whether it is an open order that is to be cancelled."""
        is_within = any(each.covers(live.symbol, live.strategy) for each in requests)
        return is_within and live.order_id not in self._placed


def _outcome(live: Live) -> OrderOutcome:
    own, filled, words = live.order_id, live.filled_quantity, live.reasons[-1] if live.reasons else ""
    return OrderOutcome(order_id=own, summary="", status=live.status, filled_quantity=filled, words=words)


def _working(live: Live) -> WorkingExit:
    return WorkingExit(
        order_id=live.order_id,
        summary=cast(Terms, live).summary(),
        status=live.status,
        side=live.side,
        order_type=live.order_type,
        price=live.price,
        remaining=live.quantity - live.filled_quantity,
    )


def _open(live: Live) -> OpenOrder:
    return OpenOrder(
        order_id=live.order_id,
        summary="",
        status=live.status,
        position=position_name(live.symbol, live.product),
        followed=True,
    )
