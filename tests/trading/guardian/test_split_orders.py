"""What may be asked of Kite in several orders: legs in whole lots, slices of what has a freeze quantity."""

from typing import Any

import pytest

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.order import Amendment, Order
from durable_orders.trading.orders.verdict import Approval, Refusals
from tests.trading.guardian.conftest import INSTRUMENTS, NOW, SESSION_END, admitted, an_order

FREEZE = 150
"""Two lots, so that ten slices are 1500."""
SLICED = {"autoslice": True}
SHARES = {"symbol": "NSE:INFY", "price": 1500}


OWN = " (guardian.freeze_quantity)"


def legs(number: int, quantity: int) -> dict[str, Any]:
    return {"iceberg_legs": number, "iceberg_quantity": quantity}


def asked(quantity: int, instructions: dict[str, Any], **terms: Any) -> Order:
    usual = {"order_type": "LIMIT", "price": 24300, "mode": "live", "account": "live"}
    return an_order(**usual | {"quantity": quantity, "instructions": instructions} | terms)


@pytest.fixture
def live_guardian(ledger: Database) -> Guardian:
    content = {"account": "live", "execution": {"mode": "live"}, "guardian": {"freeze_quantity": {"NIFTY": FREEZE}}}
    settings = Settings.model_validate(content)
    return Guardian(ledger, INSTRUMENTS, settings, lambda _connection, _moment: SESSION_END, lambda: NOW)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (asked(150, legs(2, 100)), "ICEBERG_LOT: iceberg_quantity must be a multiple of the lot of 75, was 100"),
        (
            asked(450, legs(2, 225)),
            "FREEZE_QUANTITY: the exchange takes at most 150 of NIFTY in one leg, was 225" + OWN,
        ),
        (asked(1575, SLICED), "FREEZE_QUANTITY: the exchange takes at most 1500 of NIFTY in 10 slices, was 1575" + OWN),
        (
            asked(10, SLICED, **SHARES),
            "AUTOSLICE_NOT_APPLICABLE: autoslice splits at the freeze quantity of a derivative, and NSE:INFY has none",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_for_one_reason(live_guardian: Guardian, order: Order, words: str) -> None:
    verdict = admitted(live_guardian, order)
    assert isinstance(verdict, Refusals)
    assert [str(refusal) for refusal in verdict.refusals] == [words]


@pytest.mark.parametrize("order", [asked(450, legs(3, 150)), asked(1500, SLICED), asked(10, legs(2, 7), **SHARES)])
def test_what_is_split_passes_and_does_not_change(live_guardian: Guardian, order: Order) -> None:
    """The whole of it is above the freeze quantity; its parts are not."""
    assert isinstance(admitted(live_guardian, order), Approval)
    (refusal,) = live_guardian.check_amendment(order, Amendment(quantity=75))
    assert refusal.code == "SPLIT_ORDER"
