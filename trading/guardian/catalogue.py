"""All checks, and which of them the settings switch on."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TypeVar

from durable_orders.trading.config.settings import (
    Calendar,
    CircuitBreakers,
    DayLock,
    Guardian,
    OrdersPer,
    PhysicalSettlement,
    Settings,
    TradeThrottler,
)
from durable_orders.trading.guardian.check import Check
from durable_orders.trading.guardian.checks import account, exchange, limits, margin, market, pace, session, terms
from durable_orders.trading.guardian.rules import rules_of
from durable_orders.trading.guardian.trading_hours import TradingHours
from durable_orders.trading.ledger.approvals import Scope
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import ExchangeRules, rules
from durable_orders.trading.orders.order import Mode

N = TypeVar("N", int, float, Decimal)

ALWAYS: tuple[type[Check], ...] = (
    terms.SymbolKnown,
    terms.Tradable,
    terms.ProductFits,
    terms.LotMultiple,
    terms.PricesOnTick,
    terms.Expressible,
    terms.LegsInLots,
    terms.SlicesApply,
    account.NotHalted,
    account.OnlyReducing,
    account.OnlyClosing,
    account.NothingUnsettled,
    account.PositionsExplained,
    account.WithinHoldings,
    session.NotLate,
    account.RightAccount,
)
"""Those that no setting switches off."""
LIMITS: tuple[type[Check], ...] = (
    limits.MaxOrderQuantity,
    limits.MaxOrderValue,
    terms.WithinFreezeQuantity,
    limits.MaxPositionPerSymbol,
    limits.MaxPositionTotal,
    limits.MaxGrossExposure,
    limits.MaxNetExposure,
    limits.Capital,
    limits.StrategyCapital,
    account.StrategyDayOn,
    margin.MarginAvailable,
    margin.LotAffordable,
    pace.MaxOpenOrders,
    pace.MaxOrdersPerSecond,
    pace.MaxOrdersPerMinute,
    pace.MaxOrdersPerDay,
    pace.MaxTradesPerDay,
    pace.NoDuplicate,
    market.PriceKnown,
    market.PriceFresh,
    market.PriceBand,
    market.WithinCircuitLimits,
    session.DayKnown,
    session.SessionOpen,
    session.BeforeMisCutoff,
    exchange.NotBeforeDelivery,
    exchange.NoDeliverySale,
    account.MaxDailyLoss,
    account.MaxDailyDrawdown,
    account.MaxLossStreak,
)
"""Those that are off until a setting switches them on."""
RULES: tuple[type[Check], ...] = (TradingHours,)
"""Strategy rules that are shipped."""

OFF_THROTTLER = TradeThrottler(
    max_trades_per_symbol_per_day=0,
    max_trades_per_strategy_per_day=0,
    max_total_trades_per_day=0,
    max_daily_drawdown_pct=Decimal(0),
    max_loss_streak=0,
)
OFF_BREAKERS = CircuitBreakers(
    max_daily_loss_rupees=None,
    max_daily_drawdown_pct=None,
    max_trades_per_day=None,
    max_trades_per_strategy_per_day=None,
    max_loss_streak=None,
)
ONCE_DEFAULT = {
    "max_order_per_second": 5,
    "reject_if_price_stale_secs": 3.0,
    "reject_if_slippage_pct": Decimal(2),
    "max_daily_drawdown_pct": Decimal(3),
}
"""What `guardian.enabled: true` used to switch on. The old 50 units of `max_lot_size` would stop one lot of NIFTY, and
the old 5 % of `halt_on_pnl_drop_pct` never came before the 3 %."""


def chosen(settings: Settings, instruments: Instruments) -> list[Check]:
    """The checks for every strategy."""
    own = _guardian(settings.guardian)
    return [
        *(check() for check in ALWAYS if check is not account.RightAccount),
        account.RightAccount(settings.account, settings.execution.mode),
        *_of_size(own, instruments),
        *_of_pace(own),
        *_of_market(own),
        *_of_session(own, settings, instruments),
        *_of_exchange(own, settings, instruments),
        *_of_the_day(own, settings),
    ]


def chosen_for(strategy: str, settings: Settings) -> list[Check]:
    """The further checks for one strategy. Raises `InvalidSettings` for a rule that cannot be had."""
    mine = _guardian(settings.guardian).strategies.get(strategy)
    if mine is None:
        return []
    capital = [limits.StrategyCapital(strategy, mine.capital)] if mine.capital is not None else []
    day = [account.StrategyDayOn(strategy)] if mine.day_lock.is_set else []
    return [*day, *capital, *rules_of(strategy, mine.rules)]


def day_locks(settings: Settings) -> dict[str | None, DayLock]:
    """When a day is over by itself: by strategy, the account's own without one."""
    own = _guardian(settings.guardian)
    found = {None: own.day_lock} | {strategy: each.day_lock for strategy, each in own.strategies.items()}
    return {whose: lock for whose, lock in found.items() if lock.is_set}


