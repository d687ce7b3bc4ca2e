"""The API, under `/api/v1`: the same names and the same JSON as the client and the command line."""

import asyncio
import json
import re
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError
from starlette.responses import PlainTextResponse

from durable_orders import halting
from durable_orders.assistant.explaining import evidence_of
from durable_orders.halting import Standing
from durable_orders.json_text import json_text, jsonable
from durable_orders.portfolio import Portfolio, PositionLine, portfolio_of, position_lines
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound
from durable_orders.trading.explained import explained
from durable_orders.trading.flatten.request import FlattenResult
from durable_orders.trading.ist import YEARS
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.ledger.reading import FeedEvent, events_of, find_order
from durable_orders.trading.ledger.tokens import Role
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
from durable_orders.trading.orders.order_ids import order_id_of
from durable_orders.web.access import READER, Caller, Halter, Proposer, Trader
from durable_orders.web.desk import Desk, desk_of
from durable_orders.web.metrics import MEDIA_TYPE as METRICS
from durable_orders.web.metrics import metrics_of
from durable_orders.web.problems import MEDIA_TYPE, Problem, not_flat, rejected

FITS = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]+")
LONGEST = 64
"""Characters of a client order id."""
REQUEST = "request_id"
"""The tag of an intent by which the order tells whose request it was that began it."""
BY_HOOK = "hook "
"""How the tag `by` of an order that came from an alert begins; no user and no token has a name with a blank."""
PLACED_SECONDS, CANCEL_SECONDS = 10.0, 30.0
MOST = 1000

router = APIRouter(prefix="/api/v1")
Intent = TypeVar("Intent", bound=BaseModel)


def _that_can_be_kept(at: datetime) -> datetime:
    if at.year not in YEARS:
        raise ValueError(f"the year must be {YEARS[0]} to {YEARS[-1]}")
    return at


Moment = Annotated[AwareDatetime, AfterValidator(_that_can_be_kept)]


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


def intended(kind: type[Intent], body: BaseModel, desk: Desk, id_field: str, own_id: str | None, **more: Any) -> Intent:
    """What a body asks for, as this account's and under that id; without one, under one of its own. Raises
    `InvalidOrder`, which names the field and the rule."""
    given = {name: getattr(body, name) for name in body.model_fields_set - {id_field}}
    named = {id_field: own_id} if own_id is not None else {}
    account = {"account": desk.settings.account, "mode": desk.settings.execution.mode}
    try:
        return kind(**(given | named | account | more))
    except ValidationError as error:
        raise explained(error) from None


class NewOrder(Terms):
    """An order to be placed, in the words of the client's `place`."""

    strategy: Name = "manual"
    client_order_id: Name | None = None
    """Your name for the order; the same one again is the same order."""
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    instructions: Instructions | None = None
    place_by: Moment | None = None
    """After this moment nothing is sent."""
    dry_run: bool = False
    approve: bool = False
    """Wait for a person's approval before it is sent. What a token that may only propose sends always does."""
    approve_by: Moment | None = None
    """Without an approval by then it is rejected."""

    def intent(self, desk: Desk, order_id: str | None, by: str) -> OrderIntent:
        """Raises `InvalidOrder` for what this account cannot take."""
        tags = {"by": by, REQUEST: uuid.uuid4().hex}
        return intended(OrderIntent, self, desk, "client_order_id", order_id, tags=tags)


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
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Makes a repeated POST one order, plan or GTT.",
    ),
]


def answer(value: BaseModel | list[Any] | dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json_text(value), status, media_type="application/json")


