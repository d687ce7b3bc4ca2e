"""A caller's object behind the broker's protocol, over a ledger that does not know its orders yet."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.callers import readings
from durable_orders.callers.own_broker import OwnBroker
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.ledger.flags import flags_of
from durable_orders.trading.ledger.reading import events_of
from durable_orders.trading.orders.approval import grant
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Amendment, BrokerOrderId, Instructions, Order, tag_of
from durable_orders.trading.orders.outcome import ATTEMPT_USED, Accepted, NotSent, Refused, Unknown
from durable_orders.trading.orders.tags import marked
from tests.durable_orders.v2.sessions import Exchange, Row
from tests.ledgers import open_empty_ledger
from tests.sandbox.serving import until

MARK = "aaaaa"


class Book(Exchange):
    """With rows as a test writes them."""

    def show(self, **row: Any) -> None:
        self.book.append({"order_id": "X1", "status": "OPEN", "tradingsymbol": "INFY", "transaction_type": "BUY"} | row)


@pytest.fixture
def exchange() -> Book:
    return Book()


@pytest.fixture
def broker(exchange: Book, tmp_path: Path) -> Iterator[OwnBroker]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield OwnBroker(exchange, Account("live"), database, MARK, tmp_path / "trades")


def order(**more: Any) -> Order:
    made = Order(order_id="", symbol="NSE:INFY", side="BUY", qty=10, order_type="LIMIT", price=1490, strategy="s")
    return made.model_copy(update={"tag": marked(tag_of(made.order_id), MARK)} | more)


def test_what_was_taken_is_a_row_of_ours_also_without_its_tag(broker: OwnBroker, exchange: Book) -> None:
    own = order()
    answer = broker.place(grant(own))
    assert isinstance(answer, Accepted)
    exchange.book[0] |= {"tag": None, "filled_quantity": 4, "average_price": 100}
    exchange.show()
    [row] = broker.order_book()
    assert (row.broker_order_id, row.tag, row.state, row.filled_quantity) == ("B1", own.tag, BookState.WORKING, 4)
    assert [row] == broker.order_book()
    assert [(fill.quantity, fill.broker_order_id) for fill in broker.trades()] == [(4, "B1")]


def test_a_row_that_could_be_a_lost_order_is_told_unless_its_tag_is_anothers(broker: OwnBroker, exchange: Book) -> None:
    exchange.answers = [TimeoutError("no answer")]
    own = order()
    assert isinstance(broker.place(grant(own)), Unknown)
    exchange.book[0]["tag"] = None
    exchange.show(quantity=10, tag=marked(tag_of(order().order_id), "bbbbb"))
    exchange.show(order_id="X2", quantity=11)
    assert broker.order_book() == []
    assert broker.could_be(own) == ("B1",)


def test_an_order_whose_sending_goes_on_is_not_proved_absent(
    broker: OwnBroker, exchange: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the object takes: one that tries again for minutes may place it after all."""
    own, go_on, place = order(), threading.Event(), exchange.place_order

    def slow(payload: Row) -> Any:
        assert go_on.wait(60)
        return place(payload)

    monkeypatch.setattr(broker._callers, "_place", slow)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(broker.place, grant(own))
        while not broker.could_be(own):
            assert not answer.done()
        assert (broker.order_book(), broker.could_be(own)) == ([], ("a place_order() that has not answered yet",))
        go_on.set()
        assert isinstance(answer.result(), Accepted)
    assert broker.could_be(own) == ()
    assert [row.tag for row in broker.order_book()] == [own.tag]


