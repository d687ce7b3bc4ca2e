"""Alerts in: each is an event and at most one order, however often it is delivered and whoever dies meanwhile."""

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import sqlalchemy as sa
import yaml

from durable_orders.trading.errors import DuplicateOrder, DurableOrdersError, ServerUnreachable, UnknownError
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.reading import events_after
from durable_orders.trading.ledger.tables import exchange_orders
from durable_orders.trading.orders.events import EventType
from durable_orders.web.alerts import what_became_of
from durable_orders.web.throttle import FAILURES
from tests.conftest import any_port
from tests.durable_orders.conftest import FAR_BELOW, MOST, SYMBOL
from tests.durable_orders.program import OWN_PORTS, Program
from tests.durable_orders.web.conftest import KEPT

ORDER = {"symbol": "{{symbol}}", "side": "{{side}}", "quantity": "{{quantity}}"}
RESTING = ORDER | {"order_type": "limit", "price": "{{price}}"}
HOOKS: dict[str, Any] = {
    "plain": {"secret": "a-secret", "id": "{{id}}", "order": ORDER},
    "same": {"secret": "a-secret", "id": "{{id}}", "order": ORDER | {"strategy": "plain"}},
    "listed": {
        "secret": "a-secret",
        "each": "{{stocks}}",
        "id": "{{id}}-{{item[:3]}}",
        "order": {"symbol": "{{item}}", "side": "BUY", "quantity": 1, "order_type": "LIMIT", "price": 10},
    },
    "tv": {
        "secret": "a-secret",
        "order": RESTING | {"side": "{{strategy.order.action}}", "symbol": "{{ticker}}", "strategy": "charts"},
        "time": "{{time}}",
        "within": 60,
        "symbols": {"MY NIFTY": SYMBOL},
    },
    "chartink": {
        "secret": "a-secret",
        "each": "{{stocks}}",
        "order": {"symbol": "{{item}}", "side": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "CNC"}
        | {"price": "{{trigger_prices.split(',')[number]}}"},
    },
}
HOOKS["planned"] = {
    "secret": "a-secret",
    "id": "{{id}}",
    "plan": {
        **ORDER,
        "reason": "{{why}}",
        "entry": {"order_type": "limit", "price": "{{price}}"},
        "stop": {"trigger_price": "{{price - 100}}"},
        "targets": [{"price": "{{price + 100}}"}],
    },
}
HOOKS["another"] = HOOKS["planned"]
HOOKS["basket"] = {
    "secret": "a-secret",
    "id": "{{id}}",
    "time": "{{time}}",
    "within": 60,
    "plan": {
        "legs": [
            {
                "symbol": "NIFTY1!",
                "side": side,
                "quantity": 75,
                "order_type": "LIMIT",
                "price": price,
                "product": product,
            }
            for side, price, product in (("buy", int(FAR_BELOW), "NRML"), ("buy", int(FAR_BELOW), "MIS"))
        ],
        "within": 3600,
    },
}
HOOKS["asked"] = HOOKS["basket"] | {"plan": HOOKS["basket"]["plan"] | {"approve": True}}
ALERTS = int(os.environ.get("ALERTS", "30"))
"""How many alerts the test with a killed worker sends, each of them three times. A thousand takes some minutes."""


