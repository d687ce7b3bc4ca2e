"""Errors as problem+json (RFC 9457), with the codes of the guardian where it was the guardian who refused."""

import json
import logging
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from durable_orders.json_text import json_text
from durable_orders.trading import errors
from durable_orders.trading.explained import causes, field_of, problem_words
from durable_orders.trading.gtt.view import GttView
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.state import PlanView
from durable_orders.web.view import page

FOR_PROGRAMS = ("/api/", "/hooks/")
MEDIA_TYPE = "application/problem+json"
CODED = re.compile(r"(?:([a-z][a-z0-9_ ]*): )?([A-Z][A-Z0-9_]+): (.+)", re.DOTALL)
"""A reason of the guardian: of a plan the part it is of, as in `entry` or `leg 2`; the check's code, what it found."""

PLACES = ("body", "query", "path", "header")
"""Where in a request a field is."""
POSITION, BASKET, SCHEDULE = SHAPES = ("a position's plan", "a basket", "a schedule")
"""What a body of several shapes may be."""
WHICH = "a basket has `legs` in its place, a schedule `slices` beside it"
"""Of a plan without a symbol: it may be meant to have another shape."""
NO_OBJECT = ("model_attributes_type", "model_type", "missing", "union_tag_not_found")
"""What pydantic calls a body that is no JSON object."""

log = logging.getLogger(__name__)


class Problem(Exception):
    """An answer other than what was asked for."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more

    def response(self) -> Response:
        headers = {"Retry-After": str(self.more["retry_after"])} if "retry_after" in self.more else {}
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        content = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "code": self.code,
            "detail": self.detail,
            "codes": [self.code],
        }
        return Response(json_text(content | self.more), self.status, headers, MEDIA_TYPE)


def rejected(order: Order) -> Problem:
    """An order that came to nothing, in the words of whoever refused it. It is recorded, and the same again is it."""
    return _rejected(order.client_order_id, order.reasons, order=json.loads(json_text(order)))


def rejected_plan(view: PlanView) -> Problem:
    """The same of a plan, with what was against its orders."""
    return _rejected(view.plan_id, view.refusals, plan=json.loads(json_text(view)))


def rejected_gtt(view: GttView) -> Problem:
    """The same of a GTT."""
    return _rejected(view.gtt_id, view.reasons, gtt=json.loads(json_text(view)))


def not_flat(detail: str, **what: BaseModel) -> Problem:
    """Something is held after somebody asked to be flat. It says what, and what to do."""
    found = {name: json.loads(json_text(value)) for name, value in what.items()}
    return Problem(HTTPStatus.CONFLICT, "NOT_FLAT", detail, **found)


def _rejected(name: str, told: tuple[str, ...], **what: Any) -> Problem:
    reasons = [_reason(text) for text in told]
    codes = list(dict.fromkeys(reason["code"] for reason in reasons if "code" in reason)) or ["REJECTED"]
    detail = f"{name} was rejected: {'; '.join(told)}"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, codes[0], detail, codes=codes, reasons=reasons, **what)


def _reason(text: str) -> dict[str, str]:
    found = CODED.fullmatch(text)
    if found is None:
        return {"message": text}
    part, code, message = found.groups()
    return ({"part": part} if part else {}) | {"code": code, "message": message}


KINDS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (errors.DuplicateOrder, HTTPStatus.CONFLICT, "DUPLICATE_ORDER"),
    (errors.PlanNotFound, HTTPStatus.NOT_FOUND, "PLAN_NOT_FOUND"),
    (errors.GttNotFound, HTTPStatus.NOT_FOUND, "GTT_NOT_FOUND"),
    (errors.OrderNotFound, HTTPStatus.NOT_FOUND, "ORDER_NOT_FOUND"),
    (errors.InvalidOrder, HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ORDER"),
    (errors.RefusedError, HTTPStatus.UNPROCESSABLE_ENTITY, "REFUSED"),
    (errors.UnknownError, HTTPStatus.GATEWAY_TIMEOUT, "OUTCOME_UNKNOWN"),
    (errors.ServerUnreachable, HTTPStatus.SERVICE_UNAVAILABLE, "SERVER_UNREACHABLE"),
    (errors.LedgerUnusable, HTTPStatus.SERVICE_UNAVAILABLE, "LEDGER_UNUSABLE"),
    (errors.BrokenError, HTTPStatus.SERVICE_UNAVAILABLE, "BROKEN"),
)
"""The first that fits: what an error of this project means to somebody at the other end of a line."""
SOON = 2
"""Seconds after which it makes sense to ask again for what was not there."""


def problem_of(error: Exception) -> Problem:
    """The problem that an error is answered with."""
    unavailable = HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, Problem):
        return error
    for kind, status, code in KINDS:
        if isinstance(error, kind):
            more = {"retry_after": SOON} if status is unavailable else {}
            return Problem(status, code, str(error), **more)
    if isinstance(error, SQLAlchemyError):
        words = f"ledger: {getattr(error, 'orig', None) or type(error).__name__}"
        return Problem(unavailable, "LEDGER_UNUSABLE", words, retry_after=SOON)
    if isinstance(error, RPCError):
        words = f"the Temporal server did not answer: {error.message or error.status.name}"
        return Problem(unavailable, "SERVER_UNREACHABLE", words, retry_after=SOON)
    log.error("the desk: an error that nobody foresaw", exc_info=error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL", "an error that nobody foresaw; it is in the log")


def unreadable(error: RequestValidationError) -> Problem:
    """A body or a parameter that breaks a rule: every field with the rule that it breaks."""
    found = [dict(each) for each in error.errors()]
    if any(each["type"] == "json_invalid" for each in found):
        return Problem(HTTPStatus.BAD_REQUEST, "NOT_JSON", "the body is not JSON")
    if any(each["loc"] == ("body",) and each["type"] in NO_OBJECT for each in found):
        words = "the body must be a JSON object, sent as `Content-Type: application/json`"
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "NOT_AN_OBJECT", words)
    is_shapeless = any(each["loc"][-2:] == (POSITION, "symbol") and each["type"] == "missing" for each in found)
    for each in found:
        each["loc"] = tuple(part for part in each["loc"] if part not in (*PLACES, *SHAPES))
    wrong = [{"field": field_of(each), "message": problem_words(each)} for each in causes(found)]
    detail = "; ".join(each["message"] for each in wrong) + (f"; {WHICH}" if is_shapeless else "")
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ORDER", detail, errors=wrong)


def answered(request: Request, problem: Problem) -> Response:
    """A problem as its document, to whoever looks at a page as a page."""
    if request.url.path.startswith(FOR_PROGRAMS):
        return problem.response()
    return page(request, "trouble.html", problem.status, title=problem.status.phrase, error=problem.detail, back="/")


def as_problems(app: FastAPI) -> None:
    """Whatever goes wrong in this application is answered as a problem; nobody sees a traceback."""

    async def any_error(request: Request, error: Exception) -> Response:
        return answered(request, problem_of(error))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return answered(request, unreadable(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        status = HTTPStatus(error.status_code)
        return answered(request, Problem(status, status.name, str(error.detail)))

    for kind in (Problem, errors.DurableOrdersError, SQLAlchemyError, RPCError, Exception):
        app.add_exception_handler(kind, any_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