def day_limits(settings: Settings) -> list[account.DayLimit]:
    """Those of the checks that trip by themselves, when a fill is booked."""
    return [
        check for check in _of_the_day(_guardian(settings.guardian), settings) if isinstance(check, account.DayLimit)
    ]


def _guardian(given: Guardian) -> Guardian:
    if given.enabled is False:
        return Guardian()
    if given.enabled is None:
        return given
    unset = {key: value for key, value in ONCE_DEFAULT.items() if getattr(given, key) is None}
    return given.model_copy(update=unset)


def _of_size(own: Guardian, instruments: Instruments) -> Iterator[Check]:
    quantity = _lowest(own.max_order_quantity, own.max_lot_size)
    if quantity is not None:
        yield limits.MaxOrderQuantity(quantity)
    if own.max_order_value is not None:
        yield limits.MaxOrderValue(own.max_order_value)
    yield terms.WithinFreezeQuantity(own.freeze_quantity)
    if own.max_position_per_symbol is not None:
        yield limits.MaxPositionPerSymbol(own.max_position_per_symbol)
    if own.max_position_total is not None:
        yield limits.MaxPositionTotal(own.max_position_total)
    if own.max_gross_exposure is not None:
        yield limits.MaxGrossExposure(own.max_gross_exposure)
    if own.max_net_exposure is not None:
        yield limits.MaxNetExposure(own.max_net_exposure)
    if own.capital is not None:
        yield limits.Capital(own.capital)
    if own.require_margin:
        yield margin.MarginAvailable(own.margins, own.max_margin_age, instruments)
        yield margin.LotAffordable(own.margins, own.max_margin_age, instruments)


def _of_pace(own: Guardian) -> Iterator[Check]:
    if own.max_open_orders is not None:
        yield pace.MaxOpenOrders(own.max_open_orders)
    of_account = _lowest(own.max_orders_per_second.account, own.max_order_per_second)
    per_second = own.max_orders_per_second.model_copy(update={"account": of_account})
    yield from (pace.MaxOrdersPerSecond(limit, scope) for scope, limit in _scopes(per_second))
    yield from (pace.MaxOrdersPerMinute(limit, scope) for scope, limit in _scopes(own.max_orders_per_minute))
    yield from (pace.MaxOrdersPerDay(limit, scope) for scope, limit in _scopes(own.max_orders_per_day))
    if own.duplicate_seconds is not None:
        yield pace.NoDuplicate(own.duplicate_seconds)


def _of_market(own: Guardian) -> Iterator[Check]:
    if own.require_price:
        yield market.PriceKnown()
    age = _lowest(own.max_price_age, own.reject_if_price_stale_secs)
    if age is not None:
        yield market.PriceFresh(age)
    band = _lowest(own.price_band_percent, own.reject_if_slippage_pct)
    if band is not None:
        yield market.PriceBand(band)
    if own.circuit_limits:
        yield market.WithinCircuitLimits(own.circuit_limits)


