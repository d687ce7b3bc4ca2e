"""Each check by itself, all reasons at once, and a check that itself fails."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from durable_orders.trading.guardian import catalogue
from durable_orders.trading.guardian.check import Check, Failure
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.guardian.checks.exchange import OF_EXCHANGE
from durable_orders.trading.guardian.checks.pace import OF_KITE
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.accounts import set_halt
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.reservations import own_price
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import Order, Status, Terms
from durable_orders.trading.orders.verdict import Approval, Refusals, Verdict
from tests.trading.guardian.conftest import NOW, MakeGuardian, admitted, an_order

LIMIT = {"order_type": "LIMIT"}


def codes(verdict: Verdict) -> list[str]:
    assert isinstance(verdict, Refusals), verdict
    return [refusal.code for refusal in verdict.refusals]


def message(verdict: Verdict) -> str:
    assert isinstance(verdict, Refusals), verdict
    (refusal,) = verdict.refusals
    return refusal.message


@pytest.mark.parametrize(
    ("terms", "code", "words"),
    [
        ({"symbol": "NFO:NIFTY25MAYFUX"}, "UNKNOWN_SYMBOL", "did you mean NFO:NIFTY25MAYFUT?"),
        ({"symbol": "BSE:QQQQ"}, "UNKNOWN_SYMBOL", "symbol BSE:QQQQ is not in the instrument master"),
        ({"symbol": "NSE:NIFTY 50"}, "NOT_TRADABLE", "symbol NSE:NIFTY 50 is an index and cannot be traded"),
        ({"product": "CNC"}, "PRODUCT_NOT_ALLOWED", "product in NFO-FUT may be MIS, NRML, was CNC"),
        ({"symbol": "NSE:INFY", "product": "NRML"}, "PRODUCT_NOT_ALLOWED", "in NSE may be MIS, CNC, MTF, was NRML"),
        ({"quantity": 100}, "LOT_SIZE", "quantity must be a multiple of the lot of 75, was 100"),
        ({**LIMIT, "price": "24300.01"}, "TICK_SIZE", "multiples of the tick of 0.05; price was 24300.01"),
        (
            {"order_type": "SL", "price": "24400.01", "trigger_price": "24399.99"},
            "TICK_SIZE",
            "price was 24400.01, trigger_price was 24399.99",
        ),
        ({"quantity": 300}, "MAX_ORDER_QUANTITY", "quantity may be at most 225, was 300"),
        ({**LIMIT, "price": "30000"}, "MAX_ORDER_VALUE", "value may be at most 2000000 rupees, was 2250000"),
        ({"order_type": "SL-M", "trigger_price": "30000"}, "MAX_ORDER_VALUE", "was 2250000"),
        ({"quantity": 150}, "MAX_ORDER_VALUE", "was 3645000"),
        (
            {"symbol": "NSE:INFY", "quantity": 1},
            "MAX_ORDER_VALUE",
            "value may be at most 2000000 rupees, and without a last price it cannot be known",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_limit_and_the_value(
    guardian_with: MakeGuardian, terms: dict[str, Any], code: str, words: str
) -> None:
    limits = {"max_order_quantity": 225} if code == "MAX_ORDER_QUANTITY" else {}
    limits |= {"max_order_value": 2_000_000} if code == "MAX_ORDER_VALUE" else {}
    verdict = admitted(guardian_with(**limits), an_order(**terms))
    assert codes(verdict) == [code]
    assert words in message(verdict)


def test_limit_and_value_are_told_apart(guardian_with: MakeGuardian) -> None:
    verdict = admitted(guardian_with(max_order_value=1), an_order())
    assert isinstance(verdict, Refusals)
    assert [(refusal.limit, refusal.value) for refusal in verdict.refusals] == [("1", "1822500")]


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"quantity": 225},
        {"product": "NRML"},
        {"symbol": "NSE:INFY", "quantity": 7, "product": "CNC", **LIMIT, "price": "1500.1"},
        {**LIMIT, "price": "24300.05", "side": "SELL"},
        {"order_type": "SL", "price": "24400", "trigger_price": "24390.95"},
        {"symbol": "NSE:INFY", "quantity": 7, **LIMIT, "price": "1500.1"},
        {"symbol": "CDS:USDINR25MAYFUT", "quantity": 1, **LIMIT, "price": "84.0025"},
    ],
)
def test_what_is_right_passes(guardian_with: MakeGuardian, terms: dict[str, Any]) -> None:
    guardian = guardian_with(max_order_quantity=225, max_order_value=24_300 * 225)
    assert isinstance(admitted(guardian, an_order(**terms)), Approval)


def test_every_reason_is_given_at_once(guardian_with: MakeGuardian, ledger: Database) -> None:
    set_halt(ledger, "paper", "lunch", NOW)
    order = an_order(quantity=1801, order_type="LIMIT", price="24300.01")
    verdict = admitted(guardian_with(max_order_quantity=1800, max_order_value=1), order, NOW - timedelta(seconds=1))
    assert sorted(codes(verdict)) == [
        "FREEZE_QUANTITY",
        "HALTED",
        "LOT_SIZE",
        "MAX_ORDER_QUANTITY",
        "MAX_ORDER_VALUE",
        "TICK_SIZE",
        "TOO_LATE",
    ]


def test_a_value_that_the_ledger_cannot_count_is_refused(guardian: Guardian) -> None:
    order = an_order(quantity=75 * 10**7, order_type="LIMIT", price="9999999.95")
    assert codes(admitted(guardian, order)) == ["VALUE_TOO_LARGE", "FREEZE_QUANTITY"]


def test_a_halted_account_takes_nothing_new(guardian: Guardian, ledger: Database) -> None:
    set_halt(ledger, "paper", "lunch", NOW)
    assert message(admitted(guardian, an_order())) == "the account is halted: lunch"
    set_halt(ledger, "paper", None, NOW)
    assert isinstance(admitted(guardian, an_order()), Approval)


def test_while_an_outcome_is_unknown_no_new_risk_is_taken(guardian: Guardian, ledger: Database) -> None:
    lost = an_order(client_order_id="lost").model_copy(update={"status": Status.UNKNOWN})
    entry = Entry(sequence=1, type=EventType.ALERT, at=NOW, message="unreadable", status=Status.UNKNOWN)
    record(ledger, lost, [entry], unsettled=True)
    assert message(admitted(guardian, an_order())) == "no new risk while the outcome of order:paper:lost is unknown"
    settled = entry.model_copy(update={"sequence": 2})
    record(ledger, lost, [settled], unsettled=False)
    assert isinstance(admitted(guardian, an_order()), Approval)


@pytest.mark.parametrize(
    "order",
    [an_order(account="other"), an_order(mode="live")],
    ids=["of another account", "for other money"],
)
def test_an_order_that_is_not_this_workers_is_refused(guardian: Guardian, order: Order) -> None:
    verdict = admitted(guardian, order)
    assert codes(verdict) == ["WRONG_ACCOUNT"]
    assert "this worker serves paper (paper)" in message(verdict)


class Broken(Check):
    """A check with a bug."""

    code: ClassVar[str] = "BROKEN"

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        raise ZeroDivisionError


def test_a_check_that_fails_refuses_the_order(
    guardian_with: MakeGuardian, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catalogue, "ALWAYS", (Broken, *catalogue.ALWAYS))
    guardian = guardian_with()
    verdict = admitted(guardian, an_order(quantity=100))
    assert codes(verdict) == ["BROKEN", "LOT_SIZE"], "the others are still asked"
    assert isinstance(verdict, Refusals)
    assert verdict.refusals[0].message == "the check itself failed (ZeroDivisionError)"
    assert "check BROKEN failed on BUY 100" in caplog.text


EVERY: tuple[type[Check], ...] = (*catalogue.ALWAYS, *catalogue.LIMITS, *catalogue.RULES, *OF_EXCHANGE, *OF_KITE)


@pytest.mark.parametrize("check", EVERY, ids=lambda check: str(check.code))
def test_codes_are_stable_and_their_own(check: type[Check]) -> None:
    assert [known.code for known in EVERY].count(check.code) == 1
    assert check.code.replace("_", "").isupper()


def test_an_order_is_valued_at_what_it_may_cost() -> None:
    assert own_price(an_order()) is None
    assert own_price(an_order(order_type="LIMIT", price="24000")) == 24_000
    assert own_price(an_order(order_type="SL-M", trigger_price="25000")) == 25_000
    assert own_price(an_order(order_type="SL", trigger_price="25000", price="25010")) == 25_010
