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

from aiohttp import web

from durable_orders.activities.live_prices import LivePrices
from durable_orders.trading.brokers.kite.socket import NO_LOGIN, SILENT_SECONDS, KiteSocket, Socket, Token
from durable_orders.trading.config.settings import Kite

log = logging.getLogger(__name__)

Push = Callable[[], None]


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
            await self._socket(push).listen()

    def _socket(self, push: Push) -> KiteSocket:
        async def opened(socket: Socket) -> None:
            push()  # whatever happened while nobody listened
            self._speak_to(socket)

        def text(said: str) -> None:
            if _is_order(said):
                push()

        def binary(packet: bytes) -> None:
            if self._prices is not None:
                self._prices.hear(packet)

        return KiteSocket(
            self._settings,
            self._token,
            opened=opened,
            closed=lambda: self._speak_to(None),
            text=text,
            binary=binary,
            down=self._told,
            silent_seconds=self._silent_seconds,
        )

    def _told(self, why: str) -> None:
        if why != NO_LOGIN:  # the watch's own readings say that there is no login
            log.warning("order updates are %s; following by the book alone", why)

    def _speak_to(self, socket: Socket | None) -> None:
        if self._prices is not None:
            self._prices.speaking_to(socket)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on for the length of a block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


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
