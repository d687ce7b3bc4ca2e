"""The instrument master as Kite serves it: CSV, without a login."""

import csv
from io import StringIO

from aiohttp import web

from durable_orders.sandbox.envelopes import wrong_input
from durable_orders.sandbox.quotes import Quotes
from durable_orders.sandbox.routes import Route
from durable_orders.trading.market.instruments import COLUMNS, Instrument, Instruments


class InstrumentRoutes:
    def __init__(self, instruments: Instruments, quotes: Quotes) -> None:
        self._instruments = instruments
        self._quotes = quotes

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("GET", "/instruments", self.all, name=Route.INSTRUMENTS)
        app.router.add_route("GET", "/instruments/{exchange}", self.of_exchange, name=Route.EXCHANGE_INSTRUMENTS)

    async def all(self, request: web.Request) -> web.Response:
        return self._csv(list(self._instruments))

    async def of_exchange(self, request: web.Request) -> web.Response:
        exchange = request.match_info["exchange"]
        chosen = [one for one in self._instruments if one.symbol.startswith(f"{exchange}:")]
        if not chosen:
            raise wrong_input(f"Unknown exchange: {exchange}")
        return self._csv(chosen)

    def _csv(self, instruments: list[Instrument]) -> web.Response:
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(self._row(instrument) for instrument in instruments)
        response = web.Response(text=text.getvalue(), content_type="text/csv")
        response.enable_compression()
        return response

    def _row(self, instrument: Instrument) -> list[object]:
        """An index has tick and lot 0, as Kite shows it."""
        exchange, _, tradingsymbol = instrument.symbol.partition(":")
        return [
            instrument.instrument_token,
            instrument.instrument_token >> 8,
            tradingsymbol,
            instrument.name,
            self._quotes.last_price(instrument.symbol) or 0,
            instrument.expiry or "",
            instrument.strike or 0,
            instrument.tick_size if instrument.tradable else 0,
            instrument.lot_size if instrument.tradable else 0,
            instrument.instrument_type,
            instrument.segment,
            exchange,
        ]
