"""What each kind of position binds, by hand, and that no sequence of trades and orders can tell two accounts apart."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.account import OpenOrder, PaperAccount, Trade
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Account, BrokerOrderId, Product, Side, Tag
from tests.trading.exchange.exchange import INFY, OPENS, TCS

SETTINGS = Paper(funds=Decimal(10**7))
MASTER = Instruments.shipped()
BUY, SELL = Side.BUY, Side.SELL


def account() -> PaperAccount:
    return PaperAccount(Account("paper"), SETTINGS, MASTER.get)


def open_order(symbol: str, product: Product, side: Side, quantity: int, price: str, number: int = 0) -> OpenOrder:
    return OpenOrder(BrokerOrderId(str(number)), symbol, product, side, quantity, Decimal(price))


@pytest.mark.parametrize(
    ("symbol", "product", "side", "quantity", "price", "binds"),
    [
        (INFY, Product.CNC, BUY, 10, "1500", "15000"),
        (INFY, Product.MIS, SELL, 10, "1500", "3000"),
        (INFY, Product.MTF, BUY, 10, "1500", "15000"),
        ("NFO:NIFTY25MAYFUT", Product.NRML, SELL, 75, "24000", "216000"),
        ("NFO:NIFTY25MAY24400CE", Product.NRML, BUY, 75, "100", "7500"),
        ("NFO:NIFTY25MAY24400CE", Product.NRML, SELL, 75, "100", "219600"),
        ("MCX:CRUDEOIL25MAYFUT", Product.NRML, BUY, 1, "6000", "72000"),
    ],
    ids=["delivery", "a fifth", "financed", "12 %", "the premium", "12 % of 75 * 24400", "12 % of 100 barrels"],
)
def test_what_an_order_and_then_its_position_bind(
    symbol: str, product: Product, side: Side, quantity: int, price: str, binds: str
) -> None:
    money = account()
    order = open_order(symbol, product, side, quantity, price)
    assert money.required(order) == Decimal(binds)
    money.show(order)
    assert money.funds().utilised == Decimal(binds)
    money.show(order._replace(remaining=0))
    assert money.funds().utilised == 0
    money.book(trade(symbol, product, side, quantity, price))
    assert money.funds().utilised == Decimal(binds)
    closing = Side.SELL if side is Side.BUY else Side.BUY
    assert money.required(open_order(symbol, product, closing, quantity, price, 1)) == 0
    assert money.required(open_order(symbol, product, closing, 2 * quantity, price, 1)) > 0


def trade(symbol: str, product: Product, side: Side, quantity: int, price: str, at: datetime = OPENS) -> Trade:
    own = BrokerOrderId(f"{at:%d%H%M%S}")
    return Trade(own, Tag("tag"), symbol, product, side, quantity, Decimal(price), at, at.date())


def test_a_contract_that_ends_costs_no_square_off_fee_and_a_worthless_one_nothing_at_all() -> None:
    """75 bought for 100 rupees; the settlement has no tag, as an order of RMS has none."""
    option, product = "NFO:NIFTY25MAY24400CE", Product.NRML
    money = account()
    money.book(trade(option, product, BUY, 75, "100"))
    paid = money.charges
    money.book(trade(option, product, SELL, 75, "0", OPENS + timedelta(hours=6))._replace(tag=None))
    assert money.charges == paid
    assert money.funds().available == Decimal(10**7) - 7500 - paid


steps = st.lists(
    st.tuples(
        st.sampled_from(["trade", "order", "day"]),
        st.integers(0, 3),
        st.sampled_from([INFY, TCS]),
        st.sampled_from([Product.MIS, Product.CNC]),
        st.sampled_from(Side),
        st.integers(0, 50),
        st.decimals(min_value="0.05", max_value="3000", places=2),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(steps)
def test_an_account_is_what_its_trades_and_its_open_orders_make_it(steps: list[tuple[object, ...]]) -> None:
    """One that heard everything as it came, and one that is told the trades and then what is open at the end."""
    lived, trades, working, at = account(), list[Trade](), dict[int, OpenOrder](), OPENS
    for kind, number, symbol, product, side, quantity, price in steps:
        assert isinstance(number, int)
        assert isinstance(quantity, int)
        at += timedelta(seconds=1)
        if kind == "day":
            at += timedelta(days=1)
            lived.begin(at.date())
        elif kind == "trade" and quantity:
            trades.append(trade(symbol, product, side, quantity, str(price), at))  # type: ignore[arg-type]
            lived.book(trades[-1])
        elif kind == "order":
            before = working.get(number)
            order = open_order(symbol, product, side, quantity, str(price), number)  # type: ignore[arg-type]
            kept = order if before is None else before._replace(remaining=quantity, price=order.price)
            lived.required(kept)
            lived.show(kept)
            working[number] = kept
    told = account()
    for each in trades:
        told.book(each)
    for order in working.values():
        told.show(order)
    told.begin(at.date())
    assert told.funds() == lived.funds()
    assert told.charges == lived.charges >= 0
    assert lived.funds().utilised >= 0
