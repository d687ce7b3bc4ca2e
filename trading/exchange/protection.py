"""Market protection: what a MARKET order does not fill at once rests as a LIMIT some percent beyond the last price.

Kite takes a MARKET order from the API with protection alone, and turns it into such a limit (since 1 April 2026). That
is still no promise: when the price has moved on meanwhile, the order rests.
"""

from dataclasses import dataclass
from decimal import Decimal

from durable_orders.trading.config.fill_models import FillModels
from durable_orders.trading.exchange.fill_models import chance
from durable_orders.trading.exchange.orders import ExchangeOrder
from durable_orders.trading.market.rules import rules
from durable_orders.trading.orders.order import OrderType, Side

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Protection:
    """Of one MARKET order."""

    percent: Decimal
    """Of the last price."""
    price_moved: bool = False
    """Whether the price has moved on by more than that before the order came: all of it rests."""

    def limit(self, side: Side, last: Decimal, tick_size: Decimal) -> Decimal:
        """In rupees, on the tick."""
        toward = -1 if self.price_moved else 1
        raw = last * (1 + toward * side.sign * self.percent / HUNDRED)
        below = (raw // tick_size) * tick_size
        price = below + tick_size if side is Side.SELL and below != raw else below
        return max(price, tick_size)


def usual_protection(order: ExchangeOrder, models: FillModels) -> Protection | None:
    """Of an order that says nothing of its own: the exchange's, on days on which the rule holds, or where it is to rest
    by chance; else none."""
    if order.order_type is not OrderType.MARKET or not models.market_protection_enabled:
        return None
    rule = rules().market_protection
    price_moved = models.market_rests_probability > 0 and rests_by_chance(order, models)
    return Protection(rule.percent, price_moved) if price_moved or order.session >= rule.since else None


def protection_of(percent: Decimal, *, price_moved: bool = False) -> Protection:
    """What the sender has asked for: -1 leaves the percentage to the broker."""
    return Protection(percent if percent > 0 else rules().market_protection.percent, price_moved)


def rests_by_chance(order: ExchangeOrder, models: FillModels) -> bool:
    probability = models.market_rests_probability
    return probability > 0 and chance(models.seed, f"{order.key} rests", 0) < probability
