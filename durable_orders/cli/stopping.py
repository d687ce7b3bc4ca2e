"""A halt with cancels that leave within two seconds, whatever is there to carry them out.

The halt is recorded first, where that can be done at once. Then the account's flatten workflow cancels; where the
ledger hangs, or no server or worker takes the flatten in hand, the broker itself is asked to cancel all that works
there. That reads and cancels and does nothing else: what it cannot prove, it says.
"""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.service import RPCError

from durable_orders import halting
from durable_orders.direct_cancels import LEDGER_SECONDS, Asked, DirectCancels
from durable_orders.halting import Standing
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import DurableOrdersError, LedgerUnusable, ServerUnreachable
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.database import BUSY_SECONDS
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home
from durable_orders.workflows import names

TAKEN_WITHIN = 1.0
"""So long a flatten may wait for a worker before the broker itself is asked."""
ASKED_WITHIN = 0.5
RECORDED_WITHIN = BUSY_SECONDS + 5
"""So long the ledger is waited for when the cancels have left."""
UNSEEN = "an order that is being sent, or whose answer was lost, need not be in the broker's book yet"


@dataclass
class Stopped:
    """What came of it."""

    standing: Standing | None = None
    """`None` where the halt is not recorded: orders may still be taken."""
    flattened: FlattenResult | None = None
    asked: list[Asked] = field(default_factory=list)
    """Cancels that the broker itself was asked for."""
    unproved: list[str] = field(default_factory=list)
    """What is not known to be done, in words."""


class _Recording:
    """The halt, on its way into the ledger. A locked one holds no program for longer than that wants to wait."""

    def __init__(self, home: Home, settings: Settings, reason: str, state: AccountState) -> None:
        self._recorded: Future[Standing] = Future()
        arguments = (home, settings, reason, state)
        threading.Thread(target=self._record, args=arguments, name="halt", daemon=True).start()

    def _record(self, home: Home, settings: Settings, reason: str, state: AccountState) -> None:
        try:
            with home.ledger(settings) as database:
                found = halting.halt(database, settings, reason, state=state, who=halting.operator())
        except BaseException as error:
            self._recorded.set_exception(error)
        else:
            self._recorded.set_result(found)

    def within(self, seconds: float) -> Standing | DurableOrdersError:
        """How the account stands then, or why that is not recorded."""
        try:
            return self._recorded.result(seconds)
        except TimeoutError:
            return LedgerUnusable("the ledger does not answer")
        except DurableOrdersError as error:
            return error
        except SQLAlchemyError as error:
            return LedgerUnusable(f"ledger: {getattr(error, 'orig', None) or error}")
        except OSError as error:
            return LedgerUnusable(f"ledger: {error}")


def stop(home: Home, settings: Settings, request: FlattenRequest, state: AccountState, wait: float) -> Stopped:
    """Halt the account in that state, and do what is asked for. Waits `wait` seconds for the end of the flatten.

    Raises `HomeUnusable` and `LedgerUnusable` for a paper account whose ledger cannot be used: its exchange is a part
    of it.
    """
    stopped, is_paper = Stopped(), settings.execution.mode is Mode.PAPER
    recording = _Recording(home, settings, request.reason, state)
    found = recording.within(RECORDED_WITHIN if is_paper else LEDGER_SECONDS)
    if isinstance(found, DurableOrdersError):
        if is_paper:
            raise found
        _cancel_directly(home, settings, stopped, str(found))
        found = recording.within(RECORDED_WITHIN)
    if isinstance(found, DurableOrdersError):
        words = halting.halt_without_a_ledger(
            home, settings.account, request.reason, state=state, who=halting.operator()
        )
        stopped.unproved.append(f"{words}: {found}")
    else:
        stopped.standing = found
        asyncio.run(_flatten(home, settings, request, wait, stopped))
    return stopped


async def _flatten(home: Home, settings: Settings, request: FlattenRequest, wait: float, stopped: Stopped) -> None:
    flattening = asyncio.create_task(_by_workflow(home, settings, request, wait))
    await asyncio.wait({flattening}, timeout=TAKEN_WITHIN)
    if not stopped.asked and not flattening.done() and not await _is_taken(home, settings):
        words = "no worker takes it in hand"
        await asyncio.to_thread(_cancel_directly, home, settings, stopped, words)
    try:
        stopped.flattened = await flattening
    except (ServerUnreachable, RPCError) as error:
        if not stopped.asked:
            await asyncio.to_thread(_cancel_directly, home, settings, stopped, str(error))
        stopped.unproved.append(f"nobody follows what was cancelled, and no position is closed: {error}")


async def _by_workflow(home: Home, settings: Settings, request: FlattenRequest, wait: float) -> FlattenResult | None:
    return await halting.flatten(await connect(home, settings), request, wait)


async def _is_taken(home: Home, settings: Settings) -> bool:
    """Whether some worker does what the flatten is to do next, or has just been given it."""
    try:
        async with asyncio.timeout(ASKED_WITHIN):
            handle = (await connect(home, settings)).get_workflow_handle(names.flatten_id(settings.account))
            task = (await handle.describe()).raw_description.pending_workflow_task
    except (TimeoutError, ServerUnreachable, RPCError):
        return False
    if task.state != PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
        return True
    scheduled = task.scheduled_time.ToDatetime(UTC)
    return (datetime.now(UTC) - scheduled).total_seconds() < TAKEN_WITHIN / 2


def _cancel_directly(home: Home, settings: Settings, stopped: Stopped, trouble: str) -> None:
    try:
        with DirectCancels(home, settings) as direct:
            stopped.asked += direct.cancel_all()
            left = direct.working()
    except (DurableOrdersError, SQLAlchemyError) as error:
        stopped.unproved.append(f"{trouble}; and the broker could not be asked: {error}")
        return
    stopped.unproved += [str(each) for each in stopped.asked if not each.is_taken]
    if left:
        still = ", ".join(f"{row.broker_order_id} ({row.side} {row.quantity} {row.symbol})" for row in left)
        stopped.unproved.append(f"still working in the broker's book: {still}")
    stopped.unproved.append(f"{trouble}: {UNSEEN}")