@pytest.fixture(scope="module")
def hooks(desk: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    config = tmp_path_factory.mktemp("hooks") / "with-hooks.yaml"
    config.write_text(yaml.safe_dump({"guardian": {"max_order_quantity": MOST}, "hooks": HOOKS}))
    with desk.started("web", "--port", "0", "--config", str(config)) as running:
        url = running.line("Page on ").removeprefix("Page on ")
        with httpx.Client(base_url=f"{url}/hooks", timeout=60, limits=KEPT) as client:
            yield client


@pytest.fixture
def ledger(desk: Program) -> Iterator[Database]:
    with open_database(f"sqlite:///{desk.home / 'ledger.db'}") as database:
        yield database


def said(ledger: Database, holding: str) -> list[str]:
    """What events of alerts say that holds these words."""
    with ledger.read_feed() as connection:
        found = events_after(connection, 0, limit=1_000_000)
    return [each.message for each in found if each.type is EventType.HOOK_ALERT and holding in each.message]


def an_alert(own_id: str, **more: Any) -> dict[str, Any]:
    return {"id": own_id, "symbol": SYMBOL, "side": "buy", "quantity": "75"} | more


def test_an_alert_is_one_order_however_often_it_is_delivered(
    desk: Program, hooks: httpx.Client, ledger: Database, own_id: str
) -> None:
    with ThreadPoolExecutor(6) as pool:
        sent = list(pool.map(lambda _: hooks.post("/plain?secret=a-secret", json=an_alert(own_id)), range(6)))
    assert sorted(each.status_code for each in sent) == [200] * 5 + [201]
    order = desk.here("show", own_id, "--json").json["order"]
    assert (order["strategy"], order["side"], order["quantity"]) == ("plain", "BUY", 75)
    assert order["tags"]["by"] == "hook plain"
    assert len(said(ledger, f"order {own_id}: BUY 75")) == 6, "each delivery is an event"
    other = hooks.post("/plain?secret=a-secret", json=an_alert(own_id, quantity="150"))
    assert (other.status_code, other.json()["code"]) == (409, "DUPLICATE_ORDER")
    assert len(said(ledger, f"order {own_id} was not placed")) == 1


def test_an_alert_is_never_taken_for_a_repeat_of_somebody_elses_order(
    desk: Program, hooks: httpx.Client, ledger: Database, own_id: str
) -> None:
    """What reads and is called alike is another order, if another hook or a person made it: refused and told."""
    assert hooks.post("/plain/a-secret", json=an_alert(own_id)).status_code == 201
    other = hooks.post("/same/a-secret", json=an_alert(own_id))
    assert (other.status_code, other.json()["code"]) == (409, "DUPLICATE_ORDER")
    assert f"{own_id} is the id of another order, which hook plain made" in other.json()["detail"]
    assert len(said(ledger, f"hook same: order {own_id} was not placed")) == 1
    assert not said(ledger, f"hook same: an alert came again, it is order {own_id}")
    assert hooks.post("/plain/a-secret", json=an_alert(own_id)).status_code == 200
    assert len(said(ledger, f"hook plain: an alert came again, it is order {own_id}")) == 1
    by_hand = f"{own_id}-by-hand"
    desk.here("place", "BUY", SYMBOL, "75", "--id", by_hand, "--strategy", "plain")
    taken = hooks.post("/plain/a-secret", json=an_alert(by_hand))
    assert (taken.status_code, taken.json()["code"]) == (409, "DUPLICATE_ORDER")
    assert "which no hook made" in taken.json()["detail"]


def test_orders_of_one_alert_that_would_share_an_id_are_refused_but_for_the_first(
    hooks: httpx.Client, own_id: str
) -> None:
    alert = {"id": own_id, "stocks": "INFY,INFRA,RELIANCE"}
    answer = hooks.post("/listed/a-secret", json=alert)
    assert [order["symbol"] for order in answer.json()["orders"]] == ["NSE:INFY", "NSE:RELIANCE"]
    (problem,) = answer.json()["problems"]
    assert (answer.status_code, problem["item"], problem["status"]) == (422, "INFRA", 422)
    assert "is that of another order of the same alert" in problem["detail"]


def test_the_secret_is_taken_from_path_header_address_and_body(hooks: httpx.Client, own_id: str) -> None:
    ways = [
        hooks.post("/plain/a-secret", json=an_alert(own_id)),
        hooks.post("/plain", json=an_alert(own_id), headers={"X-Hook-Secret": "a-secret"}),
        hooks.post("/plain", params={"secret": "a-secret"}, json=an_alert(own_id)),
        hooks.post("/plain", json=an_alert(own_id) | {"secret": "a-secret"}),
        hooks.post("/plain/a-secret", data=an_alert(own_id)),
        hooks.post("/plain/a-secret", content=json.dumps(an_alert(own_id)), headers={"Content-Type": "text/plain"}),
    ]
    assert [each.status_code for each in ways] == [201, 200, 200, 200, 200, 200]


def test_an_alert_without_an_id_is_known_by_its_body_and_the_time_of_its_bar(
    hooks: httpx.Client, ledger: Database, own_id: str
) -> None:
    now = datetime.now(UTC)
    alert = {"ticker": "MY NIFTY", "strategy": {"order": {"action": "buy"}}, "quantity": 75, "price": FAR_BELOW}
    bars = [alert | {"time": (now - timedelta(seconds=back)).isoformat(), "note": own_id} for back in (1, 2)]
    answers = [hooks.post("/tv/a-secret", json=bar) for bar in (*bars, *bars)]
    assert [each.status_code for each in answers] == [201, 201, 200, 200]
    ids = [each.json()["client_order_id"] for each in answers]
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]
    assert answers[0].json()["strategy"] == "charts"
    assert len(said(ledger, ids[0])) == 2


