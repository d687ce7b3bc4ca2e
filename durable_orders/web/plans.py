"""The API's plans: orders that belong together, in the shapes of the client's intents."""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Discriminator, Tag, ValidationError

from durable_orders.plans import Plans
from durable_orders.trading.errors import PlanNotFound, ServerUnreachable
from durable_orders.trading.explained import explained
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.plans import find_plan, stored_view
from durable_orders.trading.orders.order import Frozen
from durable_orders.trading.plans.basket import BasketIntent, BasketTerms
from durable_orders.trading.plans.content import LONGEST_ID, PlanId
from durable_orders.trading.plans.kinds import AnyIntent
from durable_orders.trading.plans.plan import PlanChange, PlanIntent, PlanTerms
from durable_orders.trading.plans.schedule import ScheduleIntent, ScheduleTerms
from durable_orders.trading.plans.state import PlanStatus, PlanView
from durable_orders.web.access import READER, Trader
from durable_orders.web.api import (
    CANCEL_SECONDS,
    FITS,
    MOST,
    PLACED_SECONDS,
    PROBLEM,
    PROBLEMS,
    DeskOf,
    Key,
    answer,
    intended,
    named_by,
    one_name,
)
from durable_orders.web.desk import Desk
from durable_orders.web.problems import BASKET, POSITION, SCHEDULE, not_flat, rejected_plan

router = APIRouter(prefix="/api/v1")


class _New(Frozen):
    """What each of them has."""

    plan_id: PlanId | None = None
    """Your name for the plan; the same one again is the same plan."""
    approve: bool = False
    """Wait for a person's approval: its first order does, and no other one is sent before."""


class NewPlan(_New, PlanTerms):
    """A bracket, an OTO or an OCO. Without an `entry` it is an OCO: `side` is that of the position that is held."""


class NewBasket(_New, BasketTerms):
    """A basket: it is the one that has `legs`."""


class NewSchedule(_New, ScheduleTerms):
    """A TWAP, or with a `profile` a VWAP: it is the one that has `slices`."""


INTENTS: tuple[tuple[type[NewPlan | NewBasket | NewSchedule], type[AnyIntent]], ...] = (
    (NewPlan, PlanIntent),
    (NewBasket, BasketIntent),
    (NewSchedule, ScheduleIntent),
)


def tag_of(given: Any) -> str | None:
    """Which of the shapes a body is meant to have; none, if it is no object."""
    if isinstance(given, BaseModel):
        given = given.model_fields_set
    elif not isinstance(given, Mapping):
        return None
    return BASKET if "legs" in given else SCHEDULE if "slices" in given else POSITION


AnyNew = Annotated[
    Annotated[NewPlan, Tag(POSITION)] | Annotated[NewBasket, Tag(BASKET)] | Annotated[NewSchedule, Tag(SCHEDULE)],
    Discriminator(tag_of),
]


BODIES: dict[str, type[NewPlan | NewBasket | NewSchedule]] = {
    POSITION: NewPlan,
    BASKET: NewBasket,
    SCHEDULE: NewSchedule,
}


def shape_of(content: Mapping[str, Any]) -> type[NewPlan | NewBasket | NewSchedule]:
    """Which of the shapes this is meant to have."""
    return BODIES[str(tag_of(content))]


def body_of(content: Mapping[str, Any]) -> NewPlan | NewBasket | NewSchedule:
    """Raises `InvalidOrder`, which names the field and the rule."""
    try:
        return shape_of(content).model_validate(content)
    except ValidationError as error:
        raise explained(error) from None


def intent_of(body: NewPlan | NewBasket | NewSchedule, desk: Desk, plan_id: str | None, by: str) -> AnyIntent:
    """The plan, as this account's and of that name. Raises `InvalidOrder` for what no plan may be named."""
    there = body.model_copy(update={name: _in_ist(getattr(body, name)) for name in body.model_fields_set})
    kind = next(intent for shape, intent in INTENTS if isinstance(body, shape))
    return intended(kind, there, desk, "plan_id", plan_id or str(uuid.uuid4()), by=by)


def _in_ist(value: Any) -> Any:
    """The same moment is the same content, in whichever zone it was sent."""
    return value.astimezone(IST) if isinstance(value, datetime) else value


async def start(desk: Desk, intent: AnyIntent, who: str, timeout: float = PLACED_SECONDS) -> tuple[PlanView, bool]:
    """The plan, once its first order is at the broker or waits for a person, or it has ended or time is over, and
    whether this request began it. That it was asked for is an event before anything is done. Raises what the client's
    `start_plan` raises."""
    plans = Plans(await desk.orders())
    if await desk.read(lambda c: find_plan(c, desk.settings.account, intent.plan_id)) is None:
        await desk.note(f"plan {intent.plan_id} was asked for {who}: {intent.summary()}")
    is_new = await plans.begin(intent)
    return await plans.begun(intent, timeout, is_new=is_new), is_new


async def plan_named(desk: Desk, plan_id: str) -> PlanView:
    """As recorded; from the server what no worker has taken yet. Raises `OrderNotFound`."""
    found = await _recorded(desk, plan_id)
    return found if found is not None else await (await desk.orders()).plan(plan_id)


