"""Quotes as Kite's JSON shows them (Kite documentation, market quotes). What is not known is silently left out."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.order_rows import ist
from durable_orders.sandbox.quotes import Level, Quote, Quotes
from durable_orders.sandbox.routes import Route
from durable_orders.trading.orders.order import Side

MOST_QUOTES = 500
MOST_PRICES = 1000
"""Instruments in one call of /quote, and of /quote/ohlc or /quote/ltp."""

Row = dict[str, Any]


class MarketRoutes:
    def __init__(self, quotes: Quotes) -> None:
        self._quotes = quotes

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("GET", "/quote", self.quote, name=Route.QUOTE)
        app.router.add_route("GET", "/quote/ohlc", self.ohlc, name=Route.OHLC)
        app.router.add_route("GET", "/quote/ltp", self.ltp, name=Route.LTP)
        path = "/instruments/trigger_range/{transaction_type}"
        app.router.add_route("GET", path, self.trigger_range, name=Route.TRIGGER_RANGE)

    async def quote(self, request: web.Request) -> web.Response:
        return self._answer(request, MOST_QUOTES, _quote_row)

    async def ohlc(self, request: web.Request) -> web.Response:
        return self._answer(request, MOST_PRICES, _ohlc_row)

    async def ltp(self, request: web.Request) -> web.Response:
        return self._answer(request, MOST_PRICES, _ltp_row)

    async def trigger_range(self, request: web.Request) -> web.Response:
        """Of cover orders. The client sends the side in small letters."""
        try:
            side = Side(request.match_info["transaction_type"].upper())
        except ValueError:
            raise wrong_input("Invalid `transaction_type`.") from None
        return self._answer(request, MOST_PRICES, lambda quote: _range_row(quote, side))

    def _answer(self, request: web.Request, most: int, row: Callable[[Quote], Row]) -> web.Response:
        symbols = request.query.getall("i", [])
        if not symbols:
            raise wrong_input("Missing or empty field `i`.")
        if len(symbols) > most:
            raise wrong_input(f"At most {most} instruments in one request, were {len(symbols)}.")
        found = {symbol: self._quotes.get(symbol) for symbol in symbols}
        return success({symbol: row(quote) for symbol, quote in found.items() if quote is not None})


def _ltp_row(quote: Quote) -> Row:
    return {"instrument_token": quote.instrument.instrument_token, "last_price": quote.last_price}


def _ohlc_row(quote: Quote) -> Row:
    ohlc = {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.close}
    return _ltp_row(quote) | {"ohlc": ohlc}


def _range_row(quote: Quote, side: Side) -> Row:
    lower, upper = quote.trigger_range(side)
    return {"instrument_token": quote.instrument.instrument_token, "lower": lower, "upper": upper}


def _quote_row(quote: Quote) -> Row:
    bids, asks = quote.bids(), quote.asks()
    return _ohlc_row(quote) | {
        "timestamp": ist(quote.at),
        "last_trade_time": ist(quote.at),
        "last_quantity": quote.last_quantity,
        "buy_quantity": sum(level.quantity for level in bids),
        "sell_quantity": sum(level.quantity for level in asks),
        "volume": quote.volume,
        "average_price": quote.average_price,
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": quote.last_price - quote.close,
        "lower_circuit_limit": quote.lower_circuit,
        "upper_circuit_limit": quote.upper_circuit,
        "depth": {"buy": [_level(level) for level in bids], "sell": [_level(level) for level in asks]},
    }


def _level(level: Level) -> Row:
    return {"price": level.price, "quantity": level.quantity, "orders": level.orders}