def test_a_stale_alert_is_refused_by_the_deadline_and_recorded(
    desk: Program, hooks: httpx.Client, ledger: Database, own_id: str
) -> None:
    late = (datetime.now(UTC) - timedelta(seconds=61)).timestamp()
    alert = {"ticker": SYMBOL, "strategy": {"order": {"action": "BUY"}}, "quantity": 75, "price": FAR_BELOW}
    answer = hooks.post("/tv/a-secret", json=alert | {"time": late, "note": own_id})
    assert (answer.status_code, answer.json()["codes"]) == (422, ["TOO_LATE"])
    own = answer.json()["order"]["client_order_id"]
    assert desk.here("show", own, "--json").json["order"]["status"] == "REJECTED"
    assert len(said(ledger, own)) == 1


def test_a_future_without_an_end_is_the_one_that_expires_next(hooks: httpx.Client, own_id: str) -> None:
    answer = hooks.post("/plain/a-secret", json=an_alert(own_id, symbol="NSE:NIFTY1!"))
    assert (answer.status_code, answer.json()["symbol"]) == (201, SYMBOL)
    none = hooks.post("/plain/a-secret", json=an_alert(f"{own_id}-2", symbol="NIFTY2!"))
    assert none.json()["detail"] == "symbol: the master has no future of NIFTY for NIFTY2!"


