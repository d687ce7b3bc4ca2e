"""Whether the account may take risk at all: its state, what is unsettled, and the day's result."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, Protocol

from durable_orders.trading.guardian.check import Check, Failure, Measure, When
from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.deliverable import HOLDINGS_EVERY
from durable_orders.trading.ledger.exposure import own_of
from durable_orders.trading.orders.order import Mode, Side, Terms, is_closing

HALTED, REDUCING = AccountState.HALTED, AccountState.REDUCING


@dataclass(frozen=True, slots=True)
class RightAccount(Check):
    """The order must be meant for the account and the kind of money, paper or live, that this worker serves."""

    account: str
    mode: Mode
    code: ClassVar[str] = "WRONG_ACCOUNT"
    when: ClassVar[When] = When.ALWAYS

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        order = situation.order
        if order.account == self.account and order.mode is self.mode:
            return None
        meant, here = f"{order.account} ({order.mode})", f"{self.account} ({self.mode})"
        return Failure(f"the order is for {meant}, this worker serves {here}", here, meant)


class NotHalted(Check):
    """A halted account takes no orders."""

    code: ClassVar[str] = "HALTED"

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.state is not HALTED:
            return None
        return Failure(f"the account is halted: {situation.state_reason}", value=situation.state)


class OnlyReducing(Check):
    """An account that is REDUCING takes only orders that close what is held of the symbol and product, all open orders
    of that side considered."""

    code: ClassVar[str] = "REDUCING"

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.state is not REDUCING or situation.only_reduces():
            return None
        words = f"the account only takes orders that reduce a position: {situation.state_reason}"
        return Failure(words, value=situation.state)


class OnlyClosing(Check):
    """An order whose id begins with `flatten-` only closes what is held of the symbol and product; delivery below zero,
    which is a sale out of holdings, is not bought back."""

    code: ClassVar[str] = "CLOSE_ONLY"

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if not is_closing(situation.order.client_order_id):
            return None
        held, asked = situation.held(), situation.asked.quantity
        if held.is_closed_by(terms.side, asked):
            return None
        has = held.to_deliver if held.product.is_delivery else held.quantity
        words = f"an order that closes must not open: {has} held, {terms.side} {asked} asked for"
        return Failure(words, has, asked)


class NothingUnsettled(Check):
    """Unknown exposure takes no new risk: no order of the account may be unknown while the book cannot be read."""

    code: ClassVar[str] = "UNKNOWN_OUTSTANDING"

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if not situation.unsettled:
            return None
        names = ", ".join(situation.unsettled)
        return Failure(f"no new risk while the outcome of {names} is unknown", value=names)


class PositionsExplained(Check):
    """No new risk in a symbol of which the broker has something else than the ledger, until that is explained: by the
    book of the day, by an expiry, or by `settle-position`. Orders pass that reduce what both of them have."""

    code: ClassVar[str] = "POSITION_UNEXPLAINED"

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        found = situation.unexplained
        if not found:
            return None
        own = situation.held()
        theirs = [replace(own, quantity=each.theirs) for each in found if each.product == terms.product]
        if all(held.only_reduced_by(terms.side, situation.asked.quantity) for held in (own, *theirs)):
            return None
        words = "; ".join(str(each) for each in found)
        return Failure(f"no new risk in {terms.symbol} until it is explained (`settle-position`): {words}", value=words)


class WithinHoldings(Check):
    """A sale for delivery is of shares that may be sold: those of the broker's holdings that are not pledged, T1
    included, and what was bought today, less what is sold and offered. Live, and once the holdings of today were
    read."""

    code: ClassVar[str] = "NOT_DELIVERABLE"

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        held = situation.read.held
        if held is None or held.deliverable is None or terms.side is Side.BUY or situation.only_reduces():
            return None
        offered, asked = held.selling.quantity, situation.asked.quantity
        most = max(held.to_deliver - offered, 0)
        words = (
            f"at most {most} of {terms.symbol} may be sold as {terms.product}, {asked} asked for: "
            f"{held.to_deliver} can be delivered, {offered} of them are offered already; "
            f"the broker's holdings are read every {HOLDINGS_EVERY.total_seconds():.0f} s"
        )
        return Failure(words, most, asked)


class DayResult(Protocol):
    """How the account's day has gone so far."""

    def realized_today(self) -> Decimal:
        """Rupees; a loss is negative."""

    def losses_in_a_row(self) -> int: ...


