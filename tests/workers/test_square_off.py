"""The paper exchange's own orders at the end of the day are strangers to the ledger, and adopted like any other."""

import shutil
from contextlib import closing
from datetime import time
from decimal import Decimal
from pathlib import Path

from activities.strangers import Strangers
from tests.trading.brokers.paper.exchange import ACCOUNT, INFY, Exchange
from tests.trading.ledger.conftest import migrated_file
from trading.brokers.rms import Listing
from trading.ledger.reading import find_order
from trading.market.instruments import Instruments
from trading.order import Mode, Side, Status, order_id
from trading.settings import Paper
from trading.sighting import Sight

__all__ = ["migrated_file"]


def test_the_square_off_is_adopted_with_its_trades(migrated_file: Path, tmp_path: Path) -> None:
    shutil.copy(migrated_file, tmp_path / "ledger.db")
    settings = Paper(slippage_enabled=False, square_off_enabled=True)
    listing = Listing(Instruments.shipped().get, lambda _instrument: time(15, 20))
    with closing(Exchange(f"sqlite:///{tmp_path}/ledger.db", settings, listing=listing)) as exchange:
        exchange.market.take_over()
        exchange.show("1500")
        exchange.place(quantity=10)
        exchange.clock.now = exchange.clock.now.replace(hour=15, minute=20)
        [own_id] = exchange.show("1490")
        sightings = Sight().changed(exchange.broker.order_book(), exchange.broker.trades())
        strangers = Strangers(ACCOUNT, Mode.PAPER, exchange.broker, exchange.database)
        strangers.adopt(sightings[-1], None)
        with exchange.database.read() as connection:
            adopted = find_order(connection, order_id(ACCOUNT, f"external-{own_id}"))
    assert adopted is not None
    assert (adopted.symbol, adopted.side, adopted.status) == (INFY, Side.SELL, Status.FILLED)
    assert (adopted.filled_quantity, adopted.average_price) == (10, Decimal(1490))
