"""The recorded ticks of an account's settings, or of the shipped day, as its market plays them."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from zoneinfo import ZoneInfo

from durable_orders.trading.config.recordings import Dates
from durable_orders.trading.config.settings import Market
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.files.reading import Reading, recorded_batches
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.past_contracts import Unlisted, made_instrument
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL, shipped_day
from durable_orders.trading.market.ticks import Tick

TICK_SIZE = Decimal("0.05")
"""Rupees, of what no master has."""


def symbol_of(market: Market) -> str | None:
    """Whose the ticks are where a file does not say; the shipped day's, if there is no file."""
    return market.symbol or (SHIPPED_SYMBOL if market.ticks is None else None)


def market_ticks(
    market: Market, instruments: Instruments, sessions: SessionSource, report: ReadingReport
) -> Iterator[Tick]:
    """In the order of their time, read as they are asked for. What is to be told of the files comes into the report.

    Raises `InvalidSettings` for a symbol that is not known, at once, and `InvalidTicks` when the row is reached.
    """
    return chain.from_iterable(market_batches(market, instruments, sessions, report))


def market_batches(
    market: Market,
    instruments: Instruments,
    sessions: SessionSource,
    report: ReadingReport,
    told: Callable[[float], object] = lambda _share: None,
) -> Iterator[list[Tick]]:
    """The same, some at a time; `told` hears how much of the files was read, from 0 to 1."""
    symbol, own = symbol_of(market), market.recordings
    unlisted = Unlisted(own.lot, own.tick)
    if symbol is not None and instruments.get(symbol) is None:
        made = made_instrument(symbol, unlisted)
        if made.instrument is None:
            raise InvalidSettings(f"market.symbol: {symbol} is not in the instrument master; {made.words}")
        instruments.add(made.instrument)
        report.note(made.words)
    how = Reading(
        symbol=symbol,
        tick_size=TICK_SIZE,
        instruments=instruments,
        sessions=sessions,
        zone=ZoneInfo(own.zone) if own.zone is not None else None,
        day_first=None if own.dates is None else own.dates is Dates.DAY_FIRST,
        unlisted=unlisted,
        skip_bad=own.skip_bad,
    )
    return recorded_batches(market.tick_files or (shipped_day(),), how, report, told)
