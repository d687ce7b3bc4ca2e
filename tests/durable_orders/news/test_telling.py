"""News out: at least once, late when late, folded, quiet at night but for alerts, and harmless when it fails."""

import asyncio
import json
import queue
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from durable_orders.news import telling
from durable_orders.news.sending import NotSent
from durable_orders.news.telling import Teller
from durable_orders.news.words import line
from durable_orders.trading.bus.bus import Event
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.news import cursors_of, put_telling
from durable_orders.trading.orders.events import EventType
from tests.conftest import until
from tests.durable_orders.program import OWN_PORTS, Program, once_started
from tests.ledgers import open_empty_ledger

NOON = datetime(2026, 11, 27, 12, tzinfo=IST)
NIGHT = datetime(2026, 11, 27, 23, tzinfo=IST)


class Service:
    """What takes messages at the other end: an HTTP server that apprise's `json://` sends to."""

    def __init__(self) -> None:
        self.taken: queue.Queue[dict[str, Any]] = queue.Queue()
        self.is_down = False
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not service.is_down:
                    service.taken.put(json.loads(body))
                self.send_response(500 if service.is_down else 200)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://user:hidden@127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def messages(self) -> list[str]:
        found = []
        while not self.taken.empty():
            found.append(str(self.taken.get()["message"]))
        return found


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield database


class News:
    """A channel over a ledger, and a clock that a test moves."""

    def __init__(self, ledger: Database, service: Service, **rules: Any) -> None:
        self._ledger = ledger
        self.now = NOON
        channel = {"url": service.url, **rules}
        settings = Settings.model_validate({"notify": {"phone": channel}, "page": {"link": "https://desk.example"}})
        self.teller = Teller(ledger, settings, "phone", lambda: self.now)
        self.teller.tell()

    def happens(self, words: str, kind: EventType = EventType.DESK_ACTION) -> None:
        with self._ledger.write() as connection:
            add_event(connection, "paper", kind, words, self.now)


def test_what_happens_is_told_once_in_a_line(ledger: Database, service: Service) -> None:
    news = News(ledger, service)
    news.happens("token robot may read, by hand")
    assert news.teller.tell()
    assert service.messages() == ["desk action token robot may read, by hand"]
    assert not news.teller.tell()


def test_a_new_channel_hears_nothing_of_the_past(ledger: Database, service: Service) -> None:
    with ledger.write() as connection:
        add_event(connection, "paper", EventType.ALERT, "of yesterday", NOON - timedelta(days=1))
    assert not News(ledger, service).teller.tell()


def test_it_goes_on_from_where_it_stood_and_says_that_it_is_late(ledger: Database, service: Service) -> None:
    """After its process was killed between sending and keeping, a message comes again: at least once."""
    News(ledger, service).happens("while nobody told")
    again = News(ledger, service)
    assert service.messages() == ["desk action while nobody told"], "told by the next one"
    again.happens("at noon")
    again.now += timedelta(minutes=10)
    again.teller.tell()
    assert service.messages() == ["LATE, of 27 Nov 12:00:00: desk action at noon"]


def test_a_service_that_is_down_loses_nothing_and_is_told_of(ledger: Database, service: Service) -> None:
    news = News(ledger, service)
    service.is_down = True
    news.happens("first")
    for _ in range(2):
        with pytest.raises(NotSent, match="did not take the message"):
            news.teller.tell()
    with ledger.read() as connection:
        failing = cursors_of(connection, "paper")["phone"]
    assert failing.failed_since == NOON
    assert "hidden" not in str(failing)
    service.is_down = False
    news.happens("second")
    news.teller.tell()
    assert service.messages() == ["desk action first\ndesk action second"]
    with ledger.read() as connection:
        assert cursors_of(connection, "paper")["phone"].failed_since is None


