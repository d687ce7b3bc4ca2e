"""A day against the broker's accounts of it: what is a difference, and what is only a rounding."""

from datetime import date
from decimal import Decimal

import pytest

from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.orders.book import BilledOrder, BookState
from durable_orders.trading.orders.lifecycle import AnswerLost, step
from durable_orders.trading.orders.order import BrokerOrderId, OrderType, Product, Side, Status
from durable_orders.trading.reconciliation.charges import differences
from durable_orders.trading.reconciliation.day import DayOrder, Kind, of_order, of_position, of_unknown_row
from durable_orders.trading.reconciliation.positions import PositionDifference
from tests.trading.ledger.examples import limit_order
from tests.trading.reconciliation.test_compare import NOW, TRADE, ended, row_of

SALE = BilledOrder(
    *(BrokerOrderId("1"), "NSE:INFY", Side.SELL, Product.MIS, OrderType.LIMIT, "regular", 10, Decimal("1500.05"))
)
OURS = Charges(
    brokerage=Decimal("4.50"),
    transaction_tax=Decimal("3.75"),
    exchange_turnover_charge=Decimal("0.46"),
    sebi_turnover_charge=Decimal("0.02"),
    stamp_duty=Decimal("0.00"),
    gst=Decimal("0.90"),
)
KITE = Charges(
    brokerage=Decimal("4.50015"),
    transaction_tax=Decimal("3.750125"),
    exchange_turnover_charge=Decimal("0.4605"),
    sebi_turnover_charge=Decimal("0.015"),
    gst=Decimal("0.8956"),
)


def test_what_the_broker_does_not_round_agrees_with_what_it_rounds_to() -> None:
    assert differences(SALE, OURS, KITE, date(2026, 1, 5)) == []


@pytest.mark.parametrize(
    ("line", "theirs"),
    [
        ("transaction_tax", "4"),
        ("transaction_tax", "3.756"),
        ("brokerage", "4.51"),
        ("stamp_duty", "0.01"),
        ("gst", "0.91"),
        ("exchange_turnover_charge", "0"),
    ],
)
def test_a_paisa_in_one_line_is_one_difference_that_names_our_rate_and_its_day(line: str, theirs: str) -> None:
    falsified = KITE.model_copy(update={line: Decimal(theirs)})
    (found,) = differences(SALE, OURS, falsified, date(2026, 1, 5))
    assert (found.line, found.ours, found.theirs) == (line, getattr(OURS, line), Decimal(theirs))
    assert found.cause.startswith("our rate for equity_intraday on NSE is ")
    assert ", since 20" in found.cause


def test_an_unknown_order_never_agrees() -> None:
    """Also where the book has nothing against it: without a broker's id nothing need be in the book."""
    order = step(limit_order(), AnswerLost("no answer"), NOW)
    assert order.status is Status.UNKNOWN
    (found,) = of_order(DayOrder(order, None, ()), NOW)
    assert (found.kind, found.ours, found.broker) == (Kind.ORDER, "UNKNOWN", None)
    assert "until it is settled" in (found.cause or "")


def test_a_position_that_a_missing_trade_explains_says_so() -> None:
    order = ended(BookState.CANCELLED, TRADE)
    short = DayOrder(order, row_of(order, BookState.CANCELLED), ())
    of_trades = of_order(short, NOW)
    assert [each.kind for each in of_trades] == [Kind.TRADE]
    apart = PositionDifference(order.symbol, order.product.value, 40, 0)
    assert of_position(apart, [short], of_trades).cause == f"follows from the trades of {order.order_id}"
    assert of_position(apart._replace(symbol="NSE:TCS"), [short], of_trades).cause is None


def test_an_order_that_the_ledger_does_not_have_is_one() -> None:
    order = ended(BookState.CANCELLED, TRADE)
    row = row_of(order, BookState.CANCELLED)
    found = of_unknown_row(row, order.fills)
    assert (found.kind, found.order_id, found.ours) == (Kind.ORDER, row.broker_order_id, None)
    assert found.broker == f"{row.side} {row.quantity} CANCELLED, 40 traded"
