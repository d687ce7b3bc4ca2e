"""A live run that sees no tick says why: nobody should sit before a screen that says nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from durable_orders.login import keep
from durable_orders.running.kite_market import KiteMarket
from durable_orders.trading.ist import IST
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.workers.home import SETTINGS_FILE, Home
from tests.conftest import eventually
from tests.sandbox.conftest import clock, database, serve, served
from tests.sandbox.serving import INFY, Served


@pytest.fixture
def home(tmp_path: Path, served: Served) -> Home:
    """Of a live account at the sandbox, whose exchange has holidays today and tomorrow."""
    today = datetime.now(UTC).astimezone(IST).date()
    closed = [{"date": (today + timedelta(days=days)).isoformat(), "closed": True} for days in (0, 1)]
    content = {
        "account": "live",
        "execution": {"mode": "live"},
        "kite": {"api_key": served.settings.api_key, "root": served.sandbox.root, "ws_root": served.sandbox.ws_root},
        "market": {
            "instruments": str(shipped_instruments()),
            "exceptions": closed,
            "known_until": (today + timedelta(days=30)).isoformat(),
        },
    }
    home = Home(tmp_path / "home").make()
    (home.path / SETTINGS_FILE).write_text(yaml.safe_dump(content))
    return home


async def heard(home: Home, words: str) -> list[Tick]:
    """What is shown until it is told of that."""
    told: list[str] = []
    shown: list[Tick] = []
    market = KiteMarket(home, home.settings(), [INFY], told.append)
    following = asyncio.create_task(market.follow(shown.append))

    async def said() -> bool:
        return any(words in each for each in told)

    try:
        assert await eventually(said, words)
        assert len(told) == len(set(told)), "once each"
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return shown


async def test_a_closed_market_is_told_with_the_time_at_which_it_opens(home: Home) -> None:
    assert await heard(home, "the market is closed until ") == []


async def test_without_a_login_it_says_so(home: Home) -> None:
    assert await heard(home, "no ticks: ") == []


async def test_a_price_of_another_session_is_told_and_not_shown(home: Home, served: Served) -> None:
    keep(home, home.settings().kite, served.access_token(), home.settings())
    served.tick(1500)
    assert await heard(home, f"left out, as it is no price of this session: {INFY}, of ") == []


__all__ = ["clock", "database", "serve", "served"]
