"""The broker's margin as it was last read, less what was approved since."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.activities.account_monitor import AccountMonitor
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.funds import margin_of, save_funds
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Account
from durable_orders.trading.orders.verdict import Approval
from tests.trading.guardian.conftest import FUTURE, LAST_PRICE, NOW, MakeGuardian, admitted, an_order
from tests.trading.guardian.test_checks import codes
from tests.workflows.scripted_broker import ScriptedBroker

LOT_NEEDS = LAST_PRICE * 75 * 12 / 100
"""218,700 rupees: a future binds 12 % by default."""


@pytest.fixture
def guardian(guardian_with: MakeGuardian) -> Guardian:
    return guardian_with(require_margin=True)


def available(ledger: Database, rupees: Decimal | None, seconds_ago: float = 0) -> None:
    read = None if rupees is None else Funds(rupees, Decimal(0))
    save_funds(ledger, "paper", read, NOW - timedelta(seconds=seconds_ago))


def test_the_margin_carries_what_it_carries(guardian: Guardian, ledger: Database) -> None:
    available(ledger, 2 * LOT_NEEDS)
    assert codes(admitted(guardian, an_order(quantity=225))) == ["INSUFFICIENT_MARGIN"]
    assert isinstance(admitted(guardian, an_order(quantity=150)), Approval)


def test_what_was_approved_since_the_reading_counts(guardian: Guardian, ledger: Database) -> None:
    available(ledger, 2 * LOT_NEEDS)
    assert isinstance(admitted(guardian, an_order()), Approval)
    assert isinstance(admitted(guardian, an_order()), Approval)
    assert codes(admitted(guardian, an_order())) == ["INSUFFICIENT_MARGIN", "LOT_NOT_AFFORDABLE"]
    available(ledger, LOT_NEEDS, seconds_ago=-30)
    assert isinstance(admitted(guardian, an_order()), Approval), "the new reading has counted both"


def test_a_lot_that_cannot_be_afforded_is_said(guardian: Guardian, ledger: Database) -> None:
    available(ledger, LOT_NEEDS - 1)
    verdict = admitted(guardian, an_order())
    assert codes(verdict) == ["INSUFFICIENT_MARGIN", "LOT_NOT_AFFORDABLE"]
    assert "one lot of 75 needs 218700.00 rupees of margin, and 218699.00 are available" in str(verdict)


@pytest.mark.parametrize("seconds_ago", [None, 61])
def test_a_margin_that_is_not_known_carries_nothing(
    guardian: Guardian, ledger: Database, seconds_ago: float | None
) -> None:
    if seconds_ago is not None:
        available(ledger, Decimal(10**9), seconds_ago)
    verdict = admitted(guardian, an_order())
    assert codes(verdict) == ["INSUFFICIENT_MARGIN", "LOT_NOT_AFFORDABLE"]
    assert "the available margin is not known" in str(verdict)


def test_where_the_broker_sets_no_limit_there_is_none(guardian: Guardian, ledger: Database) -> None:
    available(ledger, None)
    assert isinstance(admitted(guardian, an_order(quantity=75 * 24)), Approval)


@pytest.mark.parametrize(
    ("terms", "needs"),
    [
        ({"symbol": FUTURE, "product": "NRML"}, LAST_PRICE * 75 * 30 / 100),
        ({"symbol": "NSE:INFY", "product": "CNC", "quantity": 10, "order_type": "LIMIT", "price": "1500"}, 15_000),
        ({"symbol": "NSE:INFY", "product": "MIS", "quantity": 10, "order_type": "LIMIT", "price": "1500"}, 3_000),
    ],
)
def test_each_product_asks_for_its_share(
    guardian_with: MakeGuardian, ledger: Database, terms: dict[str, Any], needs: Decimal
) -> None:
    guardian = guardian_with(require_margin=True, margins={"derivatives": "0.3"})
    available(ledger, Decimal(needs) - Decimal("0.01"))
    assert "INSUFFICIENT_MARGIN" in codes(admitted(guardian, an_order(**terms)))
    available(ledger, Decimal(needs))
    assert isinstance(admitted(guardian, an_order(**terms)), Approval)


def test_without_the_setting_nobody_asks(guardian_with: MakeGuardian, ledger: Database) -> None:
    available(ledger, Decimal(0))
    assert isinstance(admitted(guardian_with(), an_order()), Approval)


@pytest.mark.parametrize("reads", [True, False])
def test_the_watch_reads_the_margin_where_it_is_asked_for(guardian: Guardian, ledger: Database, *, reads: bool) -> None:
    AccountMonitor(Account("paper"), ScriptedBroker(), ledger, reads_margin=reads).look_further(set())
    with ledger.read() as connection:
        assert (margin_of(connection, "paper", "").read_at is not None) == reads
