"""An account without a server: orders through the guardian to the paper exchange and to their end, one at a time.

What a workflow, two workers and a database do for an order that must survive anything is done here by one object, in
the same order: the intent is checked and reserved, sent, followed by what the book says, and recorded. The rules are
those of the durable path, called where it calls them (`lifecycle`, the guardian's checks, the paper exchange).
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any, cast

from trading import lifecycle
from trading.adoption import Stranger, adopted
from trading.backtest.exchange import Exchange
from trading.backtest.getting_out import GettingOut
from trading.backtest.guard import Guard
from trading.backtest.orders import Ended, Live
from trading.brokers.fill_models import Request, latency
from trading.brokers.paper_matching import Matcher
from trading.brokers.paper_orders import Progress
from trading.brokers.rms import SQUARE_OFF, Rms
from trading.errors import DuplicateOrder, OrderNotFound
from trading.guardian.hours import listing_of
from trading.ledger.accounts import AccountState
from trading.ledger.positions import Position
from trading.market.calendar import IST, Session
from trading.market.instruments import Instruments
from trading.market.ticks import Tick
from trading.order import Account, BrokerOrderId, Mode, Order, OrderIntent, order_id
from trading.outcome import Refused
from trading.settings import Settings
from trading.unwinding import Closing, closing

Told = Callable[[Live], None]


class Core:
    """One account: what it has asked for, and what became of it. Single-threaded; time comes with the ticks."""

    def __init__(
        self, settings: Settings, instruments: Instruments, now: datetime, strategies: set[str], told: Told
    ) -> None:
        """`told` hears of every order that stands differently, once it is recorded. It must not call back.

        Raises `InvalidSettings` for a rule that cannot be had.
        """
        models = settings.execution.paper
        listing = listing_of(settings.market.sessions, instruments)
        rms = Rms(Account(settings.account), models, listing) if models.is_minded else None
        self.exchange = Exchange(Matcher(models, instruments.tick_size), rms)
        self.getting_out = GettingOut(self, settings.guardian, self._closing)
        self.guard = Guard(settings, instruments, self.exchange, strategies, self.getting_out.trip)
        self._instruments = instruments
        self._limits = settings.guardian
        self.now = now.astimezone(IST)
        self._is_over = False
        self._account = Account(settings.account)
        self._told = told
        self._live: dict[str, Live] = {}
        self._ended: dict[str, Ended] = {}
        self._by_broker_id: dict[BrokerOrderId, Live] = {}
        self._travelling: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._numbers = count()
        self._place_latency = timedelta(seconds=latency(Request.PLACE, models))
        self._cancel_latency = timedelta(seconds=latency(Request.CANCEL, models))

    def ask(self, intent: OrderIntent) -> Live | None:
        """Enter an order, PENDING; `None` if it exists already. Raises `DuplicateOrder` for other content."""
        key = self._key(intent)
        known = self._live.get(key) or self._ended.get(key)
        if known is None:
            live = self._live[key] = Live(intent, key, self.now, self.exchange.last_price(intent.symbol))
            return live
        if not _same(known, intent):
            message = f"{intent.client_order_id} is the id of another order: {known.order().summary()}"
            raise DuplicateOrder(message)
        return None

    def submit(self, live: Live) -> None:
        """Check it, reserve what it needs and send it; it is at the exchange once it has travelled there."""
        deadline = self.guard.deadline(live)
        refusals = self.guard.admit(live, self.now, deadline)
        if refusals:
            self._apply(live, lifecycle.Refused(tuple(str(refusal) for refusal in refusals)), self.now)
        elif live.cancel_requested:
            self._apply(live, lifecycle.Withdrawn("cancelled before it was sent"), self.now)
        elif self.now >= deadline:
            self._apply(live, lifecycle.Refused((f"TOO_LATE: not sent before {deadline.isoformat()}",)), self.now)
        elif self._place_latency:
            self._travel(self._place_latency, lambda at: self._place(live, at))
        else:
            self._place(live, self.now)
        self._get_out()

    def refuse(self, live: Live, reason: str) -> None:
        """End an order that somebody else refuses, before it is submitted."""
        self._apply(live, lifecycle.Refused((reason,)), self.now)

    def cancel(self, client_order_id: str, reason: str) -> None:
        """Ask for a cancel; of an order that has ended it changes nothing. Raises `OrderNotFound`."""
        live = self._live.get(client_order_id)
        if live is None:
            if client_order_id not in self._ended:
                raise OrderNotFound(f"no order {client_order_id}")
            return
        self.withdraw(live, reason)

    def withdraw(self, live: Live, reason: str) -> None:
        """The same of an order at hand."""
        if live.cancel_requested:
            return
        self._apply(live, lifecycle.CancelRequested(f"cancel requested: {reason}"), self.now)
        if live.working is not None:
            self._travel(self._cancel_latency, lambda at: self._cancel(live, at))
        self._get_out()

    def send(self, intent: OrderIntent) -> Live:
        """Ask for an order that is new, and submit it."""
        live = self.ask(intent)
        if live is None:
            raise DuplicateOrder(f"{intent.client_order_id} was asked for already")
        self.submit(live)
        return live

    def state(self) -> AccountState:
        return self.guard.state(self.now)

    def positions(self) -> list[Position]:
        """Of the account."""
        return list(self.guard.holdings.positions())

    def on_tick(self, tick: Tick, session: Session) -> None:
        """What travelled arrives first; then the orders that rest meet the tick."""
        self._arrive(tick.at)
        self.now = tick.at
        self._report_all(self.exchange.show(tick, session))
        self._get_out()

    def pass_time(self, until: datetime) -> None:
        """What travels and gets there by that moment arrives, without a tick."""
        self._arrive(until + timedelta.resolution)
        self.now = max(self.now, until.astimezone(IST))

    def close(self) -> None:
        """The end of the last session: what works expires, and what still travels arrives at a closed market."""
        self._is_over = True
        session = self.exchange.session
        if session is not None:
            self._arrive(session.closes)
            self.now = max(self.now, session.closes)
        self._report_all(self.exchange.close(self.now))
        self._arrive(datetime.max.replace(tzinfo=IST))

    def live(self) -> Iterator[Live]:
        """The orders that have not ended, oldest first."""
        return iter(self._live.values())

    def ended(self) -> Iterator[Ended]:
        """Those that have, in the order of their ends."""
        return iter(self._ended.values())

    def order(self, client_order_id: str) -> Order:
        """Raises `OrderNotFound`."""
        return self.find(client_order_id).order()

    def find(self, client_order_id: str) -> Live | Ended:
        """Raises `OrderNotFound`."""
        found = self._live.get(client_order_id) or self._ended.get(client_order_id)
        if found is None:
            raise OrderNotFound(f"no order {client_order_id}")
        return found

    def _key(self, intent: OrderIntent) -> str:
        own = intent.account == self._account
        return intent.client_order_id if own else order_id(intent.account, intent.client_order_id)

    def _travel(self, takes: timedelta, arrives: Callable[[datetime], None]) -> None:
        if takes:
            heappush(self._travelling, (self.now + takes, next(self._numbers), arrives))
        else:
            arrives(self.now)

    def _arrive(self, until: datetime) -> None:
        """What reaches the exchange before that moment."""
        while self._travelling and self._travelling[0][0] < until:
            at, _, arrives = heappop(self._travelling)
            self.now = at
            arrives(at)
            self._get_out()

    def _get_out(self) -> None:
        """What a breaker that tripped asks for; not at a market that has closed for good."""
        if self.getting_out.request is not None and not self._is_over:
            self.getting_out.go_on()

    def _closing(self, held: Position) -> Closing:
        instrument, last = self._instruments.get(held.symbol), self.exchange.last_price(held.symbol)
        return closing(held, self._limits, instrument, last)

    def _place(self, live: Live, at: datetime) -> None:
        """The exchange's answer is its receipt and what the book says at once, as `Accepted` with a report is."""
        answer = self.exchange.place(live, at)
        if isinstance(answer, Refused):
            self._apply(live, lifecycle.Refused((f"refused by the broker: {answer.evidence}",)), at)
            return
        order = live.working = answer.order
        if order.working:
            self._by_broker_id[order.broker_order_id] = live
        self._report(live, answer)
        if live.cancel_requested and not live.status.terminal:
            self._travel(self._cancel_latency, lambda then: self._cancel(live, then))

    def _cancel(self, live: Live, at: datetime) -> None:
        if live.status.terminal or live.working is None:
            return
        answer = self.exchange.cancel(live.working, at)
        if isinstance(answer, Refused):
            self._apply(live, lifecycle.Noted(f"the cancel was not taken: {answer.evidence}"), at)
        else:
            self._report(live, answer)

    def _report_all(self, changed: Iterable[Progress]) -> None:
        """What the exchange did by itself. A step of an order that an earlier one of the same moment has ended is part
        of what was told with that; an order without a tag is the broker's own."""
        for progress in changed:
            order = progress.order
            live = self._by_broker_id.get(order.broker_order_id)
            if live is None and order.tag is None:
                live = self._adopt(progress)
            if live is not None:
                self._report(live, progress)

    def _report(self, live: Live, progress: Progress) -> None:
        """What the book says of an order."""
        before, as_order = live.fills, cast(Order, live)
        told = lifecycle.reported(as_order, progress.order, tuple(progress.fills))
        self._change(live, lifecycle.news(as_order, told), progress.at)
        if live.fills is not before:
            self.guard.booked(live, live.fills[len(before) :], progress.at)
        self._settle(live)

    def _adopt(self, progress: Progress) -> Live:
        """An order of the broker's own: recorded and followed as the account's watch does with a stranger's."""
        row = progress.order.row
        order = adopted(row, Stranger.EXTERNAL, self._account, Mode.PAPER)
        content = {name: getattr(order, name) for name in OrderIntent.model_fields if name != "place_by"}
        intent = OrderIntent.model_construct(**content | {"reason": SQUARE_OFF})
        live = Live(intent, intent.client_order_id, progress.at, self.exchange.last_price(row.symbol))
        live.working = progress.order
        self._live[live.key] = self._by_broker_id[row.broker_order_id] = live
        return live

    def _apply(self, live: Live, event: lifecycle.Event, at: datetime) -> None:
        self._change(live, lifecycle.changes(cast(Order, live), event), at)
        self._settle(live)

    def _change(self, live: Live, changes: dict[str, Any], at: datetime) -> None:
        if changes:
            live.change(changes, at)

    def _settle(self, live: Live) -> None:
        """Record an order that has ended, and tell of it."""
        if live.status.terminal:
            self.guard.ended(live)
            del self._live[live.key]
            self._ended[live.key] = Ended(live)
            if live.broker_order_id is not None:
                self._by_broker_id.pop(live.broker_order_id, None)
        self._told(live)


def _same(known: Live | Ended, intent: OrderIntent) -> bool:
    """Whether an order was asked for with this content. Prices and quantity may have changed since: those count that
    it stands with, as nothing here amends an order."""
    fields = ("symbol", "side", "quantity", "order_type", "price", "trigger_price", "product", "validity", "strategy")
    reason = known.intent.reason if isinstance(known, Live) else known.reason
    return reason == intent.reason and all(getattr(known, field) == getattr(intent, field) for field in fields)
