"""How the page shows things: rupees with Indian grouping, times in IST, and the frame around everything."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from durable_orders.json_text import rupees
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.decision import sign_off_words

GROUP = 3
MINUTE, HOUR = 60, 3600


def indian(amount: Decimal | int | None) -> str:
    """12,34,567.50: the last three digits, then pairs. A dash for what is not known."""
    if amount is None:
        return "–"
    whole, _, places = (str(amount) if isinstance(amount, int) else rupees(amount)).partition(".")
    sign, digits = ("−", whole[1:]) if whole.startswith("-") else ("", whole)
    head, tail = digits[:-GROUP], digits[-GROUP:]
    pairs: list[str] = []
    while head:
        head, pair = head[:-2], head[-2:]
        pairs.insert(0, pair)
    return sign + ",".join([*pairs, tail]) + (f".{places}" if places else "")


def clock(at: datetime | None) -> str:
    """In IST: the time of today, another day's with its date."""
    if at is None:
        return "never"
    local, today = at.astimezone(IST), datetime.now(IST).date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%d %b %Y, %H:%M:%S}"


def ago(at: datetime | None) -> str:
    """How long ago, roughly."""
    if at is None:
        return "never"
    seconds = max(0, round((datetime.now(UTC) - at).total_seconds()))
    if seconds < MINUTE:
        return f"{seconds} s ago"
    return f"{seconds // MINUTE} min ago" if seconds < HOUR else f"{seconds // HOUR} h ago"


def sign_of(amount: Decimal | int | None) -> str:
    """The class of a figure: what is earned and what is lost are told apart by more than their colour, too."""
    return "" if not amount else "up" if amount > 0 else "down"


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("durable_orders.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters |= {"indian": indian, "clock": clock, "ago": ago, "sign_of": sign_of, "sign_off": sign_off_words}
    return made


_pages = _environment()
DEFAULTS: dict[str, Any] = {"visitor": None, "error": "", "done": "", "state": None, "here": ""}


def page(
    request: Request,
    name: str,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    headers: Mapping[str, str] | None = None,
    **content: Any,
) -> Response:
    """A page, or a part of one, out of its template."""
    text = _pages.get_template(name).render(DEFAULTS | {"path": request.url.path} | content)
    return Response(text, status, {"Cache-Control": "no-store", **(headers or {})}, "text/html")
