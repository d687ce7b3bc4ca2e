"""What a plan as a whole comes to at its worst, and whether its exits could be placed at all.

Its orders are each checked when they are sent. What is seen here is what none of them shows: that the stop would not be
taken once the entry has traded, or that the day's loss would be beyond its limit at the stop.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.guardian.checks import exchange, terms
from durable_orders.trading.guardian.checks.account import DayLimit, MaxDailyLoss
from durable_orders.trading.guardian.judging import Plan, run
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderType, PlanOrderIntent, Terms
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.state import entry_id

OF_EXITS = (
    terms.SymbolKnown,
    terms.Tradable,
    terms.ProductFits,
    terms.LotMultiple,
    terms.PricesOnTick,
    terms.WithinFreezeQuantity,
    exchange.TakenAtAll,
    exchange.NotExpired,
)
"""The checks that an exit has to pass before it is known when it will be sent."""


def first_order(plan: PlanIntent) -> PlanOrderIntent:
    """The order as which a plan is judged: its entry, or the first exit of one without."""
    terms = plan.entry_terms() or next(exits_of(plan))[1]
    named = {"plan_id": plan.plan_id, "client_order_id": entry_id(plan.plan_id), "strategy": plan.strategy}
    return PlanOrderIntent(account=plan.account, mode=plan.mode, **named, **dict(terms))


def problems(
    plan: PlanIntent,
    order: Terms,
    checks: Plan,
    situation: CheckContext,
    tick: Tick | None,
    sessions: SessionSource,
    limits: Iterable[DayLimit],
    realized: Decimal,
) -> tuple[str, ...]:
    """Everything against a plan as a whole, each as a field and a rule: its entry as if it were sent now, its exits as
    they would be, and its loss at the stop. `order` is its first one, `tick` the last of its symbol, and `realized` the
    day's result so far."""
    entry = checks.judge(order, situation) if plan.entry is not None else ()
    return (
        *(f"entry: {refusal}" for refusal in entry),
        *exit_problems(plan, checks, situation),
        *spread_problems(plan, tick),
        *time_problems(plan, situation.instrument, sessions, situation.market_time),
        *loss_problems(plan, limits, situation, realized),
    )


def exits_of(plan: PlanIntent) -> Iterator[tuple[str, Terms]]:
    """Each exit as it would be placed, with the field that it comes from."""
    own = {"symbol": plan.symbol, "side": plan.exit_side, "product": plan.product}
    for leg in plan.legs:
        if plan.stop is not None:
            kind = OrderType.SL_M if plan.stop.limit_price is None else OrderType.SL
            prices = {"price": plan.stop.limit_price, "trigger_price": plan.stop.trigger_price}
            yield "stop", Terms(**own, quantity=leg.quantity, order_type=kind, **prices)
        if leg.target is not None:
            yield "target", Terms(**own, quantity=leg.quantity, order_type=OrderType.LIMIT, price=leg.target)


def exit_problems(plan: PlanIntent, checks: Plan, situation: CheckContext) -> Iterator[str]:
    """What the exchange, or the account, would not take of the exits."""
    for field, exit_terms in exits_of(plan):
        for check in checks.of_kinds(OF_EXITS):
            if (refusal := run(check, exit_terms, situation)) is not None:
                yield f"{field}: {refusal}"


def spread_problems(plan: PlanIntent, tick: Tick | None) -> Iterator[str]:
    """Stops and targets that the market is at already. `tick` is the last one, if there is one."""
    if tick is None:
        return
    sign = plan.side.sign
    near, far = (tick.bid, tick.ask) if sign > 0 else (tick.ask, tick.bid)
    near, far = near or tick.last_price, far or tick.last_price
    beyond, behind = ("above", "below") if sign > 0 else ("below", "above")
    stop = plan.stop.trigger_price if plan.stop is not None else None
    is_at_market = plan.entry is None or plan.entry.reference is None
    if is_at_market and stop is not None and (near - stop) * sign <= 0:
        yield f"stop: must lie {behind} the market's {near}, was {stop}"
    for target in plan.targets:
        if is_at_market and (target.price - far) * sign <= 0:
            within = (target.price - near) * sign > 0
            where = f"outside the spread of {tick.bid} to {tick.ask}" if within else f"{beyond} the market's {far}"
            yield f"target: must lie {where}, was {target.price}"


def time_problems(
    plan: PlanIntent, instrument: Instrument | None, sessions: SessionSource, now: datetime
) -> Iterator[str]:
    """A time to exit that does not come, or comes when nothing can be traded any more."""
    if plan.exit_at is None:
        return
    if plan.exit_at <= now:
        yield f"exit_at: must lie ahead, was {plan.exit_at.isoformat()}"
        return
    at = plan.exit_at.astimezone(IST)
    if instrument is not None and instrument.expiry is not None and at.date() > instrument.expiry:
        yield f"exit_at: {plan.symbol} expires on {instrument.expiry:%d %b %Y}, before {at:%d %b %Y %H:%M}"
        return
    session = sessions.of(plan.symbol).session_on(at.date())
    if session is None or not session.opens <= at < session.closes:
        yield f"exit_at: the market must be open then, was {at:%d %b %Y %H:%M}"


def loss_at_stop(plan: PlanIntent, last_price: Decimal | None) -> Decimal | None:
    """Rupees, before charges, if the stop is done at its limit, or else at its trigger; `None` where no stop bounds it,
    or no price is known."""
    if plan.stop is None or plan.entry is None:
        return None
    entered = plan.entry.reference or last_price
    if entered is None:
        return None
    points = (entered - (plan.stop.limit_price or plan.stop.trigger_price)) * plan.side.sign
    return max(points, Decimal(0)) * plan.quantity * multiplier_of(plan.symbol)


def loss_problems(
    plan: PlanIntent, limits: Iterable[DayLimit], situation: CheckContext, realized: Decimal
) -> Iterator[str]:
    """Whether the day's loss would be beyond its limit once the stop is done. `realized` is the day's result so far."""
    loss = loss_at_stop(plan, situation.last_price)
    for limit in limits:
        if loss is not None and isinstance(limit, MaxDailyLoss) and loss - realized > limit.limit:
            left = max(limit.limit + realized, Decimal(0))
            yield f"stop: the plan may lose {loss:f} rupees, and of the day's {limit.limit:f} there are {left:f} left"
