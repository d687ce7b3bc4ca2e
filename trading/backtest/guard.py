"""The guardian in memory: its checks are the catalogue's; what they look at is read from this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_orders.trading.backtest.exchange import Exchange
from durable_orders.trading.backtest.holdings import Holdings, reserved
from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.backtest.tallies import DayResults, Tallies
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.exchange.orders import Traded
from durable_orders.trading.guardian import worst_case
from durable_orders.trading.guardian.breakers import day_trips, end_of_day
from durable_orders.trading.guardian.catalogue import day_limits
from durable_orders.trading.guardian.changing import NOT_OPEN, NOTHING_RESERVED, changed_terms
from durable_orders.trading.guardian.check_context import CheckContext, Figures, Read
from durable_orders.trading.guardian.judging import Plan, Plans
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.exposure import Pending, own_of
from durable_orders.trading.ledger.funds import Margin, Recent
from durable_orders.trading.ledger.reservations import Reservation, own_price
from durable_orders.trading.ledger.trips import Trip
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.offsets import Offset, offset
from durable_orders.trading.orders.order import Amendment, OrderType, PlanOrderIntent, Product, is_closing
from durable_orders.trading.orders.verdict import Refusal
from durable_orders.trading.plans.plan import PlanIntent

NOTHING_READ = Read()
NO_PRICE = Decimal(0)
REDUCING, ACTIVE = AccountState.REDUCING, AccountState.ACTIVE
MARKET, SL_M = OrderType.MARKET, OrderType.SL_M
RESULTS = Figures.DAY | Figures.STREAK
HELD = Figures.SYMBOL | Figures.ACCOUNT | Figures.STRATEGY


@dataclass(frozen=True, slots=True)
class Today:
    """The day's result at a moment."""

    results: DayResults
    now: datetime

    def realized_today(self) -> Decimal:
        return self.results.realized(self.now)

    def losses_in_a_row(self) -> int:
        return self.results.losses_in_a_row(self.now)


