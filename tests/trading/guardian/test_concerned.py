"""A check that an order does not concern passes it, whatever its prices, the time of the session and the market are."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.guardian.judging import Plans
from durable_orders.trading.ledger.exposure import Pending
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Product, Side, Validity
from tests.trading.market.test_rules import LISTED, MASTER, master

SYMBOLS = [f"{exchange}:{name}" for exchange, name, *_ in LISTED]
DAYS = (date(2024, 6, 3), date(2026, 11, 25), date(2026, 12, 30))
KINDS = tuple(product(OrderType, (Product.MIS, Product.CNC), (Validity.DAY, Validity.IOC), (1, 65, 2600, 50_000)))
PRICES = {
    OrderType.MARKET: ({},),
    OrderType.LIMIT: ({"price": "100"}, {"price": "100.01"}, {"price": "24000"}),
    OrderType.SL: ({"price": "100", "trigger_price": "99"}, {"price": "500", "trigger_price": "100.02"}),
    OrderType.SL_M: ({"trigger_price": "100"}, {"trigger_price": "99.99"}),
}
SETTINGS = Settings.model_validate({"market": {"calendar": "XNSE"}})
SESSIONS = InstrumentSessions(SETTINGS.market, MASTER)
PLAN = Plans(SETTINGS, MASTER).of_new("manual")


def moments(session: Session) -> list[tuple[datetime, Decimal | None]]:
    """In each part of the session, with and without a last price near the order's."""
    early = [session.opens + (session.closes - session.opens) * part / 4 for part in range(4)]
    late = [session.closes - timedelta(minutes=minutes) for minutes in (18, 12, 3)]
    return list(product([*early, *late], (None, Decimal(100))))


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_who_is_not_concerned_has_nothing_against_it(symbol: str, day: date) -> None:
    instrument, session = MASTER.get(symbol), SESSIONS.of(symbol).session_on(day)
    assert instrument is not None
    assert session is not None
    seen = list(moments(session))
    for kind, product_, validity, quantity in KINDS:
        for prices in PRICES[kind]:
            given = {"order_type": kind, "product": product_, "validity": validity, **prices}
            asked = OrderIntent(symbol=symbol, side=Side.BUY, quantity=quantity, **given)
            others = [check for check in PLAN.checks if not check.concerns(asked, instrument, session)]
            assert others
            order = Order.from_intent(asked, session.opens)
            for at, last in seen:
                situation = CheckContext(order, at, at, at, instrument, last_price=last, asked=Pending(quantity))
                assert [check.code for check in others if check(asked, situation) is not None] == []


def test_a_new_master_is_asked_anew() -> None:
    """The lot of the future is another by it."""
    known = Instruments()
    known.renew(MASTER)
    plan = Plans(SETTINGS, known).of_new("manual")
    symbol, at = "NFO:NIFTY26DECFUT", SESSIONS.of("NFO:NIFTY26DECFUT").next_session(date(2026, 11, 20)).opens
    intent = OrderIntent(symbol=symbol, side=Side.BUY, quantity=65)
    order = Order.from_intent(intent, at)
    assert plan.judge(order, CheckContext(order, at, at, at, known.get(symbol), asked=Pending(65))) == ()
    known.renew(_with_lot(50))
    (refusal,) = plan.judge(order, CheckContext(order, at, at, at, known.get(symbol), asked=Pending(65)))
    assert refusal.code == "LOT_SIZE"


def _with_lot(lot: int) -> Instruments:
    listed = [(*row[:5], lot) if row[1] == "NIFTY26DECFUT" else row for row in LISTED]
    return master(listed)
