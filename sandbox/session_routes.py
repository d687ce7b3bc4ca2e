"""Login, session and profile (Kite documentation, user). The login page is a stand-in: it logs the one user in."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.order_rows import ist
from durable_orders.sandbox.routes import Route
from durable_orders.sandbox.sessions import Sessions
from durable_orders.sandbox.settings import SandboxSettings

LANDING = "/connect/landing"
PAGE = "<html><body><p>Logged in. The request token is <code>{token}</code></p></body></html>"


class SessionRoutes:
    def __init__(self, settings: SandboxSettings, sessions: Sessions, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._sessions = sessions
        self._clock = clock

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("GET", "/connect/login", self.login, name=Route.LOGIN)
        app.router.add_route("GET", LANDING, self.landing, name=Route.LANDING)
        app.router.add_route("POST", "/session/token", self.generate, name=Route.GENERATE_SESSION)
        app.router.add_route("DELETE", "/session/token", self.invalidate, name=Route.INVALIDATE_SESSION)
        app.router.add_route("GET", "/user/profile", self.profile, name=Route.PROFILE)

    async def login(self, request: web.Request) -> web.Response:
        """Redirects with a request token, and with what `redirect_params` asks to be passed on.

        With `user_id`, which Kite's page does not take, another user of the app sits there.
        """
        token = self._sessions.request_token(request.query.get("api_key", ""), request.query.get("user_id"))
        passed_on = parse_qsl(request.query.get("redirect_params", ""))
        extra = [("request_token", token), ("action", "login"), ("type", "login"), ("status", "success"), *passed_on]
        return web.Response(
            status=302, headers={"Location": _with_query(self._settings.redirect_url or LANDING, extra)}
        )

    async def landing(self, request: web.Request) -> web.Response:
        """For an app that has no redirect URL of its own."""
        token = request.query.get("request_token", "")
        if not token.isalnum():
            raise wrong_input("Missing or empty field `request_token`.")
        return web.Response(text=PAGE.format(token=token), content_type="text/html")

    async def generate(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = [str(form.get(field, "")) for field in ("api_key", "request_token", "checksum")]
        token = self._sessions.generate(*asked)
        issued = {
            "api_key": self._settings.api_key,
            "access_token": token,
            "public_token": "",
            "refresh_token": "",
            "enctoken": "",
            "login_time": ist(self._clock()),
        }
        return success(self._user(self._sessions.user_of(f":{token}")) | issued)

    async def invalidate(self, request: web.Request) -> web.Response:
        self._sessions.invalidate(request.query.get("api_key", ""), request.query.get("access_token", ""))
        return success(data=True)

    async def profile(self, request: web.Request) -> web.Response:
        return success(self._user(self._sessions.user_of(request.headers.get("Authorization"))))

    def _user(self, user_id: str) -> dict[str, Any]:
        return {
            "user_id": user_id,
            "user_type": "individual",
            "email": "sandbox@example.com",
            "user_name": "Sandbox User",
            "user_shortname": "Sandbox",
            "broker": "ZERODHA",
            "exchanges": ["NSE", "BSE", "NFO", "BFO", "CDS", "MCX"],
            "products": ["CNC", "NRML", "MIS", "MTF"],
            "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
            "avatar_url": None,
            "meta": {"demat_consent": "consent"},
        }


def _with_query(url: str, extra: list[tuple[str, str]]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *extra])))
