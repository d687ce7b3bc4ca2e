"""The way out of one position: what the order that closes it has to do next. Pure.

A closing order is MARKET where that is taken, and a LIMIT otherwise. One that rests gets a limit beyond the last price,
and a limit farther beyond it after each interval: inside of what the exchange and the guardian take, and never beyond
the worst price that may be paid. It is amended as long as the broker takes changes, then cancelled and placed anew. No
state of it is the last but that nothing is held.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pydantic import AwareDatetime

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.market.rules import rules
from durable_orders.trading.orders.order import Frozen, Order, OrderType, Side, Status

MOST_CHANGES = rules().limits.changes
"""Of one order (Kite documentation)."""
MOST_UNHEEDED = 2
"""So many changes in a row that were asked for may not be made, before the order is placed anew."""
HUNDRED = Decimal(100)
WORKS = (Status.PLACED, Status.PARTIAL)


class Quote(Frozen):
    """What the market takes of an order that closes a position, at one moment."""

    last: Decimal | None
    """The last price in rupees; `None` without one that is recent."""
    tick_size: Decimal
    bound: Decimal | None = None
    """The worst limit that the exchange and the guardian take, in rupees: a buy's highest, a sale's lowest."""
    takes_market: bool = True
    closed: str = ""
    """Why no order is taken now, where that is so."""


class WorkingExit(Frozen):
    """The order that closes a position, while it has not ended."""

    order_id: str
    summary: str
    status: Status
    side: Side
    order_type: OrderType
    price: Decimal | None
    remaining: int

    @classmethod
    def of(cls, order: Order) -> "WorkingExit":
        return cls(
            order_id=order.order_id,
            summary=order.summary(),
            status=order.status,
            side=order.side,
            order_type=order.order_type,
            price=order.price,
            remaining=order.remaining,
        )


class Exit(Frozen):
    """How far the exit of one position has come."""

    began: AwareDatetime
    start_price: Decimal | None
    """The last price then, in rupees; the first that came since, where there was none."""
    priced_at: AwareDatetime
    """Since when the order rests as it does."""
    steps: int = 0
    """How often the distance has grown."""
    changes: int = 0
    """Asked for, of the order that works."""
    wanted: Decimal | None = None
    """The limit that was asked for last, of that order."""
    unheeded: int = 0
    """Changes in a row that were not made."""
    exceeds_since: AwareDatetime | None = None
    """Since when the order is for more than may be closed."""
    withdrawn: bool = False
    """Whether the order that works was asked to end."""
    market_refused: bool = False

    @classmethod
    def begun(cls, now: datetime, last: Decimal | None) -> "Exit":
        return cls(began=now, start_price=last, priced_at=now)

    def ended(self, *, filled: bool, refused_market: bool) -> "Exit":
        """After the end of the order that worked."""
        fresh = {"changes": 0, "wanted": None, "unheeded": 0, "exceeds_since": None, "withdrawn": False}
        steps = 0 if filled else self.steps
        return self.model_copy(update=fresh | {"steps": steps, "market_refused": self.market_refused or refused_market})


class Waiting(StrEnum):
    """What an exit waits for."""

    FOR_NOTHING = ""
    FOR_A_TRADE = "a trade"
    FOR_THE_SESSION = "the session"
    FOR_A_PRICE = "a price"
    AT_THE_WORST = "at the worst price"


@dataclass(frozen=True, slots=True)
class Send:
    """A new order."""

    order_type: OrderType
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Reprice:
    """Give the order that works this limit."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Ask the order that works to end; another one follows if something is left."""

    why: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing now."""

    waiting: Waiting = Waiting.FOR_NOTHING
    why: str = ""


Action = Send | Reprice | Withdraw | Rest


def next_step(
    known: Exit,
    quantity: int | None,
    working: WorkingExit | None,
    quote: Quote | None,
    how: Exits,
    now: datetime,
    settle: timedelta = timedelta(0),
) -> tuple[Exit, Action]:
    """What is to be done now, and how far the exit then is.

    `quantity` may be closed of the position, signed as what is held; 0 if nothing may, `None` while nobody can tell.
    `settle` is how long the broker's positions may lag behind its trades.
    """
    if known.start_price is None and quote is not None and quote.last is not None:
        known = known.model_copy(update={"start_price": quote.last})
    if working is None:
        return (known, Rest()) if not quantity or quote is None else _begin(known, quantity, quote, how, now)
    if known.withdrawn:
        return known, Withdraw("it was asked to end")
    if quantity is None:
        return known, Rest()
    known = _measured(known, quantity, working, now)
    if known.exceeds_since is not None:
        if now - known.exceeds_since < settle:
            return known, Rest()
        return _withdrawn(known, f"it is for {working.remaining}, and {abs(quantity)} may be closed")
    if quote is None or quote.closed:
        words = quote.closed if quote is not None else ""
        return known, Rest(Waiting.FOR_THE_SESSION if words else Waiting.FOR_NOTHING, words)
    if working.status not in WORKS:
        return known.model_copy(update={"priced_at": now}), Rest()
    if now - known.priced_at < timedelta(seconds=how.interval):
        return known, Rest()
    return _again(known, working, quote, how, now)


def limit_price(side: Side, last: Decimal, start: Decimal | None, steps: int, quote: Quote, how: Exits) -> Decimal:
    """Rupees, on the tick: so many steps beyond the last price, within the bound and the worst price."""
    tick = quote.tick_size
    wanted = last * (1 + side.sign * (how.first_distance + steps * how.step) / HUNDRED)
    price = _on_tick(wanted, tick, up=side is Side.BUY)
    limits = [quote.bound, worst_price(side, start, how)]
    for bound in (_on_tick(each, tick, up=side is Side.SELL) for each in limits if each is not None):
        price = min(price, bound) if side is Side.BUY else max(price, bound)
    return max(price, tick)


def worst_price(side: Side, start: Decimal | None, how: Exits) -> Decimal | None:
    """Rupees; `None` where any may be paid."""
    if how.worst_price is None or start is None:
        return None
    return start * (1 + side.sign * how.worst_price / HUNDRED)


def _begin(known: Exit, quantity: int, quote: Quote, how: Exits, now: datetime) -> tuple[Exit, Action]:
    """No order works."""
    if quote.closed:
        return known, Rest(Waiting.FOR_THE_SESSION, quote.closed)
    fresh = known.model_copy(update={"priced_at": now})
    if _takes_market(known, quote, how) and known.steps == 0:
        return fresh, Send(OrderType.MARKET, None)
    if quote.last is None and quote.takes_market and how.worst_price is None:
        return fresh, Send(OrderType.MARKET, None)  # whatever was refused before: nothing else can be sent
    if quote.last is None:
        return known, Rest(Waiting.FOR_A_PRICE, "there is no recent price to set a limit by")
    side = Side.SELL if quantity > 0 else Side.BUY
    return fresh, Send(OrderType.LIMIT, limit_price(side, quote.last, known.start_price, known.steps, quote, how))


def _takes_market(known: Exit, quote: Quote, how: Exits) -> bool:
    """A worst price is kept by a limit alone."""
    return quote.takes_market and not known.market_refused and how.worst_price is None


def _measured(known: Exit, quantity: int, working: WorkingExit, now: datetime) -> Exit:
    """Whether the order is for more than may be closed, and since when."""
    may_trade = -working.side.sign * quantity
    exceeds = working.remaining > max(may_trade, 0)
    return known.model_copy(update={"exceeds_since": (known.exceeds_since or now) if exceeds else None})


def _again(known: Exit, working: WorkingExit, quote: Quote, how: Exits, now: datetime) -> tuple[Exit, Action]:
    """The order has rested for so long that it gets another price."""
    if quote.last is None:
        if working.order_type is OrderType.LIMIT and _takes_market(known, quote, how) and known.steps == 0:
            return _withdrawn(known, "there is no recent price to set a limit by: it is placed anew at the market")
        return known, Rest(Waiting.FOR_A_PRICE, f"{working.summary} rests, and there is no recent price to set one by")
    if known.wanted is not None and working.price != known.wanted:
        known = known.model_copy(update={"unheeded": known.unheeded + 1})
        if known.unheeded >= MOST_UNHEEDED:
            return _withdrawn(known, "its changes are not made")
    elif known.unheeded:
        known = known.model_copy(update={"unheeded": 0})
    steps = max(known.steps + (known.wanted is not None), _steps_beyond(working, quote.last, how))
    price = _no_nearer(working, limit_price(working.side, quote.last, known.start_price, steps, quote, how), quote)
    further = {"priced_at": now, "steps": steps}
    if price == working.price:
        return known.model_copy(update=further), _at_the_end(known, working, quote, how)
    if known.changes >= MOST_CHANGES:
        return _withdrawn(known, f"it was changed {known.changes} times: no more are taken")
    further |= {"changes": known.changes + 1, "wanted": price}
    return known.model_copy(update=further), Reprice(price)


def _steps_beyond(working: WorkingExit, last: Decimal, how: Exits) -> int:
    """The fewest that go farther than where the order rests: the broker may have set it a limit of its own."""
    if working.price is None:
        return 0
    distance = (working.price - last) * working.side.sign / last * HUNDRED
    return max(int((distance - how.first_distance) // how.step) + 1, 0)


def _no_nearer(working: WorkingExit, price: Decimal, quote: Quote) -> Decimal:
    """A limit does not come back, but for the bound."""
    if working.price is None:
        return price
    farther = max(price, working.price) if working.side is Side.BUY else min(price, working.price)
    bound = quote.bound
    is_taken = bound is None or (farther - bound) * working.side.sign <= 0
    return farther if is_taken else price


def _at_the_end(known: Exit, working: WorkingExit, quote: Quote, how: Exits) -> Rest:
    """The limit goes no farther."""
    worst = worst_price(working.side, known.start_price, how)
    rests = f"{working.summary} rests, {working.remaining} of it are left, and the last price is {quote.last}"
    if worst is not None and working.price == _on_tick(worst, quote.tick_size, up=working.side is Side.SELL):
        return Rest(Waiting.AT_THE_WORST, f"{rests}: its limit is the worst price that may be paid")
    return Rest(Waiting.FOR_A_TRADE, rests)


def _withdrawn(known: Exit, why: str) -> tuple[Exit, Withdraw]:
    steps = max(known.steps, 1) if known.wanted is not None else known.steps
    return known.model_copy(update={"withdrawn": True, "steps": steps}), Withdraw(why)


def _on_tick(price: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    below = (price // tick) * tick
    return below + tick if up and below != price else below
