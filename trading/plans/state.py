"""A plan as it stands: its orders, and what was decided so far. It can travel through workflow history and ledger."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from durable_orders.trading.orders.order import (
    CLOSING,
    Amendment,
    Frozen,
    Order,
    OrderType,
    Price,
    Product,
    Quantity,
    Status,
)
from durable_orders.trading.plans.by_gtt import is_of_plan
from durable_orders.trading.plans.plan import Leg, PlanIntent, Stop

WORKING = (Status.PLACED, Status.PARTIAL)
AWAITS_PERSON = "waits for a person's approval"
FRESH = timedelta(seconds=10)
"""After which a price says nothing of now. One that concerns the plan is told again every two seconds."""


class PlanStatus(StrEnum):
    PENDING = "PENDING"
    WORKING = "WORKING"
    """The entry works, and nothing is held."""
    OPEN = "OPEN"
    """Something is held."""
    CLOSED = "CLOSED"
    """What was held is closed."""
    CANCELLED = "CANCELLED"
    """Nothing was traded."""
    REJECTED = "REJECTED"
    LEFT = "LEFT"
    """The plan is over, and what it has bought or sold is still held, without a stop of the plan's."""
    FILLED = "FILLED"
    """All that the plan was to trade is traded, and that is held: of baskets and schedules."""
    COMPENSATED = "COMPENSATED"
    """Not all could be had, and what was traded is closed again."""

    terminal: bool

    def __init__(self, word: str) -> None:
        self.terminal = word not in ("PENDING", "WORKING", "OPEN")


def entry_id(plan_id: str) -> str:
    return f"{plan_id}.entry"


def exit_id(plan_id: str, leg: int, number: int) -> str:
    return f"{plan_id}.exit-{leg}-{number}"


def closing_id(plan_id: str, number: int) -> str:
    """Of an order that closes what went out too much."""
    return f"{CLOSING}{plan_id}-{number}"


def number_of(client_order_id: str) -> int:
    """The last number in the name of an exit or a closing order."""
    return int(client_order_id.rsplit("-", 1)[1])


