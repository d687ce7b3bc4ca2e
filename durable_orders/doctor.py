"""What is installed, reachable and healthy."""

import asyncio
import platform
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from trading.errors import DurableOrdersError
from trading.guardian.advice import missing_limits
from trading.ledger.accounts import AccountState, Permission, last_book_read, permission_of
from trading.ledger.migrate import open_database
from trading.ledger.reading import unsettled_orders
from trading.ledger.sweeping import Leak, sweep
from trading.market.instruments import Instruments
from trading.order import Account, Frozen, Mode
from trading.settings import Settings
from workers.connection import configured_server, connect
from workers.home import Home, ServerAddress
from workers.instruments import instruments_of
from workers.server import temporal_program
from workflows.names import broker_queue, orders_queue

FRESH_BOOK_SECONDS = 30.0
UI_SECONDS = 2.0
POLL = timedelta(seconds=70)
"""A worker asks anew at least once a minute; the server remembers one that is gone for five."""


class Finding(Frozen):
    """One thing that was looked at."""

    name: str
    healthy: bool
    detail: str


async def examine(home: Home, config: Path | None) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding, not an error."""
    findings = [_installed(), _home(home)]
    try:
        settings = home.settings(config)
    except DurableOrdersError as error:
        return [*findings, Finding(name="settings", healthy=False, detail=str(error))]
    findings.append(
        Finding(name="settings", healthy=True, detail=f"account {settings.account}, mode {settings.execution.mode}")
    )
    findings += [_program(), *_instruments(home, settings), *_ledger(home, settings)]
    return findings + await _server(home, settings)


def _installed() -> Finding:
    parts = ", ".join(f"{name} {version(name)}" for name in ("durable-orders", "temporalio", "sqlalchemy", "pydantic"))
    return Finding(name="installed", healthy=True, detail=f"Python {platform.python_version()}, {parts}")


def _home(home: Home) -> Finding:
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


def _limits(settings: Settings, instruments: Instruments) -> Finding:
    """What a live account should be limited by. To go without is the owner's decision, and no fault."""
    missing = missing_limits(settings, instruments)
    words = f"off, and worth setting: {', '.join(missing)}" if missing else "set, as far as they are worth it"
    return Finding(name="limits", healthy=True, detail=words)


def _ledger(home: Home, settings: Settings) -> list[Finding]:
    account = Account(settings.account)
    try:
        with open_database(home.ledger_url(settings)) as database, database.read() as connection:
            kind = "SQLite" if database.is_sqlite else "PostgreSQL"
            permission = permission_of(connection, account)
            unsettled = unsettled_orders(connection, account)
            read_at = last_book_read(connection, account)
            leaks = sweep(database, account)
    except DurableOrdersError as error:
        return [Finding(name="ledger", healthy=False, detail=str(error))]
    return [
        Finding(name="ledger", healthy=True, detail=f"{kind}, schema up to date"),
        _account(permission),
        Finding(
            name="outcomes",
            healthy=not unsettled,
            detail=f"unknown: {', '.join(unsettled)}" if unsettled else "none unknown",
        ),
        _reservations(leaks),
        _watch(read_at),
    ]


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
        client = await connect(home)
    except DurableOrdersError as error:
        return [Finding(name="server", healthy=False, detail=str(error))]
    found = [Finding(name="server", healthy=True, detail=f"answers on {client.service_client.config.target_host}")]
    address = home.address()
    found += [await _ui(address)] if address is not None and configured_server() is None else []
    broker = broker_queue(settings.account, settings.execution.mode)
    return [
        *found,
        await _pollers(client, "worker", orders_queue(settings.account), TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        await _pollers(client, "broker calls", broker, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    ]


async def _ui(address: ServerAddress) -> Finding:
    try:
        async with asyncio.timeout(UI_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.ui_port)
    except (OSError, TimeoutError):
        return Finding(name="ui", healthy=False, detail=f"{address.ui} does not answer")
    writer.close()
    return Finding(name="ui", healthy=True, detail=address.ui)


async def _pollers(client: Client, job: str, queue: str, kind: "TaskQueueType.ValueType") -> Finding:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    try:
        answer = await client.workflow_service.describe_task_queue(request)
    except RPCError as error:
        return Finding(name=f"{job} {queue}", healthy=False, detail=error.message)
    since = datetime.now(UTC) - POLL
    workers = len({poller.identity for poller in answer.pollers if _last_seen(poller) > since})
    detail = f"{workers} polling" if workers else "no worker polls this queue: start `durable-orders worker`"
    return Finding(name=f"{job} {queue}", healthy=workers > 0, detail=detail)


def _last_seen(poller: PollerInfo) -> datetime:
    return poller.last_access_time.ToDatetime(UTC)
