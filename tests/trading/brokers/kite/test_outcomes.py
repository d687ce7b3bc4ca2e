"""Every way in which a call to Kite can end, through the real client, against a server that answers by script."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import SecretStr

from durable_orders.trading.brokers.kite.broker import KiteBroker
from durable_orders.trading.config.settings import Kite, Live, Market
from durable_orders.trading.errors import BookUnreadable, LoginNeeded
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.approval import grant
from durable_orders.trading.orders.order import BrokerOrderId, Instructions, Order, OrderIntent, OrderType, Side
from durable_orders.trading.orders.outcome import Accepted, NotSent, Outcome, Refused, SessionExpired, Unknown

TOKEN = "sekret-access-token"  # noqa: S105  (a made-up one)
MIDDAY = datetime(2025, 4, 29, 6, 30, tzinfo=UTC)

Script = Callable[[socket.socket], None]


def reply(status: str, body: str, content_type: str = "application/json") -> Script:
    """Answer with this, whatever was asked."""
    content = body.encode()
    fields = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(content)}",
        "Connection: close",
    )
    head = "\r\n".join(fields) + "\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + content)


def error(status: str, kind: str | None, message: str | None) -> Script:
    parts = ['"status":"error"', '"data":null']
    parts += [f'"error_type":"{kind}"'] if kind else []
    parts += [f'"message":"{message}"'] if message else []
    return reply(status, "{" + ",".join(parts) + "}")


def drop(connection: socket.socket) -> None:
    """Take the request and say nothing."""


def fall_silent(connection: socket.socket) -> None:
    """Keep the client waiting until it gives up."""
    connection.settimeout(5)
    while connection.recv(1024):
        pass


class Server:
    """Answers each request by the script of the moment, and keeps what was asked."""

    def __init__(self) -> None:
        self.script: Script = drop
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with closing(connection):
                self.requests.append(_request(connection))
                self.script(connection)


def _request(connection: socket.socket) -> bytes:
    """The whole request: head, and as much of a body as the head announces."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < sum(lengths):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


def kite(port: int, token: str | None = TOKEN, prefix: str = "", live: Live | None = None) -> KiteBroker:
    settings = Kite(
        api_key="key", api_secret=SecretStr("x"), root=f"http://127.0.0.1:{port}", timeout=0.3, route_prefix=prefix
    )
    sessions = InstrumentSessions(Market(), Instruments.shipped())
    return KiteBroker(settings, live or Live(), lambda: token, sessions, lambda: MIDDAY)


def market_order() -> Order:
    intent = OrderIntent(symbol="NSE:M&M", side=Side.BUY, quantity=1, client_order_id="one")
    return Order.from_intent(intent, MIDDAY)


def place(broker: KiteBroker, order: Order | None = None) -> Outcome:
    return broker.place(grant(order or market_order()))


ENDINGS: dict[str, tuple[Script, type]] = {
    "receipt": (reply("200 OK", '{"status":"success","data":{"order_id":"1953341975595868160"}}'), Accepted),
    "input": (error("400 Bad Request", "InputException", "The price is not a multiple of the tick"), Refused),
    "order": (error("400 Bad Request", "OrderException", "no"), Refused),
    "margin becomes GeneralException in the client": (error("400 Bad Request", "MarginException", "Need 5"), Refused),
    "holding": (error("428 Required", "HoldingException", "needs authorisation at depository"), Refused),
    "permission": (error("403 Forbidden", "PermissionException", "IP (1.2.3.4) is not allowed"), Refused),
    "bad token, but not logged out": (error("400 Bad Request", "TokenException", "Invalid `api_key`"), Refused),
    "logged out": (error("403 Forbidden", "TokenException", "Incorrect `api_key` or `access_token`."), SessionExpired),
    "too many": (error("429 Too Many", "NetworkException", "Too many requests"), NotSent),
    "day cap": (error("429 Too Many", "NetworkException", "Maximum allowed order requests exceeded."), NotSent),
    "network 503": (error("503 Unavailable", "NetworkException", "OMS unreachable"), Unknown),
    "network 400": (error("400 Bad Request", "NetworkException", "hm"), Unknown),
    "general 500": (error("500 Error", "GeneralException", "Something went wrong"), Unknown),
    "order 500": (error("500 Error", "OrderException", "Something went wrong"), Unknown),
    "data": (error("502 Bad Gateway", "DataException", "OMS reply not understood"), Unknown),
    "HTML of a gateway": (reply("504 Gateway Time-out", "<html>504</html>", "text/html"), Unknown),
    "HTML with 403": (reply("403 Forbidden", "<html>denied</html>", "text/html"), Unknown),
    "no error_type": (error("400 Bad Request", None, "what"), Unknown),
    "no message": (error("400 Bad Request", "InputException", None), Unknown),
    "empty body": (reply("200 OK", ""), Unknown),
    "half a body": (reply("200 OK", '{"status":"succ'), Unknown),
    "no order id": (reply("200 OK", '{"status":"success","data":{}}'), Unknown),
    "order id null": (reply("200 OK", '{"status":"success","data":{"order_id":null}}'), Unknown),
    "order id a number": (reply("200 OK", '{"status":"success","data":{"order_id":7}}'), Unknown),
    "success under 500": (reply("500 Error", '{"status":"success","data":{"order_id":"19533419"}}'), Unknown),
    "a list": (reply("200 OK", "[]"), Unknown),
    "dropped": (drop, Unknown),
    "silent": (fall_silent, Unknown),
}


