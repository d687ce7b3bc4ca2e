"""The API's GTTs: orders that wait at the broker until a price is reached."""

import re
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field, model_validator

from durable_orders.gtts import Gtts
from durable_orders.trading.errors import GttNotFound, UnknownError
from durable_orders.trading.gtt.gtt import UNRESOLVED, GttId, GttIntent, GttLeg, GttStatus, told_of_dropped
from durable_orders.trading.gtt.view import GttView
from durable_orders.trading.ledger.gtts import find_gtt, gtt_views
from durable_orders.trading.orders.content import Why
from durable_orders.trading.orders.order import Frozen, Name, Price, Product, Side, Symbol, new_client_order_id
from durable_orders.web.access import READER, Trader
from durable_orders.web.api import (
    CANCEL_SECONDS,
    MOST,
    PLACED_SECONDS,
    PROBLEM,
    PROBLEMS,
    DeskOf,
    Key,
    Moment,
    answer,
    intended,
    named_by,
    one_name,
)
from durable_orders.web.desk import Desk
from durable_orders.web.problems import rejected_gtt

LONGEST_ID = 48
NAMED = re.compile(r"[A-Za-z0-9._-]{1,48}")
Legs = Annotated[tuple[GttLeg, ...], Field(min_length=1, max_length=2)]
Wait = Annotated[float, Query(ge=0, le=CANCEL_SECONDS, description="Seconds to wait for what the broker's list shows.")]

router = APIRouter(prefix="/api/v1")


class NewGtt(Frozen):
    """A GTT to be placed, in the words of the client's `GttIntent`."""

    gtt_id: GttId | None = None
    """Your name for the GTT; the same one again is the same GTT."""
    strategy: Name = "manual"
    reason: Why = ""
    symbol: Symbol
    side: Side
    product: Product = Product.CNC
    legs: Legs
    """One trigger with its order, or two: the lower trigger first."""
    last_price: Price | None = None
    """Rupees, which tell from which side a trigger is reached. Without one, the broker is asked."""
    place_by: Moment | None = None
    """After this moment nothing is sent."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_dropped(cls, data: Any) -> Any:
        return told_of_dropped(data)

    def intent(self, desk: Desk, gtt_id: str | None) -> GttIntent:
        """As this account's and of that name. Raises `InvalidOrder`, which names the field and the rule."""
        return intended(GttIntent, self, desk, "gtt_id", gtt_id or new_client_order_id())


class GttTerms(Frozen):
    """What a GTT is to wait for from now on."""

    legs: Legs
    """All that it is to have."""
    last_price: Price | None = None
    """As of a new one."""

    def summary(self) -> str:
        return ", or ".join(leg.summary() for leg in self.legs)


async def place(desk: Desk, intent: GttIntent, who: str, timeout: float = PLACED_SECONDS) -> tuple[GttView, bool]:
    """The GTT, once the broker's list tells or time is over, and whether this request began it. That it was asked for
    is an event before anything is done. Raises what the client's `place_gtt` raises."""
    gtts = Gtts(await desk.orders())
    if await desk.read(lambda c: find_gtt(c, desk.settings.account, intent.gtt_id)) is None:
        await desk.note(f"GTT {intent.gtt_id} was asked for {who}: {intent.summary()}")
    is_new = await gtts.begin(intent)
    return await gtts.begun(intent, timeout), is_new


async def gtt_named(desk: Desk, gtt_id: str) -> GttView:
    """As recorded, or as it was asked for while no worker has taken it. Raises `GttNotFound`, `ServerUnreachable`."""
    own = desk.settings.account
    if not NAMED.fullmatch(gtt_id):
        raise GttNotFound(f"no GTT {gtt_id[:64]!r}")
    found = await desk.read(lambda c: find_gtt(c, own, gtt_id))
    if found is None:
        return await (await desk.orders()).gtt(gtt_id)
    state = found[0]
    return (await desk.read(lambda c: gtt_views(c, own, [state])))[0]


ONE = PROBLEMS | {200: {"model": GttView}, 202: {"model": GttView}, 404: PROBLEM}
MADE: dict[int | str, dict[str, Any]] = {
    200: {"model": GttView, "description": "It exists already"},
    201: {"model": GttView},
    202: {"model": GttView, "description": "What came of it is not known yet"},
    409: PROBLEM,
}


