"""A Kite on loopback that counts: each user has a book, every request is kept, and a test says what goes wrong.

The sandbox answers as Kite does. This one can do what no Kite would: two users behind one app, answers that drip, and
connections that are never accepted.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from durable_orders.trading.ist import IST

BACKLOG = 64
ENDED = ("COMPLETE", "CANCELLED", "REJECTED")
PROCESSED = "Order cannot be cancelled as it is being processed. Try later."
WRONG_TOKEN = "Incorrect `api_key` or `access_token`."  # noqa: S105


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]
    at: float
    """Of the monotonic clock, when its head had been read."""


Answering = Callable[["Handler", Request], bool]
"""Whether the request has been answered, so that nothing else is done with it."""


@dataclass
class CountingKite:
    """`users` says whose each access token is; `instead` is asked about each request before it is done."""

    users: dict[str, str] = field(default_factory=lambda: {"token-of-first-user": "AB0001"})
    requests: list[Request] = field(default_factory=list)
    instead: Answering | None = None
    shows_positions: bool = False
    """Whether its positions are those of its trades; else there are none."""
    keeps_alive: bool = True
    """Whether a connection may be used again; without it, each request needs a new one."""

    def __post_init__(self) -> None:
        self.books: dict[str, dict[str, dict[str, Any]]] = {user: {} for user in self.users.values()}
        self.trades: dict[str, list[dict[str, Any]]] = {user: [] for user in self.users.values()}
        self._numbers = count(261129000000001)
        self._gate = threading.Event()
        self._gate.set()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.kite = self
        self.port = self._server.server_address[1]
        self.root = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._gate.set()
        self._server.shutdown()
        self._server.server_close()

    def sent(self, method: str = "POST", path: str = "/orders") -> list[Request]:
        """The requests that came, of that method and below that path."""
        return [one for one in self.requests if one.method == method and one.path.startswith(path)]

    def book(self, user: str, form: dict[str, str], status: str = "OPEN") -> str:
        """Enter an order into the user's book. Gives its id."""
        own, now, quantity = str(next(self._numbers)), _now(), int(form["quantity"])
        tag = form.get("tag")
        self.books[user][own] = {
            "order_id": own,
            "exchange_order_id": own,
            "parent_order_id": None,
            "placed_by": user,
            "guid": None,
            "status": status,
            "status_message": None,
            "status_message_raw": None,
            "meta": {},
            "variety": "regular",
            "order_timestamp": now,
            "exchange_update_timestamp": now,
            "exchange_timestamp": now,
            **{name: form[name] for name in ("exchange", "tradingsymbol", "order_type", "transaction_type", "product")},
            "validity": form.get("validity", "DAY"),
            "quantity": quantity,
            "pending_quantity": quantity,
            "price": float(form.get("price") or 0),
            "trigger_price": float(form.get("trigger_price") or 0),
            "average_price": 0,
            "filled_quantity": 0,
            "cancelled_quantity": 0,
            "market_protection": 0,
            "tag": tag,
            "tags": [tag] if tag else [],
        }
        return own

    def fill(self, user: str, order_id: str, price: float, quantity: int | None = None) -> None:
        """That much of it is filled; without a quantity, all that is left."""
        row = self.books[user][order_id]
        traded = row["pending_quantity"] if quantity is None else quantity
        left = row["pending_quantity"] - traded
        status = "OPEN" if left else "COMPLETE"
        filled = row["filled_quantity"] + traded
        row |= {"filled_quantity": filled, "pending_quantity": left, "status": status, "average_price": price}
        shared = {name: row[name] for name in ("order_id", "exchange", "tradingsymbol", "product", "transaction_type")}
        now = _now()
        times = {"fill_timestamp": now, "exchange_timestamp": now, "order_timestamp": now[-8:]}
        trade = {"trade_id": f"T{order_id}-{filled}", "average_price": price, "quantity": traded}
        self.trades[user].append(shared | times | trade)

    def rows(self, **wanted: str) -> list[dict[str, Any]]:
        """Those rows of all books that have these values, each with its `user`."""
        every = [row | {"user": user} for user, book in list(self.books.items()) for row in list(book.values())]
        return [row for row in every if all(row[name] == value for name, value in wanted.items())]

    def net(self, user: str) -> list[dict[str, Any]]:
        """The user's positions, all of one symbol and product."""
        trades = self.trades[user]
        if not trades:
            return []
        signs = {"BUY": 1, "SELL": -1}
        quantity = sum(signs[trade["transaction_type"]] * trade["quantity"] for trade in trades)
        named = {name: trades[0][name] for name in ("exchange", "tradingsymbol", "product")}
        return [named | {"quantity": quantity, "average_price": trades[0]["average_price"]}]

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Within the block no connection is accepted: SYNs are lost, as on a bad line. At its end the line is back."""
        self._gate.clear()
        self._server.socket.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        try:
            for each in crowd:
                each.setblocking(False)  # noqa: FBT003
                each.connect_ex(("127.0.0.1", self.port))
            yield
        finally:
            self._server.socket.listen(BACKLOG)
            self._gate.set()
            for each in crowd:
                each.close()

    def wait_for_the_line(self) -> None:
        self._gate.wait()


class _Server(ThreadingHTTPServer):
    request_queue_size = BACKLOG
    daemon_threads = True
    kite: CountingKite

    def get_request(self) -> tuple[socket.socket, Any]:
        self.kite.wait_for_the_line()
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *words: Any) -> None:
        """Nothing on stderr."""

    def say(self, data: Any, status: int = 200, **headers: str) -> bool:
        """Answer with Kite's envelope."""
        return self.answer({"status": "success", "data": data}, status, **headers)

    def refuse(self, status: int, kind: str, message: str) -> bool:
        return self.answer({"status": "error", "error_type": kind, "message": message, "data": None}, status)

    def answer(self, content: Any, status: int = 200, **headers: str) -> bool:
        body = json.dumps(content).encode()
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | headers
        headers |= {} if self.server.kite.keeps_alive else {"Connection": "close"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        return True

    def drip(self, every: float = 0.1) -> bool:
        """An answer that goes on for ever, a byte at a time."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(every)
        except OSError:
            return True

    def drop(self) -> bool:
        """The connection closes without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return True

    @property
    def user(self) -> str | None:
        return self.server.kite.users.get(self.headers.get("Authorization", "").rpartition(":")[2])

    def do_GET(self) -> None:
        self._do("GET", self._get)

    def do_POST(self) -> None:
        self._do("POST", self._post)

    def do_PUT(self) -> None:
        self._do("PUT", lambda request, user: self.say({"order_id": request.path.rsplit("/", 1)[-1]}))

    def do_DELETE(self) -> None:
        self._do("DELETE", self._delete)

    def _do(self, method: str, do: Callable[[Request, str], bool]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        request = Request(method, urlsplit(self.path).path, form, dict(self.headers.items()), time.monotonic())
        kite = self.server.kite
        kite.requests.append(request)
        if kite.instead is not None and kite.instead(self, request):
            return
        if request.path == "/session/token":
            self.say({"access_token": next(iter(kite.users)), "user_id": next(iter(kite.users.values()))})
        elif (user := self.user) is None:
            self.refuse(403, "TokenException", WRONG_TOKEN)
        else:
            do(request, user)

    def _get(self, request: Request, user: str) -> bool:
        kite = self.server.kite
        told: dict[str, Any] = {
            "/orders": list(kite.books[user].values()),
            "/trades": kite.trades[user],
            "/portfolio/holdings": [],
            "/portfolio/positions": {"net": kite.net(user) if kite.shows_positions else [], "day": []},
            "/user/profile": {"user_id": user, "user_name": f"The user {user}"},
        }
        if request.path not in told:
            return self.refuse(404, "GeneralException", "Route not found")
        return self.say(told[request.path])

    def _post(self, request: Request, user: str) -> bool:
        return self.say({"order_id": self.server.kite.book(user, request.form)})

    def _delete(self, request: Request, user: str) -> bool:
        own = request.path.rsplit("/", 1)[-1]
        row = self.server.kite.books[user].get(own)
        if row is None or row["status"] in ENDED:
            return self.refuse(400, "OrderException", PROCESSED)
        row["status"] = "CANCELLED"
        return self.say({"order_id": own})


def _now() -> str:
    return datetime.now(IST).strftime("%Y-%m-%d %H:%M:%S")
