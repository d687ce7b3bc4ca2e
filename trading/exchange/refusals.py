"""What the paper exchange refuses at once, as Kite does: with HTTP 400 and without a row in the book.

The texts in constants are Kite's own, so that what reads them on a live account reads them here.
"""

from datetime import date, datetime, time
from decimal import Decimal

from pydantic import ValidationError

from durable_orders.trading.exchange.orders import ExchangeOrder, terms_of
from durable_orders.trading.market.request_limits import Sent
from durable_orders.trading.market.rules import ExchangeRules, LastPrice, Way, rules
from durable_orders.trading.orders.order import Amendment, Terms, Validity
from durable_orders.trading.orders.outcome import Evidence, Refused

MAX_MODIFICATIONS = rules().limits.changes
"""Of one order."""

UNKNOWN_ORDER = "Couldn't find that `order_id`."
NOT_MODIFIABLE = "Order cannot be modified as it is being processed. Try later."
NOT_CANCELLABLE = "Order cannot be cancelled as it is being processed. Try later."
TOO_MANY_MODIFICATIONS = "Maximum allowed order modifications exceeded."


def refused(message: str, error_type: str = "InputException") -> Refused:
    return Refused(evidence=Evidence(message=message, error_type=error_type, http_status=400))


def unknown_order() -> Refused:
    return refused(UNKNOWN_ORDER, "GeneralException")


def placement_refusal(terms: Terms, tick_size: Decimal | None) -> Refused | None:
    """Why an order is not taken, or `None`. `tick_size` is `None` for a symbol that the exchange does not know."""
    if tick_size is None:
        return refused(f"symbol: the exchange does not know {terms.symbol}")
    if terms.order_type.has_trigger and terms.validity is Validity.IOC:
        return refused(f"validity: a {terms.order_type} order cannot be IOC")
    if terms.price is None and terms.trigger_price is None:
        return None
    return _off_tick(terms, tick_size)


def rule_refusal(
    asked: ExchangeRules,
    terms: Terms,
    day: date,
    at: datetime | None,
    last_price: LastPrice,
    ways: frozenset[Way] = frozenset(),
) -> Refused | None:
    """By the rules of exchanges and broker, the first that is broken. `at` is the market's time, if it is open."""
    broken = asked.broken(terms, day, at, last_price, ways)
    return refused(f"{broken[0].rule}: {broken[0]}") if broken else None


def limit_refusal(sent: Sent, day: date, at: datetime | None, *, is_order: bool) -> Refused | None:
    """By the limits on requests, after what was sent already. Kite's type. `at` as for `rule_refusal`."""
    broken = sent.over_minute(at) or (sent.over_day(day) if is_order else None)
    return refused(f"{broken.rule}: {broken}", "NetworkException") if broken else None


def funds_refusal(required: Decimal, available: Decimal) -> Refused:
    """Kite's words and type."""
    words = f"Insufficient funds. Required margin is {required:.2f} but available margin is {available:.2f}."
    return refused(words, "MarginException")


def holdings_refusal(symbol: str, held: int, quantity: int) -> Refused:
    """Kite's type; the words are ours."""
    words = f"Insufficient holdings. {quantity} of {symbol} are to be sold, but {max(held, 0)} can be."
    return refused(words, "HoldingException")


def late_intraday_refusal(cutoff: time) -> Refused:
    """Kite's words."""
    last = f"{cutoff:%I:%M %p}".removeprefix("0")
    return refused(f"Intraday orders (MIS) are allowed only till {last}. Try placing a CNC order.")


def modification_refusal(order: ExchangeOrder, modifications: int) -> Refused | None:
    """Why an order cannot be modified at all. Kite's type for the 26th modification is NetworkException."""
    if not may_change(order):
        return refused(NOT_MODIFIABLE)
    if modifications >= MAX_MODIFICATIONS:
        return refused(TOO_MANY_MODIFICATIONS, "NetworkException")
    return None


def cancel_refusal(order: ExchangeOrder) -> Refused | None:
    return None if may_change(order) else refused(NOT_CANCELLABLE)


def may_change(order: ExchangeOrder) -> bool:
    return order.at_exchange or order.after_market


def terms_after(order: ExchangeOrder, change: Amendment, tick_size: Decimal | None) -> Terms | Refused:
    """The order's terms after a change, or why they cannot be had."""
    if order.triggered and change.trigger_price not in (None, order.trigger_price):
        return refused("trigger_price: the order is triggered already")
    try:
        terms = change.applied_to(terms_of(order))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        return refused(problem["msg"].removeprefix("Value error, "))
    return placement_refusal(terms, tick_size) or terms


def _off_tick(terms: Terms, tick_size: Decimal) -> Refused | None:
    for field, price in (("price", terms.price), ("trigger_price", terms.trigger_price)):
        if price is not None and price % tick_size:
            return refused(f"{field}: {price} is not a multiple of the tick size {tick_size} of {terms.symbol}")
    return None