def test_a_burst_is_one_message_with_the_worst_in_front(ledger: Database, service: Service) -> None:
    news = News(ledger, service)
    for number in range(40):
        news.happens(f"number {number}")
    news.happens("look at this", EventType.ALERT)
    news.happens("and that")
    news.teller.tell()
    (message,) = service.messages()
    lines = message.splitlines()
    assert lines[0] == "42 events: 41 desk_action, 1 alert"
    assert lines[-2:] == ["alert look at this", "desk action and that"]
    assert len(lines) == 6


def test_only_what_the_rules_name_is_told(ledger: Database, service: Service) -> None:
    severe = News(ledger, service, severity="warning")
    severe.happens("information")
    severe.happens("the account is HALTED", EventType.ACCOUNT_STATE)
    severe.teller.tell()
    assert service.messages() == ["account state the account is HALTED"]


def test_a_quiet_night_tells_alerts_at_once_and_the_rest_in_the_morning(ledger: Database, service: Service) -> None:
    news = News(ledger, service, quiet={"begins": "22:00", "ends": "07:00"})
    news.now = NIGHT
    news.happens("a fill")
    assert not news.teller.tell()
    news.happens("a breaker", EventType.BREAKER_TRIPPED)
    news.happens("another fill")
    news.teller.tell()
    assert service.messages() == ["breaker tripped a breaker"]
    news.now = NIGHT + timedelta(hours=3)
    assert not news.teller.tell()
    news.now = NIGHT + timedelta(hours=9)
    news.happens("of the morning")
    assert news.teller.tell()
    assert service.messages() == [
        "LATE, of 27 Nov 23:00:00: desk action a fill\n"
        "LATE, of 27 Nov 23:00:00: desk action another fill\n"
        "desk action of the morning"
    ]
    assert not news.teller.tell()


def test_a_test_says_which_channel_does_not_work_and_doctor_which_fails(tmp_path: Path, service: Service) -> None:
    channels = {
        "good": {"url": service.url},
        "dead": {"url": "json://user:hidden@127.0.0.1:9/"},
        "none": {"url": "nosuch://hidden"},
    }
    program = once_started(tmp_path)
    (tmp_path / "durable-orders.yaml").write_text(yaml.safe_dump({"notify": channels}))
    answer = program("notify", "test")
    assert (answer.code, answer.out) == (1, "good: sent\n")
    assert "dead: the service did not take the message" in answer.error
    assert "none: its url is no address that apprise knows" in answer.error
    assert "hidden" not in answer.err
    assert service.messages() == ["This is a test of the channel good of account paper."]
    assert program.here("notify", "test", "good").code == 0
    assert "no channel nobody" in program.here("notify", "test", "nobody").error


def test_the_program_tells_by_itself_and_doctor_says_what_fails(tmp_path: Path, service: Service) -> None:
    program = once_started(tmp_path)
    channels = {"good": {"url": service.url, "fold": 0}, "dead": {"url": "json://user:hidden@127.0.0.1:9/", "fold": 0}}
    (tmp_path / "durable-orders.yaml").write_text(yaml.safe_dump({"notify": channels}))
    with program.started("notify", "run") as running:
        running.line("Telling dead, good")
        assert "news is already told" in program.here("notify", "run").error
        _until_both_listen(program)
        assert program.here("token", "create", "robot", "--role", "read").code == 0
        assert "token robot may read" in str(service.taken.get(timeout=180)["message"])
        running.error_line("news to dead: the service did not take the message")
    findings = {each["name"]: each for each in program.here("doctor", "--json").json}
    assert findings["news to good"]["healthy"]
    assert not findings["news to dead"]["healthy"]
    assert "fails since" in findings["news to dead"]["detail"]
    assert "news to" not in program.here("doctor", "--alive").err, "no restart mends a service of others"


