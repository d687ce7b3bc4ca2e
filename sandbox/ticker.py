"""The WebSocket at "/": binary ticks, order updates as text, one-byte heartbeats (Kite documentation, WebSocket)."""

import asyncio

from aiohttp import WSMsgType, web

from durable_orders.sandbox.connection import Connection
from durable_orders.sandbox.envelopes import as_json, wrong_input
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.sandbox.faults import Faults
from durable_orders.sandbox.order_updates import Update
from durable_orders.sandbox.packets import HEARTBEAT, frame, packet
from durable_orders.sandbox.quotes import Quote, Quotes
from durable_orders.sandbox.routes import Route
from durable_orders.sandbox.sessions import Sessions
from durable_orders.sandbox.subscriptions import CommandError, subscribed

MAX_CONNECTIONS = 3
"""For one api key; the fourth is refused with 429."""


class Ticker:
    def __init__(self, sessions: Sessions, quotes: Quotes, faults: Faults, user_id: str, *, entitled: bool) -> None:
        """Without `entitled`, every upgrade is refused with 403, as on Kite's free plan."""
        self._sessions = sessions
        self._quotes = quotes
        self._faults = faults
        self._user_id = user_id
        self._entitled = entitled
        self._connections: set[Connection] = set()

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("GET", "/", self.connect, name=Route.SOCKET)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        if not socket.can_prepare(request):
            raise wrong_input("This is the WebSocket's address.")
        token = request.query.get("access_token", "")
        if not self._entitled or not self._sessions.valid(request.query.get("api_key", ""), token):
            return web.Response(status=403, text="Forbidden")
        if len(self._connections) >= MAX_CONNECTIONS:
            return web.Response(status=429, text="Too Many Requests")
        connection = Connection(socket, token)
        self._connections.add(connection)
        try:
            await socket.prepare(request)
            await self._serve(connection)
        finally:
            self._connections.discard(connection)
        return socket

    async def beat(self, seconds: float) -> None:
        """Send heartbeats for ever. A fault may silence a connection from its heartbeat on."""
        while True:
            await asyncio.sleep(seconds)
            for connection in list(self._connections):
                if rule := self._faults.take(FaultKind.SOCKET_SILENT):
                    connection.silence(rule.lasts)
                connection.send(HEARTBEAT)

    def show(self, quote: Quote) -> None:
        """Send a tick to whoever has subscribed to it."""
        token = quote.instrument.instrument_token
        for connection in self._connections:
            if mode := connection.modes.get(token):
                connection.send(frame([packet(quote, mode)]))

    def send(self, update: Update) -> None:
        """Order updates need no subscription. They carry no checksum, and the account instead of the user."""
        data = update.row | {"account_id": self._user_id, "checksum": ""}
        for connection in self._connections:
            connection.send(as_json({"type": "order", "data": data}))

    def end(self, access_token: str) -> None:
        """Close the connections of a token that has ended."""
        for connection in list(self._connections):
            if connection.access_token == access_token:
                connection.close()

    def close(self) -> None:
        for connection in list(self._connections):
            connection.close()

    async def _serve(self, connection: Connection) -> None:
        writing = asyncio.create_task(connection.write())
        try:
            async for message in connection.socket:
                if message.type is WSMsgType.PING:
                    await connection.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._command(connection, message.data)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    def _command(self, connection: Connection, text: str) -> None:
        try:
            tokens = subscribed(connection.modes, text)
        except CommandError as error:
            connection.send(as_json({"type": "error", "data": str(error)}))
            return
        known = [(token, quote) for token in tokens if (quote := self._quotes.by_token(token)) is not None]
        if known:
            connection.send(frame([packet(quote, connection.modes[token]) for token, quote in known]))
