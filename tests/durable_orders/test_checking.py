"""`verify` and `rebuild`, on a home that has really traded."""

import asyncio
import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.oms import PaperOms
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.orders.order import Account, Side, Terms
from durable_orders.workers import server
from durable_orders.workers.home import Home
from durable_orders.workers.ports import ANY
from tests.durable_orders.conftest import FAR_BELOW, LOT, SPEED, SYMBOL
from tests.durable_orders.program import OWN_PORTS, Program, Running

DIFFERENT, REFUSED = 1, 1
LEDGER, REBUILT = "ledger.db", "ledger.rebuilt.db"


@contextmanager
def up(home: Path) -> Iterator[tuple[Program, Running]]:
    program = Program(home)
    with program.started("up", *OWN_PORTS, "--speed", SPEED) as running:
        running.line("Ctrl-C")
        yield program, running
        running.stop(signal.SIGTERM)


@contextmanager
def server_alone(home: Path) -> Iterator[Program]:
    """The home's Temporal server, and no worker that would set things right."""
    place = Home(home)
    address = asyncio.run(server.start(place, ANY, ANY))
    try:
        yield Program(home)
    finally:
        asyncio.run(server.stop(address, place))


def by_hand(home: Path) -> None:
    """Somebody places an order at the exchange, past this system."""
    with open_database(f"sqlite:///{home / LEDGER}") as database:
        desk = PaperOms(database, Account("paper"), Paper(), lambda _symbol: Decimal("0.05"))
        desk.receive(Terms(symbol=SYMBOL, side=Side.BUY, quantity=int(LOT)), None)


def known(home: Path) -> dict[str, str]:
    """The status of each order in the ledger, by its client order id."""
    with open_database(f"sqlite:///{home / LEDGER}") as database, database.read() as connection:
        return {order.client_order_id.split("-")[0]: order.status.value for order in list_orders(connection, "paper")}


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a day that is over: everything is down, and one order still rests."""
    home = tmp_path_factory.mktemp("traded")
    limit = ("--type", "LIMIT", "--price", FAR_BELOW)
    with up(home) as (program, _):
        for words in (
            ("place", "BUY", SYMBOL, LOT, "--wait", "--id", "bought"),
            ("place", "SELL", SYMBOL, "150", "--wait", "--id", "sold", "--strategy", "other"),
            ("place", "BUY", SYMBOL, LOT, *limit, "--id", "resting"),
            ("place", "BUY", SYMBOL, LOT, *limit, "--id", "cut"),
            ("cancel", "cut"),
        ):
            assert program.here(*words).code == 0
        assert program.here("place", "BUY", "NSE:INFI", "1", "--id", "refused").code == 1
        with program.started("events", "--follow") as following:
            by_hand(home)
            following.line("not placed by this system")
        agreed = program("verify", "--json")
        assert (agreed.code, agreed.err, agreed.json["differences"]) == (0, "", [])
        counts = {name: agreed.json[name] for name in ("orders", "adopted", "forgotten", "rows", "trades")}
        assert counts == {"orders": 6, "adopted": 1, "forgotten": 0, "rows": 5, "trades": 3}
        told = program.here("verify").out.splitlines()
        assert told[-1] == "Histories, ledger and broker agree."
    return home


@pytest.fixture
def home(traded: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test to spoil."""
    return shutil.copytree(traded, tmp_path / "home")


def spoil(home: Path) -> None:
    with closing(sqlite3.connect(home / LEDGER)) as ledger, ledger:
        ledger.execute("UPDATE orders SET status = 'CANCELLED', filled_quantity = 0 WHERE client_order_id = 'sold'")
        ledger.execute("DELETE FROM fills WHERE order_id = 'order:paper:sold'")
        ledger.execute("DELETE FROM events WHERE order_id = 'order:paper:cut' AND sequence = 1")
        ledger.execute("DELETE FROM orders WHERE client_order_id = 'refused'")


def test_verify_prints_each_difference(home: Path) -> None:
    spoil(home)
    with server_alone(home) as program:
        answer = program.here("verify")
        assert answer.code == DIFFERENT
        assert answer.error == "7 differences between the ledger and the others"
        for words in (
            "DIFFERENT (history) order:paper:sold: status is CANCELLED in the ledger, FILLED in the history",
            "DIFFERENT (broker) order:paper:sold: CANCELLED in the ledger, COMPLETE at the broker",
            "DIFFERENT (broker) order:paper:sold: 0 filled in the ledger, 150 at the broker",
            "DIFFERENT (history) order:paper:refused: REJECTED by its history, not in the ledger",
            f"DIFFERENT (ledger) {SYMBOL} MIS: the position is ",
        ):
            assert any(line.startswith(words) for line in answer.out.splitlines()), answer.out
        found = program.here("verify", "--json")
        assert (found.code, len(found.json["differences"])) == (DIFFERENT, 7)


def test_verify_needs_the_server(home: Path) -> None:
    answer = Program(home).here("verify")
    assert (answer.code, answer.out) == (REFUSED, "")
    assert answer.error.startswith("no server is running for home ")


def test_rebuild_shows_that_the_histories_tell_the_ledger(home: Path) -> None:
    """With everything down it starts the server for itself, and leaves all as it was."""
    before = known(home)
    answer = Program(home)("rebuild")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[:2] == [
        "5 orders made anew out of histories.",
        "  only in the ledger: 1 order, found at the broker, without a workflow",
    ]
    rows = r"orders 6, events \d+, fills 3, position entries 0, positions 1, strategy positions 3, lots 0\.\n"
    assert "It equals the old one: orders 6, " in answer.out
    assert re.search(rows, answer.out)
    assert answer.out.endswith(f"The rebuilt ledger is {home / REBUILT}.\n")
    assert known(home) == before
    address = Home(home).address()
    assert address is not None
    assert not server.is_our_server(address, Home(home))