@router.post("/gtts", status_code=201, responses=PROBLEMS | MADE)
async def place_gtt(
    body: NewGtt, desk: DeskOf, caller: Trader, key: Key = None, timeout: Wait = PLACED_SECONDS
) -> Response:
    """Have the broker keep a LIMIT order until a price is reached, or one of two. With a `gtt_id` or an
    `Idempotency-Key`, however often it is sent, it is one GTT. 202 while what came of it is not known.

    One that was rejected is a problem of status 422 with the guardian's codes; it is recorded, like any other.
    """
    gtt_id = one_name("gtt_id", body.gtt_id, named_by(key, LONGEST_ID) if key is not None else None)
    view, is_new = await place(desk, body.intent(desk, gtt_id), caller.who, timeout)
    if view.status is GttStatus.REJECTED:
        raise rejected_gtt(view)
    if view.status in UNRESOLVED:
        return answer(view, HTTPStatus.ACCEPTED)
    return answer(view, HTTPStatus.CREATED if is_new else HTTPStatus.OK)


@router.get("/gtts", dependencies=READER, responses=PROBLEMS | {200: {"model": list[GttView]}})
async def gtts(
    desk: DeskOf,
    open_only: Annotated[bool, Query(alias="open")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 200,
) -> Response:
    """GTTs, newest first, those of the broker's app among them."""
    return answer(await desk.find_gtts(open_only=open_only, limit=limit))


@router.get("/gtts/{gtt_id}", dependencies=READER, responses=PROBLEMS | {200: {"model": GttView}, 404: PROBLEM})
async def gtt(gtt_id: str, desk: DeskOf) -> Response:
    """A GTT, with the order that came of it."""
    return answer(await gtt_named(desk, gtt_id))


@router.patch("/gtts/{gtt_id}", responses=ONE)
async def change_gtt(
    gtt_id: str, body: GttTerms, desk: DeskOf, caller: Trader, timeout: Wait = PLACED_SECONDS
) -> Response:
    """Have an ACTIVE GTT wait for other prices: `legs` are all that it is to have. 202 while it is not known whether it
    was changed."""
    view = await changed_gtt(desk, gtt_id, body, caller.who, timeout)
    return answer(view, HTTPStatus.ACCEPTED if view.changing else HTTPStatus.OK)


@router.delete("/gtts/{gtt_id}", responses=ONE)
async def delete_gtt(gtt_id: str, desk: DeskOf, caller: Trader, timeout: Wait = PLACED_SECONDS) -> Response:
    """End a GTT, also one that is not placed so far. 202 while it is not known whether it was deleted: the delete
    stands. 422 for one that was triggered before."""
    view = await deleted_gtt(desk, gtt_id, caller.who, timeout)
    return answer(view, HTTPStatus.ACCEPTED if view.changing else HTTPStatus.OK)


async def changed_gtt(desk: Desk, gtt_id: str, wanted: GttTerms, who: str, timeout: float) -> GttView:
    """The GTT as it stands then, `changing` where nobody knows yet; who asked is an event first. Raises what the
    client's `change_gtt` raises, but for one that is still on its way."""
    found = await gtt_named(desk, gtt_id)
    orders = await desk.orders()
    async with desk.asked(f"a change of GTT {found.gtt_id}", f"{who}: {wanted.summary()}"):
        changed = orders.change_gtt(found.gtt_id, wanted.legs, last_price=wanted.last_price, timeout=timeout)
        return await _or_on_its_way(desk, found, "change", changed)


async def deleted_gtt(desk: Desk, gtt_id: str, who: str, timeout: float) -> GttView:
    """The same of a delete. One that is deleted already stays so."""
    found = await gtt_named(desk, gtt_id)
    if found.status is GttStatus.DELETED:
        return found
    orders = await desk.orders()
    async with desk.asked(f"a delete of GTT {found.gtt_id}", who):
        return await _or_on_its_way(desk, found, "delete", orders.delete_gtt(found.gtt_id, timeout=timeout))


async def _or_on_its_way(desk: Desk, found: GttView, what: str, done: Awaitable[GttView]) -> GttView:
    """It goes on without the one who waits, also where no worker has recorded so far that it was asked for."""
    try:
        return await done
    except UnknownError:
        view = await gtt_named(desk, found.gtt_id)
        is_told = view.changing or view.status is GttStatus.DELETED
        return view if is_told else view.model_copy(update={"changing": what})
