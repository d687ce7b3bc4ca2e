"""Shares that are to be delivered: contracts that end in them, and sales that the depository has to authorise."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order, OrderIntent
from durable_orders.trading.orders.verdict import Refusals
from tests.trading.market.test_rules import MASTER

FUTURE = "NFO:RELIANCE26DECFUT"
LAST_DAYS = datetime(2026, 12, 22, 11, 0, tzinfo=IST)


def refusals(ledger: Database, now: datetime, limits: dict[str, Any], **terms: Any) -> dict[str, str]:
    """Of a live order at that moment, by code."""
    settings = Settings.model_validate({"account": "live1", "execution": {"mode": "live"}, "guardian": limits})
    guardian = Guardian(ledger, MASTER, settings, lambda *_: now + timedelta(hours=9), lambda: now)
    content = {"quantity": 500, "side": "BUY", "order_type": "LIMIT", "price": 100, "product": "NRML"}
    intent = OrderIntent.model_validate(
        content | {"symbol": FUTURE, "account": "live1", "mode": "live", "client_order_id": "one"} | terms
    )
    with ledger.write() as connection:
        save_ticks(connection, "live1", [Tick(intent.symbol, Decimal(100), now)], now)
    verdict = guardian.admit(Order.from_intent(intent, now), "run", "content", None)
    return {each.code: each.message for each in verdict.refusals} if isinstance(verdict, Refusals) else {}


@pytest.mark.parametrize(
    ("symbol", "now", "setting", "is_refused"),
    [
        (FUTURE, LAST_DAYS, "refuse", True),
        (FUTURE, LAST_DAYS, "warn", False),
        (FUTURE, LAST_DAYS - timedelta(days=1), "refuse", False),
        ("NFO:NIFTY26DECFUT", LAST_DAYS, "refuse", False),
    ],
)
def test_what_adds_to_a_contract_on_a_share_in_its_last_days(
    ledger: Database, symbol: str, now: datetime, setting: str, is_refused: bool
) -> None:
    lot = MASTER.get(symbol).lot_size  # type: ignore[union-attr]
    told = refusals(ledger, now, {"physical_settlement": setting}, symbol=symbol, quantity=lot)
    assert list(told) == (["PHYSICAL_SETTLEMENT"] if is_refused else [])
    if is_refused:
        assert "is settled in shares on 29 Dec 2026: in the 4 days of trading before it" in told["PHYSICAL_SETTLEMENT"]
        assert "Zerodha support" in told["PHYSICAL_SETTLEMENT"]


@pytest.mark.parametrize(
    ("terms", "is_refused"),
    [
        ({"side": "SELL", "product": "CNC"}, True),
        ({"side": "SELL", "product": "MTF"}, True),
        ({"side": "BUY", "product": "CNC"}, False),
        ({"side": "SELL", "product": "MIS"}, False),
    ],
)
def test_sales_that_the_depository_must_authorise(ledger: Database, terms: dict[str, str], is_refused: bool) -> None:
    given = {"symbol": "NSE:PCBL", "quantity": 1} | terms
    told = refusals(ledger, LAST_DAYS, {"refuse_delivery_sales": True}, **given)
    assert list(told) == (["DEPOSITORY_AUTHORISATION"] if is_refused else [])
    assert refusals(ledger, LAST_DAYS, {}, client_order_id="two", **given) == {}
