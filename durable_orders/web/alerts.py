"""What an alert asks for by its hook's templates, and the order or the plan that it becomes."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from jinja2 import StrictUndefined, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import SandboxedEnvironment
from pydantic import ValidationError

from durable_orders.trading.config.hooks import Hook, Template, leaves
from durable_orders.trading.errors import DurableOrdersError, InvalidOrder, InvalidSettings, RefusedError
from durable_orders.trading.explained import explained
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.last_ticks import last_tick
from durable_orders.trading.ledger.plans import find_plan
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode, Order, is_plain
from durable_orders.trading.orders.terms import whole
from durable_orders.trading.plans.content import LONGEST_ID
from durable_orders.trading.plans.state import PlanView
from durable_orders.web.api import BY_HOOK, LONGEST, NewOrder, hook_of, named_by, submit
from durable_orders.web.desk import Desk
from durable_orders.web.plans import body_of, intent_of, shape_of, start
from durable_orders.web.problems import rejected, rejected_plan
from durable_orders.web.symbols import mapped

SECONDS = 2.0
"""How long an alert waits for its order to be at the broker: TradingView hangs up after three."""
MOST = 50
"""Orders from one alert."""
LONGEST_VALUE = 256
"""Characters of a value that a template gives."""
MILLISECONDS = 10**11
"""A number of seconds since 1970 that is above this one is one of milliseconds."""
WORDS = frozenset({"side", "order_type", "product", "validity"})
"""What is written in capitals here, however the alert writes it."""
RUPEES = frozenset(
    {"price", "trigger_price", "limit_price", "trail", "break_even", "max_loss", "net_debit", "net_credit"}
)
WHOLE, YES_OR_NO = frozenset({"quantity", "step", "slices", "randomise"}), frozenset({"hedged", "catch_up", "approve"})
"""What of a plan is a whole number, and what is true or false."""
REJECTED = "REJECTED"
"""How an order and a plan stand that were refused."""
OF_ONE = frozenset({"item", "number"})
"""What a template of a hook with `each` has of one order."""

_templates = SandboxedEnvironment(undefined=StrictUndefined, finalize=lambda value: "" if value is None else value)


def must_be_templates(hooks: dict[str, Hook]) -> None:
    """Raises `InvalidSettings` for a template that is none, and for an `id` that would be that of several orders."""
    for name, hook in hooks.items():
        own = dict(leaves(hook.plan)) if hook.order is None else hook.order.model_dump()
        for field in hook.plan or ():
            if hook.plan is not None and field not in shape_of(hook.plan).model_fields:
                raise InvalidSettings(f"hooks.{name}.plan.{field}: is nothing that a plan has")
            if field == "plan_id":
                raise InvalidSettings(f"hooks.{name}.plan.plan_id: is the hook's own `id`")
        for key, template in {**own, "id": hook.id, "time": hook.time, "each": hook.each}.items():
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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The order or the plan that an alert is."""

    what: str
    """`order X-1`."""
    summary: str
    done: str
    """What is done with such a one, once it was."""
    is_known: Callable[[sa.Connection], bool]
    """Whether this hook has made it before."""
    begin: Callable[[], Awaitable[tuple[Order | PlanView, bool]]]


