"""What `buy` and `sell` take beside a symbol and a quantity, wherever they are called."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, TypedDict, get_type_hints

from pydantic import ValidationError

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.orders.order import Amendment, OrderIntent, OrderType, Product, Side, Validity

_WHOLE = re.compile(r"-?[0-9]{1,18}")


def whole(text: str) -> int | None:
    """A whole number as text, `None` for what is none, with digits alone (see `is_plain`)."""
    return int(text) if _WHOLE.fullmatch(text) else None


class OrderTerms(TypedDict, total=False):
    """The terms that a strategy gives with an order. Those that it leaves out are MARKET, MIS and DAY."""

    order_type: OrderType | str
    """MARKET (if not given), LIMIT, SL or SL-M."""
    price: Decimal | str | int | None
    """Limit price in rupees; for LIMIT and SL."""
    trigger_price: Decimal | str | int | None
    """Rupees; for SL and SL-M."""
    product: Product | str
    """MIS (if not given), CNC, NRML or MTF."""
    validity: Validity | str
    """DAY (if not given), IOC or TTL."""
    reason: str
    """Why; kept with the order, at most 500 characters."""
    client_order_id: str | None
    """A name for the order; the same one again is the same order. Without one it gets an id of its own."""


class Changes(TypedDict, total=False):
    """What may be changed of a working order. What is left out stays as it is."""

    quantity: int
    """The new total, as Kite counts."""
    price: Decimal | str | int
    """Limit price in rupees."""
    trigger_price: Decimal | str | int
    """Rupees."""
    order_type: OrderType | str
    """As of an order."""


class ClientOrderTerms(OrderTerms, total=False):
    """Those of the client, which has no strategy of its own: an order says whose it is."""

    strategy: str
    """Who wants it: `manual` if not given."""


def product_of(product: Product | str) -> Product:
    """Raises `InvalidOrder` for what is none of Kite's."""
    try:
        return Product(product)
    except ValueError:
        raise InvalidOrder(f"product: must be {', '.join(Product)}, was {product!r:.40}") from None


def amendment_of(changes: Mapping[str, Any]) -> Amendment:
    """A change of an order. Raises `InvalidOrder`, which names every field that is wrong and its rule."""
    try:
        return Amendment.model_validate(dict(changes))
    except ValidationError as error:
        raise explained(error) from None


TERMS = frozenset(get_type_hints(OrderTerms))
CLIENT_TERMS = frozenset(get_type_hints(ClientOrderTerms))


def intent_of(
    side: Side, symbol: str, quantity: int, terms: Mapping[str, Any], known: Collection[str], **own: Any
) -> OrderIntent:
    """The intent to buy or sell on these terms. `own` is what the caller says of every order.

    Raises `InvalidOrder`, which names every field that is wrong and its rule, and a term that is not `known`.
    """
    for name, value in terms.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f", did you mean {near[0]}?" if near else ""
            raise InvalidOrder(f"{name}: no term of an order{meant or '; `place` takes a whole OrderIntent'}")
        if name != "client_order_id" or value is not None:
            own[name] = value
    try:
        return OrderIntent(side=side, symbol=symbol, quantity=quantity, **own)
    except ValidationError as error:
        raise explained(error) from None
