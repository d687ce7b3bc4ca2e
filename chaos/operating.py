"""Does what an operator does, in the middle of a run, and a moment later what such a person does next."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chaos import acts
from chaos.account import log_in, resume
from chaos.ground import Ground
from chaos.operators import MISFITS, RESTORES, Act, Operate
from durable_orders import halting
from durable_orders.orders import Orders
from durable_orders.trading.errors import DurableOrdersError
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import order_id
from durable_orders.workflows.names import watch_id

OTHER_USER = "ZZ9999"
MOST_LOGGED_IN = 3.0
CLOCK_SECONDS = 10.0
FILES = {Act.RESTORE_LEDGER: ("ledger",), Act.RESTORE_SERVER: ("server",), Act.RESTORE_BOTH: ("ledger", "server")}


@dataclass(frozen=True, slots=True)
class Halt:
    """From the moment when the halt was said to stand until somebody resumed."""

    since: datetime
    until: datetime


@dataclass
class Operator:
    ground: Ground
    done: Counter[str] = field(default_factory=Counter)
    """How often each act was done."""
    halts: list[Halt] = field(default_factory=list)
    is_halting: bool = False
    """Whether the account is halted on purpose."""

    async def do(self, act: Operate) -> None:
        """Raises what the system or the server says against it."""
        client, account = self.ground.orders.client, self.ground.account
        own = order_id(account, f"order-{act.number}")
        match act.act:
            case Act.RESET:
                points = await acts.reset_points(client, own)
                if not points:
                    return
                await acts.reset(client, own, points[int(act.share * len(points))])
            case Act.TERMINATE:
                await acts.terminate(client, own)
            case Act.BATCH:
                if await acts.batch(client, account, act.batch) is None:
                    return
            case Act.SIGNAL:
                whom = watch_id(account) if act.signal == MISFITS[-1][0] else own
                await client.get_workflow_handle(whom).signal(act.signal, args=list(act.arguments))
            case Act.OTHER_LOGIN:
                await self._let_another_log_in(act)
            case Act.HALT:
                await self._halt(act.seconds)
            case _:
                await self._to_the_machine(act)
        self.done[act.act] += 1

    async def _to_the_machine(self, act: Operate) -> None:
        ground = self.ground
        if act.act in RESTORES:
            await ground.restore(FILES[act.act])
        elif act.act is Act.LOCK_LEDGER:
            await ground.lock_ledger(act.seconds)
        elif act.act is Act.CLOCK:
            await ground.step_clock(act.number, act.seconds, act.share * CLOCK_SECONDS)
        else:
            async with ground.lock:
                if act.act is Act.FREEZE_SERVER:
                    await ground.freeze_server(act.seconds)
                elif act.act is Act.FREEZE_WORKER:
                    await ground.freeze_worker(act.number, act.seconds)
                elif act.act is Act.FULL_DISK:
                    await ground.fill_disk(act.number, act.seconds)

    async def _let_another_log_in(self, act: Operate) -> None:
        """It is to be refused. Where it is taken, the right one logs in soon after."""
        try:
            await log_in(self.ground.home, OTHER_USER)
        except DurableOrdersError:
            self.done["another user's login was refused"] += 1
            return
        await asyncio.sleep(min(act.seconds, MOST_LOGGED_IN))
        await log_in(self.ground.home)

    async def _halt(self, seconds: float) -> None:
        orders = self.ground.orders
        if self.is_halting:
            return
        self.is_halting = True
        try:
            await asyncio.to_thread(_halt, orders)
            since = datetime.now(UTC)
            await asyncio.sleep(seconds)
            self.halts.append(Halt(since, datetime.now(UTC)))
        finally:
            self.is_halting = False
        await resume(self.ground.home)


def _halt(orders: Orders) -> None:
    halting.halt(orders.database, orders.settings, "enough", state=AccountState.HALTED, who="by chance")
