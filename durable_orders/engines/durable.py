"""A backend over durable workflows: orders live on a server and at its worker, whatever becomes of this process."""

import asyncio
import logging
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from durable_orders.engines.books import Books
from durable_orders.engines.broker_orders import BrokerOrders
from durable_orders.engines.changing import checked, must_be_made, must_work
from durable_orders.engines.checking import refusal_of
from durable_orders.engines.terms import intent_of
from durable_orders.order_handle import PLACED_SECONDS
from durable_orders.orders import Orders
from durable_orders.trading.bus.bus import Event, EventBus
from durable_orders.trading.errors import InvalidSettings, OrderNotFound, RefusedError, UnknownError
from durable_orders.trading.ledger.entering import Entered, entered_after, newest_entry
from durable_orders.trading.ledger.following import follow, newest_id
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Amendment, Mode, Order, OrderId, OrderIntent, Status
from durable_orders.trading.orders.order_ids import order_id_of

AGAIN_SECONDS = 1.0
SHOWN_SECONDS = 10.0
"""How long a change that was taken is waited for until the book shows it."""
LOOK_EVERY = 0.2
NOT_KNOWN_HERE = "open in the caller's state, and this home does not know it"
TO_DO = "look at the broker, and take it out of the state's open_orders"
SENT_ELSEWHERE = f"{NOT_KNOWN_HERE}: it was sent from another home, or by a version that kept none; {TO_DO}"
NOT_BEGUN = f"{NOT_KNOWN_HERE}: its process ended before it was begun, or it was sent from another home; {TO_DO}"

logger = logging.getLogger(__name__)


