"""`journal`, as somebody at a terminal asks for it."""

import csv
import io
import json
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.journal_csv import COLUMNS
from tests.durable_orders.conftest import FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import Program, once_started
from tests.starting.programs import PROGRAM

FAILED, MISUSED = 1, 2
OWN = ("--strategy", "chronicle")


@pytest.fixture(scope="module")
def chronicle(desk: Program) -> dict[str, str]:
    """The status of each order of the strategy `chronicle`, by its client order id."""
    limit = ("--type", "LIMIT", "--price", FAR_BELOW)
    orders = {
        "j-filled": ("place", "BUY", SYMBOL, LOT, "--wait", "--reason", "a, b\nand c"),
        "j-working": ("place", "BUY", SYMBOL, LOT, *limit),
        "j-cancelled": ("place", "BUY", SYMBOL, LOT, *limit),
        "j-refused": ("place", "BUY", "NSE:INFI", "1"),
    }
    for own_id, words in orders.items():
        desk.here(*words, *OWN, "--id", own_id)
    desk.here("cancel", "j-cancelled")
    return {"j-filled": "FILLED", "j-working": "PLACED", "j-cancelled": "CANCELLED", "j-refused": "REJECTED"}


def test_every_order_is_in_it_as_json(desk: Program, chronicle: dict[str, str]) -> None:
    answer = desk("journal", *OWN, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert {line["client_order_id"]: line["status"] for line in answer.json} == chronicle
    [filled] = [line for line in answer.json if line["client_order_id"] == "j-filled"]
    assert (filled["filled_quantity"], filled["symbol"], filled["account"]) == (int(LOT), SYMBOL, "paper")
    assert filled["trade_id"]
    assert isinstance(filled["fill_price"], str)
    assert Decimal(filled["charges"]) > 20, "a future's brokerage, and the taxes"
    assert [line["at"] for line in answer.json] == sorted(line["at"] for line in answer.json)


def test_the_csv_is_the_layout_that_is_known(desk: Program, chronicle: dict[str, str]) -> None:
    answer = desk("journal", *OWN, "--format", "csv")
    assert (answer.code, answer.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert tuple(rows[0]) == COLUMNS
    assert {json.loads(row["extra"])["client_order_id"]: row["status"] for row in rows} == chronicle
    filled = [row for row in rows if row["status"] == "FILLED"]
    assert sum(int(row["filled_quantity"]) for row in filled) == int(LOT)
    assert json.loads(filled[0]["extra"])["reason"] == "a, b\nand c"


def test_the_table_is_for_people(desk: Program, chronicle: dict[str, str]) -> None:
    answer = desk.here("journal", *OWN)
    header, *lines, _, total = answer.out.splitlines()
    assert header.split() == ["time", "(IST)", "status", "filled", "price", "order"]
    assert re.fullmatch(r"4 orders, 1 fill; realized 0\.00, charges \d+\.\d\d\.", total)
    assert any("REJECTED" in line and "did you mean NSE:INFY?" in line for line in lines)
    assert any(f"{LOT} of {LOT}" in line and "j-filled" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--status", "FILLED", "--status", "rejected"), {"j-filled", "j-refused"}),
        (("--symbol", "nse:infi"), {"j-refused"}),
        (("--account", "nobody"), set()),
        (("--from", "2020-01-01", "--status", "PLACED"), {"j-working"}),
        (("--to", "2020-01-01"), set()),
        (("--date", "2020-01-01"), set()),
    ],
)
def test_it_can_be_narrowed(
    desk: Program, chronicle: dict[str, str], words: tuple[str, ...], expected: set[str]
) -> None:
    lines = desk.here("journal", *OWN, "--json", *words).json
    assert {line["client_order_id"] for line in lines} == expected


def test_a_day_is_one_of_ist(desk: Program, chronicle: dict[str, str]) -> None:
    """Asked for the days around now, so that it does not matter when the day changes meanwhile."""
    days = [datetime.now(UTC).astimezone(IST).date() + timedelta(days=number) for number in (-1, 0, 1)]
    lines = [line for day in days for line in desk.here("journal", *OWN, "--json", "--date", str(day)).json]
    assert {line["client_order_id"] for line in lines} == chronicle.keys()
    assert len(lines) == len(desk.here("journal", *OWN, "--json").json)


@pytest.mark.parametrize("name", ["trades.csv", "trades.CSV", "trades.json", "trades.txt"])
def test_a_file_is_written_in_the_shape_of_its_name(
    desk: Program, chronicle: dict[str, str], tmp_path: Path, name: str
) -> None:
    shape = {".csv": "csv", ".json": "json", ".txt": "table"}[Path(name).suffix.lower()]
    file = tmp_path / name
    file.write_text("what was there before")
    answer = desk.here("journal", *OWN, "--output", str(file))
    assert (answer.code, answer.out, answer.err) == (0, "", f"note: {file} has 4 lines of the journal\n")
    assert file.read_text(encoding="utf-8").split() == desk.here("journal", *OWN, "--format", shape).out.split()
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_written_whole_is_not_written(
    desk: Program, chronicle: dict[str, str], tmp_path: Path
) -> None:
    """The disk is full after a few bytes: what was there before still is, and nothing else."""
    file = tmp_path / "trades.csv"
    file.write_text("what was there before")
    limited = f"ulimit -f 1; exec {PROGRAM} journal --home {desk.home} --output {file}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == FAILED
    assert done.stderr == f"error: {file}: cannot be written: File too large\n"
    assert file.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--date", "20.11.2026"), MISUSED, "'20.11.2026' is no day, as 2025-04-29 is one"),
        (("--date", "0001-01-01"), MISUSED, "the year must be 1970 to 9998"),
        (("--date", "2026-11-20", "--from", "2026-11-20"), MISUSED, "is one day: give either it, or --from and --to"),
        (("--from", "2026-11-20", "--to", "2026-11-19"), MISUSED, "must not lie before --from, 2026-11-20"),
        (("--symbol", "INFY"), MISUSED, "must be an exchange and a tradingsymbol, as in NSE:INFY, was 'INFY'"),
        (("--strategy", "my own"), MISUSED, "'--strategy': must be 1 to 64 letters"),
        (("--account", ""), MISUSED, "'--account': must be 1 to 64 letters"),
        (("--status", "DONE"), MISUSED, "'DONE' is not one of"),
        (("--format", "xml"), MISUSED, "'xml' is not one of"),
        (("--format", "csv", "--json"), MISUSED, "is csv, and --json was given"),
        (("--output", "/dev/null"), MISUSED, "/dev/null must be a file"),
        (("--output", "/"), MISUSED, "file '/' is a directory"),
        (("--output", "/nowhere/trades.csv"), FAILED, "cannot be written: No such file or directory"),
    ],
)
def test_a_wrong_question_gets_one_clear_line(tmp_path: Path, words: tuple[str, ...], code: int, told: str) -> None:
    answer = once_started(tmp_path).here("journal", *words)
    assert (answer.code, answer.out) == (code, "")
    assert told in answer.error


