"""The pages that show the account: blotter, an order, positions, risk, events, doctor, calendar."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from durable_orders.assistant.explaining import NOT_RECORDED, evidence_of, proof_of
from durable_orders.doctor import examine
from durable_orders.portfolio import portfolio_of
from durable_orders.risk import limits_of
from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger.accounts import last_book_read
from durable_orders.trading.ledger.broker_positions import last_reading
from durable_orders.trading.ledger.executions import execution_of
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.gtts import unknown_gtts
from durable_orders.trading.ledger.plans import find_plan
from durable_orders.trading.ledger.position_differences import unexplained
from durable_orders.trading.ledger.reading import events_of, unsettled_orders
from durable_orders.trading.ledger.tables import CHARGED, Money, fills
from durable_orders.trading.market.calendar import segment_calendar
from durable_orders.trading.orders.order import (
    Account,
    Order,
    OrderType,
    Product,
    Side,
    Validity,
    new_client_order_id,
    plan_of,
)
from durable_orders.trading.quality.measures import quality_of
from durable_orders.web.api import DeskOf, order_named, standing
from durable_orders.web.desk import Desk
from durable_orders.web.login import Looks
from durable_orders.web.view import page
from durable_orders.workers.environment import configured_server

STALE = timedelta(seconds=30)
"""After which what is known of the broker's book counts as old."""
LISTED, EVENTS = 300, 200
DAYS = 14
EVERY, AT_EASE = 1.0, 20
"""Seconds between two signs to a page that something has changed, at least; with more open pages than this, longer."""
SORTS: dict[str, Callable[[Order], Any]] = {
    "time": lambda order: order.created_at,
    "symbol": lambda order: order.symbol,
    "status": lambda order: order.status.value,
    "strategy": lambda order: order.strategy,
}
CHOICES = {"sides": list(Side), "types": list(OrderType), "products": list(Product), "validities": list(Validity)}

router = APIRouter(include_in_schema=False)


async def frame(desk: Desk, visitor: Looks) -> dict[str, Any]:
    """What every page shows at its top: how far the account may trade, and what is old or gone."""
    state = await standing(desk)
    read_at = await desk.read(lambda c: last_book_read(c, desk.settings.account))
    is_old = read_at is None or datetime.now(UTC) - read_at > STALE
    return {
        "visitor": visitor,
        "state": state,
        "mode": desk.settings.execution.mode,
        "read_at": read_at,
        "is_old": is_old,
        "is_there": await desk.is_there(),
        "waiting": len(await desk.awaiting_approval()),
    }


@router.get("/")
async def blotter(
    request: Request,
    desk: DeskOf,
    visitor: Looks,
    show: str = "open",
    symbol: str = "",
    strategy: str = "",
    sort: str = "time",
    part: bool = False,
) -> Response:
    """Open orders, today's or all, live."""
    found = await listed(desk, show, symbol, strategy, sort)
    content: dict[str, Any] = {
        "orders": found,
        "show": show,
        "symbol": symbol,
        "strategy": strategy,
        "sort": sort,
        "limit": LISTED,
    }
    if part:
        return page(request, "orders.html", visitor=visitor, **content)
    return page(request, "blotter.html", here="blotter", **await frame(desk, visitor), **content, **new_form())


def new_form(**given: str) -> dict[str, Any]:
    """An empty form for an order, with a name for it: however often it is sent, it is one order."""
    blank = {"symbol": "", "side": Side.BUY, "quantity": "", "order_type": OrderType.MARKET, "price": ""}
    blank |= {
        "trigger_price": "",
        "product": Product.MIS,
        "validity": Validity.DAY,
        "strategy": "manual",
        "reason": "",
        "approve": "",
    }
    return {"form": {**blank, "client_order_id": new_client_order_id(), **given}, "wrong": {}, **CHOICES}


async def listed(desk: Desk, show: str, symbol: str, strategy: str, sort: str) -> list[Order]:
    found = await desk.find_orders(
        open_only=show == "open", symbol=symbol.strip().upper() or None, strategy=strategy.strip() or None, limit=LISTED
    )
    if show == "today":
        day = start_of_day(datetime.now(UTC))
        found = [order for order in found if not order.status.terminal or order.updated_at >= day]
    return sorted(found, key=SORTS.get(sort, SORTS["time"]), reverse=sort not in SORTS or sort == "time")


@router.get("/order/{client_order_id}")
async def order(request: Request, client_order_id: str, desk: DeskOf, visitor: Looks, part: bool = False) -> Response:
    """The life of an order, each step with its evidence."""
    content = await order_content(desk, client_order_id)
    if part:
        return page(request, "life.html", visitor=visitor, **content)
    return page(request, "order.html", here="blotter", **await frame(desk, visitor), **content)


async def order_content(desk: Desk, client_order_id: str) -> dict[str, Any]:
    found = await order_named(desk, client_order_id)
    events = await desk.read(lambda connection: events_of(connection, found.order_id))
    shown = None if configured_server() else desk.home.ui_link(found.order_id)
    more = await desk.read(lambda connection: beside(connection, found))
    return {"order": found, "events": events, "workflow": shown, "types": list(OrderType), **more}


def beside(connection: sa.Connection, order: Order) -> dict[str, Any]:
    """What proves how an order stands; the plan that it is of, and how it was executed, if there is such."""
    plan, executed = plan_of(order.client_order_id), execution_of(connection, order.order_id)
    evidence = evidence_of(connection, order)
    is_kept = plan is not None and find_plan(connection, order.account, plan) is not None
    return {
        "proof": proof_of(connection, order),
        "judged": evidence.judged or (None,),
        "has_passed": evidence.has_passed,
        "plan": plan if is_kept else None,
        "not_recorded": NOT_RECORDED,
        "quality": quality_of(executed.execution) if executed is not None and order.fills else None,
    }


