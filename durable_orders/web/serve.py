"""Serves the desk in this process: one of its own, so that no page slows an order."""

import errno
import socket
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from durable_orders.trading.errors import HomeUnusable
from durable_orders.web.app import build
from durable_orders.web.desk import Desk
from durable_orders.workers.home import Home

FREE_SECONDS = 5.0
BACKLOG = 2048
"""Connections that may wait to be taken: a burst of alerts comes at once, and the system's own limit may be lower."""
GRACE = 3
"""Seconds that open answers get when it stops; streams end then."""


def serve(home: Home, config: Path | None, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM. Raises what a `Desk` raises, and `HomeUnusable` for a port that cannot be had."""
    listening = _listen(host, port)
    desk = Desk(home, config)
    server = uvicorn.Server(
        uvicorn.Config(
            build(desk),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="websockets-sansio",
            timeout_graceful_shutdown=GRACE,
        )
    )
    bound = listening.getsockname()
    ready(f"http://{host}:{bound[1]}")
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A page before this one that is ending gets a moment to let go of the port."""
    until = time.monotonic() + FREE_SECONDS
    while True:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                words = f"page: port {port} of {host} cannot be used ({error.strerror}): choose another"
                raise HomeUnusable(words) from None
            time.sleep(0.1)
        else:
            return listening
