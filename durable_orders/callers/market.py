"""The last price that a caller's market data has of a symbol."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of, moment_of
from durable_orders.callers.methods import Form, call_as, method_of

MINUTES = {"1m": 1, "3m": 3, "5m": 5, "10m": 10, "15m": 15, "30m": 30, "60m": 60, "1h": 60}
MINUTES |= {"minute": 1} | {f"{count}minute": count for count in (3, 5, 10, 15, 30, 60)}
"""Kite's own names of the timeframes are known as well."""
CLOSED_AT = ("timestamp", "close_time", "ts_exchange", "exchange_timestamp", "ts_local")
OPENED_AT = ("ts", "open_time", "date", "time")


@dataclass(frozen=True, slots=True)
class Quote:
    """A last price in rupees, with what the caller's object showed it by."""

    price: Decimal
    at: datetime | None
    """When it was so; of a candle that says when it opened, the end of its time."""
    shown: Any
    """The candle, bar or tick as it came."""
    bid: Decimal | None = None
    ask: Decimal | None = None


def last_quote(market_data: Any, symbol: str, timeframe: str) -> Quote | None:
    """By the first of `get_latest_candle`, `get_latest_bar`, `get_candles`, `get_window`, `get_latest_tick` and
    `get_ltp` that knows one; `None` if none of them does.

    What they raise goes on. Raises `TypeError` for market data that has none of them, and `ValueError` for a price that
    is no number.
    """
    known = False
    for method, forms in _ways(market_data, symbol, timeframe):
        known = True
        shown = call_as(method, *forms)
        if isinstance(shown, list | tuple):
            shown = shown[-1] if shown else None
        if shown is not None and (quote := _quote(shown, timeframe)) is not None:
            return quote
    if not known:
        raise TypeError(f"market data: a {type(market_data).__name__} has no method for a last price that is known")
    return None


def _ways(market_data: Any, symbol: str, timeframe: str) -> Iterator[tuple[Callable[..., Any], tuple[Form, ...]]]:
    alone: Form = ((symbol,), {})
    framed: Form = ((symbol, timeframe), {})
    named: Form = ((symbol,), {"timeframe": timeframe})
    one: Form = ((symbol, timeframe, 1), {})
    some: tuple[Form, ...] = (((symbol, timeframe), {"limit": 1}), ((symbol, timeframe), {"window": 1}), one)
    ways: dict[str, tuple[Form, ...]] = {
        "get_latest_candle": (framed, named, alone),
        "get_latest_bar": (framed, named, alone),
        "get_candles": (*some, framed, named),
        "get_window": (one, *some, framed),
        "get_latest_tick": (alone,),
        "get_ltp": (alone,),
    }
    for name, forms in ways.items():
        method = method_of(market_data, name)
        if method is not None:
            yield method, forms


def _quote(shown: Any, timeframe: str) -> Quote | None:
    if isinstance(shown, int | float | Decimal):
        return Quote(exact(shown, "last price"), None, shown)
    price = first_of(shown, "close", "ltp", "last_price")
    if price is None:
        return None
    bid, ask = (first_of(shown, name) for name in ("bid", "ask"))
    return Quote(
        price=exact(price, "close"),
        at=_time_of(shown, timeframe),
        shown=shown,
        bid=exact(bid, "bid") if bid else None,
        ask=exact(ask, "ask") if ask else None,
    )


def _time_of(shown: Any, timeframe: str) -> datetime | None:
    """A candle that only says when it opened stands for all of its time."""
    closed = moment_of(first_of(shown, *CLOSED_AT))
    if closed is not None:
        return closed
    opened = moment_of(first_of(shown, *OPENED_AT))
    minutes = MINUTES.get(timeframe)
    return opened + timedelta(minutes=minutes) if opened is not None and minutes is not None else None


def snapshot_of(market_data: Any, symbol: str, timeframe: str = "1m") -> Mapping[str, Any] | None:
    """What a guardian looks at: `last_price`, `ltp` and `timestamp` (ISO 8601). `None` where nothing is known."""
    quote = last_quote(market_data, symbol, timeframe)
    if quote is None:
        return None
    price = float(quote.price)
    return {"last_price": price, "ltp": price, "timestamp": quote.at.isoformat() if quote.at else None}
