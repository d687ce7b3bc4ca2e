"""What is installed, reachable and healthy."""

import asyncio
import platform
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from durable_orders.finding import Finding
from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.config.settings import Calendar, Settings
from durable_orders.trading.errors import DurableOrdersError
from durable_orders.trading.guardian.advice import missing_limits
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import (
    AccountState,
    Permission,
    last_book_read,
    last_positions_read,
    permission_of,
)
from durable_orders.trading.ledger.gtts import unknown_gtts
from durable_orders.trading.ledger.news import Cursor, cursors_of
from durable_orders.trading.ledger.open_orders import open_orders
from durable_orders.trading.ledger.position_differences import Unexplained, unexplained
from durable_orders.trading.ledger.reading import unsettled_orders
from durable_orders.trading.ledger.sweeping import Leak, sweep
from durable_orders.trading.market.calendar import segment_calendar
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Account, Mode
from durable_orders.workers.connection import connect
from durable_orders.workers.environment import configured_server
from durable_orders.workers.followed import Followed, running_workflows
from durable_orders.workers.home import Home, ServerAddress
from durable_orders.workers.instruments import instruments_of
from durable_orders.workers.server import temporal_program
from durable_orders.workflows.names import broker_queue, orders_queue, watch_id

FRESH_BOOK_SECONDS = 30.0
FRESH_POSITIONS_SECONDS = 60.0
HOUR_SECONDS = 3600.0
WARN_DAYS = 30
"""So long before the first day whose sessions are not known, that is said."""
FRESH_NEWS_SECONDS = 60.0
"""Whoever tells records it every fifteen."""
OF_THE_ACCOUNT = frozenset({"account", "outcomes", "positions", "reservations", "watch", "calendar", "limits", "ui"})
NEWS = "news to "
UI_SECONDS = 2.0
LISTED_SECONDS = 2.0
"""The server's list of workflows is behind by this much at most, unless it is under load."""
POLL = timedelta(seconds=70)
"""A worker asks anew at least once a minute; the server remembers one that is gone for five."""


def is_of_the_account(finding: Finding) -> bool:
    """Whether it tells how the account or somebody else's service stands, which no restart of a process changes."""
    return finding.name in OF_THE_ACCOUNT or finding.name.startswith(NEWS)


async def examine(home: Home, config: Path | None, *, asks_broker: bool = True) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding, not an error. `asks_broker` also asks the broker of a
    live account."""
    findings = [_installed(), _home(home)]
    try:
        settings = home.settings(config)
    except DurableOrdersError as error:
        return [*findings, Finding(name="settings", healthy=False, detail=str(error))]
    findings.append(
        Finding(name="settings", healthy=True, detail=f"account {settings.account}, mode {settings.execution.mode}")
    )
    findings += [
        _program(),
        *_instruments(home, settings),
        *calendar_finding(settings, datetime.now(UTC).astimezone(IST).date()),
        *_ledger(home, settings),
    ]
    if settings.execution.mode is Mode.LIVE and asks_broker:
        findings += await _broker(home, settings)
    return findings + await _server(home, settings)


async def _broker(home: Home, settings: Settings) -> list[Finding]:
    """Loads the broker's client, which other accounts do not need."""
    from durable_orders.doctor_live import examine_broker

    return await asyncio.to_thread(examine_broker, home, settings)


def _installed() -> Finding:
    parts = ", ".join(f"{name} {version(name)}" for name in ("durable-orders", "temporalio", "sqlalchemy", "pydantic"))
    return Finding(name="installed", healthy=True, detail=f"Python {platform.python_version()}, {parts}")


def _home(home: Home) -> Finding:
    """Looked at, and never made: an empty directory would read like an empty account."""
    if not home.path.is_dir():
        return Finding(name="home", healthy=False, detail=f"{home.path}: there is none; `durable-orders up` starts one")
    try:
        home.make()
    except DurableOrdersError as error:
        return Finding(name="home", healthy=False, detail=str(error))
    return Finding(name="home", healthy=True, detail=str(home.path.resolve()))


def _program() -> Finding:
    try:
        shown = subprocess.run([temporal_program(), "--version"], capture_output=True, text=True, check=True)
    except (DurableOrdersError, OSError, subprocess.CalledProcessError) as error:
        return Finding(name="temporal program", healthy=False, detail=str(error))
    return Finding(name="temporal program", healthy=True, detail=shown.stdout.strip())


def _instruments(home: Home, settings: Settings) -> list[Finding]:
    try:
        instruments = instruments_of(home, settings)
    except DurableOrdersError as error:
        return [Finding(name="instruments", healthy=False, detail=str(error))]
    found = [Finding(name="instruments", healthy=True, detail=f"{len(instruments)} in the master")]
    return [*found, _limits(settings, instruments)] if settings.execution.mode is Mode.LIVE else found


