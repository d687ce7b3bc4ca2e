"""The feed, from any point: as JSON, as server-sent events and over a WebSocket."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response, WebSocket, WebSocketDisconnect
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import HTTPConnection

from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.reading import FeedEvent
from durable_orders.trading.ledger.tokens import Role
from durable_orders.web.access import READER, caller_of
from durable_orders.web.api import MOST, PROBLEMS, DeskOf, answer
from durable_orders.web.desk import Desk, desk_of
from durable_orders.web.problems import Problem

STREAM = "text/event-stream"
PING = 15
"""Seconds between two signs of life in a stream that has nothing to tell."""
REFUSED, TRY_AGAIN = 1008, 1013
"""WebSocket close codes (RFC 6455): policy violation, try again later."""
CHECKED_EVERY = 5.0
"""Seconds after which an event is not sent before the stream's token was looked at again."""

router = APIRouter(prefix="/api/v1")
After = Annotated[int | None, Query(ge=0, le=2**62, description="Only events behind this feed id.")]
LastId = Annotated[str | None, Header(alias="Last-Event-ID")]


@router.get("/events", dependencies=READER, responses=PROBLEMS | {200: {"model": list[FeedEvent]}})
async def events(
    request: Request,
    desk: DeskOf,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    last_id: LastId = None,
) -> Response:
    """The account's next events behind `after`, oldest first. Asked for `text/event-stream`, the stream of them."""
    if STREAM in request.headers.get("accept", ""):
        return await streamed(request, desk, after, last_id)
    return answer(await desk.events(after or 0, limit))


@router.get("/events/stream", dependencies=READER, responses=PROBLEMS | {200: {"content": {STREAM: {}}}})
async def stream(request: Request, desk: DeskOf, after: After = None, last_id: LastId = None) -> Response:
    """Server-sent events from `after` on, or behind `Last-Event-ID`; without either, from now on."""
    return await streamed(request, desk, after, last_id)


async def streamed(request: Request, desk: Desk, after: int | None, last_id: str | None) -> Response:
    start = await _start(desk, after, last_id)
    return EventSourceResponse(_sent(_good(request, desk, start)), ping=PING, headers={"X-Accel-Buffering": "no"})


async def _start(desk: Desk, after: int | None, last_id: str | None) -> int:
    """What a browser has seen when it connects again counts over what the page was loaded with."""
    if last_id is not None and last_id.isdecimal() and len(last_id) < 19:
        return int(last_id)
    return after if after is not None else await desk.read(lambda c: newest_id(c, desk.settings.account))


async def _good(connection: HTTPConnection, desk: Desk, after: int) -> AsyncGenerator[FeedEvent, None]:
    """The events, for as long as the token that they were asked for with is good."""
    checked = time.monotonic()
    async with aclosing(desk.follow(after)) as found:
        async for event in found:
            if time.monotonic() - checked > CHECKED_EVERY:
                try:
                    await caller_of(connection)
                except Problem:
                    return
                checked = time.monotonic()
            yield event


async def _sent(events: AsyncGenerator[FeedEvent, None]) -> AsyncGenerator[ServerSentEvent, None]:
    async with aclosing(events):
        async for event in events:
            yield ServerSentEvent(event.model_dump_json(), event=event.type.value, id=str(event.feed_id))


@router.websocket("/events/ws")
async def socket(websocket: WebSocket, after: int | None = None, token: str | None = None) -> None:
    """The same over a WebSocket, one JSON object a message. A browser, which can send no header, gives `token`."""
    desk = desk_of(websocket)
    try:
        if token is not None and "authorization" not in websocket.headers:
            websocket.scope["headers"].append((b"authorization", f"Bearer {token}".encode("utf-8", "replace")))
        (await caller_of(websocket)).must_be(Role.READ)
        if after is not None and not 0 <= after <= 2**62:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID", "after: must be a feed id")
    except Problem as problem:
        await websocket.accept()
        await websocket.close(REFUSED, problem.detail[:120])
        return
    await websocket.accept()
    sending = asyncio.create_task(_send_all(websocket, desk, await _start(desk, after, None)))
    gone = asyncio.create_task(_until_gone(websocket))
    await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, gone):
        task.cancel()
    results = await asyncio.gather(sending, gone, return_exceptions=True)
    if any(isinstance(each, Exception) for each in results):
        with suppress(RuntimeError):
            await websocket.close(TRY_AGAIN)


async def _send_all(websocket: WebSocket, desk: Desk, after: int) -> None:
    async with aclosing(_good(websocket, desk, after)) as found:
        async for event in found:
            await websocket.send_text(event.model_dump_json())


async def _until_gone(websocket: WebSocket) -> None:
    """What a client says is not listened to; that it hangs up is."""
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.receive()
