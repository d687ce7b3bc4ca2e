"""The API, under `/api/v1`: the same names and the same JSON as the client and the command line."""

import asyncio
import re
import uuid
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field, ValidationError
from starlette.responses import PlainTextResponse

from durable_orders import halting
from durable_orders.halting import Standing
from durable_orders.json_text import json_text
from durable_orders.portfolio import PositionLine, position_lines
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound
from durable_orders.trading.explained import explained
from durable_orders.trading.flatten.request import FlattenResult
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.reading import FeedEvent, events_of, find_order
from durable_orders.trading.orders.order import (
    Account,
    Amendment,
    Frozen,
    Instructions,
    Name,
    Order,
    OrderIntent,
    Product,
    Status,
    Symbol,
    Terms,
)
from durable_orders.trading.orders.order_ids import whole_id
from durable_orders.web.access import READER, Halter, Trader
from durable_orders.web.desk import Desk, desk_of
from durable_orders.web.metrics import MEDIA_TYPE as METRICS
from durable_orders.web.metrics import metrics_of
from durable_orders.web.problems import MEDIA_TYPE, rejected

FITS = re.compile(r"[A-Za-z0-9._-]{1,64}")
REQUEST = "request_id"
"""The tag of an intent by which the order tells whose request it was that began it."""
BY_HOOK = "hook "
"""How the tag `by` of an order that came from an alert begins; no user and no token has a name with a blank."""
PLACED_SECONDS, CANCEL_SECONDS = 10.0, 30.0
MOST = 1000

router = APIRouter(prefix="/api/v1")


class ProblemDetails(BaseModel):
    """RFC 9457, and the guardian's codes."""

    type: str
    title: str
    status: int
    code: str
    codes: list[str]
    detail: str


PROBLEM: dict[str, Any] = {"model": ProblemDetails, "content": {MEDIA_TYPE: {}}}
PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys((401, 403, 413, 422, 429, 503), PROBLEM)


ORDER: dict[str, Any] = {"model": Order}


class NewOrder(Terms):
    """An order to be placed, in the words of the client's `place`."""

    strategy: Name = "manual"
    client_order_id: Name | None = None
    """Your name for the order; the same one again is the same order."""
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    instructions: Instructions | None = None
    place_by: AwareDatetime | None = None
    """After this moment nothing is sent."""
    dry_run: bool = False

    def intent(self, desk: Desk, own_id: str | None, by: str) -> OrderIntent:
        """Raises `InvalidOrder` for what this account cannot take."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"client_order_id"}}
        own = {"client_order_id": own_id} if own_id is not None else {}
        tags = {"by": by, REQUEST: uuid.uuid4().hex}
        account = {"account": desk.settings.account, "mode": desk.settings.execution.mode}
        try:
            return OrderIntent(**(given | own | account), tags=tags)
        except ValidationError as error:
            raise explained(error) from None


class Why(Frozen):
    """A reason, which is kept."""

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]


class Halt(Why):
    """To take no more orders."""

    reducing: bool = False
    """Still take those that only reduce a position."""


class Flatten(Why):
    """To close what is held: all of it, or of a symbol, a product, a strategy."""

    symbol: Symbol | None = None
    product: Product | None = None
    strategy: Name | None = None


class FlattenAnswer(Frozen):
    """How a flatten ended; nothing yet if it goes on."""

    is_over: bool
    result: FlattenResult | None


DeskOf = Annotated[Desk, Depends(desk_of)]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, description="Makes a repeated POST one order."),
]


def answer(value: BaseModel | list[Any] | dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json_text(value), status, media_type="application/json")


def named_by(key: str) -> str:
    """The client order id that an idempotency key stands for: itself, where it can be one."""
    return key if FITS.fullmatch(key) else f"key-{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def hook_of(made: OrderIntent | Order) -> str | None:
    """The hook whose alert an order came from; `None` if it came otherwise."""
    by = str((made.tags or {}).get("by", ""))
    return by.removeprefix(BY_HOOK) if by.startswith(BY_HOOK) else None


async def submit(desk: Desk, intent: OrderIntent, who: str, timeout: float = PLACED_SECONDS) -> tuple[Order, bool]:
    """The order, once it is at the broker or has ended or time is over, and whether this request began it.

    Raises `DuplicateOrder` also where content and id are those of another hook's order, or of one that no hook made:
    what two senders call alike are two orders. And what the client's `place` raises.
    """
    orders = await desk.orders()
    order = await orders.place_and_wait(intent, timeout)
    if hook_of(order) != hook_of(intent):
        whose = f"which hook {made} made" if (made := hook_of(order)) is not None else "which no hook made"
        raise DuplicateOrder(f"client_order_id: {order.client_order_id} is the id of another order, {whose}")
    is_new = (order.tags or {}).get(REQUEST) == intent.tags[REQUEST]
    if is_new:
        await desk.note(f"order {order.client_order_id} {who}: {order.summary()}")
    return order, is_new


@router.post(
    "/orders",
    status_code=201,
    responses=PROBLEMS
    | {200: {"model": Order, "description": "It exists already"}, 201: {"model": Order}, 409: PROBLEM},
)
async def place(body: NewOrder, desk: DeskOf, caller: Trader, key: Key = None) -> Response:
    """Place an order. With a `client_order_id` or an `Idempotency-Key`, however often it is sent, it is one order.

    An order that was rejected is a problem of status 422 with the guardian's codes; it is recorded, like any other.
    """
    own_id = body.client_order_id
    if key is not None:
        if own_id not in (None, named_by(key)):
            raise InvalidOrder(
                f"client_order_id: {own_id} and the Idempotency-Key name two orders: give one, or the same"
            )
        own_id = named_by(key)
    order, is_new = await submit(desk, body.intent(desk, own_id, caller.name), caller.who)
    if order.status is Status.REJECTED:
        raise rejected(order)
    return answer(order, HTTPStatus.CREATED if is_new else HTTPStatus.OK)


@router.get("/orders", dependencies=READER, responses=PROBLEMS | {200: {"model": list[Order]}})
async def list_orders(
    desk: DeskOf,
    status: Annotated[list[Status] | None, Query()] = None,
    symbol: Symbol | None = None,
    strategy: Name | None = None,
    open_only: Annotated[bool, Query(alias="open")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 200,
) -> Response:
    """The account's orders, newest first."""
    found = await desk.find_orders(statuses=status, symbol=symbol, strategy=strategy, open_only=open_only, limit=limit)
    return answer(found)


