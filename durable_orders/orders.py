"""The client that strategies and the command line use: start orders, wait for them, cancel and amend them."""

import asyncio
import contextlib
import logging
import os
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import sqlalchemy as sa
from pydantic import ValidationError
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from durable_orders import halting
from durable_orders.answers import domain_error, unreachable
from durable_orders.gtts import Gtts
from durable_orders.halting import Standing
from durable_orders.not_started import NOT_STARTED, not_started
from durable_orders.order_handle import PLACED, PLACED_SECONDS, OrderHandle
from durable_orders.plans import Plans
from durable_orders.portfolio import Portfolio, portfolio_of
from durable_orders.trading import errors
from durable_orders.trading.bus.bus import Event, EventBus
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.explained import explained
from durable_orders.trading.flatten.request import FlattenResult
from durable_orders.trading.gtt.gtt import GttChange, GttIntent, GttLeg
from durable_orders.trading.gtt.view import GttView
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.following import feed, follow, newest_id
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.ledger.plans import stored_views
from durable_orders.trading.ledger.position_differences import Unexplained
from durable_orders.trading.ledger.reading import (
    FeedEvent,
    events_after,
    fingerprint_of,
    list_orders,
)
from durable_orders.trading.ledger.settling import settle
from durable_orders.trading.ledger.told_positions import ToldPosition, told_positions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import (
    Account,
    Mode,
    Order,
    OrderId,
    OrderIntent,
    Product,
    Side,
    Status,
    kept_for,
)
from durable_orders.trading.orders.order_ids import order_id_of
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.trading.orders.terms import CLIENT_TERMS, ClientOrderTerms, intent_of
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.plan import PlanChange, PlanIntent, Protect
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.plans.terms import bracket_of
from durable_orders.trading.reconciliation.position_settling import settle_position
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home
from durable_orders.workers.places import DEFAULT_HOME, HOME_VARIABLE
from durable_orders.workflows import names

if TYPE_CHECKING:
    from durable_orders.direct_cancels import Asked, DirectCancels
    from durable_orders.trading.brokers.broker import Broker
    from durable_orders.workers.instruments import Master

R = TypeVar("R")

log = logging.getLogger(__name__)

