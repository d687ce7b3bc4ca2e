"""Faults of single requests: one method for each, in place of what was asked or after it was done."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from durable_orders.sandbox.envelopes import ErrorType, KiteError, failure, json_answer
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.sandbox.faults import FaultRule, Faults
from durable_orders.sandbox.rate_limits import TOO_MANY_REQUESTS
from durable_orders.sandbox.routes import Route
from durable_orders.sandbox.sessions import WRONG_TOKEN, Sessions

STATIC_IP = (
    "IP (203.0.113.7) is not allowed to place orders for this app. Update allowed IPs on the Kite developer console."
)
ELSEWHERE = "/__control/elsewhere"
NOWHERE = "http://127.0.0.1:1/elsewhere"
"""A port where nobody listens."""
GATEWAY_PAGE = "<html><head><title>504 Gateway Time-out</title></head><body><h1>504 Gateway Time-out</h1></body></html>"

Before = Callable[[web.Request, FaultRule], web.StreamResponse]
After = Callable[[web.Request, web.StreamResponse, FaultRule], Awaitable[web.StreamResponse]]


class Dropped(web.Response):
    """An answer that never leaves: the connection is closed instead."""


class RequestFaults:
    """Strikes requests with whatever is armed."""

    def __init__(self, faults: Faults, sessions: Sessions) -> None:
        self._faults = faults
        self._sessions = sessions
        self._before: dict[FaultKind, Before] = {
            FaultKind.REFUSE_CONNECTION: self._refuse_connection,
            FaultKind.TOO_MANY_REQUESTS: self._too_many_requests,
            FaultKind.SERVICE_UNAVAILABLE: self._service_unavailable,
            FaultKind.REFUSED: self._refuse,
            FaultKind.TOKEN_FLUSHED: self._flush_tokens,
            FaultKind.BOOK_UNREADABLE: self._garble_book,
        }
        self._after: dict[FaultKind, After] = {
            FaultKind.ACCEPT_THEN_DROP: self._drop,
            FaultKind.ACCEPT_THEN_504: self._answer_by_gateway,
            FaultKind.ACCEPT_THEN_500: self._answer_by_network,
            FaultKind.ACCEPT_THEN_LATE: self._delay,
            FaultKind.EMPTY_BODY: self._empty,
            FaultKind.NO_ERROR_TYPE: self._leave_type_out,
            FaultKind.SUCCESS_WITH_500: self._call_it_failed,
            FaultKind.REDIRECTED: self._redirect,
            FaultKind.REDIRECTED_NOWHERE: self._redirect_nowhere,
            FaultKind.DRIPPING: self._drip,
        }

    def before(self, request: web.Request, route: Route) -> web.StreamResponse | None:
        """The answer in place of the real one; then nothing has been done."""
        for kind, strike in self._before.items():
            if rule := self._faults.take(kind, route):
                return strike(request, rule)
        return None

    async def after(self, request: web.Request, route: Route, answer: web.StreamResponse) -> web.StreamResponse:
        """What becomes of the answer to a request that was done."""
        for kind, spoil in self._after.items():
            if rule := self._faults.take(kind, route):
                return await spoil(request, answer, rule)
        return answer

    def _refuse_connection(self, request: web.Request, rule: FaultRule) -> web.StreamResponse:
        return _dropped(request)

    def _too_many_requests(self, request: web.Request, rule: FaultRule) -> web.StreamResponse:
        return failure(KiteError(429, ErrorType.NETWORK, TOO_MANY_REQUESTS))

    def _service_unavailable(self, request: web.Request, rule: FaultRule) -> web.StreamResponse:
        return failure(KiteError(503, ErrorType.NETWORK, "Request failed (kitetrade-oms)"))

    def _refuse(self, request: web.Request, rule: FaultRule) -> web.StreamResponse:
        error_type = rule.error_type or ErrorType.PERMISSION
        return failure(KiteError(rule.http_status or 403, error_type, rule.message or STATIC_IP))

    def _flush_tokens(self, request: web.Request, rule: FaultRule) -> web.StreamResponse:
        self._sessions.flush()
        return failure(KiteError(403, ErrorType.TOKEN, WRONG_TOKEN))

    def _garble_book(self, request: web.Request, rule: FaultRule) -> web.StreamResponse:
        return failure(KiteError(502, ErrorType.DATA, "The OMS gave an answer that was not understood."))

    async def _drop(self, request: web.Request, answer: web.StreamResponse, rule: FaultRule) -> web.StreamResponse:
        return _dropped(request)

    async def _answer_by_gateway(
        self, request: web.Request, answer: web.StreamResponse, rule: FaultRule
    ) -> web.StreamResponse:
        return web.Response(status=504, text=GATEWAY_PAGE, content_type="text/html")

    async def _answer_by_network(
        self, request: web.Request, answer: web.StreamResponse, rule: FaultRule
    ) -> web.StreamResponse:
        return failure(KiteError(500, ErrorType.NETWORK, "Gateway timed out"))

    async def _delay(self, request: web.Request, answer: web.StreamResponse, rule: FaultRule) -> web.StreamResponse:
        await asyncio.sleep(rule.lasts)
        return answer

    async def _empty(self, request: web.Request, answer: web.StreamResponse, rule: FaultRule) -> web.StreamResponse:
        return web.Response(status=200, body=b"", content_type="application/json")

    async def _leave_type_out(
        self, request: web.Request, answer: web.StreamResponse, rule: FaultRule
    ) -> web.StreamResponse:
        return json_answer(500, {"status": "error", "message": "Internal server error", "data": None})

    async def _call_it_failed(
        self, request: web.Request, answer: web.StreamResponse, rule: FaultRule
    ) -> web.StreamResponse:
        answer.set_status(500)
        return answer

    async def _redirect(self, request: web.Request, answer: web.StreamResponse, rule: FaultRule) -> web.StreamResponse:
        kind = "order" if request.method in ("POST", "PUT", "DELETE") else "book"
        return web.Response(status=303, headers={"Location": f"{ELSEWHERE}/{kind}"})

    async def _redirect_nowhere(
        self, request: web.Request, answer: web.StreamResponse, rule: FaultRule
    ) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": NOWHERE})

    async def _drip(self, request: web.Request, answer: web.StreamResponse, rule: FaultRule) -> web.StreamResponse:
        """Until all of it is out, or the client has given up."""
        whole = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
        dripping = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
        dripping.content_length = len(whole)
        await dripping.prepare(request)
        with suppress(ConnectionError):
            for byte in whole:
                await dripping.write(bytes([byte]))
                await asyncio.sleep(rule.lasts)
            await dripping.write_eof()
        return dripping


def _dropped(request: web.Request) -> web.StreamResponse:
    """Close the connection; whatever is returned from here finds it closed."""
    if request.transport is not None:
        request.transport.close()
    return Dropped()
