"""A thousand alerts in a second, each sent again until it is answered, while the worker is killed: one order each.

`python -m bench.alerts` runs a server, a worker and the page of its own on paper, and every alert is a market order.
First some alerts come one after the other, to nobody else's load. Then all come, spread over a second, each from two
senders at once: who is turned away comes again after `Retry-After`, as it was told. When a third of them is an order,
the worker is killed, and another one is started. From intent to exchange is from an order's creation to its arrival.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import sqlalchemy as sa
import yaml
from rich.console import Console

from bench.machine import ROOT, local_circumstances
from bench.report import add_keep, keep
from bench.sampling import spread
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.tables import exchange_orders, orders
from durable_orders.workers import ports, server
from durable_orders.workers.home import Home

ALERTS, IDLE, SENDERS = 1000, 30, 2
SYMBOL, LOT = "NFO:NIFTY25MAYFUT", 75
SECRET = "only-of-this-run"  # noqa: S105
WORKER = ("is running", "worker", "--speed", "1")
PROGRAM = (sys.executable, "-m", "durable_orders.cli")
SETTINGS = {
    "hooks": {
        "bench": {
            "secret": SECRET,
            "id": "{{id}}",
            "order": {"symbol": SYMBOL, "side": "{{side}}", "quantity": LOT},
        }
    },
    "execution": {"paper": {"market_deadline": 3600}},
}
SOON = 2.0
"""Seconds until it is sent again, where nobody said."""
console = Console()


@asynccontextmanager
async def program(home: Home, ready: str, *words: str) -> AsyncIterator["subprocess.Popen[str]"]:
    """A command on that home, once it has said that it is ready; it ends with the block."""
    log = home.path / "programs.log"
    process = await asyncio.to_thread(_begun, home, log, words)
    try:
        if not await asyncio.to_thread(_says, process, ready):
            raise SystemExit(f"{words[0]} did not start: {log.read_text()[-1000:]}")
        yield process
    finally:
        process.terminate()
        process.wait()


def _begun(home: Home, log: Path, words: Sequence[str]) -> "subprocess.Popen[str]":
    command = [*PROGRAM, words[0], "--home", str(home.path), *words[1:]]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, cwd=ROOT)


def _says(process: "subprocess.Popen[str]", ready: str) -> bool:
    return any(ready in line for line in process.stdout or ())


@dataclass
class Burst:
    """What became of the deliveries."""

    answered: list[float] = field(default_factory=list)
    """Seconds, of each delivery that was answered with its order."""
    turned_away: int = 0
    lost: int = 0
    """Answers that did not come, or told of a part that was away."""
    others: list[int] = field(default_factory=list)
    """Any other status: none is to be."""
    ids: set[str] = field(default_factory=set)

    async def deliver(self, client: httpx.AsyncClient, number: int, own_id: str) -> None:
        """Until somebody answers with its order. Buys and sells in turn, so that no position grows."""
        body = {"id": own_id, "side": "BUY" if number % 2 else "SELL"}
        while True:
            began = perf_counter()
            try:
                answer = await client.post(f"/hooks/bench?secret={SECRET}", json=body)
            except httpx.HTTPError:
                self.lost += 1
                await asyncio.sleep(SOON)
                continue
            if answer.status_code in (HTTPStatus.OK, HTTPStatus.CREATED):
                self.answered.append(perf_counter() - began)
                self.ids.add(answer.json()["client_order_id"])
                return
            is_busy = answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            if not is_busy and answer.status_code != HTTPStatus.GATEWAY_TIMEOUT:
                self.others.append(answer.status_code)
                return
            is_turned_away = is_busy and answer.json()["code"] == "BUSY"
            self.turned_away += is_turned_away
            self.lost += not is_turned_away
            await asyncio.sleep(float(answer.headers.get("Retry-After", SOON)))


async def sent_at_once(client: httpx.AsyncClient, burst: Burst, alerts: int) -> None:
    """All of them within a second, each by so many senders at once."""

    async def one(number: int) -> None:
        await asyncio.sleep(number / alerts)
        await asyncio.gather(*(burst.deliver(client, number, f"burst-{number}") for _ in range(SENDERS)))

    await asyncio.gather(*(one(number) for number in range(alerts)))


async def measured(alerts: int, idle: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="durable-orders-bench-") as directory:
        home = Home(Path(directory)).make()
        (home.path / "durable-orders.yaml").write_text(yaml.safe_dump(SETTINGS))
        port = ports.choose(ports.ANY, 0)
        async with (
            server.running(home, ports.ANY, ports.ANY),
            program(home, *WORKER) as worker,
            program(home, "Page on", "web", "--port", str(port)),
        ):
            return await _rounds(home, f"http://127.0.0.1:{port}", worker, alerts, idle)


async def _rounds(home: Home, url: str, worker: "subprocess.Popen[str]", alerts: int, idle: int) -> dict[str, Any]:
    circumstances = local_circumstances()
    limits = httpx.Limits(max_connections=None, keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        alone, burst = Burst(), Burst()
        for number in range(idle):
            await alone.deliver(client, number, f"alone-{number}")
        began = perf_counter()
        sending = asyncio.create_task(sent_at_once(client, burst, alerts))
        while len(burst.ids) < alerts // 3 and not sending.done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        worker.kill()
        async with program(home, *WORKER):
            await sending
            answered = perf_counter() - began
            found = await _ended(home, idle + alerts)
        over = perf_counter() - began
    ledger = {row.client_order_id: row for row in found}
    return {
        **circumstances,
        "alerts": alerts,
        "senders": SENDERS,
        "orders": sum(own.startswith("burst-") for own in ledger),
        "filled": sum(row.status == "FILLED" for own, row in ledger.items() if own.startswith("burst-")),
        "at_exchange_twice": len(found) - len(ledger),
        "turned_away": burst.turned_away,
        "lost": burst.lost,
        "others": sorted(set(burst.others)),
        "answer_alone_ms": spread(alone.answered, 50, 99),
        "answer_ms": spread(burst.answered, 50, 99),
        "alone_ms": spread(_arrivals(found, "alone-"), 50, 99),
        "burst_ms": spread(_arrivals(found, "burst-"), 50, 99),
        "ratio": round(median(_arrivals(found, "burst-")) / median(_arrivals(found, "alone-")), 1),
        "answered_seconds": round(answered, 1),
        "over_seconds": round(over, 1),
    }


async def _ended(home: Home, count: int) -> Sequence[Any]:
    """All orders with their arrivals at the exchange, once so many have ended."""
    columns = (orders.c.client_order_id, orders.c.status, orders.c.created_at, exchange_orders.c.placed_at)
    asked = sa.select(*columns).join(exchange_orders, exchange_orders.c.tag == orders.c.tag, isouter=True)
    is_over = orders.c.status.in_(("FILLED", "CANCELLED", "REJECTED", "EXPIRED"))
    with open_database(home.ledger_url(home.settings())) as database:
        while True:
            with database.read() as connection:
                found = connection.execute(asked.where(is_over)).all()
            if len({row.client_order_id for row in found}) >= count:
                return found
            await asyncio.sleep(0.5)


def _arrivals(rows: Sequence[Any], prefix: str) -> list[float]:
    """Seconds."""
    at: list[tuple[datetime, datetime]] = [
        (row.created_at, row.placed_at) for row in rows if row.placed_at and row.client_order_id.startswith(prefix)
    ]
    return [(placed - created).total_seconds() for created, placed in at]


def show(report: dict[str, Any]) -> None:
    console.print(f"{report['alerts']} alerts within a second, {report['senders']} senders each, the worker killed")
    console.print(
        f"orders               {report['orders']}, {report['filled']} filled, {report['at_exchange_twice']} twice"
    )
    console.print(
        f"turned away (503)    {report['turned_away']}; no answer {report['lost']}; others {report['others']}"
    )
    console.print(f"answered             {report['answer_ms']} ms; alone {report['answer_alone_ms']} ms")
    console.print(f"intent to exchange   {report['burst_ms']} ms; alone {report['alone_ms']} ms")
    console.print(f"ratio of the medians {report['ratio']}; all answered in {report['answered_seconds']} s, ", end="")
    console.print(f"over in {report['over_seconds']} s; load of the machine {report['machine']['load_before']}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.alerts", description=__doc__)
    parser.add_argument("--alerts", type=int, default=ALERTS)
    parser.add_argument("--idle", type=int, default=IDLE, help="alerts that come one after the other before")
    add_keep(parser)
    chosen = parser.parse_args()
    if chosen.alerts < 3 or chosen.idle < 1:
        parser.error("--alerts: at least 3; --idle: at least 1")
    report = asyncio.run(measured(chosen.alerts, chosen.idle))
    show(report)
    keep(chosen.keep, {"alerts": report})


if __name__ == "__main__":
    main()
