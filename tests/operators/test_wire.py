"""What the wire of one call proves, through the real client: sent or not, in time or not, and of this call alone."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from pydantic import SecretStr

from durable_orders import login
from durable_orders.callers.broker import CallersBroker
from durable_orders.trading.brokers.kite.broker import KiteBroker
from durable_orders.trading.config.settings import Kite, Live, Market
from durable_orders.trading.errors import BookUnreadable, RefusedError
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.approval import grant
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Instructions, Order, OrderIntent, Side
from durable_orders.trading.orders.outcome import Accepted, Evidence, Held, NotSent, Outcome, Refused, Unknown
from durable_orders.workers.home import Home
from tests.operators.counting_kite import CountingKite, Handler, Request

TOKEN, USER, SECRET = "token-of-first-user", "AB0001", "the-api-secret-of-this-app"
LIMIT = 1.0
"""Seconds for a whole call."""


class Look:
    """A last look that counts itself and says what the test says."""

    def __init__(self, held: Held | None = None, seconds: float = 60) -> None:
        self.not_after = datetime.now(UTC) + timedelta(seconds=seconds)
        self.times: list[float] = []
        self._held = held

    @contextmanager
    def leaving(self) -> Iterator[Held | None]:
        self.times.append(time.monotonic())
        is_late = datetime.now(UTC) > self.not_after
        yield NotSent(evidence=Evidence(message="too late"), tried=False) if is_late else self._held

    def late(self) -> NotSent | None:
        raise NotImplementedError


def settings_of(kite: CountingKite, **more: Any) -> Kite:
    return Kite(**{"api_key": "key", "api_secret": SecretStr(SECRET), "root": kite.root, "timeout": LIMIT} | more)


def broker_of(kite: CountingKite, **more: Any) -> KiteBroker:
    sessions = InstrumentSessions(Market(), Instruments.shipped())
    return KiteBroker(settings_of(kite, **more), Live(), lambda: TOKEN, sessions, lambda: datetime.now(UTC))


def an_order(**terms: Any) -> Order:
    content: dict[str, Any] = {"symbol": "NSE:INFY", "side": Side.BUY, "quantity": 10, "mode": "live"}
    return Order.from_intent(OrderIntent(**content | terms), datetime.now(UTC))


def place(broker: KiteBroker, look: Look | None = None, order: Order | None = None) -> Outcome:
    return broker.place(grant(order or an_order()), look)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


# A redirect is not followed.


def redirecting(to: str, path: str, status: int = 303) -> Callable[[Handler, Request], bool]:
    """The request is done, and answered with a redirect."""

    def instead(handler: Handler, request: Request) -> bool:
        if not request.path.startswith(path):
            return False
        if request.method == "POST" and path == "/orders":
            handler.server.kite.book(USER, request.form)
        return handler.say({"order_id": "1", "access_token": "x", "user_id": USER}, status, Location=to)

    return instead


@pytest.fixture
def elsewhere() -> Iterator[CountingKite]:
    other = CountingKite()
    yield other
    other.close()


ANSWERS_ELSEWHERE: dict[str, Callable[[Handler, Request], bool]] = {
    "accepted": lambda handler, request: handler.say({"order_id": "77"}),
    "refused": lambda handler, request: handler.refuse(400, "InputException", "no"),
    "logged out": lambda handler, request: handler.refuse(403, "TokenException", "no"),
    "too many": lambda handler, request: handler.refuse(429, "NetworkException", "no"),
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("answer", ANSWERS_ELSEWHERE)
def test_placement_that_is_redirected_is_unknown_whatever_answers_there(
    kite: CountingKite, elsewhere: CountingKite, answer: str, status: int
) -> None:
    elsewhere.instead = ANSWERS_ELSEWHERE[answer]
    kite.instead = redirecting(f"{elsewhere.root}/orders/regular", "/orders", status)
    outcome = place(broker_of(kite))
    assert isinstance(outcome, Unknown)
    assert outcome.evidence.http_status == status
    assert (len(kite.sent()), elsewhere.requests) == (1, [])


def test_placement_that_is_redirected_to_a_dead_host_is_unknown(kite: CountingKite) -> None:
    kite.instead = redirecting(f"http://127.0.0.1:{unused_port()}/orders", "/orders")
    assert isinstance(place(broker_of(kite)), Unknown)
    assert len(kite.rows()) == 1, "it is at the exchange"


def test_book_that_is_redirected_is_unreadable(kite: CountingKite, elsewhere: CountingKite) -> None:
    elsewhere.instead = lambda handler, request: handler.say([])
    kite.instead = redirecting(f"{elsewhere.root}/orders", "/orders", 302)
    with pytest.raises(BookUnreadable, match="302"):
        broker_of(kite).order_book()
    assert elsewhere.requests == []


def test_login_that_is_redirected_is_refused_and_hands_nothing_on(
    kite: CountingKite, elsewhere: CountingKite, tmp_path: Path
) -> None:
    kite.instead = redirecting(f"{elsewhere.root}/session/token", "/", 307)
    with pytest.raises(RefusedError, match=r"^the login: .* redirect, which is not followed: is kite.root right\?$"):
        login.exchange(settings_of(kite), "the-request-token")
    with pytest.raises(RefusedError, match=r"^this access token: .* redirect, which is not followed"):
        login.keep(Home(tmp_path), settings_of(kite), TOKEN)
    assert elsewhere.requests == []
    assert not Home(tmp_path).session_file.exists()


# One limit holds for a whole call.


def test_book_that_drips_is_unreadable_when_its_time_is_over(kite: CountingKite) -> None:
    kite.instead = lambda handler, request: handler.drip(LIMIT / 5)
    began = time.monotonic()
    with pytest.raises(BookUnreadable):
        broker_of(kite).order_book()
    assert time.monotonic() - began < 20 * LIMIT, "it would go on for days"


def test_answer_to_a_placement_that_drips_is_lost(kite: CountingKite) -> None:
    def drips(handler: Handler, request: Request) -> bool:
        handler.server.kite.book(USER, request.form)
        return handler.drip(LIMIT / 5)

    kite.instead = drips
    assert isinstance(place(broker_of(kite), Look()), Unknown)
    assert len(kite.rows()) == 1


def test_head_of_an_answer_that_drips_is_lost(kite: CountingKite) -> None:
    """Not the body alone: the status line, too, may come a byte at a time."""

    def drips(handler: Handler, request: Request) -> bool:
        handler.close_connection = True
        try:
            for byte in b"HTTP/1.1 200 OK and so on, and so on, and so on":
                handler.wfile.write(bytes([byte]))
                time.sleep(LIMIT / 4)
        except OSError:
            pass
        return True

    kite.instead = drips
    assert isinstance(place(broker_of(kite), Look()), Unknown)


# The last look is taken on the connection.


def test_looked_at_when_the_connection_is_there_and_only_then_sent(kite: CountingKite) -> None:
    look = Look()
    assert isinstance(place(broker_of(kite), look), Accepted)
    (arrived,) = kite.sent()
    assert len(look.times) == 1
    assert look.times[0] < arrived.at


def test_what_the_last_look_says_against_it_is_the_outcome_and_nothing_left(kite: CountingKite) -> None:
    broker = broker_of(kite)
    held = Refused(evidence=Evidence(message="the account is halted", error_type="NotApproved"))
    assert place(broker, Look(held)) == held
    assert isinstance(place(broker, Look()), Accepted), "and the next goes through"
    assert len(kite.sent()) == 1


def test_late_on_a_connection_that_took_long_it_is_not_sent(kite: CountingKite) -> None:
    """SYNs are lost, or the machine sleeps while it connects: when the connection is there, the deadline has passed."""
    look = Look(seconds=0.3)
    with kite.unreachable():
        answers: list[Outcome] = []
        placing = threading.Thread(target=lambda: answers.append(place(broker_of(kite, timeout=25), look)))
        placing.start()
        while datetime.now(UTC) <= look.not_after:
            time.sleep(0.05)
    placing.join()
    (outcome,) = answers
    assert isinstance(outcome, NotSent)
    assert len(look.times) == 1, "the connection came"
    assert kite.sent() == []


def test_no_connection_within_the_limit_is_not_sent(kite: CountingKite) -> None:
    look = Look()
    with kite.unreachable():
        outcome = place(broker_of(kite), look)
    assert isinstance(outcome, NotSent)
    assert outcome.tried
    assert (look.times, kite.sent()) == ([], [])


def test_slow_name_server_makes_nothing_late(kite: CountingKite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing here that is not real is the name server: the library asks it without a time limit."""
    answered = threading.Event()
    ask = socket.getaddrinfo

    def slowly(*arguments: Any, **named: Any) -> Any:
        answered.wait(30)
        return ask(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    try:
        assert isinstance(place(broker_of(kite), Look()), NotSent)
    finally:
        answered.set()
    assert kite.sent() == []


def test_connection_that_breaks_after_the_request_left_proves_nothing(kite: CountingKite) -> None:
    kite.instead = lambda handler, request: handler.drop()
    assert isinstance(place(broker_of(kite), Look()), Unknown)


# Evidence is of this very request.


def test_what_a_callers_broker_raises_never_proves_that_nothing_was_sent(kite: CountingKite) -> None:
    """The order is placed, and then somebody is told of it who cannot be reached."""

    class Wrapper:
        def __init__(self, error: Callable[[], object]) -> None:
            self._kite = KiteConnect(api_key="key", access_token=TOKEN, root=kite.root)
            self._tell = error

        def place_order(self, payload: dict[str, Any]) -> str:
            terms = (payload["exchange"], payload["symbol"], payload["side"], payload["qty"], payload["product"])
            own = self._kite.place_order("regular", *terms, payload["order_type"], tag=payload["tag"])
            self._tell()
            return str(own)

    def refused_natively() -> None:
        socket.create_connection(("127.0.0.1", unused_port()))

    tellers: list[Callable[[], object]] = [
        refused_natively,
        lambda: requests.post(f"http://127.0.0.1:{unused_port()}/sendMessage", timeout=3),
        lambda: requests.post("http://no-such-host.invalid/sendMessage", timeout=3),
    ]
    payload = {"exchange": "NSE", "symbol": "INFY", "side": "BUY", "qty": 10, "product": "MIS", "order_type": "MARKET"}
    for teller in tellers:
        answer = CallersBroker(Wrapper(teller)).place(payload | {"tag": "t"})
        assert isinstance(answer.outcome, Unknown)
    assert len(kite.rows()) == len(tellers)


def test_callers_broker_that_is_told_to_slow_down_by_somebody_may_have_placed() -> None:
    class TooMany(Exception):
        code = 429

    class Wrapper:
        def place_order(self, payload: dict[str, Any]) -> str:
            raise TooMany("Too many requests")

    assert isinstance(CallersBroker(Wrapper()).place({}).outcome, Unknown)


# What is kept, and what is handed out.


@pytest.mark.parametrize("secret", [TOKEN, SECRET])
@pytest.mark.parametrize("form", ["{}", "Authorization: token key:{}", "session{}expired"])
def test_secrets_that_a_reply_repeats_are_not_kept(kite: CountingKite, secret: str, form: str) -> None:
    kite.instead = lambda handler, request: handler.refuse(400, "InputException", f"bad: {form.format(secret)}!")
    outcome = place(broker_of(kite))
    assert isinstance(outcome, Refused)
    assert outcome.evidence.message == f"bad: {form.format('[redacted]')}!"


def test_secrets_in_a_row_of_the_book_are_not_kept(kite: CountingKite) -> None:
    form = {"exchange": "NSE", "tradingsymbol": "INFY", "order_type": "MARKET", "transaction_type": "BUY"}
    own = kite.book(USER, form | {"product": "MIS", "quantity": "1"}, "REJECTED")
    kite.books[USER][own]["status_message"] = f"session {TOKEN} of RMS"
    (row,) = broker_of(kite).order_book()
    assert row.message == "session [redacted] of RMS"


def test_login_that_repeats_what_it_was_given_tells_no_secret(kite: CountingKite) -> None:
    def repeats(handler: Handler, request: Request) -> bool:
        given = f"{request.form['request_token']} {request.form['checksum']}"
        return handler.refuse(403, "TokenException", f"Invalid: {given}")

    kite.instead = repeats
    with pytest.raises(RefusedError, match=r"^the broker refused the login: Invalid: \[redacted\] \[redacted\]"):
        login.exchange(settings_of(kite), "the-request-token")


def test_netrc_and_proxies_of_the_machine_change_no_credentials(
    kite: CountingKite, elsewhere: CountingKite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, elsewhere.root)
    assert isinstance(place(broker_of(kite)), Accepted)
    (arrived,) = kite.sent()
    assert arrived.headers["Authorization"] == f"token key:{TOKEN}"
    assert elsewhere.requests == [], "over plain HTTP a proxy would read the token"


def test_proxy_of_the_environment_is_a_tunnel_that_learns_nothing(
    kite: CountingKite, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve() -> None:
            connection, _ = proxy.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        outcome = place(broker_of(kite, root="https://kite.invalid", timeout=10), Look())
    assert isinstance(outcome, NotSent), "the tunnel was not made, so nothing was sent through it"
    (request,) = heard
    assert request.startswith(b"CONNECT kite.invalid:443 ")
    assert TOKEN.encode() not in request


def test_prices_are_written_in_digits(kite: CountingKite) -> None:
    broker = broker_of(kite)
    odd = {"price": Decimal("1E+4"), "trigger_price": Decimal("9.5E+3")}
    place(broker, order=an_order(order_type="SL", **odd))
    place(broker, order=an_order(instructions=Instructions(market_protection=Decimal("1E+1"))))
    broker.modify(BrokerOrderId("77"), Amendment(price=Decimal("1E+4")))
    stop, at_market = (one.form for one in kite.sent())
    assert (stop["price"], stop["trigger_price"]) == ("10000", "9500")
    assert at_market["market_protection"] == "10"
    assert kite.sent("PUT")[0].form["price"] == "10000"
