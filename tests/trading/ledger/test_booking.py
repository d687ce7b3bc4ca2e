"""What a fill earned and cost: first in, first out, by average, and after charges."""

from collections import deque
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.charges.contracts import Contract, Kind, contract_of, multiplier_of
from durable_orders.trading.charges.fees import Charges, Exchange, Segment, charges_of_order
from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.results import losses_in_a_row, realized_since
from durable_orders.trading.ledger.tables import CHARGED
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Fill, Product, Side
from tests.properties import FIXTURES_STAY
from tests.trading.ledger.examples import START, history, new_order, record_all, rows

PROVE = settings(FIXTURES_STAY, max_examples=25)
_numbers = count()
BUY, SELL = Side.BUY, Side.SELL
Dealt = tuple[Side, int, Decimal]

prices = st.decimals(min_value="0.05", max_value="99999.9999", places=4)
dealt = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 40), prices), max_size=10)


def first_in_first_out(done: list[Dealt]) -> tuple[list[tuple[int, Decimal]], Decimal]:
    """Share by share: what is open, and what was earned."""
    shares: deque[tuple[int, Decimal]] = deque()
    earned = Decimal(0)
    for side, quantity, price in done:
        for _ in range(quantity):
            if shares and shares[0][0] != side.sign:
                sign, paid = shares.popleft()
                earned += sign * (price - paid)
            else:
                shares.append((side.sign, price))
    return list(shares), earned


def _sign(quantity: int) -> int:
    return 1 if quantity > 0 else -1


def trade(ledger: Database, account: str, done: list[Dealt], **terms: Any) -> None:
    """Each deal an order of its own."""
    for side, quantity, price in done:
        order = new_order(f"o{next(_numbers)}", account=account, side=side, quantity=quantity, **terms)
        record_all(ledger, history(order, [(quantity, price)], BookState.COMPLETE))


@PROVE
@given(dealt)
def test_what_was_opened_first_is_closed_first(ledger: Database, done: list[Dealt]) -> None:
    account = f"f{next(_numbers)}"
    trade(ledger, account, done)
    shares, earned = first_in_first_out(done)
    with ledger.read() as connection:
        found = positions_of(connection, account)
    assert sum(each.realized_fifo for each in found) == earned
    assert sum(each.quantity for each in found) == sum(sign for sign, _ in shares)
    assert sum(each.open_value_by(RealizedBy.FIFO) for each in found) == sum(sign * paid for sign, paid in shares)
    lots = [row for row in rows(ledger, "lots") if row["account"] == account]
    assert [(_sign(row["quantity"]), row["price"]) for row in lots for _ in range(abs(row["quantity"]))] == shares
    own = [row for row in rows(ledger, "fills") if row["account"] == account]
    assert sum(row["realized_fifo"] for row in own) == earned


def test_the_setting_says_which_profit_counts(ledger: Database) -> None:
    """Bought at 100 and at 130, sold at 120: first in, first out that is a profit of 20, by average of 5."""
    trade(ledger, "paper", [(BUY, 1, Decimal(100)), (BUY, 1, Decimal(130)), (SELL, 1, Decimal(120))])
    with ledger.read() as connection:
        [position] = positions_of(connection, "paper")
        earned = {by: realized_since(connection, "paper", START, by) for by in RealizedBy}
    assert earned == {RealizedBy.AVERAGE: Decimal(5), RealizedBy.FIFO: Decimal(20)}
    assert {by: position.average_price_by(by) for by in RealizedBy} == {
        RealizedBy.AVERAGE: Decimal(115),
        RealizedBy.FIFO: Decimal(130),
    }
    for by in RealizedBy:
        assert position.realized_by(by) + position.unrealized_at(Decimal(140), by) == Decimal(30)


def test_losses_are_counted_by_the_setting_too(ledger: Database) -> None:
    """The same with 80 instead of 130: sold at 95, that is a loss first in, first out, and a profit by average."""
    trade(ledger, "paper", [(BUY, 1, Decimal(100)), (BUY, 1, Decimal(80)), (SELL, 1, Decimal(95))])
    with ledger.read() as connection:
        streaks = {by: losses_in_a_row(connection, "paper", START, by) for by in RealizedBy}
    assert streaks == {RealizedBy.AVERAGE: 0, RealizedBy.FIFO: 1}