def test_nothing_to_show_is_no_error(tmp_path: Path) -> None:
    fresh = once_started(tmp_path)
    assert fresh.here("journal").out == "Nothing in the journal for that.\n"
    assert fresh.here("journal", "--json").json == []
    assert fresh.here("journal", "--format", "csv").out == f"{','.join(COLUMNS)}\n"


def test_whoever_has_read_enough_may_leave(desk: Program, chronicle: dict[str, str]) -> None:
    """As `durable-orders journal | head -1` does, of a journal that does not fit into the pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [str(PROGRAM), "journal", "--home", str(desk.home), "--json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=90)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_event_can_be_asked_for_like_the_trades(desk: Program, chronicle: dict[str, str]) -> None:
    own = ("journal", "--events", *OWN)
    answer = desk.here(*own, "--status", "CANCELLED", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert (answer.json[0]["type"], answer.json[-1]["type"]) == ("order_received", "order_cancelled")
    assert {event["order_id"] for event in answer.json} == {"order:paper:j-cancelled"}
    rows = list(csv.DictReader(io.StringIO(desk.here(*own, "--format", "csv").out)))
    assert {row["order_id"].split(":")[-1] for row in rows} == chronicle.keys()
    *_, total = desk.here(*own).out.splitlines()
    assert total == f"{len(rows)} events."
    assert desk.here(*own, "--date", "2001-01-01").out == "Nothing in the journal for that.\n"
