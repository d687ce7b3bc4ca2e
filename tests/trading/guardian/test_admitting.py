"""What an admission leaves behind, who may redeem it, and how often it may be asked for."""

import ast
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import AttemptUsed, NotApproved
from durable_orders.trading.gtt import outcome
from durable_orders.trading.guardian import catalogue
from durable_orders.trading.guardian.check import Failure
from durable_orders.trading.guardian.check_context import CheckContext, Read
from durable_orders.trading.guardian.checks.pace import KitesDay, KitesMinute
from durable_orders.trading.guardian.checks.terms import ALLOWED
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState, set_halt
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import events_of, find_order
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.reservations import is_reserved
from durable_orders.trading.market.instruments import SHARES
from durable_orders.trading.market.rules import rules
from durable_orders.trading.orders import approval
from durable_orders.trading.orders.approval import Approved
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import Amendment, Order, OrderIntent, OrderType, Status, new_client_order_id
from durable_orders.trading.orders.verdict import Approval, Existing, Refusals
from tests.properties import FIXTURES_STAY
from tests.trading.guardian.conftest import (
    FUTURE,
    INSTRUMENTS,
    LAST_PRICE,
    NOW,
    SESSION_END,
    MakeGuardian,
    admitted,
    an_order,
    guardian_over,
)
from tests.trading.guardian.lots import CRUDE, DOLLAR
from tests.trading.orders.strategies import intents

HOUSE = Path(__file__).parents[3]
UNITS = {CRUDE: 100, DOLLAR: 1000}
FROZEN_BEYOND = {"NIFTY": 1800, "BANKNIFTY": 900}
"""Units of one order, on the day of these tests."""
"""What one lot of these is, by the exchanges' contract specifications; of all others the quantity is in units."""


def ended(ledger: Database, order: Order, status: Status = Status.REJECTED) -> Order:
    over = order.model_copy(update={"status": status})
    entry = Entry(sequence=1, type=EventType.ORDER_REJECTED, at=NOW, message="over", status=status)
    record(ledger, over, [entry])
    return over


def reserved(ledger: Database, order: Order) -> bool:
    with ledger.read() as connection:
        return is_reserved(connection, order.order_id)


def test_an_approved_order_is_recorded_and_reserved(guardian: Guardian, ledger: Database) -> None:
    order = an_order()
    verdict = admitted(guardian, order)
    assert isinstance(verdict, Approval)
    assert reserved(ledger, order)
    with ledger.read() as connection:
        assert find_order(connection, order.order_id) == order
        (received,) = events_of(connection, order.order_id)
    assert (received.sequence, received.type, received.message) == (0, EventType.ORDER_RECEIVED, order.summary())
    assert guardian.redeem(order).order == order


def test_a_refused_order_is_recorded_and_reserves_nothing(guardian: Guardian, ledger: Database) -> None:
    order = an_order(quantity=100)
    assert isinstance(admitted(guardian, order), Refusals)
    with ledger.read() as connection:
        assert find_order(connection, order.order_id) == order
    assert not reserved(ledger, order)
    with pytest.raises(NotApproved, match="no reservation stands for it"):
        guardian.redeem(order)


def test_an_order_that_the_ledger_does_not_know_cannot_be_redeemed(guardian: Guardian) -> None:
    """A ledger that was restored knows less than the order's history: it may be at the broker."""
    with pytest.raises(AttemptUsed, match="the ledger does not know the order"):
        guardian.redeem(an_order(client_order_id="never"))


def test_an_ended_order_cannot_be_redeemed_again(guardian: Guardian, ledger: Database) -> None:
    order = an_order()
    admitted(guardian, order)
    ended(ledger, order)
    with pytest.raises(NotApproved):
        guardian.redeem(order)


def test_a_halt_counts_until_the_order_is_sent(guardian: Guardian, ledger: Database) -> None:
    order = an_order()
    admitted(guardian, order)
    set_halt(ledger, "paper", "now", NOW)
    with pytest.raises(NotApproved, match="the account is halted: now"):
        guardian.redeem(order)


def test_asking_again_changes_nothing(guardian: Guardian, ledger: Database) -> None:
    order = an_order()
    assert admitted(guardian, order) == admitted(guardian, order)
    with ledger.read() as connection:
        assert len(events_of(connection, order.order_id)) == 1


def test_an_id_that_another_run_used_gives_its_order_back(guardian: Guardian, ledger: Database) -> None:
    order = an_order(client_order_id="used")
    admitted(guardian, order, run_id="first")
    over = ended(ledger, order)
    again = guardian.admit(order, "second", f"content of {order.order_id}", None)
    other = guardian.admit(an_order(client_order_id="used", quantity=150), "third", "other content", None)
    assert isinstance(again, Existing)
    assert isinstance(other, Existing)
    assert again.order == other.order == over
    assert (again.same_content, other.same_content) == (True, False)
    assert not reserved(ledger, order)


