"""Ticks with an order book, and orders to match against them without any exchange around."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.matching import Matcher
from durable_orders.trading.exchange.orders import Progress, received
from durable_orders.trading.market.liquidity import Liquidity
from durable_orders.trading.market.ticks import Depth, Level, Tick
from durable_orders.trading.orders.order import BrokerOrderId, OrderType, Side, Tag, Terms
from tests.trading.exchange.exchange import INFY, OPENS, tick_size

Pairs = tuple[tuple[str, int], ...]
Book = tuple[Pairs, Pairs]
"""Bids and asks."""


def levels(pairs: Pairs) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), units) for price, units in pairs)


def offer(
    last: str = "100",
    traded: int | None = None,
    *,
    book: Book | None = None,
    volume: int = 0,
    at: datetime = OPENS,
) -> Liquidity:
    depth = Depth(levels(book[0]), levels(book[1])) if book else None
    return Liquidity(Tick(INFY, Decimal(last), at, volume, depth=depth), traded)


def arrived(side: Side, quantity: int, price: str | None = None, number: int = 0) -> Progress:
    """An order that has just come to the exchange: LIMIT with a price, MARKET without."""
    terms = Terms(
        symbol=INFY,
        side=side,
        quantity=quantity,
        order_type=OrderType.LIMIT if price else OrderType.MARKET,
        price=Decimal(price) if price else None,
    )
    progress = received(terms, Tag(f"tag{number}"), BrokerOrderId(f"{number:019d}"), OPENS.date(), OPENS)
    progress.open()
    return progress


def trades(progress: Progress) -> list[tuple[int, str]]:
    return [(fill.quantity, str(fill.price)) for fill in progress.fills]


def matched(progress: Progress, models: Paper, *offers: Liquidity, arriving: bool = True) -> list[tuple[int, str]]:
    """The trades that an order has after these ticks, of which the first is the one that it arrives at."""
    matcher = Matcher(models, tick_size)
    for tick in offers:
        if progress.order.at_exchange:
            matcher.match(progress, tick, arriving=arriving)
        arriving = False
    return trades(progress)


def models(**settings: Any) -> Paper:
    """Nothing is enabled but what is said."""
    return Paper(**{"slippage_enabled": False} | settings)
