"""What a backtest leaves out, and says so: settings that it does not follow (docs/backtest.md), and orders that
nobody asked for."""

from collections.abc import Iterator

from durable_orders.trading.backtest.play import Played
from durable_orders.trading.config.settings import Feed, RealizedBy, Settings

SHOWN = 5
"""Symbols that a note names."""


def left_out(settings: Settings) -> Iterator[str]:
    """The key of each that is set, with what is done instead."""
    if settings.ledger.realized_by is not RealizedBy.AVERAGE:
        yield f"ledger.realized_by (average, not {settings.ledger.realized_by})"
    if settings.market.feed is Feed.SYNTHETIC and settings.market.ticks is None:
        yield "market.feed (the shipped day)"


def silence(played: Played, strategy: object) -> Iterator[str]:
    """Why nothing was asked for, where that is plain: the ticks are of other symbols than the strategy's."""
    wanted = tuple(getattr(strategy, "symbols", ()))
    if wanted and not played.orders and not set(wanted) & played.prices.keys():
        there = ", ".join(sorted(played.prices)[:SHOWN])
        named = ", ".join(wanted[:SHOWN])
        yield f"{played.strategy} asked for no order: it wants {named}, and the ticks are of {there}"
