"""Runs the demonstration: its own server, its own worker in a process that gets killed, and the strategy's day."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from durable_orders.cli import render
from durable_orders.demo.strategy import Step, near, plan, resting
from durable_orders.orders import Orders
from durable_orders.trading.errors import BrokenError
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.orders.order import Amendment, Order, OrderType
from durable_orders.verify import verify_home
from durable_orders.workers import server
from durable_orders.workers.home import SETTINGS_FILE, Home, ServerAddress
from durable_orders.workers.up import stop_on_signals

ACCOUNT = "demo"
MAX_WAIT = 120.0
"""Seconds for the market to move on, or for the last orders to end, before the demonstration gives up."""
CRASH_AFTER = 22
"""Orders placed before the worker is killed."""
WHILE_DEAD = 3
"""Orders placed while no worker runs."""

console = Console(highlight=False)


class Stalled(BrokenError):
    """The market or the orders did not move on in time."""


async def run(home: Path | None, speed: float, keep: bool) -> bool:
    """Whether exchange and ledger agree about every order at the end of the day."""
    place = Home(home or Path(tempfile.mkdtemp(prefix="durable-orders-demo-"))).make()
    settings = {
        "account": ACCOUNT,
        "market": {"speed": speed},
        "execution": {
            "paper": {
                "reconciliation_interval": 0.5,
                "partial_fill_enabled": True,
                "partial_fill_probability": 0.5,
                "seed": 7,
            }
        },
    }
    (place.path / SETTINGS_FILE).write_text(yaml.safe_dump(settings), encoding="utf-8")
    console.print(f"Trading 29 April 2025 on paper, {speed:g} times as fast as it was. State is in {place.path}")
    async with server.running(place) as address:
        console.print(f"Temporal server on {address.target}, its UI on {address.ui}")
        demo = Demonstration(place, address)
        try:
            agreed = await demo.play()
            if keep:
                await _look_around(address)
        finally:
            demo.kill_worker()
    return agreed


async def _look_around(address: ServerAddress) -> None:
    console.print(f"Left up: {address.ui}/namespaces/default/workflows. Ctrl-C ends it.")
    await stop_on_signals().wait()


class Demonstration:
    """One day. The worker is a process of its own, so that it can be killed like one."""

    def __init__(self, home: Home, address: ServerAddress) -> None:
        self._home = home
        self._address = address
        self._worker: subprocess.Popen[bytes] | None = None

    def start_worker(self) -> None:
        program = Path(sys.executable).parent / "durable-orders"
        with (self._home.path / "worker.log").open("ab") as log:
            command = [str(program), "worker", "--home", str(self._home.path)]
            self._worker = subprocess.Popen(command, stdout=log, stderr=log)

    def kill_worker(self) -> None:
        """SIGKILL: no clean-up, no good-bye."""
        if self._worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._worker.pid, signal.SIGKILL)
            self._worker.wait()
            self._worker = None

    async def play(self) -> bool:
        await asyncio.to_thread(self.start_worker)
        async with await Orders.connect(self._home.path) as orders:
            with _progress() as progress:
                task = progress.add_task("waiting for the first tick", total=len(plan()))
                day = (await self._market_time(orders)).date()
                for number, step in enumerate(plan(), start=1):
                    await self._place(orders, step, progress, task, day_of=day)
                    await self._interfere(orders, number, progress)
                progress.update(task, description="the close, and the last orders")
                ended = await self._all_ended(orders)
            return await self._report(orders, ended)

    async def _place(self, orders: Orders, step: Step, progress: Progress, task: TaskID, day_of: date) -> None:
        worker_is_dead = self._worker is None
        if not worker_is_dead:
            await self._wait_for(orders, step.at, day_of)
        price = await self._last_price(orders)
        intent = step.intent(ACCOUNT, price)
        await orders.place(intent)
        progress.update(task, advance=1, description=f"{step.at:%H:%M} {intent.summary()}")

    async def _interfere(self, orders: Orders, number: int, progress: Progress) -> None:
        """What the day has in store besides orders."""
        say = progress.console.print
        if number == 8:
            order = await orders.handle(resting(0)).cancel("by the strategy")
            say(f"  {order.client_order_id}: cancelled by the strategy")
        elif number == 16:
            await asyncio.to_thread(
                self._temporal, "signal", resting(1), "--name", "cancel", "--input", '"from outside"'
            )
            say(f"  {resting(1)}: cancel signalled from outside, with the temporal CLI")
        elif number == CRASH_AFTER:
            await asyncio.to_thread(self.kill_worker)
            say("  [bold red]the worker is killed (SIGKILL)[/bold red]; the next orders find nobody")
        elif number == CRASH_AFTER + WHILE_DEAD:
            await asyncio.to_thread(self.start_worker)
            say("  [bold green]a new worker starts[/bold green], and goes on where the old one was")
        elif number == 33:
            await asyncio.to_thread(self._temporal, "cancel", resting(2))
            say(f"  {resting(2)}: its workflow is cancelled with the temporal CLI")
        elif number == 38:
            change = Amendment(price=near(await self._last_price(orders), 20), order_type=OrderType.LIMIT)
            order = await orders.handle(resting(3)).amend(change)
            say(f"  {order.client_order_id}: amended to {order.price}, which the market takes")

    def _temporal(self, verb: str, name: str, *more: str) -> None:
        """The real `temporal` command line."""
        workflow = f"order:{ACCOUNT}:{name}"
        command = [
            server.temporal_program(),
            "workflow",
            verb,
            "--address",
            self._address.target,
            "-w",
            workflow,
            *more,
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    async def _market_time(self, orders: Orders) -> datetime:
        """The market's clock, as soon as it runs."""
        return (await self._tick(orders)).at.astimezone(IST)

    async def _tick(self, orders: Orders) -> LastTick:
        async with _patience("the market shows no tick"):
            while True:
                tick = await orders.read(lambda connection: last_tick(connection, ACCOUNT, SHIPPED_SYMBOL))
                if tick is not None:
                    return tick
                await asyncio.sleep(0.05)

    async def _last_price(self, orders: Orders) -> Decimal:
        return (await self._tick(orders)).last_price

    async def _wait_for(self, orders: Orders, moment: time, day: date) -> None:
        async with _patience(f"the market does not get to {moment:%H:%M}"):
            while True:
                now = await self._market_time(orders)
                if now.date() != day or now.time() >= moment:
                    return
                await asyncio.sleep(0.02)

    async def _all_ended(self, orders: Orders) -> list[Order]:
        async with _patience("not all orders end"):
            return list(await asyncio.gather(*(orders.handle(step.name).result() for step in plan())))

    async def _report(self, orders: Orders, ended: list[Order]) -> bool:
        console.print(render.orders_table(ended))
        counts = Counter(order.status.value for order in ended)
        console.print("\n" + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
        findings = await verify_home(orders, self._home)
        for each in findings.differences:
            console.print(f"[bold red]DISAGREE[/bold red] {each.about}: {each.words}")
        if findings.adopted:
            console.print(f"[bold red]DISAGREE[/bold red] {findings.adopted} orders at the exchange that nobody placed")
        agreed = not (findings.differences or findings.adopted)
        if agreed:
            console.print(
                f"[bold green]Histories, ledger and exchange agree[/bold green] about {findings.orders} orders, "
                f"{findings.trades} fills and every position; no order was sent twice."
            )
        program = Path(sys.executable).parent / "durable-orders"
        home = f"--home {self._home.path}"
        console.print("\nIts orders, and what happened to one of them:", soft_wrap=True)
        console.print(f"  {program} list {home}\n  {program} show {ended[0].client_order_id} {home}", soft_wrap=True)
        console.print(f"With the Temporal UI:\n  {program} up {home}", soft_wrap=True)
        return agreed


@contextlib.asynccontextmanager
async def _patience(otherwise: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(MAX_WAIT):
            yield
    except TimeoutError:
        raise Stalled(f"{otherwise} within {MAX_WAIT:.0f} s") from None


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} orders"))
    return Progress(*columns, TimeElapsedColumn(), console=console)