def test_one_alert_of_several_stocks_is_an_order_of_each(hooks: httpx.Client, own_id: str) -> None:
    alert = {"stocks": "INFY,RELIANCE", "trigger_prices": "1500.5,1400", "scan_name": own_id}
    first, again = (hooks.post("/chartink/a-secret", json=alert).json() for _ in range(2))
    assert (len(first["orders"]), first["problems"]) == (2, [])
    assert [order["order_id"] for order in first["orders"]] == [order["order_id"] for order in again["orders"]]
    prices = {order["symbol"]: order["price"] for order in first["orders"]}
    assert prices == {"NSE:INFY": "1500.50", "NSE:RELIANCE": "1400.00"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "object"),
        (b'{"a": NaN}', 400, "not JSON"),
        (b'{"a": "\\ud800"}', 400, "not JSON"),
        (b'{"a":' * 12_000, 400, "not JSON"),
        (b"buy it", 422, "'symbol' is undefined"),
        (b"", 422, "'symbol' is undefined"),
        (json.dumps(an_alert("x", quantity="many")), 422, "quantity: must be a whole number"),
        (json.dumps(an_alert("x", quantity=-75)), 422, "quantity: must be greater than 0"),
        (json.dumps(an_alert("x", quantity="1_50")), 422, "quantity: must be a whole number"),
        (json.dumps(an_alert("x", quantity="१५०")), 422, "quantity: must be a whole number"),
        (json.dumps(an_alert("x", quantity="+75")), 422, "quantity: must be a whole number"),
        (json.dumps(an_alert("x", side="hold")), 422, "side: "),
        (json.dumps(an_alert("x", symbol="NSE:निफ्टी")), 422, "symbol: must be an exchange"),
        (json.dumps(an_alert("x", symbol="A" * 300)), 422, "symbol: is longer than 256"),
        (json.dumps(an_alert("")), 422, "id: the alert says nothing of it"),
        (json.dumps(an_alert("external-7")), 422, "found at the broker"),
        (json.dumps(an_alert("x", symbol="{{ 7*7 }}")), 422, "symbol: must be an exchange"),
    ],
)
def test_an_alert_that_makes_no_order_is_refused_and_is_an_event(
    hooks: httpx.Client, ledger: Database, body: bytes | str, status: int, words: str
) -> None:
    before = len(said(ledger, "an alert was refused"))
    answer = hooks.post("/plain?secret=a-secret", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
    assert len(said(ledger, "an alert was refused")) == before + 1


def test_wrong_secrets_are_refused_told_and_held_up(desk: Program, tmp_path: Path, ledger: Database) -> None:
    config = tmp_path / "with-hooks.yaml"
    config.write_text(yaml.safe_dump({"hooks": HOOKS}))
    with desk.started("web", "--port", "0", "--config", str(config)) as running:
        url = f"{running.line('Page on ').removeprefix('Page on ')}/hooks"
        assert httpx.post(f"{url}/nobody?secret=a-secret").status_code == 404
        before = len(said(ledger, "its secret is missing or wrong"))
        answers = [httpx.post(f"{url}/plain?secret=wrong", json=an_alert("never")) for _ in range(FAILURES + 2)]
        assert [each.status_code for each in answers] == [401] * FAILURES + [429] * 2
        assert len(said(ledger, "its secret is missing or wrong")) == before + FAILURES
        assert "wrong" not in said(ledger, "secret")[0].replace("missing or wrong", "")
    assert desk.here("show", "never").code == 1


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ({"secret": "", "order": ORDER}, "hooks.x.secret: must have at least 8 characters"),
        ({"secret": "1234567 ", "order": ORDER}, "hooks.x.secret: must have at least 8 characters"),
        ({"secret": "a-secret", "order": ORDER, "id": "always"}, "hooks.x.id: must have something of the alert"),
        (
            {"secret": "a-secret", "order": ORDER, "id": "{{scan}}-{{time}}", "each": "{{stocks}}"},
            "hooks.x.id: must have {{item}} or {{number}}",
        ),
        *(
            (
                {"secret": "a-secret", "order": ORDER, "id": of_none, "each": "{{stocks}}"},
                "hooks.x.id: must have something",
            )
            for of_none in ("{{number}}", "first-{{number + 1}}")
        ),
        ({"secret": "a-secret", "order": ORDER, "time": "{{time}}"}, "within: belongs to time"),
        ({"secret": "a-secret", "order": ORDER | {"colour": 1}}, "hooks.x.order.colour: no such setting"),
        ({"secret": "a-secret", "order": ORDER | {"price": "{{"}}, "hooks.x.price: no template"),
    ],
)
def test_a_hook_that_cannot_be_used_is_told_at_the_start(
    desk: Program, tmp_path: Path, hook: dict[str, Any], words: str
) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml.safe_dump({"hooks": {"x": hook}}))
    answer = desk.here("web", "--port", "0", "--config", str(config))
    assert answer.code == 1
    assert words in answer.error
    assert "a-secret" not in answer.error


def test_alerts_that_are_repeated_while_everything_is_killed_are_one_order_each(tmp_path: Path) -> None:
    """Each is sent three times, in any order, and again for as long as nobody answers; in the middle all dies."""
    settings = {"hooks": {"plain": HOOKS["plain"]}, "execution": {"paper": {"market_deadline": 3600}}}
    (tmp_path / "durable-orders.yaml").write_text(yaml.safe_dump(settings))
    program, port = Program(tmp_path), any_port()
    chance = random.Random(17)
    deliveries = [f"a{number}" for number in range(ALERTS) for _ in range(3)]
    chance.shuffle(deliveries)
    up = ("up", *OWN_PORTS, "--page-port", str(port), "--speed", "1")
    senders = Senders(port)
    with ThreadPoolExecutor(8) as pool, senders:
        with program.started(*up) as running:
            running.line("Ctrl-C")
            delivered = [pool.submit(senders.deliver, own_id) for own_id in deliveries]
            while sum(each.done() for each in delivered) < len(deliveries) // 3:
                time.sleep(0.02)
            running.stop(signal.SIGKILL)
        with program.started(*up) as running:
            running.line("Ctrl-C")
            assert {each.result() for each in delivered} <= {200, 201, 422}
            ended = [_ended(program, own_id) for own_id in set(deliveries)]
            with open_database(f"sqlite:///{tmp_path / 'ledger.db'}") as database, database.read() as connection:
                at_exchange = connection.execute(sa.select(exchange_orders.c.tag)).scalars().all()
            assert len(at_exchange) == len(set(at_exchange)) == ended.count("FILLED")
            assert len(ended) == ALERTS
            running.stop(signal.SIGTERM)


