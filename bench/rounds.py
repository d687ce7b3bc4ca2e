"""One round: bare workflows, empty frames, then whole paper orders, all started in exactly the same way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from uuid import uuid4

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from bench.bare import BareWorkflow, FrameWorkflow
from bench.ground import ACCOUNT, BARE_QUEUE
from bench.sampling import at_once
from durable_orders.orders import Orders
from trading.market.shipped import SHIPPED_SYMBOL
from trading.order import Order, OrderIntent, Side, Status
from workflows.names import TASK_TIMEOUT

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
class Round:
    bare_per_second: float
    bare_seconds: list[float]
    frames_per_second: float
    orders_per_second: float
    placed: list[Placed]

    @property
    def ratio(self) -> float:
        return self.orders_per_second / self.bare_per_second

    @property
    def ratio_of_frames(self) -> float:
        """What `ratio` would be if an order did nothing in its steps."""
        return self.frames_per_second / self.bare_per_second


async def one_round(client: Client, orders: Orders, concurrency: int, count: int, done: Callable[[], None]) -> Round:
    """`count` of each, `concurrency` at a time. `done` is called after each one."""
    bare_seconds, bare_rate = await at_once(concurrency, count, lambda: empty(client, BareWorkflow), done)
    _, frame_rate = await at_once(concurrency, count, lambda: empty(client, FrameWorkflow), done)
    placed, orders_rate = await at_once(concurrency, count, lambda: market_order(orders), done)
    return Round(bare_rate, bare_seconds, frame_rate, orders_rate, placed)


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
