"""What Kite's word for an end says, by when the row was stamped: cancelled, or run out."""

from typing import Any

import pytest

from durable_orders.trading.brokers.kite.rows import order_from
from durable_orders.trading.config.settings import Market
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.orders.book import BookState
from tests.trading.market.test_rules import MASTER

SESSIONS = InstrumentSessions(Market(), MASTER)
CANCELLED, EXPIRED = BookState.CANCELLED, BookState.EXPIRED
STOP = {"order_type": "SL", "trigger_price": 1400}
QUEUED = {"variety": "amo", "exchange_order_id": None, "exchange_timestamp": None, "exchange_update_timestamp": None}


def row(symbol: str, stamped: str, **more: Any) -> dict[str, Any]:
    exchange, _, name = symbol.partition(":")
    usual = {
        "order_id": "1",
        "exchange_order_id": "2",
        "exchange": exchange,
        "tradingsymbol": name,
        "transaction_type": "BUY",
        "product": "NRML",
        "order_type": "LIMIT",
        "price": 1500,
        "quantity": 500,
        "filled_quantity": 0,
        "status": "CANCELLED",
        "order_timestamp": stamped,
        "exchange_update_timestamp": stamped,
        "variety": "regular",
    }
    return usual | more


@pytest.mark.parametrize(
    ("symbol", "stamped", "more", "state"),
    [
        ("NSE:RELIANCE", "2026-11-27 11:00:00", {}, CANCELLED),
        ("NSE:RELIANCE", "2026-11-27 11:00:00", {"validity": "IOC"}, EXPIRED),
        ("NSE:RELIANCE", "2026-11-27 15:30:01", {}, EXPIRED),
        ("NFO:NIFTY26DECFUT", "2026-11-27 15:35:00", {}, CANCELLED),
        ("NFO:NIFTY26DECFUT", "2026-07-31 15:35:00", {}, EXPIRED),
        ("MCX:CRUDEOIL26DECFUT", "2026-11-24 18:00:00", {}, CANCELLED),
        ("NSE:RELIANCE", "2026-11-24 18:00:00", {}, EXPIRED),
        ("NSE:RELIANCE", "2026-11-27 18:00:00", QUEUED | {"status": "CANCELLED AMO"}, CANCELLED),
        ("NSE:RELIANCE", "2026-11-27 18:00:00", QUEUED, CANCELLED),
        # the exchange makes way for the closing auction (NSE/CMTR/74466)
        ("NSE:RELIANCE", "2026-11-27 15:14:59", STOP, CANCELLED),
        ("NSE:RELIANCE", "2026-11-27 15:15:00", STOP, EXPIRED),
        ("NSE:RELIANCE", "2026-11-27 15:15:02", {"disclosed_quantity": 50}, EXPIRED),
        ("NSE:RELIANCE", "2026-11-27 15:15:02", {}, CANCELLED),
        ("NSE:RELIANCE", "2026-11-27 15:21:00", STOP, CANCELLED),
        ("NSE:RELIANCE", "2026-07-31 15:15:02", STOP, CANCELLED),
        ("NSE:PCBL", "2026-11-27 15:15:02", STOP, CANCELLED),
    ],
)
def test_an_end_by_the_hours_of_its_instrument(
    symbol: str, stamped: str, more: dict[str, Any], state: BookState
) -> None:
    assert order_from(row(symbol, stamped, **more), SESSIONS).state is state
