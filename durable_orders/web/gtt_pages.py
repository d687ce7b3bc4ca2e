"""The pages of GTTs: all of them, one with the order that came of it, and what changes it, which is asked twice."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.gtt.view import GttView
from durable_orders.trading.ledger.gtts import find_gtt
from durable_orders.trading.orders.order import Mode, Product, Side, is_plain, new_client_order_id
from durable_orders.trading.orders.terms import whole
from durable_orders.web.actions import SECONDS
from durable_orders.web.api import DeskOf
from durable_orders.web.desk import Desk
from durable_orders.web.gtts import GttTerms, NewGtt, changed_gtt, deleted_gtt, gtt_named, place
from durable_orders.web.login import Looks, Trades, Visitor
from durable_orders.web.pages import frame
from durable_orders.web.view import page

LISTED = 200
LEGS = ("quantity", "trigger_price", "price", "quantity_2", "trigger_price_2", "price_2", "last_price")
NEW = ("gtt_id", "symbol", "side", "product", "strategy", *LEGS)
DELETE = "Delete it? What it was to protect is not protected by it any more."
NOT_TAKEN = "it was asked for, and no worker has taken it so far"

router = APIRouter(include_in_schema=False)


@router.get("/gtts")
async def gtts(request: Request, desk: DeskOf, visitor: Looks, show: str = "open", part: bool = False) -> Response:
    """Those that wait, or all, live."""
    views = await desk.find_gtts(open_only=show != "all", limit=LISTED)
    content: dict[str, Any] = {"gtts": views, "show": show, "limit": LISTED}
    if part:
        return page(request, "waiting.html", visitor=visitor, **content)
    content |= {"sides": [Side.SELL, Side.BUY], "products": [Product.CNC, Product.MTF, Product.NRML]}
    content |= {"gtt_id": new_client_order_id(), "is_live": desk.settings.execution.mode is Mode.LIVE}
    return page(request, "gtts.html", here="gtts", **await frame(desk, visitor), **content)


@router.get("/gtt/{gtt_id}")
async def gtt(request: Request, gtt_id: str, desk: DeskOf, visitor: Looks, part: bool = False) -> Response:
    """A GTT, and what came of it."""
    found = await gtt_named(desk, gtt_id)
    if part:
        return page(request, "gtt_life.html", visitor=visitor, gtt=found)
    return page(request, "gtt.html", here="gtts", **await frame(desk, visitor), gtt=found)


@router.post("/gtts/place")
async def new_gtt(request: Request, desk: DeskOf, visitor: Trades) -> Response:
    """The first time it asks, the second time it is placed: once, however often that is sent."""
    form = await _form(request)
    fields = {name: form.get(name, "") for name in NEW}
    reason = form.get("reason", "")
    own = {name: fields[name] for name in ("symbol", "side", "product", "strategy", "gtt_id") if fields[name]}
    own |= {"symbol": fields["symbol"].upper(), "reason": reason[:300]}
    try:
        body = NewGtt.model_validate(own | _legs_of(fields))
    except ValidationError as error:
        raise explained(error) from None
    intent = body.intent(desk, body.gtt_id)
    if form.get("sure") != "yes" or not reason:
        asked: dict[str, Any] = {"question": f"Place the GTT {intent.summary()}?", "action": "/gtts/place"}
        asked |= {"fields": fields | {"what": "place", "reason": reason}, "back": "/gtts"}
        return page(request, "sure.html", here="gtts", **await frame(desk, visitor), **asked)
    view, _ = await place(desk, intent, visitor.who, SECONDS)
    if await desk.read(lambda c: find_gtt(c, desk.settings.account, view.gtt_id)) is None:  # its page finds nothing yet
        content = {**await frame(desk, visitor), "gtt": view.model_copy(update={"reasons": (NOT_TAKEN,)})}
        return page(request, "gtt.html", here="gtts", **content)
    return _to(view)


@router.post("/gtt/{gtt_id}/change")
async def change(gtt_id: str, request: Request, desk: DeskOf, visitor: Trades) -> Response:
    """Other prices or quantities: what is left empty stays as it is. Asked twice."""
    form, found = await _form(request), await gtt_named(desk, gtt_id)
    fields = {name: form.get(name, "") for name in LEGS}
    wanted = _changed(found, fields)
    reason = form.get("reason", "")
    if form.get("sure") != "yes" or not reason:
        said = f"Change {found.gtt_id} to {wanted.summary()}?"
        return await _asked(request, desk, visitor, found, said, fields | {"what": "change", "reason": reason})
    return _to(await changed_gtt(desk, found.gtt_id, wanted, f"{visitor.who}: {reason}", SECONDS))


@router.post("/gtt/{gtt_id}/delete")
async def delete(gtt_id: str, request: Request, desk: DeskOf, visitor: Trades) -> Response:
    """Asked twice."""
    form, found = await _form(request), await gtt_named(desk, gtt_id)
    reason = form.get("reason", "")
    if form.get("sure") != "yes" or not reason:
        said = f"{found.gtt_id}: {DELETE}"
        return await _asked(request, desk, visitor, found, said, {"what": "delete", "reason": reason})
    return _to(await deleted_gtt(desk, found.gtt_id, f"{visitor.who}: {reason}", SECONDS))


async def _form(request: Request) -> dict[str, str]:
    return {name: str(value).strip() for name, value in (await request.form()).items()}


async def _asked(
    request: Request, desk: Desk, visitor: Visitor, found: GttView, said: str, fields: dict[str, str]
) -> Response:
    shown = {**await frame(desk, visitor), "question": said, "fields": fields, "back": f"/gtt/{found.gtt_id}"}
    return page(request, "sure.html", here="gtts", **shown, action=f"/gtt/{found.gtt_id}/{fields['what']}")


def _to(view: GttView) -> Response:
    return RedirectResponse(f"/gtt/{quote(view.gtt_id)}", HTTPStatus.SEE_OTHER)


def _legs_of(fields: dict[str, str]) -> dict[str, Any]:
    """The legs of a form's fields: a second one where any field of it is given. Raises `InvalidOrder`."""
    found: dict[str, Any] = {"legs": []}
    for ending in ("", "_2"):
        given = {name: fields[f"{name}{ending}"] for name in ("quantity", "trigger_price", "price")}
        if ending and not (given["trigger_price"] or given["price"]):
            continue
        given["quantity"] = given["quantity"] or fields["quantity"]
        found["legs"].append({name: _number(name, value) for name, value in given.items() if value})
    if fields["last_price"]:
        found["last_price"] = _number("last_price", fields["last_price"])
    return found


def _number(name: str, text: str) -> str | int:
    """Raises `InvalidOrder`."""
    if name == "quantity":
        found = whole(text)
        if found is None:
            raise InvalidOrder("quantity: must be a whole number")
        return found
    if not is_plain(text):
        raise InvalidOrder(f"{name}: must be a number")
    return text


def _changed(found: GttView, fields: dict[str, str]) -> GttTerms:
    """All legs as they are to be. Raises `InvalidOrder`."""
    if not any(fields.values()):
        raise InvalidOrder(f"{found.gtt_id}: say what is to change: a trigger, a price or a quantity")
    legs = []
    for leg, ending in zip(found.legs, ("", "_2"), strict=False):
        names = ("quantity", "trigger_price", "price")
        given = {name: fields[f"{name}{ending}"] for name in names if fields[f"{name}{ending}"]}
        legs.append({name: getattr(leg, name) for name in names} | {n: _number(n, text) for n, text in given.items()})
    more = {"last_price": _number("last_price", fields["last_price"])} if fields["last_price"] else {}
    try:
        return GttTerms.model_validate({"legs": legs} | more)
    except ValidationError as error:
        raise explained(error) from None
