"""Three days of one account, worked out by hand to the paisa: funds, margins, charges, refusals, the end of the day.

The rates are those of January 2026 on NSE (trading/charges/data/charges.yaml). In rupees of turnover:

    brokerage    MIS 0.03 %, at most 20; CNC none     exchange   2.97 per lakh + IPFT 10 per crore = 0.00307 %
    STT          MIS 0.025 % of sales; CNC 0.1 %      SEBI       10 per crore = 0.0001 %
    stamp duty   of purchases: MIS 0.003 %, CNC 0.015 %
    GST          18 % of brokerage + exchange + SEBI

Each line is rounded half up to the paisa, then added.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.ist import IST
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Amendment, Product, Side
from tests.trading.exchange.exchange import TCS, Exchange, approved, limit, refusal

CNC = {"product": Product.CNC}
SETTINGS = Paper(slippage_enabled=False, funds=Decimal(100_000), square_off_enabled=True)


@pytest.fixture
def account(url: str) -> Iterator[Exchange]:
    listing = Listing(Instruments.shipped().get, lambda _symbol, day: datetime.combine(day, time(15, 20), IST))
    with closing(Exchange(url, SETTINGS, listing=listing)) as exchange:
        exchange.market.take_over()
        yield exchange


def available(account: Exchange) -> str:
    funds = account.broker.margins()
    assert funds is not None
    assert funds == account.again().broker.margins(), "another process, or this one after a restart, says the same"
    return f"{funds.available:.2f}"


def test_a_known_day_to_the_paisa(account: Exchange) -> None:
    assert account.broker.margins() == Funds(Decimal(100_000), Decimal(0))
    account.show("1500")
    account.show("3000", symbol=TCS)

    # 20 INFY at 1500, MIS: 30000. 9.00 + 0.92 + 0.03 + stamp 0.90 + GST 1.79 (of 9.95) = 12.64. Binds a fifth: 6000.
    account.place(quantity=20)
    assert available(account) == "93987.36"  # 100000 - 12.64 - 6000

    # 10 TCS at 3000, CNC: 30000. STT 30 + 0.92 + 0.03 + stamp 4.50 + GST 0.17 (of 0.95) = 35.62. Binds it all.
    account.place(symbol=TCS, quantity=10, **limit("3000"), **CNC)
    assert available(account) == "63951.74"  # 93987.36 - 35.62 - 30000

    # 50 more would bind 150000. Nothing of it is in the book.
    refused = account.broker.place(approved(symbol=TCS, quantity=50, **limit("3000"), **CNC))
    assert refusal(refused) == "Insufficient funds. Required margin is 150000.00 but available margin is 63951.74."
    assert len(account.broker.order_book()) == 2

    # An order that closes binds nothing; one that opens does while it rests: 20 at 1400 bind 5600.
    exit_order = account.place(side=Side.SELL, quantity=20, **limit("1510"))
    assert available(account) == "63951.74"
    resting = account.place(quantity=20, **limit("1400"))
    assert available(account) == "58351.74"
    account.broker.cancel(resting.row.broker_order_id)
    assert available(account) == "63951.74"

    # The exit at 1512: 30240. 9.07 + STT 7.56 + 0.93 + 0.03 + GST 1.81 (of 10.03) = 19.40. The profit of 240 cannot
    # be used today, the 6000 are free again.
    assert account.show("1512") == [exit_order.row.broker_order_id]
    assert available(account) == "69932.34"  # 63951.74 - 19.40 + 6000

    # Short 10 at 1512: 15120. 4.54 + STT 3.78 + 0.46 + 0.02 + GST 0.90 (of 5.02) = 9.70. Binds 3024.
    account.place(side=Side.SELL, quantity=10)
    assert available(account) == "66898.64"  # 69932.34 - 9.70 - 3024


def to_the_cutoff(account: Exchange) -> None:
    account.show("1512")
    account.show("3000", symbol=TCS)
    account.place(side=Side.SELL, quantity=10)
    account.place(symbol=TCS, quantity=10, **CNC)
    account.clock.now = account.clock.now.replace(hour=15, minute=19, second=59)


def test_the_end_of_the_day_to_the_paisa(account: Exchange) -> None:
    to_the_cutoff(account)
    # 9.70 for the short one and 35.62 for TCS, as above; 3024 and 30000 are bound.
    assert available(account) == "66930.68"  # 100000 - 45.32 - 33024
    stop = account.place(quantity=10, **limit("1400"))
    first = account.broker.order_book()[0]

    # At 15:20 the resting order is cancelled, and 10 bought at 1515: 15150. 4.55 + 0.47 + 0.02 + stamp 0.45 + GST 0.91
    # (of 5.04) = 6.40, and 50 + 18 % = 59.00 for the square-off. The loss is 30.
    cancelled, bought = account.show("1515")
    assert cancelled == stop.row.broker_order_id
    assert (account.row(cancelled).status, account.row(cancelled).message) == ("CANCELLED", "RMS: intraday square-off")
    row = account.row(bought)
    assert (row.tag, row.status, row.side, row.filled_quantity) == (None, "COMPLETE", Side.BUY, 10)
    assert available(account) == "69859.28"  # 100000 - 45.32 - 6.40 - 59.00 - 30 - 30000
    assert [(each.symbol, each.quantity) for each in account.broker.positions()] == [(TCS, 10)]

    late = account.broker.place(approved())
    assert refusal(late) == "Intraday orders (MIS) are allowed only till 3:20 PM. Try placing a CNC order."
    assert account.row(first.broker_order_id) == first
    assert account.show("1515") == [], "there is nothing left to close"

    # The next day 4 of TCS are sold at 3100: 12400. STT 12.40 + 0.38 + 0.01 + GST 0.07 (of 0.39) = 12.86, and 15.34 to
    # the depository. They brought 400 more than they cost, 18000 stay bound, and a fifth of 12400 until tomorrow.
    account.clock.advance(days=1)
    account.clock.now = account.clock.now.replace(hour=10)
    account.show("3100", symbol=TCS)
    account.place(symbol=TCS, side=Side.SELL, quantity=4, **CNC)
    assert available(account) == "79751.08"  # 69859.28 + 30000 - 18000 + 400 - 12.86 - 15.34 - 2480
    short = account.broker.place(approved(symbol=TCS, side=Side.SELL, quantity=7, **CNC))
    assert refusal(short) == "Insufficient holdings. 7 of NSE:TCS are to be sold, but 6 can be."

    account.clock.advance(days=1)
    account.show("3100", symbol=TCS)
    assert available(account) == "82231.08"  # and the 2480


def test_a_profit_of_the_day_can_be_used_the_next_day(account: Exchange) -> None:
    account.show("1500")
    account.place(quantity=20)
    account.show("1512")
    account.place(quantity=20, side=Side.SELL)
    assert available(account) == "99967.96"  # 100000 - 12.64 - 19.40, the two orders of the first test
    account.clock.advance(days=1)
    account.show("1512")
    assert available(account) == "100207.96"


def test_an_order_that_grows_needs_the_funds_for_it(account: Exchange) -> None:
    account.show("1500")
    order = account.place(quantity=300, **limit("1400"))
    assert available(account) == "16000.00"  # 420000 / 5 are bound
    more = account.broker.modify(order.row.broker_order_id, Amendment(quantity=400))
    assert refusal(more) == "Insufficient funds. Required margin is 28000.00 but available margin is 16000.00."
    assert account.row(order.row.broker_order_id) == order.row
    account.broker.modify(order.row.broker_order_id, Amendment(quantity=100))
    assert available(account) == "72000.00"


def test_a_sale_needs_shares_that_are_not_offered_already(account: Exchange) -> None:
    account.show("1500")
    account.place(quantity=10, **CNC)
    offered = account.place(quantity=6, side=Side.SELL, **limit("1600"), **CNC)
    five = approved(quantity=5, side=Side.SELL, **limit("1600"), **CNC)
    assert "5 of NSE:INFY are to be sold, but 4 can be" in refusal(account.broker.place(five))
    account.broker.cancel(offered.row.broker_order_id)
    assert account.broker.place(five).kind == "accepted"


def test_what_a_dead_market_left_open_is_closed_with_the_first_tick_of_the_next_day(account: Exchange) -> None:
    account.show("1500")
    account.place(quantity=10)
    account.clock.advance(days=1)
    account.clock.now = account.clock.now.replace(hour=9, minute=15)
    assert len(account.show("1490")) == 1
    assert account.broker.positions() == []


def test_rms_closes_the_rest_when_there_is_volume_for_it(url: str) -> None:
    """10 % of what was traded may be had: 4 of 40, then 3 of 30, then the last 3."""
    thin = SETTINGS.model_copy(update={"volume_limit_enabled": True, "volume_limit": Decimal("0.1")})
    listing = Listing(Instruments.shipped().get, lambda _symbol, day: datetime.combine(day, time(15, 20), IST))
    with closing(Exchange(url, thin, listing=listing)) as exchange:
        exchange.market.take_over()
        exchange.show("1500", volume=1000)
        exchange.place(quantity=10)
        exchange.clock.now = exchange.clock.now.replace(hour=15, minute=20)
        own = [exchange.show("1500", volume=volume) for volume in (1040, 1070, 2000, 3000)]
        assert [len(changed) for changed in own] == [1, 1, 1, 0]
        rows = exchange.broker.order_book()
        assert len(rows) == 2, "one order of RMS, however long it takes"
        assert [fill.quantity for fill in exchange.broker.trades()] == [10, 4, 3, 3]
        assert exchange.broker.positions() == []


def test_without_funds_everything_is_as_it_was(exchange: Exchange) -> None:
    exchange.show("1500")
    assert exchange.broker.margins() is None
    exchange.place(quantity=10**6, side=Side.SELL, **CNC)
    exchange.clock.advance(hours=6)
    exchange.clock.now += timedelta(minutes=14)
    exchange.show("1500")
    exchange.place()


def test_a_market_order_without_a_price_to_reckon_with_is_refused(account: Exchange) -> None:
    account.show("1500")
    assert refusal(account.broker.place(approved(symbol=TCS))) == "margin: NSE:TCS has no last price yet"


def test_a_market_order_that_waits_is_reckoned_at_the_price_it_came_at(url: str) -> None:
    """1 % of 1000 are 10 of 30 shares, and 1 % of 500 are 5 more at 1600. The other 15 bind 15 * 1500 / 5 = 4500,
    whatever the price does, and in every process; the position binds (15000 + 8000) / 5 = 4600.
    """
    thin = SETTINGS.model_copy(update={"volume_limit_enabled": True, "volume_limit": Decimal("0.01")})
    listing = Listing(Instruments.shipped().get, lambda _symbol, day: datetime.combine(day, time(15, 20), IST))
    with closing(Exchange(url, thin, listing=listing)) as exchange:
        exchange.market.take_over()
        exchange.show("1500", volume=1000)
        order = exchange.place(quantity=30)
        exchange.show("1600", volume=1500)
        assert exchange.row(order.row.broker_order_id).filled_quantity == 15
        for process in (exchange, exchange.again()):
            funds = process.broker.margins()
            assert funds is not None
            assert funds.utilised == 9100
