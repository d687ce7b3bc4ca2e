"""What pushes a live account's watch: Kite's order updates over the WebSocket, and its postbacks.

Both are only a reason to look at the book (Zerodha's own advice): lost, doubled and reordered ones change nothing, and
where neither is to be had, following goes on by the book.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
from aiohttp import web

from activities.live_prices import LivePrices
from trading.settings import Kite

SILENT_SECONDS = 10.0
"""Kite sends a heartbeat every couple of seconds; a socket that is silent for this long is dead, open or not."""
REFUSED_SECONDS = 60.0
"""Between attempts after a refused upgrade: Kite's free plan always refuses."""
RETRY_SECONDS = 2.0
TOKEN_SECONDS = 1.0
"""How often a new login is looked for."""

log = logging.getLogger(__name__)

Push = Callable[[], None]
Token = Callable[[], str | None]


class KiteStream:
    """The stream of a live account."""

    def __init__(
        self,
        settings: Kite,
        token: Token,
        prices: LivePrices | None = None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        """`prices` keeps the ticks that come over the same socket."""
        self._settings = settings
        self._token = token
        self._prices = prices
        self._silent_seconds = silent_seconds

    async def run(self, push: Push) -> None:
        """Listen until cancelled. Nothing that the network or the broker does ends it."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(postbacks(self._settings, push))
            except OSError as error:
                log.error("port %s cannot be used, so no postback is heard (%s)", self._settings.postback_port, error)
            if self._prices is not None:
                await stack.enter_async_context(_beside(self._prices.keep()))
            async with aiohttp.ClientSession() as session:
                while True:
                    pause = await self._listen(session, push)
                    await asyncio.sleep(pause)

    async def _listen(self, session: aiohttp.ClientSession, push: Push) -> float:
        """One connection, to its end. Returns how many seconds to wait before the next."""
        token = self._token()
        if token is None or self._settings.api_key is None:
            return TOKEN_SECONDS
        try:
            query = {"api_key": self._settings.api_key, "access_token": token}
            async with session.ws_connect(self._settings.ws_root, params=query, timeout=_close_quickly()) as socket:
                push()  # whatever happened while nobody listened
                self._speak_to(socket)
                await self._receive(socket, token, push)
        except aiohttp.WSServerHandshakeError as error:
            log.warning("order updates are refused (HTTP %s); following by the book alone", error.status)
            return await self._until_new_login(token, REFUSED_SECONDS)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("order updates are interrupted (%s); following by the book", type(error).__name__)
        finally:
            self._speak_to(None)
        return RETRY_SECONDS

    def _speak_to(self, socket: aiohttp.ClientWebSocketResponse | None) -> None:
        if self._prices is not None:
            self._prices.speaking_to(socket)

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, token: str, push: Push) -> None:
        """Raises `TimeoutError` when the socket falls silent. Returns when it closes or a new login has come."""
        while self._token() == token:
            message = await socket.receive(timeout=self._silent_seconds)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return
            if message.type is aiohttp.WSMsgType.TEXT and _is_order(message.data):
                push()
            elif message.type is aiohttp.WSMsgType.BINARY and self._prices is not None:
                self._prices.hear(message.data)

    async def _until_new_login(self, token: str, seconds: float) -> float:
        """Wait, but not longer than until somebody logs in."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._token() == token:  # noqa: ASYNC110  (the login is a file that another process writes)
                    await asyncio.sleep(TOKEN_SECONDS)
        return 0.0


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on for the length of a block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _close_quickly() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=1.0)


def _is_order(text: str) -> bool:
    content = _json(text)
    return isinstance(content, dict) and content.get("type") == "order"


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@contextlib.asynccontextmanager
async def postbacks(settings: Kite, push: Push) -> AsyncIterator[None]:
    """Serve Kite's postbacks on loopback for the length of a block, if a port is set for them.

    One with a wrong checksum is refused. Raises `OSError` where the port cannot be used.
    """
    if settings.postback_port is None:
        yield
        return

    async def receive(request: web.Request) -> web.Response:
        if not is_genuine(_json(await request.read()), settings):
            return web.Response(status=403)
        push()
        return web.Response()

    application = web.Application(client_max_size=64 * 1024)
    application.router.add_post("/postback", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", settings.postback_port).start()
        yield
    finally:
        await runner.cleanup()


def is_genuine(content: Any, settings: Kite) -> bool:
    """Whether the checksum is SHA-256 of order id, order timestamp and API secret (Kite documentation, postbacks)."""
    if not isinstance(content, dict) or settings.api_secret is None:
        return False
    secret = settings.api_secret.get_secret_value()
    said = f"{content.get('order_id')}{content.get('order_timestamp')}{secret}"
    genuine = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
    return hmac.compare_digest(genuine.encode(), str(content.get("checksum")).encode("utf-8", "replace"))