def test_rebuild_lists_what_differs_and_mends_it_when_told(home: Path) -> None:
    before = known(home)
    spoil(home)
    program = Program(home)
    seen = program.here("rebuild", "--json")
    assert (seen.code, seen.error) == (DIFFERENT, "4 differences between the two ledgers")
    *lost, trade = seen.json["comparison"]["differences"]
    assert lost == [
        "orders order:paper:refused: only in the histories",
        "orders order:paper:sold: filled_quantity is 0 in the ledger, 150 rebuilt, "
        "status is CANCELLED in the ledger, FILLED rebuilt",
        "events order:paper:cut 1: only in the histories",
    ]
    assert re.fullmatch(r"fills order:paper:sold \S+: only in the histories", trade)
    assert known(home) != before
    mended = program.here("rebuild", "--replace", "--json")
    assert (mended.code, mended.err, mended.json["ledger"]) == (0, "", str(home / LEDGER))
    assert known(home) == before
    assert Path(mended.json["backup"]).stat().st_size > 0
    assert not (home / REBUILT).exists()
    again = program.here("rebuild", "--json")
    assert (again.code, again.json["comparison"]["different"]) == (0, 0)


def test_trading_goes_on_with_the_rebuilt_ledger(home: Path) -> None:
    assert Program(home).here("rebuild", "--replace").code == 0
    with up(home) as (program, _):
        refused = program.here("rebuild", "--replace")
        assert (refused.code, refused.error.startswith(f"home {home}: already up (process ")) == (REFUSED, True)
        assert program.here("rebuild").code == 0  # beside a running system: it only looks
        assert program.here("cancel", "resting").code == 0
        assert program.here("place", "BUY", SYMBOL, LOT, "--wait", "--id", "another").code == 0
        assert program.here("verify").code == 0


def test_a_ledger_that_something_uses_is_not_replaced(home: Path) -> None:
    spoil(home)
    spoilt = known(home)
    with closing(sqlite3.connect(home / LEDGER)) as worker:
        worker.execute("PRAGMA journal_mode=WAL")
        worker.execute("SELECT count(*) FROM orders").fetchone()
        answer = Program(home).here("rebuild", "--replace")
    assert (answer.code, answer.out) == (REFUSED, "")
    assert answer.error == f"ledger {home / LEDGER}: something still uses it, such as a worker; it was not replaced"
    assert known(home) == spoilt


def test_a_ledger_that_is_lost_is_made_again(home: Path) -> None:
    """But for the order that was placed by hand: no history tells it."""
    before = known(home)
    del before["external"]
    (home / LEDGER).unlink()
    answer = Program(home).here("rebuild", "--replace")
    assert (answer.code, answer.err) == (0, "")
    assert "There is no old ledger that could be read" in answer.out
    assert known(home) == before


@pytest.mark.parametrize("damage", [b"no database at all" * 99, None])
def test_a_ledger_that_is_damaged_is_put_aside(home: Path, damage: bytes | None) -> None:
    whole = (home / LEDGER).read_bytes()
    content = damage or whole[:20_000] + b"\0" * (len(whole) - 20_000)
    (home / LEDGER).write_bytes(content)
    answer = Program(home).here("rebuild", "--replace", "--json")
    assert (answer.code, answer.err, answer.json["comparison"]) == (0, "", None)
    assert Path(answer.json["backup"]).read_bytes() == content
    assert known(home)["sold"] == "FILLED"


def test_a_home_without_histories(tmp_path: Path) -> None:
    answer = Program(tmp_path).here("rebuild")
    assert (answer.code, answer.out) == (REFUSED, "")
    assert answer.error == f"home {tmp_path}: there are no histories to rebuild from"


def test_a_ledger_on_postgresql_is_not_replaced(home: Path) -> None:
    url = "postgresql://trader:hush@127.0.0.1:1/ledger"
    answer = Program(home).here("rebuild", "--replace", DURABLE_ORDERS_LEDGER__URL=url)
    assert (answer.code, answer.out) == (REFUSED, "")
    assert answer.error == "ledger.url: is PostgreSQL, and only a SQLite ledger can be replaced"


def test_a_backup_that_was_made_while_up_is_a_home(tmp_path: Path) -> None:
    """Histories and ledger of the copy agree, and it knows the orders that were there."""
    home, copy = tmp_path / "home", tmp_path / "copy"
    with up(home) as (program, _):
        for own_id in ("first", "second"):
            assert program.here("place", "BUY", SYMBOL, LOT, "--wait", "--id", own_id).code == 0
        answer = program.here("backup", str(copy), "--json")
        assert (answer.code, answer.err) == (0, "")
        again = program.here("backup", str(copy))
        assert (again.code, again.error) == (REFUSED, f"{copy}: is there already; a backup takes a new directory")
    assert [file["name"] for file in answer.json["files"]] == ["ledger.db", "state-paper.json", "temporal.db"]
    restored = Program(copy)
    assert {order["client_order_id"] for order in restored.here("list", "--json").json} == {"first", "second"}
    rebuilt = restored("rebuild", "--json")
    assert (rebuilt.code, rebuilt.json["sources"]["replayed_orders"]) == (0, 2)
