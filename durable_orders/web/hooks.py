"""Alerts in: `POST /hooks/NAME` becomes an order or a plan, one however often the alert is delivered."""

import json
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from durable_orders.trading.config.hooks import Hook
from durable_orders.trading.errors import DurableOrdersError
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.state import PlanView
from durable_orders.web.access import refuse
from durable_orders.web.alerts import Alert
from durable_orders.web.api import DeskOf, answer
from durable_orders.web.problems import Problem, problem_of

SECRET = "secret"  # noqa: S105

router = APIRouter()


@router.post("/hooks/{name}", include_in_schema=False)
@router.post("/hooks/{name}/{secret}", include_in_schema=False)
async def hook(name: str, request: Request, desk: DeskOf, secret: str | None = None) -> Response:
    """An alert. Answered as `POST` of the API's orders or plans is; with `each`, by what was made and the problems.
    In a burst it may have to come again (503): nothing was made of it then."""
    found = desk.settings.hooks.get(name)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "HOOK_NOT_FOUND", f"no hook {name[:64]}; `hooks` of the settings has them")
    try:
        body = parsed(await request.body())
        wrong = None
    except Problem as problem:
        body, wrong = {}, problem
    given = [secret, request.query_params.get(SECRET), request.headers.get("x-hook-secret"), body.pop(SECRET, None)]
    if not _knows(found, given):
        refusal = refuse(desk, request, f"hook {name}: the secret is missing or wrong")
        if refusal.status is HTTPStatus.UNAUTHORIZED:  # beyond that it would fill the ledger
            await desk.note(f"hook {name}: an alert was refused, its secret is missing or wrong", EventType.HOOK_ALERT)
        raise refusal
    if wrong is not None:
        await desk.note(f"hook {name}: an alert was refused: {wrong.detail}", EventType.HOOK_ALERT)
        raise wrong
    alert = Alert(desk, name, found, body)  # it came in now: its time to wait for a turn counts
    async with desk.turns.taken():
        if found.each is not None:
            return await _several(alert)
        made, is_new = await alert.taken({})
        return answer(made, HTTPStatus.CREATED if is_new else HTTPStatus.OK)


async def _several(alert: "Alert") -> Response:
    made: list[Order | PlanView] = []
    problems: list[dict[str, object]] = []
    items = await alert.items()
    for number, item in enumerate(items):
        try:
            one, _ = await alert.taken({"item": item, "number": number})
            made.append(one)
        except (Problem, DurableOrdersError) as error:
            problem = problem_of(error)
            problems.append(
                {"item": item, "status": problem.status.value, "code": problem.code, "detail": problem.detail}
            )
    status = HTTPStatus.OK if not problems else HTTPStatus.UNPROCESSABLE_ENTITY
    if any(problem["status"] == HTTPStatus.SERVICE_UNAVAILABLE for problem in problems):
        status = HTTPStatus.SERVICE_UNAVAILABLE  # the sender may try again: what is placed is not placed twice
    return answer({"orders" if alert.is_of_orders else "plans": made, "problems": problems}, status)


def _knows(hook: Hook, given: list[object]) -> bool:
    right = hook.secret.get_secret_value().encode()
    texts = [text.encode("utf-8", "surrogatepass") for text in given if isinstance(text, str)]
    return any([compare_digest(text, right) for text in texts])  # noqa: C419 - all of them, in the same time


def parsed(raw: bytes) -> dict[str, Any]:
    """A JSON object, or the fields of a form. Any other text is `{"text": ...}`. Raises `Problem` (400)."""
    try:
        text = raw.decode()
        if not text.lstrip().startswith(("{", "[")):
            return dict(parse_qsl(text)) or {"text": text}
        found = json.loads(text, parse_float=str)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "NOT_JSON", "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "NOT_AN_OBJECT", "the body must be a JSON object")
    return found