EVENTS = 1000
"""How many events are given at once, unless another number is asked for."""


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
        self._has_home = True
        self._master: Master | None = None
        self._direct: DirectCancels | None = None
        self._opening_direct = threading.Lock()

    @classmethod
    async def connect(cls, home: Path | str | None = None, config: Path | str | None = None) -> "Orders":
        """A connected one. Raises `ServerUnreachable`, `InvalidSettings`, `LedgerUnusable`, `HomeUnusable`."""
        return await cls(home, config).open()

    @classmethod
    def over(cls, client: Client, database: Database, settings: Settings) -> "Orders":
        """One over parts that are open already. It closes the database."""
        orders = cls()
        orders._parts, orders._has_home = (client, database, settings), False
        return orders

    async def open(self) -> Self:
        """Connect, if it is not connected.

        Raises `ServerUnreachable`, `InvalidSettings`, `LedgerUnusable`, and `HomeUnusable` where there is no home.
        """
        if self._parts is None:
            settings = self._home.settings(self._config)
            client = await connect(self._home, settings, self._config)
            if settings.ledger.url is None and not self._home.path.is_dir():
                raise errors.HomeUnusable(f"home {self._home.path}: there is none; `durable-orders up` starts one")
            self._parts = client, self._home.open_ledger(settings), settings
        return self

    async def close(self) -> None:
        """Disconnect. Orders are not touched by that. Closing twice is fine."""
        if self._parts is not None:
            self._parts[1].close()
        if self._direct is not None:
            self._direct.close()
        self._parts = self._direct = None

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
    def home(self) -> Home:
        """Where its files are."""
        return self._home

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
        return OrderHandle(self, order_id_of(self.settings.account, client_order_id))

    async def buy(self, symbol: str, quantity: int, **terms: Unpack[ClientOrderTerms]) -> OrderHandle:
        """Start an order to buy, as `place` does. Prices are in rupees as quoted; `quantity` is as Kite counts: shares
        or units, and lots on MCX, NCO, CDS and BCD.

        Raises `InvalidOrder`, which names every field that is wrong and its rule; else what `place` raises.
        """
        return await self.place(intent_of(Side.BUY, symbol, quantity, terms, CLIENT_TERMS))

    async def sell(self, symbol: str, quantity: int, **terms: Unpack[ClientOrderTerms]) -> OrderHandle:
        """Start an order to sell; everything else is as for `buy`."""
        return await self.place(intent_of(Side.SELL, symbol, quantity, terms, CLIENT_TERMS))

    def _intent(self, side: Side, **content: Any) -> OrderIntent:
        try:
            return OrderIntent(side=side, **content)
        except ValidationError as error:
            raise explained(error) from None

    def _own(self, intent: OrderIntent) -> OrderIntent:
        """An intent that does not say whose it is is this account's. Raises `InvalidOrder` for a name that is kept for
        others: one that was read from JSON may have it."""
        if reason := kept_for(intent.client_order_id):
            raise errors.InvalidOrder(f"client_order_id: {reason}")
        own = {"account": self.settings.account, "mode": self.settings.execution.mode}
        missing = {name: value for name, value in own.items() if name not in intent.model_fields_set}
        if all(getattr(intent, name) == value for name, value in missing.items()):
            return intent
        given = {name: getattr(intent, name) for name in OrderIntent.model_fields}
        return self._intent(intent.side, **{k: v for k, v in (given | missing).items() if k != "side"})

    async def cancel(self, client_order_id: str, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """Cancel an order and wait for its proved end; see `OrderHandle.cancel`. Raises `OrderNotFound`."""
        return await self.handle(client_order_id).cancel(reason, timeout)

    @property
    def _own_broker(self) -> "Broker | None":
        """One that this process has, in place of the home's session."""
        return None

    async def _cancel_directly(self, order_id: OrderId) -> "tuple[Order | None, list[Asked]]":
        """Ask the broker itself to cancel an order, past its workflow. The order as the broker's book then shows it,
        and what was asked. For when nobody else does: `cancel` sees to it.
        """
        if not self._has_home:
            raise errors.NotConnected("these Orders were made over open parts and know no home")
        return await asyncio.to_thread(lambda: self._direct_cancels().cancel(order_id))

    def _direct_cancels(self) -> "DirectCancels":
        """One for all, so that a crowd of cancels keeps the broker's limits, and asks once whose session it is."""
        from durable_orders.direct_cancels import DirectCancels  # with it come the broker's client and all activities

        with self._opening_direct:
            if self._direct is None:
                self._direct = DirectCancels(self._home, self.settings, self._own_broker)
            return self._direct

    async def get(self, client_order_id: str) -> Order:
        """The order as it stands now. Raises `OrderNotFound`, `ServerUnreachable`, `NotConnected`."""
        return await self.handle(client_order_id).now()

    async def place(self, intent: OrderIntent) -> OrderHandle:
        """Start the order. From the moment this returns it is durable, whatever happens to this process.

        The same intent again gives the same order; another content under its id raises `DuplicateOrder`. If the
        history of that order is gone from the server, waiting for the order raises it. Where `execution.dry_run` is
        set here, the order is a dry run, whatever the settings of the worker are.

        Raises `NotConnected`; and `ServerUnreachable`, after which it may have been started or not: place the same
        intent again.
        """
        intent = self._marked(self._own(intent))
        try:
            await self.client.start_workflow(
                names.ORDER_WORKFLOW,
                intent,
                request_eager_start=True,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                **names.order_options(intent, intent.fingerprint()),
            )
        except WorkflowAlreadyStartedError:
            await self._must_be_same(intent)
        except RPCError as error:
            raise unreachable(error) from None
        return OrderHandle(self, intent.order_id)

    async def place_and_wait(self, intent: OrderIntent, timeout: float = PLACED_SECONDS) -> Order:
        """Start the order and wait until it is at the broker, has ended or waits for a person, in one round trip.

        As it stands if that takes longer than `timeout` seconds: it goes on. Raises as `place`, and `ServerUnreachable`
        also where the server has not said within that time whether it has it.
        """
        intent = self._marked(self._own(intent))
        start: WithStartWorkflowOperation[Any, Order] = WithStartWorkflowOperation(
            names.ORDER_WORKFLOW,
            intent,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            **names.order_options(intent, intent.fingerprint()),
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
            raise domain_error(error.cause) from None
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            await _take_back(start)
            return await self._as_it_stands(intent.order_id, timeout)
        except RPCError as error:
            await _take_back(start)
            raise unreachable(error) from None
        return await OrderHandle(self, intent.order_id).now()

    async def _as_it_stands(self, order_id: OrderId, timeout: float) -> Order:
        """One that is not there may still come to be: its start may be on its way."""
        try:
            return await OrderHandle(self, order_id).now()
        except errors.OrderNotFound:
            words = f"no answer from the Temporal server within {timeout:g} s: whether {order_id} was started is not"
            raise errors.ServerUnreachable(f"{words} known; place the same intent again") from None

    def _marked(self, intent: OrderIntent) -> OrderIntent:
        return intent.model_copy(update={"dry_run": True}) if self.settings.execution.dry_run else intent

    async def _must_be_same(self, intent: OrderIntent) -> None:
        """The ledger knows best: a workflow that failed as a duplicate may have the id meanwhile."""
        known = await self.read(lambda connection: fingerprint_of(connection, intent.order_id))
        if known is None:
            description = await self.client.get_workflow_handle(intent.order_id).describe()
            known = await description.memo_value(names.FINGERPRINT, "", type_hint=str)
        if known != intent.fingerprint():
            raise errors.DuplicateOrder(f"client_order_id: {intent.client_order_id} is the id of another order")

    async def awaiting_approval(self) -> list[Order]:
        """Orders that wait for a person's approval, newest first. Raises `NotConnected`."""
        return [order for order in await self.list(statuses=[Status.PENDING]) if order.awaits_approval]

    async def approve(self, client_order_id: str, who: str = "by the client") -> Order:
        """Let an order be sent that waits for a person's approval; see `OrderHandle.approve`. Raises `OrderNotFound`,
        `InvalidOrder`, `UnknownError`."""
        return await self.handle(client_order_id).approve(who)

    async def decline(self, client_order_id: str, who: str = "by the client", reason: str = "") -> Order:
        """Reject an order that waits for a person's approval: it is never sent. Raises as `approve`."""
        return await self.handle(client_order_id).decline(who, reason)

    async def close_position(
        self,
        symbol: str,
        *,
        product: Product | str | None = None,
        strategy: str | None = None,
        reason: str = "closed by the client",
        timeout: float = halting.FLATTEN_SECONDS,
    ) -> FlattenResult | None:
        """Cancel what is open in a symbol and close what is held of it, as `flatten`. Raises as it."""
        return await self.flatten(symbol=symbol, product=product, strategy=strategy, reason=reason, timeout=timeout)

    async def flatten(
        self,
        *,
        symbol: str | None = None,
        product: Product | str | None = None,
        strategy: str | None = None,
        everything: bool = False,
        reason: str = "flattened by the client",
        timeout: float = halting.FLATTEN_SECONDS,
    ) -> FlattenResult | None:
        """Cancel open orders, then close what is held: of the account, or only in a symbol, of a strategy
        or under a product. No more is closed than the strategy, the account and the broker all have, and the account
        may go on trading meanwhile. With `everything`, what the broker has and the ledger does not know is taken over
        and closed, too, but for shares in the demat account; without it, that is named in the result's `differences`.

        `None` if it has not ended after `timeout` seconds: it goes on, and asked again, it is joined. Raises
        `InvalidOrder` for a symbol of which nothing is held or open, or a product that there is not, and
        `ServerUnreachable`.
        """
        request = halting.flatten_request(
            self.settings.account, reason, "by the client", symbol=symbol, product=product, strategy=strategy
        )
        if symbol is not None:
            await self.read(lambda connection: halting.must_be_in_a_book(connection, request))
        if everything:
            await halting.take_over_all(self.database, self.settings, request)
        return await halting.flatten(self.client, request, timeout)

    async def bracket(
        self,
        side: Side | str,
        symbol: str,
        quantity: int,
        *,
        stop: Decimal | str | None = None,
        target: Decimal | str | None = None,
        price: Decimal | str | None = None,
        trail: Decimal | str | None = None,
        stop_limit: Decimal | str | None = None,
        product: Product | str = Product.MIS,
        strategy: str = "manual",
        plan_id: str | None = None,
        exit_at: datetime | None = None,
        protect: Protect | str | None = None,
    ) -> PlanView:
        """Open a position with a stop, a target or both, which go out as it is filled. Prices are in rupees as quoted,
        `trail` in points; without a `price` the entry is at the market. With `protect="broker"` the stop outlives the
        worker and the day (docs/plans.md). The same `plan_id` again is the same plan.

        For several targets and further terms, `start_plan` takes them all. Raises `InvalidOrder`, which names the field
        and the rule, and what `start_plan` raises.
        """
        settings = self.settings
        own = {"account": settings.account, "mode": settings.execution.mode, "strategy": strategy}
        terms: dict[str, Any] = {
            "stop": stop,
            "target": target,
            "price": price,
            "trail": trail,
            "stop_limit": stop_limit,
        }
        terms |= {"product": product, "exit_at": exit_at, "protect": protect}
        intent = bracket_of(side, symbol, quantity, terms, **own, plan_id=plan_id or str(uuid.uuid4()))
        return await self.start_plan(intent)

    async def start_plan(
        self, intent: PlanIntent | BasketIntent | ScheduleIntent, timeout: float = PLACED_SECONDS
    ) -> PlanView:
        """Start a plan: orders that belong together. It is durable from the moment this returns, and is shown as it
        stands once its first order is at the broker or waits for a person, or after `timeout` seconds. One that was
        refused is REJECTED, with every reason.

        Raises `DuplicateOrder` for an id that is another plan's, `ServerUnreachable` and `NotConnected`.
        """
        return await Plans(self).start(intent, timeout)

    async def plan(self, plan_id: str) -> PlanView:
        """How a plan stands, with its orders. Raises `OrderNotFound`, `NotConnected`, and `ServerUnreachable`, which is
        also where only a worker could tell and none does."""
        return await Plans(self).show(plan_id)

    async def plans(self, *, open_only: bool = False, limit: int | None = None) -> Sequence[PlanView]:
        """The account's plans, newest first. Raises `NotConnected`."""
        account = self.settings.account
        return await self.read(lambda c: stored_views(c, account, open_only=open_only, limit=limit))

    async def cancel_plan(
        self, plan_id: str, reason: str = "by the strategy", *, flatten: bool = False, timeout: float = 30.0
    ) -> PlanView:
        """Cancel what works of a plan, and with `flatten` close what it holds. The plan at its end, or as it stands
        after `timeout` seconds: the request stands then. Raises `OrderNotFound`, `ServerUnreachable`."""
        return await Plans(self).cancel(plan_id, reason, flatten=flatten, timeout=timeout)

    async def amend_plan(self, plan_id: str, change: PlanChange, timeout: float = 30.0) -> PlanView:
        """Change a plan that has not ended; its orders follow. Raises `InvalidOrder` with the field and the rule,
        `UnknownError` without an answer in time, and `OrderNotFound`."""
        return await Plans(self).amend(plan_id, change, timeout)

    async def place_gtt(self, intent: GttIntent, timeout: float = PLACED_SECONDS) -> GttView:
        """Have the broker keep a LIMIT order until a price is reached, for up to a year; of two legs, until the first
        of two is. It is durable from the moment this returns, and shown as the broker's list has it, or after `timeout`
        seconds as it stands. One that was refused is REJECTED, with every reason; one whose answer was lost is UNKNOWN,
        and is never sent again. Live accounts only.

        Raises `DuplicateOrder` for an id that is another GTT's, `ServerUnreachable` and `NotConnected`.
        """
        own = {"account": self.settings.account, "mode": self.settings.execution.mode}
        missing = {name: value for name, value in own.items() if name not in intent.model_fields_set}
        return await Gtts(self).place(intent.model_copy(update=missing), timeout)

    async def gtt(self, gtt_id: str) -> GttView:
        """How a GTT stands, with the orders that came of it. Raises `OrderNotFound`, `NotConnected`."""
        return await Gtts(self).show(gtt_id)

    async def gtts(self, *, open_only: bool = False, limit: int | None = None) -> Sequence[GttView]:
        """The account's GTTs, newest first, with those that were placed at the broker past this system. Raises
        `NotConnected`."""
        return await Gtts(self).listed(open_only=open_only, limit=limit)

    async def change_gtt(
        self,
        gtt_id: str,
        legs: Sequence[GttLeg],
        *,
        last_price: Decimal | str | None = None,
        timeout: float = PLACED_SECONDS,
    ) -> GttView:
        """Have an ACTIVE GTT wait for other prices: `legs` are all that it is to have. Without a `last_price` (rupees)
        the broker is asked. Raises `InvalidOrder` with why it was not changed, `UnknownError` where that is not known
        within `timeout` seconds, `OrderNotFound` and `ServerUnreachable`."""
        own = {"account": self.settings.account, "gtt_id": gtt_id, "legs": tuple(legs), "last_price": last_price}
        try:
            change = GttChange.model_validate(own)
        except ValidationError as error:
            raise explained(error) from None
        return await Gtts(self).change(change, timeout)

    async def delete_gtt(self, gtt_id: str, timeout: float = PLACED_SECONDS) -> GttView:
        """End a GTT, whatever change of it is on its way. One that was not sent so far never is; one that is UNKNOWN is
        deleted as soon as the broker's list shows it. Raises as `change_gtt`; `InvalidOrder` also for one that was
        triggered before."""
        await self.gtt(gtt_id)
        return await Gtts(self).change(GttChange(account=self.settings.account, gtt_id=gtt_id), timeout)

    async def settle_gtt(
        self, gtt_id: str, trigger_id: str | None, evidence: str, timeout: float = PLACED_SECONDS
    ) -> GttView:
        """Say of an UNKNOWN GTT which one of the broker's list it is (`trigger_id`), or with `None` that it is not
        there, and what shows it. It stays UNKNOWN until the list shows it so: what that says is waited for, through
        `timeout` seconds. Raises `InvalidOrder` and `OrderNotFound`."""
        return await Gtts(self).settle(gtt_id, trigger_id, evidence, timeout)

    async def plan_result(self, plan_id: str) -> PlanView:
        """A plan at its end, however long that takes. Raises `OrderNotFound`, `ServerUnreachable`."""
        return await Plans(self).result(plan_id)

    async def raise_flag(self, name: str, reason: str, who: str = "by a strategy") -> Standing:
        """Raise a risk flag: until it is cleared, the account takes only orders that reduce a position, and what
        `guardian.on_trip` says is done with open orders. Raises `InvalidOrder` for a name or reason that will not do.
        """
        raised = partial(halting.raise_flag, self.database, self.settings, name, reason, who=who)
        return await asyncio.to_thread(raised)

    async def clear_flag(self, name: str, who: str = "by a strategy") -> Standing:
        """Clear a risk flag. Raises `InvalidOrder` if it is not up."""
        return await asyncio.to_thread(partial(halting.clear_flag, self.database, self.settings, name, who=who))

    async def positions(self) -> list[ToldPosition]:
        """The account's net positions, as the recorded fills make them, each with what its strategies and the broker
        have of it. Flat ones with what they have earned are among them. Raises `NotConnected`."""
        return await self.read(lambda connection: told_positions(connection, self.settings.account))

    async def portfolio(self) -> Portfolio:
        """The positions with what they earned and cost in rupees, in all and today, and what of that is each
        strategy's; at the last prices that the ledger has. Raises `NotConnected`."""
        account, by = Account(self.settings.account), self.settings.ledger.realized_by
        return await self.read(lambda connection: portfolio_of(connection, account, datetime.now(UTC), by))

    async def journal(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
    ) -> list[dict[str, Any]]:
        """The journal, oldest first: a row for each fill, and one for each order without any, from `since` to before
        `until`. `pandas.DataFrame(rows)` and `polars.DataFrame(rows)` take them as they are: amounts are `Decimal`
        rupees, times have a zone. Raises `NotConnected`."""
        settings = self.settings
        chosen = Chosen(settings.account, since, until, symbol, strategy, realized_by=settings.ledger.realized_by)
        return await self.read(lambda connection: [line.as_row() for line in journal_lines(connection, chosen)])

    async def events(self, after: int = 0, limit: int = EVENTS) -> list[FeedEvent]:
        """The account's next events behind the feed id `after`, oldest first and at most `limit`.

        Where as many came, there may be more: ask again after the `feed_id` of the last one. `follow` gives all of
        them, and goes on. Raises `ValueError` for a `limit` below 1, and `NotConnected`.
        """
        if limit < 1:
            raise ValueError(f"limit: must be at least 1, was {limit}")
        return await self.read(lambda c: events_after(c, after, account=self.settings.account, limit=limit))

    async def follow(self, after: int | None = None) -> AsyncGenerator[Event, None]:
        """The account's events behind the feed id `after`, or from now on, each once and in order, without end."""
        if after is None:
            after = await self.read(lambda connection: newest_id(connection, self.settings.account))
        async with aclosing(follow(self.database, after, account=self.settings.account)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def feed(self, bus: EventBus, after: int | None = None) -> None:
        """Publish them on a bus, without end; cancel it to stop."""
        if after is None:
            after = await self.read(lambda connection: newest_id(connection, self.settings.account))
        await feed(bus, self.database, after, account=self.settings.account)

    async def settle(self, order_id: str, settlement: Settlement) -> Order:
        """Settle an order that no workflow follows, in the ledger. Raises `OrderNotFound`, `InvalidOrder`."""
        return await asyncio.to_thread(settle, self.database, order_id, settlement, datetime.now(UTC))

    async def settle_position(
        self,
        symbol: str,
        product: Product | str,
        quantity: int,
        evidence: str,
        *,
        price: Decimal | str | float | None = None,
        kind: EntryKind | str = EntryKind.OTHER,
        to_product: Product | str | None = None,
        strategy: str | None = None,
        who: str = "by the client",
    ) -> tuple[Unexplained, ...]:
        """Explain a position of which the broker has something else than the ledger: `quantity`, signed, is added to
        the ledger's position, at `price` in rupees as quoted, without an order. A conversion goes `to_product` and
        keeps the cost, as a corporate action does. What is left unexplained in the symbol.

        Raises `InvalidOrder`, with nothing written: for a field that is wrong, a symbol in no book, and a quantity
        beyond what differs.
        """
        try:
            entry = PositionEntry.model_validate(
                {
                    "symbol": symbol,
                    "product": product,
                    "quantity": quantity,
                    "kind": kind,
                    "price": str(price) if isinstance(price, float) else price,
                    "to_product": to_product,
                    "strategy": strategy,
                    "evidence": evidence,
                    "who": who,
                }
            )
        except ValidationError as error:
            raise explained(error) from None
        settings = self.settings
        is_live = settings.execution.mode is Mode.LIVE
        settled = partial(settle_position, self.database, settings.account, entry, datetime.now(UTC))
        return await asyncio.to_thread(partial(settled, is_of_one_day=is_live))

    def instruments(self) -> Instruments:
        """The account's instrument master, read again where there is a newer one. Raises `InvalidInstruments`."""
        from durable_orders.workers.instruments import Master

        if self._master is None:
            self._master = Master(self._home, self.settings)
        else:
            self._master.renew()
        return self._master.instruments

    async def read(self, question: Callable[[sa.Connection], R]) -> R:
        """Ask the ledger, off the event loop."""
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Callable[[sa.Connection], R]) -> R:
        with self.database.read() as connection:
            return question(connection)

    async def not_started(self, limit: int = NOT_STARTED) -> list[Order]:
        """Orders that the server has and no worker has taken yet, newest first: PENDING, and not in the ledger."""
        return await not_started(self.client, self.database, self.settings.account, limit)

    async def list(
        self,
        *,
        statuses: Collection[Status] | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> list[Order]:
        """The account's orders to which everything given applies, newest first: all of them without a `limit`. Raises
        `NotConnected`."""

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


async def _take_back(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """The SDK leaves the error of an interrupted call in here, and asyncio prints a traceback if nobody takes it."""
    with contextlib.suppress(asyncio.CancelledError, RPCError, WorkflowAlreadyStartedError):
        await start.workflow_handle()
