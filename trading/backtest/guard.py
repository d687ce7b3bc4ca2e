"""The guardian in memory: its checks are the catalogue's; what they look at is read from this process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from trading.backtest.exchange import Exchange
from trading.backtest.holdings import Holdings, reserved
from trading.backtest.orders import Live
from trading.backtest.tallies import DayResults, Tallies
from trading.guardian.breakers import day_trips, end_of_day
from trading.guardian.catalogue import day_limits
from trading.guardian.judging import Plan, Plans
from trading.guardian.situation import Figures, Read, Situation
from trading.guardian.verdict import Refusal
from trading.ledger.accounts import AccountState
from trading.ledger.exposure import Pending, own_of
from trading.ledger.funds import Margin, Recent
from trading.ledger.reservations import Reservation, own_price
from trading.ledger.trips import Trip
from trading.market.calendar import SessionCalendar, calendar_of
from trading.market.instruments import Instruments
from trading.order import Fill, Order, OrderType
from trading.settings import Settings

NOTHING_READ = Read()
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
        exchange: Exchange,
        strategies: set[str],
        told: Callable[[Trip], object],
    ) -> None:
        """`strategies` are those whose orders may come. `told` hears of every breaker that trips. Raises
        `InvalidSettings` for a rule that cannot be had."""
        self._plans = Plans(settings, instruments)
        self._instruments = instruments
        self._exchange = exchange
        self._calendar: SessionCalendar = calendar_of(settings.market.calendar)
        self._market_deadline = timedelta(seconds=settings.placing.market_deadline)
        self._limits = day_limits(settings)
        self._response = settings.guardian.on_trip
        self._tripped: set[str] = set()
        self._told = told
        needs = [self._plans.of_new(name).needs for name in (*strategies, *settings.guardian.strategies, "")]
        self._counts_open = bool(self._limits) or any(need.figures & HELD for need in needs)
        """Whether any check asks what open orders may still make of a position."""
        self._tallies = Tallies(frozenset().union(*(need.counts for need in needs)))
        self._results = DayResults()
        self._stands: dict[str, Reservation] = {}
        self._of_strategy: dict[str, Holdings] = {}
        self._account = settings.account
        self._reads_margin = exchange.funds() is not None and any(need.figures & Figures.MARGIN for need in needs)
        self._on_the_way: dict[str, Live] = {}
        """Approved, and not at the exchange when it was last looked."""
        self._reducing: tuple[str, datetime] | None = None
        self.holdings = Holdings(settings.account, exchange.last_price)

    def of_strategy(self, name: str) -> Holdings:
        """What the strategy's own orders have come to."""
        found = self._of_strategy.get(name)
        if found is None:
            found = self._of_strategy[name] = Holdings(self._account, self._exchange.last_price)
        return found

    def admit(self, live: Live, at: datetime) -> tuple[Refusal, ...]:
        """All the reasons against a new order; with none, what it needs is reserved."""
        last = self._exchange.last_price(live.symbol)
        own = own_price(live.intent)
        stands = reserved(live, own or last or Decimal(0))
        plan = self._plans.of_new(live.strategy)
        refusals = plan.judge(live.intent, self._situation(live, at, plan, stands, last, own or last))
        if not refusals:
            self._stands[live.order_id] = stands
            self._tallies.approved(live, at)
            if self._reads_margin:
                self._on_the_way[live.order_id] = live
            if self._counts_open:
                self.holdings.reserve(live, stands)
                self.of_strategy(live.strategy).reserve(live, stands)
        return refusals

    def state(self, at: datetime) -> AccountState:
        """How far the account may trade."""
        is_reducing = self._reducing is not None and at < self._reducing[1]
        return AccountState.REDUCING if is_reducing else AccountState.ACTIVE

    def deadline(self, live: Live) -> datetime:
        """30 s by default for what fires at the market, the end of the session for the rest, from its creation."""
        if live.intent.place_by is not None:
            return live.intent.place_by
        if live.order_type in (OrderType.MARKET, OrderType.SL_M):
            return live.created_at + self._market_deadline
        session = self._exchange.session
        if session is not None and session.closes > live.created_at:
            return session.closes
        return self._calendar.session_at_or_after(live.created_at).closes

    def booked(self, live: Live, fills: tuple[Fill, ...], at: datetime) -> None:
        """New trades of an order: they become position, and what is reserved for it gets smaller."""
        own = self.of_strategy(live.strategy)
        for fill in fills:
            earned = self.holdings.book(live, fill)
            own.book(live, fill)
            self._results.add(live.order_id, earned, fill.at)
        if not live.status.terminal and live.order_id in self._stands:
            self._follow(live, sum(fill.quantity for fill in fills))
        if self._limits:
            self._trip(at)

    def ended(self, live: Live) -> None:
        stands = self._stands.pop(live.order_id, None)
        if stands is not None:
            self._tallies.ended(live)
            if self._counts_open:
                self.holdings.release(live, stands)
                self.of_strategy(live.strategy).release(live, stands)

    def _follow(self, live: Live, traded: int) -> None:
        before = self._stands[live.order_id]
        filled = before.filled + traded
        price = live.price or live.trigger_price or before.price
        after = Reservation(before.quantity, price, before.value, filled).of_terms(live.quantity, price)
        self._stands[live.order_id] = after
        for holdings in (self.holdings, self.of_strategy(live.strategy)) if self._counts_open else ():
            holdings.release(live, before)
            holdings.reserve(live, after)

    def _trip(self, at: datetime) -> None:
        """A limit on the day's result leaves the account REDUCING until midnight, IST."""
        for trip in day_trips(self._limits, Today(self._results, at), self._account, at, self._response):
            if trip.key not in self._tripped:
                self._tripped.add(trip.key)
                self._reducing = (trip.message, end_of_day(at))
                self._told(trip)

    def _situation(
        self, live: Live, at: datetime, plan: Plan, stands: Reservation, last: Decimal | None, price: Decimal | None
    ) -> Situation:
        instrument = self._instruments.get(live.symbol)
        reducing = self._reducing is not None and at < self._reducing[1]
        asked = Pending.quoted(live.symbol, stands.quantity, live.quantity * stands.price, stands.price)
        return Situation(
            cast(Order, live),  # has everything that can be read of an order
            at,
            at,
            self.deadline(live),
            instrument,
            None if instrument else self._instruments.nearest(live.symbol),
            last,
            self._exchange.last_tick_at(live.symbol),
            AccountState.REDUCING if reducing else AccountState.ACTIVE,
            self._reducing[0] if reducing and self._reducing else "",
            (),
            asked,
            price,
            self._read(live, at, plan, last, reducing=reducing),
        )

    def _read(self, live: Live, at: datetime, plan: Plan, last: Decimal | None, *, reducing: bool) -> Read:
        """An account that is REDUCING needs the position, whatever the checks are."""
        figures, counts = plan.needs.figures, plan.needs.counts
        if not (figures or counts or reducing):
            return NOTHING_READ
        everything = in_symbol = own = of_strategy = None
        if figures & Figures.ACCOUNT:
            everything = self.holdings.held()
            in_symbol = [held for held in everything if held.symbol == live.symbol]
        elif figures & Figures.SYMBOL or reducing:
            in_symbol = self.holdings.held_in_symbol(live.symbol)
        if in_symbol is not None:
            own = own_of(in_symbol, live.symbol, live.product, last)
        if figures & Figures.STRATEGY:
            of_strategy = self.of_strategy(live.strategy).held()
        return Read(
            held=own,
            held_in_symbol=in_symbol,
            held_by_account=everything,
            held_by_strategy=of_strategy,
            realized_today=self._results.realized(at) if figures & Figures.DAY else None,
            losses_in_a_row=self._results.losses_in_a_row(at) if figures & Figures.STREAK else None,
            margin=self._margin(at) if figures & Figures.MARGIN else None,
            counts=self._tallies.counts(live, counts, at),
        )

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
