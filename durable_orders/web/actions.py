"""What people do on the page. Each goes the API's way, under their own name; what stops an account is asked twice."""

import re
from collections import defaultdict
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from durable_orders import halting
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained, problem_words
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import Status, is_plain
from durable_orders.trading.orders.terms import amendment_of, whole
from durable_orders.web.api import DeskOf, Flatten, NewOrder, amended, changed, flattened, order_named, submit
from durable_orders.web.desk import Desk
from durable_orders.web.login import Halts, NotLoggedIn, Trades, Visitor, to_login
from durable_orders.web.pages import frame, new_form, risk_content
from durable_orders.web.view import page

SECONDS = 5.0
"""How long a click waits for what it asked for; it goes on without the one who waits."""
FORM: tuple[str, ...] = (
    *("client_order_id", "symbol", "side", "quantity", "order_type", "price", "trigger_price", "product"),
    *("validity", "strategy", "reason", "approve"),
)
QUESTIONS = {
    "halt": "Take no more orders?",
    "reduce": "Take only orders that reduce a position?",
    "resume": "Take orders again?",
    "flatten": "Cancel what is open and close what is held?",
    "flag": "Raise the risk flag?",
    "clear": "Take the risk flag down?",
}
KEPT = ("what", "name", "symbol", "product", "strategy")
"""What the second question remembers of the first."""

router = APIRouter(include_in_schema=False)


@router.post("/place")
async def place(request: Request, desk: DeskOf, visitor: Trades) -> Response:
    """Place an order; what is wrong with it stands beside its fields."""
    given = {name: str(value).strip() for name, value in (await request.form()).items() if name in FORM}
    try:
        new = NewOrder.model_validate(_typed(given))
        intent = new.intent(desk, new.client_order_id, visitor.name)
        order, _ = await submit(desk, intent, visitor.who, SECONDS)
    except ValidationError as error:
        return await _refused(request, desk, visitor, given, _by_field(error))
    except InvalidOrder as error:
        return await _refused(request, desk, visitor, given, _beside((str(error),)))
    if order.status is Status.REJECTED:  # by the guardian: another try is another order
        return await _refused(request, desk, visitor, given | {"client_order_id": ""}, _beside(order.reasons))
    return RedirectResponse(f"/order/{quote(order.client_order_id)}", HTTPStatus.SEE_OTHER)


def _typed(given: dict[str, str]) -> dict[str, Any]:
    """The words of a form, as an order has them. What is empty was not given. Raises `InvalidOrder`."""
    found: dict[str, Any] = {name: value for name, value in given.items() if value}
    if (quantity := whole(found.get("quantity", ""))) is not None:
        found["quantity"] = quantity
    for name in ("price", "trigger_price"):
        if not is_plain(found.get(name, "")):
            raise InvalidOrder(f"{name}: must be a number")
    if "approve" in found:
        found["approve"] = found["approve"] == "true"
    if "symbol" in found:
        found["symbol"] = found["symbol"].upper()
    return found


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    found = defaultdict(list)
    for each in error.errors(include_url=False):
        words = problem_words(dict(each))
        field = str(each["loc"][0]) if each["loc"] else words.partition(":")[0]
        found[field if field in FORM else ""].append(words)
    return found


def _beside(reasons: tuple[str, ...]) -> dict[str, list[str]]:
    """The guardian's reasons, each beside the first field that it names."""
    found = defaultdict(list)
    for reason in reasons:
        words = re.findall(r"[a-z_]+", reason.lower().replace("prices", "price"))
        found[next((word for word in words if word in FORM), "")].append(reason)
    return found


async def _refused(
    request: Request, desk: Desk, visitor: Visitor, given: dict[str, str], wrong: dict[str, list[str]]
) -> Response:
    content = new_form(**{name: value for name, value in given.items() if value or name != "client_order_id"})
    shown = {**await frame(desk, visitor), **content, "wrong": wrong}
    return page(request, "placing.html", HTTPStatus.UNPROCESSABLE_ENTITY, here="blotter", **shown)


@router.post("/order/{client_order_id}/cancel")
async def cancel(client_order_id: str, desk: DeskOf, visitor: Trades) -> Response:
    order = await order_named(desk, client_order_id)
    await (await desk.orders()).cancel(order.order_id, visitor.who, SECONDS)
    return RedirectResponse(f"/order/{quote(order.client_order_id)}", HTTPStatus.SEE_OTHER)


