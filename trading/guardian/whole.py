"""What none of a plan's orders shows: whether a basket's legs offset each other, what they cost together, and whether a
schedule fits into its day."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.plans.basket import BasketIntent, in_words, net_of
from durable_orders.trading.plans.schedule import ScheduleIntent

OPTIONS = ("CE", "PE")
OF_KITE = 5000
"""Orders of an account a day (Kite documentation, rate limits)."""


def offset_problems(basket: BasketIntent, known: Sequence[Instrument | None]) -> Iterator[str]:
    """Of a basket that is to be hedged: what is sold of an underlying's calls, or of its puts, has to be bought, too,
    in contracts that end no earlier."""
    if not basket.hedged:
        return
    legs = list(zip(basket.legs, known, strict=True))
    unknown = [leg.symbol for leg, instrument in legs if instrument is None]
    if unknown:
        yield f"hedged: {', '.join(unknown)} is not known"
        return
    at_step = {number: place for place, step in enumerate(basket.steps) for number in step}
    for number, (leg, instrument) in enumerate(legs, 1):
        if instrument is None or leg.side is Side.BUY:
            continue
        if instrument.instrument_type not in OPTIONS:
            yield f"leg {number}: {leg.symbol} is sold and no option: a hedged basket sells options only"
            continue
        alike = (instrument.name, instrument.instrument_type)
        bought = sum(
            each.quantity
            for place, (each, other) in enumerate(legs)
            if other is not None
            and each.side is Side.BUY
            and at_step[place] < at_step[number - 1]
            and (other.name, other.instrument_type) == alike
            and (other.expiry is None or instrument.expiry is None or other.expiry >= instrument.expiry)
        )
        sold = sum(
            each.quantity
            for place, (each, other) in enumerate(legs)
            if other is not None
            and each.side is Side.SELL
            and at_step[place] <= at_step[number - 1]
            and (other.name, other.instrument_type) == alike
        )
        if sold > bought:
            kind = "calls" if instrument.instrument_type == "CE" else "puts"
            yield (
                f"leg {number}: {sold} {instrument.name} {kind} are sold and {bought} that end no earlier are bought "
                "before: a hedged basket buys at least as many"
            )


def net_problems(basket: BasketIntent, references: Sequence[Decimal | None]) -> Iterator[str]:
    """Of a basket with a net price: whether the market is within it."""
    if basket.net is None:
        return
    field = "net_debit" if basket.net_debit is not None else "net_credit"
    prices = [leg.price or reference for leg, reference in zip(basket.legs, references, strict=True)]
    unknown = [leg.symbol for leg, price in zip(basket.legs, prices, strict=True) if price is None]
    if unknown:
        yield f"{field}: no price of {', '.join(unknown)} is known now"
        return
    net = net_of(basket, [price for price in prices if price is not None])
    if net > basket.net:
        yield f"{field}: at the market's prices the basket {in_words(net)}, beyond {abs(basket.net)}"


def count_problems(orders: int, limit: int | None) -> Iterator[str]:
    """Of a schedule: whether the day takes so many orders. `limit` is the account's own."""
    if limit is not None and orders > limit:
        yield f"slices: the schedule takes {orders} orders, and guardian.max_orders_per_day allows {limit}"
    elif orders > OF_KITE:
        yield f"slices: the schedule takes {orders} orders, and Kite takes {OF_KITE} a day"


def time_problems(
    schedule: ScheduleIntent, instrument: Instrument | None, sessions: SessionSource, ahead: timedelta, now: datetime
) -> Iterator[str]:
    """Of a schedule: whether the market is open for all of it, and its contract lives. `ahead` is by how much the
    market's clock differs from the wall's."""
    if schedule.ends_at <= now:
        yield f"to: must lie ahead, was {schedule.ends_at.astimezone(IST):%d %b %Y %H:%M}"
        return
    if now - schedule.begins_at > schedule.every:
        yield f"from: a part of it would be late already, was {schedule.begins_at.astimezone(IST):%d %b %Y %H:%M}"
        return
    begins = (max(schedule.begins_at, now) + ahead).astimezone(IST)
    ends = (schedule.ends_at + ahead).astimezone(IST)
    if instrument is not None and instrument.expiry is not None and ends.date() > instrument.expiry:
        yield f"to: {schedule.symbol} expires on {instrument.expiry:%d %b %Y}, before {ends:%d %b %Y %H:%M}"
        return
    session = sessions.of(schedule.symbol).session_on(begins.date())
    if session is None or not session.opens <= begins < session.closes:
        yield f"from: the market must be open then, was {begins:%d %b %Y %H:%M}"
        return
    if schedule.product is Product.MIS and session.mis_cutoff is not None and ends > session.mis_cutoff:
        cutoff = session.mis_cutoff.astimezone(IST)
        yield f"to: MIS orders are taken until {cutoff:%H:%M}, was {ends:%d %b %Y %H:%M}"
    elif ends > session.closes:
        yield f"to: the market closes at {session.closes.astimezone(IST):%H:%M}, was {ends:%d %b %Y %H:%M}"