def named_by(key: str, longest: int = LONGEST) -> str:
    """The id that an idempotency key stands for, of an order, a plan or a GTT: itself, where it can be one."""
    if FITS.fullmatch(key) and len(key) <= longest:
        return key
    return f"key-{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def one_name(field: str, given: str | None, by_key: str | None) -> str | None:
    """The id that a request gives, in its body, by its key, or in both alike. Raises `InvalidOrder`."""
    if None not in (given, by_key) and given != by_key:
        what = {"client_order_id": "orders", "gtt_id": "GTTs"}.get(field, "plans")
        raise InvalidOrder(f"{field}: {given} and the Idempotency-Key name two {what}: give one, or the same")
    return given if given is not None else by_key


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
async def place(body: NewOrder, desk: DeskOf, caller: Proposer, key: Key = None) -> Response:
    """Place an order. With a `client_order_id` or an `Idempotency-Key`, however often it is sent, it is one order.
    That of a token of role `propose` waits for a person's approval.

    An order that was rejected is a problem of status 422 with the guardian's codes; it is recorded, like any other.
    """
    order_id = one_name("client_order_id", body.client_order_id, named_by(key) if key is not None else None)
    if not caller.role.includes(Role.TRADE):
        body = NewOrder.model_validate(body.model_dump(exclude_unset=True) | {"approve": True})
    order, is_new = await submit(desk, body.intent(desk, order_id, caller.name), caller.who)
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
    order_id = order_id_of(desk.settings.account, client_order_id)
    if order_id.split(":")[1] != desk.settings.account:
        raise OrderNotFound(f"no order {order_id} in account {desk.settings.account}")
    order = await desk.read(lambda connection: find_order(connection, order_id))
    return order if order is not None else await (await desk.orders()).get(order_id)


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


@router.get(
    "/orders/{client_order_id}/checks",
    dependencies=READER,
    responses=PROBLEMS | {200: {"description": "When it and each change of it passed, oldest first"}, 404: PROBLEM},
)
async def checks_of_order(client_order_id: str, desk: DeskOf) -> Response:
    """The figures of the checks that an order and each change of it have passed: the limit, where it stood before, and
    with the order. Nothing where it passed none, or they were not recorded; `null` for one that was not, before one
    that was."""
    order = await order_named(desk, client_order_id)
    evidence = await desk.read(lambda connection: evidence_of(connection, order))
    return answer(evidence.checks())


@router.patch("/orders/{client_order_id}", responses=PROBLEMS | {200: {"model": Order}, 404: PROBLEM})
async def amend(client_order_id: str, body: Amendment, desk: DeskOf, caller: Trader) -> Response:
    """Change a working order; `quantity` is the new total."""
    return answer(await amended(desk, await order_named(desk, client_order_id), body, caller.who))


async def amended(desk: Desk, order: Order, change: Amendment, who: str) -> Order:
    """The order as it stands then; who asked is an event first. Raises what the client's `amend` raises."""
    orders = await desk.orders()
    async with desk.asked(f"an amendment of {order.client_order_id}", f"{who}: {change.summary()}"):
        return await orders.handle(order.order_id).amend(change)


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


class Decline(Frozen):
    """Why an order is not to be sent."""

    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""


@router.get("/approvals", dependencies=READER, responses=PROBLEMS | {200: {"model": list[Order]}})
async def approvals(desk: DeskOf) -> Response:
    """Orders that wait for a person's approval, newest first."""
    return answer(await desk.awaiting_approval())


@router.post("/orders/{client_order_id}/approve", responses=PROBLEMS | {200: {"model": Order}, 404: PROBLEM})
async def approve(client_order_id: str, desk: DeskOf, caller: Trader) -> Response:
    """Let an order be sent that waits for a person's approval: the guardian judges it once more. A token does not
    approve what it has proposed itself. Rejected by the guardian, it is a problem of status 422 with its codes."""
    order = await order_named(desk, client_order_id)
    _must_be_anothers(order, caller)
    approved = await (await desk.orders()).approve(order.order_id, caller.who)
    if approved.status is Status.REJECTED:
        raise rejected(approved)
    return answer(approved)


