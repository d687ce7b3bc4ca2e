"""What a basket and a schedule take beside their legs or a symbol and a quantity, wherever they are called."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any, TypedDict, get_type_hints

from pydantic import ValidationError

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.plans.basket import BasketIntent, BasketLeg
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.terms import Money, must_be_terms


class LinesTerms(TypedDict, total=False):
    """Of both."""

    reason: str
    """Why; kept with the plan, at most 300 characters."""
    plan_id: str | None
    """A name for the plan; the same one again is the same plan. Without one it gets an id of its own."""


class BasketLimits(LinesTerms, total=False):
    """Within which all legs are had, or none of them is kept."""

    within: float
    """Seconds from the first leg to the last fill; 30 if not given."""
    max_loss: Money | None
    """Rupees: what the legs that filled may lose while others are waited for."""
    net_debit: Money | None
    """Rupees a unit that the basket may cost at most."""
    net_credit: Money | None
    """Rupees a unit that it has to bring in at least."""
    hedged: bool
    """Whether every option that is sold has to be covered by one that is bought."""


class TwapTerms(LinesTerms, total=False):
    """How a quantity goes out in parts."""

    begins_at: datetime | time | str | None
    """When the first part goes out; now if not given. For a strategy also a time of the day, as in `"10:00"`."""
    ends_at: datetime | time | str
    """The end of the last part's time."""
    slices: int
    """In how many parts."""
    price: Money | None
    """Rupees: no part is bought dearer or sold cheaper; without it, each is at the market."""
    randomise: int
    """Percent by which a part may be greater or smaller than its share; drawn once."""
    profile: Sequence[Money]
    """The market's volume in the time of each part, of whatever unit: that makes it a VWAP."""
    catch_up: bool
    """Whether what a part has not traded is added to the next one; yes if not given."""
    product: Product | str
    """MIS if not given."""


BASKET, TWAP_TERMS = (frozenset(get_type_hints(each)) for each in (BasketLimits, TwapTerms))


def basket_of(content: Mapping[str, Any]) -> BasketIntent:
    """Raises `InvalidOrder`, which names the leg, the field and the rule."""
    legs = []
    for number, leg in enumerate(content["legs"], 1):
        try:
            legs.append(BasketLeg.model_validate(leg))
        except ValidationError as error:
            raise InvalidOrder(f"leg {number}: {explained(error)}") from None
    try:
        return BasketIntent.model_validate({**content, "legs": legs})
    except ValidationError as error:
        raise explained(error) from None


def asked_basket(
    legs: Sequence[BasketLeg | Mapping[str, Any]], terms: Mapping[str, Any], own: Mapping[str, Any]
) -> BasketIntent:
    """The same on terms that code has given. `own` is what the caller says of every plan. Raises as `basket_of`, and
    for a term that there is not."""
    must_be_terms(terms, BASKET)
    return basket_of({**terms, **own, "legs": legs})


def schedule_of(content: Mapping[str, Any]) -> ScheduleIntent:
    """Raises `InvalidOrder`, which names every field that is wrong and its rule."""
    try:
        return ScheduleIntent.model_validate(dict(content))
    except ValidationError as error:
        raise explained(error) from None


def asked_twap(
    side: Side | str, symbol: str, quantity: int, terms: Mapping[str, Any], own: Mapping[str, Any]
) -> ScheduleIntent:
    """The same on terms that code has given. Raises as `schedule_of`, and for a term that there is not."""
    must_be_terms(terms, TWAP_TERMS)
    return schedule_of({**terms, **own, "side": side, "symbol": symbol, "quantity": quantity})
