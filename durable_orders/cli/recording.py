"""The commands that record the market's ticks, and tell what was recorded."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, fail, note
from durable_orders.cli.journal_output import counted
from durable_orders.cli.logs import log_to_stderr
from durable_orders.json_text import jsonable
from durable_orders.trading.errors import HomeUnusable, InvalidSettings
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.trading.market.recordings.recorded import Recording

DAY = typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only this day, in IST.")


@app.command()
def record(
    symbols: Annotated[list[str] | None, typer.Argument(help="Beside what is traded, such as 'NSE:NIFTY 50'.")] = None,
    most: Annotated[float, typer.Option(min=0.001, help="Gigabytes that recordings may take.")] = 50.0,
    keep_free: Annotated[float, typer.Option(min=0.0, help="Gigabytes of the disk that stay free.")] = 2.0,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Record Kite's live ticks, with five levels of the book, of what is traded and of what is named, until Ctrl-C.

    In a process and over a connection of its own: orders do not wait for it. `recordings` tells what there is.
    """
    from durable_orders.recording import Limits, Recorder
    from durable_orders.trading.market.recordings.compaction import needs_pyarrow
    from durable_orders.workers.up import stop_on_signals

    log_to_stderr()
    needs_pyarrow("record")
    place = Home(home)
    settings = place.settings(config)
    if settings.kite.api_key is None:
        raise InvalidSettings("kite.api_key: must be set: live ticks come from Kite")

    async def recorded() -> None:
        stop = stop_on_signals()
        named = [symbol.upper() for symbol in symbols or ()]
        with place.ledger(settings) as database, place.recording():
            recorder = await asyncio.to_thread(
                Recorder, place, settings, database, named, Limits(most=most, keep_free=keep_free)
            )
            console.print(f"Recording into {place.recordings}. Ctrl-C stops it.", soft_wrap=True, markup=False)
            await recorder.run(stop, note)

    asyncio.run(recorded())
    console.print("Stopped.")


@app.command()
def recordings(
    date: Annotated[datetime | None, DAY] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what was recorded, file by file, and what is missing of it; each is read whole and verified.

    What a killed recorder has left is compacted first. Exit code 1 if a file is not as it was written.
    """
    from durable_orders.trading.market.recordings.recorded import recordings as found_in

    place = Home(home)
    _compact_what_is_left(place, config)
    found = list(found_in(place.recordings, f"{date:%Y-%m-%d}" if date else None))
    if as_json:
        _print_json(found)
    else:
        _print(found)
    if broken := [each for each in found if each.problem is not None]:
        fail(f"{counted(len(broken), 'recording')} cannot be used: {broken[0].problem}")


def _compact_what_is_left(place: Home, config: Path | None) -> None:
    """Unless somebody records: then the journals are written to."""
    from durable_orders.trading.brokers.kite.full_packets import columns_of
    from durable_orders.trading.brokers.kite.recorder import ended_unseen
    from durable_orders.trading.market.instrument_sessions import InstrumentSessions
    from durable_orders.trading.market.recordings.places import days
    from durable_orders.trading.market.recordings.recorded import compact_day
    from durable_orders.workers.instruments import instruments_of

    left = [day for day in days(place.recordings) if day.journals()]
    if not left:
        return
    settings = place.settings(config)
    try:
        with place.recording():
            sessions = InstrumentSessions(settings.market, instruments_of(place, settings))
            for day in left:
                for trouble in compact_day(
                    day, day.journals().keys(), sessions, columns_of, ended_unseen(day)
                ).values():
                    note(trouble)
    except HomeUnusable as error:
        note(f"{error}: what it has not compacted yet is not shown")


def _print_json(found: "list[Recording]") -> None:
    import json
    import sys
    from dataclasses import asdict

    told = [asdict(each) | {"file": str(each.file)} for each in found]
    sys.stdout.write(json.dumps(told, default=jsonable, indent=2) + "\n")
    sys.stdout.flush()


def _print(found: "list[Recording]") -> None:
    def say(words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)

    if not found:
        say("Nothing was recorded.")
    for each in found:
        if each.problem is not None:
            say(f"{each.day}  {each.symbol}  NOT USABLE: {each.problem}")
            continue
        hours = f"{each.first:%H:%M:%S} to {each.last:%H:%M:%S}" if each.first and each.last else "no time"
        say(f"{each.day}  {each.symbol}  {counted(each.ticks, 'tick')}, {hours}  {each.file}")
        for gap in each.gaps:
            say(f"    missing {gap.begin:%H:%M:%S} to {gap.end:%H:%M:%S}: {gap.why}")
        for why, count in each.left_out.items():
            say(f"    left out as {why}: {counted(count, 'packet')}")