class Alert:
    """One that came in, from somebody who knows the secret."""

    def __init__(self, desk: Desk, name: str, hook: Hook, body: dict[str, Any]) -> None:
        self._desk, self._name, self._hook, self._body = desk, name, hook, body
        self._at = datetime.now(UTC)
        self._ids: set[str] = set()
        self.is_of_orders = hook.plan is None

    async def items(self) -> list[str]:
        """What each of its orders is about. Raises `InvalidOrder`."""
        try:
            found = self._rendered("each", self._hook.each or "", {}, longest=MOST * LONGEST_VALUE)
            items = [part.strip(" '\"[]") for part in found.split(",")]
            if not items or not all(items) or len(items) > MOST:
                raise InvalidOrder(f"each: must give 1 to {MOST} names with commas between")
        except InvalidOrder as error:
            await self._refused(error)
            raise
        return items

    async def taken(self, more: dict[str, object]) -> tuple[Order | PlanView, bool]:
        """The order or the plan that it is, and whether it is new. The alert is an event first: without it, nothing is
        placed. Raises `Problem` for one that was rejected, and what the client raises."""
        try:
            wanted = await (self._order(more) if self.is_of_orders else self._plan(more))
        except InvalidOrder as error:
            await self._refused(error)
            raise
        came = "an alert came again, it is" if await self._desk.read(wanted.is_known) else "an alert is"
        await self._say(f"{came} {wanted.what}: {wanted.summary}")
        try:
            found, is_new = await wanted.begin()
        except DurableOrdersError as error:
            await self._say(what_became_of(wanted.what, wanted.done, error))
            raise
        if found.status == REJECTED:
            raise rejected(found) if isinstance(found, Order) else rejected_plan(found)
        return found, is_new

    async def _order(self, more: dict[str, object]) -> "_Wanted":
        templates = self._hook.order.model_dump(exclude_none=True) if self._hook.order is not None else {}
        content = await self._content(templates, more, "place_by")
        try:
            body = NewOrder.model_validate(content)
        except ValidationError as error:
            raise explained(error) from None
        intent = body.intent(self._desk, self._own_id(more), f"{BY_HOOK}{self._name}")

        def is_known(connection: sa.Connection) -> bool:
            known = find_order(connection, intent.order_id)
            return known is not None and hook_of(known) == self._name

        begin = partial(submit, self._desk, intent, f"by hook {self._name}", SECONDS)
        return _Wanted(f"order {intent.client_order_id}", intent.summary(), "placed", is_known, begin)

    async def _plan(self, more: dict[str, object]) -> "_Wanted":
        """Its reason says whose alert it is of: another sender's plan of that name is one of other content."""
        content = await self._content(self._hook.plan or {}, more, "enter_by")
        content["reason"] = f"{BY_HOOK}{self._name}: {content.get('reason', '')}".rstrip(": ")
        intent = intent_of(body_of(content), self._desk, self._own_id(more, LONGEST_ID), f"{BY_HOOK}{self._name}")

        def is_known(connection: sa.Connection) -> bool:
            known = find_plan(connection, self._desk.settings.account, intent.plan_id)
            return known is not None and known[1] == intent.fingerprint()

        begin = partial(start, self._desk, intent, f"by {BY_HOOK}{self._name}", SECONDS)
        return _Wanted(f"plan {intent.plan_id}", intent.summary(), "started", is_known, begin)

    async def _content(self, templates: dict[str, Any], more: dict[str, object], deadline: str) -> dict[str, Any]:
        """All templates with what the alert says, and the moment that it is too late for it under that name."""
        content: dict[str, Any] = {"strategy": self._name}
        for name, each in templates.items():
            content[name] = await self._filled(name, each, more)
        if self._hook.within is not None:
            content[deadline] = self._deadline(more, self._hook.within)
        return content

    async def _filled(self, field: str, templates: Any, more: dict[str, object]) -> Any:
        """The nested templates with what the alert says. Raises `InvalidOrder`, which names the field."""
        if isinstance(templates, dict):
            return {name: await self._filled(name, each, more) for name, each in templates.items()}
        if isinstance(templates, list):
            return [await self._filled(field, each, more) for each in templates]
        if isinstance(templates, bool):
            return templates
        text = self._rendered(field, templates, more)
        if field == "symbol":
            return await self._symbol(text)
        return text.upper() if field in WORDS else typed(field, text)

    async def _refused(self, error: InvalidOrder) -> None:
        await self._say(f"an alert was refused: {error}")

    async def _say(self, words: str) -> None:
        await self._desk.note(f"hook {self._name}: {words}", EventType.HOOK_ALERT)

    async def _symbol(self, text: str) -> str:
        instruments = await self._desk.instruments()
        own = self._hook.symbols
        return await self._desk.read(lambda c: mapped(text, own, instruments, partial(self._day, c)))

    def _own_id(self, more: dict[str, object], longest: int = LONGEST) -> str:
        """The alert's own id; else one made of all that it says, which is the same whenever it comes again."""
        if self._hook.id is not None:
            text = self._rendered("id", self._hook.id, more)
            if not text:
                raise InvalidOrder("id: the alert says nothing of it")
            order_id = named_by(text, longest)
            if order_id in self._ids:
                what = "order" if self.is_of_orders else "plan"
                raise InvalidOrder(f"id: {order_id} is that of another {what} of the same alert")
            self._ids.add(order_id)
            return order_id
        time = self._rendered("time", self._hook.time, more) if self._hook.time is not None else ""
        said = json.dumps([self._name, self._body, time, more.get("number")], sort_keys=True)
        return f"{self._name[: longest - 33]}-{sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"

    def _deadline(self, more: dict[str, object], within: float) -> datetime:
        at = self._at if self._hook.time is None else moment(self._rendered("time", self._hook.time, more))
        return min(at, self._at) + timedelta(seconds=within)

    def _rendered(self, field: str, template: Template, more: dict[str, object], longest: int = LONGEST_VALUE) -> str:
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


def what_became_of(what: str, done: str, error: DurableOrdersError) -> str:
    """Only a refusal says that nothing was begun."""
    if isinstance(error, RefusedError):
        return f"{what} was not {done} by its alert: {error}"
    return f"it is not known whether {what} was {done} by its alert: {error}"


def typed(field: str, text: str) -> object:
    """A field's text as what the field is. Raises `InvalidOrder`."""
    if field in YES_OR_NO:
        if text.lower() not in ("true", "false"):
            raise InvalidOrder(f"{field}: must be true or false, was {text[:40]!r}")
        return text.lower() == "true"
    if field in RUPEES and not is_plain(text):
        raise InvalidOrder(f"{field}: must be a number")
    if field not in WHOLE:
        return text
    if (number := whole(text)) is None:
        raise InvalidOrder(f"{field}: must be a whole number")
    return number


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