class TemporalBackend:
    """A `ExecutionBackend`. Connects with the first call, in whose event loop it then is.

    The worker's guardian checks every order; a guardian of the caller is asked before, in this process. The bus is
    fed from the ledger's feed, from the moment of connecting on.
    """

    def __init__(
        self,
        orders: Orders | Path | str,
        mode: Mode,
        guardian: Any,
        market_data: Any,
        bus: EventBus,
        books: Books,
        *,
        is_ours: bool = False,
    ) -> None:
        """`orders` that are a path, or `is_ours`, are closed with it."""
        self._orders = orders if isinstance(orders, Orders) else Orders(orders)
        self._is_ours = is_ours or not isinstance(orders, Orders)
        self._mode = mode
        self._guardian = guardian
        self._market_data = market_data
        self._bus = bus
        self._books = books
        self._known: dict[OrderId, Order] = {}
        self._recalled: frozenset[OrderId] = frozenset()
        """Those that an earlier process has left in the caller's state."""
        self._refused: dict[OrderId, Order] = {}
        """By the caller's guardian. Their ids are free: the server has not heard of them."""
        self._connecting = asyncio.Lock()
        self._booking = asyncio.Lock()
        self._feeding: asyncio.Task[None] | None = None
        self._fed = 0
        self._has_entries = True
        """Whether the caller's state has all entries that this process has heard of."""

    async def place(self, order: Order) -> Order:
        """What is about to be started is in the caller's state before: its fills are booked then, once, whenever this
        process ends."""
        await self._connected()
        intent = intent_of(order, self._orders.settings.account, self._mode)
        async with self._booking:
            known = self._known.get(intent.order_id) or await self._entered(intent)
            if known.order_id in self._refused:
                return known
        patience = self._orders.patience if isinstance(self._orders, BrokerOrders) else PLACED_SECONDS
        return await self._noted(await self._orders.place_and_wait(intent, patience))

    async def cancel(self, name: str) -> Order:
        await self._connected()
        return await self._noted(await self._orders.cancel(order_id_of(self._orders.settings.account, name)))

    async def amend(self, name: str, change: Amendment) -> Order:
        """The worker's guardian checks the change, and a guardian of the caller before."""
        await self._connected()
        order_id = order_id_of(self._orders.settings.account, name)
        order = self._refused.get(order_id) or await self._orders.get(order_id)
        must_work(order)
        await asyncio.to_thread(checked, order, change, self._guardian, self._market_data)
        return await self._noted(await self._shown(order, change, await self._orders.handle(order_id).amend(change)))

    async def _shown(self, before: Order, change: Amendment, order: Order) -> Order:
        """The order once the book shows the change, or as the broker has made it: it may set a limit for what fires at
        the market. Raises `UnknownError` where it does not for a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SHOWN_SECONDS
        while not (change.is_in(order) or _terms(order) != _terms(before)):
            if order.status.terminal:
                return must_be_made(order, change)
            if loop.time() >= until:
                words = f"amendment ({change.summary()}) may still be made: the book does not show it yet"
                raise UnknownError(f"{order.client_order_id}: {words}")
            await asyncio.sleep(LOOK_EVERY)
            order = await self._orders.get(order.order_id)
        return order

    async def poll(self) -> list[Order]:
        """Those of this engine, now or before, and whatever else is open in the account, also where no worker has taken
        it yet: another process, or this one before a crash, may have started it a moment ago."""
        await self._connected()
        if isinstance(self._orders, BrokerOrders):
            await self._orders.look()
        entered = await self._orders.read(self._entered_since)  # before the orders, whose fills they come after
        not_started = await self._orders.not_started()
        found = {order.order_id: order for order in (*not_started, *await self._orders.list(open_only=True))}
        for order_id, known in list(self._known.items()):
            if order_id not in found and not known.status.terminal:
                found[order_id] = await self._looked_up(known)
        for order in found.values():
            await self._noted(order)
        if entered:
            await self._entries_noted(entered)
        return sorted((self._known | self._refused).values(), key=lambda order: order.created_at)

    async def _looked_up(self, known: Order) -> Order:
        """As it stands on the server. Of one that had been sent, and that the home does not know, nobody can tell."""
        try:
            return await self._orders.get(known.order_id)
        except OrderNotFound:
            if known.status is Status.UNKNOWN:  # it was said before
                return known
            lost: lifecycle.Event = lifecycle.MissingFromBook(SENT_ELSEWHERE)
            if known.status is Status.PENDING:
                if known.order_id not in self._recalled:  # its start has not got through yet
                    return known
                lost = lifecycle.AnswerLost(NOT_BEGUN)
            return lifecycle.step(known, lost, datetime.now(UTC))

    async def close(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            with suppress(asyncio.CancelledError):
                await self._feeding
            self._feeding = None
        if self._is_ours:
            await self._orders.close()

    async def _connected(self) -> None:
        """Raises `InvalidSettings` for a home of the other mode: paper orders never become real ones."""
        async with self._connecting:
            if self._feeding is None:
                await self._connect()

    async def _connect(self) -> None:
        await self._orders.open()
        own = self._orders.settings.execution.mode
        if own is not self._mode:
            raise InvalidSettings(f"execution.mode: the home's is {own}, and this engine's is {self._mode}")
        await asyncio.to_thread(self._recall)
        account = self._orders.settings.account
        self._fed = await self._orders.read(lambda ledger: newest_id(ledger, account))
        newest = await self._orders.read(lambda ledger: newest_entry(ledger, account))
        await asyncio.to_thread(self._books.begin_entries, newest)
        self._has_entries = self._books.entries_until == newest
        self._feeding = asyncio.create_task(self._feed())

    async def _feed(self) -> None:
        """From the last event that was told on, whatever goes wrong in between."""
        while True:
            try:
                account = self._orders.settings.account
                await self._hear([])
                async with aclosing(follow(self._orders.database, self._fed, account=account)) as batches:
                    async for batch in batches:
                        await self._hear(batch)
                        self._bus.post(*batch)
                        self._fed = batch[-1].feed_id or self._fed
            except SQLAlchemyError:
                logger.exception("the ledger's feed cannot be read; it is tried again")
                await asyncio.sleep(AGAIN_SECONDS)

    async def _hear(self, batch: list[Event]) -> None:
        """What moved a position without an order is in the caller's state before its bus tells of it, if it can be."""
        if self._has_entries and not any(event.type is EventType.POSITION_SETTLED for event in batch):
            return
        try:
            await self.poll()
            self._has_entries = True
        except Exception:
            self._has_entries = False
            logger.exception("positions were settled, and the caller's state has not got it: the next look tries again")

    def _entered_since(self, ledger: sa.Connection) -> list[Entered]:
        until = self._books.entries_until
        return [] if until is None else entered_after(ledger, self._orders.settings.account, until)

    async def _entries_noted(self, entered: list[Entered]) -> None:
        async with self._booking:
            until = self._books.entries_until
            fresh = [each for each in entered if until is None or each.sequence > until]
            await asyncio.to_thread(self._books.note_entries, fresh)

    def _recall(self) -> None:
        """How the open orders stood when the caller's state was last saved: what has been booked of them."""
        left = {order.order_id: order for order in self._books.open_orders()}
        self._recalled = frozenset(left.keys() - self._known.keys())
        self._known = left | self._known

    async def _entered(self, intent: OrderIntent) -> Order:
        """The order as it stands on the server, or as a new one: one that the caller's own guardian refuses is
        `REJECTED`, and the server never hears of it. Raises `RefusedError` if the caller's state does not take it."""
        standing = await self._orders.read(lambda ledger: find_order(ledger, intent.order_id))
        if standing is not None:
            self._known[standing.order_id] = standing
            return standing
        order = Order.from_intent(intent, datetime.now(UTC))
        reason = await asyncio.to_thread(refusal_of, self._guardian, self._market_data, order)
        if reason is not None:
            order = lifecycle.step(order, lifecycle.Refused((reason,)), order.created_at)
        try:
            await asyncio.to_thread(self._books.note, None, order)
        except Exception as error:
            raise RefusedError(f"{error} (nothing was sent)") from error
        self._refused.pop(order.order_id, None)
        kept = self._known if reason is None else self._refused
        kept[order.order_id] = order
        return order

    async def _noted(self, order: Order) -> Order:
        """Book what is new of it in the caller's own state and journal. What another one placed is not booked."""
        async with self._booking:
            before = self._known.get(order.order_id, order)
            if _is_older(order, before):
                return before
            if before != order:
                await asyncio.to_thread(self._books.note, before, order)
            self._known[order.order_id] = order
            return order


def _terms(order: Order) -> tuple[object, ...]:
    return order.quantity, order.price, order.trigger_price, order.order_type


def _is_older(order: Order, known: Order) -> bool:
    """Whether it was read before what is known already: fills never become fewer."""
    if known.status is Status.PENDING:
        return False
    return (len(order.fills), order.updated_at) < (len(known.fills), known.updated_at)
