"""The instrument master that a worker checks orders against."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import requests

from trading.errors import InvalidInstruments
from trading.market.calendar import IST
from trading.market.instruments import Instruments
from trading.order import Mode
from trading.settings import Settings
from workers.home import Home

ROUTE = "/instruments"
DOWNLOAD_SECONDS = 60
"""Kite's master is some ten megabytes."""


def instruments_of(home: Home, settings: Settings) -> Instruments:
    """The configured master; without one, for paper the shipped one, for live Kite's own of today.

    Kite makes its master anew every morning (Kite documentation, instruments): it is fetched once a day and kept in
    the home. Raises `InvalidInstruments`.
    """
    if settings.market.instruments is not None:
        return Instruments.read(settings.market.instruments)
    if settings.execution.mode is not Mode.LIVE:
        return Instruments.shipped()
    return Instruments.read(_of_today(home, settings))


def _of_today(home: Home, settings: Settings) -> Path:
    today = datetime.now(UTC).astimezone(IST).date()
    kept = home.path / _name(today)
    if not kept.exists():
        content = _fetch(settings.kite.root + ROUTE)
        half = kept.with_suffix(f".{os.getpid()}")
        half.write_bytes(content)
        half.replace(kept)
        for old in home.path.glob("instruments-*.csv"):
            if old != kept:
                old.unlink(missing_ok=True)
    return kept


def _name(day: date) -> str:
    return f"instruments-{day.isoformat()}.csv"


def _fetch(url: str) -> bytes:
    """The CSV, whole. The route needs no login."""
    try:
        reply = requests.get(url, timeout=DOWNLOAD_SECONDS, headers={"X-Kite-Version": "3"})
        reply.raise_for_status()
    except requests.RequestException as error:
        kind = type(error).__name__
        raise InvalidInstruments(f"market.instruments: not set, and {url} did not give any ({kind})") from None
    return reply.content
