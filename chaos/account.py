"""The account of a run: a home whose settings lead to the venue, and the human who logs in."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
import yaml

from chaos.venue import Venue
from durable_orders import login
from durable_orders.trading.ledger.accounts import set_halt
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.workers.home import SETTINGS_FILE, Home

LIVE = {"settle_window": 2, "reconciliation_interval": 0.5, "retry_delay": 0.2}
"""Short, so that a run is: in production they are 60 s, 3 s and 1 s."""
TIMEOUT = 2.0
"""Seconds that the broker has to answer where late answers are among the faults: none need be waited for longer."""
LOGIN_TIMEOUT = 25.0
"""Seconds that it has for the login, which is not what is tried: the most that the settings allow."""


def settings_for(venue: Venue, account: str, **live: Any) -> dict[str, Any]:
    """Settings as in examples/kite-sandbox.yaml, for this venue. `live` are keys of `execution.live`.

    The broker has as long to answer as by default: on a busy machine it may need it.
    """
    return {
        "account": account,
        "execution": {"mode": "live", "live": LIVE | live},
        "market": {"calendar": "always_open", "instruments": str(shipped_instruments())},
        "kite": {
            "api_key": venue.settings.api_key,
            "api_secret": venue.settings.api_secret.get_secret_value(),
            "root": venue.sandbox.root,
            "ws_root": venue.sandbox.ws_root,
            "login_root": f"{venue.sandbox.root}/connect/login",
        },
    }


def make_home(path: Path, settings: dict[str, Any]) -> Home:
    home = Home(path).make()
    (path / SETTINGS_FILE).write_text(yaml.safe_dump(settings), encoding="utf-8")
    return home


async def log_in(home: Home, user_id: str | None = None) -> str:
    """Log in as a human does, over the login page. Gives the access token, which the home keeps from now on.

    `user_id` is somebody else who sits there.
    """
    return await asyncio.to_thread(_log_in, home, user_id)


def _log_in(home: Home, user_id: str | None) -> str:
    settings = home.settings().kite.model_copy(update={"timeout": LOGIN_TIMEOUT})
    who = {"user_id": user_id} if user_id else {}
    answer = requests.get(login.login_url(settings), params=who, allow_redirects=False, timeout=LOGIN_TIMEOUT)
    (request_token,) = parse_qs(urlsplit(answer.headers["Location"]).query)["request_token"]
    token = login.exchange(settings, request_token)
    login.keep(home, settings, token)
    return token


async def resume(home: Home) -> None:
    """Let the account trade again, as `durable-orders resume` does."""
    settings = home.settings()

    def write() -> None:
        with home.ledger(settings) as database:
            set_halt(database, settings.account, None, datetime.now(UTC))

    await asyncio.to_thread(write)