@pytest.mark.parametrize(("script", "kind"), ENDINGS.values(), ids=ENDINGS.keys())
def test_each_ending_of_a_placement_proves_what_it_proves(server: Server, script: Script, kind: type) -> None:
    server.script = script
    assert isinstance(place(kite(server.port)), kind)
    assert len(server.requests) == 1, "a placement is sent once, whatever its answer"


def test_nobody_listens_so_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert isinstance(place(kite(port)), NotSent)


def test_a_name_that_does_not_exist_was_not_sent_to() -> None:
    settings = Kite(api_key="key", root="http://no-such-host.invalid", timeout=0.3)
    broker = KiteBroker(
        settings, Live(), lambda: TOKEN, InstrumentSessions(Market(), Instruments.shipped()), lambda: MIDDAY
    )
    assert isinstance(place(broker), NotSent)


def test_without_a_login_nothing_is_sent(server: Server) -> None:
    assert isinstance(place(kite(server.port, token=None)), SessionExpired)
    assert server.requests == []


def test_a_market_order_carries_protection_and_its_tag(server: Server) -> None:
    server.script = ENDINGS["receipt"][0]
    order = market_order()
    assert isinstance(place(kite(server.port), order), Accepted)
    head, body = server.requests[0].decode().split("\r\n\r\n")
    assert head.startswith("POST /orders/regular ")
    fields = dict(part.split("=") for part in body.split("&"))
    assert fields["market_protection"] == "-1"
    assert fields["tag"] == order.tag
    assert fields["tradingsymbol"] == "M%26M"
    assert "price" not in fields


@pytest.mark.parametrize("autoslice", [False, True])
def test_the_registered_algo_goes_with_each_order(server: Server, autoslice: bool) -> None:
    server.script = ENDINGS["receipt"][0]
    order = market_order()
    if autoslice:
        order = order.model_copy(update={"instructions": Instructions(autoslice=True)})
    live = Live(orders_per_second=20, algo_id="NSE-4711")
    place(kite(server.port, live=live), order)
    assert b"algo_id=NSE-4711" in server.requests[0]
    place(kite(server.port), order)
    assert b"algo_id" not in server.requests[1]


def test_prices_are_sent_by_their_digits(server: Server) -> None:
    server.script = ENDINGS["receipt"][0]
    intent = OrderIntent(
        symbol="CDS:USDINR25MAYFUT", side=Side.SELL, quantity=1, order_type=OrderType.LIMIT, price=Decimal("85.2025")
    )
    place(kite(server.port), Order.from_intent(intent, MIDDAY))
    assert b"price=85.2025" in server.requests[0]
    assert b"market_protection" not in server.requests[0]


@pytest.mark.parametrize(
    ("symbol", "at", "variety"),
    [
        ("NSE:INFY", "2025-04-29 08:59", "amo"),
        ("NSE:INFY", "2025-04-29 09:05", "regular"),
        ("NSE:INFY", "2025-04-29 19:30", "amo"),
        ("NSE:INFY", "2025-05-01 11:00", "amo"),
        ("NSE:INFY", "2026-08-03 15:45", "amo"),
        ("NSE:INFY", "2026-08-03 15:55", "regular"),  # after the close, at its price
        ("NFO:NIFTY25MAYFUT", "2025-04-29 15:35", "amo"),
        ("NFO:NIFTY25MAYFUT", "2026-08-03 15:35", "regular"),
        ("MCX:CRUDEOIL25MAYFUT", "2025-04-29 19:30", "regular"),
        ("MCX:CRUDEOIL25MAYFUT", "2026-11-24 19:00", "regular"),  # the evening of a holiday
        ("MCX:CRUDEOIL25MAYFUT", "2026-01-01 19:00", "amo"),
    ],
)
def test_outside_its_session_it_is_an_after_market_order(server: Server, symbol: str, at: str, variety: str) -> None:
    server.script = ENDINGS["receipt"][0]
    settings = Kite(api_key="key", root=f"http://127.0.0.1:{server.port}", timeout=0.3)
    moment = datetime.fromisoformat(at).replace(tzinfo=IST)
    broker = KiteBroker(
        settings, Live(), lambda: TOKEN, InstrumentSessions(Market(), Instruments.shipped()), lambda: moment
    )
    place(broker, Order.from_intent(OrderIntent(symbol=symbol, side=Side.BUY, quantity=1), MIDDAY))
    assert server.requests[0].startswith(f"POST /orders/{variety} ".encode())