def test_an_order_that_no_thread_could_send_is_not_on_its_way(
    broker: OwnBroker, exchange: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a process that may have no more threads: nothing was sent, and the book alone tells that."""
    own = order()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", no_more_threads)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            broker.place(grant(own))
    assert exchange.sent == []
    assert (broker.order_book(), broker.could_be(own)) == ([], ())


def test_a_cancel_that_never_returns_is_asked_for_again_but_not_without_end(
    broker: OwnBroker, exchange: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that has not returned keeps a thread."""
    asked, go_on = list[str](), threading.Event()

    def cancel_order(order_id: str) -> None:
        asked.append(order_id)
        assert go_on.wait(60)

    exchange.cancel_order = cancel_order  # type: ignore[attr-defined]
    monkeypatch.setattr(readings, "LIMIT", 0.01)
    one, two = BrokerOrderId("B1"), BrokerOrderId("B2")
    answers = [broker.cancel(one) for _ in range(5)]
    assert [type(answer) for answer in answers] == [Unknown, Unknown, NotSent, NotSent, NotSent]
    assert "calls that have not returned" in str(answers[-1])
    assert isinstance(broker.cancel(two), Unknown), "of another order"
    assert asked == ["B1", "B1", "B2"]
    go_on.set()
    monkeypatch.undo()
    until(lambda: isinstance(broker.cancel(one), Accepted))


def no_more_threads(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_an_order_that_another_folder_has_sent_is_not_sent_again(broker: OwnBroker, exchange: Book) -> None:
    own = order()
    exchange.show(tag=marked(tag_of(own.order_id), "bbbbb"))
    assert broker.order_book() == []
    answer = broker.place(grant(own))
    assert isinstance(answer, Refused)
    assert "as X1, sent from another folder" in answer.evidence.message
    assert exchange.sent == []


WHOLE = {"exchange": "NSE", "product": "MIS", "order_type": "LIMIT", "price": 1490, "quantity": 10}


def flags(broker: OwnBroker) -> list[str]:
    with broker._database.read() as connection:
        return [flag.name for flag in flags_of(connection, "live")]


def alerts(broker: OwnBroker) -> list[str]:
    with broker._database.read() as connection:
        events = events_of(connection, "account:live")
        return [event.message for event in events if event.type is EventType.ALERT]


def test_a_row_of_this_folder_that_the_ledger_does_not_know_is_one_to_adopt(broker: OwnBroker, exchange: Book) -> None:
    """Beside those of the orders that it knows, with what it has filled."""
    broker.place(grant(order()))
    lost = order()
    exchange.show(tag=lost.tag, filled_quantity=4, average_price=1489, **WHOLE)
    known, row = broker.order_book()
    assert (known.broker_order_id, row.broker_order_id, row.tag, row.symbol) == ("B1", "X1", lost.tag, "NSE:INFY")
    assert (row.product, row.order_type, row.price, row.filled_quantity) == ("MIS", "LIMIT", Decimal(1490), 4)
    assert [(fill.broker_order_id, fill.quantity) for fill in broker.trades()] == [("X1", 4)]
    assert (flags(broker), alerts(broker)) == ([], [])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({}, "its line does not say its exchange, quantity, product, order_type"),
        (WHOLE | {"product": None}, "its line does not say its product"),
        (WHOLE | {"product": "BO"}, "what its line says of its product is not understood"),
        (WHOLE | {"transaction_type": "HOLD"}, "what its line says of its side is not understood"),
    ],
)
def test_one_whose_terms_it_does_not_say_hides_none_and_lets_no_new_risk_pass(
    broker: OwnBroker, exchange: Book, line: Row, why: str
) -> None:
    exchange.show(tag=order().tag, **line)
    broker.place(grant(order()))
    for _ in range(2):
        assert [row.broker_order_id for row in broker.order_book()] == ["B1"]
        assert flags(broker) == ["unknown-order-X1"]
    [alert] = alerts(broker)
    assert "order X1 at the broker has a tag of this home, and the ledger does not know it" in alert
    assert why in alert
    assert f"{line.get('quantity', '?')} INFY, 0 filled, OPEN" in alert
    assert "then `durable-orders flag unknown-order-X1 --clear`" in alert