BURST = int(os.environ.get("BURST", "20"))
"""How many alerts the test of a burst sends at once, each of them five times."""


async def test_a_burst_of_alerts_is_one_order_each_and_what_has_no_turn_comes_again(
    hooks: httpx.Client, ledger: Database, own_id: str
) -> None:
    """All deliveries are on their way before any is answered; whoever is turned away comes again, as it was told."""
    turned_away = list[httpx.Response]()
    all_there = asyncio.Barrier(5 * BURST)

    async def deliver(client: httpx.AsyncClient, number: int) -> httpx.Response:
        await all_there.wait()
        while True:
            answer = await client.post("plain/a-secret", json=an_alert(f"{own_id}-{number}"))
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                return answer
            turned_away.append(answer)
            await asyncio.sleep(0.1)

    limits = httpx.Limits(max_connections=None, keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=str(hooks.base_url), timeout=300, limits=limits) as client:
        answers = await asyncio.gather(*(deliver(client, number % BURST) for number in range(5 * BURST)))
    assert {answer.status_code for answer in answers} <= {200, 201, 422}, (
        "422 is too late, on a machine that stood still"
    )
    assert sum(answer.status_code == HTTPStatus.CREATED for answer in answers) <= BURST
    assert all("retry-after" in answer.headers for answer in turned_away)
    made = [answer.json().get("order", answer.json()) for answer in answers]
    assert {order["client_order_id"] for order in made} == {f"{own_id}-{number}" for number in range(BURST)}
    assert len(said(ledger, f"order {own_id}-")) >= 5 * BURST, "each that was taken is an event"
    tags = {order["tag"] for order in made}
    assert len(tags) == BURST
    with ledger.read() as connection:
        sent = (
            connection.execute(sa.select(exchange_orders.c.tag).where(exchange_orders.c.tag.in_(tags))).scalars().all()
        )
    assert len(sent) == len(set(sent)), "none is sent twice"


def _ended(program: Program, own_id: str) -> str:
    """The status of an order that has ended: filled, or proved to have died with the worker on its way out."""
    words = ("BUY", SYMBOL, "75", "--id", own_id, "--strategy", "plain", "--wait", "--json")
    order = program.here("place", *words).json
    assert order["status"] == "FILLED" or "not placed" in str(order["reasons"])
    return str(order["status"])


