"""`durable-orders calendar`: what a person reads and what a script gets."""

import json
from pathlib import Path

import pytest
import yaml

from durable_orders.cli import run
from durable_orders.workers.home import SETTINGS_FILE


@pytest.mark.parametrize("days", [4, 5])
def test_a_script_gets_one_line_a_session(tmp_path: Path, capsys: pytest.CaptureFixture[str], days: int) -> None:
    """The fifth day is a holiday."""
    words = [
        "calendar",
        "--home",
        str(tmp_path),
        "--from",
        "2026-11-06",
        "--days",
        str(days),
        "--symbol",
        "NSE:INFY",
        "--json",
    ]
    assert run(words) == 0

    rows = json.loads(capsys.readouterr().out)
    assert [list(row) for row in rows] == [["date", "opens", "closes", "known", "source"]] * 3
    friday, muhurat, monday = rows
    assert friday["opens"] == "2026-11-06T09:15:00+05:30"
    assert friday["closes"] == "2026-11-06T15:30:00+05:30"
    assert (muhurat["date"], muhurat["opens"], muhurat["known"]) == ("2026-11-08", None, False)
    assert (monday["date"], monday["known"]) == ("2026-11-09", True)


def test_a_person_reads_the_source_of_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exception = {"date": "2026-11-08", "windows": [{"opens": "18:00", "closes": "19:00"}], "reason": "NSE/CMTR/1"}
    tmp_path.joinpath(SETTINGS_FILE).write_text(yaml.safe_dump({"market": {"exceptions": [exception]}}))
    words = ["calendar", "--home", str(tmp_path), "--from", "2026-11-08", "--days", "3", "--symbol", "MCX:GOLD26DECFUT"]
    assert run(words) == 0

    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Sun 08 Nov 2026  18:00-19:00  market.exceptions: NSE/CMTR/1"
    assert out[1].startswith("Mon 09 Nov 2026  09:00-23:55  ")
    assert out[2].startswith("Tue 10 Nov 2026  17:00-23:55  MCX")


def test_a_day_that_is_not_known_says_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calendar", "--home", str(tmp_path), "--from", "2026-11-08", "--days", "1"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("Sun 08 Nov 2026  not known    NSE/CMTR/71775")
    exception = 'market.exceptions: [{date: 2026-11-08, windows: [{opens: "HH:MM", closes: "HH:MM"}]}]'
    assert line.endswith(f"its hours by circular; to have it known, write into the settings {exception}")


def test_a_week_without_a_session_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calendar", "--home", str(tmp_path), "--from", "2026-11-28", "--days", "2"]) == 0
    assert capsys.readouterr().out == "No sessions.\n"


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("--from", "31-12-2026"), 2, "must be a date, as in 2026-11-06; was '31-12-2026'"),
        (("--from", "2200-01-01"), 2, "must be before 2100, was 2200-01-01"),
        (("--days", "0"), 2, "greater than or equal to 1"),
        (("--symbol", "INFY"), 1, "--symbol: must be an exchange (NSE, BSE,"),
        (("--symbol", "NYSE:IBM"), 1, "--symbol: must be an exchange (NSE, BSE,"),
    ],
)
def test_bad_words_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, error: str
) -> None:
    assert run(["calendar", "--home", str(tmp_path), *words]) == code

    said = capsys.readouterr()
    assert error in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