@router.post("/orders/{client_order_id}/decline", responses=PROBLEMS | {200: {"model": Order}, 404: PROBLEM})
async def decline(client_order_id: str, desk: DeskOf, caller: Trader, body: Decline | None = None) -> Response:
    """Reject an order that waits for a person's approval: it is never sent."""
    order = await order_named(desk, client_order_id)
    reason = body.reason if body is not None else ""
    return answer(await (await desk.orders()).decline(order.order_id, caller.who, reason))


def _must_be_anothers(order: Order, caller: Caller) -> None:
    """Raises `Problem` (403)."""
    if (order.tags or {}).get("by") == caller.name:
        words = f"{caller.name} has proposed it itself: somebody else approves it"
        raise Problem(HTTPStatus.FORBIDDEN, "OWN_PROPOSAL", words)


@router.get("/positions", dependencies=READER, responses=PROBLEMS | {200: {"model": list[PositionLine]}})
async def positions(desk: DeskOf) -> Response:
    """Net positions, with what they earned and cost, in all and today."""
    account, by = Account(desk.settings.account), desk.settings.ledger.realized_by
    return answer(await desk.read(lambda connection: position_lines(connection, account, datetime.now(UTC), by)))


@router.get("/portfolio", dependencies=READER, responses=PROBLEMS | {200: {"model": Portfolio}})
async def portfolio(desk: DeskOf) -> Response:
    """The positions, what they earned and cost together, and what of that is each strategy's."""
    account, by = Account(desk.settings.account), desk.settings.ledger.realized_by
    return answer(await desk.read(lambda connection: portfolio_of(connection, account, datetime.now(UTC), by)))


@router.get("/journal", dependencies=READER, responses=PROBLEMS | {200: {"description": "Lines, oldest first"}})
async def journal(
    desk: DeskOf,
    since: Annotated[Moment | None, Query(description="From this moment on.")] = None,
    until: Annotated[Moment | None, Query(description="Before this moment.")] = None,
    symbol: Symbol | None = None,
    strategy: Name | None = None,
    limit: Annotated[int, Query(ge=1, le=10 * MOST)] = MOST,
) -> Response:
    """The journal as `journal --json` prints it: a line for each fill, and one for each order without any. Where as
    many as `limit` came, there may be more: ask again from the last one's time on, which comes again."""
    settings = desk.settings
    chosen = Chosen(settings.account, since, until, symbol, strategy, realized_by=settings.ledger.realized_by)
    lines = await desk.read(lambda c: list(islice(journal_lines(c, chosen), limit)))
    return Response(json.dumps([asdict(line) for line in lines], default=jsonable), media_type="application/json")


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
    return answer(await changed(desk, partial(halting.raise_flag, name=name, reason=body.reason, who=caller.who)))


@router.delete("/flags/{name}", responses=PROBLEMS | {200: {"model": Standing}})
async def clear_flag(name: str, desk: DeskOf, caller: Halter) -> Response:
    """Take a risk flag down."""
    return answer(await changed(desk, partial(halting.clear_flag, name=name, who=caller.who)))


async def changed(desk: Desk, change: Any) -> Standing:
    """What a change of the account's standing gives, made off the event loop."""
    found = await asyncio.to_thread(change, desk.database, desk.settings)
    assert isinstance(found, Standing)  # noqa: S101
    return found


FLAT: dict[int | str, dict[str, Any]] = {
    200: {"model": FlattenAnswer},
    202: {"model": FlattenAnswer},
    409: PROBLEM,
}


@router.post("/flatten", responses=PROBLEMS | FLAT)
async def flatten(
    body: Flatten,
    desk: DeskOf,
    caller: Halter,
    timeout: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the end.")] = PLACED_SECONDS,
) -> Response:
    """Cancel what is open and close what is held. Asked again while it runs, it is joined; 202 while it goes on, and
    409 `NOT_FLAT` with the `result` where something is still held."""
    result = await flattened(desk, body, caller.who, timeout)
    if result is not None and not result.is_flat:
        raise not_flat(result.words, result=result)
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
