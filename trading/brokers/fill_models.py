"""What an order gets when it meets the market: at which price, and how much of it.

A price is composed in four steps, each against the order: the touch (last price and half the spread), slippage,
the tick, and the limit. Whether a round fills all or a part depends only on the seed, the order and the number of
the fill, never on a shared random source: the same seed gives the same fills whatever the number of workers.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from hashlib import sha256

from trading.order import PRICE_PLACES, Side
from trading.settings import Paper

BPS = Decimal(10_000)


def touch(side: Side, last_price: Decimal, settings: Paper) -> Decimal:
    """The other side's best price in rupees, off the tick: the last price, and half the spread if that is enabled."""
    half_spread = settings.spread_bps / 2 if settings.spread_enabled else Decimal(0)
    return moved(side, last_price, half_spread)


def slipped(side: Side, price: Decimal, settings: Paper) -> Decimal:
    return moved(side, price, settings.slippage_bps if settings.slippage_enabled else Decimal(0))


def moved(side: Side, price: Decimal, bps: Decimal) -> Decimal:
    """The price moved by basis points of itself against an order of that side: up for BUY, down for SELL."""
    return price * (1 + side.sign * bps / BPS)


def on_tick(side: Side, price: Decimal, tick_size: Decimal) -> Decimal:
    """The nearest multiple of the tick that is no better for the order; never less than one tick."""
    below = (price // tick_size) * tick_size
    if side is Side.BUY and below != price:
        return below + tick_size
    return max(below, tick_size)


def within_limit(side: Side, price: Decimal, limit: Decimal | None) -> Decimal:
    if limit is None:
        return price
    return min(price, limit) if side is Side.BUY else max(price, limit)


def marketable(side: Side, limit: Decimal | None, last_price: Decimal, settings: Paper) -> bool:
    """Whether the order meets the touch. An order without a limit always does."""
    return limit is None or (limit - touch(side, last_price, settings)) * side.sign >= 0


def marketable_bound(side: Side, last_price: Decimal, settings: Paper) -> Decimal:
    """The worst limit that still meets the touch, to four places: the least for BUY, the greatest for SELL."""
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return touch(side, last_price, settings).quantize(PRICE_PLACES, rounding=rounding)


def fill_price(side: Side, last_price: Decimal, limit: Decimal | None, tick_size: Decimal, settings: Paper) -> Decimal:
    """Rupees a share for a marketable order: on the tick, and never past its limit (which lies on the tick)."""
    price = slipped(side, touch(side, last_price, settings), settings)
    return within_limit(side, on_tick(side, price, tick_size), limit)


def fill_quantity(remaining: int, key: str, number: int, settings: Paper) -> int:
    """Shares filled in one round: all that remain or, with the set probability, a part of at least one share.

    `key` names the order and `number` counts its fills, from 0. The part knows nothing of lots: an order of one
    lot may fill in pieces of it, which no exchange does.
    """
    if not settings.partial_fill_enabled or chance(settings.seed, key, number) >= settings.partial_fill_probability:
        return remaining
    return max(1, int(remaining * settings.partial_fill_ratio))


def chance(seed: int, key: str, number: int) -> float:
    """A number in [0, 1) that is as good as random, and always the same for the same arguments."""
    digest = sha256(f"{seed}:{key}:{number}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
