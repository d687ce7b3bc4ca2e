"""What an order gets when it meets the market: at which price, and how much of it. Pure.

A price is composed in steps, each against the order: the touch (the order book's best price, or the last price and
half the spread), slippage, impact, the tick, and the limit. Whether a round fills all or a part depends only on the
seed, the order and the number of the fill, never on a shared random source: the same seed gives the same fills
whatever the number of workers. docs/paper-market.md has the formulas and where they come from.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from hashlib import sha256

from durable_orders.trading.config.fill_models import FillModels, PriceImprovement
from durable_orders.trading.market.liquidity import Liquidity
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import PRICE_PLACES, Side

BPS = Decimal(10_000)
ONE = Decimal(1)
BUY = Side.BUY


class Request(StrEnum):
    """What takes time on its way to the exchange."""

    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"


def latency(request: Request, models: FillModels) -> float:
    """Seconds from the request to its arrival at the exchange."""
    if not models.latency_enabled:
        return 0.0
    own = {Request.MODIFY: models.modify_latency_ms, Request.CANCEL: models.cancel_latency_ms}.get(request)
    return (models.latency_ms if own is None else own) / 1000


def touch(side: Side, tick: Tick, models: FillModels) -> Decimal | None:
    """The other side's best price in rupees, off the tick size; `None` if its order book is shown and empty."""
    if models.depth_enabled:
        if tick.depth is not None:
            levels = tick.depth.asks if side is BUY else tick.depth.bids
            return levels[0].price if levels else None
        quoted = tick.ask if side is BUY else tick.bid
        if quoted is not None:
            return quoted
    if not models.spread_enabled:
        return tick.last_price
    return moved(side, tick.last_price, models.spread_bps / 2 * time_factor(tick, models))


def time_factor(tick: Tick, models: FillModels) -> Decimal:
    """What spread and slippage are multiplied by at the tick's time of day."""
    if models.time_of_day_enabled:
        clock = tick.at.time()
        for part in models.time_of_day:
            if part.opens <= clock < part.closes:
                return part.factor
    return ONE


def worsened(side: Side, price: Decimal, quantity: int, offer: Liquidity, models: FillModels) -> Decimal:
    """The price after slippage and impact, for an order that takes so many units."""
    if models.slippage_enabled:
        factor = time_factor(offer.tick, models) if models.time_of_day_enabled else ONE
        price = moved(side, price, models.slippage_bps * factor)
    if models.volume_impact_enabled or models.square_root_enabled:
        price *= 1 + side.sign * impact(quantity, offer, models)
    return price


def impact(quantity: int, offer: Liquidity, models: FillModels) -> Decimal:
    """The part of the price by which the order moves it, by all models that are enabled."""
    moves = Decimal(0)
    if models.volume_impact_enabled and offer.traded is not None:
        share = _share(offer.bought + offer.sold + quantity, offer.traded)
        moves += models.volume_impact * share * share
    if models.square_root_enabled and (day := models.daily_volume or offer.tick.volume):
        moves += models.square_root_coefficient * models.daily_volatility_bps / BPS * _share(quantity, day).sqrt()
    return moves


def _share(part: int, whole: int) -> Decimal:
    """At most 1: a model of what trading moves says nothing beyond all that is traded."""
    return ONE if part >= whole else Decimal(part) / whole


def moved(side: Side, price: Decimal, bps: Decimal) -> Decimal:
    """The price moved by basis points of itself against an order of that side: up for BUY, down for SELL."""
    return price * (1 + side.sign * bps / BPS)


def on_tick(side: Side, price: Decimal, tick_size: Decimal) -> Decimal:
    """The nearest multiple of the tick that is no better for the order; never less than one tick."""
    below = (price // tick_size) * tick_size
    if side is BUY and below != price:
        return below + tick_size
    return max(below, tick_size)


def within_limit(side: Side, price: Decimal, limit: Decimal | None) -> Decimal:
    if limit is None:
        return price
    return min(price, limit) if side is BUY else max(price, limit)


def marketable(side: Side, limit: Decimal | None, tick: Tick, models: FillModels) -> bool:
    """Whether the order meets the touch. An order without a limit does whenever there is one."""
    met = touch(side, tick, models)
    return met is not None and (limit is None or (limit - met) * side.sign >= 0)


def worst_met(side: Side, tick: Tick, models: FillModels) -> Decimal | None:
    """The price of the tick that a limit has to meet: the touch, with queues also the last price, at which a resting
    order may come to its turn. `None`: none does."""
    met = touch(side, tick, models)
    if models.queue_enabled:
        met = tick.last_price if met is None else (min if side is BUY else max)(met, tick.last_price)
    return met


def marketable_bound(side: Side, tick: Tick, models: FillModels) -> Decimal | None:
    """The worst limit that the tick may fill, to four places: the least for BUY, the greatest for SELL."""
    met = worst_met(side, tick, models)
    rounding = ROUND_CEILING if side is BUY else ROUND_FLOOR
    return None if met is None else met.quantize(PRICE_PLACES, rounding=rounding)


def fill_price(
    side: Side,
    met: Decimal,
    limit: Decimal | None,
    tick_size: Decimal,
    quantity: int,
    offer: Liquidity,
    models: FillModels,
) -> Decimal:
    """Rupees a share for what meets that price: on the tick, and never past the limit (which lies on the tick)."""
    price = on_tick(side, worsened(side, met, quantity, offer, models), tick_size)
    return price if limit is None else within_limit(side, price, limit)


def improves(models: FillModels, *, resting: bool) -> bool:
    """Whether a limit order gets a better price than its limit, if there is one."""
    wanted = models.price_improvement
    return wanted is PriceImprovement.ALWAYS or (wanted is PriceImprovement.ON_ARRIVAL and not resting)


def fill_quantity(remaining: int, key: str, number: int, models: FillModels) -> int:
    """Shares filled in one round: all that remain or, with the set probability, a part of at least one share.

    `key` names the order and `number` counts its fills, from 0. The part knows nothing of lots: an order of one
    lot may fill in pieces of it, which no exchange does.
    """
    if not models.partial_fill_enabled or chance(models.seed, key, number) >= models.partial_fill_probability:
        return remaining
    return max(1, int(remaining * models.partial_fill_ratio))


def chance(seed: int, key: str, number: int) -> float:
    """A number in [0, 1) that is as good as random, and always the same for the same arguments."""
    digest = sha256(f"{seed}:{key}:{number}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