async def order_named(desk: Desk, client_order_id: str) -> Order:
    """As recorded; from the server what no worker has taken yet. Raises `OrderNotFound`."""
    own_id = whole_id(desk.settings.account, client_order_id)
    if own_id.split(":")[1] != desk.settings.account:
        raise OrderNotFound(f"no order {own_id} in account {desk.settings.account}")
    order = await desk.read(lambda connection: find_order(connection, own_id))
    return order if order is not None else await (await desk.orders()).get(own_id)


@router.get(
    "/orders/{client_order_id}", dependencies=READER, responses=PROBLEMS | {200: {"model": Order}, 404: PROBLEM}
)
async def show_order(client_order_id: str, desk: DeskOf) -> Response:
    """An order as it stands."""
    return answer(await order_named(desk, client_order_id))


@router.get(
    "/orders/{client_order_id}/events",
    dependencies=READER,
    responses=PROBLEMS | {200: {"model": list[FeedEvent]}, 404: PROBLEM},
)
async def events_of_order(client_order_id: str, desk: DeskOf) -> Response:
    """Everything recorded of an order, oldest first."""
    order = await order_named(desk, client_order_id)
    return answer(await desk.read(lambda connection: events_of(connection, order.order_id)))


@router.patch("/orders/{client_order_id}", responses=PROBLEMS | {200: {"model": Order}, 404: PROBLEM})
async def amend(client_order_id: str, body: Amendment, desk: DeskOf, caller: Trader) -> Response:
    """Change a working order; `quantity` is the new total."""
    order = await order_named(desk, client_order_id)
    changed = await (await desk.orders()).handle(order.order_id).amend(body)
    await desk.note(f"{order.client_order_id} was amended {caller.who}: {body.summary()}")
    return answer(changed)


@router.delete("/orders/{client_order_id}", responses=PROBLEMS | {200: {"model": Order}, 404: PROBLEM})
async def cancel(
    client_order_id: str,
    desk: DeskOf,
    caller: Trader,
    timeout: Annotated[float, Query(ge=0, le=CANCEL_SECONDS, description="Seconds to wait for the end.")] = (
        PLACED_SECONDS
    ),
) -> Response:
    """Cancel an order. Its proved end, or, after `timeout` seconds, the order as it stands: the cancel goes on."""
    order = await order_named(desk, client_order_id)
    return answer(await (await desk.orders()).cancel(order.order_id, caller.who, timeout))