def test_a_route_prefix_is_for_all_routes(server: Server) -> None:
    place(kite(server.port, prefix="/oms"))
    assert server.requests[0].startswith(b"POST /oms/orders/regular ")


def test_a_cancel_is_for_the_variety_that_was_placed(server: Server) -> None:
    row = (
        '{"order_id":"77","variety":"amo","exchange":"NSE","tradingsymbol":"INFY","transaction_type":"BUY",'
        '"quantity":1,"filled_quantity":0,"product":"CNC","order_type":"LIMIT","price":1500.1,"status":"OPEN",'
        '"order_timestamp":"2025-04-29 10:00:00","tag":null}'
    )
    server.script = reply("200 OK", '{"status":"success","data":[' + row + "]}")
    kite(server.port).cancel(BrokerOrderId("77"))
    assert [request.split(b" HTTP")[0] for request in server.requests] == [b"GET /orders", b"DELETE /orders/amo/77"]


def book_of(tag: str, product: str = "CO", price: str = "1500.1") -> Script:
    row = (
        '{"order_id":"78","exchange":"NSE","tradingsymbol":"INFY","transaction_type":"BUY","quantity":1,'
        f'"filled_quantity":0,"product":"{product}","order_type":"LIMIT","price":{price},"status":"OPEN",'
        f'"order_timestamp":"2025-04-29 10:00:00","tag":"{tag}"' + "}"
    )
    return reply("200 OK", '{"status":"success","data":[' + row + "]}")


@pytest.mark.parametrize(
    ("product", "price"), [("CO", "1500.1"), ("MIS", '"dear"'), ("MIS", "NaN"), ("MIS", "[1]")], ids=str
)
def test_a_row_of_somebody_else_that_is_not_understood_is_left_out(server: Server, product: str, price: str) -> None:
    server.script = book_of("a cover order", product, price)
    broker = kite(server.port)
    assert broker.order_book() == []
    assert [odd.what for odd in broker.odd_rows()] == ["order 78"]


def test_what_is_no_row_at_all_is_left_out(server: Server) -> None:
    server.script = reply("200 OK", '{"status":"success","data":[{}]}')
    broker = kite(server.port)
    assert (broker.order_book(), broker.trades()) == ([], [])
    assert [odd.what for odd in broker.odd_rows()] == ["order without an id", "trade without an id"]


def test_a_trade_that_is_not_understood_costs_no_more_than_itself(server: Server) -> None:
    broker = kite(server.port)
    trade = '{"trade_id":"%s","order_id":"1","quantity":1,"average_price":%s,"fill_timestamp":"2025-04-29 10:00:00"}'
    server.script = reply("200 OK", '{"status":"success","data":[' + trade % (7, 0) + "," + trade % (8, 10) + "]}")
    assert [fill.trade_id for fill in broker.trades()] == ["8"]
    assert "trade 7" in [odd.what for odd in broker.odd_rows()]


def test_a_row_of_ours_that_is_not_understood_never_looks_as_if_it_were_not_there(server: Server) -> None:
    server.script = book_of(market_order().tag)
    with pytest.raises(BookUnreadable, match="order 78, which has a tag of ours"):
        kite(server.port).order_book()


def test_an_earlier_reply_says_nothing_of_a_call_that_never_left(server: Server) -> None:
    server.script = ENDINGS["too many"][0]
    broker = kite(server.port)
    assert isinstance(place(broker), NotSent)
    unspeakable = market_order().model_copy(update={"symbol": "without an exchange"})
    assert isinstance(place(broker, unspeakable), Unknown)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", [name for name, (_, kind) in ENDINGS.items() if kind is not Accepted])
def test_a_book_that_is_not_plainly_a_book_is_unreadable(server: Server, name: str) -> None:
    server.script = ENDINGS[name][0]
    expected = LoginNeeded if name == "logged out" else BookUnreadable
    if name != "a list":
        with pytest.raises(expected):
            kite(server.port).order_book()


def test_no_token_in_what_is_kept(server: Server) -> None:
    for script, _ in ENDINGS.values():
        server.script = script
        assert TOKEN not in place(kite(server.port)).model_dump_json()


def test_a_static_ip_refusal_is_of_the_account(server: Server) -> None:
    server.script = ENDINGS["permission"][0]
    outcome = place(kite(server.port))
    assert isinstance(outcome, Refused)
    assert outcome.of_account
    server.script = ENDINGS["input"][0]
    refused = place(kite(server.port))
    assert isinstance(refused, Refused)
    assert not refused.of_account
