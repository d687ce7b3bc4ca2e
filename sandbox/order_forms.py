"""What the client sends with an order request, read from its form. Refuses with Kite's 400 `InputException`.

The client sends the parts of the URL again in the body, and 0 and "" where it means nothing (kiteconnect 5.2.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from pydantic import ValidationError

from durable_orders.sandbox.envelopes import wrong_input
from durable_orders.sandbox.store import Cover, Leg, OrderDetails
from durable_orders.trading.explained import problems
from durable_orders.trading.orders.order import Amendment, OrderType, Product, Side, Tag, Terms, Validity

Form = Mapping[str, object]
Word = TypeVar("Word", bound=StrEnum)

MAX_TAG = 20
MOST_LEGS = 50
TTL = "TTL"
AUTOMATIC = Decimal(-1)
"""Market protection that Kite chooses."""
NO_PROTECTION = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)


class Variety(StrEnum):
    """Those that the sandbox takes."""

    REGULAR = "regular"
    AMO = "amo"
    ICEBERG = "iceberg"
    CO = "co"


@dataclass(frozen=True, slots=True)
class Placement:
    """An order as it was asked for."""

    variety: Variety
    terms: Terms
    tag: Tag | None
    details: OrderDetails
    autoslice: bool = False

    @property
    def exchange(self) -> str:
        return self.terms.symbol.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Modification:
    """What is to change, and the order's details after it."""

    amendment: Amendment
    details: OrderDetails


def read_variety(text: str) -> Variety:
    return _word(Variety, "variety", text)


def read_placement(variety: str, form: Form, user_id: str) -> Placement:
    chosen = read_variety(variety)
    order_type = _word(OrderType, "order_type", _needed(form, "order_type"))
    protection = _protection(form, order_type)
    symbol = f"{_needed(form, 'exchange')}:{_needed(form, 'tradingsymbol')}"
    validity = _text(form, "validity") or Validity.DAY
    minutes = _whole(form, "validity_ttl")
    if (validity == TTL) != (minutes is not None):
        raise wrong_input("`validity_ttl` must be given with validity TTL, and only with it.")
    details = OrderDetails(
        variety=chosen,
        placed_by=user_id,
        validity=TTL if validity == TTL else None,
        validity_ttl=minutes,
        disclosed_quantity=_whole(form, "disclosed_quantity") or 0,
        market_protection=protection,
        system_tags=_protection_tags(protection),
        leg=read_first_leg(form, _whole(form, "quantity") or 0) if chosen is Variety.ICEBERG else None,
        cover=read_cover(form, order_type) if chosen is Variety.CO else None,
    )
    terms = {
        "symbol": symbol,
        "side": _word(Side, "transaction_type", _needed(form, "transaction_type")),
        "quantity": _whole(form, "quantity") or 0,
        "order_type": order_type,
        "price": _number(form, "price") if order_type.has_price else None,
        "trigger_price": _number(form, "trigger_price") if order_type.has_trigger else None,
        "product": _word(Product, "product", _needed(form, "product")),
        "validity": Validity.DAY if validity == TTL else _word(Validity, "validity", validity),
    }
    return Placement(chosen, _terms(terms), _tag(form), details, _text(form, "autoslice") == "true")


def read_first_leg(form: Form, quantity: int) -> Leg:
    """Both figures are needed, 2 to 50 legs (Kite documentation). All but the last are whole."""
    legs, size = _whole(form, "iceberg_legs") or 0, _whole(form, "iceberg_quantity") or 0
    if not 2 <= legs <= MOST_LEGS:
        raise wrong_input(f"Invalid `iceberg_legs`: must be 2 to {MOST_LEGS}.")
    if not (legs - 1) * size < quantity <= legs * size:
        raise wrong_input("Invalid `iceberg_quantity`: the legs must make up the quantity.")
    return Leg(number=1, legs=legs, quantity=size, total=quantity)


def read_cover(form: Form, order_type: OrderType) -> Cover:
    """MARKET and LIMIT, as MIS; `trigger_price` is that of the stop behind it (Kite staff)."""
    if order_type.has_trigger:
        raise wrong_input("Cover orders are MARKET or LIMIT orders.")
    if _needed(form, "product") != Product.MIS:
        raise wrong_input("Invalid `product`: cover orders are placed as MIS.")
    if (trigger := _number(form, "trigger_price")) is None:
        raise wrong_input("Missing or empty field `trigger_price`.")
    return Cover(trigger_price=trigger)


