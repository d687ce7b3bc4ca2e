"""What a bracket and an OCO take beside a symbol and a quantity, wherever they are called."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, TypedDict, get_type_hints

from pydantic import ValidationError

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.orders.order import OrderType, Product, Side
from durable_orders.trading.plans.plan import PlanChange, PlanIntent, Protect

Money = Decimal | str | int
Target = Money | tuple[Money, int]
"""A price in rupees, or one with the quantity that it is for."""


class ExitTerms(TypedDict, total=False):
    """How what is held is closed."""

    stop: Money | None
    """Rupees: where the position is given up."""
    stop_limit: Money | None
    """Rupees: limit of the stop, which options need; then it is SL, and else SL-M."""
    target: Target | Sequence[Target] | None
    """Rupees: where profit is taken; several as a list, each with a quantity of its own as in `("110", 25)`."""
    trail: Money | None
    """Points: the stop follows the best price at this distance."""
    protect: Protect | str | None
    """`"broker"`: the stop outlives worker and day, as a GTT (CNC, NRML, MTF; live). It needs a `stop_limit`."""
    exit_at: datetime | time | str | None
    """When what is left is closed at the market; for a strategy also a time of the day, as in `"15:10"`."""
    product: Product | str
    """MIS (if not given), CNC, NRML or MTF."""
    reason: str
    """Why; kept with the plan, at most 300 characters."""
    plan_id: str | None
    """A name for the plan; the same one again is the same plan. Without one it gets an id of its own."""


class BracketTerms(ExitTerms, total=False):
    """Those of an entry, too."""

    price: Money | None
    """Rupees: limit of the entry; without it, at the market."""
    trigger: Money | None
    """Rupees: the entry waits for this price."""
    break_even: Money | None
    """Rupees: once that is traded, the stop goes to what the entry cost."""


class PlanChanges(TypedDict, total=False):
    """What may be changed of a plan. What is left out stays as it is."""

    stop: Money
    """Rupees: the new trigger price."""
    target: Money
    """Rupees; of a plan with one target."""
    trail: Money
    """Points."""
    exit_at: datetime | time | str
    """When what is left is closed at the market."""


BRACKET, OCO, CHANGES = (frozenset(get_type_hints(each)) for each in (BracketTerms, ExitTerms, PlanChanges))
ENTRIES = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.SL_M,
    (True, True): OrderType.SL,
}
"""By whether there is a price, and a trigger."""


def bracket_of(side: Side | str, symbol: str, quantity: int, terms: Mapping[str, Any], **own: Any) -> PlanIntent:
    """The plan to open a position on these terms. `own` is what the caller says of every plan, its `plan_id` too.

    Raises `InvalidOrder`, which names every field that is wrong and its rule, and a term that there is not.
    """
    must_be_terms(terms, BRACKET)
    price, trigger = terms.get("price"), terms.get("trigger")
    kind = ENTRIES[price is not None, trigger is not None]
    entry = {"order_type": kind, "price": price, "trigger_price": trigger}
    return _made(_content(side, symbol, quantity, terms) | {"entry": entry} | own)


def oco_of(side: Side | str, symbol: str, quantity: int, terms: Mapping[str, Any], **own: Any) -> PlanIntent:
    """The plan that closes what is held: with SELL a long position. Raises as `bracket_of`."""
    must_be_terms(terms, OCO)
    try:
        held = Side.BUY if Side(side) is Side.SELL else Side.SELL
    except ValueError:
        raise InvalidOrder(f"side: must be BUY or SELL, was {side!r:.40}") from None
    return _made(_content(held, symbol, quantity, terms) | own)


def change_of(changes: Mapping[str, Any]) -> PlanChange:
    """Raises `InvalidOrder`, which names every field that is wrong and its rule."""
    must_be_terms(changes, CHANGES)
    try:
        return PlanChange.model_validate(dict(changes))
    except ValidationError as error:
        raise explained(error) from None


def _content(side: Side | str, symbol: str, quantity: int, terms: Mapping[str, Any]) -> dict[str, Any]:
    content = {"side": side, "symbol": symbol, "quantity": quantity}
    content |= {name: terms[name] for name in ("product", "reason", "exit_at", "protect") if name in terms}
    stop = terms.get("stop")
    bound = {"limit_price": "stop_limit", "trail": "trail", "break_even": "break_even"}
    more = {field: terms[name] for field, name in bound.items() if terms.get(name) is not None}
    if stop is None and more:
        named = next(name for field, name in bound.items() if field in more)
        raise InvalidOrder(f"{named}: there is no stop to go with it")
    content["stop"] = None if stop is None else {"trigger_price": stop} | more
    return content | {"targets": tuple(map(_target, _listed(terms.get("target"))))}


def _listed(target: Any) -> list[Any]:
    if target is None:
        return []
    return list(target) if isinstance(target, list | tuple) and not _is_pair(target) else [target]


def _is_pair(target: Sequence[Any]) -> bool:
    """A price with its quantity: only a tuple of two is one."""
    return isinstance(target, tuple) and len(target) == 2


def _target(told: Any) -> dict[str, Any]:
    if isinstance(told, list | tuple):
        if len(told) != 2:
            raise InvalidOrder(f"target: must be a price, or ('110', 25), one with its quantity; was {told!r:.40}")
        return {"price": told[0], "quantity": told[1]}
    return {"price": told}


def must_be_terms(terms: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raises `InvalidOrder` for a term that there is not."""
    for name in terms:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise InvalidOrder(f"{name}: no term of a plan{f', did you mean {near[0]}?' if near else ''}")


def _made(content: dict[str, Any]) -> PlanIntent:
    try:
        return PlanIntent(**content)
    except ValidationError as error:
        raise explained(error) from None
