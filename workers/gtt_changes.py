"""Sees to it that each change of a GTT that is on its way has a workflow, until it is known what came of it."""

import logging
from collections.abc import Iterable

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from durable_orders.trading.gtt.gtt import GttChange
from durable_orders.workflows import names

log = logging.getLogger(__name__)


class ChangesFollowed:
    """One account's, in one worker."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._missing: frozenset[str] = frozenset()

    async def take_up(self, changes: Iterable[GttChange], running: frozenset[str]) -> None:
        """Start anew the workflows of those that had none at the last look, too. Each goes on from what the ledger has:
        what was sent is only read. Raises `RPCError`."""
        found = {names.gtt_change_options(each)["id"]: each for each in changes}
        missing = found.keys() - running
        for own in missing & self._missing:
            change = found[own]
            try:
                await self._client.start_workflow(
                    names.GTT_CHANGE_WORKFLOW,
                    change,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    **names.gtt_change_options(change),
                )
            except WorkflowAlreadyStartedError:
                continue  # it is too new for the server's list
            log.warning("%s was on its way, and nobody followed it: taken up again", own)
        self._missing = frozenset(missing)
