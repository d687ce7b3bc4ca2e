"""Kite's WebSocket, opened again whatever the network, the broker or a new login does to it."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

import aiohttp

from durable_orders.trading.config.settings import Kite

SILENT_SECONDS = 10.0
"""Kite sends a heartbeat every couple of seconds; a socket that is silent for this long is dead, open or not."""
REFUSED_SECONDS = 60.0
"""Between attempts after a refused upgrade: Kite's free plan always refuses."""
RETRY_SECONDS = 2.0
TOKEN_SECONDS = 1.0
"""How often a new login is looked for."""
NO_LOGIN = "nobody has logged in today; `durable-orders login`"

Token = Callable[[], str | None]
Socket = aiohttp.ClientWebSocketResponse
_ENDS = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


class Sends(Protocol):
    """The sending half of a socket."""

    async def send_str(self, data: str) -> None: ...


async def _nothing(_socket: Socket) -> None:
    return None


class KiteSocket:
    """One connection at a time, with the login of the day. Kite allows three an app."""

    def __init__(
        self,
        settings: Kite,
        token: Token,
        *,
        opened: Callable[[Socket], Awaitable[None]] = _nothing,
        closed: Callable[[], object] = lambda: None,
        text: Callable[[str], object] = lambda _text: None,
        binary: Callable[[bytes], object] = lambda _packet: None,
        down: Callable[[str], object] = lambda _why: None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        """`opened` and `closed` hear of each connection, `text` and `binary` of each message, and `down` of why there
        is no connection, in words."""
        self._settings = settings
        self._token = token
        self._opened = opened
        self._closed = closed
        self._text = text
        self._binary = binary
        self._down = down
        self._silent_seconds = silent_seconds

    async def listen(self) -> None:
        """Until cancelled."""
        async with aiohttp.ClientSession() as session:
            while True:
                pause = await self._connect(session)
                await asyncio.sleep(pause)

    async def _connect(self, session: aiohttp.ClientSession) -> float:
        """One connection, to its end. Returns how many seconds to wait before the next."""
        token, kite = self._token(), self._settings
        if token is None or kite.api_key is None:
            self._down(NO_LOGIN)
            return TOKEN_SECONDS
        query = {"api_key": kite.api_key, "access_token": token}
        quickly = aiohttp.ClientWSTimeout(ws_close=1.0)
        try:
            async with session.ws_connect(kite.ws_root, params=query, timeout=quickly) as socket:
                await self._opened(socket)
                await self._receive(socket, token)
        except aiohttp.WSServerHandshakeError as error:
            self._down(f"refused (HTTP {error.status})")
            return await self._until_new_login(token, REFUSED_SECONDS)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._down(f"interrupted ({type(error).__name__})")
        finally:
            self._closed()
        return RETRY_SECONDS

    async def _receive(self, socket: Socket, token: str) -> None:
        """Raises `TimeoutError` when the socket falls silent. Returns when it closes or a new login has come."""
        while self._token() == token:
            message = await socket.receive(timeout=self._silent_seconds)
            if message.type in _ENDS:
                return
            if message.type is aiohttp.WSMsgType.TEXT:
                self._text(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                self._binary(message.data)

    async def _until_new_login(self, token: str, seconds: float) -> float:
        """Wait, but not longer than until somebody logs in."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._token() == token:  # noqa: ASYNC110  (the login is a file that another process writes)
                    await asyncio.sleep(TOKEN_SECONDS)
        return 0.0


async def subscribe(socket: Sends, tokens: Collection[int]) -> None:
    """Ask for the ticks of these instruments, with five levels of the book (mode full)."""
    await socket.send_str(json.dumps({"a": "subscribe", "v": list(tokens)}))
    await socket.send_str(json.dumps({"a": "mode", "v": ["full", list(tokens)]}))


async def unsubscribe(socket: Sends, tokens: Collection[int]) -> None:
    await socket.send_str(json.dumps({"a": "unsubscribe", "v": list(tokens)}))
