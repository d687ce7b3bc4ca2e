"""The API's plans: one plan however often it is asked for, its own shapes, and the guardian's refusals."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from durable_orders import Orders, PlanView
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.tokens import Role
from tests.conftest import until
from tests.durable_orders.conftest import ASKS, FAR_BELOW, SYMBOL
from tests.durable_orders.web.conftest import Served, events_about
from tests.durable_orders.web.test_pages import Visitor

RESTING: dict[str, Any] = {
    "symbol": SYMBOL,
    "side": "BUY",
    "quantity": 75,
    "entry": {"order_type": "LIMIT", "price": FAR_BELOW},
    "stop": {"trigger_price": "19900"},
    "targets": [{"price": "20100"}],
}
"""A bracket whose entry rests."""
AT_MARKET = RESTING | {"entry": {}, "stop": {"trigger_price": FAR_BELOW}, "targets": [{"price": "30000"}]}


LEG: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "quantity": 75}


def schedule() -> dict[str, Any]:
    begins = datetime.now(UTC) + timedelta(minutes=1)
    times = {"begins_at": begins.isoformat(), "ends_at": (begins + timedelta(minutes=1)).isoformat()}
    return {"symbol": SYMBOL, "side": "BUY", "quantity": 150, "slices": 2, "product": "NRML", **times}


def test_a_bracket_is_answered_as_the_command_line_shows_it(
    served: Served, trader: httpx.Client, short_id: str
) -> None:
    made = trader.post("/plans", json=RESTING | {"plan_id": short_id})
    assert made.status_code == 201, made.text
    shown = served.program.here("plan", "show", short_id, "--json").json
    assert made.json() == shown
    assert (shown["status"], shown["kind"], shown["strategy"]) == ("WORKING", "bracket", "manual")
    assert trader.get(f"/plans/{short_id}").json() == shown
    assert short_id in [each["plan_id"] for each in trader.get("/plans", params={"open": True}).json()]
    (said,) = events_about(trader, f"plan {short_id} was asked for by token")
    assert said.endswith(shown["summary"])
    same = ("--price", FAR_BELOW, "--stop", "19900", "--target", "20100", "--id", short_id, "--json")
    assert served.program.here("bracket", "BUY", SYMBOL, "75", *same).json["plan_id"] == short_id, "it is the same plan"


def test_the_same_plan_again_is_the_same_one_and_another_content_a_conflict(
    trader: httpx.Client, short_id: str
) -> None:
    headers = {"Idempotency-Key": short_id}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: trader.post("/plans", json=RESTING, headers=headers), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert {answer.json()["plan_id"] for answer in answers} == {short_id}
    assert len({order["order_id"] for answer in answers for order in answer.json()["orders"]}) == 1
    other = trader.post("/plans", json=RESTING | {"quantity": 150}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "DUPLICATE_ORDER")
    both = trader.post("/plans", json=RESTING | {"plan_id": f"{short_id}-2"}, headers=headers)
    assert (both.status_code, both.json()["code"]) == (422, "INVALID_ORDER")
    assert "name two plans" in both.json()["detail"]
    worded = [trader.post("/plans", json=RESTING, headers={"Idempotency-Key": f"{short_id}, said"}) for _ in range(2)]
    assert [each.status_code for each in worded] == [201, 200]
    assert worded[0].json()["plan_id"].startswith("key-")
    dots = trader.post("/plans", json=RESTING, headers={"Idempotency-Key": ".."}).json()
    assert trader.get(f"/plans/{dots['plan_id']}").json() == dots, "a name that an address can have"


def test_a_plan_is_amended_and_cancelled_and_says_who(served: Served, trader: httpx.Client, short_id: str) -> None:
    trader.post("/plans", json=RESTING | {"plan_id": short_id})
    amended = trader.patch(f"/plans/{short_id}", json={"stop": "19910"})
    assert (amended.status_code, amended.json()["stop"]) == (200, "19910.00"), amended.text
    asked = f"an amendment of plan {short_id} was asked for by token"
    assert events_about(trader, asked)[0].endswith(": stop 19910")
    wrong = trader.patch(f"/plans/{short_id}", json={"stop": "20200"})
    assert (wrong.status_code, wrong.json()["detail"][:5]) == (422, "stop:")
    assert events_about(trader, asked)[1].endswith(": stop 20200"), "whatever came of it"
    (refused,) = events_about(trader, f"an amendment of plan {short_id} was refused: ")
    assert refused.endswith(wrong.json()["detail"])
    assert trader.patch(f"/plans/{short_id}", json={}).status_code == 422
    with served.client(Role.READ) as reader:
        assert reader.delete(f"/plans/{short_id}").json()["code"] == "ROLE"
        assert reader.patch(f"/plans/{short_id}", json={"stop": "19920"}).status_code == 403
        assert reader.post("/plans", json=RESTING).status_code == 403
    cancelled = trader.delete(f"/plans/{short_id}", params={"timeout": 30})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert trader.delete(f"/plans/{short_id}").json() == cancelled.json()
    assert len(events_about(trader, f"a cancel of plan {short_id} was asked for by token")) == 1
    assert trader.patch(f"/plans/{short_id}", json={"stop": "19920"}).status_code == 422


def test_a_plan_is_flattened(served: Served, trader: httpx.Client, short_id: str) -> None:
    made = trader.post("/plans", json=AT_MARKET | {"plan_id": short_id, "strategy": short_id})
    assert made.status_code == 201, made.text
    served.program.here("place", "BUY", SYMBOL, "75", "--id", f"{short_id}-after", "--wait")
    closed = trader.delete(f"/plans/{short_id}", params={"flatten": True, "timeout": 30})
    assert (closed.json()["status"], closed.json()["held"]) == ("CLOSED", 0), closed.text


def test_a_plan_that_is_over_and_left_something_is_never_answered_as_flat(
    served: Served, trader: httpx.Client, short_id: str
) -> None:
    """By the API, the page and the command: a basket that is filled closes nothing."""
    legs = [{"symbol": SYMBOL, "side": "BUY", "quantity": 75, "product": product} for product in ("NRML", "MIS")]
    made = trader.post("/plans", json={"plan_id": short_id, "legs": legs, "within": 60, "strategy": short_id})
    assert made.status_code == 201, made.text

    async def ended() -> PlanView:
        async with await Orders.connect(served.program.home) as orders:
            return await orders.plan_result(short_id)

    assert asyncio.run(ended()).status == "FILLED"
    refused = trader.delete(f"/plans/{short_id}", params={"flatten": True})
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["plan"]["held"]) == (409, "NOT_FLAT", 150), refused.text
    assert f"75 {SYMBOL} MIS, 75 {SYMBOL} NRML" in problem["detail"]
    assert f"`durable-orders flatten {SYMBOL}`" in problem["detail"]
    assert trader.delete(f"/plans/{short_id}").status_code == 200, "nobody asked to be flat"
    with Visitor(served, Role.TRADE) as visitor:
        page = visitor.send_form(f"/plan/{short_id}/flatten", reason="out", sure="yes")
        assert (page.status_code, "closes nothing any more" in page.text) == (409, True), page.text
    command = served.program.here("plan", "cancel", short_id, "--flatten")
    assert command.code == 1
    assert problem["detail"] in command.error.replace(f" --home {served.program.home}", "")
    served.program.here("flatten", "--strategy", short_id)


def test_a_flatten_of_a_plan_that_goes_on_is_not_yet_flat(trader: httpx.Client, short_id: str) -> None:
    trader.post("/plans", json=AT_MARKET | {"plan_id": short_id, "strategy": short_id})
    asked = trader.delete(f"/plans/{short_id}", params={"flatten": True, "timeout": 0})
    assert (asked.status_code, asked.json()["status"] in ("CLOSED", "LEFT")) in ((202, False), (200, True)), asked.text
    over = trader.delete(f"/plans/{short_id}", params={"flatten": True, "timeout": 30})
    assert (over.status_code, over.json()["held"]) == (200, 0), over.text


def test_a_token_does_not_approve_the_orders_of_its_own_plan(
    served: Served, trader: httpx.Client, short_id: str
) -> None:
    made = trader.post("/plans", json=RESTING | {"plan_id": short_id, "strategy": ASKS})
    assert made.status_code == 201, made.text
    entry = f"{short_id}.entry"
    assert entry in [each["client_order_id"] for each in trader.get("/approvals").json()]
    name = trader.get(f"/orders/{entry}").json()["tags"]["by"]
    assert name.startswith("token t")
    own = trader.post(f"/orders/{entry}/approve")
    assert (own.status_code, own.json()["code"]) == (403, "OWN_PROPOSAL")
    with served.client(Role.TRADE) as other:
        approved = other.post(f"/orders/{entry}/approve")
    assert (approved.status_code, approved.json()["status"]) == (200, "PLACED")
    assert trader.delete(f"/plans/{short_id}", params={"timeout": 30}).json()["status"] == "CANCELLED"


RESTS = {"quantity": 75, "order_type": "LIMIT", "price": FAR_BELOW}


def asking(kind: str) -> dict[str, Any]:
    """A plan of that kind that waits for a person."""
    if kind == "basket":
        legs = [LEG | RESTS, LEG | RESTS | {"product": "MIS"}]
        return {"legs": legs, "within": 600, "approve": True}
    if kind == "schedule":
        begins = datetime.now(UTC)
        times = {"begins_at": begins.isoformat(), "ends_at": (begins + timedelta(minutes=5)).isoformat()}
        return schedule() | times | {"price": FAR_BELOW, "approve": True}
    return {name: value for name, value in AT_MARKET.items() if name != "entry"} | {"approve": True}


@pytest.mark.parametrize(
    ("kind", "first", "others"), [("basket", "leg-1-1", 1), ("schedule", "slice-1-1", 0), ("oco", "exit-1-1", 0)]
)
def test_a_plan_of_any_kind_waits_for_somebody_else_with_its_first_order(
    served: Served, trader: httpx.Client, short_id: str, kind: str, first: str, others: int
) -> None:
    """Approved twice at once it is the same approval, declined it has sent nothing."""
    if kind == "oco":
        bought = {"side": "BUY", "quantity": 150, "product": "MIS", "symbol": SYMBOL, "strategy": short_id}
        assert trader.post("/orders", json=bought).status_code == 201
    names = [f"{short_id}.{first}", f"{short_id}-2.{first}"]
    for own in (short_id, f"{short_id}-2"):
        made = trader.post("/plans", json=asking(kind) | {"plan_id": own, "strategy": short_id})
        assert (made.status_code, made.json()["status"]) == (201, "PENDING"), made.text
        assert made.json()["reasons"] == ["waits for a person's approval"]
        assert [order["client_order_id"] for order in made.json()["orders"]] == [f"{own}.{first}"]
        assert "waits for a person's approval" in served.program.here("plan", "show", own).out
    assert set(names) <= {each["client_order_id"] for each in trader.get("/approvals").json()}
    assert trader.post(f"/orders/{names[0]}/approve").json()["code"] == "OWN_PROPOSAL"
    with served.client(Role.TRADE) as other, served.client(Role.TRADE) as third:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda who: who.post(f"/orders/{names[0]}/approve"), (other, third)))
        assert sorted({answer.status_code for answer in answers})[0] == 200, [answer.text for answer in answers]
        assert other.post(f"/orders/{names[1]}/decline", json={"reason": "no"}).status_code == 200

    def declined() -> bool:
        return bool(trader.get(f"/plans/{short_id}-2").json()["status"] == "REJECTED")

    def goes_on() -> bool:
        found = trader.get(f"/plans/{short_id}").json()
        return [order["status"] for order in found["orders"]] == ["PLACED"] * (1 + others)

    asyncio.run(until(goes_on, "the plan that was approved"))
    asyncio.run(until(declined, "the plan that was declined"))
    assert len(trader.get(f"/plans/{short_id}-2").json()["orders"]) == 1
    cancelled = trader.delete(f"/plans/{short_id}", params={"timeout": 30, "flatten": kind == "oco"})
    assert cancelled.status_code == 200, cancelled.text
    served.program.here("flatten", "--strategy", short_id)


def test_the_shapes_of_a_basket_and_a_schedule_are_those_of_the_client(trader: httpx.Client, short_id: str) -> None:
    legs = [
        {"symbol": SYMBOL, "side": "BUY", "quantity": 75, "order_type": "LIMIT", "price": FAR_BELOW},
        {"symbol": SYMBOL, "side": "BUY", "quantity": 75, "product": "MIS", "order_type": "LIMIT", "price": FAR_BELOW},
    ]
    basket = trader.post("/plans", json={"plan_id": short_id, "legs": legs, "within": 3600})
    assert (basket.status_code, basket.json()["kind"]) == (201, "basket"), basket.text
    assert [order["role"] for order in basket.json()["orders"]] == ["leg 1", "leg 2"]
    of_legs = [trader.get(f"/orders/{each['client_order_id']}").json() for each in basket.json()["orders"]]
    assert all(order["tags"]["by"].startswith("token t") for order in of_legs), "whoever asked for the plan"
    body = schedule()
    planned = trader.post("/plans", json=body | {"plan_id": f"{short_id}-t"})
    assert (planned.status_code, planned.json()["kind"]) == (201, "twap"), planned.text
    in_ist = {name: datetime.fromisoformat(body[name]).astimezone(IST).isoformat() for name in ("begins_at", "ends_at")}
    again = trader.post("/plans", json=body | in_ist | {"plan_id": f"{short_id}-t"})
    assert (again.status_code, again.json()["summary"]) == (200, planned.json()["summary"]), "the same moments"
    assert f"from {datetime.fromisoformat(in_ist['begins_at']):%d %b %H:%M:%S}" in again.json()["summary"]
    for own in (short_id, f"{short_id}-t"):
        assert trader.delete(f"/plans/{own}", params={"timeout": 30}).json()["status"] == "CANCELLED"


def test_the_guardian_refuses_with_all_its_reasons_and_the_plan_is_recorded(
    served: Served, trader: httpx.Client, short_id: str
) -> None:
    body = RESTING | {"plan_id": short_id, "quantity": 100, "entry": {"order_type": "LIMIT", "price": "20000.02"}}
    refused = [trader.post("/plans", json=body) for _ in range(2)]
    assert [each.status_code for each in refused] == [422, 422]
    problem = refused[0].json()
    assert problem["codes"] == ["LOT_SIZE", "TICK_SIZE"]
    assert {"entry", "stop"} <= {each["part"] for each in problem["reasons"]}
    assert problem["plan"] == trader.get(f"/plans/{short_id}").json()
    assert problem["plan"]["status"] == "REJECTED"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "the body must be a JSON object"),
        (RESTING | {"colour": 1}, "colour: "),
        (RESTING | {"symbol": "NSE:इंफी"}, "symbol: must be an exchange and a tradingsymbol"),
        (RESTING | {"reason": "\ud800"}, "reason: must be a valid string"),
        (RESTING | {"account": "another"}, "account: "),
        (RESTING | {"stop": {"trigger_price": "20050"}}, "stop: must lie below the entry's 20000"),
        (RESTING | {"stop": None, "targets": []}, "stop: a plan has a stop, a target or both"),
        (RESTING | {"plan_id": "flatten-1"}, "must not begin with"),
        (RESTING | {"plan_id": "x" * 49}, "plan_id: must be 1 to 48 letters"),
        (RESTING | {"plan_id": ".."}, "plan_id: must not be . or .."),
        (RESTING | {"by": "somebody else"}, "by: "),
        (RESTING | {"quantity": "75"}, "quantity: must be a valid integer"),
        ({"legs": [{"symbol": SYMBOL, "side": "BUY", "quantity": 75}]}, "legs: "),
        ({"legs": "x"}, "legs: must be a list, was 'x'"),
        ({}, "symbol: must be given; "),
        ({}, "a basket has `legs` in its place, a schedule `slices` beside it"),
        ({"legs": [{"symbol": SYMBOL, "side": "BUY", "quantity": 0}] * 2}, "legs.0.quantity: must be greater than 0"),
        (schedule() | {"begins_at": None}, "begins_at: "),
        (
            RESTING | {"exit_at": "9999-12-31T23:59:59-05:00"},
            "exit_at: must be a time of the years 2000 to 2099",
        ),
        (schedule() | {"slices": 1}, "slices: must be greater than or equal to 2"),
    ],
)
def test_a_bad_plan_is_a_problem_that_names_field_and_rule(trader: httpx.Client, body: Any, words: str) -> None:
    answer = trader.post("/plans", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"legs": [LEG, LEG | {"side": "SIDE"}]}, ["legs.1.side"]),
        ({"legs": [LEG, LEG | {"price": "5"}]}, ["legs.1.price"]),
        (RESTING | {"stop": {"trigger_price": "20050"}}, ["stop"]),
        (RESTING | {"quantity": 0, "side": "SIDE"}, ["side", "quantity"]),
    ],
)
def test_a_bad_plan_has_each_wrong_field_once(trader: httpx.Client, body: Any, fields: list[str]) -> None:
    problem = trader.post("/plans", json=body).json()
    assert sorted(each["field"] for each in problem["errors"]) == sorted(fields), problem


@pytest.mark.parametrize("path", ["nosuch", "order:other:x", "no blanks", "%00", "इंफी"])
def test_a_plan_that_there_is_not_is_not_found(trader: httpx.Client, path: str) -> None:
    for answer in (
        trader.get(f"/plans/{path}"),
        trader.delete(f"/plans/{path}"),
        trader.patch(f"/plans/{path}", json={"stop": "1"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "PLAN_NOT_FOUND")


def test_the_shapes_are_told_as_openapi(trader: httpx.Client) -> None:
    told = trader.get("/openapi.json").json()
    made = told["paths"]["/api/v1/plans"]["post"]
    shapes = made["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert [each["$ref"].rpartition("/")[2] for each in shapes] == ["NewPlan", "NewBasket", "NewSchedule"]
    assert "account" not in told["components"]["schemas"]["NewPlan"]["properties"]
    assert {"201", "200", "409", "422"} <= set(made["responses"])
    assert {"get", "patch", "delete"} <= set(told["paths"]["/api/v1/plans/{plan_id}"])
