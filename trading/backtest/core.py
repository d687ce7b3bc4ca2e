"""An account without a server: orders through the guardian to the paper exchange and to their end, one at a time.

What a workflow, two workers and a database do for an order that must survive anything is done here by one object, in
the same order: the intent is checked and reserved, sent, followed by what the book says, and recorded. The rules are
those of the durable path, called where it calls them (`lifecycle`, the guardian's checks, the paper exchange).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import Any

from durable_orders.trading.backtest.day_locks import NEVER, DayLocks
from durable_orders.trading.backtest.exchange import Exchange
from durable_orders.trading.backtest.flatten import FlattenDriver
from durable_orders.trading.backtest.guard import Guard
from durable_orders.trading.backtest.holdings import Holdings
from durable_orders.trading.backtest.orders import Ended, Live
from durable_orders.trading.backtest.plans import PlanDriver
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import DuplicateOrder, OrderNotFound
from durable_orders.trading.exchange.fill_models import Request, latency
from durable_orders.trading.exchange.matching import Matcher
from durable_orders.trading.exchange.orders import WORKING, Progress
from durable_orders.trading.exchange.rms import SQUARE_OFF, Rms
from durable_orders.trading.flatten.closing import Target, closing
from durable_orders.trading.flatten.quotes import quote_of
from durable_orders.trading.flatten.request import FlattenRequest, before_delivery
from durable_orders.trading.flatten.snapshot import Closing
from durable_orders.trading.guardian.catalogue import day_locks
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.hours import listing_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import ExchangeRules, delivery_of
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.actions import CANCEL, PLACE
from durable_orders.trading.orders.amending import not_done
from durable_orders.trading.orders.order import (
    CARRIED,
    Account,
    Amendment,
    BrokerOrderId,
    Mode,
    Order,
    OrderIntent,
    Product,
    Terms,
    order_id,
)
from durable_orders.trading.orders.outcome import Refused
from durable_orders.trading.orders.steps import Unsent, cancel_not_taken, next_step, refused
from durable_orders.trading.reconciliation.external_orders import ExternalKind, adopted

OnChange = Callable[[Live], None]
Answer = Callable[[str | None], object]
ENDED = "the order has ended"


def _unheard(_refusal: str | None) -> None:
    """Who asked does not mind the answer: it is with the order."""


class Core:
    """One account: what it has asked for, and what became of it. Single-threaded; time comes with the ticks."""

    def __init__(
        self, settings: Settings, instruments: Instruments, now: datetime, strategies: set[str], told: OnChange
    ) -> None:
        """`told` hears of every order that stands differently, once it is recorded. It must not call back.

        Raises `InvalidSettings` for a rule that cannot be had.
        """
        models = settings.execution.paper
        sessions = InstrumentSessions(settings.market, instruments)
        listing = listing_of(sessions, instruments, settings.guardian, settings.market)
        self._alone = Rms(Account(settings.account), models, listing)
        rms = Rms(Account(settings.account), models, listing) if models.has_rms else None
        self.exchange = Exchange(Matcher(models, instruments.tick_size), sessions, rms, listing.rules, listing.expiry)
        self.flatten = FlattenDriver(self, settings.guardian, settings.exits, self._closing)
        self.guard = Guard(settings, instruments, sessions, self.exchange, strategies, self.flatten.trip)
        locks = day_locks(settings)
        looks = self._held_by, self.guard.offset, self._last_tick, self.guard.tripped
        self.locks = DayLocks(settings.account, locks, *looks) if locks else None
        """Of days that are over by themselves."""
        self._instruments = instruments
        self._entered = count(1)
        self.limits = settings.guardian
        self.sessions = sessions
        self._rules = ExchangeRules(instruments.get, sessions, settings.guardian)
        self._stale = timedelta(seconds=models.stale_tick_seconds)
        self.now = now.astimezone(IST)
        self._is_over = False
        self._closes_deliveries = settings.guardian.closes_before_delivery
        self._asked_to_close: set[tuple[str, date]] = set()
        self._account = Account(settings.account)
        self._told = told
        self.plans: PlanDriver | None = None
        """Of the plans, once there is one."""
        self._live: dict[str, Live] = {}
        self._ended: dict[str, Ended] = {}
        self._by_broker_id: dict[BrokerOrderId, Live] = {}
        self._travelling: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._numbers = count()
        self._place_latency = timedelta(seconds=latency(Request.PLACE, models))
        self._modify_latency = timedelta(seconds=latency(Request.MODIFY, models))
        self._cancel_latency = timedelta(seconds=latency(Request.CANCEL, models))

    def ask(self, intent: OrderIntent, name: str | None = None) -> Live | None:
        """Enter an order, PENDING; `None` if it exists already. With a `name`, one that `is_free`, it differs from the
        intent in nothing but that client order id. Raises `DuplicateOrder` for other content."""
        name = intent.client_order_id if name is None else name
        key = name if intent.account == self._account else order_id(intent.account, name)
        known = self._live.get(key) or self._ended.get(key)
        if known is None:
            last = self.exchange.last_price(intent.symbol)
            live = self._live[key] = Live(intent, name, key, self.now, last, next(self._entered))
            return live
        if not _same(known, intent):
            raise DuplicateOrder(f"{name} is the id of another order: {known.order().summary()}")
        return None

    def submit(self, live: Live) -> None:
        """Check it, reserve what it needs and send it; it is at the exchange once it has travelled there."""
        deadline = self.guard.deadline(live)
        refusals = self.guard.admit(live, self.now, deadline)
        if refusals:
            self._apply(live, lifecycle.Refused(tuple(str(refusal) for refusal in refusals)), self.now)
        else:
            self._go_on(live, self.now, deadline)
        self._flatten()

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
            self._go_on(live, self.now)
        self._flatten()

    def amend(self, live: Live, change: Amendment, answered: Answer = _unheard) -> None:
        """Ask for a change of a working order, through the guardian; it is done when it has travelled there. What is
        refused is noted on the order. Of one that has ended it changes nothing. `answered` hears why it was not made,
        or `None` where it was."""
        if live.status.terminal:
            answered(ENDED)
            return
        if live.working is None or live.cancel_requested:
            words = "a cancel was asked for" if live.cancel_requested else "it is not at the exchange yet"
            self._refuse_change(live, change, words, self.now, answered)
        elif refusals := self.guard.admit_change(live, change, self.now):
            self._refuse_change(live, change, "; ".join(map(str, refusals)), self.now, answered)
        else:
            live.amended = True
            self._travel(self._modify_latency, lambda at: self._modify(live, change, at, answered))
        self._flatten()

    def change(self, client_order_id: str, change: Amendment, answered: Answer = _unheard) -> None:
        """The same of an order by its name. Raises `OrderNotFound`."""
        found = self.find(client_order_id)
        if isinstance(found, Live):
            self.amend(found, change, answered)
        else:
            answered(ENDED)

    def _refuse_change(self, live: Live, change: Amendment, words: str, at: datetime, answered: Answer) -> None:
        self._apply(live, _not_done(change, words), at)
        answered(words)

    def driver(self) -> PlanDriver:
        """Who sees to plans; from then on there is one."""
        if self.plans is None:
            self.plans = PlanDriver(self)
            others = self._told
            heard = self.plans.heard

            def told(live: Live) -> None:
                others(live)
                heard(live)

            self._told = told
        return self.plans

    def close_out(self, strategy: str, symbol: str | None, product: Product | None, reason: str) -> None:
        """Have a strategy's plans close what they hold, cancel its orders and close the rest, of one symbol or product
        or of all."""
        if self.plans is not None:
            self.plans.close_out(strategy, symbol, product, reason)
        self.flatten.ask(
            FlattenRequest(
                account=self._account,
                reason=reason,
                who=f"by strategy {strategy}",
                flatten=True,
                until_resumed=False,
                strategy=strategy,
                symbol=symbol,
                products=tuple(Product) if product is None else (product,),
            )
        )
        self._flatten()

    def send(self, intent: OrderIntent) -> Live:
        """Ask for an order that is new, and submit it."""
        live = self.ask(intent)
        if live is None:
            raise DuplicateOrder(f"{intent.client_order_id} was asked for already")
        self.submit(live)
        return live

    def _held_by(self, strategy: str | None) -> Holdings:
        return self.guard.holdings if strategy is None else self.guard.of_strategy(strategy)

    def _last_tick(self, symbol: str) -> Tick | None:
        last = self.exchange.last(symbol)
        return None if last is None else last.offer.tick

    def state(self) -> AccountState:
        return self.guard.state(self.now)

    def positions(self) -> list[Position]:
        """Of the account."""
        return list(self.guard.holdings.positions())

    def of_strategy(self, strategy: str) -> list[Position]:
        return list(self.guard.of_strategy(strategy).positions())

    def instruments(self) -> Instruments:
        return self._instruments

    @property
    def freeze(self) -> dict[str, int]:
        """The quantities of the settings."""
        return self.limits.freeze_quantity

    def margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        """Rupees that these orders, each at its price, would bind together and more than is bound now; of an account
        without funds, by themselves."""
        margin = self.exchange.margin(priced)
        return self._alone.margin(priced) if margin is None else margin

    def on_tick(self, tick: Tick, session: Session) -> None:
        """What travelled arrives first; then the orders that rest meet the tick."""
        if self._travelling:
            self._arrive(tick.at)
        if self.locks is not None:
            self.locks.turn(tick.at)
        self.now = tick.at
        if changed := self.exchange.show(tick, session):
            self._report_all(changed)
        if self._closes_deliveries:
            self._close_before_delivery(tick.symbol, session)
        if self.locks is not None:
            self.locks.look(tick.at)
        if self.flatten.is_needed:
            self._flatten()
        if self.plans is not None:
            self.plans.show(tick)

    @property
    def next_at(self) -> datetime:
        """The next moment at which time alone has a plan or a day lock do something."""
        of_plans = self.plans.next_at if self.plans is not None else NEVER
        return of_plans if self.locks is None else min(of_plans, self.locks.due)

    def pass_time(self, until: datetime) -> None:
        """What travels and gets there by that moment arrives, without a tick."""
        self._arrive(until + timedelta.resolution)
        self.now = max(self.now, until.astimezone(IST))
        if self.locks is not None:
            self.locks.look(self.now)
            self._flatten()

    def close(self) -> None:
        """The end of the last session: what works expires, and what still travels arrives at a closed market."""
        self._is_over = True
        if self.plans is not None:
            self.plans.end()
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
            self._flatten()
            if self.plans is not None:
                self.plans.go_on()

    def _flatten(self) -> None:
        """What a breaker that tripped asks for; not at a market that has closed for good."""
        if self.flatten.is_needed and not self._is_over:
            self.flatten.go_on()

    def _close_before_delivery(self, symbol: str, session: Session) -> None:
        """What is held of a contract on a share in its last days, by `guardian.physical_settlement: close`."""
        instrument, key = self._instruments.get(symbol), (symbol, session.date)
        if instrument is None or instrument.expiry is None or key in self._asked_to_close:
            return
        if not self._instruments.has_share(instrument.name):
            return  # it may be on an index that is new
        calendar = self.sessions.of(symbol)
        is_held = any(held.quantity for held in self.guard.holdings.held_in_symbol(symbol))
        if is_held and delivery_of(instrument, session.date, calendar) is not None:
            self._asked_to_close.add(key)
            self.flatten.ask(before_delivery(self._account, symbol, instrument.expiry))

    def _closing(self, target: Target) -> Closing:
        symbol, session = target.symbol, self.exchange.session
        instrument, last = self._instruments.get(symbol), self.exchange.last(symbol)
        calendar = self.sessions.of(symbol)
        own = calendar.session_on(session.date) if session is not None else None
        day = calendar.session_at_or_after(self.now).date if session is not None else None
        recent = last.price if last is not None and self.now - last.at <= self._stale else None
        open_at = self.now if own is not None and own.contains(self.now) else None
        quote = quote_of(target, self._rules, self.limits, instrument, recent, day, open_at)
        return closing(target, self.limits, instrument, last.price if last is not None else None, day, quote)

    def _go_on(self, live: Live, now: datetime, place_by: datetime | None = None) -> None:
        """Take the next step of an order that was admitted, if there is one."""
        step = next_step(live, place_by, now)
        if step is PLACE:
            if self._place_latency:
                self._travel(self._place_latency, lambda at: self._place(live, at))
            else:
                self._place(live, now)
        elif step is CANCEL:
            self._travel(self._cancel_latency, lambda at: self._cancel(live, at))
        elif isinstance(step, Unsent):
            self._apply(live, step, now)

    def _place(self, live: Live, at: datetime) -> None:
        """The exchange's answer is its receipt and what the book says at once, as `Accepted` with a report is."""
        answer = self.exchange.place(live, at)
        if isinstance(answer, Refused):
            self._apply(live, refused(answer.evidence), at)
            return
        order = live.working = answer.order
        if order.state is WORKING:
            self._by_broker_id[order.broker_order_id] = live
        self._report(live, answer)
        if live.cancel_requested:
            self._go_on(live, at)

    def _cancel(self, live: Live, at: datetime) -> None:
        if live.status.terminal or live.working is None:
            return
        answer = self.exchange.cancel(live.working, at)
        if isinstance(answer, Refused):
            self._apply(live, cancel_not_taken(answer.evidence), at)
        else:
            self._report(live, answer)

    def _modify(self, live: Live, change: Amendment, at: datetime, answered: Answer) -> None:
        if live.status.terminal or live.working is None:
            answered(ENDED)
            return
        answer = self.exchange.modify(live.working, change, at)
        if isinstance(answer, Refused):
            self._refuse_change(live, change, str(answer.evidence), at, answered)
            return
        self._report(live, answer)
        self.guard.booked(live, (), at)
        answered(None)

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
        as_order: Any = live  # reads like one
        before = live.fills
        told = lifecycle.reported(as_order, progress.order, tuple(progress.fills))
        if told:
            live.change(told, progress.at)
        if live.fills is not before:
            self.guard.booked(live, live.fills[len(before) :], progress.at)
        self._settle(live)

    def _adopt(self, progress: Progress) -> Live:
        """An order of the broker's own: recorded and followed as the account's watch does with a stranger's."""
        row = progress.order.row
        order = adopted(row, ExternalKind.EXTERNAL, self._account, Mode.PAPER)
        content = {name: getattr(order, name) for name in CARRIED}
        intent = OrderIntent.model_construct(**content | {"reason": row.message or SQUARE_OFF})
        name = order.client_order_id
        live = Live(intent, name, name, progress.at, self.exchange.last_price(row.symbol))
        live.working = progress.order
        self._live[live.key] = self._by_broker_id[row.broker_order_id] = live
        return live

    def _apply(self, live: Live, event: lifecycle.Event, at: datetime) -> None:
        as_order: Any = live  # reads like one
        changes = lifecycle.changes(as_order, event)
        if changes:
            live.change(changes, at)
        self._settle(live)

    def _settle(self, live: Live) -> None:
        """Record an order that has ended, and tell of it."""
        if live.status.terminal:
            self.guard.ended(live)
            del self._live[live.key]
            self._ended[live.key] = Ended(live)
            if live.broker_order_id is not None:
                self._by_broker_id.pop(live.broker_order_id, None)
        self._told(live)


def _not_done(change: Amendment, words: str) -> lifecycle.Noted:
    return lifecycle.Noted(not_done(change, words))


def _same(known: Live | Ended, intent: OrderIntent) -> bool:
    """Whether an order was asked for with this content: its prices and its quantity may have changed since."""
    if isinstance(known, Live):
        return known.intent.fingerprint() == intent.fingerprint()
    if known.asked is not None:
        return known.asked.fingerprint() == intent.fingerprint()
    fields = ("symbol", "side", "quantity", "order_type", "price", "trigger_price", "product", "validity", "strategy")
    return known.reason == intent.reason and all(getattr(known, field) == getattr(intent, field) for field in fields)
