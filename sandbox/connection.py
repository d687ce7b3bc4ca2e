"""One open WebSocket: what it has subscribed to, and the messages that wait to be written."""

import asyncio
from contextlib import suppress

from aiohttp import web

from durable_orders.sandbox.packets import TickMode

MAX_WAITING = 10_000
"""Messages to a client that does not read; then its connection is closed."""


class Connection:
    def __init__(self, socket: web.WebSocketResponse, access_token: str) -> None:
        self.socket = socket
        self.access_token = access_token
        self.modes: dict[int, TickMode] = {}
        """By instrument token."""
        self._waiting: asyncio.Queue[bytes | str | None] = asyncio.Queue(MAX_WAITING)
        self._silent_until = 0.0

    @property
    def silent(self) -> bool:
        return asyncio.get_running_loop().time() < self._silent_until

    def silence(self, seconds: float) -> None:
        """Keep the connection, and send nothing on it, not even an answer to a ping."""
        self._silent_until = asyncio.get_running_loop().time() + seconds

    def send(self, message: bytes | str) -> None:
        """Never waits. What is sent while it is silent is lost."""
        if self.silent:
            return
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.close()

    def close(self) -> None:
        """After what has been sent so far."""
        while True:
            with suppress(asyncio.QueueFull):
                self._waiting.put_nowait(None)
                return
            self._waiting.get_nowait()

    async def pong(self, data: bytes) -> None:
        if not self.silent:
            await self.socket.pong(data)

    async def write(self) -> None:
        """Write what waits, until `close`."""
        while (message := await self._waiting.get()) is not None:
            if isinstance(message, bytes):
                await self.socket.send_bytes(message)
            else:
                await self.socket.send_str(message)
        await self.socket.close()
