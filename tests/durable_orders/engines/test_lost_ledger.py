"""The live engine over a broker object whose book has an order of the folder that its ledger does not know, and over
one whose book never answers."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from durable_orders.callers import readings
from durable_orders.engines import LiveExecutionEngine, broker_desk
from durable_orders.orders import Orders
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.flags import flags_of
from durable_orders.trading.ledger.homes import mark_of
from durable_orders.trading.ledger.reading import find_order
from durable_orders.trading.orders.order import Order, order_id, tag_of
from durable_orders.trading.orders.tags import marked
from durable_orders.workers.home import Home
from tests.conftest import eventually
from tests.durable_orders.engines.conftest import older
from tests.durable_orders.engines.over_a_broker import LIMIT, Account, accepted, polled, stands
from tests.sandbox.serving import Served


class Lines:
    """Kite's client with lines of its own, and a book that answers when it is let."""

    def __init__(self, kite: KiteConnect) -> None:
        self.place_order, self.cancel_order, self._kite = kite.place_order, kite.cancel_order, kite
        self.changes: dict[str, Any] = {}
        self.answers = threading.Event()
        self.answers.set()
        self.waits = threading.Event()

    def orders(self) -> list[Any]:
        if not self.answers.is_set():
            self.waits.set()
            assert self.answers.wait(120)
            self.waits.clear()
        return [row | self.changes for row in self._kite.orders()]


@pytest.fixture
def alone(tmp_path: Path, served: Served, kite: KiteConnect, over_the_shared_server: None) -> Account:
    served.tick(1500)
    return Account(tmp_path, served, Lines(kite))


def ledger(account: Account) -> Database:
    home = Home(account.folder)
    return home.ledger(home.settings())


async def forgotten(account: Account) -> tuple[Order, str]:
    """An order that the folder knows, and the broker's id of one that it has sent and does not know any more."""
    engine = account.engine()
    known = await engine.place_order(older(**LIMIT))
    await engine.close()
    database = ledger(account)
    with database.read() as connection:
        mark = mark_of(connection, account.name)
    database.close()
    assert mark is not None
    kite, tag = account.served.kite(), marked(tag_of(order_id(account.name, "gone")), mark)
    terms: dict[str, Any] = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
    }
    terms |= {"quantity": 7, "product": "MIS", "order_type": "LIMIT", "price": 1480.0, "validity": "DAY", "tag": tag}
    return known, str(kite.place_order(**terms))


async def test_an_order_that_the_ledger_has_lost_is_adopted_and_the_others_are_followed(alone: Account) -> None:
    known, lost = await forgotten(alone)
    engine, database = alone.engine(), ledger(alone)
    assert (await polled(engine, known)).status == "PLACED"
    alone.served.tick(1479)
    assert (await stands(engine, known, "FILLED")).filled_qty == 10

    async def is_booked() -> bool:
        await engine.poll_orders()
        with database.read() as connection:
            adopted = find_order(connection, order_id(alone.name, f"external-{lost}"))
        return adopted is not None and (adopted.status, adopted.filled_quantity) == ("FILLED", 7)

    assert await eventually(is_booked)
    new = await engine.place_order(older())
    assert (await stands(engine, new, "FILLED")).filled_qty == 10
    database.close()
    await engine.close()


async def test_one_that_cannot_be_followed_hides_no_other_and_is_told_and_no_new_risk_is_taken(alone: Account) -> None:
    known, lost = await forgotten(alone)
    alone.broker.changes = {"product": None}
    engine, database = alone.engine(), ledger(alone)
    refused = await engine.place_order(older())
    assert (refused.status, accepted(alone.served)) == ("REJECTED", 2)
    assert f"order {lost} at the broker has a tag of this home" in str(refused.message)
    assert (await polled(engine, known)).status == "PLACED"
    alone.served.tick(1489)
    assert (await stands(engine, known, "FILLED")).filled_qty == 10
    sold = await engine.place_order(older(side="SELL"))
    assert (await stands(engine, sold, "FILLED")).filled_qty == 10
    async with Orders(alone.folder) as orders:
        told = [event.message for event in await orders.events() if "has a tag of this home" in event.message]
    told = [message for message in told if not message.startswith("risk flag") and "not sent" not in message]
    assert "BUY 7 INFY, 0 filled, OPEN" in told[0]
    alone.served.kite().cancel_order("regular", lost)
    await engine.poll_orders()
    with database.read() as connection:
        assert flags_of(connection, alone.name) == []
    bought = await engine.place_order(older())
    assert (await stands(engine, bought, "FILLED")).filled_qty == 10
    database.close()
    await engine.close()


async def test_a_book_that_never_answers_is_unreadable_and_keeps_nothing_from_its_end(
    alone: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = alone.engine()
    known = await engine.place_order(older(**LIMIT))
    with monkeypatch.context() as short:
        short.setattr(readings, "LIMIT", 0.2)
        alone.broker.answers.clear()
        with pytest.raises(BookUnreadable, match="the broker's orders cannot be read: no answer"):
            await engine.poll_orders()
    alone.served.tick(1489)
    alone.broker.answers.set()
    assert await eventually(lambda: is_filled(engine, known))

    monkeypatch.setattr(broker_desk, "READ_WITHIN", 0.1)
    alone.broker.answers.clear()
    assert await asyncio.to_thread(alone.broker.waits.wait, 60)
    await engine.close()
    assert alone.broker.waits.is_set()
    alone.broker.answers.set()


async def test_a_cancel_that_never_returns_keeps_nothing_from_its_end_and_the_next_process_asks_again(
    alone: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_desk, "READ_WITHIN", 0.1)
    asked, go_on, cancel = threading.Event(), threading.Event(), alone.broker.cancel_order

    def hangs(variety: str, order_id: str) -> str:
        asked.set()
        assert go_on.wait(120)
        return str(cancel(variety, order_id))

    engine = alone.engine()
    known = await engine.place_order(older(**LIMIT))
    with monkeypatch.context() as bad:
        bad.setattr(alone.broker, "cancel_order", hangs)
        cancelling = asyncio.create_task(engine.cancel_order(known.order_id))
        assert await asyncio.to_thread(asked.wait, 60)
        await engine.close()
        assert not go_on.is_set()
    await asyncio.gather(cancelling, return_exceptions=True)

    async def is_cancelled() -> bool:
        return [row["status"] for row in alone.served.kite().orders()] == ["CANCELLED"]

    engine = alone.engine()
    await engine.poll_orders()
    assert await eventually(is_cancelled)
    await engine.close()
    go_on.set()


async def is_filled(engine: LiveExecutionEngine, order: Order) -> bool:
    try:
        return (await polled(engine, order)).status == "FILLED"
    except BookUnreadable:  # the call that was dropped is not back yet
        return False