def calendar_finding(settings: Settings, today: date) -> list[Finding]:
    """Whether the sessions of the next days are known. On paper nothing is refused for want of that."""
    if settings.market.calendar is Calendar.ALWAYS_OPEN:
        return []
    calendars = {segment: segment_calendar(segment, settings.market) for segment in MarketSegment}
    found = {segment: each.unknown_after(today - timedelta(days=1)) for segment, each in calendars.items()}
    first = min((session.date for session in found.values() if session is not None), default=None)
    if first is None or (first - today).days > WARN_DAYS:
        return [Finding(name="calendar", healthy=True, detail=f"sessions known{f' before {first}' if first else ''}")]
    unknown = {segment: session for segment, session in found.items() if session is not None and session.date == first}
    of, session = ", ".join(unknown), next(iter(unknown.values()))
    when = f"on {first:%a %d %b %Y}" if session.lacks_hours else f"from {first:%a %d %b %Y} on"
    words = f"the sessions of {of} are not known {when}: live orders are refused then; "
    words += f"update, or write into the settings {session.in_settings}"
    return [Finding(name="calendar", healthy=settings.execution.mode is not Mode.LIVE, detail=words)]


def _limits(settings: Settings, instruments: Instruments) -> Finding:
    """What a live account should be limited by. To go without is the owner's decision, and no fault."""
    missing = missing_limits(settings, instruments)
    words = f"off, and worth setting: {', '.join(missing)}" if missing else "set, as far as they are worth it"
    return Finding(name="limits", healthy=True, detail=words)


def _ledger(home: Home, settings: Settings) -> list[Finding]:
    account = Account(settings.account)
    try:
        with home.ledger(settings) as database, database.read() as connection:
            kind = "SQLite" if database.is_sqlite else "PostgreSQL"
            permission = permission_of(connection, account)
            unsettled = unsettled_orders(connection, account)
            lost_gtts = unknown_gtts(connection, account)
            differing = unexplained(connection, account)
            compared_at = last_positions_read(connection, account)
            read_at = last_book_read(connection, account)
            leaks = sweep(database, account)
            cursors = cursors_of(connection, account)
    except DurableOrdersError as error:
        return [Finding(name="ledger", healthy=False, detail=str(error))]
    return [
        Finding(name="ledger", healthy=True, detail=f"{kind}, schema up to date"),
        _account(permission),
        _outcomes(unsettled, lost_gtts),
        _positions(differing, compared_at),
        _reservations(leaks),
        _watch(read_at),
        *_news(settings, cursors),
    ]


def _outcomes(unsettled: list[str], lost_gtts: list[str]) -> Finding:
    """Of orders, and of GTTs: of neither it is ever guessed."""
    words = [f"unknown: {', '.join(unsettled)}"] if unsettled else []
    words += [f"unknown GTTs, see `gtt list`: {', '.join(lost_gtts)}"] if lost_gtts else []
    return Finding(name="outcomes", healthy=not words, detail="; ".join(words) or "none unknown")


def _positions(differing: list[Unexplained], read_at: datetime | None) -> Finding:
    if differing:
        words = "; ".join(str(each) for each in differing)
        return Finding(name="positions", healthy=False, detail=f"not explained, see `settle-position`: {words}")
    if read_at is None:
        return Finding(name="positions", healthy=False, detail="the broker's were not read yet")
    is_fresh = (datetime.now(UTC) - read_at).total_seconds() < FRESH_POSITIONS_SECONDS
    return Finding(name="positions", healthy=is_fresh, detail=f"as at the broker, read {_ago(read_at)} ago")


