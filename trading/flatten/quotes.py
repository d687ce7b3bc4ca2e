"""What the market takes of an order that closes a position: by the rules of the exchanges and the guardian's limits."""

from datetime import date, datetime
from decimal import Decimal

from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.closing import Target
from durable_orders.trading.flatten.exits import Quote
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionCalendar
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.rules import Broken, ExchangeRules, Rule
from durable_orders.trading.orders.order import OrderType, Side, Terms

HUNDRED = Decimal(100)
SMALLEST = Decimal("0.01")
"""Rupees: the step of what the instrument master does not have."""
NOT_NOW, NOT_AT_ALL = (Rule.NOT_NOW, Rule.EXPIRED), (Rule.NOT_TAKEN,)


def quote_of(
    target: Target,
    rules: ExchangeRules,
    limits: Guardian,
    instrument: Instrument | None,
    last: Decimal | None,
    day: date | None,
    at: datetime | None,
    closed: str = "",
) -> Quote:
    """For the session of that day. `last` is a recent last price in rupees, `at` the market's time while the session is
    open, `closed` why nothing is taken, where that is known already."""
    tick = instrument.tick_size if instrument is not None and instrument.tick_size > 0 else SMALLEST
    if day is None:
        return Quote(last=last, tick_size=tick, bound=_guarded(target, limits, last, None), closed=closed)
    at_market = _broken(target, rules, OrderType.MARKET, day, at, last, tick)
    with_limit = _broken(target, rules, OrderType.LIMIT, day, at, last, tick)
    now = next((str(each) for each in with_limit if each.rule in NOT_NOW), "")
    bound = rules.price_bound(target.symbol, target.side, day, at, last) if last is not None else None
    return Quote(
        last=last,
        tick_size=tick,
        bound=_guarded(target, limits, last, bound),
        takes_market=not any(each.rule in (*NOT_NOW, *NOT_AT_ALL) for each in at_market),
        closed=closed or now,
    )


def closed_until(calendar: SessionCalendar, symbol: str, now: datetime) -> str:
    """Why the exchange takes no order of a session at that moment, by the wall's clock; empty if it does."""
    if calendar.is_regular(now):
        return ""
    opens = calendar.session_at_or_after(now).opens.astimezone(IST)
    return f"{symbol} is not traded before {opens:%a %d %b %H:%M} IST"


def _broken(
    target: Target,
    rules: ExchangeRules,
    order_type: OrderType,
    day: date,
    at: datetime | None,
    last: Decimal | None,
    tick: Decimal,
) -> list[Broken]:
    price = (last or tick) if order_type.has_price else None
    terms = Terms(
        symbol=target.symbol,
        side=target.side,
        quantity=abs(target.closable),
        order_type=order_type,
        price=price,
        product=target.product,
    )
    return rules.broken(terms, day, at, lambda: last)


def _guarded(target: Target, limits: Guardian, last: Decimal | None, bound: Decimal | None) -> Decimal | None:
    """With the guardian's price band and circuit limits, which would refuse what lies beyond them."""
    side, bounds = target.side, [] if bound is None else [bound]
    if limits.enabled is False:
        return bound
    percents = [each for each in (limits.price_band_percent, limits.reject_if_slippage_pct) if each is not None]
    if last is not None and percents:
        bounds.append(last * (1 + side.sign * min(percents) / HUNDRED))
    circuit = limits.circuit_limits.get(target.symbol)
    if circuit is not None:
        bounds.append(circuit.upper if side is Side.BUY else circuit.lower)
    if not bounds:
        return None
    return min(bounds) if side is Side.BUY else max(bounds)