def test_a_row_without_an_id_costs_that_row_is_told_once_and_proves_no_absence(
    broker: OwnBroker, exchange: Book
) -> None:
    own, lost = order(), order()
    broker.place(grant(own))
    exchange.book.append({"status": "OPEN", "tradingsymbol": "TCS"})
    for _ in range(2):
        assert [row.broker_order_id for row in broker.order_book()] == ["B1"]
        assert broker.could_be(lost) == ("a row without an order id",)
    [told] = alerts(broker)
    assert "1 of its rows without an order id" in told
    exchange.book[-1]["tag"] = lost.tag
    broker.order_book()
    exchange.book.pop()
    broker.order_book()
    assert broker.could_be(lost) == ()
    assert isinstance(broker.place(grant(lost)), Unknown), "a row with its tag was there"
    assert len(exchange.sent) == 1


def test_one_without_an_id_that_the_ledger_does_not_know_lets_no_new_risk_pass(
    broker: OwnBroker, exchange: Book
) -> None:
    lost = order()
    exchange.show(order_id=None, tag=lost.tag, quantity=10)
    exchange.show(order_id="", tag=order().tag, status="REJECTED", quantity=10)
    for _ in range(2):
        assert broker.order_book() == []
        assert flags(broker) == [f"unknown-order-{lost.tag}"]
    assert (
        len([words for words in alerts(broker) if f"order {lost.tag} at the broker has a tag of this home" in words])
        == 1
    )


def test_its_flag_goes_down_once_it_is_known_what_came_of_it(broker: OwnBroker, exchange: Book, tmp_path: Path) -> None:
    """By this process or the next: not for a row that the book has lost, nor for one that does not say what it
    filled."""
    for name in ("X1", "X2", "X3", "X4"):
        exchange.show(order_id=name, tag=order().tag)
    broker.order_book()
    own = [f"unknown-order-X{number}" for number in (1, 2, 3, 4)]
    assert flags(broker) == own
    one, two, three, _ = exchange.book
    one |= {"status": "CANCELLED", "filled_quantity": 0}
    two |= {"status": "CANCELLED"}
    three |= {"status": "COMPLETE", "quantity": 10, "filled_quantity": 10, "average_price": 1490}
    exchange.book.pop()
    again = OwnBroker(exchange, Account("live"), broker._database, MARK, tmp_path / "trades")
    again.order_book()
    assert flags(again) == own[1:]
    assert len(alerts(again)) == 4
    two |= WHOLE
    again.order_book()
    assert flags(again) == own[2:]


def test_a_lost_order_that_such_a_row_could_be_is_not_absent_and_its_own_is_not_sent_again(
    broker: OwnBroker, exchange: Book
) -> None:
    exchange.places = False
    exchange.answers = [TimeoutError("no answer")]
    asked, sent = order(), order()
    assert isinstance(broker.place(grant(asked)), Unknown)
    exchange.show(tag=sent.tag, quantity=10)
    assert broker.order_book() == []
    assert broker.could_be(asked) == ("X1",)
    again = broker.place(grant(sent))
    assert isinstance(again, Unknown)
    assert (again.evidence.error_type, len(exchange.sent)) == (ATTEMPT_USED, 1)


def test_what_the_object_cannot_do_is_said(broker: OwnBroker, exchange: Book) -> None:
    split = broker.place(grant(order(instructions=Instructions(autoslice=True))))
    assert isinstance(split, Refused)
    assert "a broker object takes none" in split.evidence.message
    for answer in (broker.cancel("B1"), broker.modify("B1", Amendment(price=1480))):  # type: ignore[arg-type]
        assert isinstance(answer, Refused)
    with pytest.raises(BookUnreadable, match=r"has no positions\(\)"):
        broker.positions()
    assert (broker.holdings(), broker.margins(), exchange.sent) == ([], None, [])


def test_positions_are_those_of_kites_client(broker: OwnBroker, exchange: Book) -> None:
    row = {"exchange": "NSE", "tradingsymbol": "INFY", "product": "MIS", "quantity": 10, "average_price": 1500.0}
    exchange.positions = lambda: {"net": [row], "day": []}  # type: ignore[attr-defined]
    [position] = broker.positions()
    assert (position.symbol, position.product, position.quantity) == ("NSE:INFY", "MIS", 10)
    exchange.positions = lambda: {"net": "none"}  # type: ignore[attr-defined]
    with pytest.raises(BookUnreadable, match="must be a list"):
        broker.positions()
