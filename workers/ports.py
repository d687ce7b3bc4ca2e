"""Ports of the loopback: which one a server gets, and who listens there."""

import os
import random
import socket
from contextlib import suppress
from pathlib import Path

from durable_orders.trading.errors import ServerUnreachable

LOOPBACK = "127.0.0.1"
ANY = 0
QUIET = range(15_000, 32_000)
"""Where any free port is looked for: below what Linux and macOS give to outgoing connections, of which one could take
the port while its server is started again."""
PROCESSES = Path("/proc")
LISTENING = "0A"


class PortLost(ServerUnreachable):
    """Somebody else has taken a port that was free a moment before."""


def choose(wanted: int | None, default: int) -> int:
    """`wanted` as it is. Without one the default, if nobody has it; else, and for `ANY`, any free one."""
    if wanted:
        return wanted
    if wanted is None and is_free(default):
        return default
    return next(port for port in random.sample(QUIET, len(QUIET)) if is_free(port))


def is_free(port: int) -> bool:
    return _taken(port) is None


def must_be_free(port: int) -> None:
    """Whoever listens there might answer in our server's place: with another home's orders, if it is theirs."""
    why = _taken(port)
    if why is not None:
        raise ServerUnreachable(f"port {port} cannot be used ({why}): choose another")


def _taken(port: int) -> str | None:
    """Why nobody else can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return str(error.strerror)
    return None


def listens(pid: int, port: int) -> bool:
    """Whether it is that process which listens on the port. Where the system does not tell, it is taken to be so."""
    own = PROCESSES / str(pid)
    try:
        rows = [line.split() for line in (own / "net" / "tcp").read_text(encoding="ascii").splitlines()[1:]]
        sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING and int(row[1][-4:], 16) == port}
        descriptors = list((own / "fd").iterdir())
    except OSError:
        return not PROCESSES.joinpath("self").exists()
    for descriptor in descriptors:
        with suppress(OSError):  # it was closed meanwhile
            if os.readlink(descriptor) in sockets:  # noqa: PTH115
                return True
    return False
