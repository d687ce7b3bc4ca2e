from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.book import BookState, BrokerPosition
from durable_orders.trading.orders.order import Account, Amendment, BrokerOrderId, Product, Side, Validity
from tests.trading.exchange.exchange import (
    HALVES,
    INFY,
    TCS,
    Exchange,
    Opened,
    approved,
    limit,
)


def test_the_book_and_the_trades_follow_what_other_processes_do(exchange: Exchange) -> None:
    other = exchange.again()
    assert other.broker.order_book() == []
    exchange.show("100")
    resting = exchange.place(**limit("90")).row.broker_order_id
    assert other.row(resting).status == "OPEN"
    exchange.broker.modify(resting, Amendment(price=Decimal(91)))
    assert other.row(resting).price == Decimal(91)
    filled = exchange.place().row.broker_order_id
    assert [row.broker_order_id for row in other.broker.order_book()] == [resting, filled]
    assert [fill.broker_order_id for fill in other.broker.trades()] == [filled]
    exchange.show("91")
    assert other.row(resting).state is BookState.COMPLETE
    assert other.broker.order_book() == exchange.again().broker.order_book()
    assert other.broker.trades() == exchange.again().broker.trades()


def test_rows_and_trades_that_did_not_change_are_the_very_same_objects(exchange: Exchange) -> None:
    exchange.show("100")
    exchange.place(**limit("90"))
    exchange.place()
    before, traded = exchange.broker.order_book(), exchange.broker.trades()
    exchange.show("99")
    third = exchange.place(**limit("80")).row
    after = exchange.broker.order_book()
    assert [id(row) for row in after[:2]] == [id(row) for row in before]
    assert after[2] == third
    exchange.place()
    assert exchange.broker.trades()[0] is traded[0]


def test_a_reader_may_change_its_list_without_harm(exchange: Exchange) -> None:
    exchange.show("100")
    exchange.place()
    exchange.broker.order_book().clear()
    exchange.broker.trades().clear()
    assert (len(exchange.broker.order_book()), len(exchange.broker.trades())) == (1, 1)


def test_ends_of_an_earlier_session_stay_in_sight_for_a_day(exchange: Exchange) -> None:
    """With a replayed feed the session may turn before anybody has looked."""
    exchange.show("100")
    filled = exchange.place().row.broker_order_id
    expired = exchange.place(**limit("90")).row.broker_order_id
    exchange.clock.advance(hours=20)
    exchange.show("100")
    for reader in (exchange, exchange.again()):
        assert [row.broker_order_id for row in reader.broker.order_book()] == [filled, expired]
        assert [fill.broker_order_id for fill in reader.broker.trades()] == [filled]
    exchange.clock.advance(hours=5)
    for reader in (exchange, exchange.again()):
        assert [row.broker_order_id for row in reader.broker.order_book()] == [expired]
        assert reader.broker.trades() == []


def test_an_order_that_works_stays_in_sight_with_its_trades_however_old(opened: Opened) -> None:
    exchange = opened(HALVES)
    exchange.show("100")
    order = exchange.place(quantity=10).row.broker_order_id
    exchange.clock.advance(days=9)
    for reader in (exchange, exchange.again()):
        assert [row.broker_order_id for row in reader.broker.order_book()] == [order]
        assert sum(fill.quantity for fill in reader.broker.trades()) == 5


def test_an_order_that_no_feed_has_ever_met_stays_in_sight(exchange: Exchange) -> None:
    order = exchange.place(**limit("90")).row
    exchange.clock.advance(days=9)
    assert exchange.broker.order_book() == exchange.again().broker.order_book() == [order]


def test_a_feed_that_goes_back_to_an_earlier_session_shows_that_sessions_book_again(exchange: Exchange) -> None:
    first = exchange.clock.now.date()
    exchange.show("100")
    order = exchange.place().row
    exchange.clock.advance(days=3)
    exchange.show("100")
    reader = exchange.again()
    assert reader.broker.order_book() == []
    exchange.show_at([Decimal(100)], INFY, first)
    assert reader.broker.order_book() == [order]
    assert len(reader.broker.trades()) == 1


