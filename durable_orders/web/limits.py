"""What every request passes first: how large its body may be, and what every answer tells the browser."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from durable_orders.web.problems import Problem

LARGEST = 64 * 1024
"""Bytes of a body. An order has some hundreds, an alert some thousands."""
READ_ON = 1024 * 1024
"""Bytes of a refused body that are still taken off the line: closed before that, the sender sees a connection that was
reset in place of the answer."""
READ_ON_FOR = 2.0
"""Seconds that this may take."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
}


class TooLarge(Exception):
    """A body beyond the limit."""


class Limits:
    """Refuses a body that is too large before anything of it is looked at, whatever it says of its own length."""

    def __init__(self, app: ASGIApp, largest: int = LARGEST) -> None:
        self._app, self._largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told) > self._largest:
            await self._refuse(scope, receive, send)
            return
        taken, goes_on = 0, True

        async def counted() -> Message:
            nonlocal taken, goes_on
            message = await receive()
            taken += len(message.get("body", b""))
            goes_on = message.get("more_body", False)
            if taken > self._largest:
                raise TooLarge
            return message

        async def sent(message: Message) -> None:
            if taken > self._largest:
                return  # whatever was made of the error: it was too large
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), HEADERS.items())
            await send(message)

        with suppress(TooLarge):
            await self._app(scope, counted, sent)
        if taken > self._largest:
            await self._refuse(scope, receive, send, goes_on=goes_on)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, *, goes_on: bool = True) -> None:
        if goes_on and "expect" not in Headers(scope=scope):
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_ON_FOR):
                    await _read_on(receive)
        words = f"a body may have {self._largest} bytes at most"
        answer = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TOO_LARGE", words).response()
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)


async def _read_on(receive: Receive) -> None:
    left, goes_on = READ_ON, True
    while goes_on and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        goes_on = message.get("more_body", False)


def _add(headers: MutableHeaders, more: Iterable[tuple[str, str]]) -> None:
    for name, value in more:
        headers.setdefault(name, value)
