"""What a plan is: an entry, a stop and targets that belong together, and the rules by which they fit together.

A bracket has all of them; an OCO closes what is held already, at its stop or its target; an OTO has an entry, and one
of the two.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.gtt.gtt import kind_problem
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.content import Why
from durable_orders.trading.orders.order import (
    Frozen,
    Mode,
    Name,
    OrderType,
    Price,
    Product,
    Quantity,
    Side,
    Symbol,
    Terms,
)
from durable_orders.trading.plans.content import Identity, PlanTime

MOST_TARGETS = 10
LONGEST_OF_GTT = 36
"""Characters of the id of a plan that has GTTs: an UUID has as many."""


class Protect(StrEnum):
    """What keeps the stop, beside a worker that watches the prices."""

    BROKER = "broker"
    """The broker, also overnight and without a worker: a GTT, or for MIS, which ends with the day, a stop order."""


class Kind(StrEnum):
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"


class Entry(Frozen):
    """How the position is opened."""

    order_type: OrderType = OrderType.MARKET
    price: Price | None = None
    """Rupees; for LIMIT and SL only."""
    trigger_price: Price | None = None
    """Rupees; for SL and SL-M only."""

    @property
    def reference(self) -> Decimal | None:
        """The price that stop and targets are measured from; `None` where only the market tells."""
        return self.price or self.trigger_price


class Stop(Frozen):
    """Where the position is given up."""

    trigger_price: Price
    """Rupees."""
    limit_price: Price | None = None
    """Rupees: then an SL order, which options and BSE need; else SL-M. It moves with the trigger."""
    trail: Price | None = None
    """Points by which the stop follows the best price since the entry."""
    break_even: Price | None = None
    """Once that has been traded, the stop goes to the average price of the entry. Rupees."""


class Target(Frozen):
    """Where profit is taken."""

    price: Price
    """Rupees."""
    quantity: Quantity | None = None
    """As orders count it; without one, all that the other targets leave."""


class Leg(Frozen):
    """A part of the position with one exit of its own."""

    quantity: Quantity
    target: Price | None = None


class PlanTerms(Frozen):
    """A plan of one position: how it is opened, and where it is closed."""

    strategy: Name = "manual"
    reason: Why = ""
    symbol: Symbol
    side: Side
    """Of the position: BUY for a long one, also where an OCO closes it by selling."""
    quantity: Quantity
    product: Product = Product.MIS
    entry: Entry | None = None
    """Without one the position is held already, as of an OCO."""
    stop: Stop | None = None
    targets: Annotated[tuple[Target, ...], Field(max_length=MOST_TARGETS)] = ()
    protect: Protect | None = None
    """Without it the stop is an order of the day, which a worker places anew each day."""
    exit_at: PlanTime | None = None
    """When what is left is closed at the market."""
    enter_by: PlanTime | None = None
    """On the wall's clock: a plan that has not begun by then is refused as too late."""

    def begin_by(self, asked_at: datetime) -> datetime | None:
        """What was asked for. An entry at the market has a deadline of its own."""
        return self.enter_by

    @property
    def kind(self) -> Kind:
        if self.entry is None:
            return Kind.OCO
        return Kind.BRACKET if self.stop is not None and self.targets else Kind.OTO

    @property
    def exit_side(self) -> Side:
        return Side.SELL if self.side is Side.BUY else Side.BUY

    @property
    def legs(self) -> tuple[Leg, ...]:
        """In the order in which the entry fills them: one a target, and what those leave."""
        left = self.quantity - sum(target.quantity or 0 for target in self.targets)
        legs = [Leg(quantity=target.quantity or left, target=target.price) for target in self.targets]
        rest = self.quantity - sum(leg.quantity for leg in legs)
        return (*legs, Leg(quantity=rest)) if rest else tuple(legs)

    def is_ahead(self, price: Decimal, of: Decimal) -> bool:
        """Whether a price is better for the position than another."""
        return (price - of) * self.side.sign > 0

    def summary(self) -> str:
        """`bracket BUY 75 NFO:NIFTY25MAYFUT at 24000, stop 23950, target 24100 NRML`."""
        parts = [f"{self.kind} {self.side} {self.quantity} {self.symbol}"]
        if self.entry is None:  # named by what it does, as it is asked for: its side is that of the position
            parts = [f"{self.kind} {self.exit_side} {self.quantity} {self.symbol} of what is held"]
        else:
            parts[0] += f" at {self.entry.reference or 'the market'}"
        if self.stop is not None:
            trail = f" trailing by {self.stop.trail}" if self.stop.trail is not None else ""
            parts.append(f"stop {self.stop.trigger_price}{trail}")
        parts += [f"target {target.price}" for target in self.targets]
        protect = "" if self.protect is None else f", protect {self.protect}"
        return f"{', '.join(parts)} {self.product}{protect}"

    def entry_terms(self) -> Terms | None:
        """Raises `ValueError` (pydantic's)."""
        if self.entry is None:
            return None
        return Terms(
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            order_type=self.entry.order_type,
            price=self.entry.price,
            trigger_price=self.entry.trigger_price,
            product=self.product,
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stop is None and not self.targets:
            raise ValueError("stop: a plan has a stop, a target or both")
        if self.entry is None and (self.stop is None or not self.targets):
            raise ValueError("target: an OCO has a stop and a target")
        self.entry_terms()
        self._targets_fit()
        self._stop_fits()
        if self.wants_gtt:
            self._gtt_fits()
        return self

    @property
    def wants_gtt(self) -> bool:
        return self.protect is Protect.BROKER and self.product is not Product.MIS

    def _targets_fit(self) -> None:
        given = sum(target.quantity or 0 for target in self.targets)
        open_ended = [target for target in self.targets if target.quantity is None]
        if given > self.quantity:
            raise ValueError(f"targets: their quantities add up to {given}, the plan has {self.quantity}")
        if len(open_ended) > 1:
            raise ValueError("targets: only one of them may go without a quantity")
        if open_ended and given == self.quantity:
            raise ValueError("targets: nothing is left for the one without a quantity")
        if len(set(self.targets)) < len(self.targets):
            raise ValueError("targets: each price once")
        from_price = self.entry.reference if self.entry is not None else None
        for target in self.targets:
            if from_price is not None and not self.is_ahead(target.price, from_price):
                raise ValueError(f"target: must lie {self._beyond} the entry's {from_price}, was {target.price}")

    def _stop_fits(self) -> None:
        stop = self.stop
        if stop is None:
            return
        from_price = self.entry.reference if self.entry is not None else None
        if from_price is not None and not self.is_ahead(from_price, stop.trigger_price):
            raise ValueError(f"stop: must lie {self._behind} the entry's {from_price}, was {stop.trigger_price}")
        for target in self.targets:
            if not self.is_ahead(target.price, stop.trigger_price):
                raise ValueError(f"target: must lie {self._beyond} the stop's {stop.trigger_price}, was {target.price}")
        if stop.limit_price is not None and self.is_ahead(stop.limit_price, stop.trigger_price):
            raise ValueError(f"stop_limit: must not lie {self._beyond} the stop's {stop.trigger_price}")
        if stop.break_even is not None:
            if self.entry is None:
                raise ValueError("break_even: an OCO has no entry to break even with")
            if from_price is not None and not self.is_ahead(stop.break_even, from_price):
                raise ValueError(f"break_even: must lie {self._beyond} the entry's {from_price}")

    def _gtt_fits(self) -> None:
        """A GTT places LIMIT orders, and has one stop and one target of one quantity (Kite documentation, GTT)."""
        stop = self.stop
        if stop is None:
            raise ValueError("protect: there is no stop for the broker to keep")
        if stop.limit_price is None:
            raise ValueError("stop_limit: with protect broker the stop is a GTT, whose order is LIMIT: give its limit")
        for field, value in (("trail", stop.trail), ("break_even", stop.break_even)):
            if value is not None:
                raise ValueError(f"{field}: with protect broker the stop is a GTT, which does not move: leave it out")
        if len(self.legs) > 1:
            raise ValueError("targets: with protect broker the stop is a GTT, which has one target for the whole")
        if (problem := kind_problem(self.symbol, self.product, self.exit_side, 1 + len(self.targets))) is not None:
            raise ValueError(f"protect: {problem.partition(': ')[2]}")

    @property
    def _beyond(self) -> str:
        return "above" if self.side is Side.BUY else "below"

    @property
    def _behind(self) -> str:
        return "below" if self.side is Side.BUY else "above"


class PlanIntent(PlanTerms, Identity):
    """A plan as somebody asks for it."""

    @model_validator(mode="after")
    def _waits_for_a_person(self) -> Self:
        if self.approve and self.entry is None and self.wants_gtt:
            raise ValueError("approve: an OCO with protect broker begins with a GTT, which waits for nobody")
        return self

    @model_validator(mode="after")
    def _gtts_can_be_named(self) -> Self:
        if self.wants_gtt and len(self.plan_id) > LONGEST_OF_GTT:
            raise ValueError(
                f"plan_id: with protect broker at most {LONGEST_OF_GTT} characters, as its GTTs' ids have 48"
            )
        return self

    @property
    def by_gtt(self) -> bool:
        """Whether its stop is a GTT. On paper nobody keeps one: there it is a stop order of the same prices."""
        return self.wants_gtt and self.mode is Mode.LIVE


class PlanChange(Frozen):
    """A change of a plan that has not ended. What is `None` stays as it is."""

    stop: Price | None = None
    """Rupees: the new trigger price. A limit stays as far from it as it was."""
    target: Price | None = None
    """Rupees; for a plan with one target."""
    trail: Price | None = None
    exit_at: PlanTime | None = None

    def summary(self) -> str:
        """`stop 23950, exit_at 2026-11-26 15:12:00+05:30`."""
        return ", ".join(f"{name} {value}" for name, value in self.model_dump(exclude_none=True).items())

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("amendment: give at least one of stop, target, trail, exit_at")
        return self


def time_in_ist(field: str, text: str | None) -> datetime | None:
    """A time as somebody types it, in IST, also if it has no zone. Raises `InvalidOrder`, which names the field."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(IST) if at.tzinfo is not None else at.replace(tzinfo=IST)
    except (ValueError, OverflowError):
        raise InvalidOrder(f"{field}: must be a time, as in '2026-11-26 15:12', was {text[:40]!r}") from None
