"""What `quality` takes beside reading its orders: `python -m bench.quality`, some minutes.

A ledger of a year, 263,000 orders of which most traded; its approved orders are read, then grouped as
`durable-orders quality --by hour` does, and written one by one as `quality --json` does. Processor time of one core.
Prints a table; with `--keep` it writes the section `quality` of `bench/latest.json`.
"""

import argparse
import os
import resource
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from bench.ledger import YEAR
from bench.machine import local_circumstances
from bench.report import add_keep, keep
from durable_orders.cli.journal_output import write_json
from durable_orders.execution_quality import By, grouped, lines
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.executions import Executed, executions
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.tables import orders, reservations
from tests.trading.ledger.many import fill_up

ACCOUNT = "paper"
MOST = 2.0
"""Quality, as a multiple of reading."""


def measure(count: int = YEAR) -> dict[str, Any]:
    report = local_circumstances()
    with tempfile.TemporaryDirectory() as folder, open_database(f"sqlite:///{folder}/ledger.db") as database:
        fill_up(database, count)
        approve_all(database)
        with database.read() as connection:
            reading, read = _timed(connection, lambda found: sum(1 for _ in found))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            whole, groups = _timed(connection, lambda found: len(grouped(lines(found), By.HOUR)))
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                one_by_one, _ = _timed(connection, lambda found: write_json(lines(found), nowhere))
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return report | {
        "orders": read,
        "groups": groups,
        "reading_seconds": round(reading, 1),
        "quality_seconds": round(whole, 1),
        "one_by_one_seconds": round(one_by_one, 1),
        "ratio": round(whole / reading, 2),
        "one_by_one_ratio": round(one_by_one / reading, 2),
        "memory_grown_mb": round(grown / 1024),
    }


def approve_all(database: Database) -> None:
    """As the guardian would have: each order that was not refused has its reservation, with the prices at arrival."""
    own = orders.c
    known: dict[str, sa.ColumnElement[Any]] = {
        **{name: own[name] for name in ("order_id", "account", "symbol", "strategy", "product", "side", "quantity")},
        **{name: sa.literal(0, reservations.c[name].type) for name in ("value", "price", "filled")},
        **dict.fromkeys(("reserved_at", "released_at", "arrival_received_at", "sent_at"), own.created_at),
        "arrival_price": sa.literal(1500, reservations.c.arrival_price.type),
        "arrival_bid": sa.literal(1499, reservations.c.arrival_bid.type),
        "arrival_ask": sa.literal(1501, reservations.c.arrival_ask.type),
        "sent_price": sa.literal(1500, reservations.c.sent_price.type),
    }
    chosen = sa.select(*known.values()).where(own.account == ACCOUNT, own.status != "REJECTED")
    with database.write() as connection:
        connection.execute(sa.delete(reservations))
        connection.execute(sa.insert(reservations).from_select(list(known), chosen))


def _timed(connection: sa.Connection, what: Any) -> tuple[float, Any]:
    found: Iterator[Executed] = executions(connection, ACCOUNT)
    began = process_time()
    result = what(found)
    return process_time() - began, result


def table_of(report: Mapping[str, Any]) -> Table:
    machine = report["machine"]
    table = Table(
        title=f"{report['orders']:,} approved orders of a year",
        caption=f"{machine['cores']} cores {machine['cpu']}. Seconds of one core; the goal is at most {MOST}.",
        show_header=False,
    )
    table.add_row("read", f"{report['reading_seconds']:.1f}")
    table.add_row("quality --by hour", f"{report['quality_seconds']:.1f}")
    table.add_row("quality --json, order by order", f"{report['one_by_one_seconds']:.1f}")
    table.add_row("--by hour, as a multiple of reading", f"{report['ratio']:.2f}")
    table.add_row("order by order, as a multiple of reading", f"{report['one_by_one_ratio']:.2f}")
    table.add_row("memory that it took beyond reading, MB", f"{report['memory_grown_mb']}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--orders", type=int, default=YEAR)
    add_keep(parser)
    chosen = parser.parse_args()
    report = measure(chosen.orders)
    Console(highlight=False).print(table_of(report))
    keep(chosen.keep, {"quality": report})


if __name__ == "__main__":
    main()
