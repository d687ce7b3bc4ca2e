"""What is asked and judged of a plan of several lines before anything of it is sent, and how one of them is closed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random, SystemRandom
from typing import Protocol, runtime_checkable

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BookUnreadable, LoginNeeded
from durable_orders.trading.flatten.lines import closing_of_line, line_of, terms_of_line
from durable_orders.trading.guardian import together
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import halt_reason
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import last_offer
from durable_orders.trading.ledger.plan_claims import closed_of_line
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.surroundings import surroundings
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Mode, Order, PlanOrderIntent, Product, Side, Terms
from durable_orders.trading.orders.verdict import Refusal
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.line import QUOTED, LineTerms
from durable_orders.trading.plans.news import LineClosing
from durable_orders.trading.plans.pieces import LinesState
from durable_orders.trading.plans.schedule import drawn_by


@runtime_checkable
class BasketMargins(Protocol):
    """A broker that says what orders bind together, and what there is for them."""

    def basket_margin(self, orders: Sequence[Terms]) -> Decimal: ...
    def margins(self) -> Funds | None: ...


COMMODITIES = ("MCX", "NCO")


def day_of(at: datetime | None) -> date:
    """Whose freeze quantities count; `at` is the market's time, of a plan that goes by that."""
    return datetime.now(UTC).date() if at is None else at.astimezone(IST).date()


def tick_of_now(database: Database, account: str, symbol: str, at: datetime | None) -> Tick | None:
    """The last tick, if it is one of now: as it was received, or by the market's time where that is given."""
    with database.read() as connection:
        offer = last_offer(connection, account, symbol)
    if offer is None:
        return None
    tick, received_at = offer[0].tick, offer[1]
    age = datetime.now(UTC) - received_at if at is None else at - tick.at
    return tick if age <= QUOTED else None


class InLedger:
    """What is known when a plan is judged. A `together.Known`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        guardian: Guardian,
        instruments: Instruments,
        market: datetime | None,
    ) -> None:
        """`market` is its time, where the plan goes by that."""
        self._settings = settings
        self._database = database
        self._guardian = guardian
        self._instruments = instruments
        self._market = market
        self._begun = datetime.now(UTC)
        self.now = market or self._begun

    def instrument(self, symbol: str) -> Instrument | None:
        return self._instruments.get(symbol)

    def terms_of(self, symbol: str, side: Side, quantity: int) -> LineTerms:
        tick = tick_of_now(self._database, self._settings.account, symbol, self._market)
        limits = self._settings.guardian
        return terms_of_line(symbol, side, quantity, self.instrument(symbol), tick, limits, day_of(self._market))

    def judge_together(self, orders: Sequence[PlanOrderIntent]) -> list[tuple[Refusal, ...]]:
        return self._guardian.judge_together([Order.from_intent(intent, datetime.now(UTC)) for intent in orders])

    def market_ahead(self, order: PlanOrderIntent) -> timedelta | None:
        if self._market is not None or order.mode is not Mode.PAPER:
            return timedelta(0)
        with self._database.read() as connection:
            market_at = surroundings(connection, Order.from_intent(order, self._begun), self._begun).market_at
        return None if market_at is None else market_at - self._begun


class Lines:
    """One account's."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        guardian: Guardian,
        instruments: Instruments,
        sessions: SessionSource,
        margins: BasketMargins | None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._guardian = guardian
        self._instruments = instruments
        self._sessions = sessions
        self._margins = margins

    def judge(self, state: LinesState, market: datetime | None) -> Iterator[str]:
        """Everything against a plan as a whole, each as a field and a rule, and what is known of each of its lines.
        `market` is the market's time, where the plan goes by that."""
        known = InLedger(self._settings, self._database, self._guardian, self._instruments, market)
        drawn: Random = SystemRandom() if market is None else drawn_by(state.intent)
        refused = False
        for problem in together.problems(state, known, self._settings.guardian, self._sessions, drawn):
            refused = True
            yield problem
        if not refused and isinstance(state.intent, BasketIntent):
            yield from self._margin_problems(state.intent)

    def _margin_problems(self, basket: BasketIntent) -> Iterator[str]:
        """What the broker says that all the legs bind together, beside what it has free."""
        if self._margins is None or any(leg.symbol.startswith(COMMODITIES) for leg in basket.legs):
            return  # Kite keeps the funds for commodities apart
        try:
            free = self._margins.margins()
            if free is None:
                return
            needed = self._margins.basket_margin([leg.terms() for leg in basket.legs])
        except (BookUnreadable, LoginNeeded) as error:
            yield f"margin: what the basket binds cannot be asked now: {error}"
            return
        if needed > free.available:
            yield f"margin: the basket needs {needed:.2f} rupees, and {free.available:.2f} are available"

    def close(
        self,
        state: LinesState,
        key: tuple[str, Product],
        quantity: int,
        number: int,
        broker: int,
        at: datetime | None = None,
    ) -> LineClosing:
        """`broker` is what it has that can be closed, `quantity` what the plan holds; both signed. `at` is the market's
        time, where the plan goes by that."""
        line = line_of(state, *key, quantity)
        with self._database.read() as connection:
            held = {(each.symbol, each.product): each.quantity for each in positions_of(connection, line.account)}
            ours = held.get(key, 0)
            gone = closed_of_line(connection, line, abs(quantity), ours, state.created_at)
            halted = halt_reason(connection, line.account)
        left, limits = abs(quantity) - gone, self._settings.guardian
        if halted is not None:
            return LineClosing(left=left, waits=f"the account is halted: {halted}")
        instrument = self._instruments.get(line.symbol)
        return closing_of_line(state, line, left, number, (ours, broker), limits, instrument, day_of(at))
