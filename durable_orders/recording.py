"""The recorder: a process of its own, over a connection of its own, so that no order waits for it.

Kite allows an app three connections, of 3,000 instruments each: an account's worker has one, a live run another.
"""

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.brokers.kite.full_packets import columns_of
from durable_orders.trading.brokers.kite.recorder import Taken, TickRecorder, ended_unseen
from durable_orders.trading.brokers.kite.session import SessionFile
from durable_orders.trading.brokers.kite.socket import KiteSocket, Socket, subscribe
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import DurableOrdersError, InvalidSettings
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.symbols import symbols_in_use
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.recordings.places import Place, days
from durable_orders.trading.market.recordings.recorded import compact_day
from durable_orders.workers.home import Home
from durable_orders.workers.instruments import Master

WRITE_SECONDS = 0.5
"""How often what came is written: a killed recorder loses no more than came since."""
LOOK_SECONDS = 2.0
"""How often it is looked what is traded, whether there is room, and whether a day is over."""
COMPACT_SECONDS = 10.0
"""How often it is looked whether something is over, and can be made a Parquet file."""
COUNT_SECONDS = 60.0
"""How often it is added up what the recordings take."""
LAST_WORDS = timedelta(minutes=1)
"""So long after midnight a day may still be written to."""
AFTER_CLOSE = timedelta(minutes=10)
"""So long after the end of all trading of a symbol its day is made a Parquet file."""
AGAIN_SECONDS = 600.0
"""At most so often, if ticks of it still come: the file is written anew each time."""
MOST_SYMBOLS = 3000
"""Instruments on one connection (Kite documentation, WebSocket streaming)."""
REMEMBERED = timedelta(minutes=15)
GIGABYTE = 1024**3
STOPPED = "the recorder was stopped"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Gigabytes."""

    most: float
    """That recordings may take."""
    keep_free: float
    """That stay free on their disk, for the ledger and the server."""


class Room:
    """Whether there is any, for recordings."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._taken = 0.0
        self._counted_at: float | None = None

    def lack(self) -> str | None:
        """Why nothing more is to be written; `None` while there is room. Blocks. Raises `OSError`."""
        free = shutil.disk_usage(self._folder).free / GIGABYTE
        if free < self._limits.keep_free:
            kept = f"{self._limits.keep_free:g} are to stay so"
            return f"{free:.1f} GB are free on the disk of {self._folder}, and {kept}"
        if self._count() > self._limits.most:
            return f"the recordings in {self._folder} take {self._taken:.1f} GB, and {self._limits.most:g} are allowed"
        return None

    def _count(self) -> float:
        """Not each time: there may be a hundred thousand files."""
        now = time.monotonic()
        if self._counted_at is None or now - self._counted_at > COUNT_SECONDS:
            files = (file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
            self._taken, self._counted_at = sum(files) / GIGABYTE, now
        return self._taken


class Recorder:
    """One account's: what it trades, and what is named."""

    def __init__(
        self, home: Home, settings: Settings, database: Database, named: Sequence[str], limits: Limits
    ) -> None:
        """Raises `InvalidSettings` for a symbol that the master does not have, `InvalidInstruments` without one."""
        self._settings = settings
        self._database = database
        self._named = tuple(named)
        self._folder = home.recordings
        self._folder.mkdir(exist_ok=True)
        self._room = Room(self._folder, limits)
        self._master = Master(home, settings)
        self._sessions = InstrumentSessions(settings.market, self._master.instruments)
        for symbol in named:
            if self._master.instruments.get(symbol) is None:
                near = self._master.instruments.nearest(symbol)
                meant = f"; did you mean {near}?" if near is not None else ""
                raise InvalidSettings(f"symbol: {symbol} is not in the instrument master{meant}")
        self._recorder = TickRecorder(_now, self._today())
        self._token = SessionFile(home.session_file, settings.kite).token
        self._socket: Socket | None = None
        self._wanted: dict[str, int] = {}
        self._wanted_on = self._today()
        self._subscribed: set[int] = set()
        self._last_heard = _now()
        self._why_down = ""
        self._writing = threading.Lock()
        self._alerts: list[str] = []
        self._trouble: str | None = None
        self._stuck: set[tuple[Place, str]] = set()
        self._compacted_at: dict[tuple[Place, str], float] = {}
        self._settled: set[Place] = set()
        self._compacting = threading.Lock()

    async def run(self, stop: asyncio.Event, say: Callable[[str], object]) -> None:
        """Until `stop` is set; then what came is compacted. `say` hears what a person should know."""
        self._say = say
        stream = KiteSocket(
            self._settings.kite,
            self._token,
            opened=self._opened,
            closed=self._closed,
            binary=self._hear,
            down=self._down,
        )
        writing = asyncio.create_task(self._write_on(stop))
        others = [asyncio.create_task(work) for work in (stream.listen(), self._look_on(), self._compact_on())]
        await asyncio.wait([writing, *others], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        for task in others:
            task.cancel()
        ended = await asyncio.gather(writing, *others, return_exceptions=True)
        self._recorder.lost(STOPPED)
        await self._write()
        self._stuck.clear()
        self._compacted_at.clear()
        await asyncio.to_thread(self._compact, [self._recorder.place], ends=True)
        await asyncio.to_thread(self._tell)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def _today(self) -> Place:
        return Place(self._folder, _now().astimezone(IST).date())

    async def _opened(self, socket: Socket) -> None:
        self._socket, self._subscribed = socket, set()
        self._why_down, self._last_heard = "", _now()
        await self._subscribe()

    def _closed(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._recorder.lost("the connection was lost", self._last_heard)

    def _down(self, why: str) -> None:
        if why != self._why_down:
            self._why_down = why
            self._say(f"nothing is recorded: {why}")

    def _hear(self, message: bytes) -> None:
        self._last_heard = _now()
        self._recorder.hear(message)

    async def _subscribe(self) -> None:
        """To what is wanted and not had yet. What is not traded any more stays for its day: its price after the last
        trade is what tells how good that was."""
        socket, wanted = self._socket, dict(self._wanted)
        new = {symbol: token for symbol, token in wanted.items() if token not in self._subscribed}
        if socket is None:
            return
        if new:
            try:
                await subscribe(socket, sorted(new.values()))
            except (OSError, RuntimeError):  # it was closed a moment ago, and whoever reads from it knows
                return
        self._subscribed |= set(new.values())
        self._recorder.heard(wanted)

    async def _write_on(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_SECONDS):
                    await stop.wait()
            await self._write()

    async def _write(self) -> None:
        """What cannot be written is given up, so that memory does not grow; it is a gap, and an alert."""
        over, wrote = self._recorder.next_day(self._today()), False
        for taken in (over, self._recorder.take()):
            if taken is None:
                continue
            try:
                await asyncio.to_thread(self._put_down, taken)
            except OSError as error:
                words = f"{error.filename or self._folder} cannot be written ({error.strerror})"
                self._recorder.refused(taken, words)
            else:
                self._recorder.written(taken)
                wrote = wrote or bool(taken.records)
        self._say_how_it_stands(wrote)

    def _say_how_it_stands(self, wrote: bool) -> None:
        """Once of each time that nothing is recorded, and of its end: that something was written again."""
        why = self._recorder.paused
        if why is not None and self._trouble is None:
            self._alert(f"no ticks are recorded: {why}; trading goes on")
            self._trouble = why
        elif why is None and wrote and self._trouble is not None:
            self._say("ticks are recorded again")
            self._trouble = None

    def _put_down(self, taken: Taken) -> None:
        with self._writing:
            taken.write()

    async def _look_on(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:  # a locked ledger or a lost disk must not end the recording
                log.exception("the recorder could not look around")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        lack = await asyncio.to_thread(self._room.lack)
        if lack is not None:
            self._recorder.pause(lack)
        else:
            self._recorder.resume()
        await asyncio.to_thread(self._tell)
        await asyncio.to_thread(self._master.renew)
        self._want(await asyncio.to_thread(self._in_use))
        await self._subscribe()

    async def _compact_on(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._compact, list(days(self._folder)))
            except Exception:  # as above
                log.exception("what was recorded could not be made Parquet files")
            await asyncio.sleep(COMPACT_SECONDS)

    def _in_use(self) -> set[str]:
        """Of a ledger that cannot be read, nothing: what is recorded already goes on."""
        try:
            with self._database.read() as connection:
                return symbols_in_use(connection, self._settings.account, _now() - REMEMBERED)
        except (SQLAlchemyError, DurableOrdersError) as error:
            log.warning("the recorder does not know what is traded: %s", error)
            return set()

    def _want(self, in_use: Collection[str]) -> None:
        instruments = self._master.instruments
        if self._wanted_on != (today := self._today()):
            self._wanted, self._wanted_on = {}, today
        wanted = dict.fromkeys((*self._named, *self._wanted, *sorted(in_use)))
        found = {symbol: each.instrument_token for symbol in wanted if (each := instruments.get(symbol)) is not None}
        if len(found) > MOST_SYMBOLS:
            if len(self._wanted) < MOST_SYMBOLS:
                words = f"{len(found)} symbols are to be recorded, and Kite gives {MOST_SYMBOLS}"
                self._alert(f"{words}: the others are not")
            found = dict(list(found.items())[:MOST_SYMBOLS])
        if found != self._wanted:
            self._wanted = found
            self._recorder.listen_to({token: symbol for symbol, token in found.items()})

    def _compact(self, places: Sequence[Place], *, ends: bool = False) -> None:
        """What is over; with `ends`, everything. Blocks. What cannot be compacted stays as it is, and is told once."""
        with self._compacting:
            for place in places:
                is_today = place.day >= (_now() - LAST_WORDS).astimezone(IST).date()
                if is_today or place not in self._settled:
                    self._compact_of(place, is_today=is_today, ends=ends)
                if not is_today:
                    self._settled.add(place)

    def _compact_of(self, place: Place, *, is_today: bool, ends: bool) -> None:
        due = (each for each in place.journals() if ends or not is_today or self._is_over(each, place))
        over = {symbol for symbol in due if not self._waits((place, symbol), is_today=is_today)}
        if over:
            unseen = None if is_today else ended_unseen(place)
            troubles = compact_day(place, over, self._sessions, columns_of, unseen, lambda: self._writing)
            for symbol, trouble in troubles.items():
                self._alert(trouble)
                self._stuck.add((place, symbol))
            self._compacted_at |= dict.fromkeys(((place, symbol) for symbol in over), time.monotonic())

    def _waits(self, own: tuple[Place, str], *, is_today: bool) -> bool:
        """Whether it could not be done, or was done a moment ago. A day that is over is done for good."""
        done_at = self._compacted_at.get(own) if is_today else None
        return own in self._stuck or (done_at is not None and time.monotonic() - done_at < AGAIN_SECONDS)

    def _is_over(self, symbol: str, place: Place) -> bool:
        session = self._sessions.of(symbol).session_on(place.day)
        return session is not None and _now() > session.over_at + AFTER_CLOSE

    def _alert(self, words: str) -> None:
        self._say(words)
        self._alerts.append(words)

    def _tell(self) -> None:
        """Put alerts into the ledger's feed, from where they are sent. One that it does not take is tried again."""
        while self._alerts:
            try:
                alert(self._database, self._settings.account, self._alerts[0], _now())
            except (SQLAlchemyError, DurableOrdersError):
                log.warning("the ledger does not take an alert of the recorder's")
                return
            self._alerts.pop(0)


def _now() -> datetime:
    return datetime.now(UTC)
