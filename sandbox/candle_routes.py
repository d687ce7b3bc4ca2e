"""Historical candles (Kite documentation, historical candle data): of the file that the settings name, and of the feed.

They are made of ticks. Open interest is 0 throughout, as in the quotes; the candle that forms is among them, too.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.routes import Route
from durable_orders.trading.brokers.kite.candles import MOST_DAYS, NAMES
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.market.bars import Bar, bars_of
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.market.ticks import Tick

MOST_TICKS = 200_000
"""Of each symbol, the latest."""
LENGTHS = {name: length for length, name in NAMES.items()}
ALSO_CALLED = {"hour": "60minute"}
"""Names that Kite's documentation does not have and its client's own tests ask for."""
FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d")


class Shown:
    """The ticks that candles are made of."""

    def __init__(self, earlier: Sequence[Tick] = ()) -> None:
        self._ticks: dict[str, list[Tick]] = {}
        for tick in earlier:
            self.show(tick)

    def show(self, tick: Tick) -> None:
        ticks = self._ticks.setdefault(tick.symbol, [])
        if len(ticks) >= MOST_TICKS:
            del ticks[: MOST_TICKS // 2]
        ticks.append(tick)

    def of(self, symbol: str) -> Sequence[Tick]:
        return self._ticks.get(symbol, ())


class CandleRoutes:
    def __init__(self, instruments: Instruments, shown: Shown, sessions: SessionSource) -> None:
        self._instruments = instruments
        self._shown = shown
        self._sessions = sessions

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("GET", "/instruments/historical/{token}/{interval}", self.candles, name=Route.HISTORY)

    async def candles(self, request: web.Request) -> web.Response:
        instrument, interval = self._instrument(request.match_info["token"]), request.match_info["interval"]
        interval = ALSO_CALLED.get(interval, interval)
        if interval not in LENGTHS:
            raise wrong_input("invalid interval")
        begins, ends = (_moment(request, field) for field in ("from", "to"))
        if begins > ends:
            raise wrong_input("invalid from date")
        if (ends - begins).days > MOST_DAYS[interval]:
            raise wrong_input(f"interval exceeds max limit: {MOST_DAYS[interval]} days")
        with_oi = request.query.get("oi") == "1"
        bars = bars_of(self._shown.of(instrument.symbol), instrument.symbol, LENGTHS[interval], self._sessions)
        rows = [_row(bar, is_day=interval == "day", with_oi=with_oi) for bar in bars]
        return success({"candles": [row for at, row in rows if begins <= at <= ends]})

    def _instrument(self, token: str) -> Instrument:
        instrument = self._instruments.by_token(int(token)) if token.isascii() and token.isdigit() else None
        if instrument is None:
            raise wrong_input("invalid token")
        return instrument


def _row(bar: Bar, *, is_day: bool, with_oi: bool) -> tuple[datetime, list[Any]]:
    """A daily candle is of midnight."""
    at = start_of_day(bar.at) if is_day else bar.at
    row = [at.strftime("%Y-%m-%dT%H:%M:%S%z"), bar.open, bar.high, bar.low, bar.close, bar.volume]
    return at, [*row, bar.oi or 0] if with_oi else row


def _moment(request: web.Request, field: str) -> datetime:
    for form in FORMATS:
        try:
            return datetime.strptime(request.query.get(field, ""), form).replace(tzinfo=IST)
        except ValueError:
            continue
    raise wrong_input(f"invalid {field} date")