class DayLimit(Check):
    """A limit on the day's result. It trips when a fill takes the account beyond it (`guardian.on_trip`), and refuses
    orders for as long as it stands there; those that only reduce a position pass."""

    __slots__ = ()
    in_rupees: ClassVar[bool] = True
    """Whether what a contract of unknown size loses cannot be counted."""

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        failure = self.exceeded(situation)
        if failure is None and self.in_rupees and not situation.is_sized:
            failure = Failure(f"what {terms.symbol} loses cannot be counted: the size of a lot of it is not known")
        return None if failure is None or situation.only_reduces() else failure

    @abstractmethod
    def exceeded(self, day: DayResult) -> Failure | None:
        """`None` as long as the day is within the limit."""

    def measured(self, terms: Terms, situation: CheckContext) -> Measure | None:
        return None if situation.only_reduces() else self.standing(situation)

    @abstractmethod
    def standing(self, day: DayResult) -> Measure:
        """Where the day stands, which no order changes before it trades."""


@dataclass(frozen=True, slots=True)
class MaxDailyLoss(DayLimit):
    """Rupees that the account realized since midnight, IST, before charges. Above it only orders that reduce a
    position pass. Profits never refuse an order. A contract of unknown size is not taken on."""

    limit: Decimal
    code: ClassVar[str] = "MAX_DAILY_LOSS"
    settings: ClassVar[tuple[str, ...]] = (
        "guardian.max_daily_loss",
        "execution.circuit_breakers.max_daily_loss_rupees",
    )
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.DAY

    def exceeded(self, day: DayResult) -> Failure | None:
        loss = -day.realized_today()
        if loss <= self.limit:
            return None
        return Failure(f"the day's loss may be at most {self.limit:f} rupees, and is {loss:f}", self.limit, loss)

    def standing(self, day: DayResult) -> Measure:
        loss = max(-day.realized_today(), Decimal(0))
        return Measure(self.limit, loss, loss, "rupees lost today")


@dataclass(frozen=True, slots=True)
class MaxDailyDrawdown(DayLimit):
    """The same in percent of the capital: of `guardian.capital`, else of `trading.paper_capital`."""

    limit: Decimal
    """Percent."""
    capital: Decimal
    code: ClassVar[str] = "MAX_DAILY_DRAWDOWN"
    settings: ClassVar[tuple[str, ...]] = (
        "guardian.max_daily_drawdown_pct",
        "guardian.halt_on_pnl_drop_pct",
        "execution.circuit_breakers.max_daily_drawdown_pct",
        "trading.trade_throttler.max_daily_drawdown_pct",
    )
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.DAY

    def exceeded(self, day: DayResult) -> Failure | None:
        lost = self._lost(day)
        if lost <= self.limit:
            return None
        words = f"the day's loss may be at most {self.limit:f} % of {self.capital:f} rupees, and is {lost:.2f} %"
        return Failure(words, self.limit, lost.quantize(Decimal("0.01")))

    def standing(self, day: DayResult) -> Measure:
        lost = max(self._lost(day), Decimal(0)).quantize(Decimal("0.01"))
        return Measure(self.limit, lost, lost, "% lost today")

    def _lost(self, day: DayResult) -> Decimal:
        return -day.realized_today() / self.capital * 100


@dataclass(frozen=True, slots=True)
class MaxLossStreak(DayLimit):
    """Orders in a row that closed at a loss today. At the limit only orders that reduce a position pass."""

    limit: int
    code: ClassVar[str] = "MAX_LOSS_STREAK"
    in_rupees: ClassVar[bool] = False
    settings: ClassVar[tuple[str, ...]] = (
        "guardian.max_loss_streak",
        "execution.circuit_breakers.max_loss_streak",
        "trading.trade_throttler.max_loss_streak",
    )
    figures: ClassVar[Figures] = Figures.SYMBOL | Figures.STREAK

    def exceeded(self, day: DayResult) -> Failure | None:
        streak = day.losses_in_a_row()
        if streak < self.limit:
            return None
        return Failure(f"{streak} orders in a row lost money today; the limit is {self.limit}", self.limit, streak)

    def standing(self, day: DayResult) -> Measure:
        streak = day.losses_in_a_row()
        return Measure(self.limit, streak, streak, "losses in a row")


@dataclass(frozen=True, slots=True)
class StrategyDayOn(Check):
    """A strategy whose day lock has ended its day takes no new risk until midnight, IST: only orders pass that reduce
    what its own orders have come to, less what others have closed of it."""

    strategy: str
    code: ClassVar[str] = "STRATEGY_DAY_OVER"
    settings: ClassVar[tuple[str, ...]] = ("guardian.strategies.*.day_lock",)
    figures: ClassVar[Figures] = Figures.STRATEGY | Figures.LOCK

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        over = situation.read.day_over
        if not over or is_closing(situation.order.client_order_id):
            return None
        own = own_of(situation.held_by_strategy(), terms.symbol, terms.product, None)
        left = replace(own, quantity=own.quantity - situation.read.offset)
        if left.only_reduced_by(terms.side, situation.asked.quantity):
            return None
        return Failure(f"{self.strategy} only takes orders that reduce what it holds: {over}", value=over)
