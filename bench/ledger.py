"""How long the ledger takes to write, and to answer: `python -m bench.ledger`.

Fills a SQLite ledger with a hundred thousand events, and prints what each question takes in milliseconds; with `--keep`
it writes the section `ledger` of `bench/latest.json`. `--year` does it with a million, a year of trading, in
`ledger_year`. A first page is fifty lines of the journal. `--plans` prints what SQLite does for each of them, too.
"""

import argparse
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from bench.machine import local_circumstances
from bench.report import add_keep, keep
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.tables import events, fills
from durable_orders.trading.orders.book import BookState
from tests.trading.ledger.examples import history, new_order, record_all
from tests.trading.ledger.many import fill_up
from tests.trading.ledger.questions import EVERY, PAGES, Ask, plan_of

FEW, YEAR = 26_300, 263_000
"""Orders, with about a hundred thousand and about a million events."""
TIMES = 5
RECORDED = 100
"""Orders that are recorded in the full ledger, placed and filled, to see that writing has not become slow."""
SLOWEST_MS = 1000
"""A question that takes longer has failed."""
WHOLE = "the whole journal, line by line"


def measure(orders: int) -> dict[str, Any]:
    """A new ledger with so many orders, and the median milliseconds of each question."""
    report = local_circumstances()
    with tempfile.TemporaryDirectory() as directory, open_database(f"sqlite:///{directory}/ledger.db") as database:
        began = perf_counter()
        fill_up(database, orders)
        took = perf_counter() - began
        questions = {name: round(_median(database, ask, TIMES), 2) for name, ask in EVERY.items()}
        pages = {name: round(_median(database, ask, TIMES), 2) for name, ask in PAGES.items()}
        return report | {
            "events": _count(database, events),
            "fills": _count(database, fills),
            "megabytes": round(Path(database.place).stat().st_size / 1e6),
            "filling_seconds": round(took, 1),
            "questions_ms": questions,
            "slowest_ms": max(questions.values()),
            "pages_ms": pages,
            "slowest_page_ms": max(pages.values()),
            "plans": {name: plan_of(database, ask) for name, ask in PAGES.items()},
            "recording_ms": round(_recording(database), 2),
            "whole_journal_seconds": round(_median(database, _whole, 1) / 1000, 1),
        }


def _count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _median(database: Database, ask: Ask, times: int) -> float:
    return median(_once(database, ask) for _ in range(times))


def _once(database: Database, ask: Ask) -> float:
    with database.read() as connection:
        began = perf_counter()
        ask(connection)
        return (perf_counter() - began) * 1000


def _recording(database: Database) -> float:
    """Milliseconds of one recording, of which an order has three here: placed, filled, complete."""
    trades = [(100, Decimal("1500.05"))]
    recordings = [history(new_order(f"timed-{n}"), trades, BookState.COMPLETE) for n in range(RECORDED)]
    began = perf_counter()
    for each in recordings:
        record_all(database, each)
    return (perf_counter() - began) * 1000 / sum(len(each) for each in recordings)


def _whole(connection: sa.Connection) -> int:
    return sum(1 for _ in journal_lines(connection, Chosen("paper")))


def table_of(report: Mapping[str, Any]) -> Table:
    machine = report["machine"]
    table = Table(
        "question",
        title=f"Milliseconds on SQLite with {report['events']:,} events, median of {TIMES}",
        caption=f"{machine['cores']} cores {machine['cpu']}; {report['megabytes']} MB. One recording takes "
        f"{report['recording_ms']} ms, {WHOLE} {report['whole_journal_seconds']} s.",
    )
    table.add_column("ms", justify="right")
    for name, milliseconds in (report["questions_ms"] | report["pages_ms"]).items():
        table.add_row(name, f"{milliseconds:,.1f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--year", action="store_true", help="a year of trading, a million events")
    parser.add_argument("--plans", action="store_true", help="print the plans of the first pages, too")
    add_keep(parser)
    chosen = parser.parse_args()
    report = measure(YEAR if chosen.year else FEW)
    console = Console(highlight=False)
    console.print(table_of(report))
    plans = report.pop("plans")
    for name, steps in plans.items() if chosen.plans else ():
        console.print("\n    ".join([name, *steps]), soft_wrap=True, markup=False)
    keep(chosen.keep, {"ledger_year" if chosen.year else "ledger": report})
    if report["slowest_ms"] > SLOWEST_MS:
        raise SystemExit(f"a question took {report['slowest_ms']:,.0f} ms, more than {SLOWEST_MS}")


if __name__ == "__main__":
    main()