def _ago(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{seconds:.1f} s" if seconds < HOUR_SECONDS else f"{seconds / HOUR_SECONDS:.0f} h"


def _news(settings: Settings, cursors: dict[str, Cursor]) -> list[Finding]:
    """What each channel of the account last did. One that fails stops nothing, and is told again."""
    return [_channel(name, cursors.get(name)) for name in settings.channels]


def _channel(name: str, cursor: Cursor | None) -> Finding:
    told_at = cursor.updated_at if cursor is not None else None
    words, healthy = f"told up to event {cursor.feed_id}" if cursor is not None else "", True
    if cursor is not None and cursor.failed_since is not None:
        since = f"{cursor.failed_since.astimezone(IST):%d %b %H:%M:%S} IST"
        words, healthy = f"fails since {since}: {cursor.failure}; it is told late when it works again", False
    if told_at is None or (datetime.now(UTC) - told_at).total_seconds() > FRESH_NEWS_SECONDS:
        last = f"since {_ago(told_at)} ago; {words}" if told_at is not None else "yet"
        words, healthy = f"nobody tells it, neither `durable-orders up` nor `notify run`, {last}", False
    return Finding(name=f"{NEWS}{name}", healthy=healthy, detail=words)


def _reservations(leaks: list[Leak]) -> Finding:
    words = "; ".join(f"{leak.order_id}: {leak.problem}" for leak in leaks)
    return Finding(name="reservations", healthy=not leaks, detail=words or "what open orders may still trade")


def _account(permission: Permission) -> Finding:
    state, reason = permission.state, permission.reason
    healthy = state is AccountState.ACTIVE
    return Finding(name="account", healthy=healthy, detail=state.lower() if healthy else f"{state.lower()}: {reason}")


def _watch(read_at: datetime | None) -> Finding:
    if read_at is None:
        return Finding(name="watch", healthy=False, detail="has not read the order book yet")
    age = (datetime.now(UTC) - read_at).total_seconds()
    return Finding(name="watch", healthy=age < FRESH_BOOK_SECONDS, detail=f"read the order book {age:.1f} s ago")


async def _server(home: Home, settings: Settings) -> list[Finding]:
    try:
        client = await connect(home, settings)
    except DurableOrdersError as error:
        return [Finding(name="server", healthy=False, detail=str(error))]
    found = [Finding(name="server", healthy=True, detail=f"answers on {client.service_client.config.target_host}")]
    address = home.address()
    found += [await _ui(address)] if address is not None and configured_server() is None else []
    broker = broker_queue(settings.account, settings.execution.mode)
    return [
        *found,
        *await _followed(client, home, settings),
        await _pollers(client, "worker", orders_queue(settings.account), TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        await _pollers(client, "broker calls", broker, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    ]


async def _followed(client: Client, home: Home, settings: Settings) -> list[Finding]:
    """Whether the watch runs, and each open order is followed. What is missing once may be too new for the list."""
    try:
        seen = await _who_is_followed(client, home, settings)
        if seen.missing or seen.differing or not seen.watch_runs:
            await asyncio.sleep(LISTED_SECONDS)
            again = await _who_is_followed(client, home, settings)
            seen = replace(again, missing=seen.missing & again.missing, differing=seen.differing & again.differing)
    except (DurableOrdersError, RPCError) as error:
        return [Finding(name="followed", healthy=False, detail=str(error))]
    failing = [f"{own} ({words})" for own, words in seen.failing.items()]
    trouble = [f"without a workflow: {', '.join(sorted(seen.missing))}"] if seen.missing else []
    trouble += [f"its workflow does not go on: {', '.join(sorted(failing))}"] if failing else []
    trouble += [f"{own} is {how}" for own, how in sorted(seen.differing)]
    detail = "; ".join(trouble) or f"each of {len(seen.open)} open orders"
    runs = "runs" if seen.watch_runs else "does not run: a worker starts it again"
    return [
        Finding(name="watch workflow", healthy=seen.watch_runs, detail=f"{watch_id(settings.account)} {runs}"),
        Finding(name="followed", healthy=not trouble, detail=detail),
    ]


async def _who_is_followed(client: Client, home: Home, settings: Settings) -> Followed:
    with home.ledger(settings) as database, database.read() as connection:
        found = open_orders(connection, settings.account)
    return Followed.of(settings.account, found, await running_workflows(client, settings.account))


async def _ui(address: ServerAddress) -> Finding:
    try:
        async with asyncio.timeout(UI_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.ui_port)
    except (OSError, TimeoutError):
        return Finding(name="ui", healthy=False, detail=f"{address.ui} does not answer")
    writer.close()
    return Finding(name="ui", healthy=True, detail=address.ui)


async def _pollers(client: Client, job: str, queue: str, kind: "TaskQueueType.ValueType") -> Finding:
    try:
        workers = await _polling(client, queue, kind)
    except RPCError as error:
        return Finding(name=f"{job} {queue}", healthy=False, detail=error.message)
    detail = f"{workers} polling" if workers else "no worker polls this queue: start `durable-orders worker`"
    return Finding(name=f"{job} {queue}", healthy=workers > 0, detail=detail)


async def pollers_of(client: Client, settings: Settings) -> int | None:
    """How many workers take the account's orders; `None` if the server does not say."""
    try:
        return await _polling(client, orders_queue(settings.account), TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
    except RPCError:
        return None


async def _polling(client: Client, queue: str, kind: "TaskQueueType.ValueType") -> int:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    answer = await client.workflow_service.describe_task_queue(request)
    since = datetime.now(UTC) - POLL
    return len({poller.identity for poller in answer.pollers if _last_seen(poller) > since})


def _last_seen(poller: PollerInfo) -> datetime:
    return poller.last_access_time.ToDatetime(UTC)
