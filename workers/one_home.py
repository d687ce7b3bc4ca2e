"""Sees to it that one home serves a live account: a ledger, and the Temporal server of the workers that use it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.trading.errors import LedgerUnusable, WrongAccount
from durable_orders.trading.ledger import homes
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.migrate import cause_of
from durable_orders.workers.components import Components
from durable_orders.workflows import names

R = TypeVar("R")

log = logging.getLogger(__name__)


class OneHome:
    """One account's, in one worker."""

    def __init__(self, client: Client, parts: Components, mark: str) -> None:
        """`mark` is the home's."""
        self._client = client
        self._parts = parts
        self._account = parts.settings.account
        self._mark = mark
        self._server = ""
        self._told = False

    async def must_serve(self) -> None:
        """Raises `WrongAccount` where another home serves the account over this server or over this ledger, and
        `LedgerUnusable` if that cannot be known."""
        other = await mark_at(self._client, self._account)
        if other not in (None, self._mark):
            words = f"another home (mark {other}) serves it over this Temporal server, with a ledger of its own"
            lost = "if that ledger is lost, `durable-orders rebuild --replace` makes it anew"
            raise WrongAccount(f"account {self._account}: {words}; this home's mark is {self._mark}; {lost}")
        if other is None:
            await self._client.get_workflow_handle(names.watch_id(self._account)).signal(names.SERVED_BY, self._mark)
        info = await self._client.workflow_service.get_cluster_info(GetClusterInfoRequest())
        self._server = f"{info.cluster_id}/{self._client.namespace}"
        await self._run(self._serve)

    def _serve(self) -> None:
        try:
            homes.serve(self._parts.database, self._account, self._server, datetime.now(UTC))
        except SQLAlchemyError as error:
            database = self._parts.database
            raise LedgerUnusable(f"ledger {database.place}: {cause_of(error, database.url)}") from None

    async def keep(self) -> None:
        """Until it is cancelled, the ledger says that the account is served over this server."""
        while True:
            await asyncio.sleep(homes.RENEWED_EVERY.total_seconds())
            try:
                await self._run(self._serve)
                self._told = False
            except WrongAccount as error:
                if not self._told:
                    self._told = True
                    await self._run(lambda words=str(error): self._alert(words))  # type: ignore[misc]
            except LedgerUnusable as error:
                log.warning("who serves the account cannot be said now: %s", error)

    async def leave(self) -> None:
        """Another may serve it from now on."""
        try:
            await self._run(lambda: homes.leave(self._parts.database, self._account, self._server, datetime.now(UTC)))
        except (SQLAlchemyError, LedgerUnusable) as error:
            log.warning("that the account is not served any more cannot be said: %s", error)

    def _alert(self, words: str) -> None:
        alert(self._parts.database, self._account, words, datetime.now(UTC))

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._parts.executor, call)


async def mark_at(client: Client, account: str) -> str | None:
    """The mark of the home that serves the account over this server, as the memo of the watch that runs says."""
    try:
        description = await client.get_workflow_handle(names.watch_id(account)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    if description.status is not WorkflowExecutionStatus.RUNNING:
        return None
    return (await description.memo()).get(names.HOME)
