"""What a live desk asks Kite for beside orders, at the sandbox, within its limits."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.venue import INFY, SBIN
from durable_orders.running import sources
from durable_orders.running.candles import CandleStore
from durable_orders.running.desk import RunDesk
from durable_orders.running.sources import KiteSource
from durable_orders.running.view import View
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.trading.errors import DataUnavailable
from durable_orders.trading.ist import IST
from durable_orders.trading.market.bars import Bar
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.strategies.state import State
from durable_orders.trading.strategies.timers import Timers
from tests.conftest import eventually
from tests.live.conftest import Desks
from tests.live.desk import Desk

FIVE = timedelta(minutes=5)
NOW = datetime(2026, 1, 6, 9, 17, tzinfo=IST)
ROWS = [f"2026-01-05 15:{minute}:00,{price},{price},{price},{price},5,{INFY}" for minute, price in ((20, 90), (25, 91))]


def source_of(desk: Desk) -> KiteSource:
    return KiteSource(desk.orders, InstrumentSessions(desk.settings.market, desk.orders.instruments()))


async def asked(desk: Desk, route: str) -> int:
    told = (await desk.venue.tally())["requests"].get(route, {})
    return sum(told.values()) if isinstance(told, dict) else told


async def test_candles_of_days_that_are_over_are_asked_for_once(desks: Desks, tmp_path: Path) -> None:
    """Also after a restart; and where they cannot be kept, they are asked for again, and that is told."""
    (tmp_path / "before.csv").write_text("\n".join(["datetime,open,high,low,close,volume,symbol", *ROWS]) + "\n")
    desk = await desks(staffed=False, sandbox={"history": tmp_path / "before.csv"})
    readings = []
    for _ in range(3):
        bars = await asyncio.to_thread(source_of(desk).bars, INFY, FIVE, None, 2, NOW)
        assert [f"{bar.at:%d %H:%M} {bar.close:.0f} {bar.volume} {bar.oi}" for bar in bars] == [
            "05 15:20 90 5 0",
            "05 15:25 91 5 0",
        ]
        readings.append(await asked(desk, "history"))
    assert readings == [2, 3, 4], "of days that are over once, and of today each time"
    in_all = await asked(desk, "history")
    source, told = source_of(desk), list[str]()
    source.warned = told.append
    (desk.home.path / "candles.db").write_bytes(b"no database, but what somebody has put there" * 99)
    assert len(await asyncio.to_thread(source.bars, INFY, FIVE, None, 2, NOW)) == 2
    assert [words.partition(":")[0] for words in told] == ["candles cannot be kept in the home"]
    assert await asked(desk, "history") > in_all


async def test_candles_that_kite_has_adjusted_are_asked_for_anew(desks: Desks, tmp_path: Path) -> None:
    """As after a split: what was kept would not go together with what comes."""
    (tmp_path / "before.csv").write_text("\n".join(["datetime,open,high,low,close,volume,symbol", *ROWS]) + "\n")
    desk = await desks(staffed=False, sandbox={"history": tmp_path / "before.csv"})
    store = CandleStore(desk.home.path / "candles.db")
    days, before = (NOW - timedelta(days=2), NOW - timedelta(days=1)), Decimal(180)
    old = [Bar(INFY, at, at + FIVE, before, before, before, before, 1) for at in days]
    store.keep(INFY, FIVE, [bar.at.date() for bar in old], old)
    tomorrow = NOW + timedelta(days=1)
    bars = await asyncio.to_thread(source_of(desk).bars, INFY, FIVE, old[0].at, 0, tomorrow)
    assert [bar.close for bar in bars] == [90, 91]


async def test_a_price_of_any_symbol_and_the_funds_can_be_asked_for(desks: Desks) -> None:
    desk = await desks(staffed=False)
    await desk.venue.tick(Decimal("812.35"), SBIN)
    source = source_of(desk)
    found = [await asyncio.to_thread(source.quote, symbol) for symbol in (INFY, SBIN)]
    assert [tick and tick.last_price for tick in found] == [1500, Decimal("812.35")]
    funds = await asyncio.to_thread(source.funds)
    assert funds is not None
    assert funds.available > 0


async def test_days_without_a_candle_are_not_asked_for_at_every_call(desks: Desks, tmp_path: Path) -> None:
    """As of a contract that was not traded the day before."""
    (tmp_path / "before.csv").write_text("\n".join(["datetime,open,high,low,close,volume,symbol", *ROWS]) + "\n")
    desk = await desks(staffed=False, sandbox={"history": tmp_path / "before.csv"})
    source, tomorrow = source_of(desk), NOW + timedelta(days=1)
    first = await asyncio.to_thread(source.bars, INFY, FIVE, NOW - timedelta(days=1), 0, tomorrow)
    in_all = await asked(desk, "history")
    assert await asyncio.to_thread(source.bars, INFY, FIVE, NOW - timedelta(days=1), 0, tomorrow) == first != []
    assert await asked(desk, "history") == in_all
    (desk.home.path / "candles.db").unlink()
    assert await asyncio.to_thread(source.bars, INFY, FIVE, NOW - timedelta(days=1), 0, tomorrow) == first


async def test_a_price_of_before_is_not_given_for_that_of_now(desks: Desks) -> None:
    """Once no tick has come for a moment, as while the stream is down, Kite tells it or nobody."""
    desk = await desks(staffed=False)
    run = RunDesk(desk.orders, "late", View(0), 0, Timers(), State())
    now = datetime.now(UTC)
    run.market_time = now - timedelta(seconds=30)
    run.seen[INFY] = Tick(INFY, Decimal(1400), run.market_time)
    assert await asyncio.to_thread(run.last_price, INFY) == 1500
    run.seen[INFY] = Tick(INFY, Decimal(1401), datetime.now(UTC) + timedelta(minutes=1))
    assert await asyncio.to_thread(run.last_price, INFY) == 1401, "of a tick that has just come"
    unknown = "NSE:DELISTED"
    run.seen[unknown] = Tick(unknown, Decimal(9), now - timedelta(seconds=30))
    assert await asyncio.to_thread(run.last_price, unknown) is None, "Kite's answer is without it"
    run.begins_at = now
    assert await asyncio.to_thread(run.last_price, unknown) == 9, "a recorded market has a time of its own"


async def test_a_request_that_failed_keeps_no_price_away_for_long(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the plan refuses is not asked for again soon; what was lost on the way is."""
    monkeypatch.setattr(sources, "REFUSED", timedelta(days=1))
    desk = await desks(staffed=False)
    source, told = source_of(desk), list[str]()
    source.warned = told.append
    await desk.venue.fault(FaultKind.SERVICE_UNAVAILABLE, routes=["quote"])
    assert await asyncio.to_thread(source.quote, INFY) is None
    found = await eventually(lambda: asyncio.to_thread(source.quote, INFY), "a price")
    assert found is not None
    assert found.last_price == 1500
    assert len(told) == 1


async def test_what_the_plan_does_not_include_is_one_line(desks: Desks) -> None:
    desk = await desks(staffed=False, sandbox={"market_data": False})
    source, told = source_of(desk), list[str]()
    source.warned = told.append
    with pytest.raises(DataUnavailable) as refused:
        await asyncio.to_thread(source.bars, INFY, FIVE, None, 2, NOW)
    words = "Kite does not tell: Insufficient permission for that call. (403 PermissionException)"
    plan = "the app's plan does not include it (Kite Connect does, Personal does not)"
    assert str(refused.value) == f"history: {words}; {plan}"
    assert [await asyncio.to_thread(source.quote, INFY) for _ in range(2)] == [None, None]
    assert told == [f"quote: {words}; {plan}"]
