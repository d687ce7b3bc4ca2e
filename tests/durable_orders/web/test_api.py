"""The API: one order however often it is asked for, the guardian's own refusals, and who may do what."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from durable_orders.trading.ledger.tokens import Role
from durable_orders.web.limits import LARGEST
from durable_orders.web.throttle import FAILURES
from tests.durable_orders.conftest import FAR_BELOW, SYMBOL
from tests.durable_orders.program import Program
from tests.durable_orders.web.conftest import MAX_WAIT, Served, events_about

TERMS: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "quantity": 75}
RESTING = TERMS | {"order_type": "LIMIT", "price": FAR_BELOW}


def test_an_order_is_answered_as_the_command_line_prints_it(served: Served, trader: httpx.Client, own_id: str) -> None:
    placed = trader.post("/orders", json=RESTING | {"client_order_id": own_id, "strategy": "desk"})
    assert placed.status_code == 201
    shown = served.program.here("place", *_words(own_id), "--json").json
    assert placed.json() == shown
    assert (shown["status"], shown["price"], shown["strategy"]) == ("PLACED", f"{FAR_BELOW}.00", "desk")
    assert trader.get(f"/orders/{own_id}").json() == shown
    assert [order["client_order_id"] for order in trader.get("/orders", params={"strategy": "desk"}).json()] == [own_id]
    events = trader.get(f"/orders/{own_id}/events").json()
    assert [event["type"] for event in events] == ["order_received", "order_placed"]
    (said,) = events_about(trader, f"{own_id} by token")
    assert said.endswith(f"BUY 75 {SYMBOL} LIMIT {FAR_BELOW} MIS")


def test_the_metrics_are_prometheus_text_for_whoever_may_read(served: Served, trader: httpx.Client) -> None:
    told = trader.get("/metrics")
    assert (told.status_code, told.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'durable_orders_positions_unexplained{account="paper"} 0' in told.text.splitlines()
    assert httpx.get(f"{served.url}/api/v1/metrics").status_code == 401


def _words(own_id: str) -> list[str]:
    return ["BUY", SYMBOL, "75", "--type", "LIMIT", "--price", FAR_BELOW, "--id", own_id, "--strategy", "desk"]


def test_the_same_order_again_is_the_same_one_and_another_content_a_conflict(trader: httpx.Client, own_id: str) -> None:
    order = RESTING | {"client_order_id": own_id}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: trader.post("/orders", json=order), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["broker_order_id"] for answer in answers}) == 1
    other = trader.post("/orders", json=order | {"quantity": 150})
    assert (other.status_code, other.headers["content-type"]) == (409, "application/problem+json")
    assert other.json()["code"] == "DUPLICATE_ORDER"
    assert len(events_about(trader, f"{own_id} by token")) == 1


def test_who_may_only_propose_waits_for_somebody_else(served: Served, trader: httpx.Client, own_id: str) -> None:
    with served.client(Role.PROPOSE) as proposer:
        order = RESTING | {"client_order_id": own_id, "approve": False}
        proposed = proposer.post("/orders", json=order)
        assert (proposed.status_code, proposed.json()["status"]) == (201, "PENDING")
        assert proposed.json()["approval"]["needed_by"]
        for refused in (
            proposer.post(f"/orders/{own_id}/approve"),
            proposer.post(f"/orders/{own_id}/decline"),
            proposer.delete(f"/orders/{own_id}"),
            proposer.patch(f"/orders/{own_id}", json={"quantity": 150}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "ROLE")
        assert proposer.post("/orders", json=order).status_code == 200
    assert trader.post("/orders", json=order).json()["code"] == "DUPLICATE_ORDER", "the same id does not get it sent"
    assert own_id in [each["client_order_id"] for each in trader.get("/approvals").json()]
    approved = trader.post(f"/orders/{own_id}/approve")
    assert (approved.status_code, approved.json()["status"]) == (200, "PLACED")
    assert approved.json()["approval"]["approved_by"].startswith("by token t")
    assert own_id not in [each["client_order_id"] for each in trader.get("/approvals").json()]
    again = trader.post(f"/orders/{own_id}/approve")
    assert (again.status_code, again.json()["status"]) == (200, "PLACED"), "said again, it stands"


def test_a_token_does_not_approve_its_own_order(served: Served, trader: httpx.Client, own_id: str) -> None:
    assert trader.post("/orders", json=RESTING | {"client_order_id": own_id, "approve": True}).status_code == 201
    own = trader.post(f"/orders/{own_id}/approve")
    assert (own.status_code, own.json()["code"]) == (403, "OWN_PROPOSAL")
    with served.client(Role.TRADE) as other:
        declined = other.post(f"/orders/{own_id}/decline", json={"reason": "too large"})
        assert (declined.status_code, declined.json()["status"]) == (200, "REJECTED")
        assert declined.json()["reasons"][0].endswith(": too large")
        refused = other.post(f"/orders/{own_id}/approve")
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_ORDER")


@pytest.mark.parametrize("key", ["a-key", "any text: ü, of up to 255 characters"])
def test_an_idempotency_key_makes_it_one_order(trader: httpx.Client, own_id: str, key: str) -> None:
    headers = {b"Idempotency-Key": f"{own_id} {key}".encode()}
    first, again = (trader.post("/orders", json=RESTING, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["order_id"] == again.json()["order_id"]
    assert trader.post("/orders", json=RESTING | {"quantity": 150}, headers=headers).status_code == 409


def test_a_key_and_an_id_that_name_two_orders_are_refused(trader: httpx.Client, own_id: str) -> None:
    order = RESTING | {"client_order_id": own_id}
    both = trader.post("/orders", json=order, headers={"Idempotency-Key": f"{own_id}-2"})
    assert (both.status_code, both.json()["code"]) == (422, "INVALID_ORDER")
    assert f"{own_id} and the Idempotency-Key name two orders" in both.json()["detail"]
    assert trader.get(f"/orders/{own_id}").status_code == 404
    assert trader.post("/orders", json=order, headers={"Idempotency-Key": own_id}).status_code == 201


def test_the_guardian_refuses_with_all_its_reasons_and_the_order_is_recorded(
    served: Served, trader: httpx.Client, own_id: str
) -> None:
    order = RESTING | {"client_order_id": own_id, "quantity": 100, "price": "24000.02"}
    refused = trader.post("/orders", json=order)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    problem = refused.json()
    assert problem["codes"] == ["LOT_SIZE", "TICK_SIZE"]
    recorded = served.program.here("show", own_id, "--json").json["order"]
    assert problem["order"] == recorded
    assert [f"{each['code']}: {each['message']}" for each in problem["reasons"]] == recorded["reasons"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"symbol":', 400, "not JSON"),
        (b"[]", 422, "object"),
        (b"\xff\xfe", 400, "not JSON"),
        (json.dumps(TERMS | {"colour": 1}), 422, "colour: "),
        (json.dumps(TERMS | {"quantity": "75"}), 422, "quantity: must be a valid integer, was '75'"),
        (json.dumps(TERMS | {"quantity": -1}), 422, "quantity: must be greater than 0"),
        (json.dumps(TERMS | {"symbol": "NSE:इंफी"}), 422, "symbol: must be an exchange and a tradingsymbol"),
        (json.dumps(TERMS | {"symbol": "NSE:ＩＮＦＹ"}, ensure_ascii=False), 422, "symbol: must be an exchange"),
        (json.dumps(TERMS | {"symbol": "NSE:\ud800"}), 422, "symbol: "),
        (json.dumps(TERMS | {"symbol": "NSE:INFY\u200b"}), 422, "symbol: must be an exchange"),
        (json.dumps(TERMS | {"price": "100"}), 422, "price: a MARKET order takes none"),
        (json.dumps(RESTING | {"price": float("nan")}), 422, "price: "),
        (json.dumps(TERMS | {"client_order_id": "no blanks"}), 422, "client_order_id: must be 1 to 64 letters"),
        (json.dumps(TERMS | {"client_order_id": "external-1"}), 422, "found at the broker"),
        (json.dumps(TERMS | {"reason": "\0"}), 422, "reason: "),
        (json.dumps(TERMS | {"account": "another"}), 422, "account: "),
        (b"{" * 30_000, 400, "not JSON"),
        (b" " * (LARGEST + 1), 413, "bytes at most"),
    ],
)
def test_a_bad_body_is_a_problem_that_names_field_and_rule(
    trader: httpx.Client, body: bytes | str, status: int, words: str
) -> None:
    answer = trader.post("/orders", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]


def test_a_body_that_does_not_say_how_long_it_is_is_limited_too(trader: httpx.Client) -> None:
    chunks = (b" " * 10_000 for _ in range(8))
    answer = trader.post("/orders", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_an_order_is_amended_and_cancelled(trader: httpx.Client, own_id: str) -> None:
    trader.post("/orders", json=RESTING | {"client_order_id": own_id})
    amended = trader.patch(f"/orders/{own_id}", json={"price": "20010"})
    assert (amended.status_code, amended.json()["price"]) == (200, "20010.00")
    (said,) = events_about(trader, f"an amendment of {own_id} was asked for by token")
    assert said.endswith("price 20010")
    cancelled = trader.delete(f"/orders/{own_id}")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert trader.delete(f"/orders/{own_id}").json() == cancelled.json()
    assert len(events_about(trader, "cancel requested: by token")) >= 1
    late = trader.patch(f"/orders/{own_id}", json={"price": "20020"})
    assert late.status_code in (404, 422)


@pytest.mark.parametrize("path", ["nobody", "order:other:x", "no blanks", "%00"])
def test_an_order_that_there_is_not_is_not_found(trader: httpx.Client, path: str) -> None:
    assert trader.get(f"/orders/{path}").status_code == 404
    assert trader.delete(f"/orders/{path}").json()["code"] == "ORDER_NOT_FOUND"


def test_each_role_may_what_those_before_it_may(served: Served, own_id: str) -> None:
    with served.client(Role.READ) as reader, served.client(Role.TRADE) as trader, served.client(Role.HALT) as halter:
        assert [each.get("/positions").status_code for each in (reader, trader, halter)] == [200, 200, 200]
        order = RESTING | {"client_order_id": own_id}
        assert [each.post("/orders", json=order).status_code for each in (reader, trader, halter)] == [403, 201, 200]
        assert reader.delete(f"/orders/{own_id}").json()["code"] == "ROLE"
        why = {"reason": "a drill"}
        for path in ("/halt", "/resume", "/flatten"):
            assert [each.post(path, json=why).status_code for each in (reader, trader)] == [403, 403]
        assert trader.put("/flags/drill", json=why).status_code == 403


def test_a_halt_refuses_orders_until_it_is_resumed(served: Served, own_id: str) -> None:
    with served.client(Role.HALT) as halter:
        assert halter.post("/halt", json={"reason": " "}).status_code == 422
        assert halter.post("/halt", json={"reason": "a drill"}).json()["state"] == "HALTED"
        try:
            refused = halter.post("/orders", json=RESTING | {"client_order_id": own_id})
            assert (refused.status_code, refused.json()["codes"]) == (422, ["HALTED"])
        finally:
            assert halter.post("/resume", json={"reason": "it is over"}).json()["state"] == "ACTIVE"
        assert [flag["name"] for flag in halter.put("/flags/drill", json={"reason": "why"}).json()["flags"]] == [
            "drill"
        ]
        assert halter.delete("/flags/drill").json()["flags"] == []
        said = events_about(halter, "by token t")
        assert any(words.startswith("the account is HALTED, by token t") for words in said)
        assert any(words.startswith("risk flag drill is up, by by token t") for words in said)


def test_a_token_is_printed_bare_and_said_to_be_shown_once(served: Served, own_id: str) -> None:
    made = served.program.here("token", "create", own_id, "--role", "read")
    assert made.out.split() == [made.out.strip()]
    assert "shown this once" in made.err


def test_a_flatten_closes_what_is_held_of_a_strategy(served: Served, trader: httpx.Client, own_id: str) -> None:
    strategy = own_id[-40:]
    order = TERMS | {"client_order_id": own_id, "strategy": strategy}
    assert trader.post("/orders", json=order).status_code == 201
    served.program.here("place", "BUY", SYMBOL, "75", "--id", own_id, "--strategy", strategy, "--wait")
    with served.client(Role.HALT) as halter:
        ended = halter.post("/flatten", json={"reason": "out", "strategy": strategy}, params={"timeout": 60})
        assert (ended.status_code, ended.json()["is_over"]) == (200, True)
        (closing,) = ended.json()["result"]["closed"]
        assert (closing["status"], closing["filled_quantity"]) == ("FILLED", 75)
        nothing = halter.post("/flatten", json={"reason": "out", "symbol": "NSE:NOTHELD"})
        assert nothing.json()["detail"] == "symbol: nothing of NSE:NOTHELD is held or open"


def test_events_come_as_a_stream_from_any_point(served: Served, trader: httpx.Client, own_id: str) -> None:
    before = trader.get("/events").json()[-1]["feed_id"]
    trader.post("/orders", json=RESTING | {"client_order_id": own_id})
    stream = {"after": before}
    with trader.stream("GET", "/events", params=stream, headers={"Accept": "text/event-stream"}) as found:
        lines = (line for line in found.iter_lines() if line.startswith(("id:", "data:")))
        first = next(lines), next(lines)
    assert int(first[0].removeprefix("id: ")) > before
    own = f"order:{served.program.here('show', own_id, '--json').json['order']['account']}:{own_id}"
    assert json.loads(first[1].removeprefix("data: "))["order_id"] == own
    again = {"Last-Event-ID": first[0].removeprefix("id: ")}
    with trader.stream("GET", "/events/stream", params=stream, headers=again) as found:
        line = next(line for line in found.iter_lines() if line.startswith("data:"))
    assert json.loads(line.removeprefix("data: "))["type"] == "order_placed"


def test_the_same_comes_over_a_websocket_while_it_happens(served: Served, trader: httpx.Client, own_id: str) -> None:
    before = trader.get("/events").json()[-1]["feed_id"]
    address = f"{served.url.replace('http', 'ws', 1)}/api/v1/events/ws"
    with connect(f"{address}?after={before}&token={served.token(Role.READ)}") as socket:
        trader.post("/orders", json=RESTING | {"client_order_id": own_id})
        seen: list[dict[str, Any]] = []
        while not (seen and seen[-1]["type"] == "order_placed" and seen[-1]["order_id"].endswith(own_id)):
            seen.append(json.loads(socket.recv(MAX_WAIT)))
    ids = [event["feed_id"] for event in seen]
    assert ids == sorted(set(ids))
    with connect(f"{address}?token=wrong") as socket, pytest.raises(ConnectionClosed, match="1008"):
        socket.recv(MAX_WAIT)


def test_what_it_takes_and_gives_is_told_as_openapi(trader: httpx.Client) -> None:
    told = trader.get("/openapi.json").json()
    order = told["components"]["schemas"]["NewOrder"]["properties"]
    assert {"symbol", "side", "quantity", "order_type", "price", "trigger_price", "product", "validity"} <= set(order)
    assert {"strategy", "client_order_id"} <= set(order)
    assert {"201", "200", "409"} <= set(told["paths"]["/api/v1/orders"]["post"]["responses"])


def test_a_token_is_shown_once_and_opens_nothing_once_it_is_revoked_or_over(desk: Program, served: Served) -> None:
    text = desk.here("token", "create", "passing", "--role", "read", "--json").json["token"]
    headers = {"Authorization": f"Bearer {text}"}
    assert httpx.get(f"{served.url}/api/v1/positions", headers=headers).status_code == 200
    assert "there is a token passing" in desk.here("token", "create", "passing", "--role", "halt").error
    listed = desk.here("token", "list", "--json")
    assert text not in listed.out
    (row,) = [each for each in listed.json if each["name"] == "passing"]
    assert (row["role"], row["expires_at"]) == ("read", None)
    assert text.encode() not in (desk.home / "ledger.db").read_bytes()
    assert text.encode() not in (desk.home / "ledger.db-wal").read_bytes()
    assert desk.here("token", "revoke", "passing").code == 0
    assert httpx.get(f"{served.url}/api/v1/positions", headers=headers).status_code == 401
    assert "no token passing" in desk.here("token", "revoke", "passing").error
    brief = desk.here("token", "create", "brief", "--role", "read", "--expires", "0.001", "--json").json["token"]
    assert brief != text
    assert next(each for each in desk.here("token", "list", "--json").json if each["name"] == "brief")["expires_at"]


@pytest.mark.parametrize(
    "words",
    [
        ("create",),
        ("create", "x"),
        ("create", "x", "--role", "king"),
        ("create", "x", "--role", "read", "--expires", "-1"),
        ("list", "x"),
        ("revoke", "x", "--role", "read"),
    ],
)
def test_a_token_command_that_makes_no_sense_is_bad_usage(desk: Program, words: tuple[str, ...]) -> None:
    assert desk.here("token", *words).code == 2


def test_a_tokens_name_is_checked(desk: Program) -> None:
    assert desk.here("token", "create", "no blanks", "--role", "read").error.startswith("name: must be 1 to 64")


def test_wrong_tokens_are_held_up_and_right_ones_are_not(desk: Program) -> None:
    with desk.started("web", "--port", "0") as running:  # its own: the throttle counts by address
        url = f"{running.line('Page on ').removeprefix('Page on ')}/api/v1/positions"
        wrong = [httpx.get(url, headers={"Authorization": "Bearer do_wrong"}) for _ in range(FAILURES + 1)]
        assert [each.status_code for each in wrong] == [401] * FAILURES + [429]
        assert int(wrong[-1].headers["retry-after"]) >= 1
        assert wrong[0].headers["www-authenticate"] == "Bearer"
        assert httpx.get(url).status_code == 429
        right = Served(desk, "").token(Role.READ)
        assert httpx.get(url, headers={"Authorization": f"Bearer {right}"}).status_code == 200


def test_another_sites_name_for_this_machine_is_not_answered(served: Served, trader: httpx.Client) -> None:
    assert trader.get("/positions", headers={"Host": "rebound.example"}).status_code == 400


def test_the_journal_is_that_of_the_command_line(served: Served, trader: httpx.Client) -> None:
    own = served.program.here("journal", "--strategy", "opening", "--json").json
    assert trader.get("/journal", params={"strategy": "opening"}).json() == own
    later = trader.get("/journal", params={"strategy": "opening", "since": "2099-01-01T00:00:00Z"})
    assert (later.status_code, later.json()) == (200, [])
    wrong = trader.get("/journal", params={"since": "yesterday"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "since")
    far = trader.get("/journal", params={"until": "9999-12-31T23:59:59-05:00"})
    assert (far.status_code, far.json()["errors"][0]["field"]) == (422, "until")
