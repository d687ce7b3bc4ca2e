"""An export, checked where there is no ledger."""

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from shutil import copytree

import pytest

from durable_orders.cli import run
from durable_orders.export import CERTIFICATES, EVENTS, FILES, JOURNAL, SUMS, verify_export
from durable_orders.trading.errors import RefusedError
from durable_orders.trading.ledger.certificates import canonical, certify
from durable_orders.trading.orders.book import BookState
from tests.ledgers import open_empty_ledger
from tests.trading.ledger.examples import enter, history, new_order, record_all

NAMES = ("of-the-first-day", "of-the-second-day", "not-certified")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An order on each of two days, which were certified, and one that nobody certified yet."""
    home, directory = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("kept") / "export"
    with open_empty_ledger(home / "ledger.db") as database:
        for day, name in enumerate(NAMES, 5):
            enter(database, order := new_order(name))
            record_all(database, history(order, [(100, Decimal("1500.05"))], BookState.COMPLETE))
            if name != NAMES[-1]:
                body = canonical({"figures": {"orders": 1}, "differences": []})
                with database.write() as connection:
                    certify(connection, "paper", date(2026, 1, day), body, datetime(2026, 1, day, 11, tzinfo=UTC))
    assert run(["export", str(directory), "--home", str(home)]) == 0
    return directory


def test_it_is_whole_on_a_machine_that_has_no_ledger(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copytree(exported, "elsewhere")
    assert run(["verify", "--export", "elsewhere", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["certificates"], told["events"], told["uncertified"], told["differences"]) == (2, 12, 4, [])
    last = json.loads((exported / CERTIFICATES).read_text().splitlines()[-1])
    assert (told["last"]["number"], told["last"]["hash"]) == (2, last["hash"])
    assert run(["verify", "--export", "elsewhere"]) == 0
    assert last["hash"] in capsys.readouterr().out
    assert all(name in (exported / JOURNAL).read_text() for name in NAMES)


def test_a_changed_byte_is_found_wherever_it_is_and_its_file_is_named(exported: Path, tmp_path: Path) -> None:
    copytree(exported, copy := tmp_path / "changed")
    for name in (*FILES, SUMS):
        whole = (copy / name).read_bytes()
        for at in range(0, len(whole), 7):
            (copy / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert any(name in str(each) for each in verify_export(copy).differences), f"{name} {at}"
        (copy / name).write_bytes(whole)
    assert verify_export(copy).differences == ()


def test_who_works_the_sums_out_again_is_found_by_the_certificates(exported: Path, tmp_path: Path) -> None:
    """The day whose events were changed is named, and what an auditor has noted of the sums differs."""
    copytree(exported, copy := tmp_path / "changed")
    text = (copy / EVENTS).read_text()
    changed = text.replace('"FILLED, 100 filled"', '"FILLED, 999 filled"', 2)
    first, second = (line for line in changed.splitlines() if "999" in line)
    for line, day in ((first, "certificate 1 of 2026-01-05"), (second, "certificate 2 of 2026-01-06")):
        (copy / EVENTS).write_text(text.replace(line.replace("999", "100"), line))
        sums = (exported / SUMS).read_text().replace(_sum(exported / EVENTS), _sum(copy / EVENTS))
        (copy / SUMS).write_text(sums)
        found = verify_export(copy)
        assert [(each.about, each.words) for each in found.differences] == [
            (day, "the events are not those that it was made of")
        ]
        assert found.seal != verify_export(exported).seal


def test_what_is_missing_is_named_and_what_is_no_export_is_refused(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(exported, copy := tmp_path / "half")
    (copy / JOURNAL).unlink()
    assert run(["verify", "--export", str(copy)]) == 1
    told = capsys.readouterr()
    assert f"DIFFERENT {JOURNAL}: is missing" in told.out
    assert "1 difference" in told.err
    with pytest.raises(RefusedError, match="is no export"):
        verify_export(tmp_path)
    assert run(["export", str(copy), "--home", str(tmp_path / "none")]) == 1
    assert "there is none" in capsys.readouterr().err


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
