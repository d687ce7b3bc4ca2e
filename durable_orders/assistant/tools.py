"""What an assistant may ask, and what it may do: propose an order or a plan."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, ParamSpec

from pydantic import AwareDatetime, Discriminator, Field, Tag, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from durable_orders import halting
from durable_orders.assistant.explaining import evidence_of, explained_order
from durable_orders.backtest.kept import kept_backtests
from durable_orders.doctor import examine
from durable_orders.portfolio import portfolio_of
from durable_orders.risk import limits_of
from durable_orders.running.runs import runs_of
from durable_orders.status import status_of
from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.errors import DurableOrdersError, InvalidOrder, OrderNotFound
from durable_orders.trading.explained import explained
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.gtts import unknown_gtts
from durable_orders.trading.ledger.plans import stored_view, stored_views
from durable_orders.trading.ledger.reading import find_order, unsettled_orders
from durable_orders.trading.market.calendar import Session, segment_calendar
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import (
    Account,
    Frozen,
    Instructions,
    Name,
    Order,
    OrderIntent,
    Status,
    Symbol,
    Terms,
)
from durable_orders.trading.orders.order_ids import order_id_of
from durable_orders.trading.plans.basket import BasketTerms
from durable_orders.trading.plans.content import PlanId
from durable_orders.trading.plans.plan import PlanTerms
from durable_orders.trading.plans.schedule import ScheduleTerms
from durable_orders.trading.plans.state import PlanStatus
from durable_orders.web.desk import Desk
from durable_orders.web.plans import body_of, intent_of, start, tag_of
from durable_orders.web.problems import BASKET, POSITION, SCHEDULE

P = ParamSpec("P")
Answer = dict[str, Any]
Limit = Annotated[int, Field(ge=1, le=500)]
BY = "assistant"
SECONDS, PLAN_SECONDS = 5.0, 3.0
"""How long a proposal waits for the guardian's word; it goes on without the one who waits. That of a plan is heard
before its entry is asked about."""


class Proposal(Terms):
    """An order, in the words of the client's `place`. Prices are text, in rupees."""

    client_order_id: Name
    """Your name for the order: proposed again under the same one, it is the same order."""
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]
    """Why, for the person who decides."""
    strategy: Name = "manual"
    instructions: Instructions | None = None
    place_by: AwareDatetime | None = None
    """After this moment nothing is sent."""
    approve_by: AwareDatetime | None = None
    """Without an approval by then it is rejected."""


class _Proposed(Frozen):
    """What each plan has."""

    plan_id: PlanId
    """Your name for the plan: proposed again under the same one, it is the same plan."""
    reason: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*\S[^\x00]*$")]
    """Why, for the person who decides."""


class PlanProposal(_Proposed, PlanTerms):
    """A bracket or an OTO: an entry (`{}` is at the market), and the stop, the targets or both that follow once it has
    filled. Without an entry an OCO: the stop and the target of what is held, `side` being that of the position."""


class BasketProposal(_Proposed, BasketTerms):
    """A basket: it is the one that has `legs`."""


class ScheduleProposal(_Proposed, ScheduleTerms):
    """A TWAP, or with a `profile` a VWAP: it is the one that has `slices`."""


AnyProposal = Annotated[
    Annotated[PlanProposal, Tag(POSITION)]
    | Annotated[BasketProposal, Tag(BASKET)]
    | Annotated[ScheduleProposal, Tag(SCHEDULE)],
    Discriminator(tag_of),
]


class Refused(Exception):
    """What is told to the assistant, in one line."""