@router.post("/order/{client_order_id}/approve")
async def approve(client_order_id: str, desk: DeskOf, visitor: Trades) -> Response:
    order = await order_named(desk, client_order_id)
    await (await desk.orders()).approve(order.order_id, visitor.who)
    return RedirectResponse(f"/order/{quote(order.client_order_id)}", HTTPStatus.SEE_OTHER)


@router.post("/order/{client_order_id}/decline")
async def decline(client_order_id: str, request: Request, desk: DeskOf, visitor: Trades) -> Response:
    order = await order_named(desk, client_order_id)
    reason = str((await request.form()).get("reason", "")).strip()
    await (await desk.orders()).decline(order.order_id, visitor.who, reason)
    return RedirectResponse(f"/order/{quote(order.client_order_id)}", HTTPStatus.SEE_OTHER)


@router.post("/order/{client_order_id}/amend")
async def amend(client_order_id: str, request: Request, desk: DeskOf, visitor: Trades) -> Response:
    order = await order_named(desk, client_order_id)
    given = {name: str(value).strip() for name, value in (await request.form()).items()}
    change = amendment_of(_typed({name: given.get(name, "") for name in ("quantity", "price", "trigger_price")}))
    await amended(desk, order, change, visitor.who)
    return RedirectResponse(f"/order/{quote(order.client_order_id)}", HTTPStatus.SEE_OTHER)


@router.post("/flatten")
@router.post("/flags/clear")
@router.post("/act")
async def act(request: Request, desk: DeskOf, visitor: Halts) -> Response:
    """Halt, resume, flatten, flags: the first time it asks, the second time it does."""
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    usual = {"/flatten": "flatten", "/flags/clear": "clear"}.get(request.url.path, "")
    fields = {name: form.get(name, "") for name in KEPT} | {"reason": form.get("reason", "")}
    fields["what"] = fields["what"] or usual
    if fields["what"] not in QUESTIONS:
        raise InvalidOrder(f"what: must be one of {', '.join(QUESTIONS)}")
    if form.get("sure") != "yes" or not fields["reason"]:
        of = " ".join(fields[name] for name in ("name", "symbol", "product", "strategy") if fields[name])
        question = QUESTIONS[fields["what"]].replace("?", f" ({of})?" if of else "?")
        back = "/positions" if usual == "flatten" else "/risk"
        content = {**await frame(desk, visitor), "question": question, "fields": fields, "back": back, "action": "/act"}
        return page(request, "sure.html", here="risk", **content)
    done = await _done(desk, visitor, fields)
    return page(request, "risk.html", here="risk", **await risk_content(desk, visitor), done=done)


async def _done(desk: Desk, visitor: Visitor, fields: dict[str, str]) -> str:
    """Do it, and say in one line what came of it."""
    what, reason, who = fields["what"], fields["reason"], visitor.who
    if what == "flatten":
        try:
            wanted = {name: fields[name] for name in ("symbol", "product", "strategy") if fields[name]}
            result = await flattened(desk, Flatten.model_validate(wanted | {"reason": reason}), who, SECONDS)
        except ValidationError as error:
            raise explained(error) from None
        if result is None:
            return "The flatten goes on; asked again, it is joined."
        return f"{result.words[0].upper()}{result.words[1:]}."
    changes = {
        "halt": partial(halting.halt, reason=reason, state=AccountState.HALTED, who=who),
        "reduce": partial(halting.halt, reason=reason, state=AccountState.REDUCING, who=who),
        "resume": partial(halting.resume, reason=reason, who=who),
        "flag": partial(halting.raise_flag, name=fields["name"], reason=reason, who=who),
        "clear": partial(halting.clear_flag, name=fields["name"], who=f"{who}: {reason}"),
    }
    found = await changed(desk, changes[what])
    return f"The account is {found.state}."


def for_people(app: FastAPI) -> None:
    """Whoever is not logged in goes to do so."""

    async def not_logged_in(request: Request, _error: Exception) -> Response:
        return to_login(request)

    app.add_exception_handler(NotLoggedIn, not_logged_in)