def test_the_book_is_that_of_one_account(exchange: Exchange) -> None:
    neighbour = PaperBroker(
        exchange.database, Account("other"), exchange.settings, exchange.broker.matcher.tick_sizes, exchange.clock
    )
    mine = exchange.place(**limit("90")).row.broker_order_id
    neighbour.place(approved(**limit("91")))
    (theirs,) = neighbour.order_book()
    assert theirs.broker_order_id != mine, "unique, though placed in the same millisecond"
    assert [row.broker_order_id for row in exchange.broker.order_book()] == [mine]
    assert neighbour.order_history(mine) == []
    assert neighbour.cancel(mine).kind == "refused"


def test_positions_are_net_by_symbol_and_product(exchange: Exchange) -> None:
    exchange.show("100")
    exchange.show("50", symbol=TCS)
    exchange.place(quantity=10)
    exchange.place(quantity=4, product=Product.NRML)
    exchange.place(quantity=7, symbol=TCS, side=Side.SELL)
    exchange.show("110")
    exchange.place(quantity=10)
    exchange.place(quantity=5, side=Side.SELL)
    expected = [
        BrokerPosition(INFY, Product.MIS, 15, Decimal("105")),
        BrokerPosition(INFY, Product.NRML, 4, Decimal("100")),
        BrokerPosition(TCS, Product.MIS, -7, Decimal("50")),
    ]
    assert exchange.broker.positions() == exchange.again().broker.positions() == expected
    exchange.place(quantity=19, side=Side.SELL)
    exchange.place(quantity=4, product=Product.NRML, side=Side.SELL)
    assert exchange.broker.positions() == [BrokerPosition(INFY, Product.MIS, -4, Decimal("110")), expected[2]]


def test_rows_trades_and_positions_agree(opened: Opened) -> None:
    exchange = opened(HALVES)
    for number in range(8):
        exchange.show(str(100 + number))
        exchange.place(side=Side.SELL if number % 3 else Side.BUY, quantity=number + 1)
    traded: Counter[BrokerOrderId] = Counter()
    for fill in exchange.broker.trades():
        traded[fill.broker_order_id] += fill.quantity
    book = exchange.broker.order_book()
    assert {row.broker_order_id: row.filled_quantity for row in book} == traded
    net = sum(row.side.sign * row.filled_quantity for row in book)
    assert [position.quantity for position in exchange.broker.positions()] == [net]


def test_the_history_of_an_unknown_order_is_empty(exchange: Exchange) -> None:
    assert exchange.broker.order_history(BrokerOrderId("1")) == []


def test_a_history_ends_with_the_row_of_the_book(exchange: Exchange) -> None:
    order = exchange.place(**limit("90")).row.broker_order_id
    exchange.clock.advance(seconds=2)
    exchange.broker.cancel(order)
    history = exchange.broker.order_history(order)
    assert history[-1] == exchange.row(order)
    assert [row.state for row in history[:-1]] == [BookState.WORKING] * 5
    assert history[0].updated_at == history[-1].updated_at - timedelta(seconds=2)


def test_a_history_says_why_an_order_expired(exchange: Exchange) -> None:
    order = exchange.place(validity=Validity.IOC).row
    assert exchange.broker.order_history(order.broker_order_id)[-1] == order
    assert order.message == "IOC: 10 of 10 could not be filled at once"


def test_a_book_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)
    with Database(f"sqlite:///{tmp_path / 'ledger.db'}") as database:
        broker = PaperBroker(database, Account("paper"), HALVES, lambda _symbol: Decimal(1))
        for read in (broker.order_book, broker.trades, broker.positions, lambda: broker.order_history(ID)):
            with pytest.raises(BookUnreadable, match="cannot be read"):
                read()


ID = BrokerOrderId("1953341975595868160")
