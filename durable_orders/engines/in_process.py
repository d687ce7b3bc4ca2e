"""A desk over a caller's broker object, and the loop that looks at its book without being asked."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from durable_orders.engines.books import Books
from durable_orders.engines.callers_desk import CallersDesk
from durable_orders.engines.followed import Followed
from durable_orders.engines.terms import LiveTerms, id_of, owned
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.errors import BookUnreadable, OrderNotFound
from durable_orders.trading.orders.order import Amendment, Mode, Order

logger = logging.getLogger(__name__)


class InProcessDesk:
    """A `Desk`. Its blocking calls run in threads, so any event loop, and several of them, may use it."""

    def __init__(
        self, broker: Any, guardian: Any, market_data: Any, terms: LiveTerms, account: str, bus: EventBus, books: Books
    ) -> None:
        """Takes over the open orders of the caller's state. Raises what reading that raises, and `TypeError` for a
        broker that cannot place."""
        self._account = account
        self._terms = terms
        self._followed = Followed(bus, books)
        self._desk = CallersDesk(broker, guardian, market_data, terms.settings, self._followed)
        for order in books.open_orders():
            self._desk.restore(order)
        self._looking: asyncio.Task[None] | None = None

    async def place(self, order: Order) -> Order:
        own = order if order.account == self._account else owned(order, self._account, Mode.LIVE)
        self._look_from_now_on()
        return await asyncio.to_thread(self._desk.place, own)

    async def cancel(self, name: str) -> Order:
        return await asyncio.to_thread(self._desk.cancel, self._known(name))

    async def amend(self, name: str, change: Amendment) -> Order:
        return await asyncio.to_thread(self._desk.amend, self._known(name), change)

    async def poll(self) -> list[Order]:
        """Raises `BookUnreadable`, when no order has changed."""
        self._look_from_now_on()
        return await asyncio.to_thread(self._desk.look)

    async def close(self) -> None:
        if self._looking is not None and self._looking.get_loop() is asyncio.get_running_loop():
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        self._looking = None

    def _known(self, name: str) -> Order:
        order = self._followed.find(id_of(self._account, name))
        if order is None:
            raise OrderNotFound(f"no order {name}")
        return order

    def _look_from_now_on(self) -> None:
        """In the loop that runs now; again, if it was another one that has ended."""
        is_gone = self._looking is None or self._looking.done() or self._looking.get_loop().is_closed()
        if self._terms.looks_by_itself and is_gone:
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._terms.settings.reconciliation_interval)
            try:
                if any(not order.status.terminal for order in self._followed.all()):
                    await asyncio.to_thread(self._desk.look)
            except BookUnreadable as error:
                logger.warning("the broker's book cannot be read: %s", error)
            except Exception:
                logger.exception("looking at the broker's book failed")
