"""A live run's ticks: Kite's stream, over a connection of the run's own (Kite allows three an app).

The account's worker has its own, for order updates and for the prices of what is ordered already; a strategy wants
ticks before it orders anything.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from durable_orders.trading.brokers.kite.session import SessionFile
from durable_orders.trading.brokers.kite.socket import KiteSocket, Socket, subscribe, unsubscribe
from durable_orders.trading.brokers.kite.ticks import ticks_in
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.workers.home import Home
from durable_orders.workers.instruments import instruments_of

LOOK_SECONDS = 0.5
"""How often it is looked whether the session is over."""


class KiteMarket:
    """The ticks of some symbols, until the sessions of those that trade on that day are over."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        symbols: Sequence[str],
        warned: Callable[[str], object] = lambda _words: None,
    ) -> None:
        """`warned` hears once of each reason for which no tick comes.

        Raises `InvalidSettings` for no symbols, or one that the instrument master does not have."""
        self._settings = settings
        self._token = SessionFile(home.session_file, settings.kite).token
        self._instruments: Instruments = instruments_of(home, settings)
        self._sessions = InstrumentSessions(settings.market, self._instruments)
        if not symbols:
            raise InvalidSettings("market.symbol: a live run needs one (--symbol), or `symbols` on its strategy")
        found = {symbol: self._instruments.get(symbol) for symbol in symbols}
        if unknown := [symbol for symbol, instrument in found.items() if instrument is None]:
            raise InvalidSettings(f"market.symbol: {unknown[0]} is not in the instrument master")
        self._tokens = {symbol: found.instrument_token for symbol, found in found.items() if found is not None}
        self._socket: Socket | None = None
        self._ends: datetime | None = None
        self._warned = warned
        self._said: set[str] = set()

    async def follow(self, show: Callable[[Tick], object]) -> None:
        """Show each tick as it comes. A connection that is lost is made again; the ticks of meanwhile are lost."""
        now = datetime.now(UTC)
        sessions = [self._sessions.of(symbol).session_at_or_after(now) for symbol in self._tokens]
        coming = min(sessions, key=lambda session: session.opens)
        if not coming.contains(now):
            self._warn(f"the market is closed until {coming.opens.astimezone(IST):%a %d %b %H:%M} IST")

        async def opened(socket: Socket) -> None:
            self._socket = socket
            await subscribe(socket, self._tokens.values())

        stream = KiteSocket(
            self._settings.kite,
            self._token,
            opened=opened,
            binary=lambda packet: self._hear(packet, show),
            down=lambda why: self._warn(f"no ticks: {why}"),
        )
        listening = asyncio.create_task(stream.listen())
        try:
            while not (self._is_over() or listening.done()):
                await asyncio.wait({listening}, timeout=LOOK_SECONDS)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        if not listening.cancelled() and (error := listening.exception()) is not None:
            raise error

    async def watch(self, symbols: Sequence[str], wanted: bool) -> None:
        """Show the ticks of these symbols too, or no more of them. A connection that is made again has them as well."""
        known = {symbol: each for symbol in symbols if (each := self._instruments.get(symbol)) is not None}
        tokens = {symbol: each.instrument_token for symbol, each in known.items()}
        if wanted:
            self._tokens |= tokens
        else:
            self._tokens = {symbol: token for symbol, token in self._tokens.items() if symbol not in tokens}
        if self._socket is not None and tokens:
            with suppress(ConnectionError):
                await (subscribe if wanted else unsubscribe)(self._socket, list(tokens.values()))

    def _hear(self, message: bytes, show: Callable[[Tick], object]) -> None:
        """A new subscription repeats the last price of a session that may be long over: that is no tick of this one."""
        for tick in ticks_in(message, self._instruments, datetime.now(UTC)):
            session = self._sessions.of(tick.symbol).session_at_or_after(datetime.now(UTC))
            if session.contains(tick.at):
                self._ends = max(self._ends or session.closes, session.closes)
                show(tick)
            else:
                at = f"{tick.at.astimezone(IST):%d %b %H:%M} IST"
                self._warn(f"left out, as it is no price of this session: {tick.symbol}, of {at}")

    def _warn(self, words: str) -> None:
        if words not in self._said:
            self._said.add(words)
            self._warned(words)

    def _is_over(self) -> bool:
        return self._ends is not None and datetime.now(UTC) >= self._ends
