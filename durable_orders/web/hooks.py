"""Alerts in: `POST /hooks/NAME` becomes an order, one however often the alert is delivered."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from jinja2 import StrictUndefined, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import SandboxedEnvironment
from pydantic import ValidationError

from durable_orders.trading.config.hooks import Hook, Template
from durable_orders.trading.errors import DurableOrdersError, InvalidOrder, InvalidSettings
from durable_orders.trading.explained import explained
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.last_ticks import last_tick
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode, Order, OrderIntent, Status
from durable_orders.web.access import refuse
from durable_orders.web.api import BY_HOOK, DeskOf, NewOrder, answer, hook_of, named_by, submit
from durable_orders.web.desk import Desk
from durable_orders.web.problems import Problem, problem_of, rejected
from durable_orders.web.symbols import mapped

SECONDS = 2.0
"""How long an alert waits for its order to be at the broker: TradingView hangs up after three."""
MOST = 50
"""Orders from one alert."""
LONGEST = 256
"""Characters of a value that a template gives."""
MILLISECONDS = 10**11
"""A number of seconds since 1970 that is above this one is one of milliseconds."""
SECRET = "secret"  # noqa: S105
WORDS = frozenset({"side", "order_type", "product", "validity"})
"""What is written in capitals here, however the alert writes it."""
OF_ONE = frozenset({"item", "number"})
"""What a template of a hook with `each` has of one order."""

router = APIRouter()
_templates = SandboxedEnvironment(undefined=StrictUndefined, finalize=lambda value: "" if value is None else value)


def must_be_templates(hooks: dict[str, Hook]) -> None:
    """Raises `InvalidSettings` for a template that is none, and for an `id` that would be that of several orders."""
    for name, hook in hooks.items():
        for key, template in {**hook.order.model_dump(), "id": hook.id, "time": hook.time, "each": hook.each}.items():
            try:
                _templates.from_string(str(template))
            except TemplateError as error:
                raise InvalidSettings(f"hooks.{name}.{key}: no template: {error}") from None
        named = find_undeclared_variables(_templates.parse(str(hook.id)))
        if hook.id is not None and hook.each is not None and not named & OF_ONE:
            words = "must have {{item}} or {{number}}: with each, an alert is several orders"
            raise InvalidSettings(f"hooks.{name}.id: {words}")
        if hook.id is not None and not named - {"number"}:
            raise InvalidSettings(f"hooks.{name}.id: must have something of the alert, as {{{{id}}}}: all would be one")


@router.post("/hooks/{name}", include_in_schema=False)
@router.post("/hooks/{name}/{secret}", include_in_schema=False)
async def hook(name: str, request: Request, desk: DeskOf, secret: str | None = None) -> Response:
    """An alert. Answered as `POST /api/v1/orders` is; with `each`, by a list of the orders and one of the problems."""
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
    alert = Alert(desk, name, found, body)
    if found.each is None:
        order, is_new = await alert.taken({})
        return answer(order, HTTPStatus.CREATED if is_new else HTTPStatus.OK)
    return await _several(alert)


async def _several(alert: "Alert") -> Response:
    orders: list[Order] = []
    problems: list[dict[str, object]] = []
    items = await alert.items()
    for number, item in enumerate(items):
        try:
            order, _ = await alert.taken({"item": item, "number": number})
            orders.append(order)
        except (Problem, DurableOrdersError) as error:
            problem = problem_of(error)
            problems.append(
                {"item": item, "status": problem.status.value, "code": problem.code, "detail": problem.detail}
            )
    status = HTTPStatus.OK if not problems else HTTPStatus.UNPROCESSABLE_ENTITY
    if any(problem["status"] == HTTPStatus.SERVICE_UNAVAILABLE for problem in problems):
        status = HTTPStatus.SERVICE_UNAVAILABLE  # the sender may try again: what is placed is not placed twice
    return answer({"orders": orders, "problems": problems}, status)


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


class Alert:
    """One that came in, from somebody who knows the secret."""

    def __init__(self, desk: Desk, name: str, hook: Hook, body: dict[str, Any]) -> None:
        self._desk, self._name, self._hook, self._body = desk, name, hook, body
        self._at = datetime.now(UTC)
        self._ids: set[str] = set()

    async def items(self) -> list[str]:
        """What each of its orders is about. Raises `InvalidOrder`."""
        try:
            found = self._rendered("each", self._hook.each or "", {}, longest=MOST * LONGEST)
            items = [part.strip(" '\"[]") for part in found.split(",")]
            if not items or not all(items) or len(items) > MOST:
                raise InvalidOrder(f"each: must give 1 to {MOST} names with commas between")
        except InvalidOrder as error:
            await self._refused(error)
            raise
        return items

    async def taken(self, more: dict[str, object]) -> tuple[Order, bool]:
        """The order that it is, and whether it is new. The alert is an event first: without it, nothing is placed.

        Raises `Problem` for an order that was rejected, and what the client raises.
        """
        try:
            intent = await self._intent(more)
        except InvalidOrder as error:
            await self._refused(error)
            raise
        known = await self._desk.read(partial(find_order, order_id=intent.order_id))
        came = "an alert came again, it is" if known is not None and hook_of(known) == self._name else "an alert is"
        await self._say(f"{came} order {intent.client_order_id}: {intent.summary()}")
        try:
            order, is_new = await submit(self._desk, intent, f"by hook {self._name}", SECONDS)
        except DurableOrdersError as error:
            await self._say(f"order {intent.client_order_id} was not placed by its alert: {error}")
            raise
        if order.status is Status.REJECTED:
            raise rejected(order)
        return order, is_new

    async def _refused(self, error: InvalidOrder) -> None:
        await self._say(f"an alert was refused: {error}")

    async def _say(self, words: str) -> None:
        await self._desk.note(f"hook {self._name}: {words}", EventType.HOOK_ALERT)

    async def _intent(self, more: dict[str, object]) -> OrderIntent:
        terms = dict(self._terms(more))
        instruments = await self._desk.instruments()
        own = self._hook.symbols
        terms["symbol"] = await self._desk.read(
            lambda connection: mapped(terms["symbol"], own, instruments, partial(self._day, connection))
        )
        try:
            quantity = int(terms.pop("quantity"))
        except ValueError:
            raise InvalidOrder("quantity: must be a whole number") from None
        content = {"strategy": self._name} | terms | {"quantity": quantity, "place_by": self._deadline(more)}
        try:
            return NewOrder.model_validate(content).intent(self._desk, self._own_id(more), f"{BY_HOOK}{self._name}")
        except ValidationError as error:
            raise explained(error) from None

    def _terms(self, more: dict[str, object]) -> Iterator[tuple[str, str]]:
        for name, template in self._hook.order.model_dump(exclude_none=True).items():
            text = self._rendered(name, template, more)
            yield name, text.upper() if name in WORDS else text

    def _own_id(self, more: dict[str, object]) -> str:
        """The alert's own id; else one made of all that it says, which is the same whenever it comes again."""
        if self._hook.id is not None:
            text = self._rendered("id", self._hook.id, more)
            if not text:
                raise InvalidOrder("id: the alert says nothing of it")
            own_id = named_by(text)
            if own_id in self._ids:
                raise InvalidOrder(f"id: {own_id} is that of another order of the same alert")
            self._ids.add(own_id)
            return own_id
        time = self._rendered("time", self._hook.time, more) if self._hook.time is not None else ""
        said = json.dumps([self._name, self._body, time, more.get("number")], sort_keys=True)
        return f"{self._name[:31]}-{sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"

    def _deadline(self, more: dict[str, object]) -> datetime | None:
        if self._hook.within is None:
            return None
        at = self._at if self._hook.time is None else moment(self._rendered("time", self._hook.time, more))
        return min(at, self._at) + timedelta(seconds=self._hook.within)

    def _rendered(self, field: str, template: Template, more: dict[str, object], longest: int = LONGEST) -> str:
        """Raises `InvalidOrder`, which names the field."""
        try:
            text = _templates.from_string(str(template)).render(self._body | {"body": self._body} | more).strip()
            text.encode()
        except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            raise InvalidOrder(f"{field}: {error}") from None
        if len(text) > longest:
            raise InvalidOrder(f"{field}: is longer than {longest} characters")
        return text

    def _day(self, connection: Any, symbol: str) -> date:
        """The market's day: on paper, that of the symbol's last tick, as a recorded day may be replayed."""
        settings = self._desk.settings
        is_paper = settings.execution.mode is Mode.PAPER
        tick = last_tick(connection, settings.account, symbol) if is_paper else None
        return (tick.at if tick is not None else self._at).astimezone(IST).date()


def moment(text: str) -> datetime:
    """Raises `InvalidOrder`."""
    try:
        if text.replace(".", "", 1).isdecimal():
            number = float(text)
            return datetime.fromtimestamp(number / 1000 if number > MILLISECONDS else number, UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise InvalidOrder(f"time: must be ISO 8601 or seconds since 1970, was {text[:40]!r}") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=IST)
