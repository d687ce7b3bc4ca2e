"""The recorder of a live account: beside its worker, over the sandbox's stream, killed, and on a disk that is full."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.venue import INFY, SBIN
from durable_orders import recording
from durable_orders.cli import run
from durable_orders.recording import Limits, Recorder
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.ist import IST
from durable_orders.trading.market.recordings.journal import blocks_of
from durable_orders.trading.market.recordings.places import Place
from durable_orders.trading.market.recordings.recorded import recordings
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.orders.order import OrderType, Status
from tests.durable_orders.program import Program
from tests.live.conftest import Desks
from tests.live.desk import Desk, eventually

ROOM = Limits(most=50, keep_free=0)
TICK = Decimal("0.05")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(recording, "WRITE_SECONDS", 0.05)


@asynccontextmanager
async def recorded(desk: Desk, *named: str, limits: Limits = ROOM) -> AsyncIterator[list[str]]:
    """What it says, while it runs."""
    stop, said = asyncio.Event(), list[str]()
    recorder = await asyncio.to_thread(Recorder, desk.home, desk.settings, desk.orders.database, [*named], limits)
    running = asyncio.create_task(recorder.run(stop, said.append))
    try:
        yield said
    finally:
        stop.set()
        await running


def today(desk: Desk) -> Place:
    return Place(desk.home.recordings, datetime.now(UTC).astimezone(IST).date())


async def journaled(desk: Desk, symbol: str, count: int = 1) -> None:
    """So many ticks of the symbol are put down."""
    journal = today(desk).journal(symbol)

    async def there() -> bool:
        return journal.is_file() and sum(len(block.packets) for block in blocks_of(journal)) >= count

    assert await eventually(there, f"{count} ticks of {symbol} in the journal")


async def said_so(said: list[str], words: str) -> None:
    async def heard() -> bool:
        return any(words in each for each in said)

    assert await eventually(heard, f"{words!r} among {said}")


def prices(file: Path) -> list[Decimal]:
    return [tick.last_price for tick in read_ticks(file, None, TICK)]


async def test_what_is_named_and_what_is_traded_is_recorded(desk: Desk) -> None:
    async with recorded(desk, SBIN):
        await desk.venue.tick(Decimal(800), SBIN)
        await journaled(desk, SBIN)
        assert not today(desk).journal(INFY).exists()
        await desk.resting()
        await desk.venue.tick(Decimal("1500.5"), INFY)
        await journaled(desk, INFY, 2)
    infy, sbin = recordings(desk.home.recordings)
    assert (infy.symbol, prices(infy.file)[-1]) == (INFY, Decimal("1500.5"))
    assert (sbin.symbol, prices(sbin.file)) == (SBIN, [Decimal(800)])
    assert infy.problem is sbin.problem is None
    (tick,) = read_ticks(sbin.file, None, TICK)
    assert tick.depth is not None
    assert (len(tick.depth.bids), len(tick.depth.asks)) == (5, 5)


async def test_a_full_disk_is_an_alert_and_trading_goes_on(desk: Desk) -> None:
    journal = today(desk).journal(SBIN)
    journal.parent.mkdir(parents=True)
    journal.symlink_to("/dev/full")
    async with recorded(desk, SBIN) as said:
        await desk.venue.tick(Decimal(800), SBIN)
        alert = await desk.alerted("no ticks are recorded: ")
        assert "No space left on device" in alert.message
        assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
        journal.unlink()
        later = (Decimal(801 + number) for number in range(100_000))

        async def again() -> bool:
            await desk.venue.tick(next(later), SBIN)
            return "ticks are recorded again" in said

        assert await eventually(again, "ticks are recorded again")
        assert sum("no ticks are recorded" in each for each in said) == 1, "not with every try"
        await journaled(desk, SBIN)  # what is written again first may be a tick of what was traded
    sbin = next(each for each in recordings(desk.home.recordings) if each.symbol == SBIN)
    assert min(prices(sbin.file)) > 800
    assert any("No space left on device" in gap.why for gap in sbin.gaps)


async def test_limits_of_the_disk_are_kept(desk: Desk) -> None:
    async with recorded(desk, SBIN, limits=Limits(most=50, keep_free=10**9)) as said:
        await desk.alerted("and 1e+09 are to stay so; trading goes on")
        await desk.venue.tick(Decimal(800), SBIN)
    assert list(recordings(desk.home.recordings)) == []
    today(desk).path.mkdir(parents=True, exist_ok=True)
    (today(desk).path / "large").write_bytes(bytes(2048))
    async with recorded(desk, SBIN, limits=Limits(most=1e-6, keep_free=0)) as said:
        await said_so(said, "are allowed; trading goes on")


async def test_a_killed_recorder_leaves_what_it_put_down(desks: Desks) -> None:
    """The program itself, killed; the next command makes files of what it left."""
    desk = await desks(staffed=False)
    program = Program(desk.home.path)
    await desk.venue.tick(Decimal(800), SBIN)
    with program.started("record", SBIN.lower()) as process:
        await journaled(desk, SBIN)
        second = await asyncio.to_thread(program, "record")
        assert "ticks are already recorded (process" in second.error
        await asyncio.to_thread(process.stop, signal.SIGKILL)
    answer = await asyncio.to_thread(program.here, "recordings", "--json")
    (sbin,) = answer.json
    assert (answer.code, sbin["symbol"], sbin["ticks"]) == (0, SBIN, len(prices(today(desk).parquet(SBIN))))
    assert "the recorder was not running" in [gap["why"] for gap in sbin["gaps"]]
    content = bytearray(today(desk).parquet(SBIN).read_bytes())
    content[20] ^= 0xFF
    today(desk).parquet(SBIN).write_bytes(content)
    broken = await asyncio.to_thread(program.here, "recordings")
    assert (broken.code, "1 recording cannot be used" in broken.err) == (1, True)


async def test_symbols_that_nobody_knows_and_homes_without_a_login_are_named(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        InvalidSettings, match="symbol: NSE:INFI is not in the instrument master; did you mean NSE:INFY"
    ):
        Recorder(desk.home, desk.settings, desk.orders.database, ["NSE:INFI"], ROOM)
    assert await asyncio.to_thread(run, ["record", "--home", str(tmp_path / "none")]) == 1
    assert "kite.api_key: must be set" in capsys.readouterr().err