def charged(row: dict[str, object]) -> Charges:
    return Charges.model_validate({name: row[name] for name in CHARGED})


@PROVE
@given(st.lists(st.tuples(st.integers(1, 400), prices), min_size=1, max_size=5), st.sampled_from(Side), st.randoms())
def test_fills_cost_what_their_order_costs_however_they_come(
    ledger: Database, done: list[tuple[int, Decimal]], side: Side, chance: object
) -> None:
    """Brokerage is capped for the order: fills of one order that come one by one, or several at once, cost no more."""
    account = f"c{next(_numbers)}"
    order = new_order(f"o{next(_numbers)}", account=account, side=side, quantity=2000)
    recordings = history(order, done, BookState.CANCELLED)
    for recording in recordings:
        if recording is recordings[-1] or chance.random() < 0.5:  # type: ignore[attr-defined]
            record(ledger, recording.order, recording.entries)
    own = [charged(row) for row in rows(ledger, "fills") if row["account"] == account]
    expected = charges_of_order(Segment.EQUITY_INTRADAY, Exchange.NSE, side, recordings[-1].order.fills)
    assert sum(own, Charges()) == expected
    with ledger.read() as connection:
        assert [(each.charges, each.uncharged) for each in positions_of(connection, account)] == [(expected.total, 0)]


@pytest.mark.parametrize(
    ("symbol", "product", "quantity", "price", "earned", "segment", "exchange", "size"),
    [
        ("NSE:INFY", Product.CNC, 10, "1500", "100", Segment.EQUITY_DELIVERY, Exchange.NSE, 1),
        ("BSE:INFY", Product.MIS, 10, "1500", "100", Segment.EQUITY_INTRADAY, Exchange.BSE, 1),
        ("NSE:INFY", Product.MTF, 10, "1500", "100", Segment.EQUITY_MTF, Exchange.NSE, 1),
        ("NFO:NIFTY26JANFUT", Product.NRML, 75, "24000", "750", Segment.EQUITY_FUTURES, Exchange.NFO, 1),
        ("NFO:NIFTY2610824400CE", Product.MIS, 75, "120.40", "750", Segment.EQUITY_OPTIONS, Exchange.NFO, 1),
        ("BFO:SENSEX26JAN80000PE", Product.NRML, 20, "310", "200", Segment.EQUITY_OPTIONS, Exchange.BFO, 1),
        ("CDS:USDINR26JANFUT", Product.NRML, 10, "84.2525", "100000", Segment.CURRENCY_FUTURES, Exchange.CDS, 1000),
        ("CDS:USDINR26JAN84.5CE", Product.NRML, 5, "0.45", "50000", Segment.CURRENCY_OPTIONS, Exchange.CDS, 1000),
        ("MCX:CRUDEOIL26JANFUT", Product.NRML, 1, "5862", "1000", Segment.COMMODITY_FUTURES, Exchange.MCX, 100),
        ("MCX:CRUDEOILM26JAN5000PE", Product.NRML, 2, "475.60", "200", Segment.COMMODITY_OPTIONS, Exchange.MCX, 10),
        ("MCX:COTTONCNDY26JANFUT", Product.NRML, 1, "54000", "480", Segment.AGRI_FUTURES, Exchange.MCX, 48),
    ],
)
def test_every_kind_of_contract_earns_and_costs_in_rupees(
    ledger: Database,
    symbol: str,
    product: Product,
    quantity: int,
    price: str,
    earned: str,
    segment: Segment,
    exchange: Exchange,
    size: int,
) -> None:
    """Bought, and sold ten rupees dearer. A lot of crude oil is a hundred barrels: its profit and turnover are, too."""
    deals = [(BUY, quantity, Decimal(price)), (SELL, quantity, Decimal(price) + 10)]
    trade(ledger, "paper", deals, symbol=symbol, product=product)
    fills = [
        Fill.model_validate({"trade_id": "1", "broker_order_id": "1", "quantity": quantity, "price": at, "at": START})
        for _, _, at in deals
    ]
    expected = [
        charges_of_order(segment, exchange, side, [fill], multiplier=size)
        for fill, side in zip(fills, Side, strict=True)
    ]
    assert sorted(charged(row).total for row in rows(ledger, "fills")) == sorted(each.total for each in expected)
    with ledger.read() as connection:
        [position] = positions_of(connection, "paper")
    assert (position.realized_pnl, position.realized_fifo) == (Decimal(earned), Decimal(earned))
    assert position.charges == sum(each.total for each in expected)
    assert multiplier_of(symbol) == size


