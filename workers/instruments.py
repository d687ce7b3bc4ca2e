"""The instrument master of a worker: read when it starts, renewed while it runs."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidInstruments
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.home import Home

ROUTE = "/instruments"
DOWNLOAD_SECONDS = 60
"""Kite's master is some ten megabytes."""
MADE_AT = time(8, 30)
"""IST: by then Kite has made the day's master (Kite documentation, instruments)."""
LOOK_SECONDS = 30.0
"""Between two looks at whether a new one is due."""
AGAIN = timedelta(minutes=5)
"""After a download that failed."""
LEAST_SHARE = 0.5
"""A download with fewer instruments than this part of the last good one is taken for a piece of a master."""
SHOWN = 5
"""Rows that cannot be read which are told by name."""

log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


def instruments_of(home: Home, settings: Settings) -> Instruments:
    """The configured master; without one, for paper the shipped one, for live Kite's own of today.

    Raises `InvalidInstruments`.
    """
    return Master(home, settings).instruments


class Master:
    """One worker's. What holds `instruments` has the new ones with each renewal. Thread-safe."""

    def __init__(self, home: Home, settings: Settings, clock: Callable[[], datetime] = _now) -> None:
        """Raises `InvalidInstruments` where no master can be had."""
        self._files = settings.market.masters
        self._downloads = not self._files and settings.execution.mode is Mode.LIVE
        self._url = settings.kite.root + ROUTE
        self._home = home.path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: tuple[tuple[int, int], ...] | None = None
        self._tried_at: datetime | None = None
        self._asked: set[tuple[date, str]] = set()
        self.told: list[str] = []
        """What went wrong with the last reading, in sentences; the master before it stays."""
        self.day: date | None = None
        """Of which day's morning the downloaded master is."""
        self.instruments = self._first()

    @property
    def is_living(self) -> bool:
        """Whether another one may come."""
        return self._downloads or bool(self._files)

    def renew(self) -> bool:
        """Read the next master if there is one; whether it was read. What is wrong with it is in `told`. Blocks."""
        with self._lock:
            if self._downloads:
                return self._is_due() and self._fetched()
            return bool(self._files) and self._read_again()

    def ensure(self, symbol: str) -> None:
        """For a symbol that is not known, look once a day whether a newer master has it. Blocks."""
        if not self.is_living or self.instruments.get(symbol) is not None:
            return
        asked = (self._clock().astimezone(IST).date(), symbol)
        with self._lock:
            if asked in self._asked:
                return
            self._asked.add(asked)
            if self._downloads:
                self._fetched()
            elif self._files:
                self._read_again()

    async def keep(self, renewed: Callable[["Master"], object]) -> None:
        """Renew it when it is time, until cancelled. `renewed` is called, in a thread, at the first look, as an earlier
        day's orders may be open, and with each change and trouble."""
        said: tuple[list[str], int] | None = None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.renew)
                found = (list(self.told), self.instruments.version)
                if found != said:  # it may also be `ensure` that has renewed it
                    await asyncio.to_thread(renewed, self)
                    said = found
            except Exception:  # an order must not wait for a master
                log.exception("the instrument master could not be renewed")

    def _first(self) -> Instruments:
        if self._files:
            self._stamp = _stamp_of(self._files)
            return self._noted(Instruments.read(*self._files))
        if not self._downloads:
            return Instruments.shipped()
        day, kept = self._day(), self._kept()
        if kept is not None and kept.name == _name(day):
            try:
                self.day = day
                return self._noted(Instruments.read(kept))
            except InvalidInstruments as error:
                log.warning("the master that was kept is read no more: %s", error)
        try:
            return self._downloaded(day, None)
        except InvalidInstruments as error:
            return self._last_good(kept, error)

    def _last_good(self, kept: Path | None, error: InvalidInstruments) -> Instruments:
        """What an earlier day has left. Raises the error where there is none."""
        self._tried_at = self._clock()
        if kept is None:
            raise error
        try:
            instruments = Instruments.read(kept)
        except InvalidInstruments:
            raise error from None
        self.day = date.fromisoformat(kept.stem.removeprefix("instruments-"))
        self.told = [f"{error}; the master of {self.day} stays"]
        return instruments

    def _day(self) -> date:
        """Of which morning's making a download is at this moment."""
        now = self._clock().astimezone(IST)
        return now.date() if now.time() >= MADE_AT else now.date() - timedelta(days=1)

    def _is_due(self) -> bool:
        waits = self._tried_at is not None and self._clock() - self._tried_at < AGAIN
        return self.day != self._day() and not waits

    def _fetched(self) -> bool:
        self._tried_at = self._clock()
        try:
            self.instruments.renew(self._downloaded(self._day(), len(self.instruments)))
        except InvalidInstruments as error:
            self.told = [f"{error}; the master of {self.day} stays"]
            return False
        return True

    def _downloaded(self, day: date, known: int | None) -> Instruments:
        """Fetched and read; kept only then, in place of the one before."""
        kept = self._home / _name(day)
        half = kept.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        content = _fetch(self._url)
        try:
            half.write_bytes(content)
            instruments = Instruments.read(half)
            if known is not None and len(instruments) < known * LEAST_SHARE:
                words = f"it has {len(instruments)} instruments, and the one before it has {known}"
                raise InvalidInstruments(f"{self._url}: is not the whole master: {words}")
            half.replace(kept)
        except InvalidInstruments as error:
            raise InvalidInstruments(str(error).replace(half.name, self._url)) from None
        except OSError as error:
            raise InvalidInstruments(f"{kept.name}: cannot be kept: {error.strerror}") from None
        finally:
            half.unlink(missing_ok=True)
        for old in self._home.glob("instruments-*.csv"):
            if old != kept:
                old.unlink(missing_ok=True)
        self.day = day
        return self._noted(instruments)

    def _kept(self) -> Path | None:
        """The newest that is there."""
        return max(self._home.glob("instruments-????-??-??.csv"), default=None)

    def _read_again(self) -> bool:
        stamp = _stamp_of(self._files)
        if stamp is None or stamp == self._stamp:
            return False
        try:
            self.instruments.renew(self._noted(Instruments.read(*self._files)))
        except InvalidInstruments as error:
            self.told = [f"{error}; the one that was read before stays"]
            return False
        self._stamp = stamp
        return True

    def _noted(self, instruments: Instruments) -> Instruments:
        left_out = list(instruments.left_out.items())
        self.told = []
        if left_out:
            named = "; ".join(words for _, words in left_out[:SHOWN])
            more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
            self.told = [f"{len(left_out)} symbols of the instrument master cannot be ordered: {named}{more}"]
        return instruments


def _stamp_of(files: Sequence[Path]) -> tuple[tuple[int, int], ...] | None:
    """Tells files that were written anew; `None` while one is not there."""
    try:
        found = [file.stat() for file in files]
    except OSError:
        return None
    return tuple((each.st_mtime_ns, each.st_size) for each in found)


def _name(day: date) -> str:
    return f"instruments-{day.isoformat()}.csv"


def _fetch(url: str) -> bytes:
    """The CSV, whole. The route needs no login."""
    import requests

    try:
        reply = requests.get(url, timeout=DOWNLOAD_SECONDS, headers={"X-Kite-Version": "3"})
        reply.raise_for_status()
    except requests.RequestException as error:
        kind = type(error).__name__
        raise InvalidInstruments(f"market.instruments: not set, and {url} did not give any ({kind})") from None
    return reply.content
