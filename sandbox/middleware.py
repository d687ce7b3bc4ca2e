"""What every request goes through: the tally, the envelopes, the login, the rate limits, the faults."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from durable_orders.sandbox.envelopes import ErrorType, KiteError, failure, success
from durable_orders.sandbox.rate_limits import RateLimits
from durable_orders.sandbox.request_faults import Dropped, RequestFaults
from durable_orders.sandbox.routes import GTT_REQUESTS, MARKET_DATA, ORDER_REQUESTS, WITHOUT_TOKEN, Route, route_of
from durable_orders.sandbox.sessions import Sessions
from durable_orders.sandbox.settings import SandboxSettings
from durable_orders.sandbox.tally import DROPPED, Tally

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


class Gate:
    """One middleware, from the outside in. Requests of the control endpoint pass untouched."""

    def __init__(
        self, settings: SandboxSettings, sessions: Sessions, limits: RateLimits, faults: RequestFaults, tally: Tally
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._limits = limits
        self._faults = faults
        self._tally = tally

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def through(request: web.Request, handler: Handler) -> web.StreamResponse:
            route = route_of(request.match_info.route.name)
            if route is None:
                return await _enveloped(request, handler)
            self._tally.receive(route)
            answer = await self._answer(request, handler, route)
            self._tally.answer(route, DROPPED if isinstance(answer, Dropped) else str(answer.status))
            return answer

        return through

    async def _answer(self, request: web.Request, handler: Handler, route: Route) -> web.StreamResponse:
        async def admitted(request: web.Request) -> web.StreamResponse:
            self._admit(request, route)
            return self._of_another(request, route) or await handler(request)

        if struck := self._faults.before(request, route):
            return struck
        answer = await _enveloped(request, admitted)
        return await self._faults.after(request, route, answer) if answer.status == 200 else answer

    def _of_another(self, request: web.Request, route: Route) -> web.StreamResponse | None:
        """The answer to another user of the app, whose book is empty: what is placed there is counted, and no more."""
        user = self._sessions.user_of(request.headers.get("Authorization"))
        if user == self._settings.user_id or route is Route.PROFILE or route in WITHOUT_TOKEN:
            return None
        if route in (Route.PLACE, Route.GTT_PLACE):
            self._tally.others[user] += 1
        if route in GTT_REQUESTS:
            return success({"trigger_id": 1})
        return success({"order_id": "1"} if route in ORDER_REQUESTS else [])

    def _admit(self, request: web.Request, route: Route) -> None:
        """Raises `KiteError` for who is not logged in, not entitled, or too fast."""
        if route not in WITHOUT_TOKEN:
            self._sessions.check(request.headers.get("Authorization"))
        if route in MARKET_DATA and not self._settings.market_data:
            raise KiteError(403, ErrorType.PERMISSION, "Insufficient permission for that call.")
        if self._settings.rate_limits:
            self._limits.admit(route)


async def _enveloped(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer, with every error in Kite's envelope."""
    try:
        return await handler(request)
    except KiteError as error:
        return failure(error)
    except web.HTTPNotFound:
        return failure(KiteError(404, ErrorType.GENERAL, "Route not found"))
    except web.HTTPMethodNotAllowed:
        return failure(KiteError(405, ErrorType.GENERAL, "Method not allowed"))
    except web.HTTPException as error:
        return failure(KiteError(error.status, ErrorType.INPUT, error.reason))
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return failure(KiteError(500, ErrorType.GENERAL, "Internal server error"))