class Mutable(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Child(Mutable):
    """One of the plan's orders."""

    order: Order
    """As it was last heard of, its workflow's word or the ledger's."""
    leg: int | None = None
    """Which exit it is; `None` for the entry."""
    asked: Amendment | None = None
    """A change that was asked for, and not answered yet."""
    asked_at: AwareDatetime | None = None
    most: int = 0
    """The greatest quantity that any change of unknown fate would give it."""
    other_leg: int = 0
    """Of a GTT whose other leg somebody has changed at the broker: the most that it would trade."""
    asked_type: OrderType | None = None
    """What the last change was to make of it."""
    amendments: int = 0
    refusals: int = 0
    """Changes in a row that were not made."""
    next_amendment: AwareDatetime | None = None
    cancel_asked_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    """When its workflow was last started again, as no worker had recorded the order."""
    starts: int = 0
    """How often it was."""

    @property
    def client_order_id(self) -> str:
        return self.order.client_order_id

    @property
    def is_approved(self) -> bool:
        """Whether a person has approved it."""
        return self.order.approval is not None and self.order.approval.approved_at is not None

    @property
    def is_live(self) -> bool:
        return not self.order.status.terminal

    @property
    def is_working(self) -> bool:
        """Whether it is at the broker, as far as is proved."""
        return self.order.status in WORKING

    @property
    def is_under_way(self) -> bool:
        """Whether something is to be heard of it soon."""
        is_ending = self.is_gtt and (self.is_triggered or self.cancel_asked_at is not None)
        return self.is_live and (not self.is_working or self.asked is not None or is_ending)

    @property
    def filled(self) -> int:
        return self.order.filled_quantity

    @property
    def may_fill(self) -> int:
        """What it may come to at most: filled already, or working under any of the terms it may have."""
        if not self.is_live:
            return self.filled
        asked = self.asked.quantity or 0 if self.asked is not None else 0
        return max(self.order.quantity, asked, self.most, self.other_leg, self.filled)

    @property
    def is_gtt(self) -> bool:
        """Whether a GTT keeps it at the broker."""
        return is_of_plan(self.client_order_id)

    @property
    def is_triggered(self) -> bool:
        """Whether it is the order that a GTT has placed."""
        return self.is_gtt and not self.order.order_type.has_trigger

    @property
    def protects(self) -> int:
        """How much of the position a stop of it that is proved to work would close."""
        return self.order.remaining if self.is_working and self.order.order_type.has_trigger else 0

    @property
    def role(self) -> str:
        """What it is at present, by its terms."""
        if self.leg is None:
            return "entry"
        kind = self.order.order_type
        if self.is_triggered:
            return "exit"
        return "stop" if kind.has_trigger else "target" if kind is OrderType.LIMIT else "exit"


class LegState(Mutable):
    """One exit of the plan."""

    quantity: Quantity
    target: Price | None = None
    children: list[Child] = Field(default_factory=list)
    taking_since: AwareDatetime | None = None
    """Since when the exit works as a LIMIT order at the target, in the stop's place."""
    next_taking: AwareDatetime | None = None
    out: bool = False
    """Whether it is to be closed at the market, and nothing else any more."""
    passed_since: AwareDatetime | None = None
    """Since when the price has been beyond the limit of its stop."""
    failures: int = 0
    """Exits in a row that came to an end that nobody here asked for."""
    next_place: AwareDatetime | None = None
    is_to_be_surveyed: bool = False
    """Whether it has to be seen first what there still is to close."""
    lost: int = 0
    """What others have closed of it."""

    @property
    def live(self) -> Child | None:
        for child in self.children:
            if not child.order.status.terminal:
                return child
        return None

    @property
    def next_number(self) -> int:
        """Of its next exit: a name is never used twice, whichever of the earlier ones are known."""
        return max((number_of(child.client_order_id) for child in self.children), default=0) + 1

    @property
    def gtt_was_refused(self) -> bool:
        """Whether its last exit was a GTT that could not be had: then a stop order of the day takes its place."""
        last = self.children[-1] if self.children else None
        return last is not None and last.is_gtt and last.order.status is Status.REJECTED

    @property
    def closed(self) -> int:
        return sum([child.order.filled_quantity for child in self.children])

    @property
    def may_close(self) -> int:
        return sum([child.may_fill for child in self.children])


class PlanState(Mutable):
    """All that a plan knows."""

    intent: PlanIntent
    created_at: AwareDatetime
    tick_size: Price | None = None
    """Rupees."""
    stop: Stop | None = None
    exit_at: AwareDatetime | None = None
    entry: Child | None = None
    legs: list[LegState]
    oversold: int = 0
    """What its exits have closed though others had closed it already."""
    closings: list[Child] = Field(default_factory=list)
    """Orders that close what went out too much, through the account's closing function."""
    covered: int = 0
    """What went out too much and is not there any more: others have bought or sold it back."""
    excess_tries: int = 0
    next_excess: AwareDatetime | None = None
    """When it is looked at again what there still is of the excess."""
    waits: str = ""
    """Why no exit can be placed now, where that is so."""
    version: int = 0
    """How often it was recorded."""
    level: Decimal | None = None
    """Rupees: where the stop is now."""
    best: Decimal | None = None
    """Rupees: the best price since something was held."""
    last: Decimal | None = None
    """Rupees: the price that was told last. What it is worth depends on its age: `price_at`."""
    last_at: AwareDatetime | None = None
    is_cancelled: bool = False
    is_leaving: bool = False
    """Whether everything is to be closed at the market."""
    why: str = ""
    refusals: tuple[str, ...] = ()
    unprotected_since: AwareDatetime | None = None
    alerts: int = 0
    """How often that was alerted."""

    @classmethod
    def of(cls, intent: PlanIntent, at: AwareDatetime) -> "PlanState":
        return cls(
            intent=intent,
            created_at=at,
            stop=intent.stop,
            exit_at=intent.exit_at,
            legs=[_leg(leg) for leg in intent.legs],
            level=intent.stop.trigger_price if intent.stop is not None else None,
        )

    @property
    def awaits_approval(self) -> bool:
        """Whether a person has yet to approve it, where it only closes: else its entry alone waits. A cancel, and what
        that is to close, is a person's own word."""
        only_closes = self.intent.entry is None and not self.is_cancelled
        return self.intent.approve and only_closes and not any(child.is_approved for child in self.exits())

    @property
    def entered(self) -> int:
        """How much of the position there is, or was: the entry's fills, or what an OCO has found."""
        if self.intent.entry is None:
            return 0 if self.refusals else self.intent.quantity
        return self.entry.filled if self.entry is not None else 0

    def entitled(self, number: int) -> int:
        """How much of what was entered the exit of that leg is for: legs are filled in their order, and the last one
        has what is beyond them all, as of an entry that somebody made greater."""
        rest = max(self.entered - sum(leg.quantity for leg in self.legs[:number]), 0)
        return rest if number == len(self.legs) - 1 else min(rest, self.legs[number].quantity)

    def remaining(self, number: int) -> int:
        """How much of a leg is still to be closed."""
        leg = self.legs[number]
        return max(self.entitled(number) - leg.lost - leg.closed, 0)

    def room(self, number: int) -> int:
        """How much more the exit of that leg may come to, whatever becomes of the orders it has."""
        leg = self.legs[number]
        return self.entitled(number) - leg.lost - leg.may_close

    @property
    def closed(self) -> int:
        return sum(leg.closed for leg in self.legs)

    @property
    def may_close(self) -> int:
        """Filled and working exits, under any of the terms that those may have."""
        return sum(leg.may_close for leg in self.legs)

    @property
    def lost(self) -> int:
        """What others have closed of the position."""
        return sum(leg.lost for leg in self.legs) + self.oversold

    @property
    def held(self) -> int:
        """What is left of the position; below zero if more went out than came in."""
        held = self.entered + self.covered - self.oversold
        for leg in self.legs:
            held -= leg.lost
            for child in leg.children:
                held -= child.order.filled_quantity
        for child in self.closings:
            held += child.order.filled_quantity
        return held

    @property
    def exposed(self) -> int:
        return max(self.held, 0)

    @property
    def excess(self) -> int:
        """How much more went out than came in."""
        return max(-self.held, 0)

    def price_at(self, now: AwareDatetime) -> Decimal | None:
        """The last price, as long as it is one of now."""
        return self.last if self.last_at is not None and now - self.last_at <= FRESH else None

    @property
    def is_protected(self) -> bool:
        """Whether a stop is proved to work for all that is held."""
        exposed = self.exposed
        return exposed == 0 or sum([child.protects for child in self.exits()]) >= exposed

    def exits(self) -> list[Child]:
        return [child for leg in self.legs for child in leg.children]

    def children(self) -> list[Child]:
        """The entry, the exits, and what closes an excess."""
        entry = [] if self.entry is None else [self.entry]
        return [*entry, *self.exits(), *self.closings]

    def child(self, client_order_id: str) -> Child | None:
        return next((each for each in self.children() if each.client_order_id == client_order_id), None)


def _leg(leg: Leg) -> LegState:
    return LegState(quantity=leg.quantity, target=leg.target)


class PlanOrder(Frozen):
    """An order of a plan, for readers."""

    role: str
    """`entry`, `stop`, `target`, or `exit` for one at the market. By its present terms: a stop may become a target. Of
    a basket `leg N`, of a schedule `slice N`, and `close` for what closes one of them."""
    symbol: str = ""
    client_order_id: str
    order_id: str
    status: Status
    broker_order_id: str | None
    side: str
    quantity: int
    filled_quantity: int
    order_type: OrderType
    price: Price | None
    trigger_price: Price | None
    average_price: Decimal | None
    reasons: tuple[str, ...]
    is_gtt: bool = False
    """Whether a GTT keeps it at the broker: `client_order_id` is that one's id. Until it has placed its order,
    `broker_order_id` is the broker's id of the GTT."""


class PlanHolding(Frozen):
    """What a plan holds of one instrument."""

    symbol: str
    product: Product
    quantity: int
    """Signed: below zero for a short position."""


class PlanView(Frozen):
    """A plan, for readers."""

    plan_id: str
    status: PlanStatus
    protected: bool | None
    """Whether a stop is proved to work at the broker for all that is held. `None` where there is nothing to say: of a
    basket and a schedule, which have no stop, and of a plan that has ended and holds nothing."""
    unprotected_since: AwareDatetime | None
    kind: str
    summary: str
    symbol: str
    strategy: str
    held: int
    """What the plan holds now, signed: below zero for a short position. Of a basket, all that its legs hold together,
    unsigned; `holdings` has each."""
    stop: Price | None
    """Rupees: where the stop is now."""
    reasons: tuple[str, ...]
    orders: tuple[PlanOrder, ...]
    holdings: tuple[PlanHolding, ...] = ()
    """By instrument."""

    @property
    def refusals(self) -> tuple[str, ...]:
        """What was against it, each once: its own reasons, and those of its orders."""
        return tuple(dict.fromkeys([*self.reasons, *(reason for order in self.orders for reason in order.reasons)]))

    @property
    def not_flat(self) -> str:
        """That it ended with something held, and what closes that, in one line; empty where it goes on or has nothing.

        Other orders may have closed it since: a plan knows its own."""
        if not self.status.terminal or not self.holdings:
            return ""
        left = ", ".join(f"{each.quantity} {each.symbol} {each.product}" for each in self.holdings)
        symbols = dict.fromkeys(each.symbol for each in self.holdings)
        closes = ", ".join(f"`durable-orders flatten {symbol}`" for symbol in symbols)
        return (
            f"{self.plan_id} is {self.status} and closes nothing any more: its orders left {left}. "
            f"Close what `durable-orders positions` has of it with {closes}"
        )


def row_of(child: Child, role: str) -> PlanOrder:
    order = child.order
    return PlanOrder(
        role=role,
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        status=order.status,
        broker_order_id=order.broker_order_id,
        side=order.side.value,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        order_type=order.order_type,
        price=order.price,
        trigger_price=order.trigger_price,
        average_price=order.average_price,
        reasons=order.reasons,
        is_gtt=child.is_gtt,
    )
