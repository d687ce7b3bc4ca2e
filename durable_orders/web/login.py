"""Logging in to the page: a password, a session in a cookie, and a word in every form that no other site knows."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse

from durable_orders.trading.ledger.tokens import Role
from durable_orders.trading.ledger.users import log_in, log_out, password_hash_of, user_of_session
from durable_orders.web.access import Caller, address_of
from durable_orders.web.desk import desk_of
from durable_orders.web.problems import Problem
from durable_orders.web.view import page

COOKIE = "durable_orders_desk"
HOURS = 12
"""After which a session is over: a day at the desk."""
SHORTEST = 8
"""Characters of a password."""
SECURE = ("https", "wss")

_hasher = PasswordHasher()
_NOBODY = _hasher.hash("nobody has this password")
"""Checked for a name that there is not, so that the time tells nothing."""

router = APIRouter(include_in_schema=False)


class NotLoggedIn(Exception):
    """The page was asked for without a session that is good."""


class Visitor(Caller):
    """Who looks at the page, and what their forms must hold."""

    csrf: str

    def __init__(self, name: str, role: Role, csrf: str) -> None:
        super().__init__(f"user {name}", role)
        object.__setattr__(self, "csrf", csrf)


def hashed(password: str) -> str:
    """What is kept of a password."""
    return _hasher.hash(password)


def csrf_of(secret: str) -> str:
    """The word that a session's forms hold: made of what only its cookie has."""
    return sha256(f"form {secret}".encode()).hexdigest()


async def visitor_of(connection: HTTPConnection) -> Visitor:
    """Whose session it is. Raises `NotLoggedIn`."""
    desk, secret = desk_of(connection), connection.cookies.get(COOKIE, "")
    now = datetime.now(UTC)
    user = await desk.read(lambda c: user_of_session(c, desk.settings.account, secret, now)) if secret else None
    if user is None:
        raise NotLoggedIn
    return Visitor(user.name, user.role, csrf_of(secret))


def visiting(role: Role) -> Callable[..., object]:
    """A visitor who must have that role; what changes something must come from one of our own forms."""

    async def allowed(request: Request) -> Visitor:
        visitor = await visitor_of(request)
        if request.method != "GET":
            word = request.headers.get("x-csrf") or str((await request.form()).get("csrf", ""))
            if not compare_digest(word.encode(), visitor.csrf.encode()):
                raise Problem(HTTPStatus.FORBIDDEN, "CSRF", "the form is of another session: load the page again")
        visitor.must_be(role)
        return visitor

    return allowed


Looks = Annotated[Visitor, Depends(visiting(Role.READ))]
Trades = Annotated[Visitor, Depends(visiting(Role.TRADE))]
Halts = Annotated[Visitor, Depends(visiting(Role.HALT))]


@router.get("/login")
async def form(request: Request, to: str = "/") -> Response:
    return page(request, "login.html", to=_inside(to))


@router.post("/login")
async def enter(
    request: Request, name: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "", to: str = "/"
) -> Response:
    """Wrong passwords are counted by address and by name: neither guesses on from many addresses nor at many names."""
    desk = desk_of(request)
    keys = (f"login {address_of(request)}", f"login of {name[:64]}")
    if held := max(desk.throttle.held_for(key) for key in keys):
        words = f"too many wrong passwords; try again in {held} s"
        status = HTTPStatus.TOO_MANY_REQUESTS
        return page(request, "login.html", status, to=_inside(to), error=words, headers={"Retry-After": str(held)})
    account, now = desk.settings.account, datetime.now(UTC)
    kept = await desk.read(lambda c: password_hash_of(c, account, name))
    if not await desk.work(lambda: _fits(kept or _NOBODY, password)) or kept is None:
        for key in keys:
            desk.throttle.failed(key)
        return page(request, "login.html", HTTPStatus.UNAUTHORIZED, to=_inside(to), error="name or password is wrong")
    secret = await desk.write(lambda c: log_in(c, account, name, now, now + timedelta(hours=HOURS)))
    answer = RedirectResponse(_inside(to), HTTPStatus.SEE_OTHER)
    is_secure = request.url.scheme in SECURE or request.headers.get("x-forwarded-proto") in SECURE
    answer.set_cookie(COOKIE, secret, HOURS * 3600, httponly=True, samesite="strict", secure=is_secure)
    return answer


@router.post("/logout")
async def leave(request: Request, _visitor: Looks) -> Response:
    desk = desk_of(request)
    await desk.write(lambda c: log_out(c, request.cookies[COOKIE]))
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE)
    return answer


def to_login(request: Request) -> Response:
    """Where somebody goes who has to log in first. A part of a page that loads itself takes the whole page there."""
    where = f"/login?to={quote(request.url.path)}" if request.method == "GET" else "/login"
    if "hx-request" in request.headers:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": "/login"})
    return RedirectResponse(where, HTTPStatus.SEE_OTHER)


def _fits(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password.encode("utf-8", "surrogatepass"))
    except Argon2Error:
        return False


def _inside(to: str) -> str:
    """A path of this page, never another site."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/"