def in_words(tool: Callable[P, Awaitable[Answer]]) -> Callable[P, Awaitable[Answer]]:
    """Raises `Refused` for every error that was foreseen."""

    @wraps(tool)
    async def told(*args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            return await tool(*args, **kwargs)
        except DurableOrdersError as error:
            raise Refused(str(error)) from error
        except SQLAlchemyError as error:
            raise Refused(f"ledger: {getattr(error, 'orig', None) or type(error).__name__}") from error
        except RPCError as error:
            raise Refused(f"the Temporal server did not answer: {error.message or error.status.name}") from error

    return told


class Tools:
    """Over one account. What is read comes from the ledger, and needs no server."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def _account(self) -> Account:
        return Account(self._desk.settings.account)

    def reading(self) -> list[Callable[..., Awaitable[Answer]]]:
        """Those that change nothing."""
        return [
            *(self.account_status, self.list_orders, self.get_order, self.explain_order, self.list_approvals),
            *(self.list_positions, self.risk, self.list_events, self.list_plans, self.get_plan),
            *(self.list_runs, self.list_sweeps, self.doctor, self.calendar),
        ]

    @in_words
    async def account_status(self) -> Answer:
        """The account at a glance: mode, server, workers, open orders, unknown outcomes, positions, the day's result,
        and how far it may trade."""
        status = await status_of(self._desk.home, self._desk.settings)
        return {"status": status, "standing": await self._standing()}

    @in_words
    async def list_orders(
        self,
        statuses: list[Status] | None = None,
        symbol: Symbol | None = None,
        strategy: Name | None = None,
        open_only: bool = False,
        limit: Limit = 50,
    ) -> Answer:
        """The account's orders, newest first. Read an outcome as filled quantity and average price."""
        found = await self._desk.find_orders(
            statuses=statuses, symbol=symbol, strategy=strategy, open_only=open_only, limit=limit
        )
        return {"orders": found}

    @in_words
    async def get_order(self, client_order_id: str) -> Answer:
        """One order with its evidence: every recorded step, the figures of the checks that it passed (none where they
        were not recorded), and the attempts to send it."""
        order = await self._order(client_order_id)
        found = await self._desk.read(lambda c: evidence_of(c, order))
        sent = None if found.sending is None else found.sending._asdict()
        return {"order": order, "events": found.events, "checks": found.checks(), "sending": sent}

    @in_words
    async def explain_order(self, client_order_id: str) -> Answer:
        """What became of an order and what proves it, in words, made of its recorded evidence alone."""
        order = await self._order(client_order_id)
        return {"explanation": explained_order(order, await self._desk.read(lambda c: evidence_of(c, order)))}

    @in_words
    async def list_approvals(self) -> Answer:
        """Orders that wait for a person's approval, newest first. You cannot approve them."""
        return {"orders": await self._desk.awaiting_approval()}

    @in_words
    async def list_positions(self) -> Answer:
        """What is held: quantity, average, profit and charges, what the broker has, and what nothing explains; and what
        each strategy's own trades earned and cost."""
        by = self._desk.settings.ledger.realized_by
        found = await self._desk.read(lambda c: portfolio_of(c, self._account, datetime.now(UTC), by))
        return {"positions": found.positions, "totals": found.total, "strategies": found.strategies}

    @in_words
    async def risk(self) -> Answer:
        """How far the account may trade and why, each limit that is set and what counts against it, risk flags, and
        orders and GTTs whose outcome is not known."""
        limits = await self._desk.read(lambda c: limits_of(c, self._desk.settings))
        unsettled = await self._desk.read(lambda c: unsettled_orders(c, self._account))
        lost_gtts = await self._desk.read(lambda c: unknown_gtts(c, self._account))
        told = [asdict(limit) for limit in limits]
        return {"standing": await self._standing(), "limits": told, "unsettled": unsettled, "unknown_gtts": lost_gtts}

    @in_words
    async def list_events(self, after: Annotated[int, Field(ge=0)] | None = None, limit: Limit = 100) -> Answer:
        """What happened, oldest first: behind the feed id `after`, or the newest. `newest` is where to go on."""
        if after is None:
            after = max(0, await self._desk.read(lambda c: newest_id(c, self._account)) - limit)
        found = await self._desk.events(after, limit)
        return {"events": found, "newest": found[-1].feed_id if found else after}

    @in_words
    async def list_plans(self, open_only: bool = False, limit: Limit = 50) -> Answer:
        """Plans, newest first: an entry with its stop and targets, or exits that cancel each other."""
        read = self._desk.read
        return {"plans": await read(lambda c: stored_views(c, self._account, open_only=open_only, limit=limit))}

    @in_words
    async def list_runs(self, limit: Limit = 50) -> Answer:
        """The runs of strategies in this home, newest first, with what each came to. One without an end still runs or
        was killed; `running` has the strategies that run now."""
        found = await self._desk.work(lambda: runs_of(self._desk.home, limit))
        running = sorted({run.strategy for run in found if self._desk.home.is_running(run.strategy)})
        return {"runs": found, "running": running}

    @in_words
    async def list_sweeps(self, best: Limit = 5) -> Answer:
        """The backtest sweeps that the home keeps, newest first, each with its best combinations; and the names of the
        reports that a person can open on the page."""
        return await self._desk.work(lambda: kept_backtests(self._desk.home, best))

    @in_words
    async def get_plan(self, plan_id: str) -> Answer:
        """One plan with its orders."""
        found = await self._desk.read(lambda c: stored_view(c, self._account, plan_id))
        if found is None:
            raise OrderNotFound(f"no plan {plan_id[:64]}")
        return {"plan": found}

    @in_words
    async def doctor(self) -> Answer:
        """What is installed, reachable and healthy, and what is not."""
        return {"findings": await examine(self._desk.home, self._desk.config)}

    @in_words
    async def calendar(
        self, segment: MarketSegment = MarketSegment.EQUITY, days: Annotated[int, Field(ge=1, le=366)] = 10
    ) -> Answer:
        """The coming sessions of a market segment, each with its source."""
        today = datetime.now(UTC).astimezone(IST).date()
        found = segment_calendar(segment, self._desk.settings.market).sessions(today, days)
        return {"sessions": [_session(each) for each in found]}

    @in_words
    async def propose_order(self, order: Proposal) -> Answer:
        """Propose an order. Nothing is sent before a person has approved it, on the page or with `durable-orders
        approve ID`; then the guardian checks it once more. What the guardian refuses is told at once. Proposed again
        under its `client_order_id`, it is the same order."""
        desk = self._desk
        try:
            own = {"account": desk.settings.account, "mode": desk.settings.execution.mode, "approve": True}
            given = {name: getattr(order, name) for name in order.model_fields_set}
            intent = OrderIntent(**given | own, tags={"by": BY})
        except ValidationError as error:
            raise explained(error) from None
        known = await desk.read(lambda connection: find_order(connection, intent.order_id))
        found = await (await desk.orders()).place_and_wait(intent, SECONDS)
        if known is None:
            words = f"order {found.client_order_id} was proposed by an assistant: {found.summary()}"
            await desk.note(words, EventType.DESK_ACTION)
        if found.status is Status.REJECTED:
            raise InvalidOrder(f"{found.client_order_id} was rejected: {'; '.join(found.reasons)}")
        return {"order": found, "approve_with": f"durable-orders approve {found.client_order_id}"}

    @in_words
    async def propose_plan(self, plan: AnyProposal) -> Answer:
        """Propose a plan: a bracket, an OTO, an OCO, a basket or a schedule. Nothing is sent before a person has
        approved its first order, on the page or with `durable-orders approve ID`; then the guardian checks that once
        more, and the others follow. That of a schedule waits from when it is due. What the guardian refuses is told at
        once. Proposed again under its `plan_id`, it is the same plan."""
        given = plan.model_dump(exclude_unset=True, exclude={"plan_id"}) | {"approve": True}
        intent = intent_of(body_of(given), self._desk, plan.plan_id, BY)
        view, _ = await start(self._desk, intent, f"by an {BY}", PLAN_SECONDS)
        if view.status is PlanStatus.REJECTED:
            raise InvalidOrder(f"{view.plan_id} was rejected: {'; '.join(view.refusals)}")
        first = next((f" {order.client_order_id}" for order in view.orders), "")  # without one, those that wait
        return {"plan": view, "approve_with": f"durable-orders approve{first}"}

    async def _standing(self) -> halting.Standing:
        database, account = self._desk.database, self._desk.settings.account
        return await self._desk.work(lambda: halting.standing(database, account))

    async def _order(self, client_order_id: str) -> Order:
        order_id = order_id_of(self._account, client_order_id)
        if order_id.split(":")[1] != self._account:
            raise OrderNotFound(f"no order {order_id} in account {self._account}")
        found = await self._desk.read(lambda connection: find_order(connection, order_id))
        return found if found is not None else await (await self._desk.orders()).get(order_id)


def _session(each: Session) -> Answer:
    opens, closes = (each.opens, each.closes) if each.known else (None, None)
    return {"date": each.date, "opens": opens, "closes": closes, "known": each.known, "source": each.source}