@router.get("/positions", dependencies=READER, responses=PROBLEMS | {200: {"model": list[PositionLine]}})
async def positions(desk: DeskOf) -> Response:
    """Net positions, with what they earned and cost, in all and today."""
    account, by = Account(desk.settings.account), desk.settings.ledger.realized_by
    return answer(await desk.read(lambda connection: position_lines(connection, account, datetime.now(UTC), by)))


@router.get("/account", dependencies=READER, responses=PROBLEMS | {200: {"model": Standing}})
async def account(desk: DeskOf) -> Response:
    """How far the account may trade, why, and by whose word."""
    return answer(await standing(desk))


@router.get("/metrics", dependencies=READER, response_class=PlainTextResponse, responses=PROBLEMS)
async def metrics(desk: DeskOf) -> Response:
    """The account in numbers, in Prometheus' text format."""
    own = Account(desk.settings.account)
    text = await desk.read(lambda connection: metrics_of(connection, own, datetime.now(UTC)))
    return Response(text, media_type=METRICS)


async def standing(desk: Desk) -> Standing:
    return await asyncio.to_thread(halting.standing, desk.database, desk.settings.account)


@router.post("/halt", responses=PROBLEMS | {200: {"model": Standing}})
async def halt(body: Halt, desk: DeskOf, caller: Halter) -> Response:
    """Take no new orders from now on. What is working goes on; flatten closes it."""
    state = AccountState.REDUCING if body.reducing else AccountState.HALTED
    return answer(await changed(desk, partial(halting.halt, reason=body.reason, state=state, who=caller.who)))


@router.post("/resume", responses=PROBLEMS | {200: {"model": Standing}})
async def resume(body: Why, desk: DeskOf, caller: Halter) -> Response:
    """Take orders again. Risk flags stay up."""
    return answer(await changed(desk, partial(halting.resume, reason=body.reason, who=caller.who)))


@router.put("/flags/{name}", responses=PROBLEMS | {200: {"model": Standing}})
async def raise_flag(name: str, body: Why, desk: DeskOf, caller: Halter) -> Response:
    """Raise a risk flag: while it is up, only orders that reduce a position pass."""
    return answer(await changed(desk, partial(halting.put_flag, name=name, reason=body.reason, who=caller.who)))


@router.delete("/flags/{name}", responses=PROBLEMS | {200: {"model": Standing}})
async def clear_flag(name: str, desk: DeskOf, caller: Halter) -> Response:
    """Take a risk flag down."""
    return answer(await changed(desk, partial(halting.take_flag, name=name, who=caller.who)))


async def changed(desk: Desk, change: Any) -> Standing:
    """What a change of the account's standing gives, made off the event loop."""
    found = await asyncio.to_thread(change, desk.database, desk.settings)
    assert isinstance(found, Standing)  # noqa: S101
    return found


@router.post("/flatten", responses=PROBLEMS | {200: {"model": FlattenAnswer}, 202: {"model": FlattenAnswer}})
async def flatten(
    body: Flatten,
    desk: DeskOf,
    caller: Halter,
    timeout: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the end.")] = PLACED_SECONDS,
) -> Response:
    """Cancel what is open and close what is held. Asked again while it runs, it is joined; 202 while it goes on."""
    result = await flattened(desk, body, caller.who, timeout)
    over = FlattenAnswer(is_over=result is not None, result=result)
    return answer(over, HTTPStatus.OK if result is not None else HTTPStatus.ACCEPTED)


async def flattened(desk: Desk, body: Flatten, who: str, timeout: float) -> FlattenResult | None:
    """How it ended, or `None` if it goes on."""
    request = halting.flatten_request(
        desk.settings.account, body.reason, who, symbol=body.symbol, product=body.product, strategy=body.strategy
    )
    if body.symbol is not None:
        await desk.read(lambda connection: halting.must_be_in_a_book(connection, request))
    orders = await desk.orders()
    of = ", ".join(str(each) for each in (body.symbol, body.product, body.strategy) if each) or "the whole account"
    await desk.note(f"a flatten of {of} was asked for {who}: {body.reason}")
    return await halting.flatten(orders.client, request, timeout)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """What this API takes and gives, as OpenAPI."""
    found: dict[str, object] = request.app.openapi()
    return answer(found)
