"""A live day without money: the sandbox, a login there, and a live run on it that sees recorded ticks as they come.

All of it is what a live day uses, over HTTP and WebSocket; only the other end is the sandbox. Each rehearsal has a home
of its own, as each has an exchange of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import aiohttp
import yaml

from durable_orders.login import keep
from durable_orders.running import Plan, Summary, run_strategy
from durable_orders.running.session import Source
from durable_orders.sandbox import FeedKind, Sandbox, SandboxSettings
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BrokenError, InvalidSettings
from durable_orders.trading.ist import IST
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_ticks import market_ticks
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.strategies.files import Loaded
from durable_orders.workers.environment import configured_server
from durable_orders.workers.home import SETTINGS_FILE, Home

ACCOUNT = "rehearsal"
REHEARSED = {"execution", "guardian", "exits", "trading", "market"}
"""The sections of the user's settings that a rehearsal has."""
SEEN_SECONDS = 20.0
"""So long a tick may be on its way to the strategy."""
SETTLED_SECONDS = 3.0
"""After the close, so that what expired is told."""
USUAL_SPEED = 600.0


@asynccontextmanager
async def stage(home: Home, settings: Settings) -> AsyncIterator[tuple[Home, Sandbox]]:
    """A sandbox, and a new home in `home` that is logged in there and has the user's own limits.

    Raises `InvalidSettings` where a Temporal server is configured: a rehearsal is on its own; and for what of the
    settings the sandbox cannot be told.
    """
    _history_says_all(settings)
    if (server := configured_server()) is not None:
        raise InvalidSettings(f"Temporal's environment names the server {server}: a rehearsal has its own, so unset it")
    masters = settings.market.masters
    wanted = SandboxSettings(
        port=0,
        feed=FeedKind.PUSHED,
        instruments=tuple(each.resolve() for each in masters) or None,
        history=settings.market.history,
        symbol=settings.market.symbol if settings.market.history else None,
    )
    async with Sandbox(wanted) as sandbox:
        place = Home(home.make().path / f"rehearsal-{datetime.now(IST):%Y%m%d-%H%M%S}").make()
        place.rehearsal_mark.touch()
        content = _settings(settings, sandbox, wanted)
        (place.path / SETTINGS_FILE).write_text(yaml.safe_dump(content), encoding="utf-8")
        token = (await _ask(sandbox, "login"))["access_token"]
        own = place.settings()
        await asyncio.to_thread(keep, place, own.kite, token, own)
        yield place, sandbox


async def rehearse(
    place: Home, sandbox: Sandbox, loaded: Loaded, plan: Plan, ticks: Sequence[Tick], speed: float
) -> Summary:
    """Run the strategy live against the sandbox, with these ticks at that speed, until the last is seen. One that names
    no symbol trades the one of the ticks, as in a backtest."""
    pushed, settings = _Pushed(sandbox, ticks, speed), place.settings()
    if settings.market.symbol is None and ticks:
        settings = settings.replaced({"market": {"symbol": ticks[0].symbol}})
    recorded = replace(plan, live=True, market=pushed.around, pace=speed, begins_at=ticks[0].at if ticks else None)
    return await run_strategy(place, None, settings, loaded, recorded)


def recorded_ticks(settings: Settings, report: ReadingReport) -> list[Tick]:
    """Those of the settings, or of the shipped day; the report has what is to be told of them.

    Raises `InvalidTicks` and `InvalidSettings`.
    """
    market = settings.market
    instruments = Instruments.read(*market.masters) if market.masters else Instruments.shipped()
    return list(market_ticks(market, instruments, InstrumentSessions(market, instruments), report))


class _Pushed:
    """Shows the sandbox one tick after the other, each once the strategy has seen the one before."""

    def __init__(self, sandbox: Sandbox, ticks: Sequence[Tick], speed: float) -> None:
        self._sandbox = sandbox
        self._ticks = ticks
        self._speed = speed
        self._due: Tick | None = None
        """What is on its way to the strategy, which sees it at the time that it was recorded at."""

    def around(self, follow: Source) -> Source:
        """The live market's ticks, for as long as there are any to push."""

        async def source(show: Callable[[Tick], object]) -> None:
            seen = asyncio.Semaphore(0)

            def shown(_tick: Tick) -> None:
                """Once for each that was pushed: a new subscription repeats the last."""
                recorded, self._due = self._due, None
                if recorded is not None:
                    show(recorded)
                    seen.release()

            following = asyncio.ensure_future(follow(shown))
            try:
                await self._push(seen)
                await _ask(self._sandbox, "close-session")
                await asyncio.sleep(SETTLED_SECONDS)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

        return source

    async def _push(self, seen: asyncio.Semaphore) -> None:
        before: Tick | None = None
        for tick in self._ticks:
            if before is not None:
                await asyncio.sleep(max((tick.at - before.at).total_seconds() / self._speed, 0))
            content = {"symbol": tick.symbol, "last_price": str(tick.last_price), "volume": tick.volume}
            self._due = tick
            await _ask(self._sandbox, "ticks", ticks=[content])
            try:
                async with asyncio.timeout(SEEN_SECONDS):
                    await seen.acquire()
            except TimeoutError:
                if before is None:
                    raise BrokenError(f"the strategy sees no ticks of {tick.symbol}: it looks at others") from None
            before = tick


def _history_says_all(settings: Settings) -> None:
    """The sandbox reads `market.history` as it stands. Raises `InvalidSettings`."""
    own = settings.market.recordings
    given = {"zone": own.zone is not None, "dates": own.dates is not None, "skip_bad": own.skip_bad}
    for name in (name for name, is_given in given.items() if is_given and settings.market.history is not None):
        words = "a rehearsal's sandbox reads market.history without it: leave one of the two out"
        raise InvalidSettings(f"market.recordings.{name}: {words}, or rehearse with files that need no such setting")


def _settings(settings: Settings, sandbox: Sandbox, wanted: SandboxSettings) -> dict[str, Any]:
    """The user's limits and ways, at the sandbox. Nothing that speaks to people or holds a secret."""
    content = settings.model_dump(mode="json", exclude_defaults=True, include=REHEARSED)
    content["execution"] = {k: v for k, v in content.get("execution", {}).items() if k != "dry_run"} | {"mode": "live"}
    content["execution"].setdefault("live", {}).setdefault("reconciliation_interval", 1)
    content["market"] = content.get("market", {}) | {"calendar": "always_open"}
    # a file, as whoever asks the sandbox for its own would wait for this very process
    masters = settings.market.masters or (shipped_instruments(),)
    content["market"]["instruments"] = [str(each.resolve()) for each in masters]
    content["kite"] = {
        "api_key": wanted.api_key,
        "api_secret": wanted.api_secret.get_secret_value(),
        "root": sandbox.root,
        "ws_root": sandbox.ws_root,
        "login_root": f"{sandbox.root}/connect/login",
    }
    return content | {"account": ACCOUNT}


async def _ask(sandbox: Sandbox, path: str, **body: Any) -> Any:
    async with aiohttp.ClientSession() as client, client.post(f"{sandbox.control}/{path}", json=body or None) as reply:
        content = await reply.json()
        if reply.status != 200:
            raise BrokenError(f"the sandbox does not take {path}: {content.get('message')}")
        return content["data"]
