"""Keeps the last prices of a live account's symbols in the ledger, where the guardian reads them.

They come over the socket that also brings the order updates, in mode full, and by `/quote` while there is none. Ticks
are only put down as they come, so that an order update behind them is heard at once; once a second they are saved.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from durable_orders.trading.brokers.kite.socket import Sends, subscribe, unsubscribe
from durable_orders.trading.brokers.kite.ticks import ticks_in
from durable_orders.trading.errors import BookUnreadable, LoginNeeded
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import last_tick, save_ticks
from durable_orders.trading.ledger.symbols import symbols_in_use
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick

SAVE_SECONDS = 1.0
FRESH = timedelta(seconds=2)
"""A price that is older than this is asked for anew before an order is checked, once."""
REMEMBERED = timedelta(minutes=15)
"""For so long after an order was asked for, its symbol's price is kept up, whatever became of the order."""
REFUSED = timedelta(seconds=60)
"""After a refusal, so long nobody asks: Kite's free plan always refuses."""

R = TypeVar("R")
Quotes = Callable[[Sequence[str]], list[Tick]]
"""Reads last prices. Raises `BookUnreadable`."""

log = logging.getLogger(__name__)


class LivePrices:
    """One account's. `hear` and `speaking_to` are called in the event loop of `keep`; `ensure` from any thread."""

    def __init__(
        self, account: str, database: Database, instruments: Instruments, quotes: Quotes, executor: Executor
    ) -> None:
        self._account = account
        self._database = database
        self._instruments = instruments
        self._quotes = quotes
        self._executor = executor
        self._latest: dict[str, Tick] = {}
        self._socket: Sends | None = None
        self._subscribed: set[int] = set()
        self._refused_at: datetime | None = None
        self._alerted = False

    def speaking_to(self, socket: Sends | None) -> None:
        """The socket that ticks come over from now on; `None` while there is none."""
        self._socket, self._subscribed = socket, set()

    def hear(self, message: bytes) -> None:
        self._latest |= {tick.symbol: tick for tick in ticks_in(message, self._instruments, _now())}

    async def keep(self) -> None:
        """Subscribe to what is in use, or ask for it, and save what came. Runs until cancelled."""
        while True:
            try:
                await self._keep_once()
            except Exception:  # prices are worth less than the order updates that come the same way
                log.exception("the last prices of %s could not be kept", self._account)
            await asyncio.sleep(SAVE_SECONDS)

    async def _keep_once(self) -> None:
        symbols = await self._run(self._in_use)
        if self._socket is not None:
            await self._subscribe(self._socket, symbols)
        elif symbols:
            await self._run(lambda: self._ask(sorted(symbols)))
        latest, self._latest = self._latest, {}
        if latest:
            await self._run(lambda: self._save(latest.values()))

    def ensure(self, symbol: str) -> None:
        """See to it that the symbol has a fresh price, if one can be had. Blocks for as long as one reading takes."""
        with self._database.read() as connection:
            known = last_tick(connection, self._account, symbol)
        if known is None or _now() - known.received_at > FRESH:
            self._ask([symbol])

    async def _subscribe(self, socket: Sends, symbols: Iterable[str]) -> None:
        known = (self._instruments.get(symbol) for symbol in symbols)
        wanted = {instrument.instrument_token for instrument in known if instrument is not None}
        new, old = sorted(wanted - self._subscribed), sorted(self._subscribed - wanted)
        try:
            if new:
                await subscribe(socket, new)
            if old:
                await unsubscribe(socket, old)
        except (OSError, RuntimeError):  # it was closed a moment ago, and whoever reads from it knows
            return
        if self._socket is socket:
            self._subscribed = wanted

    def _in_use(self) -> set[str]:
        with self._database.read() as connection:
            return symbols_in_use(connection, self._account, _now() - REMEMBERED)

    def _ask(self, symbols: Sequence[str]) -> None:
        if self._refused_at is not None and _now() - self._refused_at < REFUSED:
            return
        known = [symbol for symbol in symbols if self._instruments.get(symbol) is not None]
        try:
            ticks = self._quotes(known) if known else []
        except LoginNeeded:
            return  # said already, of the order book
        except BookUnreadable as error:
            self._say_once(str(error))
            return
        self._refused_at, self._alerted = None, False
        self._save(ticks)

    def _say_once(self, why: str) -> None:
        self._refused_at = _now()
        if not self._alerted:
            self._alerted = True
            words = f"no last prices ({why}): checks that need one refuse, or go by a price that grows old"
            alert(self._database, self._account, words, _now())

    def _save(self, ticks: Iterable[Tick]) -> None:
        """Each as received when the exchange showed it: what is old then, is old now."""
        with self._database.write(self._account) as connection:
            for tick in ticks:
                save_ticks(connection, self._account, [tick], min(tick.at, _now()))

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def _now() -> datetime:
    return datetime.now(UTC)