@pytest.mark.parametrize(
    ("symbol", "product", "why"),
    [
        ("MCX:NICKEL26JANFUT", Product.NRML, "the size of its lots is not known"),
        ("NSE:INFY", Product.NRML, "shares are not traded like that"),
        ("NFO:SOMETHING", Product.NRML, "its symbol does not say what it is"),
    ],
)
def test_charges_that_nobody_knows_are_counted_and_stop_nothing(
    ledger: Database, symbol: str, product: Product, why: str
) -> None:
    trade(ledger, "paper", [(BUY, 1, Decimal(10)), (SELL, 1, Decimal(12))], symbol=symbol, product=product)
    assert [row[name] for row in rows(ledger, "fills") for name in CHARGED] == [None] * 2 * len(CHARGED)
    with ledger.read() as connection:
        [position] = positions_of(connection, "paper")
    assert (position.quantity, position.charges, position.uncharged) == (0, Decimal(0), 2)


def test_a_late_fill_of_an_order_pays_no_second_brokerage(ledger: Database) -> None:
    """300,000 rupees are at the cap of 20 with the first half already, on another day even."""
    order = new_order(quantity=200)
    *_, partial, whole = history(order, [(100, Decimal(1500)), (100, Decimal(1500))])
    record(ledger, partial.order, partial.entries)
    late = whole.order.fills[1].model_copy(update={"at": START + timedelta(days=1)})
    after = whole.order.model_copy(update={"fills": (whole.order.fills[0], late)})
    record(ledger, after, whole.entries)
    assert [row["brokerage"] for row in sorted(rows(ledger, "fills"), key=lambda row: row["number"])] == [20, 0]


@pytest.mark.parametrize(
    ("symbol", "contract"),
    [
        ("NSE:INFY", Contract(Exchange.NSE, Kind.SHARE, "INFY", 1)),
        ("NSE:CIGNITIFUT", Contract(Exchange.NSE, Kind.SHARE, "CIGNITIFUT", 1)),
        ("NFO:NIFTY25MAYFUT", Contract(Exchange.NFO, Kind.FUTURE, "NIFTY", 1)),
        ("NFO:M&M25MAYFUT", Contract(Exchange.NFO, Kind.FUTURE, "M&M", 1)),
        ("NFO:NIFTYNXT5025MAYFUT", Contract(Exchange.NFO, Kind.FUTURE, "NIFTYNXT50", 1)),
        ("NFO:NIFTY2550824400CE", Contract(Exchange.NFO, Kind.CALL, "NIFTY", 1)),
        ("NFO:NIFTY25O0724400PE", Contract(Exchange.NFO, Kind.PUT, "NIFTY", 1)),
        ("CDS:JPYINR25MAYFUT", Contract(Exchange.CDS, Kind.FUTURE, "JPYINR", 1000)),
        ("MCX:GOLDPETAL25MAYFUT", Contract(Exchange.MCX, Kind.FUTURE, "GOLDPETAL", 1)),
        ("MCX:NICKEL25MAYFUT", Contract(Exchange.MCX, Kind.FUTURE, "NICKEL", None)),
        ("NFO:NIFTY", None),
        ("XYZ:NIFTY25MAYFUT", None),
    ],
)
def test_a_symbol_says_what_it_is(symbol: str, contract: Contract | None) -> None:
    assert contract_of(symbol) == contract