def test_doctor_says_when_nobody_tells(tmp_path: Path, service: Service) -> None:
    program = once_started(tmp_path)
    channels = {"good": {"url": service.url}, "others": {"url": service.url, "accounts": ["another"]}}
    (tmp_path / "durable-orders.yaml").write_text(yaml.safe_dump({"notify": channels}))
    assert _finding(program) == (False, "nobody tells it, neither `durable-orders up` nor `notify run`, yet")
    with open_database(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        settings = Settings.model_validate({"notify": channels})
        Teller(ledger, settings, "good", lambda: datetime.now(UTC) - timedelta(minutes=5)).tell()
        is_healthy, words = _finding(program)
        assert not is_healthy
        assert words.startswith("nobody tells it, neither `durable-orders up` nor `notify run`, since ")
        with ledger.write() as connection:
            put_telling(connection, "paper", settings.channels, datetime.now(UTC))
    assert _finding(program) == (True, "told up to event 0")


def _finding(program: Program) -> tuple[bool, str]:
    """Of the only channel that is this account's."""
    (found,) = (each for each in program.here("doctor", "--json").json if each["name"].startswith("news to"))
    return found["healthy"], found["detail"]


async def test_whoever_tells_is_seen_telling_while_there_is_no_news(
    ledger: Database, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "SEEN_EVERY", 0.01)
    settings = Settings.model_validate({"notify": {"phone": {"url": service.url}}})

    def seen_at() -> datetime | None:
        with ledger.read() as connection:
            found = cursors_of(connection, "paper").get("phone")
        return found.updated_at if found is not None else None

    task = asyncio.create_task(telling.tell_all(ledger, settings))
    await until(lambda: seen_at() is not None)
    first = seen_at()
    await until(lambda: seen_at() != first, "a later one")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_whoever_starts_to_tell_is_seen_at_once(
    ledger: Database, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one to tell was stopped a while ago, and there is no news."""
    monkeypatch.setattr(telling, "SEEN_EVERY", 3600.0)
    settings = Settings.model_validate({"notify": {"phone": {"url": service.url}}})
    before = datetime.now(UTC) - timedelta(minutes=5)
    Teller(ledger, settings, "phone", lambda: before).tell()

    def is_seen() -> bool:
        with ledger.read() as connection:
            told_at = cursors_of(connection, "paper")["phone"].updated_at
        return told_at is not None and told_at > before

    task = asyncio.create_task(telling.tell_all(ledger, settings))
    await until(is_seen, "whoever tells")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_channels_of_other_accounts_only_are_no_reason_to_tell(tmp_path: Path, service: Service) -> None:
    """`up` starts nothing that would end at once, again and again."""
    program = once_started(tmp_path)
    channels = {"others": {"url": service.url, "accounts": ["another"]}}
    (tmp_path / "durable-orders.yaml").write_text(yaml.safe_dump({"notify": channels}))
    assert program.here("notify", "run").error == "notify: no channel of the settings is for account paper"
    with program.started("up", *OWN_PORTS) as running:
        running.line("Ctrl-C")
        words = [each.cmdline() for each in psutil.Process(running.process.pid).children()]
        assert not [each for each in words if "notify" in each]
        assert running.stop(signal.SIGTERM).code == 0


def _until_both_listen(program: Program) -> None:
    """A channel hears of what happens from its first look on."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        findings = [each for each in program.here("doctor", "--json").json if each["name"].startswith("news to")]
        if all("told up to" in each["detail"] for each in findings):
            return
        time.sleep(0.05)
    raise AssertionError("no channel ever looked")


def test_no_channels_is_told_in_one_line(tmp_path: Path) -> None:
    assert once_started(tmp_path).here("notify", "test").error == "notify: the settings name no channel"


def test_an_order_is_told_with_its_terms_and_the_link_to_its_page() -> None:
    data = {"order_id": "order:paper:dip", "side": "BUY", "qty": 75, "symbol": "NSE:INFY", "strategy": "s"}
    event = Event(EventType.ORDER_FILLED, datetime.now(UTC), data | {"message": "75 filled at 1500"}, 7)
    assert line(event, datetime.now(UTC), 60, "https://desk.example") == (
        "order filled dip: BUY 75 NSE:INFY (s), 75 filled at 1500 https://desk.example/order/dip"
    )
