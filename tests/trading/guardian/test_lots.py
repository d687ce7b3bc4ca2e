"""A lot of a commodity or a currency counts with all its units; one of unknown size passes no limit in rupees."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.exposure import Pending, held_in_symbol
from durable_orders.trading.ledger.funds import save_funds
from durable_orders.trading.ledger.reservations import standing
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Amendment, Side
from durable_orders.trading.orders.verdict import Approval
from tests.trading.guardian.conftest import FUTURE, NOW, SESSION_END, an_order
from tests.trading.guardian.lots import CROSS, CRUDE, DOLLAR, NICKEL, with_nickel
from tests.trading.guardian.test_checks import codes, message
from tests.trading.guardian.test_limits import ask, trade

__all__ = ["with_nickel"]

Make = Callable[..., Guardian]
LIMIT = {"order_type": "LIMIT", "product": "NRML"}
LOT = LIMIT | {"symbol": CRUDE, "quantity": 1, "price": "5800"}
"""580,000 rupees."""
UNKNOWN = LIMIT | {"symbol": NICKEL, "quantity": 1, "price": "1400"}
SHARE = LIMIT | {"symbol": "NSE:INFY", "quantity": 1, "price": "1500", "product": "CNC"}


@pytest.fixture
def making(ledger: Database, with_nickel: Instruments) -> Make:
    def make(**limits: Any) -> Guardian:
        settings = Settings.model_validate({"guardian": limits})
        return Guardian(ledger, with_nickel, settings, lambda _connection, _moment: SESSION_END, lambda: NOW)

    return make


@pytest.mark.parametrize(
    ("limits", "before", "code"),
    [
        ({"max_order_value": 1_160_000}, 0, "MAX_ORDER_VALUE"),
        ({"max_gross_exposure": 1_740_000}, 1, "MAX_GROSS_EXPOSURE"),
        ({"max_net_exposure": 1_740_000}, 1, "MAX_NET_EXPOSURE"),
        ({"capital": 1_740_000}, 1, "CAPITAL"),
        ({"strategies": {"s": {"capital": 1_740_000}}}, 1, "STRATEGY_CAPITAL"),
    ],
)
@pytest.mark.parametrize("filled", [True, False])
def test_a_lot_counts_with_all_its_units(
    making: Make, ledger: Database, limits: dict[str, Any], before: int, code: str, filled: bool
) -> None:
    guardian = making(**limits)
    for _ in range(before):
        if filled:
            trade(guardian, ledger, Decimal(5800), **LOT, strategy="s")
        else:
            assert isinstance(ask(guardian, **LOT, strategy="s"), Approval)
    assert codes(ask(guardian, **LOT | {"quantity": 3, "strategy": "s"})) == [code]
    assert isinstance(ask(guardian, **LOT | {"quantity": 2, "strategy": "s"}), Approval), "it reaches the limit"


def test_what_is_reserved_is_read_in_rupees(making: Make, ledger: Database) -> None:
    order = an_order(**LOT)
    guardian = making(max_order_value=1_170_000)
    guardian.admit(order, "run", "content", None)
    assert guardian.check_amendment(order, Amendment(quantity=2, price=Decimal(5850))) == ()
    [refusal] = guardian.check_amendment(order, Amendment(quantity=2, price=Decimal(5851)))
    assert refusal.value == "1170200"
    with ledger.read() as connection:
        [held] = held_in_symbol(connection, order.account, CRUDE)
        stands = standing(connection, order.order_id)
    assert held.pending(Side.BUY) == Pending(2, Decimal(1_170_000), Decimal(585_000))
    assert stands is not None
    assert (stands.price, stands.value) == (Decimal(5850), Decimal(11_700)), "as quoted, as it always was stored"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_order_value": 10**9}, "MAX_ORDER_VALUE"),
        ({"max_gross_exposure": 10**9}, "MAX_GROSS_EXPOSURE"),
        ({"max_net_exposure": 10**9}, "MAX_NET_EXPOSURE"),
        ({"capital": 10**9}, "CAPITAL"),
        ({"strategies": {"s": {"capital": 10**9}}}, "STRATEGY_CAPITAL"),
        ({"max_daily_loss": 10**9}, "MAX_DAILY_LOSS"),
        ({"max_daily_drawdown_pct": 99}, "MAX_DAILY_DRAWDOWN"),
    ],
)
def test_a_lot_of_unknown_size_passes_no_limit_in_rupees(making: Make, limits: dict[str, Any], code: str) -> None:
    verdict = ask(making(**limits), **UNKNOWN, strategy="s")
    assert codes(verdict) == [code]
    assert f"of {NICKEL} is not" in message(verdict) or f"what {NICKEL} loses cannot be counted" in message(verdict)
    assert isinstance(ask(making(max_order_quantity=1, max_loss_streak=1), **UNKNOWN), Approval), "no limit in rupees"


def test_what_is_held_of_unknown_size_can_be_closed_and_lets_nothing_be_opened(making: Make, ledger: Database) -> None:
    trade(making(), ledger, Decimal(1400), **UNKNOWN)
    limits = {"max_gross_exposure": 10**9, "max_net_exposure": 10**9, "capital": 10**9, "max_daily_loss": 10**9}
    guardian = making(**limits)
    assert codes(ask(guardian, **SHARE)) == ["MAX_GROSS_EXPOSURE", "MAX_NET_EXPOSURE", "CAPITAL"]
    assert isinstance(ask(guardian, **UNKNOWN | {"side": "SELL"}), Approval)


def test_a_lot_binds_the_margin_of_all_its_units(making: Make, ledger: Database) -> None:
    guardian = making(require_margin=True)
    dollars = LIMIT | {"symbol": DOLLAR, "quantity": 1, "price": "84"}
    save_funds(ledger, "paper", Funds(Decimal(2 * 10_080), Decimal(0)), NOW)  # 12 % of 1000 dollars, twice
    assert codes(ask(guardian, **dollars | {"quantity": 3})) == ["INSUFFICIENT_MARGIN"]
    assert isinstance(ask(guardian, **LOT), Approval), "the funds for commodities are others"
    assert isinstance(ask(guardian, **dollars), Approval)
    assert isinstance(ask(guardian, **dollars), Approval)
    verdict = ask(guardian, **dollars)
    assert "one lot of 1 needs 10080.00 rupees of margin, and 0.00 are available" in str(verdict)
    assert f"the size of a lot of {CROSS} is not" in str(ask(guardian, **dollars | {"symbol": CROSS, "price": "1.1"}))


def test_units_stay_units(making: Make) -> None:
    guardian = making(max_order_value=75 * 24_300)
    assert isinstance(ask(guardian, symbol=FUTURE, quantity=75), Approval)
