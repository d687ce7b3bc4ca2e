"""The pages of plans: all of them, one with its orders, and what changes it, which is asked twice."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.orders.order import is_plain
from durable_orders.trading.plans.plan import PlanChange, time_in_ist
from durable_orders.trading.plans.schedule import SCHEDULES
from durable_orders.web.actions import SECONDS
from durable_orders.web.api import DeskOf
from durable_orders.web.desk import Desk
from durable_orders.web.login import Looks, Trades, Visitor
from durable_orders.web.pages import frame
from durable_orders.web.plans import amended, cancelled, plan_named
from durable_orders.web.view import page

LISTED = 200
QUESTIONS = {
    "cancel": "Cancel what works of the plan? What it holds stays, without a stop of the plan's.",
    "flatten": "Cancel what works of the plan, and close what it holds at the market?",
    "amend": "Change the plan?",
}
CHANGES = ("stop", "target", "trail", "exit_at")

router = APIRouter(include_in_schema=False)


@router.get("/plans")
async def plans(request: Request, desk: DeskOf, visitor: Looks, show: str = "open", part: bool = False) -> Response:
    """Open plans, or all, live."""
    views = await desk.find_plans(open_only=show != "all", limit=LISTED)
    content: dict[str, Any] = {"plans": views, "show": show, "limit": LISTED, "schedules": SCHEDULES}
    if part:
        return page(request, "planned.html", visitor=visitor, **content)
    return page(request, "plans.html", here="plans", **await frame(desk, visitor), **content)


@router.get("/plan/{plan_id}")
async def plan(request: Request, plan_id: str, desk: DeskOf, visitor: Looks, part: bool = False) -> Response:
    """A plan with its orders, whether it is protected, and since when not."""
    return await _shown(request, desk, visitor, plan_id, part=part)


async def _shown(
    request: Request, desk: Desk, visitor: Visitor, plan_id: str, *, part: bool = False, **more: Any
) -> Response:
    content: dict[str, Any] = {"plan": await plan_named(desk, plan_id), "schedules": SCHEDULES}
    if part:
        return page(request, "plan_life.html", visitor=visitor, **content)
    return page(request, "plan.html", here="plans", **await frame(desk, visitor), **content, **more)


@router.post("/plan/{plan_id}/{what}")
async def act(plan_id: str, what: str, request: Request, desk: DeskOf, visitor: Trades) -> Response:
    """Cancel, flatten, amend: the first time it asks, the second time it does."""
    if what not in QUESTIONS:
        raise InvalidOrder(f"what: must be one of {', '.join(QUESTIONS)}")
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    found = await plan_named(desk, plan_id)
    fields = {name: form.get(name, "") for name in (CHANGES if what == "amend" else ())}
    change = change_of(fields) if what == "amend" else None
    reason = form.get("reason", "")
    if form.get("sure") != "yes" or not reason:
        said = f"Change {plan_id}: {change.summary()}?" if change is not None else f"{plan_id}: {QUESTIONS[what]}"
        asked = {"question": said, "fields": fields | {"what": what, "reason": reason}, "back": f"/plan/{plan_id}"}
        shown = {**await frame(desk, visitor), **asked, "action": f"/plan/{plan_id}/{what}"}
        return page(request, "sure.html", here="plans", **shown)
    who = f"{visitor.who}: {reason}"
    if change is not None:
        await amended(desk, found.plan_id, change, who)
    else:
        await cancelled(desk, found.plan_id, who[:300], flatten=what == "flatten", timeout=SECONDS)
    return RedirectResponse(f"/plan/{quote(found.plan_id)}", HTTPStatus.SEE_OTHER)


def change_of(given: dict[str, str]) -> PlanChange:
    """What a form asks for. Raises `InvalidOrder`."""
    words = {name: value for name, value in given.items() if value}
    for name in ("stop", "target", "trail"):
        if not is_plain(words.get(name, "")):
            raise InvalidOrder(f"{name}: must be a number")
    try:
        return PlanChange.model_validate(words | {"exit_at": time_in_ist("exit_at", words.get("exit_at"))})
    except ValidationError as error:
        raise explained(error) from None
