"""A live run's ticks: Kite's stream, over a connection of the run's own (Kite allows three an app).

The account's worker has its own, for order updates and for the prices of what is ordered already; a strategy wants
ticks before it orders anything.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import aiohttp

from trading.brokers.kite_session import SessionFile
from trading.brokers.kite_ticks import ticks_in
from trading.errors import InvalidSettings
from trading.market.calendar import Session, calendar_of
from trading.market.instruments import Instruments
from trading.market.ticks import Tick
from trading.settings import Settings
from workers.home import Home
from workers.instruments import instruments_of

SILENT_SECONDS = 10.0
"""Kite sends a heartbeat every couple of seconds; a socket that is silent for this long is dead, open or not."""
RETRY_SECONDS = 2.0

log = logging.getLogger(__name__)


class KiteMarket:
    """The ticks of some symbols, until the session of the first of them is over."""

    def __init__(self, home: Home, settings: Settings, symbols: Sequence[str]) -> None:
        """Raises `InvalidSettings` for no symbols, or one that the instrument master does not have."""
        self._settings = settings
        self._token = SessionFile(home.session_file, settings.kite).token
        self._instruments: Instruments = instruments_of(home, settings)
        self._calendar = calendar_of(settings.market.calendar)
        if not symbols:
            raise InvalidSettings("market.symbol: a live run needs one (--symbol), or `symbols` on its strategy")
        found = {symbol: self._instruments.get(symbol) for symbol in symbols}
        if unknown := [symbol for symbol, instrument in found.items() if instrument is None]:
            raise InvalidSettings(f"market.symbol: {unknown[0]} is not in the instrument master")
        self._tokens = [instrument.instrument_token for instrument in found.values() if instrument is not None]
        self._session: Session | None = None

    async def follow(self, show: Callable[[Tick], object]) -> None:
        """Show each tick as it comes. A connection that is lost is made again; the ticks of meanwhile are lost."""
        async with aiohttp.ClientSession() as session:
            while not self._is_over():
                try:
                    await self._listen(session, show)
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    log.warning("no ticks (%s); trying again", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS if not self._is_over() else 0)

    async def _listen(self, session: aiohttp.ClientSession, show: Callable[[Tick], object]) -> None:
        """One connection, to its end or that of the market's session. Without a login there is none."""
        token, kite = self._token(), self._settings.kite
        if token is None or kite.api_key is None:
            return
        async with session.ws_connect(kite.ws_root, params={"api_key": kite.api_key, "access_token": token}) as socket:
            await socket.send_str(json.dumps({"a": "subscribe", "v": self._tokens}))
            await socket.send_str(json.dumps({"a": "mode", "v": ["full", self._tokens]}))
            while not self._is_over():
                message = await socket.receive(timeout=SILENT_SECONDS)
                if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                    return
                if message.type is aiohttp.WSMsgType.BINARY:
                    self._hear(message.data, show)

    def _hear(self, message: bytes, show: Callable[[Tick], object]) -> None:
        """A new subscription repeats the last price of a session that may be long over: that is no tick of this one."""
        for tick in ticks_in(message, self._instruments, datetime.now(UTC)):
            if self._calendar.session_at_or_after(datetime.now(UTC)).contains(tick.at):
                self._session = self._session or self._calendar.session_at_or_after(tick.at)
                show(tick)

    def _is_over(self) -> bool:
        return self._session is not None and datetime.now(UTC) >= self._session.closes
