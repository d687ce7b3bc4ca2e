"""The live engine over a caller's broker object that has bad days, each with a desk of its own."""

import asyncio
import errno
import os
import signal
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from durable_orders.engines import LiveExecutionEngine, broker_desk, durable, terms
from durable_orders.engines.books import Books
from durable_orders.trading.errors import (
    BookUnreadable,
    DuplicateOrder,
    HomeUnusable,
    UnknownError,
)
from durable_orders.trading.orders.order import BrokerOrderId, Mode, Order, Status
from durable_orders.v2 import ExecutionEngineV2, StateStore
from durable_orders.workers.home import Home
from durable_orders.workers.server import is_our_server
from tests.conftest import any_port, eventually
from tests.durable_orders.engines.conftest import older
from tests.durable_orders.engines.killed_engine import MINE
from tests.durable_orders.engines.over_a_broker import LIMIT, QUICK, Account, Slow, accepted, polled, rows, stands
from tests.sandbox.conftest import Serve
from tests.sandbox.serving import MAX_WAIT, Served, until
from tests.starting.programs import Started

ROOT = Path(__file__).parents[3]


@pytest.fixture
def alone(tmp_path: Path, served: Served, kite: KiteConnect, over_the_shared_server: None) -> Account:
    """An account whose broker has bad days."""
    return Account(tmp_path, served, kite)


async def test_partial_fills_are_counted_once_each_and_through_a_restart(
    tmp_path: Path, serve: Serve, state_store: StateStore, over_the_shared_server: None
) -> None:
    served = serve(partial_fill_probability=1.0)
    served.tick(1500)
    account = Account(tmp_path, served, served.kite())
    engine = account.engine(None, None, state_store)
    placed = await engine.place_order(older(**LIMIT))
    served.tick(1489)
    first = await stands(engine, placed, "PARTIAL")
    assert (first.filled_qty, state_store.load()["positions"][0]["qty"]) == (5, 5)
    await engine.close()
    engine = account.engine(None, None, state_store)
    while (order := await polled(engine, placed)).status != "FILLED":
        served.tick(1488)
        [position] = state_store.load()["positions"]
        assert position["qty"] == order.filled_qty
    filled = [fill.quantity for fill in order.fills]
    assert (sum(filled), filled[0]) == (10, 5)
    assert [position["qty"] for position in state_store.load()["positions"]] == [10]
    await engine.close()


CHANGES: list[dict[str, Any]] = [
    {"order_type": None},
    {"order_type": "limit"},
    {"order_type": "L"},
    {"order_type": None, "price": None},
]


class Wrapper:
    """Kite's client with lines of its own, which may not show a change that was made."""

    def __init__(self, kite: KiteConnect) -> None:
        self.place_order, self.modify_order, self._kite = kite.place_order, kite.modify_order, kite
        self.changes: dict[str, Any] = {}
        self.hides = False

    def orders(self) -> list[Any]:
        hidden = {"price": 1490.0, "quantity": 10} if self.hides else {}
        return [row | hidden | self.changes for row in self._kite.orders()]


async def shows(engine: LiveExecutionEngine, order: Order, price: Decimal, quantity: int) -> None:
    async def is_shown() -> bool:
        now = await polled(engine, order)
        return (now.price, now.qty) == (price, quantity)

    assert await eventually(is_shown)


