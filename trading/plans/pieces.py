"""A plan of several lines as it stands: the legs of a basket, or the slices of a schedule. It can travel through
workflow history and ledger."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Literal

from pydantic import AwareDatetime, Field

from durable_orders.trading.orders.order import Product, Quantity, Side, Status
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import (
    AWAITS_PERSON,
    Child,
    Mutable,
    PlanHolding,
    PlanOrder,
    PlanStatus,
    PlanView,
    number_of,
    row_of,
)

LineIntent = BasketIntent | ScheduleIntent


class Piece(Mutable):
    """One line: so much of one instrument."""

    symbol: str
    side: Side
    product: Product
    quantity: Quantity
    terms: LineTerms = Field(default_factory=LineTerms)
    children: list[Child] = Field(default_factory=list)

    @property
    def filled(self) -> int:
        return sum(child.filled for child in self.children)

    @property
    def may_fill(self) -> int:
        return sum(child.may_fill for child in self.children)

    @property
    def is_done(self) -> bool:
        return self.filled >= self.quantity

    @property
    def next_number(self) -> int:
        """The lowest that none of its orders has: after a reset an order may be known before one that was started
        earlier, and each name is one order."""
        taken = {number_of(child.client_order_id) for child in self.children}
        return next(number for number in count(1) if number not in taken)

    def take(self, child: Child) -> None:
        self.children.append(child)
        self.children.sort(key=lambda each: number_of(each.client_order_id))

    @property
    def key(self) -> tuple[str, Product]:
        return self.symbol, self.product

    @property
    def value(self) -> Decimal:
        """Rupees a unit times the quantity that was traded: what its fills came to."""
        return sum((fill.price * fill.quantity for child in self.children for fill in child.order.fills), Decimal(0))


class LinesState(Mutable):
    """All that such a plan knows."""

    family: Literal["lines"] = "lines"
    intent: LineIntent
    created_at: AwareDatetime
    pieces: list[Piece]
    closings: list[Child] = Field(default_factory=list)
    """Orders that close what is not to be kept, by the account's closing function."""
    covered: dict[str, int] = Field(default_factory=dict)
    """By instrument and product, unsigned: what others have closed of it."""
    began_at: AwareDatetime | None = None
    """When its first order was placed."""
    gives_up: str = ""
    """Why not all of it could be had, where that is so: what was had is closed."""
    is_finished: bool = False
    """Of a schedule: whether its time is over, or all of it is traded."""
    told: list[str] = Field(default_factory=list)
    """Orders whose end was alerted."""
    is_cancelled: bool = False
    is_leaving: bool = False
    """Whether what it holds is to be closed."""
    why: str = ""
    refusals: tuple[str, ...] = ()
    waits: str = ""
    """Why nothing can be closed now, where that is so."""
    tries: dict[str, int] = Field(default_factory=dict)
    """By instrument and product: how often it was tried to close it."""
    next_try: dict[str, AwareDatetime] = Field(default_factory=dict)
    version: int = 0
    """How often it was recorded."""

    @property
    def closes(self) -> bool:
        """Whether what it holds is not to be kept."""
        return self.is_leaving or bool(self.gives_up)

    @property
    def awaits_approval(self) -> bool:
        """Whether a person has yet to approve it."""
        return self.intent.approve and not any(child.is_approved for child in self.children())

    def children(self) -> Iterator[Child]:
        for piece in self.pieces:
            yield from piece.children
        yield from self.closings

    def child(self, client_order_id: str) -> Child | None:
        return next((each for each in self.children() if each.client_order_id == client_order_id), None)

    def held(self) -> dict[tuple[str, Product], int]:
        """By instrument, signed: what it has traded less what was closed of it. Without those it holds nothing of."""
        found: dict[tuple[str, Product], int] = {}
        for piece in self.pieces:
            found[piece.key] = found.get(piece.key, 0) + piece.filled * piece.side.sign
        for child in self.closings:
            key = child.order.symbol, child.order.product
            found[key] = found.get(key, 0) + child.filled * child.order.side.sign
        for (symbol, product), quantity in found.items():
            covered = self.covered.get(f"{symbol} {product}", 0)
            found[symbol, product] = quantity - covered if quantity > 0 else quantity + covered
        return {key: quantity for key, quantity in found.items() if quantity}

    @property
    def is_had(self) -> bool:
        """Whether all that was wanted is traded."""
        if isinstance(self.intent, ScheduleIntent):
            return sum(piece.filled for piece in self.pieces) >= self.intent.quantity
        return all(piece.is_done for piece in self.pieces)

    @property
    def is_over(self) -> bool:
        """Whether all its orders are, and no other one is to come."""
        if self.refusals:
            return True
        if any(child.is_live for child in self.children()):
            return False
        if self.closes:
            return not self.held() or (self.is_cancelled and not self.is_leaving)
        return self.is_cancelled or self.is_finished or self.is_had

    @property
    def status(self) -> PlanStatus:
        if self.refusals:
            return PlanStatus.REJECTED
        held = self.held()
        if not self.is_over:
            if held:
                return PlanStatus.OPEN
            has_begun = not self.awaits_approval and any(True for _ in self.children())
            return PlanStatus.WORKING if has_begun else PlanStatus.PENDING
        traded = any(piece.filled for piece in self.pieces)
        if not traded:
            refused = any(child.order.status is Status.REJECTED for child in self.children())
            return PlanStatus.REJECTED if refused else PlanStatus.CANCELLED
        if not held:
            return PlanStatus.COMPENSATED if self.gives_up else PlanStatus.CLOSED
        return PlanStatus.FILLED if self.is_had else PlanStatus.LEFT

    def view(self) -> PlanView:
        intent, held = self.intent, self.held()
        rows: list[PlanOrder] = []
        for number, piece in enumerate(self.pieces, 1):
            rows += [row_of(child, f"{line_of(intent)} {number}") for child in piece.children]
        rows += [row_of(child, "close") for child in self.closings]
        said = [*self.refusals, *(words for words in (self.gives_up, self.why, self.waits) if words)]
        if self.awaits_approval and not self.is_over:
            said.append(AWAITS_PERSON)
        symbol, total = "", sum(abs(quantity) for quantity in held.values())
        if isinstance(intent, ScheduleIntent):
            symbol, total = intent.symbol, sum(held.values())
            if self.is_finished and not self.is_had:
                traded = sum(piece.filled for piece in self.pieces)
                said.append(f"its time is over: {traded} of {intent.quantity} were traded")
        return PlanView(
            plan_id=intent.plan_id,
            status=self.status,
            protected=None,
            unprotected_since=None,
            kind=intent.summary().partition(" ")[0],
            summary=intent.summary(),
            symbol=symbol,
            strategy=intent.strategy,
            held=total,
            stop=None,
            reasons=tuple(said),
            orders=tuple(rows),
            holdings=tuple(PlanHolding(symbol=s, product=p, quantity=q) for (s, p), q in sorted(held.items())),
        )

    def recordable(self) -> object:
        """What is worth another writing."""
        asked = (self.is_cancelled, self.is_leaving, self.is_finished, self.gives_up, self.began_at, len(self.told))
        return self.view(), asked, tuple(self.covered.items())


def basket_state(intent: BasketIntent, at: AwareDatetime) -> LinesState:
    pieces = [
        Piece(symbol=leg.symbol, side=leg.side, product=leg.product, quantity=leg.quantity) for leg in intent.legs
    ]
    return LinesState(intent=intent, created_at=at, pieces=pieces)


def schedule_state(intent: ScheduleIntent, at: AwareDatetime) -> LinesState:
    """Its slices have their sizes once they are drawn."""
    slices = [
        Piece(symbol=intent.symbol, side=intent.side, product=intent.product, quantity=1) for _ in range(intent.slices)
    ]
    return LinesState(intent=intent, created_at=at, pieces=slices)


def line_of(intent: LineIntent) -> str:
    """What one of its lines is called."""
    return "slice" if isinstance(intent, ScheduleIntent) else "leg"


def piece_name(intent: LineIntent, piece: int, number: int) -> str:
    """Of an order of a line; both from 1."""
    return f"{intent.plan_id}.{line_of(intent)}-{piece}-{number}"