def test_many_admissions_of_one_order_at_once_admit_it_once(guardian: Guardian, ledger: Database) -> None:
    order = an_order()
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda run: admitted(guardian, order, run_id=f"run {run}"), range(16)))
    assert [isinstance(verdict, Approval) for verdict in verdicts].count(True) == 1
    assert all(isinstance(verdict, Existing) for verdict in verdicts if not isinstance(verdict, Approval))
    with ledger.read() as connection:
        assert len(events_of(connection, order.order_id)) == 1


def test_many_orders_at_once_are_all_admitted(guardian: Guardian, ledger: Database) -> None:
    orders = [an_order(client_order_id=f"o{number}") for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda order: admitted(guardian, order), orders))
    assert all(isinstance(verdict, Approval) for verdict in verdicts)
    assert all(reserved(ledger, order) for order in orders)


@pytest.mark.parametrize(
    ("terms", "place_by"),
    [
        ({}, NOW + timedelta(seconds=30)),
        ({"order_type": "SL-M", "trigger_price": "25000"}, NOW + timedelta(seconds=30)),
        ({"order_type": "LIMIT", "price": "24000"}, SESSION_END),
        ({"order_type": "SL", "price": "25000", "trigger_price": "25000"}, SESSION_END),
    ],
)
def test_what_fires_at_the_market_has_half_a_minute(
    guardian: Guardian, terms: dict[str, str], place_by: object
) -> None:
    verdict = admitted(guardian, an_order(**terms))
    assert isinstance(verdict, Approval)
    assert verdict.policy.place_by == place_by


def test_a_deadline_of_ones_own_counts(guardian: Guardian) -> None:
    verdict = admitted(guardian, an_order(), NOW + timedelta(hours=1))
    assert isinstance(verdict, Approval)
    assert verdict.policy.place_by == NOW + timedelta(hours=1)


def test_only_the_guardian_approves() -> None:
    with pytest.raises(NotApproved, match="only the guardian approves an order"):
        Approved(an_order(), key=object())
    with pytest.raises(TypeError):
        Approved(an_order())  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        type("Mine", (Approved,), {})(an_order())


def test_nobody_else_takes_the_guardians_key() -> None:
    """`grant`, that of GTTs and the key are named in few files only: where they are made, and in the guardian."""
    users = {
        str(file.relative_to(HOUSE))
        for package in ("trading", "activities", "workflows", "workers", "durable_orders", "sandbox")
        for file in (HOUSE / package).rglob("*.py")
        if names_of(file) & {approval.grant.__name__, outcome.grant_gtt.__name__, "_GUARDIAN"}
    }
    assert users == {"trading/orders/approval.py", "trading/gtt/outcome.py", "trading/guardian/guardian.py"}


def names_of(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names | {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (Amendment(quantity=150), []),
        (Amendment(price=Decimal("24310.05")), []),
        (Amendment(order_type=OrderType.MARKET), []),
        (Amendment(quantity=100), ["LOT_SIZE"]),
        (Amendment(quantity=301, price=Decimal("24310.01")), ["LOT_SIZE", "TICK_SIZE", "MAX_ORDER_QUANTITY"]),
        (Amendment(trigger_price=Decimal(24000)), ["INVALID_TERMS"]),
        (Amendment(order_type=OrderType.SL, trigger_price=Decimal("24999.99")), ["INVALID_TERMS"]),
    ],
)
def test_a_change_is_checked_like_an_order(guardian_with: MakeGuardian, change: Amendment, codes: list[str]) -> None:
    guardian = guardian_with(max_order_quantity=300)
    order = an_order(order_type="LIMIT", price="24300")
    admitted(guardian, order)
    assert [refusal.code for refusal in guardian.check_amendment(order, change)] == codes


def test_a_halt_does_not_keep_an_order_from_being_changed(guardian: Guardian, ledger: Database) -> None:
    order = an_order(order_type="LIMIT", price="24300")
    admitted(guardian, order)
    set_halt(ledger, "paper", "lunch", NOW)
    assert guardian.check_amendment(order, Amendment(price=Decimal(24000))) == ()


