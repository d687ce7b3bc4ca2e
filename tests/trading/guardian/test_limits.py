"""Each limit lets pass what reaches it and refuses what is beyond it; what only reduces a position is let out."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.accounts import AccountState, permission_of, set_state
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.verdict import Approval, Verdict
from tests.trading.guardian.conftest import FUTURE, INSTRUMENTS, LAST_PRICE, NOW, MakeGuardian, an_order, show_tick
from tests.trading.guardian.test_checks import codes
from tests.trading.ledger.examples import history

NUMBERS = count()
MONDAY = {"order_type": "LIMIT", "price": "1500", "symbol": "NSE:INFY", "quantity": 1}
LOT_VALUE = LAST_PRICE * 75


def ask(guardian: Guardian, **terms: Any) -> Verdict:
    order = an_order(client_order_id=f"o{next(NUMBERS)}", **terms)
    return guardian.admit(order, "run", "content", None)


def trade(guardian: Guardian, ledger: Database, price: Decimal = LAST_PRICE, /, **terms: Any) -> None:
    """An order that is approved and filled."""
    order = an_order(client_order_id=f"o{next(NUMBERS)}", **terms).model_copy(update={"created_at": NOW})
    assert isinstance(guardian.admit(order, "run", "content", None), Approval)
    for recording in history(order, [(order.quantity, price)], BookState.COMPLETE):
        fills = tuple(fill.model_copy(update={"at": NOW}) for fill in recording.order.fills)
        record(ledger, recording.order.model_copy(update={"fills": fills}), recording.entries)


OF_S = {"strategy": "s"}
BUY, SELL = {"side": "BUY"}, {"side": "SELL"}
HEDGE = {"side": "SELL", "symbol": "NFO:NIFTY25MAY24400PE", "order_type": "LIMIT", "price": "100"}


@pytest.mark.parametrize(
    ("limits", "before", "passes", "refused", "code"),
    [
        ({"max_position_per_symbol": 150}, [BUY], BUY, {"quantity": 150}, "MAX_POSITION_PER_SYMBOL"),
        ({"max_position_per_symbol": 75}, [BUY], {**SELL, "quantity": 75}, {**SELL, "quantity": 300}, None),
        ({"max_position_total": 150}, [BUY], HEDGE, {**HEDGE, "quantity": 150}, "MAX_POSITION_TOTAL"),
        ({"max_gross_exposure": 2 * LOT_VALUE}, [BUY], BUY, {"quantity": 150}, "MAX_GROSS_EXPOSURE"),
        ({"max_net_exposure": 2 * LOT_VALUE}, [BUY], BUY, {"quantity": 150}, "MAX_NET_EXPOSURE"),
        ({"capital": 2 * LOT_VALUE}, [BUY], BUY, {"quantity": 150}, "CAPITAL"),
        (
            {"strategies": {"s": {"capital": LOT_VALUE}}},
            [BUY],
            {"strategy": "s"},
            {"strategy": "s", "quantity": 150},
            None,
        ),
        ({"max_orders_per_minute": {"account": 2}}, [BUY], BUY, BUY, "MAX_ORDERS_PER_MINUTE"),
        ({"max_orders_per_second": {"strategy": 2}}, [BUY], BUY, BUY, "MAX_ORDERS_PER_SECOND"),
        ({"max_orders_per_day": {"symbol": 2}}, [BUY], BUY, BUY, "MAX_ORDERS_PER_DAY"),
        ({"max_open_orders": 1}, [BUY], BUY, BUY, "MAX_OPEN_ORDERS"),
        ({"duplicate_seconds": 5}, [BUY], {"quantity": 150}, BUY, "DUPLICATE"),
        ({"freeze_quantity": {"NIFTY": 150}}, [], {"quantity": 150}, {"quantity": 225}, "FREEZE_QUANTITY"),
        (
            {"price_band_percent": 1},
            [],
            {"order_type": "LIMIT", "price": "24542.95"},
            {"order_type": "LIMIT", "price": "24543.05"},
            "PRICE_BAND",
        ),
        (
            {"circuit_limits": {FUTURE: {"lower": 24000, "upper": 25000}}},
            [],
            {"order_type": "LIMIT", "price": "25000"},
            {"order_type": "LIMIT", "price": "25000.05"},
            "CIRCUIT_LIMIT",
        ),
        ({"require_price": True}, [], BUY, MONDAY, "NO_PRICE"),
    ],
)
def test_a_limit_can_be_reached_and_not_passed(
    guardian_with: MakeGuardian,
    ledger: Database,
    limits: dict[str, Any],
    before: list[dict[str, Any]],
    passes: dict[str, Any],
    refused: dict[str, Any],
    code: str | None,
) -> None:
    guardian = guardian_with(**limits)
    for terms in before:
        trade(guardian, ledger, **terms)
    assert isinstance(ask(guardian, **passes), Approval)
    found = codes(ask(guardian, **refused))
    assert len(found) == 1
    assert code in (None, found[0])


@pytest.mark.parametrize(
    "limits",
    [
        {"max_position_per_symbol": 1},
        {"max_gross_exposure": 1},
        {"capital": 1},
        {"max_daily_loss": 1},
        {"max_daily_drawdown_pct": "0.001"},
        {"max_loss_streak": 1},
    ],
)
def test_what_only_reduces_a_position_is_let_out(
    guardian: Guardian, guardian_with: MakeGuardian, ledger: Database, limits: dict[str, Any]
) -> None:
    """The account is far beyond the limit: it holds three lots, and has lost on one."""
    trade(guardian, ledger, quantity=300)
    trade(guardian, ledger, LAST_PRICE - 100, **SELL)
    strict = guardian_with(**limits)
    assert codes(ask(strict))
    assert isinstance(ask(strict, **SELL, quantity=225), Approval)
    assert codes(ask(strict, **SELL)), "with all of that open, one more lot would open a short position"


@pytest.mark.parametrize(
    ("section", "tripped"),
    [
        ({"guardian": {"max_daily_loss": 7499}}, ["MAX_DAILY_LOSS"]),
        ({"guardian": {"max_daily_loss": 7500}}, []),
        ({"guardian": {"capital": 10**8, "max_daily_drawdown_pct": "0.007"}}, ["MAX_DAILY_DRAWDOWN"]),
        ({"execution": {"circuit_breakers": {}}}, ["MAX_DAILY_LOSS", "MAX_DAILY_DRAWDOWN"]),
        ({"trading": {"trade_throttler": {}}}, ["MAX_DAILY_DRAWDOWN"]),
        ({"execution": {"circuit_breakers": {"max_daily_loss_rupees": None, "max_daily_drawdown_pct": None}}}, []),
    ],
    ids=str,
)
def test_the_day_trips_once_for_each_limit_under_all_of_its_names(
    guardian: Guardian, ledger: Database, section: dict[str, Any], tripped: list[str]
) -> None:
    trade(guardian, ledger)
    trade(guardian, ledger, LAST_PRICE - 100, **SELL)
    settings = Settings.model_validate(section)
    strict = Guardian(ledger, INSTRUMENTS, settings, lambda _c, _m: NOW + timedelta(hours=5), lambda: NOW)
    with ledger.write() as connection:
        assert [trip.cause for trip in strict.breakers.after_fills(connection, "paper", NOW)] == tripped
        assert strict.breakers.after_fills(connection, "paper", NOW) == []
        state = permission_of(connection, "paper", NOW).state
    assert state is (AccountState.REDUCING if tripped else AccountState.ACTIVE)
    tomorrow = datetime(2025, 5, 5, 18, 30, tzinfo=UTC)
    with ledger.read() as connection:
        assert permission_of(connection, "paper", tomorrow).state is AccountState.ACTIVE, "midnight in IST"


def test_a_trip_does_not_loosen_a_halt(guardian: Guardian, ledger: Database) -> None:
    trade(guardian, ledger)
    trade(guardian, ledger, LAST_PRICE - 100, **SELL)
    set_state(ledger, "paper", AccountState.HALTED, "lunch", NOW)
    settings = Settings.model_validate({"guardian": {"max_daily_loss": 1}})
    strict = Guardian(ledger, INSTRUMENTS, settings, lambda _c, _m: NOW, lambda: NOW)
    with ledger.write() as connection:
        assert len(strict.breakers.after_fills(connection, "paper", NOW)) == 1
        permission = permission_of(connection, "paper", NOW + timedelta(days=2))
    assert (permission.state, permission.reason) == (AccountState.HALTED, "lunch")


def test_a_profit_of_any_size_trips_nothing(guardian: Guardian, ledger: Database) -> None:
    trade(guardian, ledger)
    trade(guardian, ledger, LAST_PRICE + 1000, **SELL)
    section = {"guardian": {"max_daily_loss": 1, "max_daily_drawdown_pct": "0.001", "max_loss_streak": 1}}
    strict = Guardian(ledger, INSTRUMENTS, Settings.model_validate(section), lambda _c, _m: NOW, lambda: NOW)
    with ledger.write() as connection:
        assert strict.breakers.after_fills(connection, "paper", NOW) == []


def test_a_stale_price_is_refused(guardian_with: MakeGuardian, ledger: Database) -> None:
    show_tick(ledger)
    settings = Settings.model_validate({"guardian": {"max_price_age": 3}})
    for age, passes in ((3, True), (4, False)):
        clock = NOW + timedelta(seconds=age)
        guardian = Guardian(ledger, INSTRUMENTS, settings, lambda _c, _m: NOW, lambda at=clock: at)  # type: ignore[misc]
        verdict = guardian.admit(an_order(), "run", "content", NOW + timedelta(hours=1))
        assert isinstance(verdict, Approval) == passes


@pytest.mark.parametrize(
    ("symbol", "terms", "utc", "code"),
    [
        ("NSE:INFY", {}, "2026-08-31 03:44", "SESSION_CLOSED"),
        ("NSE:INFY", {}, "2026-08-31 03:46", None),
        ("NSE:INFY", {"product": "MIS"}, "2026-08-31 09:54", None),
        ("NSE:INFY", {"product": "MIS"}, "2026-08-31 09:55", "MIS_CUTOFF"),
        ("NSE:INFY", {"product": "CNC"}, "2026-08-31 09:59", None),
        ("NSE:INFY", {"product": "CNC"}, "2026-08-31 10:01", "SESSION_CLOSED"),
        ("NSE:INFY", {"product": "CNC"}, "2026-08-30 05:00", "SESSION_CLOSED"),
        ("NSE:INFY", {"product": "CNC"}, "2026-01-26 05:00", "SESSION_CLOSED"),
    ],
)
def test_the_market_must_take_the_order_now(
    ledger: Database, symbol: str, terms: dict[str, Any], utc: str, code: str | None
) -> None:
    """INFY has no derivatives in the shipped master, so it keeps the hours of other shares, 9:15 to 15:30; MIS until
    15:25. 30 August 2026 is a Sunday, 26 January a holiday.
    """
    at = datetime.fromisoformat(f"{utc}+00:00")
    settings = Settings.model_validate({"guardian": {"require_open_session": True, "refuse_mis_after_cutoff": True}})
    guardian = Guardian(ledger, INSTRUMENTS, settings, lambda _c, _m: at, lambda: at)
    order = an_order(**MONDAY | terms | {"symbol": symbol})
    verdict = guardian.admit(order, "run", "content", at + timedelta(hours=1))
    assert (None if isinstance(verdict, Approval) else codes(verdict)[0]) == code
