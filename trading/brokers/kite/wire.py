"""The connections under the Kite client: what the wire of one call really did.

A connection is made first. Then the last look is taken, on the connection, with the whole request ready; and only then
its first byte leaves. So a lost SYN, a slow name server or a machine that slept meanwhile cannot make an order late.
"""

import http.client
import io
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.outcome import Evidence, Held, NotSent

LIMIT = 7.0
"""Seconds for a call that names none."""
JUST_NOW = 0.05
"""Seconds: a wait that ends with the call's time may end a moment sooner."""
USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)
"""How long sent bytes may wait for their acknowledgement before the kernel gives the connection up (Linux, tcp(7))."""

Address = tuple[Any, ...]


class HeldBack(Exception):
    """The request was ready to leave, and must not: nothing of it was sent."""


class Wire:
    """One call: how much time it has left, and how far it came."""

    def __init__(self, seconds: float = LIMIT, last_look: LastLook | None = None) -> None:
        self._ends = time.monotonic() + seconds
        self._last_look = last_look
        self.left = False
        """Whether a byte of the request may have left."""
        self.held: Held | None = None
        """What the last look said against it."""
        self.reply: requests.Response | None = None

    def remaining(self) -> float:
        """Seconds. Raises `TimeoutError` when there are none left."""
        seconds = self._ends - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the call has used up its time")
        return seconds

    @property
    def is_over(self) -> bool:
        """Whether its time is over, or as good as that."""
        return time.monotonic() > self._ends - JUST_NOW

    @contextmanager
    def leaving(self) -> Iterator[float]:
        """Whether the request may leave is looked at now; within the block it does. Gives the seconds within which it
        must have arrived. Raises `HeldBack`.
        """
        seconds = self.remaining()
        if self._last_look is None:
            self.left = True
            yield seconds
            return
        with self._last_look.leaving() as held:
            seconds = min(seconds, (self._last_look.not_after - datetime.now(UTC)).total_seconds())
            if held is not None or seconds <= 0:
                self.held = held or NotSent(evidence=Evidence(message="its deadline passed on the way"), tried=False)
                raise HeldBack
            self.left = True
            yield seconds


_here = threading.local()


def begin(wire: Wire) -> None:
    """This thread makes that call now."""
    _here.wire = wire


def taken() -> Wire | None:
    """The last call that this thread made; `None` if it made none since this was asked."""
    wire: Wire | None = getattr(_here, "wire", None)
    _here.wire = None
    return wire


def _current() -> Wire:
    wire: Wire = _here.wire
    return wire


def _resolved(host: str, port: int, seconds: float) -> list[Address]:
    """The host's addresses. The library has no time limit for that, so a thread asks. Raises `TimeoutError`."""
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else socket.gaierror(str(error)))

    threading.Thread(target=ask, name="resolving", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the name server did not answer") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class _Timed(io.RawIOBase):
    """What comes in over a socket, until the call's time is over: a socket's own limit begins anew with each byte."""

    def __init__(self, incoming: io.RawIOBase, sock: socket.socket) -> None:
        self._incoming = incoming
        self._sock = sock
        self._wire = _current()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._wire.remaining())
        return self._incoming.readinto(buffer)

    def close(self) -> None:
        self._incoming.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    """Connects within the call's time, looks, and sends the request in one piece."""

    response_class = _TimedResponse
    auto_open = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._pieces: list[bytes] | None = None

    def _new_conn(self) -> socket.socket:
        wire, late = _current(), "no connection within the time limit"
        try:
            addresses = _resolved(self._dns_host, self.port or self.default_port, wire.remaining())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, late) from error
        failed: OSError | None = None
        for tried, address in enumerate(addresses):
            try:
                return self._connected(address, wire.remaining() / (len(addresses) - tried))
            except OSError as error:
                failed = error
        if isinstance(failed, TimeoutError):
            raise ConnectTimeoutError(self, late) from failed
        raise NewConnectionError(self, f"no connection: {failed}") from failed

    def _connected(self, address: Address, seconds: float) -> socket.socket:
        family, kind, protocol, _, place = address
        sock = socket.socket(family, kind, protocol)
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(seconds)
            sock.connect(place)
            sock.settimeout(_current().remaining())  # for the TLS handshake
        except OSError:
            sock.close()
            raise
        return sock

    def request(self, *arguments: Any, **named: Any) -> None:
        if self.sock is None:
            self.connect()
        self._pieces = []
        try:
            super().request(*arguments, **named)
            whole = b"".join(self._pieces)
        finally:
            self._pieces = None
        with _current().leaving() as seconds:
            self._arrive_within(seconds)
            self.sock.sendall(whole)

    def send(self, data: Any) -> None:
        if self._pieces is None:
            super().send(data)  # on the way through a proxy
        else:
            self._pieces.append(bytes(data))

    def _arrive_within(self, seconds: float) -> None:
        """Bytes that were lost on the way the kernel sends again, and no longer than that, whoever has given up."""
        self.sock.settimeout(seconds)
        if USER_TIMEOUT is not None:
            self.sock.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, max(1, int(seconds * 1000)))

    def getresponse(self) -> Any:
        self.timeout = _current().remaining()
        return super().getresponse()


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""By scheme, for urllib3's managers of pools."""
