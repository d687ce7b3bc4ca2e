"""The client that strategies and the command line use: start orders, wait for them, cancel and amend them."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from pydantic import ValidationError
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from durable_orders import halting
from durable_orders.halting import Standing
from trading import errors
from trading.bus import Event, EventBus
from trading.explained import explained
from trading.ledger.database import Database
from trading.ledger.following import feed, follow, newest_id
from trading.ledger.migrate import open_database
from trading.ledger.positions import Position
from trading.ledger.reading import (
    FeedEvent,
    events_after,
    events_of,
    find_order,
    fingerprint_of,
    list_orders,
    positions_of,
)
from trading.ledger.settling import settle
from trading.order import Amendment, Order, OrderId, OrderIntent, OrderType, Product, Side, Status, Validity, order_id
from trading.settings import Settings
from trading.settlement import Settlement
from workers.connection import connect
from workers.home import DEFAULT_HOME, Home
from workflows import names

R = TypeVar("R")

PLACED, AMEND, CANCEL, SETTLE = "placed", "amend", "cancel", "settle"
"""The workflow's updates and its signal, by name: with the workflow itself every activity and the broker's client would
be loaded, a second for each command. A test holds the names and the workflow together."""
ANY_CONTENT = ""
"""For the update `placed`: whatever the order is, wait for it."""
PLACED_SECONDS = 10.0
"""How long `placed` waits by default. The order goes on without the one who waits."""
UNTAKEN = 200
"""How many orders without a worker are looked up at most: each is one more question to the server."""
HOME_VARIABLE = "DURABLE_ORDERS_HOME"
ORDER_ID = re.compile(r"order:[A-Za-z0-9._-]{1,64}:[A-Za-z0-9._-]{1,64}")


class OrderHandle:
    """One order, by its id. Cheap to make; everything it says comes from the workflow or the ledger."""

    def __init__(self, orders: "Orders", own_id: OrderId) -> None:
        self.order_id = own_id
        self._orders = orders
        self._workflow: WorkflowHandle[Any, Order] = orders.client.get_workflow_handle(own_id, result_type=Order)

    async def placed(self, timeout: float = PLACED_SECONDS) -> Order:
        """The order once it is at the broker or has ended; as it stands if that takes longer than `timeout` seconds."""
        answer = await self._update(PLACED, ANY_CONTENT, timeout)
        return answer or await self.now()

    async def result(self) -> Order:
        """The order at its proved end, however long that takes."""
        try:
            return await self._workflow.result()
        except WorkflowFailureError as error:
            raise _domain_error(error.cause) from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return await self.now()
            raise _unreachable(error) from None

    async def now(self) -> Order:
        """The order as the ledger has it, or as its workflow's history has it before the first recording.

        Raises `OrderNotFound`.
        """
        recorded = await self._orders.read(lambda connection: find_order(connection, self.order_id))
        return recorded or await self._unrecorded()

    async def _unrecorded(self) -> Order:
        """An order that no worker has taken yet: PENDING, with nothing sent."""
        try:
            history = await self._workflow.fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise errors.OrderNotFound(f"no order {self.order_id}") from None
            raise _unreachable(error) from None
        started = history.events[0]
        payloads = started.workflow_execution_started_event_attributes.input
        (intent,) = await self._orders.client.data_converter.decode(payloads.payloads[:1], [OrderIntent])
        return Order.from_intent(intent, started.event_time.ToDatetime().astimezone())

    async def events(self) -> list[FeedEvent]:
        """Everything recorded about the order, oldest first."""
        return await self._orders.read(lambda connection: events_of(connection, self.order_id))

    async def cancel(self, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """Cancel and wait for the proved end: the book decides between the cancel and a fill.

        The request is a signal, so it stands from the moment the server has it, even while no worker runs. Returns
        the order as it stands if the end takes longer than `timeout` seconds. Raises `OrderNotFound`.
        """
        try:
            await self._workflow.signal(CANCEL, reason)
            async with asyncio.timeout(timeout):
                return await self.result()
        except TimeoutError:
            return await self.now()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return await self._ended()
            raise _unreachable(error) from None

    async def amend(self, change: Amendment, timeout: float = 30.0) -> Order:
        """Change a working order. Raises `InvalidOrder` with the reason where that is not possible, and `UnknownError`
        if there is no answer within `timeout` seconds: then the change may still be made.
        """
        order = await self._update(AMEND, change, timeout)
        own_id = self.order_id.split(":", 2)[-1]
        if order is None:
            raise errors.UnknownError(f"{own_id}: no answer to the change within {timeout:.0f} s; it may still be made")
        if order.status.terminal and not _has(order, change):
            raise errors.InvalidOrder(f"{own_id} cannot be amended, it has ended: {order.status}")
        return order

    async def settle(self, settlement: Settlement, timeout: float = 30.0) -> Order:
        """Say what became of an order that is to be reviewed, as nothing can prove it any more. Raises `InvalidOrder`
        for what cannot be said of it, and `UnknownError` without an answer within `timeout` seconds.
        """
        try:
            order = await self._update(SETTLE, settlement, timeout)
        except errors.OrderNotFound:  # the watch follows it in the ledger alone
            return await self._orders.settle(self.order_id, settlement)
        if order is None:
            own_id = self.order_id.split(":", 2)[-1]
            raise errors.UnknownError(f"{own_id}: no answer within {timeout:.0f} s; it may still be settled")
        if not settlement.was_said_of(order):  # its workflow was over before
            raise errors.InvalidOrder(settlement.problem_with(order) or f"{self.order_id} was not settled")
        return order

    async def _update(self, name: str, content: str | Amendment | Settlement, timeout: float) -> Order | None:
        """The answer of the workflow, or of the ledger once the workflow is over; `None` without one in time."""
        try:
            async with asyncio.timeout(timeout):
                updated: Order = await self._workflow.execute_update(name, content, result_type=Order)
        except WorkflowUpdateFailedError as error:
            raise _domain_error(error.cause) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            return None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return await self._ended()
            raise _unreachable(error) from None
        return updated

    async def _ended(self) -> Order:
        """What the ledger has, now that the workflow is over. Raises the error that it ended with, if it did."""
        try:
            await self._workflow.result()
        except WorkflowFailureError as error:
            if isinstance(error.cause, ApplicationError):
                raise _domain_error(error.cause) from None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise _unreachable(error) from None
        order = await self.now()
        if not order.status.terminal:
            raise errors.OrderNotFound(f"{self.order_id} has no workflow any more; the ledger has it as {order.status}")
        return order


class Orders:
    """Places and follows the orders of one account.

        async with Orders() as orders:
            handle = await orders.buy("NSE:INFY", 10)

    Within the block it is connected to the server that Temporal's environment configuration names, else to the
    embedded one of this home.
    """

    def __init__(self, home: Path | str | None = None, config: Path | str | None = None) -> None:
        """`home` is `DURABLE_ORDERS_HOME` or `.durable-orders` if not given; `config` another settings file."""
        self._home = Home(Path(home or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME))
        self._config = Path(config) if config is not None else None
        self._parts: tuple[Client, Database, Settings] | None = None

    @classmethod
    async def connect(cls, home: Path | str | None = None, config: Path | str | None = None) -> "Orders":
        """A connected one. Raises `ServerUnreachable`, `InvalidSettings`, `LedgerUnusable`."""
        return await cls(home, config).open()

    @classmethod
    def over(cls, client: Client, database: Database, settings: Settings) -> "Orders":
        """One over parts that are open already. It closes the database."""
        orders = cls()
        orders._parts = client, database, settings
        return orders

    async def open(self) -> Self:
        """Connect, if it is not connected. Raises `ServerUnreachable`, `InvalidSettings`, `LedgerUnusable`."""
        if self._parts is None:
            settings = self._home.settings(self._config)
            client = await connect(self._home)
            self._parts = client, open_database(self._home.ledger_url(settings)), settings
        return self

    async def close(self) -> None:
        """Disconnect. Orders are not touched by that. Closing twice is fine."""
        if self._parts is not None:
            self._parts[1].close()
        self._parts = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def _open(self) -> tuple[Client, Database, Settings]:
        if self._parts is None:
            raise errors.NotConnected("not connected: use it as `async with Orders() as orders:`")
        return self._parts

    @property
    def client(self) -> Client:
        """Temporal's client."""
        return self._open()[0]

    @property
    def database(self) -> Database:
        return self._open()[1]

    @property
    def settings(self) -> Settings:
        return self._open()[2]

    def handle(self, client_order_id: str) -> OrderHandle:
        """The handle of an order by its client order id, or by its whole order id.

        Raises `OrderNotFound` for what cannot be the id of an order.
        """
        return OrderHandle(self, whole_id(self.settings.account, client_order_id))

    async def buy(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | int | None = None,
        trigger_price: Decimal | str | int | None = None,
        product: Product | str = Product.MIS,
        validity: Validity | str = Validity.DAY,
        strategy: str = "manual",
        reason: str = "",
        client_order_id: str | None = None,
    ) -> OrderHandle:
        """Start an order to buy, as `place` does. Prices are in rupees, `quantity` in units, never lots.

        Raises `InvalidOrder`, which names every field that is wrong and its rule; else as `place`.
        """
        return await self.place(self._intent(Side.BUY, **_given(locals())))

    async def sell(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | int | None = None,
        trigger_price: Decimal | str | int | None = None,
        product: Product | str = Product.MIS,
        validity: Validity | str = Validity.DAY,
        strategy: str = "manual",
        reason: str = "",
        client_order_id: str | None = None,
    ) -> OrderHandle:
        """As `buy`."""
        return await self.place(self._intent(Side.SELL, **_given(locals())))

    def _intent(self, side: Side, **content: Any) -> OrderIntent:
        try:
            return OrderIntent(side=side, **content)
        except ValidationError as error:
            raise explained(error) from None

    def _own(self, intent: OrderIntent) -> OrderIntent:
        """An intent that does not say whose it is is this account's."""
        own = {"account": self.settings.account, "mode": self.settings.execution.mode}
        missing = {name: value for name, value in own.items() if name not in intent.model_fields_set}
        if all(getattr(intent, name) == value for name, value in missing.items()):
            return intent
        given = {name: getattr(intent, name) for name in OrderIntent.model_fields}
        return self._intent(intent.side, **{k: v for k, v in (given | missing).items() if k != "side"})

    async def cancel(self, client_order_id: str, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """Cancel an order and wait for its proved end; see `OrderHandle.cancel`. Raises `OrderNotFound`."""
        return await self.handle(client_order_id).cancel(reason, timeout)

    async def get(self, client_order_id: str) -> Order:
        """The order as it stands now. Raises `OrderNotFound`."""
        return await self.handle(client_order_id).now()

    async def place(self, intent: OrderIntent) -> OrderHandle:
        """Start the order. From the moment this returns it is durable, whatever happens to this process.

        The same intent again gives the same order; another content under its id raises `DuplicateOrder`. If the
        history of that order is gone from the server, waiting for the order raises it. Where `execution.dry_run` is
        set here, the order is a dry run, whatever the settings of the worker are.
        """
        intent = self._marked(self._own(intent))
        try:
            await self.client.start_workflow(
                names.ORDER_WORKFLOW,
                intent,
                request_eager_start=True,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **self._options(intent),
            )
        except WorkflowAlreadyStartedError:
            await self._must_be_same(intent)
        except RPCError as error:
            raise _unreachable(error) from None
        return OrderHandle(self, intent.order_id)

    async def place_and_wait(self, intent: OrderIntent, timeout: float = PLACED_SECONDS) -> Order:
        """Start the order and wait until it is at the broker or has ended, in one round trip.

        As it stands if that takes longer than `timeout` seconds: it goes on. Raises as `place`.
        """
        intent = self._marked(self._own(intent))
        start: WithStartWorkflowOperation[Any, Order] = WithStartWorkflowOperation(
            names.ORDER_WORKFLOW,
            intent,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            **self._options(intent),
        )
        try:
            async with asyncio.timeout(timeout):
                order: Order = await self.client.execute_update_with_start_workflow(
                    PLACED, intent.fingerprint(), start_workflow_operation=start, result_type=Order
                )
                return order
        except WorkflowAlreadyStartedError:
            await _take_back(start)
            await self._must_be_same(intent)
        except WorkflowUpdateFailedError as error:
            raise _domain_error(error.cause) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            await _take_back(start)
        except RPCError as error:
            await _take_back(start)
            raise _unreachable(error) from None
        return await OrderHandle(self, intent.order_id).now()

    def _marked(self, intent: OrderIntent) -> OrderIntent:
        return intent.model_copy(update={"dry_run": True}) if self.settings.execution.dry_run else intent

    def _options(self, intent: OrderIntent) -> dict[str, Any]:
        return {
            "id": intent.order_id,
            "task_queue": names.orders_queue(intent.account),
            # One that failed or was terminated may be started again: it goes on from what the ledger has.
            "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            "search_attributes": names.order_attributes(intent),
            "task_timeout": names.TASK_TIMEOUT,
            "memo": {names.FINGERPRINT: intent.fingerprint()},
            "static_summary": intent.summary(),
        }

    async def _must_be_same(self, intent: OrderIntent) -> None:
        """The ledger knows best: a workflow that failed as a duplicate may have the id meanwhile."""
        known = await self.read(lambda connection: fingerprint_of(connection, intent.order_id))
        if known is None:
            description = await self.client.get_workflow_handle(intent.order_id).describe()
            known = await description.memo_value(names.FINGERPRINT, "", type_hint=str)
        if known != intent.fingerprint():
            raise errors.DuplicateOrder(f"client_order_id: {intent.client_order_id} is the id of another order")

    async def raise_flag(self, name: str, reason: str, who: str = "by a strategy") -> Standing:
        """Raise a risk flag: until it is cleared, the account takes only orders that reduce a position, and what
        `guardian.on_trip` says is done with open orders. Raises `InvalidOrder` for a name or reason that will not do.
        """
        raised = partial(halting.put_flag, self.database, self.settings, name, reason, who=who)
        return await asyncio.to_thread(raised)

    async def clear_flag(self, name: str, who: str = "by a strategy") -> Standing:
        """Clear a risk flag. Raises `InvalidOrder` if it is not up."""
        return await asyncio.to_thread(partial(halting.take_flag, self.database, self.settings, name, who=who))

    async def positions(self) -> list[Position]:
        """The account's net positions."""
        return await self.read(lambda connection: positions_of(connection, self.settings.account))

    async def events(self, after: int = 0) -> list[FeedEvent]:
        """The account's next events that follow the feed id `after`, oldest first."""
        return await self.read(lambda c: events_after(c, after, account=self.settings.account))

    async def follow(self, after: int | None = None) -> AsyncGenerator[Event, None]:
        """The account's events behind the feed id `after`, or from now on, each once and in order, without end."""
        if after is None:
            after = await self.read(newest_id)
        async with aclosing(follow(self.database, after, account=self.settings.account)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def feed(self, bus: EventBus, after: int | None = None) -> None:
        """Publish them on a bus, without end; cancel it to stop."""
        if after is None:
            after = await self.read(newest_id)
        await feed(bus, self.database, after, account=self.settings.account)

    async def settle(self, own_id: str, settlement: Settlement) -> Order:
        """Settle an order that no workflow follows, in the ledger. Raises `OrderNotFound`, `InvalidOrder`."""
        return await asyncio.to_thread(settle, self.database, own_id, settlement, datetime.now(UTC))

    async def read(self, question: Callable[[sa.Connection], R]) -> R:
        """Ask the ledger, off the event loop."""
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Callable[[sa.Connection], R]) -> R:
        with self.database.read() as connection:
            return question(connection)

    async def untaken(self, limit: int = UNTAKEN) -> list[Order]:
        """Orders that the server has and no worker has taken yet, newest first: PENDING, and not in the ledger."""
        wanted = {"WorkflowType": names.ORDER_WORKFLOW, "ExecutionStatus": "Running"}
        wanted |= {names.ACCOUNT.name: self.settings.account, names.STATUS.name: Status.PENDING.value}
        query = " AND ".join(f'{name}="{value}"' for name, value in wanted.items())
        try:
            running = [OrderId(found.id) async for found in self.client.list_workflows(query, limit=limit)]
            recorded = await self.read(lambda c: [find_order(c, own_id) for own_id in running])
            fresh = [own_id for own_id, order in zip(running, recorded, strict=True) if order is None]
            return list(await asyncio.gather(*(OrderHandle(self, own_id).now() for own_id in fresh)))
        except RPCError as error:
            raise _unreachable(error) from None

    async def list(
        self,
        *,
        statuses: Collection[Status] | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> list[Order]:
        """The account's orders to which everything given applies, newest first."""

        def ask(connection: sa.Connection) -> list[Order]:
            return list_orders(
                connection,
                self.settings.account,
                statuses=statuses,
                symbol=symbol,
                strategy=strategy,
                open_only=open_only,
                limit=limit,
            )

        return await self.read(ask)


def _given(content: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments, but for itself and an id that was not given."""
    named = content["client_order_id"] is not None
    return {name: value for name, value in content.items() if name != "self" and (named or name != "client_order_id")}


async def _take_back(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """The SDK leaves the error of an interrupted call in here, and asyncio prints a traceback if nobody takes it."""
    with contextlib.suppress(asyncio.CancelledError, RPCError, WorkflowAlreadyStartedError):
        await start.workflow_handle()


def whole_id(account: str, text: str) -> OrderId:
    """The order id that a client order id of this account, or a whole order id, stands for.

    Raises `OrderNotFound` for what cannot be the id of an order.
    """
    own_id = text if text.startswith("order:") else order_id(account, text)
    if not ORDER_ID.fullmatch(own_id):
        raise errors.OrderNotFound(f"no order {text[:64]!r}: it cannot be the id of one")
    return OrderId(own_id)


def _has(order: Order, change: Amendment) -> bool:
    """Whether the order's terms are what the change asked for."""
    return all(getattr(order, field) == value for field, value in change.model_dump(exclude_none=True).items())


def _domain_error(cause: BaseException | None) -> errors.DurableOrdersError:
    """The error that a workflow or an update gave as its answer, in the domain's own type."""
    if isinstance(cause, ApplicationError):
        family = getattr(errors, cause.type or "", None)
        if isinstance(family, type) and issubclass(family, errors.DurableOrdersError):
            return family(cause.message)
        return errors.BrokenError(cause.message)
    return errors.BrokenError(str(cause))


def _unreachable(error: RPCError) -> errors.ServerUnreachable:
    return errors.ServerUnreachable(f"the Temporal server did not answer: {error.message or error.status.name}")
