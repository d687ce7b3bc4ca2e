"""Orders of the paper exchange against a tick. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from durable_orders.trading.config.fill_models import FillModels
from durable_orders.trading.exchange import fill_models, liquidity
from durable_orders.trading.exchange.orders import ExchangeOrder, Progress
from durable_orders.trading.exchange.protection import Protection, usual_protection
from durable_orders.trading.market.liquidity import Liquidity
from durable_orders.trading.orders.order import OrderType, Side


@dataclass(frozen=True, slots=True)
class Matcher:
    """The fill models and the tick sizes of one exchange."""

    settings: FillModels
    tick_sizes: Callable[[str], Decimal | None]
    """Rupees by symbol; `None` for a symbol that is not traded, which fills nothing."""

    def arrive(self, progress: Progress, offer: Liquidity, protection: Protection | None = None) -> None:
        """The round of an order that has just come to the exchange, or was just changed. What a MARKET order with
        protection does not fill rests at its limit."""
        order = progress.order
        tick_size = self.tick_sizes(order.symbol)
        protection = protection or usual_protection(order, self.settings)
        if protection is None or tick_size is None or order.order_type is not OrderType.MARKET:
            self._round(progress, offer, tick_size, arriving=True)
            return
        limit = protection.limit(order.side, offer.tick.last_price, tick_size)
        if not protection.price_moved:
            self._round(progress, offer, tick_size, arriving=True, within=limit)
        if order.at_exchange:
            progress.rest_at(limit)

    def match(self, progress: Progress, offer: Liquidity, *, arriving: bool = False) -> None:
        """One round: trigger the order if its trigger is hit, then fill it, whole or in part, if it is marketable.

        What it takes is taken from the offer. `arriving` is true for an order that has just come to the exchange or
        was just changed, false for one that rests there.
        """
        self._round(progress, offer, self.tick_sizes(progress.order.symbol), arriving=arriving)

    def _round(
        self,
        progress: Progress,
        offer: Liquidity,
        tick_size: Decimal | None,
        *,
        arriving: bool,
        within: Decimal | None = None,
    ) -> None:
        """`within` is the worst price of one that has no limit."""
        order = progress.order
        if order.waits_for_trigger:
            if not trigger_hit(order, offer.tick.last_price):
                return
            progress.trigger()
            arriving = True
        if tick_size is None:
            return
        resting = not arriving or order.queue_ahead is not None
        if self.settings.queue_enabled and order.price is not None:
            self._match_in_queue(progress, order.price, offer, tick_size, resting=resting)
            return
        limit = order.price or within
        if limit is None or fill_models.marketable(order.side, limit, offer.tick, self.settings):
            self._take(progress, offer, tick_size, resting=resting, within=within)

    def _take(
        self,
        progress: Progress,
        offer: Liquidity,
        tick_size: Decimal,
        *,
        resting: bool,
        within: Decimal | None = None,
    ) -> None:
        """Trade at what the tick offers: one trade a price."""
        models, order = self.settings, progress.order
        quantity = self._wanted(order, offer)
        if quantity <= 0:
            return
        improves = order.price is None or fill_models.improves(models, resting=resting)
        limit = order.price or within
        pieces = liquidity.walk(order.side, limit, quantity, offer, models)
        total = quantity if len(pieces) == 1 else sum([piece for piece, _ in pieces])
        for piece, met in pieces:
            price = order.price
            if price is None or improves:
                price = fill_models.fill_price(order.side, met, limit, tick_size, total, offer, models)
            progress.fill(piece, price)
        offer.take(order.side, total)

    def _match_in_queue(
        self, progress: Progress, limit: Decimal, offer: Liquidity, tick_size: Decimal, *, resting: bool
    ) -> None:
        """A limit order that comes in meets the touch like any other; one that rests waits for its turn."""
        order, models = progress.order, self.settings
        side = order.side
        meets = liquidity.crossed if resting else fill_models.marketable
        if resting and liquidity.passed(side, limit, offer.tick):
            self._fill_passed(progress, limit, offer, tick_size)
        elif meets(side, limit, offer.tick, models):
            self._take(progress, offer, tick_size, resting=resting)
        elif order.queue_ahead is not None:
            available, left = liquidity.turn(side, limit, order.queue_ahead, offer)
            quantity = min(self._wanted(order, offer), available)
            if quantity > 0:
                progress.fill(quantity, limit)
                offer.take(side, quantity)
            progress.stand_behind(left)
        if progress.order.queue_ahead is None and progress.order.at_exchange:
            progress.stand_behind(liquidity.ahead(side, limit, offer.tick, models))

    def _fill_passed(self, progress: Progress, limit: Decimal, offer: Liquidity, tick_size: Decimal) -> None:
        models, side, quantity = self.settings, progress.order.side, self._wanted(progress.order, offer)
        if quantity <= 0:
            return
        price = limit
        if fill_models.improves(models, resting=True):
            last = offer.tick.last_price
            price = fill_models.fill_price(side, last, limit, tick_size, quantity, offer, models)
        progress.fill(quantity, price)
        offer.take(side, quantity)

    def _wanted(self, order: ExchangeOrder, offer: Liquidity) -> int:
        models, quantity = self.settings, order.remaining
        if models.partial_fill_enabled:
            quantity = fill_models.fill_quantity(quantity, order.key, order.fill_count, models)
        most = liquidity.room(offer, models) if models.volume_limit_enabled else None
        return quantity if most is None else min(quantity, most)


def in_priority(orders: Iterable[ExchangeOrder]) -> list[ExchangeOrder]:
    """By price and then by time, as an exchange serves them; what has no limit comes first."""

    def rank(order: ExchangeOrder) -> tuple[Decimal, str]:
        price = Decimal("-Infinity") if order.price is None else -order.price * order.side.sign
        return price, order.broker_order_id

    return sorted(orders, key=rank)


def trigger_hit(order: ExchangeOrder, last_price: Decimal) -> bool:
    """A BUY stop triggers at or above its trigger price, a SELL stop at or below it, on the last price."""
    trigger = order.trigger_price
    if trigger is None:
        return False
    return last_price >= trigger if order.side is Side.BUY else last_price <= trigger
