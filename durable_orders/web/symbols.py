"""What charts call a symbol, and what it is at the exchange."""

import re
from collections.abc import Callable, Mapping
from datetime import date

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.market.instruments import Instrument, Instruments

CONTINUOUS = re.compile(r"(?:[A-Z]+:)?([A-Z0-9&_-]+?)([12])!")
"""A future without an end, as TradingView names it: `NIFTY1!` is the current one, `NIFTY2!` the next."""
FUTURE = "FUT"


def mapped(text: str, own: Mapping[str, str], instruments: Instruments, day: Callable[[str], date]) -> str:
    """The symbol that is meant. `day` is the market's day for a symbol. Raises `InvalidOrder`."""
    name = text.strip()
    name = own.get(name, name)
    if found := CONTINUOUS.fullmatch(name.upper()):
        return _future(found[1], int(found[2]), instruments, day)
    return name.upper() if ":" in name else f"NSE:{name.upper()}"


def _future(underlying: str, place: int, instruments: Instruments, day: Callable[[str], date]) -> str:
    ends = {
        each.symbol: each.expiry
        for each in instruments
        if each.expiry is not None and _is_future_of(each, underlying) and each.expiry >= day(each.symbol)
    }
    living = sorted(ends, key=lambda symbol: ends[symbol])
    if len(living) < place:
        raise InvalidOrder(f"symbol: the master has no future of {underlying[:40]} for {underlying[:40]}{place}!")
    return living[place - 1]


def _is_future_of(instrument: Instrument, underlying: str) -> bool:
    return (
        instrument.instrument_type == FUTURE
        and instrument.symbol.partition(":")[2].startswith(underlying)
        and underlying in (instrument.name, instrument.name.replace(" ", ""))
    )