@router.get("/positions")
async def positions(request: Request, desk: DeskOf, visitor: Looks, part: bool = False) -> Response:
    """What is held, what it earned, and what it cost."""
    content = await desk.read(lambda connection: positions_content(connection, desk.settings))
    if part:
        return page(request, "held.html", visitor=visitor, **content)
    return page(request, "positions.html", here="positions", **await frame(desk, visitor), **content)


def positions_content(connection: sa.Connection, settings: Settings) -> dict[str, Any]:
    """Ours, what the broker says, where nothing explains the difference, and what each strategy's trades came to."""
    account, by, now = Account(settings.account), settings.ledger.realized_by, datetime.now(UTC)
    held = portfolio_of(connection, account, now, by)
    lines = held.positions
    reading = last_reading(connection, account)
    theirs = (
        {}
        if reading is None
        else {(line.symbol, line.product): reading.at_broker(line.symbol, line.product) for line in lines}
    )
    ours = {(line.symbol, line.product) for line in lines}
    strangers = [] if reading is None else [row for key, row in reading.rows.items() if key not in ours]
    closes = settings.guardian.flatten_products
    return {
        "lines": lines,
        "closes": closes if set(closes) < set(Product) else (),
        "total": held.total,
        "theirs": theirs,
        "reading": reading,
        "strangers": strangers,
        "differences": unexplained(connection, account),
        "strategies": held.strategies,
        "curve": curve_of(connection, account, start_of_day(now)),
    }


def curve_of(connection: sa.Connection, account: str, since: datetime) -> dict[str, list[float]]:
    """What the day's trades have earned after charges, trade by trade: seconds since 1970, and rupees in all."""
    charged = sum((sa.func.coalesce(fills.c[name], 0) for name in CHARGED), sa.literal(0))
    earned = sa.type_coerce(fills.c.realized_pnl, sa.BigInteger) - sa.type_coerce(charged, sa.BigInteger)
    asked = sa.select(fills.c.at, sa.type_coerce(earned, Money)).where(fills.c.account == account, fills.c.at >= since)
    times, values, total = [], [], Decimal(0)
    for at, amount in connection.execute(asked.order_by(fills.c.at, fills.c.order_id, fills.c.number)):
        total += amount
        times.append(at.timestamp())
        values.append(float(total))
    return {"times": times, "values": values}


@router.get("/risk")
async def risk(request: Request, desk: DeskOf, visitor: Looks) -> Response:
    """Limits, flags, and what stops the account."""
    return page(request, "risk.html", here="risk", **await risk_content(desk, visitor))


async def risk_content(desk: Desk, visitor: Looks) -> dict[str, Any]:
    limits = await desk.read(lambda connection: limits_of(connection, desk.settings))
    unsettled = await desk.read(lambda connection: unsettled_orders(connection, desk.settings.account))
    lost_gtts = await desk.read(lambda connection: unknown_gtts(connection, desk.settings.account))
    return {**await frame(desk, visitor), "limits": limits, "unsettled": unsettled, "unknown_gtts": lost_gtts}


@router.get("/events")
async def events(
    request: Request, desk: DeskOf, visitor: Looks, before: int | None = None, part: bool = False
) -> Response:
    """What happened, newest first."""
    newest = await desk.read(lambda c: newest_id(c, desk.settings.account))
    top = min(newest, before - 1) if before is not None else newest
    found = [event for event in await desk.events(max(0, top - EVENTS), EVENTS) if event.feed_id <= top]
    content: dict[str, Any] = {
        "events": found[::-1],
        "before": found[0].feed_id if found and found[0].feed_id > 1 else None,
    }
    if part:
        return page(request, "feed.html", visitor=visitor, **content)
    return page(request, "events.html", here="events", **await frame(desk, visitor), **content, live=before is None)


@router.get("/doctor")
async def doctor(request: Request, desk: DeskOf, visitor: Looks) -> Response:
    """What is installed, reachable and healthy."""
    findings = await examine(desk.home, desk.config)
    return page(request, "doctor.html", here="doctor", **await frame(desk, visitor), findings=findings)


@router.get("/calendar")
async def calendar(
    request: Request, desk: DeskOf, visitor: Looks, segment: MarketSegment = MarketSegment.EQUITY
) -> Response:
    """The coming sessions of a segment, each with its source."""
    today = datetime.now(UTC).astimezone(IST).date()
    sessions = list(segment_calendar(segment, desk.settings.market).sessions(today, DAYS))
    content: dict[str, Any] = {"sessions": sessions, "segments": list(MarketSegment), "segment": segment}
    return page(request, "calendar.html", here="calendar", **await frame(desk, visitor), **content)


@router.get("/stream")
async def stream(desk: DeskOf, _visitor: Looks) -> Response:
    """A sign, once a second at most, that something has changed: the page then loads that part of it anew."""
    start = await desk.read(lambda c: newest_id(c, desk.settings.account))
    return EventSourceResponse(_signs(desk, start), ping=15, headers={"X-Accel-Buffering": "no"})


async def _signs(desk: Desk, after: int) -> AsyncGenerator[ServerSentEvent, None]:
    async with aclosing(desk.moves(after)) as moves:
        async for _ in moves:
            yield ServerSentEvent("changed", event="changed")
            await asyncio.sleep(EVERY * max(1.0, desk.pages / AT_EASE))