async def test_a_change_that_the_book_does_not_show_is_not_told_as_made(
    alone: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper whose lines are its own, of a broker that takes the change and has not made it."""
    monkeypatch.setattr(durable, "SHOWN_SECONDS", 0.2)
    wrapper = Wrapper(alone.broker)
    engine = alone.engine(wrapper)
    for changes in CHANGES:
        wrapper.changes = changes
        placed = await engine.place_order(older(**LIMIT))
        wrapper.hides = True
        with pytest.raises(UnknownError, match="may still be made: the book does not show it yet"):
            await engine.amend_order(placed.order_id, price=1480)
        order = await polled(engine, placed)
        assert (order.price, order.order_type) == (Decimal(1490), "LIMIT")
        wrapper.hides = False
        price = Decimal(1490) if "price" in changes else Decimal(1480)
        await shows(engine, placed, price, 10)
    await engine.close()


async def test_a_change_that_the_book_shows_only_after_a_restart_is_the_orders(
    alone: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its terms, not the quantity alone."""
    monkeypatch.setattr(durable, "SHOWN_SECONDS", 0.2)
    wrapper = Wrapper(alone.broker)
    engine = alone.engine(wrapper)
    placed = await engine.place_order(older(**LIMIT))
    wrapper.hides = True
    with pytest.raises(UnknownError, match="may still be made"):
        await engine.amend_order(placed.order_id, price=1480, quantity=20)
    await engine.close()
    wrapper.hides = False
    engine = alone.engine(wrapper)
    await shows(engine, placed, Decimal(1480), 20)
    await engine.close()


async def test_the_same_order_again_is_the_one_whose_terms_were_changed(alone: Account) -> None:
    """As a strategy asks that was started again, in this process and the next."""
    order = older(order_id="mine", **LIMIT)
    engine = alone.engine()
    await engine.place_order(order)
    amended = await engine.amend_order("mine", price=1480, quantity=20)
    for _ in range(2):
        again = await engine.place_order(order)
        assert (again.order_id, again.price, again.qty) == (amended.order_id, Decimal(1480), 20)
        with pytest.raises(DuplicateOrder, match="is the id of another order"):
            await engine.place_order(older(order_id="mine", **LIMIT | {"price": 1480, "qty": 20}))
        await engine.close()
        engine = alone.engine()
    assert accepted(alone.served) == 1
    await engine.close()


async def test_as_long_as_the_book_cannot_be_read_nothing_is_guessed_and_nothing_sent(
    alone: Account,
) -> None:
    engine = alone.engine()
    await engine.cancel_order((await engine.place_order(older(**LIMIT))).order_id)  # its first reading is behind it
    alerts = engine.event_bus.stream("alert")
    alone.served.fault("accept_then_drop")
    alone.served.fault("book_unreadable", probability=1.0)
    placing = asyncio.create_task(engine.place_order(older(**LIMIT)))
    while "no new risk is taken" not in (await anext(alerts)).data["message"]:
        pass
    refused = await engine.place_order(older(qty=11))
    assert (refused.status, accepted(alone.served)) == ("REJECTED", 2)
    assert "UNKNOWN_OUTSTANDING" in str(refused.message)
    with pytest.raises(BookUnreadable):
        await engine.poll_orders()
    alone.served.control("DELETE", "faults")
    lost = await stands(engine, await placing, "PLACED")
    assert len(rows(alone.served, lost)) == 1
    bought = await engine.place_order(older())
    assert (await stands(engine, bought, "FILLED")).filled_qty == 10
    await engine.close()


@pytest.mark.parametrize("figures", [{"average_price": 0}, {"filled_quantity": 0}], ids=["no price", "nothing filled"])
async def test_an_end_that_does_not_add_up_is_unknown_and_holds_what_comes_after_it(
    alone: Account, monkeypatch: pytest.MonkeyPatch, figures: dict[str, Any]
) -> None:
    """A wrapper that says COMPLETE, and not at which price, or not how much: for good, or until it does."""
    read = alone.broker.orders
    monkeypatch.setattr(alone.broker, "orders", lambda: [row | figures for row in read()])
    engine = alone.engine()
    order = await engine.place_order(older())
    assert (order.status, order.filled_qty) == ("PLACED", 0)
    unknown = await stands(engine, order, "UNKNOWN")
    assert "COMPLETE in the broker's book" in str(unknown.message)
    refused = await engine.place_order(older(side="SELL"))
    assert (refused.status, accepted(alone.served)) == ("REJECTED", 1)
    assert "UNKNOWN_OUTSTANDING" in str(refused.message)
    monkeypatch.undo()
    bought = await stands(engine, order, "FILLED")
    assert bought.filled_qty == 10
    await engine.close()


async def test_a_broker_that_cannot_be_reached_may_have_it_as_far_as_its_object_tells(
    alone: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = alone.engine()
    await engine.cancel_order((await engine.place_order(older(**LIMIT))).order_id)
    unknown = engine.event_bus.stream("order_unknown")
    with monkeypatch.context() as away:
        away.setattr(alone.broker, "root", f"http://127.0.0.1:{any_port()}")
        placing = asyncio.create_task(engine.place_order(older()))
        assert "answer lost after sending" in (await anext(unknown)).data["message"]
    ended = await stands(engine, await placing, "REJECTED")
    assert "not placed: the order book did not show it" in str(ended.message)
    assert accepted(alone.served) == 1
    await engine.close()


async def test_the_next_process_goes_on_with_what_is_open(alone: Account, state_store: StateStore) -> None:
    engine = alone.engine(None, None, state_store)
    placed = await engine.place_order(older(**LIMIT))
    await engine.close()
    alone.served.tick(1489)
    again = alone.engine(None, None, state_store)
    assert (await stands(again, placed, "FILLED")).order_id == placed.order_id
    assert [position["qty"] for position in state_store.load()["positions"]] == [10]
    assert state_store.load()["open_orders"] == []
    await again.close()


async def test_an_object_that_ends_its_thread_may_have_placed_it(alone: Account) -> None:
    broker = Slow(alone.broker, dies=True)
    broker.go_on.set()
    engine = alone.engine(broker)
    order = await stands(engine, await engine.place_order(older(**LIMIT)), "PLACED")
    assert len(rows(alone.served, order)) == 1
    await engine.close()


async def test_a_cancel_that_comes_while_it_is_sent_is_not_forgotten(alone: Account) -> None:
    broker = Slow(alone.broker)
    engine = alone.engine(broker)
    placing = asyncio.create_task(engine.place_order(older(order_id="mine", **LIMIT)))
    await asyncio.to_thread(broker.began.wait, 60)
    cancelling = asyncio.create_task(engine.cancel_order("mine"))
    broker.go_on.set()
    assert (await cancelling).status == "CANCELLED"
    await placing
    assert [row["status"] for row in alone.served.kite().orders()] == ["CANCELLED"]
    await engine.close()


def ended(how: str, folder: str, account: Account, kite: KiteConnect) -> int:
    """The exit code of a process that places `mine`, and is `killed` before it knows that the broker has it, or ends
    with its engine `unclosed`."""
    module = [sys.executable, "-m", "tests.durable_orders.engines.killed_engine"]
    words = [*module, how, folder, account.name, kite.api_key, kite.access_token, kite.root]
    return Started(words, cwd=ROOT).wait(timeout=MAX_WAIT)


def has_a_server(home: Home) -> bool:
    left = home.address()
    assert left is not None
    return is_our_server(left, home)


async def test_a_process_killed_between_sent_and_answered_has_sent_it_once(
    tmp_path: Path, served: Served, kite: KiteConnect
) -> None:
    """Over the server that it had started itself, which the next process goes on with."""
    account = Account(tmp_path, served, kite)
    assert await asyncio.to_thread(ended, "killed", str(account.folder), account, kite) == -signal.SIGKILL
    assert accepted(served) == 1
    engine = account.engine()
    order = await stands(engine, await engine.place_order(older(order_id="mine", **LIMIT)), "PLACED")
    [row] = rows(served, order)
    assert (row["order_id"], accepted(served)) == (order.broker_order_id, 1)
    assert (await engine.cancel_order("mine")).status == "CANCELLED"
    await engine.close()
    assert not has_a_server(Home(account.folder))


async def test_the_older_engine_killed_between_sent_and_answered_goes_on_with_the_order(
    tmp_path: Path, served: Served, kite: KiteConnect
) -> None:
    account = Account(tmp_path, served, kite)
    assert await asyncio.to_thread(ended, "older", str(account.folder), account, kite) == -signal.SIGKILL
    store = StateStore(checkpoint_path=tmp_path / "state.json")
    assert [entry["status"] for entry in store.load()["open_orders"]] == ["PENDING"]

    def gone_on_with() -> None:
        config = {"account": account.name, "execution": {"folder": str(account.folder), "live": QUICK}}
        with ExecutionEngineV2("live", kite, store, None, None, None, config) as engine:
            until(lambda: engine.apply_circuit_breakers(MINE))
            again = engine.execute_intent(MINE)
            [row] = kite.orders()
            assert (again.status, again.order_id, accepted(served)) == ("PLACED", row["order_id"], 1)
            assert [entry["order_id"] for entry in store.load()["open_orders"]] == [row["order_id"]]

    await asyncio.to_thread(gone_on_with)


async def test_a_process_that_ends_with_its_engine_unclosed_leaves_no_server_behind(
    tmp_path: Path, served: Served, kite: KiteConnect
) -> None:
    """In another directory than the one that its folder is named from, too."""
    account = Account(tmp_path, served, kite)
    folder = os.path.relpath(account.folder, ROOT)  # noqa: ASYNC240
    assert await asyncio.to_thread(ended, "unclosed", folder, account, kite) == 0
    home = Home(account.folder)
    assert (home.holder(), has_a_server(home), accepted(served)) == (None, False, 1)


async def test_who_gives_up_waiting_for_the_desk_leaves_it_with_close(
    alone: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first call with a timeout, say: the folder is free afterwards."""
    began, go_on, start = threading.Event(), threading.Event(), broker_desk.BrokerDesk.start

    def slow(desk: broker_desk.BrokerDesk) -> None:
        began.set()
        assert go_on.wait(MAX_WAIT)
        start(desk)

    monkeypatch.setattr(broker_desk.BrokerDesk, "start", slow)
    engine = alone.engine()
    polling = asyncio.create_task(engine.poll_orders())
    assert await asyncio.to_thread(began.wait, MAX_WAIT)
    polling.cancel()
    await asyncio.wait([polling])
    go_on.set()
    await engine.close()
    assert Home(alone.folder).holder() is None


async def test_an_order_of_the_state_that_the_folder_does_not_know_is_not_told_as_open(
    alone: Account, state_store: StateStore
) -> None:
    """Of a version that kept no folder, or of a folder that was lost: nobody follows it."""
    sent = terms.owned(older(**LIMIT), alone.name, Mode.LIVE)
    sent = sent.changed(status=Status.PLACED, broker_order_id=BrokerOrderId("B1"))
    Books(state_store, None, Mode.LIVE).note(None, sent)
    engine = alone.engine(None, None, state_store)
    order = await polled(engine, sent)
    assert order.status == "UNKNOWN"
    assert "this home does not know it" in str(order.message)
    assert await polled(engine, sent) == order
    assert [entry["order"]["status"] for entry in state_store.load()["open_orders"]] == ["UNKNOWN"]
    await engine.close()


def test_a_folder_whose_disk_is_full_is_said_to_be_and_can_be_used_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, live = Home(tmp_path / "desk"), terms.live_terms({})
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", out_of_space)
        with pytest.raises(HomeUnusable, match=r"durable-orders\.yaml: cannot be written \(No space left on device\)"):
            broker_desk.settings_of(home, "live", live, dry_run=False)
    assert broker_desk.settings_of(home, "live", live, dry_run=False).account == "live"


def out_of_space(*_: Any) -> Path:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_folder_that_another_process_has_is_named(tmp_path: Path, kite: KiteConnect) -> None:
    home = Home(tmp_path / "desk").make()
    with home.locked():
        engine = LiveExecutionEngine(kite, config={"execution": {"folder": str(home.path)}})
        with pytest.raises(HomeUnusable, match=f"process {os.getpid()} has it.*`home=` sends over that"):
            await engine.place_order(older())
        await engine.close()
