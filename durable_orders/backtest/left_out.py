"""The settings that a backtest does not follow. docs/backtest.md explains them."""

from collections.abc import Iterator

from durable_orders.trading.config.settings import Feed, RealizedBy, Settings


def left_out(settings: Settings) -> Iterator[str]:
    """The key of each that is set, with what is done instead."""
    if settings.ledger.realized_by is not RealizedBy.AVERAGE:
        yield f"ledger.realized_by (average, not {settings.ledger.realized_by})"
    if settings.market.feed is Feed.SYNTHETIC and settings.market.ticks is None:
        yield "market.feed (the shipped day)"