def test_the_26th_change_is_refused_before_it_is_sent(guardian: Guardian) -> None:
    order = an_order(order_type="LIMIT", price="24300")
    admitted(guardian, order)
    changes = [Amendment(price=Decimal(24000 + number)) for number in range(rules().limits.changes)]
    assert [guardian.check_amendment(order, change) for change in changes] == [()] * len(changes)
    [refusal] = guardian.check_amendment(order, Amendment(price=Decimal(24100)))
    assert refusal.code == "MAX_CHANGES"
    assert "an order takes at most 25 changes, and this one had them (Kite documentation" in refusal.message
    guardian.withdraw_amendment(order, changes[-1])
    assert guardian.check_amendment(order, Amendment(price=Decimal(24100))) == (), "one was certainly not made"


@pytest.mark.parametrize(
    ("kind", "most", "words"),
    [(KitesMinute, 400, "at most 400 order requests a minute"), (KitesDay, 5000, "at most 5000 orders a day")],
)
def test_the_minute_s_and_the_day_s_orders_of_a_live_account_are_counted(
    kind: type[KitesMinute | KitesDay], most: int, words: str
) -> None:
    live = Settings.model_validate({"account": "paper", "execution": {"mode": "live"}})
    [check] = [check for check in catalogue.chosen(live, INSTRUMENTS) if isinstance(check, kind)]
    order, [count] = an_order(), check.counts()
    at = datetime(2026, 4, 1, 10, 0, tzinfo=IST)

    def judged(before: int, at: datetime, state: AccountState = AccountState.ACTIVE) -> Failure | None:
        read = Read(counts={count: before})
        return check(order, CheckContext(order, at, at, at, INSTRUMENTS.get(order.symbol), state=state, read=read))

    assert judged(most - 1, at) is None
    found = judged(most, at)
    assert found is not None
    assert words in found.message
    assert "Kite documentation, rate limits" in found.message
    assert judged(most, at - timedelta(days=1)) is None, "the rule has its date"
    assert judged(most, at, AccountState.REDUCING) is None


def a_dollar(price: str) -> OrderIntent:
    return OrderIntent(symbol=DOLLAR, side="BUY", quantity=1, order_type="LIMIT", price=price, product="NRML")


def a_future() -> OrderIntent:
    return OrderIntent(symbol=FUTURE, side="BUY", quantity=75, order_type="LIMIT", price="24000", product="NRML")


@settings(FIXTURES_STAY, max_examples=150)
@given(
    intent=intents(),
    symbol=st.sampled_from([instrument.symbol for instrument in INSTRUMENTS] + ["NSE:NOBODY"]),
    lots=st.integers(1, 40) | st.none(),
    most=st.none() | st.integers(1, 5_000),
    dearest=st.none() | st.integers(1, 10**9),
)
@example(intent=a_future(), symbol=FUTURE, lots=24, most=None, dearest=None)
@example(intent=a_future(), symbol=FUTURE, lots=25, most=None, dearest=None)
@example(intent=a_future(), symbol="NFO:BANKNIFTY25MAYFUT", lots=31, most=None, dearest=None)
@example(intent=a_dollar("0.0575"), symbol=DOLLAR, lots=1, most=None, dearest=57)
@example(intent=a_dollar("0.0575"), symbol=DOLLAR, lots=1, most=None, dearest=58)
def test_nothing_passes_that_breaks_a_rule(
    ledger: Database, intent: OrderIntent, symbol: str, lots: int | None, most: int | None, dearest: int | None
) -> None:
    instrument = INSTRUMENTS.get(symbol)
    lot = instrument.lot_size if instrument else 1
    changes: dict[str, object] = {"symbol": symbol, "account": "paper", "mode": "paper"}
    changes |= {"validity": "DAY", "instructions": None}
    changes |= {"client_order_id": new_client_order_id()} | ({"quantity": lots * lot} if lots else {})
    order = Order.from_intent(OrderIntent.model_validate(intent.model_dump() | changes), NOW)
    guardian = guardian_over(ledger, {"max_order_quantity": most, "max_order_value": dearest})
    passed = isinstance(admitted(guardian, order), Approval)
    assert reserved(ledger, order) == passed
    priced_at = order.price or order.trigger_price or (LAST_PRICE if symbol == FUTURE else None)
    value = None if priced_at is None else priced_at * order.quantity * UNITS.get(symbol, 1)
    keeps_the_rules = (
        instrument is not None
        and instrument.tradable
        and order.product in ALLOWED[instrument.segment in SHARES]
        and order.quantity % instrument.lot_size == 0
        and all(price % instrument.tick_size == 0 for price in (order.price, order.trigger_price) if price)
        and (most is None or order.quantity <= most)
        and order.quantity <= FROZEN_BEYOND.get(instrument.name, order.quantity)
        and (dearest is None or (value is not None and value <= dearest))
        and (value or 0) <= 10**14
    )
    assert passed == keeps_the_rules
