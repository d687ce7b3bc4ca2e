"""Plays a schedule: what strategies, the market, faults and failures do, and what a human does about it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import requests
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from chaos.account import log_in, resume
from chaos.ground import Ground
from chaos.operating import Halt, Operator
from chaos.operators import BackUp, Operate
from chaos.schedule import Amend, Arm, Cancel, Disarm, KillServer, KillWorker, Moment, Move, Place, Step_
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.errors import DurableOrdersError
from durable_orders.trading.exchange.orders import KiteStatus
from durable_orders.trading.orders.order import Mode, Order, OrderIntent

HUMAN_SECONDS = 0.7
"""How often the human looks whether the login or the account needs something."""
ASK_AGAIN = 0.3
MAX_WAIT = 10.0
"""Seconds until the end of an order is asked for once more."""
AGAINST = (DurableOrdersError, RPCError, SQLAlchemyError)
"""What the system, the server and the ledger say against an act, or while they are away."""
R = TypeVar("R")
Progress = Callable[[str], object]


@dataclass
class Played:
    """What was asked for, and what the driver saw."""

    intents: dict[int, OrderIntent] = field(default_factory=dict)
    ended: dict[int, Order] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    """How often each kind of step was done."""
    halts: list[Halt] = field(default_factory=list)


class Player:
    def __init__(self, ground: Ground, progress: Progress) -> None:
        """`progress` is called with `placed` and `ended`, for each order."""
        self.ground = ground
        self.played = Played()
        self._progress = progress
        self._operator = Operator(ground, self.played.done, self.played.halts)
        self._placed: dict[int, asyncio.Event] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def play(self, moments: list[Moment]) -> None:
        """From the first to the last, each at its time or as soon after it as the machine lets it be."""
        self._placed = {one.step.number: asyncio.Event() for one in moments if isinstance(one.step, Place)}
        began = asyncio.get_running_loop().time()
        async with self._human():
            for moment in moments:
                await asyncio.sleep(max(began + moment.at - asyncio.get_running_loop().time(), 0))
                self._begin(moment.step)
            await self._all_done()

    async def wait_until_settled(self) -> None:
        """No more faults; what is stuck moves on, what is open is cancelled, and every order's end is awaited."""
        await self.ground.venue.clear()
        async with self._human():
            for row in self.ground.venue.rows():
                if row.status == KiteStatus.OPEN_PENDING:
                    with suppress(RuntimeError):  # it was released a moment ago
                        await self.ground.venue.release(row.broker_order_id)
            await asyncio.gather(*(self._end(number) for number in self.played.intents))

    def _begin(self, step: Step_) -> None:
        task = asyncio.create_task(self._do(step))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _all_done(self) -> None:
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def _do(self, step: Step_) -> None:  # noqa: C901
        if not isinstance(step, Operate):
            self.played.done[type(step).__name__] += 1
        venue = self.ground.venue
        match step:
            case Place():
                await self._place(step)
            case Cancel(number):
                await self._with(number, self._signal_cancel)
            case Amend(number, change):
                await self._with(number, lambda order: order.amend(change))
            case Move(symbol, price):
                await venue.tick(price, symbol)
            case Arm(rule):
                await venue.arm(rule)
            case Disarm(kind):
                await venue.ask("DELETE", f"faults/{kind}")
            case KillWorker() | KillServer():
                async with self.ground.lock:  # one after the other, however the schedule has them
                    await self._kill(step)
            case BackUp():
                await self.ground.back_up()
            case Operate():
                with suppress(*AGAINST):
                    await self._operator.do(step)

    async def _kill(self, step: KillWorker | KillServer) -> None:
        if isinstance(step, KillWorker):
            await self.ground.kill_worker(step.which, step.away)
        else:
            await self.ground.kill_server(step.away)

    async def _place(self, step: Place) -> None:
        intent = OrderIntent(
            account=self.ground.account,
            mode=Mode.LIVE,
            client_order_id=f"order-{step.number}",
            strategy="chaos",
            place_by=datetime.now(UTC) + step.lives,
            **step.terms,
        )
        self.played.intents[step.number] = intent
        await until_it_is_taken(lambda: self.ground.orders.place(intent))
        self._placed[step.number].set()
        self._progress("placed")

    async def _with(self, number: int, act: Callable[[OrderHandle], Awaitable[object]]) -> None:
        """Once the order has been placed. What is refused, or comes too late, is no concern of this run."""
        await self._placed[number].wait()
        with suppress(*AGAINST):
            await act(self._handle(number))

    def _handle(self, number: int) -> OrderHandle:
        """Of today's client: a restore replaces it."""
        return self.ground.orders.handle(self.played.intents[number].client_order_id)

    async def _signal_cancel(self, order: OrderHandle) -> None:
        await self.ground.orders.client.get_workflow_handle(order.order_id).signal("cancel", "by chance")

    async def _end(self, number: int) -> None:
        """Cancelled, and followed to its end. What a restore has forgotten is asked for again, as a strategy has to."""
        intent = self.played.intents[number]
        while True:
            try:
                order = await self._handle(number).cancel("by chance", MAX_WAIT)
            except AGAINST:
                await asyncio.sleep(ASK_AGAIN)
                with suppress(*AGAINST):
                    await self.ground.orders.place(intent)
                continue
            if order.status.terminal:
                break
        self.played.ended[number] = order
        self._progress("ended")

    @asynccontextmanager
    async def _human(self) -> AsyncIterator[None]:
        """Somebody who logs in again, resumes the account and starts workers that have ended, for the block."""
        caring = asyncio.create_task(self._care())
        try:
            yield
        finally:
            caring.cancel()
            await asyncio.gather(caring, return_exceptions=True)

    async def _care(self) -> None:
        while True:
            await asyncio.sleep(HUMAN_SECONDS)
            if self.ground.is_down:
                continue
            self.played.done["worker started again"] += sum(worker.keep() for worker in self.ground.workers)
            if await self.ground.is_halted() and not self._operator.is_halting:
                await resume(self.ground.home)
                self.played.done["resumed"] += 1
            with suppress(DurableOrdersError, requests.RequestException):  # a fault struck the login itself
                if not await self.ground.is_logged_in():
                    await log_in(self.ground.home)
                    self.played.done["logged in"] += 1


async def until_it_is_taken(act: Callable[[], Awaitable[R]]) -> R:
    """Again and again while the server or the ledger is away, as a strategy has to."""
    while True:
        try:
            return await act()
        except AGAINST:
            await asyncio.sleep(ASK_AGAIN)
