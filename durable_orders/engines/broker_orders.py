"""The client of a desk that this process runs over a broker object of its caller."""

import asyncio
import threading
from pathlib import Path
from typing import Any, Self

from durable_orders.callers.broker import CallersBroker
from durable_orders.callers.figures import section
from durable_orders.engines import broker_desk
from durable_orders.engines.terms import live_terms
from durable_orders.order_handle import PLACED_SECONDS
from durable_orders.orders import Orders
from durable_orders.trading.brokers.broker import Broker
from durable_orders.workers.home import Home

ACCOUNT = "live"
"""The account, if `account` of the configuration names none."""

LEAST_PATIENCE = PLACED_SECONDS
"""Seconds that placing waits at least for an order to be at the broker or to end."""


def folder_of(config: Any) -> tuple[Path, str]:
    """The folder that keeps the orders over a broker object, and their account: `execution.folder`, else one beside
    the working directory's other homes that is named after the account. It stays the same where the process goes to
    another directory."""
    account = str(section(config).get("account") or ACCOUNT)
    folder = Path(section(config, "execution").get("folder") or f".durable-orders-{account}")
    return folder.absolute(), account


class BrokerOrders(Orders):
    """`open` starts the desk, or joins that of another engine of this process, and `close` leaves it."""

    def __init__(self, broker: Any, config: Any) -> None:
        """Raises `TypeError` for an object without `place_order`, and `ValueError` for a configuration that cannot be
        used."""
        CallersBroker(broker)
        path, self._account = folder_of(config)
        super().__init__(path)
        self._broker = broker
        self._live = live_terms(config)
        self._dry_run = bool(section(config, "execution").get("dry_run", False))
        self._desk: broker_desk.BrokerDesk | None = None
        self._joining = threading.Lock()

    @property
    def patience(self) -> float:
        """Seconds that placing waits for the book to tell what became of a lost answer, at most."""
        return max(LEAST_PATIENCE, 2 * self._live.settle_window)

    async def open(self) -> Self:
        """Who gives up waiting for it has joined the desk all the same, and `close` leaves it."""
        if self._desk is None:
            await asyncio.to_thread(self._join)
        return await super().open()

    async def close(self) -> None:
        await super().close()
        await asyncio.to_thread(self._leave)

    @property
    def _own_broker(self) -> Broker | None:
        return self._desk.own if self._desk is not None else None

    async def look(self) -> None:
        """Read the broker's book, and wait until what it shows is recorded. Raises `BookUnreadable`."""
        if self._desk is not None:
            await asyncio.to_thread(self._desk.look)

    def _join(self) -> None:
        with self._joining:
            if self._desk is None:
                home = Home(self.home.path)
                settings = broker_desk.settings_of(home, self._account, self._live, dry_run=self._dry_run)
                self._desk = broker_desk.joined(home, settings, self._broker)

    def _leave(self) -> None:
        with self._joining:
            desk, self._desk = self._desk, None
            if desk is not None:
                broker_desk.left(self.home, desk)