def _of_session(own: Guardian, settings: Settings, instruments: Instruments) -> Iterator[Check]:
    """None of it in a market that is always open."""
    if settings.market.calendar is Calendar.ALWAYS_OPEN:
        return
    sessions = InstrumentSessions(settings.market, instruments)
    if settings.execution.mode is Mode.LIVE:
        yield session.DayKnown(sessions)
    if own.require_open_session:
        yield session.SessionOpen(sessions)
    if own.refuse_mis_after_cutoff:
        yield session.BeforeMisCutoff(sessions)


def _of_exchange(own: Guardian, settings: Settings, instruments: Instruments) -> Iterator[Check]:
    """What the exchange and the broker would refuse, whatever the limits are."""
    sessions = InstrumentSessions(settings.market, instruments)
    asked = ExchangeRules(instruments.get, sessions, own)
    yield from (check(asked, sessions) for check in exchange.OF_EXCHANGE)
    if own.physical_settlement is not PhysicalSettlement.WARN:
        yield exchange.NotBeforeDelivery(sessions)
    if own.refuse_delivery_sales:
        yield exchange.NoDeliverySale()
    limits = rules().limits
    yield pace.ChangesLeft(limits.changes, limits.source)
    is_live = settings.execution.mode is Mode.LIVE
    if is_live or settings.execution.paper.request_limits:
        yield pace.KitesMinute(is_live)
        yield pace.KitesDay(is_live)


def _of_the_day(own: Guardian, settings: Settings) -> Iterator[Check]:
    breakers, throttler = _older(settings)
    trades = OrdersPer(
        account=_lowest(breakers.max_trades_per_day, _on(throttler.max_total_trades_per_day)),
        strategy=_lowest(breakers.max_trades_per_strategy_per_day, _on(throttler.max_trades_per_strategy_per_day)),
        symbol=_on(throttler.max_trades_per_symbol_per_day),
    )
    yield from (pace.MaxTradesPerDay(limit, scope) for scope, limit in _scopes(trades))
    yield from _of_the_result(own, settings)


def _older(settings: Settings) -> tuple[CircuitBreakers, TradeThrottler]:
    """The sections with the older names of limits."""
    return settings.execution.circuit_breakers or OFF_BREAKERS, settings.trading.trade_throttler or OFF_THROTTLER


def _of_the_result(own: Guardian, settings: Settings) -> Iterator[account.DayLimit]:
    breakers, throttler = _older(settings)
    loss = _lowest(own.max_daily_loss, breakers.max_daily_loss_rupees)
    if loss is not None:
        yield account.MaxDailyLoss(loss)
    fraction = _lowest(breakers.max_daily_drawdown_pct, _on(throttler.max_daily_drawdown_pct))
    percent = fraction * 100 if fraction is not None else None
    drawdown = _lowest(own.max_daily_drawdown_pct, own.halt_on_pnl_drop_pct, percent)
    if drawdown is not None:
        yield account.MaxDailyDrawdown(drawdown, own.capital or settings.trading.paper_capital)
    streak = _lowest(own.max_loss_streak, breakers.max_loss_streak, _on(throttler.max_loss_streak))
    if streak is not None:
        yield account.MaxLossStreak(streak)


def _scopes(per: OrdersPer) -> Iterator[tuple[Scope, int]]:
    for scope, limit in ((Scope.ACCOUNT, per.account), (Scope.STRATEGY, per.strategy), (Scope.SYMBOL, per.symbol)):
        if limit is not None:
            yield scope, limit


def _lowest(*given: N | None) -> N | None:
    return min((limit for limit in given if limit is not None), default=None)


def _on(limit: N) -> N | None:
    """The throttler's way of saying that there is no limit."""
    return limit if limit > 0 else None
