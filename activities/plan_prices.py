"""Tells open plans of prices that concern them: one look at the ledger for all of an account's, five times a second."""

import asyncio
import logging
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.plans import Concerned, concerned
from durable_orders.trading.orders.order import Account
from durable_orders.trading.plans.line import QUOTED

EVERY = 0.2
"""Seconds between two looks."""
AGAIN = timedelta(seconds=2)
"""Before a plan is told of the same price again: its answer may be on its way to the ledger."""
PRICED = "priced"
"""The signal of a plan's workflow."""

log = logging.getLogger(__name__)


class PlanPrices:
    """One account's."""

    def __init__(self, account: Account, database: Database, client: Client, executor: Executor) -> None:
        self._account = account
        self._database = database
        self._client = client
        self._executor = executor
        self._told: dict[str, tuple[Concerned, datetime]] = {}
        self._is_in_trouble = False

    async def run(self) -> None:
        """Until it is cancelled. While the server is away or the ledger is locked, it waits."""
        while True:
            try:
                await self.look()
                self._is_in_trouble = False
            except SQLAlchemyError as error:
                if not self._is_in_trouble:
                    log.warning("plans could not be told of prices, and will be: %s", error)
                self._is_in_trouble = True
            await asyncio.sleep(EVERY)

    async def look(self) -> int:
        """Look once. Gives how many plans were told. Raises `SQLAlchemyError`."""
        found = await asyncio.get_running_loop().run_in_executor(self._executor, self._concerned)
        at = datetime.now(UTC)
        fresh = [each for each in found if self._is_news(each, at)]
        self._told = {each.plan_id: self._told.get(each.plan_id, (each, at)) for each in found}
        return sum(await asyncio.gather(*(self._tell(each, at) for each in fresh)))

    def _concerned(self) -> list[Concerned]:
        with self._database.read() as connection:
            return concerned(connection, self._account, datetime.now(UTC) - QUOTED)

    def _is_news(self, found: Concerned, at: datetime) -> bool:
        known = self._told.get(found.plan_id)
        return known is None or known[0] != found or at - known[1] >= AGAIN

    async def _tell(self, found: Concerned, at: datetime) -> bool:
        handle = self._client.get_workflow_handle(f"plan:{self._account}:{found.plan_id}")
        try:
            await handle.signal(PRICED, found.price)
        except RPCError as error:  # nobody follows it at present: it is taken up within seconds
            log.debug("plan %s was not told of a price: %s", found.plan_id, error.message)
            return False
        self._told[found.plan_id] = found, at
        return True
