"""What plans claim of a position, and what of it others have closed. Pure: who keeps the account says what there is.

A plan's position is a part of the account's: another strategy may be on the other side of it, and plans of both sides
may add up to nothing. So an account that is flat does not say that a plan's position is gone: it is, as far as the
account has less than its plans claim, and somebody who is no plan has closed that much.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from durable_orders.trading.orders.offsets import UNWIND
from durable_orders.trading.orders.order import CLOSING, Product, Side, plan_of
from durable_orders.trading.orders.position_entry import OUTSIDE
from durable_orders.trading.plans.by_gtt import is_placed_for_plan
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.standing import is_over
from durable_orders.trading.plans.state import PlanState

END = datetime.max.replace(tzinfo=UTC)
BY_HAND = (OUTSIDE, "twin", UNWIND, "manual")
"""The strategies of whom closes positions that are not his own: a human, the broker's risk management, a flatten."""


class Claim(Protocol):
    """A part of a position, and whose it is."""

    @property
    def account(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def product(self) -> Product: ...
    @property
    def strategy(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def exit_side(self) -> Side: ...


class Line(NamedTuple):
    """What a plan of several lines holds of one instrument."""

    account: str
    symbol: str
    product: Product
    strategy: str
    side: Side

    @property
    def exit_side(self) -> Side:
        return Side.SELL if self.side is Side.BUY else Side.BUY


class Books(Protocol):
    """What is known of the account in the symbol and product of an intent."""

    def plans(self, intent: PlanIntent, side: Side, since: datetime | None = None) -> list[PlanState]:
        """The open plans on that side, with their orders as they are now; with `since`, those that have ended later,
        too."""

    def refreshed(self, state: PlanState) -> PlanState:
        """With its orders as they are now; the given one stays as it was."""

    def net(self, intent: PlanIntent) -> int:
        """What the account has, signed."""

    def others(self, intent: Claim, since: datetime, until: datetime) -> int:
        """What orders of no plan have closed in that time, less what they opened: those of `BY_HAND` and of the plan's
        own strategy. Of other strategies nothing counts: what those do is their own position."""

    def open_exits(self, intent: PlanIntent) -> Mapping[str, int]:
        """How much each open order on the exit's side may still trade, by its order id."""


class ByOthers(NamedTuple):
    """What others have closed of a plan since it began, beyond what it knows of."""

    missing: int = 0
    """Of what it holds."""
    oversold: int = 0
    """Of what its exits have closed after that."""
    returned: int = 0
    """What it has let go of, and nobody else has closed: what its GTT's order had traded by then was taken for others'
    until the broker said whose it is."""


def unclaimed(books: Books, intent: PlanIntent, held: int) -> int:
    """How much of what can be closed, `held`, is closed by no open exit yet, and by no plan's next one."""
    working = dict(books.open_exits(intent))
    claimed = 0
    for state in books.plans(intent, intent.side):
        exits = sum(working.pop(child.order.order_id, 0) for child in state.exits())
        claimed += max(state.exposed, exits)
    return max(held - claimed - sum(working.values()), 0)


def claim_problem(books: Books, intent: PlanIntent, held: int) -> str | None:
    """An OCO closes what is there already, and what no other open exit closes: why it cannot."""
    free = unclaimed(books, intent, held)
    if free >= intent.quantity:
        return None
    of_others = f", {held - free} of {held} are closed by other open exits" if free < held else ""
    return f"quantity: {intent.quantity} are to be closed, and {free} of {intent.symbol} can be{of_others}"


def closed_by_others(books: Books, told: PlanState) -> ByOthers:
    """Plans of one side share what is missing: the oldest one first. What was oversold is of the exit that traded
    last."""
    intent = told.intent
    if told.refusals or not (told.exposed or told.closed):
        return ByOthers()
    same = {state.intent.plan_id: state for state in books.plans(intent, intent.side, told.created_at)}
    own = same[intent.plan_id] = books.refreshed(told)
    there, lost = _there(books, intent), {name: state.lost for name, state in same.items()}
    claims = {name: 0 if is_over(state) else state.exposed for name, state in same.items()}
    claims[intent.plan_id] = min(own.exposed, told.exposed)
    left, missing = sum(claims.values()) - max(there, 0), 0
    let_go = sum(leg.lost for leg in own.legs)
    returned = max(min(let_go, -_unshared(books, same, own, lost)), 0) if let_go and intent.by_gtt else 0
    for name, state in sorted(same.items(), key=lambda each: (each[1].created_at, each[0])):
        missing = max(min(left, claims[name], _unshared(books, same, state, lost)), 0) if left > 0 else 0
        left, lost[name] = left - missing, lost[name] + missing
        if state is own:
            break
    traded_at = _traded_at(own)
    if there >= 0 or traded_at is None or any((_traded_at(state) or traded_at) > traded_at for state in same.values()):
        return ByOthers(missing, returned=returned)
    oversold = max(min(-there, own.closed, _unshared(books, same, own, lost, traded_at)), 0)
    return ByOthers(missing, oversold, returned)


def excess_left(books: Books, intent: PlanIntent, excess: int) -> int:
    """How much of it is still there, where more went out of a plan than came in: the account lacks it."""
    claimed = sum(state.exposed for state in books.plans(intent, intent.side))
    return min(max(claimed - _there(books, intent), 0), excess)


def closed_of_line(books: Books, line: Line, quantity: int, ours: int, since: datetime) -> int:
    """How much of what a plan holds others have closed since it began: no more than the account lacks, `ours` being
    what it has, signed."""
    lacking = quantity - max(ours * line.side.sign, 0)
    return max(min(lacking, books.others(line, since, END)), 0)


def closes_excess(client_order_id: str, reason: str) -> bool:
    """Whether it is a plan's own order that closes what went out too much."""
    name = client_order_id.removeprefix(CLOSING).rpartition("-")[0]
    return client_order_id.startswith(CLOSING) and reason.startswith(f"plan {name}:")


def is_of_a_plan(client_order_id: str, reason: str) -> bool:
    """Whether what it trades is a plan's: one of its orders, or of its GTTs'."""
    return (
        plan_of(client_order_id) is not None
        or closes_excess(client_order_id, reason)
        or is_placed_for_plan(client_order_id, reason)
    )


def _unshared(
    books: Books, same: dict[str, PlanState], own: PlanState, lost: dict[str, int], until: datetime = END
) -> int:
    """What others have closed since the plan began that no plan has let go of. What an older plan has let go of may
    have been closed before this one began: so it counts only against what was closed since that one did."""
    older = [state.created_at for state in same.values() if state.created_at <= own.created_at]
    let_go = {
        since: sum(lost[name] for name, state in same.items() if since <= state.created_at <= until) for since in older
    }
    return min(books.others(own.intent, since, until) - gone for since, gone in let_go.items())


def _traded_at(state: PlanState) -> datetime | None:
    """When one of its exits traded last."""
    return max((fill.at for child in state.exits() for fill in child.order.fills), default=None)


def _there(books: Books, intent: PlanIntent) -> int:
    """What the account has on the plan's side, before the plans of the other side are set off against it."""
    other = sum(state.exposed for state in books.plans(intent, intent.exit_side))
    return books.net(intent) * intent.side.sign + other
