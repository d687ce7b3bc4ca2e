"""What is left of a tick, and who is ahead of an order, is the same for every process, on both databases."""

from datetime import datetime, time
from decimal import Decimal

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.ist import IST
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Depth, Level
from durable_orders.trading.orders.book import Funds
from tests.trading.exchange.exchange import INFY, Exchange, limit

SETTINGS = Paper(
    slippage_enabled=False,
    depth_enabled=True,
    queue_enabled=True,
    volume_limit_enabled=True,
    volume_limit=Decimal("0.5"),
    funds=Decimal(100_000),
)
BOOK = Depth((Level(Decimal("1499.95"), 7),), (Level(Decimal(1500), 12), Level(Decimal("1500.05"), 20)))


def test_the_next_process_goes_on_with_what_is_left(any_exchange: Exchange) -> None:
    listing = Listing(Instruments.shipped().get, lambda _symbol, day: datetime.combine(day, time(15, 20), IST))
    exchange = Exchange(any_exchange.url, SETTINGS, any_exchange.clock, listing)
    exchange.market.take_over()
    exchange.show("1500", volume=1000)
    exchange.show("1500", volume=1040, depth=BOOK)
    exchange.place(quantity=10)
    second = exchange.again()
    second.market.take_over()
    rest = second.place(quantity=15)
    assert [(fill.quantity, fill.price) for fill in rest.fills] == [(2, Decimal(1500)), (8, Decimal("1500.05"))]
    resting = second.place(quantity=4, **limit("1499.95"))
    third = exchange.again()
    third.market.take_over()
    third.show("1499.95", volume=1060, depth=BOOK, symbol=INFY)
    own = resting.row.broker_order_id
    assert [fill.quantity for fill in third.broker.trades() if fill.broker_order_id == own] == [4]
    assert third.broker.margins() == exchange.broker.margins()
    assert isinstance(third.broker.margins(), Funds)
    exchange.close()
