"""What the market takes of an order that closes: order types, price bands, hours, freeze quantities."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.config.settings import Guardian, Market, Settings
from durable_orders.trading.flatten.closing import FLATTEN, Target, slices
from durable_orders.trading.flatten.exits import Quote
from durable_orders.trading.flatten.quotes import closed_until, quote_of
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderIntent, OrderType, Product, Side, Status
from tests.trading.market.test_rules import EXCHANGE, MASTER

OPTION, FUTURE, INDEX_OPTION = "NFO:RELIANCE26DEC1500PE", "NFO:NIFTY26DECFUT", "NFO:NIFTY26DEC25000CE"
SHARE = "NSE:RELIANCE"
DAY = date(2026, 12, 1)
NOON = datetime(2026, 12, 1, 12, tzinfo=IST)


def quote(symbol: str, held: int, last: str, at: datetime | None = NOON, **limits: Any) -> Quote:
    target = Target(symbol, Product.NRML, None, held, held, held)
    guardian = Guardian.model_validate(limits)
    return quote_of(target, EXCHANGE, guardian, MASTER.get(symbol), Decimal(last), DAY, at)


def test_market_in_a_share_option_is_refused_so_that_none_is_sent() -> None:
    assert not quote(OPTION, 500, "40").takes_market
    assert quote(INDEX_OPTION, 65, "40").takes_market
    assert quote(SHARE, 10, "1500").takes_market


def test_market_in_a_share_option_refused_the_position_is_closed_by_a_limit() -> None:
    """In a backtest: a share option is bought by a limit, and a breaker that trips gets out of it by one."""
    settings = Settings.model_validate(
        {
            "guardian": {"max_daily_loss": 100, "on_trip": "flatten"},
            "execution": {"paper": {"slippage_enabled": False, "stale_tick_seconds": 3600}},
        }
    )
    session = Session(DAY, datetime(2026, 12, 1, 9, 15, tzinfo=IST), datetime(2026, 12, 1, 15, 40, tzinfo=IST))
    core = Core(settings, MASTER, session.opens, {"first"}, lambda _live: None)
    usual: dict[str, Any] = {"symbol": OPTION, "strategy": "first", "product": "NRML", "order_type": "LIMIT"}
    core.on_tick(Tick(OPTION, Decimal(40), NOON, 0), session)
    core.send(OrderIntent(**usual, client_order_id="in", side=Side.BUY, quantity=1000, price=Decimal(41)))
    core.on_tick(Tick(OPTION, Decimal(39), NOON.replace(second=1), 0), session)
    core.send(OrderIntent(**usual, client_order_id="out", side=Side.SELL, quantity=500, price=Decimal(38)))
    [closing] = [each.order() for each in core.ended() if each.strategy == FLATTEN]
    assert (closing.order_type, closing.status, closing.quantity) == (OrderType.LIMIT, Status.FILLED, 500)
    assert closing.price == Decimal("38.80"), "half a percent below the last price"
    assert not any(held.quantity for held in core.positions())


@pytest.mark.parametrize(
    ("symbol", "held", "last", "limits", "bound"),
    [
        (FUTURE, 65, "24000", {}, "23520"),  # index futures: 2 percent (limit price protection)
        (FUTURE, -65, "24000", {}, "24480"),
        (INDEX_OPTION, 65, "40", {}, "20"),  # 40 percent, or 20 rupees up to a price of 50
        (FUTURE, 65, "24000", {"price_band_percent": 1}, "23760"),
        (SHARE, 10, "1000", {"reject_if_slippage_pct": 3}, "970"),
        (SHARE, 10, "1000", {"circuit_limits": {SHARE: {"lower": 900, "upper": 1100}}}, "900"),
        (SHARE, -10, "1000", {"circuit_limits": {SHARE: {"lower": 900, "upper": 1100}}}, "1100"),
        (SHARE, 10, "1000", {"price_band_percent": 1, "enabled": False}, None),
    ],
)
def test_limits_stay_within_what_exchange_and_guardian_take(
    symbol: str, held: int, last: str, limits: dict[str, Any], bound: str | None
) -> None:
    found = quote(symbol, held, last, **limits).bound
    assert found == (None if bound is None else Decimal(bound))


def test_between_the_windows_of_a_closing_auction_nothing_is_taken() -> None:
    at = datetime(2026, 12, 1, 15, 17, tzinfo=IST)
    assert "takes no orders until 15:20" in quote(SHARE, 10, "1000", at).closed
    limits_only = quote(SHARE, 10, "1000", datetime(2026, 12, 1, 15, 26, tzinfo=IST))
    assert (limits_only.closed, limits_only.takes_market, limits_only.bound) == ("", False, Decimal(970))


def test_an_expired_contract_is_not_offered_to_anybody() -> None:
    assert "expired" in quote("NFO:NIFTY24JUNFUT", 25, "24000").closed


def test_a_position_above_the_freeze_quantity_is_closed_in_slices_of_it() -> None:
    """Of the day, without any setting; the user's own lies over it."""
    assert slices(4000, Guardian(), MASTER.get(FUTURE), None, DAY) == (1755, 1755, 490)
    own = Guardian(freeze_quantity={"NIFTY": 650})
    assert slices(1300, own, MASTER.get(FUTURE), None, DAY) == (650, 650)


def test_the_session_is_waited_for_by_its_name() -> None:
    calendar = InstrumentSessions(Market(), MASTER).of(SHARE)
    evening = datetime(2026, 12, 1, 17, tzinfo=IST)
    assert closed_until(calendar, SHARE, evening) == f"{SHARE} is not traded before Wed 02 Dec 09:15 IST"
    assert closed_until(calendar, SHARE, NOON) == ""
