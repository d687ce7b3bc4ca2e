"""Orders of the paper exchange against a price. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from trading.brokers import fill_models
from trading.brokers.offer import Offer
from trading.brokers.paper_orders import ExchangeOrder, Progress
from trading.order import Side
from trading.settings import Paper


@dataclass(frozen=True, slots=True)
class Matcher:
    """The fill model and the tick sizes of one exchange."""

    settings: Paper
    tick_sizes: Callable[[str], Decimal | None]
    """Rupees by symbol; `None` for a symbol that is not traded, which fills nothing."""

    def match(self, progress: Progress, offer: Offer, *, arriving: bool = False) -> None:
        """One round: trigger the order if its trigger is hit, then fill it, whole or in part, if it is marketable.

        What it takes is taken from the offer. `arriving` is true for an order that has just come to the exchange or
        was just changed, false for one that rests there.
        """
        last_price = offer.tick.last_price
        if progress.order.waits_for_trigger:
            if not trigger_hit(progress.order, last_price):
                return
            progress.trigger()
        order = progress.order
        tick_size = self.tick_sizes(order.symbol)
        if tick_size is None or not fill_models.marketable(order.side, order.price, last_price, self.settings):
            return
        quantity = fill_models.fill_quantity(order.remaining, order.key, order.fill_count, self.settings)
        price = fill_models.fill_price(order.side, last_price, order.price, tick_size, self.settings)
        progress.fill(quantity, price)


def trigger_hit(order: ExchangeOrder, last_price: Decimal) -> bool:
    """A BUY stop triggers at or above its trigger price, a SELL stop at or below it, on the last price."""
    trigger = order.trigger_price
    if trigger is None:
        return False
    return last_price >= trigger if order.side is Side.BUY else last_price <= trigger
