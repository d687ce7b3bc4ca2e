"""Kite's candles of days that are over, kept in the home: each day is asked for once."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from durable_orders.trading.ist import IST
from durable_orders.trading.market.bars import Bar, name_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS days (
    symbol TEXT, interval TEXT, day TEXT, PRIMARY KEY (symbol, interval, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS candles (
    symbol TEXT, interval TEXT, day TEXT, at INTEGER, ends INTEGER,
    open TEXT, high TEXT, low TEXT, close TEXT, volume INTEGER, oi INTEGER,
    PRIMARY KEY (symbol, interval, at)
) WITHOUT ROWID;
"""
LOCKED_SECONDS = 5.0


class CandleStore:
    """A file that can be deleted at any time: what it has is asked for again."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def days(self, symbol: str, interval: timedelta) -> set[date]:
        """Of which days it has the candles. Raises `sqlite3.Error`."""
        with closing(self._open()) as store:
            found = store.execute("SELECT day FROM days WHERE symbol = ? AND interval = ?", (symbol, name_of(interval)))
            return {date.fromisoformat(day) for (day,) in found}

    def bars(self, symbol: str, interval: timedelta, first: date) -> list[Bar]:
        """From that day on, oldest first. Raises `sqlite3.Error`."""
        asked = (
            "SELECT at, ends, open, high, low, close, volume, oi FROM candles"
            " WHERE symbol = ? AND interval = ? AND day >= ? ORDER BY at"
        )
        with closing(self._open()) as store:
            rows = store.execute(asked, (symbol, name_of(interval), first.isoformat())).fetchall()
        return [
            Bar(symbol, _moment(at), _moment(ends), *_rupees(opened, high, low, close), volume, oi)
            for at, ends, opened, high, low, close, volume, oi in rows
        ]

    def agrees(self, symbol: str, interval: timedelta, day: date, told: Iterable[Bar]) -> bool:
        """Whether what it has of that day is what is told of it now. Raises `sqlite3.Error`."""
        kept = [bar for bar in self.bars(symbol, interval, day) if bar.at.date() == day]
        return [_figures(bar) for bar in kept] == [_figures(bar) for bar in told if bar.at.date() == day]

    def forget(self, symbol: str) -> None:
        """All of that symbol. Raises `sqlite3.Error`."""
        with closing(self._open()) as store, store:
            store.execute("DELETE FROM candles WHERE symbol = ?", (symbol,))
            store.execute("DELETE FROM days WHERE symbol = ?", (symbol,))

    def keep(self, symbol: str, interval: timedelta, days: Iterable[date], bars: Iterable[Bar]) -> None:
        """All of these days, those without a candle too. Raises `sqlite3.Error`."""
        kind, kept = (symbol, name_of(interval)), set(days)
        rows = [
            (
                *kind,
                bar.at.date().isoformat(),
                int(bar.at.timestamp()),
                int(bar.ends.timestamp()),
                *(str(price) for price in (bar.open, bar.high, bar.low, bar.close)),
                bar.volume,
                bar.oi,
            )
            for bar in bars
            if bar.at.date() in kept
        ]
        with closing(self._open()) as store, store:
            store.executemany("INSERT OR REPLACE INTO candles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            store.executemany("INSERT OR REPLACE INTO days VALUES (?, ?, ?)", [(*kind, str(day)) for day in kept])

    def _open(self) -> sqlite3.Connection:
        store = sqlite3.connect(self._file, timeout=LOCKED_SECONDS)
        try:
            store.executescript(SCHEMA)
        except sqlite3.Error:
            store.close()
            raise
        return store


def _rupees(opened: str, high: str, low: str, close: str) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    return Decimal(opened), Decimal(high), Decimal(low), Decimal(close)


def _figures(bar: Bar) -> tuple[datetime, Decimal, Decimal, Decimal, Decimal]:
    return bar.at, bar.open, bar.high, bar.low, bar.close


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, IST)
