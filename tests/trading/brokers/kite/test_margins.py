"""The funds of a Kite account, through the real client."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from kiteconnect import KiteConnect
from pydantic import SecretStr

from durable_orders.trading.brokers.dry_run import DryRun
from durable_orders.trading.brokers.kite.broker import KiteBroker
from durable_orders.trading.brokers.kite.rows import funds_from
from durable_orders.trading.config.settings import Kite, Live, Market
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.book import Funds
from tests.sandbox.serving import Clock, Served, order, pushed

MIDDAY = datetime(2026, 1, 5, 6, 30, tzinfo=UTC)


def test_an_order_binds_a_fifth_of_its_value_and_the_rest_stays_available(tmp_path: Path) -> None:
    served = Served(pushed(database=tmp_path / "exchange.db", cash=Decimal(100_000)), Clock())
    try:
        served.tick(1500)
        client: KiteConnect = served.kite()
        client.place_order(**order(1490.0, quantity=10))
        settings = Kite(api_key=served.settings.api_key, api_secret=SecretStr("x"), root=served.sandbox.root)
        token = served.access_token()
        broker = KiteBroker(
            settings, Live(), lambda: token, InstrumentSessions(Market(), Instruments.shipped()), lambda: MIDDAY
        )
        assert broker.margins() == Funds(available=Decimal(97_020), utilised=Decimal(2_980))
        assert DryRun(broker).margins() == broker.margins()
        served.stop()
        with pytest.raises(BookUnreadable):
            broker.margins()
    finally:
        served.stop()


@pytest.mark.parametrize("net", ["much", float("nan"), None])
def test_funds_that_are_no_numbers_are_not_taken_for_any(net: object) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        funds_from({"net": net, "utilised": {"debits": 0}})
