"""The client's side of GTTs: place one, see how it stands, change it, delete it, and settle it by hand."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from durable_orders.answers import domain_error, unreachable
from durable_orders.not_started import asked_for
from durable_orders.trading import errors
from durable_orders.trading.gtt.gtt import EXTERNAL, NOT_FREE, UNRESOLVED, GttChange, GttIntent, GttStatus, TriggerId
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.gtt.view import GttView, view_of
from durable_orders.trading.ledger.gtts import find_gtt, gtt_views, list_gtts, put_back, settle_gtt
from durable_orders.trading.plans import by_gtt
from durable_orders.workflows import names

if TYPE_CHECKING:
    from durable_orders.orders import Orders

POLL = 0.2
"""Seconds between two looks at the ledger."""


class Gtts:
    """Those of one account."""

    def __init__(self, orders: "Orders") -> None:
        self._orders = orders
        self._account = orders.settings.account

    async def place(self, intent: GttIntent, timeout: float) -> GttView:
        """The GTT as the broker's list shows it, or why it was not placed; as it stands if that takes longer. Raises
        `InvalidOrder` for an id as those have that others placed, `DuplicateOrder` for one with other content, and
        `ServerUnreachable`."""
        await self.begin(intent)
        return await self.begun(intent, timeout)

    async def begin(self, intent: GttIntent) -> bool:
        """See to it that it is placed, whatever becomes of whoever asked; whether nobody had asked for it before.
        Raises as `place`."""
        if intent.gtt_id.startswith(EXTERNAL):
            raise errors.InvalidOrder(NOT_FREE)
        if by_gtt.is_of_plan(intent.gtt_id):
            raise errors.InvalidOrder(by_gtt.NOT_FREE)
        known = await self._orders.read(lambda connection: find_gtt(connection, self._account, intent.gtt_id))
        if known is not None and known[1] != intent.fingerprint():
            raise errors.DuplicateOrder(f"id: {intent.gtt_id} is the id of another GTT")
        try:
            await self._orders.client.start_workflow(
                names.GTT_WORKFLOW,
                intent,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **names.gtt_options(intent),
            )
        except WorkflowAlreadyStartedError:
            await self._must_be_same(intent)
            return False
        except RPCError as error:
            raise unreachable(error) from None
        return known is None

    async def _must_be_same(self, intent: GttIntent) -> None:
        handle = self._orders.client.get_workflow_handle(names.gtt_workflow_id(self._account, intent.gtt_id))
        fingerprint = await (await handle.describe()).memo_value(names.FINGERPRINT, "", type_hint=str)
        if fingerprint != intent.fingerprint():
            raise errors.DuplicateOrder(f"id: {intent.gtt_id} is the id of another GTT")

    async def begun(self, intent: GttIntent, timeout: float) -> GttView:
        """How it stands once the broker's list tells, or after so many seconds."""
        own = names.gtt_workflow_id(self._account, intent.gtt_id)
        handle = self._orders.client.get_workflow_handle(own, result_type=GttState)
        try:
            async with asyncio.timeout(timeout):
                return await self._shown_since(await handle.result())
        except WorkflowFailureError as error:
            raise domain_error(error.cause) from None
        except TimeoutError:
            pass
        except RPCError as error:
            raise unreachable(error) from None
        recorded = await self._recorded(intent.gtt_id)
        return recorded or view_of(GttState.of(intent, datetime.now(UTC)), {})  # no worker has taken it so far

    async def _shown_since(self, ended: GttState) -> GttView:
        """Of one whose placing has ended. Where the ledger is older than that, the broker's list is waited for: by now
        it may have been triggered, or deleted."""
        gtt_id = ended.intent.gtt_id
        known = await self._orders.read(lambda connection: find_gtt(connection, self._account, gtt_id))
        if known is None or known[0].status in UNRESOLVED:
            await asyncio.to_thread(self._put_back, ended)
        while True:
            view = await self.show(gtt_id)
            if view.status not in UNRESOLVED:
                return view
            await asyncio.sleep(POLL)

    def _put_back(self, ended: GttState) -> None:
        with self._orders.database.write(self._account) as connection:
            put_back(connection, ended, datetime.now(UTC))

    async def show(self, gtt_id: str) -> GttView:
        """As recorded; PENDING where the server has it and no worker has taken it yet. Raises `OrderNotFound`, and
        `ServerUnreachable` for one that the ledger does not have."""
        return await self._recorded(gtt_id) or await self._not_taken(gtt_id)

    async def _recorded(self, gtt_id: str) -> GttView | None:
        found = await self._orders.read(lambda connection: find_gtt(connection, self._account, gtt_id))
        return None if found is None else (await self._views([found[0]]))[0]

    async def _not_taken(self, gtt_id: str) -> GttView:
        nowhere = errors.GttNotFound(f"no GTT {gtt_id[:64]!r}")
        own = names.gtt_workflow_id(self._account, gtt_id)
        asked = await asked_for(self._orders.client, own, GttIntent, nowhere)
        if asked is not None:
            return view_of(GttState.of(*asked), {})
        if (recorded := await self._recorded(gtt_id)) is None:  # a worker has taken it meanwhile
            raise nowhere
        return recorded

    async def listed(self, *, open_only: bool, limit: int | None) -> list[GttView]:
        """Newest first."""
        states = await self._orders.read(
            lambda connection: list_gtts(connection, self._account, open_only=open_only, limit=limit)
        )
        return await self._views(states)

    async def _views(self, states: list[GttState]) -> list[GttView]:
        return await self._orders.read(lambda connection: gtt_views(connection, self._account, states))

    async def change(self, change: GttChange, timeout: float) -> GttView:
        """The GTT as the broker's list shows it after that. Raises `OrderNotFound`, `InvalidOrder` with why it was not
        done, `UnknownError` where that is not known within `timeout` seconds, and `ServerUnreachable`."""
        if await self._recorded(change.gtt_id) is None:
            view = await self.show(change.gtt_id)
            raise errors.InvalidOrder(f"{view.gtt_id}: no worker has taken it yet, ask again once one has")
        is_delete = change.legs is None
        joined = WorkflowIDConflictPolicy.USE_EXISTING if is_delete else WorkflowIDConflictPolicy.FAIL
        try:
            handle = await self._orders.client.start_workflow(
                names.GTT_CHANGE_WORKFLOW,
                change,
                id_conflict_policy=joined,
                **names.gtt_change_options(change),
            )
            async with asyncio.timeout(timeout):
                refusal = (await handle.result()).get("refusal")
        except WorkflowAlreadyStartedError:
            raise errors.InvalidOrder(f"{change.gtt_id}: another change of it is on its way") from None
        except WorkflowFailureError as error:
            raise domain_error(error.cause) from None
        except TimeoutError:
            words = f"{change.gtt_id}: no answer within {timeout:.0f} s; it may still be done"
            raise errors.UnknownError(words) from None
        except RPCError as error:
            raise unreachable(error) from None
        if refusal is not None:
            raise errors.InvalidOrder(f"{change.gtt_id}: {refusal}")
        return await self.show(change.gtt_id)

    async def settle(self, gtt_id: str, trigger_id: str | None, evidence: str, timeout: float) -> GttView:
        """Say of one that is UNKNOWN which row of the broker's list it is, or with `None` that it is none; and see what
        the next reading of the list says to that, within `timeout` seconds. Raises `OrderNotFound`, and `InvalidOrder`
        for one that is not UNKNOWN, for what is no id of the broker's, and for a row that is another's."""
        view = await self.show(gtt_id)
        if view.status is not GttStatus.UNKNOWN:
            raise errors.InvalidOrder(f"{gtt_id}: only an UNKNOWN one is settled by hand, it is {view.status}")
        if trigger_id is not None and re.fullmatch("[0-9]{1,20}", trigger_id) is None:
            raise errors.InvalidOrder(f"trigger_id: digits, as the broker's list has them, was {trigger_id[:20]!r}")
        if not evidence.strip():
            raise errors.InvalidOrder("evidence: say what shows it")
        row, words = None if trigger_id is None else TriggerId(trigger_id), evidence.strip()[:300]
        window = timedelta(seconds=self._orders.settings.placing.settle_window)

        def write() -> GttState:
            with self._orders.database.write(self._account) as connection:
                return settle_gtt(connection, self._account, gtt_id, row, words, datetime.now(UTC), window)

        return await self._read_since(await asyncio.to_thread(write), timeout)

    async def _read_since(self, settled: GttState, timeout: float) -> GttView:
        """As it stands once the list was read after that, or `timeout` seconds later."""
        until = asyncio.get_running_loop().time() + timeout
        while True:
            view = await self.show(settled.intent.gtt_id)
            is_read = view.status is not GttStatus.UNKNOWN or view.reasons != settled.reasons
            if is_read or asyncio.get_running_loop().time() >= until:
                return view
            await asyncio.sleep(POLL)