class Guard:
    """Checks and reserves, as `Guardian` does; keeps what the account holds."""

    def __init__(
        self,
        settings: Settings,
        instruments: Instruments,
        sessions: SessionSource,
        exchange: Exchange,
        strategies: set[str],
        told: Callable[[Trip], object],
    ) -> None:
        """`strategies` are those whose orders may come. `told` hears of every breaker that trips. Raises
        `InvalidSettings` for a rule that cannot be had."""
        self._plans = Plans(settings, instruments)
        self._instruments = instruments
        self._exchange = exchange
        self._sessions = sessions
        self._market_deadline = timedelta(seconds=settings.placing.market_deadline)
        self._limits = day_limits(settings)
        self._response = settings.guardian.on_trip
        self._tripped: set[str] = set()
        self._told = told
        needs = [self._plans.of_new(name).needs for name in (*strategies, *settings.guardian.strategies, "")]
        self._counts_open = bool(self._limits) or any(need.figures & HELD for need in needs)
        """Whether any check asks what open orders may still make of a position."""
        self._counts_results = bool(self._limits) or any(need.figures & RESULTS for need in needs)
        """Whether any of them asks how the day went."""
        self._tallies = Tallies(frozenset().union(*(need.counts for need in needs)))
        self._results = DayResults()
        self._stands: dict[str, Reservation] = {}
        self._of_strategy: dict[str, tuple[Holdings, ...]] = {}
        self._account = settings.account
        self._reads_margin = exchange.funds() is not None and any(need.figures & Figures.MARGIN for need in needs)
        self._on_the_way: dict[str, Live] = {}
        """Approved, and not at the exchange when it was last looked."""
        self._reducing: tuple[str, datetime] | None = None
        self._day_over: dict[str, tuple[str, datetime]] = {}
        """Of strategies whose day a day lock has ended: why, and until when."""
        self.holdings = Holdings(settings.account, exchange.last_price)

    def of_strategy(self, name: str) -> Holdings:
        """What the strategy's own orders have come to."""
        found = self._of_strategy.get(name)
        return Holdings(self._account, self._exchange.last_price) if found is None else found[-1]

    def offset(self, name: str, symbol: str, product: Product) -> Offset:
        """What others have closed of what the strategy holds."""
        held = {other: books[-1].position(symbol, product).quantity for other, books in self._of_strategy.items()}
        return offset(held, name)

    def _books(self, name: str) -> tuple[Holdings, ...]:
        """Where an order of that strategy counts: in the account, and in the strategy. As long as there is one
        strategy, what it holds is what the account holds, and counted once."""
        found = self._of_strategy.get(name)
        if found is None:
            for other, books in self._of_strategy.items():
                if len(books) == 1:
                    self._of_strategy[other] = (self.holdings, self.holdings.copy())
            alone = (self.holdings,)
            own = (self.holdings, Holdings(self._account, self._exchange.last_price))
            found = self._of_strategy[name] = own if self._of_strategy else alone
        return found

    def admit(self, live: Live, at: datetime, deadline: datetime) -> tuple[Refusal, ...]:
        """All the reasons against a new order; with none, what it needs is reserved."""
        plan = self._plans.of_new(live.strategy)
        situation = self._situation(live, at, deadline, plan)
        terms: Any = live  # reads like `Terms`
        refusals = plan.judge(terms, situation)
        if not refusals:
            self._reserve(live, situation.price or NO_PRICE, at)
        return refusals

    def _reserve(self, live: Live, price: Decimal, at: datetime) -> None:
        stands = self._stands[live.key] = reserved(live.quantity, price, price * live.quantity)
        self._tallies.approved(live, at)
        if self._reads_margin:
            self._on_the_way[live.key] = live
        for holdings in self._books(live.strategy) if self._counts_open else ():
            holdings.reserve(live, stands)

    def judge_together(self, orders: Sequence[PlanOrderIntent], at: datetime) -> list[tuple[Refusal, ...]]:
        """As `Guardian.judge_together`."""
        found, judged = list[tuple[Refusal, ...]](), list[Live]()
        for intent in orders:
            name, plan = intent.client_order_id, self._plans.of_new(intent.strategy)
            live = Live(intent, name, name, at, self._exchange.last_price(intent.symbol))
            situation = self._situation(live, at, self.deadline(live), plan)
            found.append(plan.judge(intent, situation))
            self._reserve(live, situation.price or NO_PRICE, at)
            judged.append(live)
        for live in judged:
            stands = self._stands.pop(live.key)
            self._tallies.undone(live)
            self._on_the_way.pop(live.key, None)
            for holdings in self._books(live.strategy) if self._counts_open else ():
                holdings.release(live, stands)
        return found

    def admit_change(self, live: Live, change: Amendment, at: datetime) -> tuple[Refusal, ...]:
        """As `Guardian.check_amendment`: all the reasons against a change; with none, what it needs is reserved."""
        order, stands = live.order(), self._stands.get(live.key)
        terms = changed_terms(order, change)
        if isinstance(terms, Refusal):
            return (terms,)
        if stands is None:
            return (Refusal(code=NOT_OPEN, message=NOTHING_RESERVED),)
        last = self._exchange.last_price(live.symbol)
        needed = stands.with_change(terms.quantity, own_price(terms) or last or stands.price)
        plan = self._plans.of_change(order, terms, raises=needed != stands)
        for holdings in self._books(live.strategy) if self._counts_open else ():
            holdings.release(live, stands)
        situation = self._situation(live, at, self.deadline(live), plan)
        situation = situation._replace(
            asked=needed.pending(live.symbol),
            price=own_price(terms) or situation.last_price,
            changes=stands.changes,
        )
        refusals = plan.judge(terms, situation)
        kept = stands if refusals else needed.counted(1)
        self._stands[live.key] = kept
        for holdings in self._books(live.strategy) if self._counts_open else ():
            holdings.reserve(live, kept)
        return refusals

    def judge_plan(self, intent: PlanIntent, at: datetime) -> tuple[str, ...]:
        """As `Guardian.judge_plan`."""
        asked_for, checks = worst_case.first_order(intent), self._plans.of_new(intent.strategy)
        name, last = asked_for.client_order_id, self._exchange.last(intent.symbol)
        live = Live(asked_for, name, name, at, last.price if last is not None else None)
        situation = self._situation(live, at, self.deadline(live), checks)
        tick = last.offer.tick if last is not None else None
        realized = self._results.realized(at)
        return worst_case.problems(intent, asked_for, checks, situation, tick, self._sessions, self._limits, realized)

    def judge_exit_time(self, intent: PlanIntent, at: datetime) -> tuple[str, ...]:
        """As `Guardian.judge_exit_time`."""
        return tuple(worst_case.time_problems(intent, self._instruments.get(intent.symbol), self._sessions, at))

    def state(self, at: datetime) -> AccountState:
        """How far the account may trade."""
        is_reducing = self._reducing is not None and at < self._reducing[1]
        return AccountState.REDUCING if is_reducing else AccountState.ACTIVE

    def deadline(self, live: Live) -> datetime:
        """30 s by default for what fires at the market, the end of the session for the rest, from its creation."""
        if live.intent.place_by is not None:
            return live.intent.place_by
        if live.order_type in (MARKET, SL_M):
            return live.created_at + self._market_deadline
        return self._sessions.of(live.symbol).deadline(live.created_at)

    def booked(self, live: Live, fills: tuple[Traded, ...], at: datetime) -> None:
        """New trades of an order: they become position, and what is reserved for it gets smaller."""
        account, *others = self._books(live.strategy)
        for fill in fills:
            earned = account.book(live, fill)
            for own in others:
                own.book(live, fill)
            if self._counts_results:
                self._results.add(live.key, earned, fill.at)
        if not live.status.terminal and live.key in self._stands:
            self._follow(live, sum(fill.quantity for fill in fills))
        if self._limits:
            self._trip(at)

    def ended(self, live: Live) -> None:
        stands = self._stands.pop(live.key, None)
        if stands is not None:
            self._tallies.ended(live)
            for holdings in self._books(live.strategy) if self._counts_open else ():
                holdings.release(live, stands)

    def _follow(self, live: Live, traded: int) -> None:
        before = self._stands[live.key]
        filled = before.filled + traded
        price = live.price or live.trigger_price or before.price
        asked = Reservation(before.quantity, price, before.value, filled, changes=before.changes)
        after = asked.of_terms(live.quantity, price)
        self._stands[live.key] = after
        for holdings in self._books(live.strategy) if self._counts_open else ():
            holdings.release(live, before)
            holdings.reserve(live, after)

    def _trip(self, at: datetime) -> None:
        """A limit on the day's result leaves the account REDUCING until midnight, IST."""
        for trip in day_trips(self._limits, Today(self._results, at), self._account, at, self._response):
            self.tripped(trip)

    def tripped(self, trip: Trip) -> None:
        """As `breakers.tripping`, once."""
        if trip.key in self._tripped:
            return
        self._tripped.add(trip.key)
        until = trip.message, end_of_day(trip.at)
        if trip.strategy is None:
            self._reducing = until
        else:
            self._day_over[trip.strategy] = until
        self._told(trip)

    def _situation(self, live: Live, at: datetime, deadline: datetime, plan: Plan) -> CheckContext:
        order: Any = live  # has everything that can be read of one
        symbol, quantity = live.symbol, live.quantity
        instrument, last = self._instruments.get(symbol), self._exchange.last(symbol)
        last_price = last.price if last is not None else None
        price = live.price or live.trigger_price or last_price
        value = (price or NO_PRICE) * quantity
        reducing = self._reducing is not None and at < self._reducing[1]
        return CheckContext(
            order,
            at,
            at,
            deadline,
            instrument,
            None if instrument is not None else self._instruments.nearest(symbol),
            last_price,
            last.at if last is not None else None,
            REDUCING if reducing else ACTIVE,
            self._reducing[0] if reducing and self._reducing else "",
            (),
            Pending.quoted(symbol, quantity, value, price or NO_PRICE),
            price,
            self._read(live, at, plan, last_price, reducing=reducing),
            sent=self._exchange.sent,
        )

    def _read(self, live: Live, at: datetime, plan: Plan, last: Decimal | None, *, reducing: bool) -> Read:
        """An account that is REDUCING needs the position whatever the checks are, as does an order that only closes."""
        needs_position = reducing or is_closing(live.client_order_id)
        if not (plan.needs.is_anything or needs_position):
            return NOTHING_READ
        figures, counts = plan.needs.figures, plan.needs.counts
        everything = in_symbol = own = of_strategy = None
        if figures & Figures.ACCOUNT:
            everything = self.holdings.held()
            in_symbol = [held for held in everything if held.symbol == live.symbol]
        elif figures & Figures.SYMBOL or needs_position:
            in_symbol = self.holdings.held_in_symbol(live.symbol)
        if in_symbol is not None:
            own = own_of(in_symbol, live.symbol, live.product, last)
        if figures & Figures.STRATEGY:
            of_strategy = self.of_strategy(live.strategy).held()
        day_over = self._why_over(live.strategy, at) if figures & Figures.LOCK else ""
        return Read(
            held=own,
            held_in_symbol=in_symbol,
            held_by_account=everything,
            held_by_strategy=of_strategy,
            realized_today=self._results.realized(at) if figures & Figures.DAY else None,
            losses_in_a_row=self._results.losses_in_a_row(at) if figures & Figures.STREAK else None,
            margin=self._margin(at) if figures & Figures.MARGIN else None,
            counts=self._tallies.counts(live, counts, at),
            day_over=day_over,
            offset=self.offset(live.strategy, live.symbol, live.product).quantity if day_over else 0,
        )

    def _why_over(self, strategy: str, at: datetime) -> str:
        words, until = self._day_over.get(strategy, ("", at))
        return words if at < until else ""

    def _margin(self, at: datetime) -> Margin:
        """The exchange's own figure of this moment, which lacks only what is still on its way there."""
        funds = self._exchange.funds()
        if funds is None:
            return Margin(at)
        there = [key for key, live in self._on_the_way.items() if live.working is not None or live.status.terminal]
        for key in there:
            del self._on_the_way[key]
        recent = (
            Recent(live.symbol, live.product, live.side, live.quantity, self._stands[key].value)
            for key, live in self._on_the_way.items()
        )
        return Margin(at, funds.available, tuple(recent))
