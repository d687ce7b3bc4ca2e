"""How much of a tick an order can have: the volume that was traded, the levels of the book, the place in a queue. Pure.

docs/paper-market.md has the rules and where they come from.
"""

from decimal import Decimal

from durable_orders.trading.config.fill_models import FillModels
from durable_orders.trading.exchange.fill_models import touch
from durable_orders.trading.market.liquidity import Liquidity
from durable_orders.trading.market.ticks import LEVELS, Depth, Level, Tick
from durable_orders.trading.orders.order import Side


def room(offer: Liquidity, models: FillModels) -> int | None:
    """Units that the volume limit still leaves of this tick; `None` where it sets no bound."""
    if not models.volume_limit_enabled or offer.traded is None:
        return None
    return max(int(offer.traded * models.volume_limit) - offer.bought - offer.sold, 0)


def walk(
    side: Side, limit: Decimal | None, quantity: int, offer: Liquidity, models: FillModels
) -> list[tuple[int, Decimal]]:
    """Units and the price that they meet, in rupees, best first and none past the limit.

    One piece without an order book to walk; with one, a piece a level, as far as the shown levels and what other
    orders have left of them go.
    """
    if not models.depth_enabled or offer.tick.depth is None:
        met = touch(side, offer.tick, models)
        return [] if met is None else [(quantity, met)]
    gone, pieces = offer.taken(side), []
    for level in _opposite(side, offer.tick.depth):
        if quantity <= 0 or (limit is not None and (limit - level.price) * side.sign < 0):
            break
        piece = min(quantity, max(level.quantity - gone, 0))
        gone = max(gone - level.quantity, 0)
        if piece:
            pieces.append((piece, level.price))
            quantity -= piece
    return pieces


def ahead(side: Side, limit: Decimal, tick: Tick, models: FillModels) -> int:
    """Units that were at a limit before an order comes to rest there.

    What the book shows at that price; nothing at a better price than its best or between two levels. Beyond its last
    level, or without a book, it is `queue_quantity`.
    """
    if tick.depth is None:
        return models.queue_quantity
    shown = _own(side, tick.depth)
    if len(shown) == LEVELS and (limit - shown[-1].price) * side.sign < 0:
        return models.queue_quantity
    return _at(limit, shown)


def passed(side: Side, limit: Decimal, tick: Tick) -> bool:
    """Whether the price went past a limit, so that everybody who waited there has traded."""
    return (limit - tick.last_price) * side.sign > 0


def crossed(side: Side, limit: Decimal, tick: Tick, models: FillModels) -> bool:
    """Whether the book shows the other side at a limit or beyond it."""
    if not models.depth_enabled or (tick.depth is None and (tick.ask if side is Side.BUY else tick.bid) is None):
        return False
    met = touch(side, tick, models)
    return met is not None and (limit - met) * side.sign >= 0


def turn(side: Side, limit: Decimal, queue_ahead: int, offer: Liquidity) -> tuple[int, int]:
    """Units that a resting order may have of what traded at its price, and how many are then ahead of it.

    The queue moves only when shares trade at its price (hftbacktest's risk-averse model), and is never longer than
    the level that the book still shows.
    """
    if offer.tick.last_price != limit or offer.traded is None:
        return 0, queue_ahead
    available = max(offer.traded - queue_ahead - offer.taken(side), 0)
    left = max(queue_ahead - offer.traded, 0)
    if offer.tick.depth is not None:
        left = min(left, _at(limit, _own(side, offer.tick.depth)))
    return available, left


def _opposite(side: Side, depth: Depth) -> tuple[Level, ...]:
    return depth.asks if side is Side.BUY else depth.bids


def _own(side: Side, depth: Depth) -> tuple[Level, ...]:
    return depth.bids if side is Side.BUY else depth.asks


def _at(price: Decimal, levels: tuple[Level, ...]) -> int:
    return sum(level.quantity for level in levels if level.price == price)