async def _recorded(desk: Desk, plan_id: str) -> PlanView | None:
    """Raises `OrderNotFound` for what no plan can be called."""
    if not FITS.fullmatch(plan_id) or len(plan_id) > LONGEST_ID:
        raise PlanNotFound(f"no plan {plan_id[:64]!r}")
    return await desk.read(lambda c: stored_view(c, desk.settings.account, plan_id))


ONE = PROBLEMS | {200: {"model": PlanView}, 404: PROBLEM}
MADE: dict[int | str, dict[str, Any]] = {
    200: {"model": PlanView, "description": "It exists already"},
    201: {"model": PlanView},
    409: PROBLEM,
}


@router.post("/plans", status_code=201, responses=PROBLEMS | MADE)
async def start_plan(body: AnyNew, desk: DeskOf, caller: Trader, key: Key = None) -> Response:
    """Start a plan. With a `plan_id` or an `Idempotency-Key`, however often it is sent, it is one plan.

    One that was rejected is a problem of status 422 with the guardian's codes; it is recorded, like any other.
    """
    plan_id = one_name("plan_id", body.plan_id, named_by(key, LONGEST_ID) if key is not None else None)
    view, is_new = await start(desk, intent_of(body, desk, plan_id, caller.name), caller.who)
    if view.status is PlanStatus.REJECTED:
        raise rejected_plan(view)
    return answer(view, HTTPStatus.CREATED if is_new else HTTPStatus.OK)


@router.get("/plans", dependencies=READER, responses=PROBLEMS | {200: {"model": list[PlanView]}})
async def plans(
    desk: DeskOf,
    open_only: Annotated[bool, Query(alias="open")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 200,
) -> Response:
    """Plans, newest first: orders that belong together."""
    return answer(await desk.find_plans(open_only=open_only, limit=limit))


@router.get("/plans/{plan_id}", dependencies=READER, responses=ONE)
async def plan(plan_id: str, desk: DeskOf) -> Response:
    """A plan, with its orders."""
    return answer(await plan_named(desk, plan_id))


@router.patch("/plans/{plan_id}", responses=ONE)
async def amend_plan(plan_id: str, body: PlanChange, desk: DeskOf, caller: Trader) -> Response:
    """Change a plan that has not ended: its orders follow."""
    return answer(await amended(desk, plan_id, body, caller.who))


async def amended(desk: Desk, plan_id: str, change: PlanChange, who: str) -> PlanView:
    """The plan as it stands then; who asked is an event first. Raises what the client's `amend_plan` raises."""
    found = await plan_named(desk, plan_id)
    orders = await desk.orders()
    async with desk.asked(f"an amendment of plan {found.plan_id}", f"{who}: {change.summary()}"):
        return await orders.amend_plan(found.plan_id, change)


@router.delete("/plans/{plan_id}", responses=ONE | {202: {"model": PlanView}, 409: PROBLEM})
async def cancel_plan(
    plan_id: str,
    desk: DeskOf,
    caller: Trader,
    flatten: Annotated[bool, Query(description="Close what it holds, too, at the market.")] = False,
    timeout: Annotated[float, Query(ge=0, le=CANCEL_SECONDS, description="Seconds to wait for the end.")] = (
        PLACED_SECONDS
    ),
) -> Response:
    """Cancel what works of a plan. Its end, or, after `timeout` seconds, the plan as it stands: the cancel goes on.
    Without `flatten` it ends as LEFT where it holds something, which then has no stop of the plan's. With `flatten` a
    200 is flat: 202 while it goes on, and 409 `NOT_FLAT` where the plan has ended and its orders left something."""
    view = await cancelled(desk, plan_id, caller.who, flatten=flatten, timeout=timeout)
    goes_on = flatten and not view.status.terminal
    return answer(view, HTTPStatus.ACCEPTED if goes_on else HTTPStatus.OK)


async def cancelled(desk: Desk, plan_id: str, who: str, *, flatten: bool, timeout: float) -> PlanView:
    """The plan at its end, or as it stands after so many seconds; who asked is an event first. Raises `OrderNotFound`,
    `ServerUnreachable`, and the problem `NOT_FLAT` where it was to be flat and has ended with something held."""
    view = await _cancelled(desk, plan_id, who, flatten=flatten, timeout=timeout)
    if flatten and view.not_flat:
        raise not_flat(view.not_flat, plan=view)
    return view


async def _cancelled(desk: Desk, plan_id: str, who: str, *, flatten: bool, timeout: float) -> PlanView:
    found = await _recorded(desk, plan_id)
    if found is not None and found.status.terminal:
        return found
    orders = await desk.orders()
    if found is None:
        with suppress(ServerUnreachable):  # it is there, and only a worker could tell how it stands
            await orders.plan(plan_id)
    await desk.note(f"a cancel of plan {plan_id}{', and to be flat,' if flatten else ''} was asked for {who}")
    return await orders.cancel_plan(plan_id, who, flatten=flatten, timeout=timeout)
