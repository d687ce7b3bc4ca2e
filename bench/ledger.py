"""How long the ledger takes to answer after a year of trading: `python -m bench.ledger` prints milliseconds."""

import argparse
import tempfile
from statistics import median
from time import perf_counter

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from tests.trading.ledger.many import fill_up
from tests.trading.ledger.questions import QUESTIONS, Ask
from trading.ledger.database import Database
from trading.ledger.journal import Chosen, journal_lines
from trading.ledger.migrate import open_database
from trading.ledger.tables import events

YEAR = 263_000
"""Orders, with about a million events."""
TIMES = 5
WHOLE = "the whole journal, line by line"


def measure(orders: int) -> tuple[int, dict[str, float]]:
    """How many events a new ledger with so many orders has, and the median milliseconds of each question."""
    with tempfile.TemporaryDirectory() as directory, open_database(f"sqlite:///{directory}/ledger.db") as database:
        fill_up(database, orders)
        with database.read() as connection:
            count = connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
        figures = {name: _median(database, ask, TIMES) for name, ask in QUESTIONS.items()}
        return count, figures | {WHOLE: _median(database, _whole, 1)}


def _median(database: Database, ask: Ask, times: int) -> float:
    return median(_once(database, ask) for _ in range(times))


def _once(database: Database, ask: Ask) -> float:
    with database.read() as connection:
        began = perf_counter()
        ask(connection)
        return (perf_counter() - began) * 1000


def _whole(connection: sa.Connection) -> int:
    return sum(1 for _ in journal_lines(connection, Chosen("paper")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=YEAR)
    count, figures = measure(parser.parse_args().orders)
    table = Table("question", title=f"Milliseconds on SQLite with {count:,} events, median of {TIMES}")
    table.add_column("ms", justify="right")
    for name, milliseconds in figures.items():
        table.add_row(name, f"{milliseconds:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
