"""One round: bare workflows, empty frames, then whole paper orders, all started in exactly the same way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Generic, TypeVar
from uuid import uuid4

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from bench.bare import BareWorkflow, FrameWorkflow
from bench.ground import ACCOUNT, BARE_QUEUE, Cpu, Ground
from bench.sampling import at_once
from durable_orders.orders import Orders
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.orders.order import Order, OrderIntent, Side, Status
from durable_orders.workflows.names import TASK_TIMEOUT

T = TypeVar("T")

LOT = 75


@dataclass(frozen=True, slots=True)
class Placed:
    """One order, as its client saw it."""

    order: Order
    called_at: datetime
    """Just before `place` was called."""
    seconds: float
    """From that call until the client had the end."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Things of one kind, done one after the other or several at once."""

    results: list[T]
    per_second: float
    cpu: Cpu
    """For each."""


@dataclass(frozen=True, slots=True)
class Round:
    bare: Batch[float]
    """Seconds of each, as of the frames."""
    frames: Batch[float]
    orders: Batch[Placed]

    @property
    def ratio(self) -> float:
        return self.orders.per_second / self.bare.per_second

    @property
    def ratio_of_frames(self) -> float:
        """What `ratio` would be if an order did nothing in its steps."""
        return self.frames.per_second / self.bare.per_second


async def one_round(place: Ground, client: Client, concurrency: int, count: int, done: Callable[[], None]) -> Round:
    """`count` of each, `concurrency` at a time. `done` is called after each one."""

    async def batch(one: Callable[[], Awaitable[T]]) -> Batch[T]:
        before = place.cpu()
        results, rate = await at_once(concurrency, count, one, done)
        return Batch(results, rate, place.cpu().since(before, count))

    orders = place.orders(client)
    return Round(
        await batch(lambda: empty(client, BareWorkflow)),
        await batch(lambda: empty(client, FrameWorkflow)),
        await batch(lambda: market_order(orders)),
    )


async def empty(client: Client, kind: type[BareWorkflow] | type[FrameWorkflow]) -> float:
    """Seconds from start to end. Started as `Orders.place` starts an order."""
    began = perf_counter()
    handle = await client.start_workflow(
        kind.run,
        id=f"empty:{uuid4()}",
        task_queue=BARE_QUEUE,
        task_timeout=TASK_TIMEOUT,
        request_eager_start=True,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    await handle.result()
    return perf_counter() - began


async def market_order(orders: Orders) -> Placed:
    """A MARKET order for one lot, from the client's call to its proved end. Raises if it is not filled."""
    intent = OrderIntent(account=ACCOUNT, symbol=SHIPPED_SYMBOL, side=Side.BUY, quantity=LOT, strategy="bench")
    called_at, began = datetime.now(UTC), perf_counter()
    order = await (await orders.place(intent)).result()
    seconds = perf_counter() - began
    if order.status is not Status.FILLED or order.filled_quantity != LOT:
        raise RuntimeError(f"{order.client_order_id} ended {order.status}: {'; '.join(order.reasons)}")
    return Placed(order, called_at, seconds)
