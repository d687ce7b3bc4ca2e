"""Everything that is against a plan of several lines, a basket or a schedule, before anything of it is sent.

What is known of the account and the market comes from `Known`: the ledger, or what a backtest has in memory.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.guardian import whole
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.rules import Rule
from durable_orders.trading.orders.order import OrderType, PlanOrderIntent, Side
from durable_orders.trading.orders.verdict import Refusal
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.lines import reason_of
from durable_orders.trading.plans.pieces import LinesState, piece_name
from durable_orders.trading.plans.schedule import ScheduleIntent

OF_EACH_PART = frozenset(
    {"FREEZE_QUANTITY", "MAX_ORDER_QUANTITY", "MAX_ORDER_VALUE", "VALUE_TOO_LARGE", "MAX_OPEN_ORDERS", "DUPLICATE"}
)
"""What is judged of each part when it is sent, and would be wrong of all of it as one order."""
NOT_YET = frozenset({"SESSION_CLOSED", "NO_PRICE", "STALE_PRICE", "CIRCUIT_LIMIT", "MIS_CUTOFF", Rule.NOT_NOW.value})
"""And what is of the moment, of a schedule that begins later."""


class Known(Protocol):
    """What is known when a plan of several lines is judged."""

    @property
    def now(self) -> datetime:
        """On the clock of the plan's own times."""

    def instrument(self, symbol: str) -> Instrument | None: ...

    def terms_of(self, symbol: str, side: Side, quantity: int) -> LineTerms: ...

    def judge_together(self, orders: Sequence[PlanOrderIntent]) -> list[tuple[Refusal, ...]]:
        """What is against each of the orders, if they were sent now, one after the other."""

    def market_ahead(self, order: PlanOrderIntent) -> timedelta | None:
        """By how much the market's clock differs from the plan's; `None` where it is not known."""


def problems(
    state: LinesState, known: Known, limits: Guardian, sessions: SessionSource, random: Random
) -> Iterator[str]:
    """Each as a field and a rule. What is known of each of its lines is entered; the sizes of a schedule are drawn."""
    for piece in state.pieces:
        piece.terms = known.terms_of(piece.symbol, piece.side, piece.quantity)
    if isinstance(state.intent, BasketIntent):
        yield from _of_basket(state, state.intent, known)
    else:
        yield from _of_schedule(state, state.intent, known, limits, sessions, random)


def _of_schedule(
    state: LinesState,
    intent: ScheduleIntent,
    known: Known,
    limits: Guardian,
    sessions: SessionSource,
    random: Random,
) -> Iterator[str]:
    """The guardian judges all of it as one order that is sent now, but for what is judged of each part alone."""
    instrument, now = known.instrument(intent.symbol), known.now
    try:
        sizes = intent.sizes(instrument.lot_size if instrument is not None else 1, random)
    except ValueError as error:
        yield str(error)
        return
    whole_size, orders = known.terms_of(intent.symbol, intent.side, intent.quantity), 0
    most = whole_size.sizes[0] if len(whole_size.sizes) > 1 else None
    for piece, size in zip(state.pieces, sizes, strict=True):
        piece.quantity, piece.terms = size, LineTerms(sizes=(size,), most=most)
        orders += -(-size // most) if most is not None else 1
    made = PlanOrderIntent(
        account=intent.account,
        mode=intent.mode,
        strategy=intent.strategy,
        plan_id=intent.plan_id,
        client_order_id=piece_name(intent, 1, 1),
        reason=reason_of(state),
        **dict(intent.terms()),
    )
    [refusals] = known.judge_together([made])
    ignored = OF_EACH_PART | (NOT_YET if intent.begins_at > now else frozenset())
    yield from (f"{refusal}" for refusal in refusals if refusal.code not in ignored)
    yield from whole.count_problems(orders, limits.max_orders_per_day.account)
    if (ahead := known.market_ahead(made)) is not None:
        yield from whole.time_problems(intent, instrument, sessions, ahead, now)


def _of_basket(state: LinesState, basket: BasketIntent, known: Known) -> Iterator[str]:
    yield from whole.offset_problems(basket, [known.instrument(leg.symbol) for leg in basket.legs])
    yield from whole.net_problems(basket, [piece.terms.reference for piece in state.pieces])
    named, orders = [], []
    for number in (each for step in basket.steps for each in step):
        made = list(_orders_of_leg(state, basket, number))
        named += [f"leg {number + 1}"] * len(made)
        orders += made
    for name, refusals in zip(named, known.judge_together(orders), strict=True):
        yield from (f"{name}: {refusal}" for refusal in refusals)


def _orders_of_leg(state: LinesState, basket: BasketIntent, number: int) -> Iterator[PlanOrderIntent]:
    """As if they were sent now."""
    piece, leg = state.pieces[number], basket.legs[number]
    price = leg.price or (piece.terms.reference if basket.net is not None else None)
    for part, size in enumerate(piece.terms.sizes, 1):
        yield PlanOrderIntent(
            account=basket.account,
            mode=basket.mode,
            strategy=basket.strategy,
            plan_id=basket.plan_id,
            client_order_id=piece_name(basket, number + 1, part),
            reason=reason_of(state),
            symbol=leg.symbol,
            side=leg.side,
            quantity=size,
            product=leg.product,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=price,
        )
