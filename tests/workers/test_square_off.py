"""The paper exchange's own orders at the end of the day are strangers to the ledger, and adopted like any other."""

from contextlib import closing
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path

from durable_orders.activities.external_orders import ExternalOrders
from durable_orders.trading.config.settings import Paper
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Mode, Side, Status, order_id
from durable_orders.trading.reconciliation.book_diff import BookDiff
from tests.ledgers import empty_ledger
from tests.trading.exchange.exchange import ACCOUNT, INFY, Exchange


def test_the_square_off_is_adopted_with_its_trades(tmp_path: Path) -> None:
    file = empty_ledger(tmp_path / "ledger.db")
    settings = Paper(slippage_enabled=False, square_off_enabled=True)
    listing = Listing(Instruments.shipped().get, lambda _symbol, day: datetime.combine(day, time(15, 20), IST))
    with closing(Exchange(f"sqlite:///{file}", settings, listing=listing)) as exchange:
        exchange.market.take_over()
        exchange.show("1500")
        exchange.place(quantity=10)
        exchange.clock.now = exchange.clock.now.replace(hour=15, minute=20)
        [own_id] = exchange.show("1490")
        sightings = BookDiff().changed(exchange.broker.order_book(), exchange.broker.trades())
        strangers = ExternalOrders(ACCOUNT, Mode.PAPER, exchange.broker, exchange.database)
        strangers.adopt(sightings[-1])
        with exchange.database.read() as connection:
            adopted = find_order(connection, order_id(ACCOUNT, f"external-{own_id}"))
    assert adopted is not None
    assert (adopted.symbol, adopted.side, adopted.status) == (INFY, Side.SELL, Status.FILLED)
    assert (adopted.filled_quantity, adopted.average_price) == (10, Decimal(1490))
