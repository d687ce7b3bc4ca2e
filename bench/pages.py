"""What fifty open pages cost: from intent to exchange, with nobody looking and with everybody, in turn, in one run.

`python -m bench.pages` starts an `up` of its own and prints both. Each page does what a browser does: it holds the
stream, and loads its blotter whenever that says that something has changed.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx

from bench.sampling import spread
from durable_orders import Orders
from durable_orders.trading.ledger.tables import exchange_orders
from durable_orders.workers import ports

SYMBOL, LOT = "NFO:NIFTY25MAYFUT", 75
PAGES, ROUNDS, ORDERS, WARM_UP = 50, 6, 40, 20
PASSWORD = "only-of-this-run"  # noqa: S105
PROGRAM = (sys.executable, "-m", "durable_orders.cli")


class Page:
    """One open page."""

    loaded = 0

    def __init__(self, url: str, cookies: httpx.Cookies) -> None:
        self._client = httpx.AsyncClient(base_url=url, cookies=cookies, timeout=60)

    async def look(self) -> None:
        """Until it is cancelled."""
        async with self._client, self._client.stream("GET", "/stream") as signs:
            async for line in signs.aiter_lines():
                if line == "event: changed":
                    (await self._client.get("/?part=true")).raise_for_status()
                    Page.loaded += 1


@asynccontextmanager
async def looking(url: str, cookies: httpx.Cookies, pages: int) -> AsyncIterator[None]:
    """So many open pages, for the length of a block."""
    tasks = [asyncio.create_task(Page(url, cookies).look()) for _ in range(pages)]
    await asyncio.sleep(1)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def placed(orders: Orders, count: int) -> list[float]:
    """Seconds from each intent to the exchange, one after the other."""
    arrivals: list[float] = []
    for _ in range(count):
        called = datetime.now(UTC)
        order = await (await orders.buy(SYMBOL, LOT)).result()
        number = str(order.broker_order_id)
        at = await orders.read(
            lambda c, number=number: (
                c.execute(  # type: ignore[misc]
                    exchange_orders.select().where(exchange_orders.c.broker_order_id == number)
                )
                .mappings()
                .one()["placed_at"]
            )
        )
        arrivals.append((at - called).total_seconds())
    return arrivals


async def measure(home: Path, url: str, rounds: int) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await client.post("/login", data={"name": "bench", "password": PASSWORD})
        cookies = client.cookies
    alone: list[float] = []
    watched: list[float] = []
    async with Orders(home) as orders:
        await placed(orders, WARM_UP)
        for _ in range(rounds):
            alone += await placed(orders, ORDERS)
            async with looking(url, cookies, PAGES):
                watched += await placed(orders, ORDERS)
    ratio = median(watched) / median(alone)
    print(f"nobody looks    {spread(alone, 50, 95, 99)} ms")
    print(f"{PAGES} open pages   {spread(watched, 50, 95, 99)} ms; they loaded {Page.loaded} times")
    print(f"ratio of the medians {ratio:.3f}; load of the machine {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        port = ports.choose(ports.ANY, 0)
        own = ("--home", directory, "--port", "0", "--ui-port", "0", "--page-port", str(port))
        with subprocess.Popen([*PROGRAM, "up", *own], stdout=subprocess.PIPE, text=True) as up:
            assert up.stdout is not None
            try:
                while "Ctrl-C" not in up.stdout.readline():
                    pass
                words = [*PROGRAM, "user", "create", "bench", "--role", "read", "--home", directory]
                subprocess.run(words, input=f"{PASSWORD}\n", text=True, check=True)
                asyncio.run(measure(Path(directory), f"http://127.0.0.1:{port}", rounds))
            finally:
                up.terminate()


if __name__ == "__main__":
    main()