def read_modification(form: Form, present: Terms, details: OrderDetails) -> Modification:
    """What is not given stays. A price that the type has no use for is left out, as Kite does."""
    type_text = _text(form, "order_type")
    order_type = _word(OrderType, "order_type", type_text) if type_text else present.order_type
    if (validity := _text(form, "validity")) and validity != (details.validity or present.validity):
        raise wrong_input("`validity` of an order cannot be modified.")
    changes = {
        "quantity": _whole(form, "quantity"),
        "price": _number(form, "price") if order_type.has_price else None,
        "trigger_price": _number(form, "trigger_price") if order_type.has_trigger else None,
        "order_type": order_type if type_text else None,
    }
    restated: dict[str, object] = {"disclosed_quantity": _whole(form, "disclosed_quantity")}
    if type_text and order_type is not present.order_type:
        protection = _protection(form, order_type)
        restated |= {"market_protection": protection, "system_tags": _protection_tags(protection)}
    known = {field: value for field, value in restated.items() if value is not None}
    try:
        return Modification(Amendment.model_validate(changes), details.model_copy(update=known))
    except ValidationError as error:
        raise wrong_input(first_problem(error)) from None


@dataclass(frozen=True, slots=True)
class Conversion:
    """A position that is to have another product."""

    symbol: str
    side: Side
    """BUY of a long position."""
    quantity: int
    old: Product
    new: Product


def read_conversion(form: Form) -> Conversion:
    if (kind := _needed(form, "position_type")) not in ("day", "overnight"):
        raise wrong_input(f"Invalid `position_type`: {kind}.")
    quantity = _whole(form, "quantity")
    if not quantity:
        raise wrong_input("Missing or empty field `quantity`.")
    return Conversion(
        symbol=f"{_needed(form, 'exchange')}:{_needed(form, 'tradingsymbol')}",
        side=_word(Side, "transaction_type", _needed(form, "transaction_type")),
        quantity=quantity,
        old=_word(Product, "old_product", _needed(form, "old_product")),
        new=_word(Product, "new_product", _needed(form, "new_product")),
    )


def first_problem(error: ValidationError) -> str:
    """As Kite would say it: one field."""
    first = problems(error)[0]
    return f"`{first.path[0]}`: {first.rule}" if first.path else first.rule


def _terms(given: Mapping[str, object]) -> Terms:
    try:
        return Terms.model_validate(given)
    except ValidationError as error:
        raise wrong_input(first_problem(error)) from None


def _protection(form: Form, order_type: OrderType) -> Decimal:
    """Percent; 0 where there is none. Since 1 April 2026 MARKET and SL-M need it (Kite staff)."""
    given = _number(form, "market_protection") or Decimal(0)
    if given != AUTOMATIC and not 0 <= given <= 100:
        raise wrong_input("Invalid `market_protection`: must be -1, or above 0 and up to 100.")
    if not given and not order_type.has_price:
        raise wrong_input(NO_PROTECTION)
    return given


def _protection_tags(protection: Decimal) -> tuple[str, ...]:
    if not protection:
        return ()
    return ("mktp",) if protection == AUTOMATIC else ("mktp", f"mktp:{protection:.2f}")


def _tag(form: Form) -> Tag | None:
    """Longer ones are refused, never cut (Kite staff)."""
    tag = _text(form, "tag")
    if len(tag) > MAX_TAG:
        raise wrong_input(f"Invalid `tag`: must be at most {MAX_TAG} characters.")
    return Tag(tag) if tag else None


def _text(form: Form, field: str) -> str:
    value = form.get(field)
    return value.strip() if isinstance(value, str) else ""


def _needed(form: Form, field: str) -> str:
    if text := _text(form, field):
        return text
    raise wrong_input(f"Missing or empty field `{field}`.")


def _word(kind: type[Word], field: str, text: str) -> Word:
    try:
        return kind(text)
    except ValueError:
        raise wrong_input(f"Invalid `{field}`.") from None


def _number(form: Form, field: str) -> Decimal | None:
    """`None` for nothing, and for 0: the client sends 0 where it means nothing."""
    text = _text(form, field)
    try:
        number = Decimal(text) if text else Decimal(0)
    except InvalidOperation:
        raise wrong_input(f"Invalid `{field}`.") from None
    if not number.is_finite():
        raise wrong_input(f"Invalid `{field}`.")
    return number or None


def _whole(form: Form, field: str) -> int | None:
    number = _number(form, field)
    if number is None:
        return None
    if number != number.to_integral_value() or number < 0:
        raise wrong_input(f"Invalid `{field}`.")
    return int(number)