class Senders:
    """Whoever sends alerts: each again, until somebody answers. At the end of the block they give up."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=KEPT)
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def deliver(self, own_id: str) -> int:
        """The status of the first answer that is one."""
        while not self._over.is_set():
            try:
                answer = self._client.post("/hooks/plain?secret=a-secret", json=an_alert(own_id))
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                return answer.status_code
            self._over.wait(0.1)
        return 0


def test_an_alert_is_one_plan_however_often_it_is_delivered(
    desk: Program, hooks: httpx.Client, ledger: Database, short_id: str
) -> None:
    body = {
        "id": short_id,
        "symbol": SYMBOL,
        "side": "buy",
        "quantity": "75",
        "price": int(FAR_BELOW),
        "why": "crossed",
    }
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: hooks.post("/planned", params={"secret": "a-secret"}, json=body), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [201], answers[0].text
    shown = desk.here("plan", "show", short_id, "--json").json
    assert (shown["kind"], shown["strategy"], shown["stop"]) == ("bracket", "planned", "19900.00")
    assert [order["role"] for order in shown["orders"]] == ["entry"]
    assert len(said(ledger, f"plan {short_id}: bracket BUY 75")) >= 4, "each delivery is an event"
    other = hooks.post("/planned", params={"secret": "a-secret"}, json=body | {"quantity": 150})
    assert (other.status_code, other.json()["code"]) == (409, "DUPLICATE_ORDER")
    strange = hooks.post("/another", params={"secret": "a-secret"}, json=body)
    assert strange.status_code == 409, "another hook's plan is never taken for this alert's"
    wrong = hooks.post("/planned", params={"secret": "a-secret"}, json=body | {"id": f"{short_id}-2", "price": 10})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "INVALID_ORDER")
    assert said(ledger, "hook planned: an alert was refused: stop.trigger_price: must be")
    refused = hooks.post(
        "/planned", params={"secret": "a-secret"}, json=body | {"id": f"{short_id}-3", "quantity": 100}
    )
    assert (refused.status_code, refused.json()["codes"]) == (422, ["LOT_SIZE"])
    assert desk.here("plan", "cancel", short_id).code == 0


def test_a_hooks_basket_waits_for_a_person_as_long_as_its_alert_counts(
    desk: Program, hooks: httpx.Client, short_id: str
) -> None:
    at = datetime.now(UTC)
    body = {"id": short_id, "time": at.isoformat()}
    made = [hooks.post("/asked", params={"secret": "a-secret"}, json=body) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 200], made[0].text
    [first] = made[1].json()["orders"]
    shown = desk.here("show", first["client_order_id"], "--json").json["order"]
    assert (shown["status"], shown["broker_order_id"]) == ("PENDING", None)
    assert datetime.fromisoformat(shown["approval"]["needed_by"]) == at + timedelta(seconds=60)
    assert desk.here("decline", first["client_order_id"]).code == 0
    again = hooks.post("/asked", params={"secret": "a-secret"}, json=body)
    assert (again.status_code, len(desk.here("plan", "show", short_id, "--json").json["orders"])) == (422, 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DuplicateOrder("id: another"), "plan x was not started by its alert: id: another"),
        (ServerUnreachable("no answer"), "it is not known whether plan x was started by its alert: no answer"),
        (UnknownError("no answer"), "it is not known whether plan x was started by its alert: no answer"),
    ],
)
def test_only_a_refusal_says_that_nothing_was_begun(error: DurableOrdersError, words: str) -> None:
    assert what_became_of("plan x", "started", error) == words


def test_a_late_alert_is_no_basket_and_one_in_time_is(hooks: httpx.Client, desk: Program, short_id: str) -> None:
    late = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    refused = hooks.post("/basket", params={"secret": "a-secret"}, json={"id": short_id, "time": late})
    assert (refused.status_code, refused.json()["codes"]) == (422, ["TOO_LATE"]), refused.text
    kept = desk.here("plan", "show", short_id, "--json").json
    assert (kept["status"], kept["orders"]) == ("REJECTED", [])
    short_id += "-2"
    made = hooks.post(
        "/basket", params={"secret": "a-secret"}, json={"id": short_id, "time": datetime.now(UTC).isoformat()}
    )
    assert (made.status_code, made.json()["kind"]) == (201, "basket"), made.text
    assert {order["symbol"] for order in made.json()["orders"]} == {SYMBOL}
    again = hooks.post("/basket", params={"secret": "a-secret"}, json={"id": short_id, "time": late})
    assert again.status_code == 200, "it is the one that was begun"
    assert desk.here("plan", "cancel", short_id).code == 0


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ({"secret": "a-secret"}, "order: give it or plan"),
        ({"secret": "a-secret", "order": ORDER, "plan": {"symbol": SYMBOL}}, "order: give it or plan"),
        ({"secret": "a-secret", "plan": {"symbol": None}}, "plan.symbol: must be a value"),
        ({"secret": "a-secret", "plan": {"colour": "red"}}, "hooks.x.plan.colour: is nothing that a plan has"),
        ({"secret": "a-secret", "plan": {"plan_id": "x"}}, "hooks.x.plan.plan_id: is the hook's own `id`"),
        ({"secret": "a-secret", "plan": {"symbol": "{{"}}, "hooks.x.plan.symbol: no template"),
    ],
)
def test_a_hooks_plan_that_makes_no_sense_is_refused_at_the_start(
    desk: Program, tmp_path: Path, hook: dict[str, Any], words: str
) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml.safe_dump({"hooks": {"x": hook}}))
    assert words in desk("web", "--port", "0", "--config", str(config)).error
