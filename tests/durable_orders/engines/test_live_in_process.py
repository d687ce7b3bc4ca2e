"""The live engine over a caller's broker object: here the real Kite client, against the sandbox and its faults."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from durable_orders.engines import LiveExecutionEngine, callers_desk
from durable_orders.orders import Orders
from durable_orders.trading.errors import DuplicateOrder, DurableOrdersError, InvalidOrder, UnknownError
from durable_orders.trading.orders.order import Order
from durable_orders.v2 import GuardianDecision, JournalStateStore, StateStore, TradeGuardian
from tests.conftest import any_port, eventually
from tests.durable_orders.engines.conftest import older, rows_of
from tests.sandbox.conftest import Serve
from tests.sandbox.serving import Served

QUICK: dict[str, Any] = {
    "settle_window": 0.2,
    "retry_delay": 0.01,
    "reconciliation_interval": 0.05,
    "reconciliation_enabled": False,
}
Make = Callable[..., LiveExecutionEngine]
LIMIT: dict[str, Any] = {"order_type": "LIMIT", "price": 1490.0}


@pytest.fixture
async def make(kite: KiteConnect, state_store: StateStore, journal_store: JournalStateStore) -> AsyncIterator[Make]:
    made: list[LiveExecutionEngine] = []

    def engine(broker: Any = kite, guardian: Any = None, **live: Any) -> LiveExecutionEngine:
        config = {"execution": {"live": QUICK | live}, "guardian": {"enabled": True}}
        made.append(LiveExecutionEngine(broker, guardian, state_store, journal_store, config))
        return made[-1]

    yield engine
    for one in made:
        await one.close()


@pytest.fixture
def engine(make: Make) -> LiveExecutionEngine:
    return make()


def told(engine: LiveExecutionEngine) -> list[tuple[str, Any]]:
    return [(event.type, event.data.get("qty")) for event in engine.event_bus.get_recent_events()]


def accepted(served: Served) -> int:
    return sum(len(ids) for ids in served.tally()["accepted"].values())


async def test_a_market_order_is_filled_booked_and_told(
    engine: LiveExecutionEngine, state_store: StateStore, journal_store: JournalStateStore
) -> None:
    order = await engine.place_order(older())
    [order] = await engine.poll_orders()
    assert (order.status, order.filled_qty, order.avg_price, order.symbol) == ("FILLED", 10, 1500.0, "NSE:INFY")
    assert (order.mode, order.account, order.tags) == ("live", "live", {"exchange": "NSE"})
    assert told(engine) == [
        ("order_received", 10),
        ("order_placed", 10),
        ("order_filled", 10),
        ("position_updated", 10),
    ]
    [position] = state_store.load()["positions"]
    assert (position["symbol"], position["qty"], position["avg_price"]) == ("INFY", 10, 1500.0)
    assert state_store.load()["open_orders"] == []
    assert list(rows_of(journal_store))[-1] == ("FILLED", "10")


async def test_a_resting_order_is_followed_and_booked_once(
    engine: LiveExecutionEngine, served: Served, state_store: StateStore
) -> None:
    placed = await engine.place_order(older(**LIMIT))
    assert placed.status == "PLACED"
    served.tick(1489)
    for _ in range(3):
        [order] = await engine.poll_orders()
    assert (order.status, order.avg_price) == ("FILLED", 1489.0)
    assert [position["qty"] for position in state_store.load()["positions"]] == [10]


async def test_partial_fills_are_counted_once_each(make: Make, serve: Serve, state_store: StateStore) -> None:
    served = serve(partial_fill_probability=1.0)
    served.tick(1500)
    engine = make(served.kite())
    await engine.place_order(older(**LIMIT))
    seen = []
    for _ in range(12):
        served.tick(1489)
        [order] = await engine.poll_orders()
        seen.append((str(order.status), order.filled_qty))
        [position] = state_store.load()["positions"]
        assert position["qty"] == order.filled_qty
    assert seen[0] == ("PARTIAL", 5)
    assert seen[-1] == ("FILLED", 10)
    moved = engine.event_bus.get_recent_events("position_updated")
    assert sum(event.data["qty"] for event in moved) == 10


async def test_profit_is_what_was_earned(engine: LiveExecutionEngine, served: Served, state_store: StateStore) -> None:
    await engine.place_order(older())
    served.tick(1510)
    await engine.place_order(older())
    served.tick(1525)
    await engine.place_order(older(side="SELL", qty=15))
    await engine.poll_orders()
    state = state_store.load()
    [position] = state["positions"]
    assert (position["qty"], position["avg_price"], state["equity"]["realized_pnl"]) == (5, 1505.0, 300.0)


async def test_a_cancel_is_what_the_book_says(engine: LiveExecutionEngine, served: Served) -> None:
    one, other = [await engine.place_order(older(**LIMIT)) for _ in range(2)]
    assert (await engine.cancel_order(one.order_id)).status == "CANCELLED"
    served.fault("fill_during_cancel")
    ended = await engine.cancel_order(other.client_order_id)
    assert (ended.status, ended.filled_qty) == ("FILLED", 10)
    assert await engine.cancel_order(other.order_id) == ended
    assert [kind for kind, _ in told(engine)].count("order_cancelled") == 1


async def test_a_resting_order_is_changed_as_the_book_shows(
    engine: LiveExecutionEngine, served: Served, state_store: StateStore
) -> None:
    placed = await engine.place_order(older(**LIMIT))
    amended = await engine.amend_order(placed.client_order_id, price=1480, quantity=20)
    assert (amended.status, amended.price, amended.qty, accepted(served)) == ("PLACED", Decimal(1480), 20, 1)
    [kept] = state_store.load()["open_orders"]
    assert (kept["price"], kept["quantity"]) == (1480.0, 20)
    served.tick(1479)
    assert [(order.status, order.filled_qty) for order in await engine.poll_orders()] == [("FILLED", 20)]
    with pytest.raises(InvalidOrder, match="cannot be amended, it has ended: FILLED"):
        await engine.amend_order(placed.order_id, price=1470)
    with pytest.raises(ValueError, match="Order X not found"):
        await engine.amend_order("X", price=1470)


async def test_a_change_whose_answer_was_lost_is_looked_up_and_asked_for_once(
    engine: LiveExecutionEngine, served: Served
) -> None:
    placed = await engine.place_order(older(**LIMIT))
    served.fault("accept_then_drop")
    assert (await engine.amend_order(placed.order_id, price=1480)).price == 1480
    assert sum(served.tally()["requests"]["modify"].values()) == 1


@pytest.mark.parametrize(
    "changes",
    [{"order_type": None}, {"order_type": "limit"}, {"order_type": "L"}, {"order_type": None, "price": None}],
)
async def test_a_change_that_the_book_does_not_show_is_not_told_as_made(
    make: Make, kite: KiteConnect, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """A wrapper whose lines are its own, of a broker that takes the change and has not made it."""
    monkeypatch.setattr(callers_desk, "CANCEL_SECONDS", 0.2)
    old, show = kite.orders, kite.orders
    monkeypatch.setattr(kite, "orders", lambda: [row | changes for row in show()])
    engine = make()
    placed = await engine.place_order(older(**LIMIT))
    before = old()
    show = lambda: before  # noqa: E731
    with pytest.raises(UnknownError, match="may still be made: the book does not show it yet"):
        await engine.amend_order(placed.order_id, price=1480)
    [order] = await engine.poll_orders()
    assert (order.price, order.order_type) == (Decimal(1490), "LIMIT")
    show = old
    [order] = await engine.poll_orders()
    assert order.price == (Decimal(1490) if "price" in changes else Decimal(1480))


async def test_a_change_that_the_book_shows_only_after_a_restart_is_the_orders(
    make: Make, kite: KiteConnect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its terms, not the quantity alone."""
    monkeypatch.setattr(callers_desk, "CANCEL_SECONDS", 0.2)
    engine = make()
    placed = await engine.place_order(older(**LIMIT))
    with monkeypatch.context() as lagging:
        before = kite.orders()
        lagging.setattr(kite, "orders", lambda: before)
        with pytest.raises(UnknownError, match="may still be made"):
            await engine.amend_order(placed.order_id, price=1480, quantity=20)
    [order] = await make().poll_orders()
    assert (order.price, order.qty) == (Decimal(1480), 20)


async def test_the_same_order_again_is_the_one_whose_terms_were_changed(make: Make, served: Served) -> None:
    """As a strategy asks that was started again, in this process and the next."""
    order = older(order_id="mine", **LIMIT)
    engine = make()
    await engine.place_order(order)
    amended = await engine.amend_order("mine", price=1480, quantity=20)
    for each in (engine, make(), make()):
        again = await each.place_order(order)
        assert (again.order_id, again.price, again.qty) == (amended.order_id, Decimal(1480), 20)
        with pytest.raises(DuplicateOrder, match="is the id of another order"):
            await each.place_order(older(order_id="mine", **LIMIT | {"price": 1480, "qty": 20}))
    assert accepted(served) == 1


async def test_a_change_that_the_broker_or_the_guardian_refuses_is_not_done(make: Make, served: Served) -> None:
    engine = make(guardian=Watching(allow=True))
    placed = await engine.place_order(older(**LIMIT))
    with pytest.raises(InvalidOrder, match=r"amendment \(price 900\) not done: .*outside the circuit limits"):
        await engine.amend_order(placed.order_id, price=900)
    strict = make(guardian=Watching(allow=False))
    with pytest.raises(InvalidOrder, match="not done: Guardian blocked: too far"):
        await strict.amend_order(placed.order_id, price=1470)
    assert [(order.price, order.status) for order in await engine.poll_orders()] == [(Decimal(1490), "PLACED")]


@pytest.mark.parametrize("name", ["X", "order:live:X", "no such order"])
async def test_an_id_that_was_never_seen_is_said_to_be(engine: LiveExecutionEngine, name: str) -> None:
    with pytest.raises(ValueError, match=f"Order {name} not found"):
        await engine.cancel_order(name)


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_504", "empty_body"])
async def test_a_lost_answer_is_found_in_the_book(engine: LiveExecutionEngine, served: Served, fault: str) -> None:
    served.fault(fault)
    order = await engine.place_order(older(**LIMIT))
    assert (order.status, accepted(served)) == ("PLACED", 1)
    assert [kind for kind, _ in told(engine)] == ["order_received", "order_unknown", "order_placed"]


async def test_what_never_arrived_is_proved_by_the_book_and_not_sent_again(
    engine: LiveExecutionEngine, served: Served
) -> None:
    served.fault("refuse_connection")
    order = await engine.place_order(older(**LIMIT))
    assert order.status == "REJECTED"
    assert "never placed: absent in" in str(order.message)
    assert (accepted(served), served.tally()["requests"]["place"]) == (0, {"dropped": 1})


async def test_as_long_as_the_book_cannot_be_read_nothing_is_guessed_and_nothing_sent(
    engine: LiveExecutionEngine, served: Served
) -> None:
    served.fault("accept_then_drop")
    served.fault("book_unreadable", probability=1.0)
    lost = await engine.place_order(older(**LIMIT))
    assert lost.status == "UNKNOWN"
    refused = await engine.place_order(older())
    assert refused.status == "REJECTED"
    assert f"UNSETTLED: what became of {lost.order_id} is not known yet" in str(refused.message)
    served.control("DELETE", "faults")
    assert [order.status for order in await engine.poll_orders()] == ["PLACED", "REJECTED"]
    assert (await engine.place_order(older())).status in ("PLACED", "FILLED")
    assert accepted(served) == 2


@pytest.mark.parametrize("figures", [{"average_price": 0}, {"filled_quantity": 0}], ids=["no price", "nothing filled"])
async def test_an_end_that_does_not_add_up_is_unknown_and_holds_what_comes_after_it(
    make: Make, kite: KiteConnect, served: Served, monkeypatch: pytest.MonkeyPatch, figures: dict[str, Any]
) -> None:
    """A wrapper that says COMPLETE, and not at which price, or not how much: for good, or until it does."""
    read = kite.orders
    monkeypatch.setattr(kite, "orders", lambda: [row | figures for row in read()])
    engine = make()
    order = await engine.place_order(older())
    await engine.poll_orders()
    assert (order.status, order.filled_qty) == ("PLACED", 0)
    refused = await engine.place_order(older(side="SELL"))
    assert f"UNSETTLED: what became of {order.order_id} is not known yet" in str(refused.message)

    async def is_unknown() -> bool:
        await engine.poll_orders()
        [now, _] = await engine.poll_orders()
        return now.status == "UNKNOWN" and "does not add up" in str(now.message)

    assert await eventually(is_unknown, "the settle window")
    assert (await engine.place_order(older(side="SELL"))).status == "REJECTED"
    monkeypatch.undo()
    assert (await engine.place_order(older(side="SELL"))).status in ("PLACED", "FILLED")
    [bought, *_] = await engine.poll_orders()
    assert (bought.status, bought.filled_qty) == ("FILLED", 10)
    assert accepted(served) == 2


async def test_a_broker_that_cannot_be_reached_may_have_it_as_far_as_its_object_tells(make: Make) -> None:
    engine = make(KiteConnect("key", "token", root=f"http://127.0.0.1:{any_port()}"))
    order = await engine.place_order(older())
    assert order.status == "UNKNOWN"
    assert "UNSETTLED" in str((await engine.place_order(older())).message)


async def test_the_brokers_refusal_ends_it_in_its_own_words(engine: LiveExecutionEngine, served: Served) -> None:
    served.fault("refused", http_status=400, error_type="InputException", message="Trading is not for you")
    order = await engine.place_order(older())
    assert (order.status, accepted(served)) == ("REJECTED", 0)
    assert "Trading is not for you" in str(order.message)
    [event] = engine.event_bus.get_recent_events("order_rejected")
    assert "Trading is not for you" in event.data["reason"]


async def test_the_same_order_again_is_not_sent_again(engine: LiveExecutionEngine, served: Served) -> None:
    order = older(**LIMIT)
    first, second = [await engine.place_order(order) for _ in range(2)]
    assert (first, accepted(served)) == (second, 1)
    with pytest.raises(DuplicateOrder, match="is the id of another order"):
        await engine.place_order(older(order_id=order.client_order_id, **LIMIT | {"qty": 20}))


class Watching:
    """A guardian of the caller that computes with what it is shown."""

    def __init__(self, allow: bool) -> None:
        self.seen: list[tuple[str, int, float]] = []
        self._allow = allow

    def validate_pre_trade(self, intent: Any, market_snapshot: Any = None) -> GuardianDecision:
        self.seen.append((intent.symbol, intent.qty, abs(intent.price - 1500.0)))
        return GuardianDecision(self._allow, None if self._allow else "too far")


@pytest.mark.parametrize("allow", [True, False])
async def test_the_guardian_is_asked_about_every_order(make: Make, served: Served, allow: bool) -> None:
    guardian = Watching(allow)
    order = await make(guardian=guardian).place_order(older(**LIMIT))
    assert guardian.seen == [("INFY", 10, 10.0)]
    assert (accepted(served), order.message) == ((1, None) if allow else (0, "Guardian blocked: too far"))


async def test_the_older_guardians_limits_hold(make: Make, served: Served, state_store: StateStore) -> None:
    guardian = TradeGuardian({"guardian": {"enabled": True, "max_lot_size": 9}}, state_store)
    order = await make(guardian=guardian).place_order(older())
    assert (order.status, accepted(served)) == ("REJECTED", 0)
    assert order.message == "Guardian blocked: Order quantity 10 exceeds max_lot_size 9"


async def test_a_check_that_breaks_lets_nothing_through(make: Make, served: Served) -> None:
    class Broken:
        def validate_pre_trade(self, intent: Any, market_snapshot: Any = None) -> GuardianDecision:
            raise ZeroDivisionError("no capital")

    order = await make(guardian=Broken()).place_order(older())
    assert (order.message, accepted(served)) == ("Guardian blocked: Guardian exception: no capital", 0)


async def test_the_next_process_goes_on_with_what_is_open(make: Make, served: Served, state_store: StateStore) -> None:
    placed = await make().place_order(older(**LIMIT))
    served.tick(1489)
    again = make()
    [order] = await again.poll_orders()
    assert (order.order_id, order.status) == (placed.order_id, "FILLED")
    assert [position["qty"] for position in state_store.load()["positions"]] == [10]
    assert await make().poll_orders() == []


async def test_an_order_that_was_being_sent_when_the_process_died_is_looked_up(
    make: Make, served: Served, state_store: StateStore, kite: KiteConnect
) -> None:
    class Dying:
        """Sends, and never comes back."""

        def place_order(self, tradingsymbol: str, **terms: Any) -> str:
            kite.place_order(tradingsymbol=tradingsymbol, **terms)
            raise SystemExit

        def orders(self) -> Any:
            return kite.orders()

    with pytest.raises(SystemExit):
        make(Dying())._desk._desk.place(older(**LIMIT))  # type: ignore[attr-defined]
    [order] = await make().poll_orders()
    assert (order.status, accepted(served)) == ("PLACED", 1)


class Slow:
    """Kite's client, with a place order that is on its way until it is let go."""

    def __init__(self, kite: KiteConnect) -> None:
        self.kite = kite
        self.began = threading.Event()
        self.go_on = threading.Event()

    def place_order(self, tradingsymbol: str, **terms: Any) -> str:
        self.began.set()
        assert self.go_on.wait(60)
        return str(self.kite.place_order(tradingsymbol=tradingsymbol, **terms))

    def cancel_order(self, variety: str, order_id: str) -> str:
        return str(self.kite.cancel_order(variety, order_id))

    def orders(self) -> Any:
        return self.kite.orders()


async def test_a_cancel_that_comes_while_it_is_sent_is_not_forgotten(make: Make, kite: KiteConnect) -> None:
    broker = Slow(kite)
    engine = make(broker)
    placing = asyncio.create_task(engine.place_order(older(order_id="mine", **LIMIT)))
    await asyncio.to_thread(broker.began.wait, 60)
    asked = await engine.cancel_order("mine")
    assert (asked.status, asked.cancel_requested) == ("PENDING", True)
    broker.go_on.set()
    assert (await placing).status == "CANCELLED"
    assert [row["status"] for row in kite.orders()] == ["CANCELLED"]


async def test_an_order_whose_receipt_could_not_be_kept_is_looked_up(
    make: Make, kite: KiteConnect, served: Served, state_store: StateStore, tmp_path: Path
) -> None:
    broker = Slow(kite)
    engine = make(broker)
    placing = asyncio.create_task(engine.place_order(older(**LIMIT)))
    await asyncio.to_thread(broker.began.wait, 60)
    good = (tmp_path / "state.json").read_text()
    (tmp_path / "state.json").write_text("damaged")
    broker.go_on.set()
    with pytest.raises(DurableOrdersError, match=r"state\.json"):
        await placing
    (tmp_path / "state.json").write_text(good)
    [order] = await engine.poll_orders()
    assert (order.status, accepted(served)) == ("PLACED", 1)


async def test_it_looks_without_being_asked(make: Make, served: Served) -> None:
    engine = make(reconciliation_enabled=True)
    filled = engine.event_bus.stream("order_filled")
    await engine.place_order(older(**LIMIT))
    served.tick(1489)
    assert (await anext(filled)).data["qty"] == 10


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"execution": {"live": {"retry_delay": -1}}}, "retry_delay"),
        ({"execution": {"live": {"retries": 3}}}, "retries"),
        ({"execution": {"live": 3}}, "execution.live: must be a mapping"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(kite: KiteConnect, config: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LiveExecutionEngine(kite, config=config)


def test_it_needs_a_broker_or_a_server() -> None:
    with pytest.raises(ValueError, match="Broker required for live mode"):
        LiveExecutionEngine()


@pytest.mark.parametrize("way", [{"home": "desk"}, {"config": {"execution": {"home": "desk"}}}])
def test_a_broker_beside_a_home_is_an_error_as_an_order_has_one_way_to_go(
    kite: KiteConnect, way: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="broker: give a broker or a home, not both"):
        LiveExecutionEngine(kite, **way)
    with pytest.raises(ValueError, match="broker: give a broker or a home, not both"):
        LiveExecutionEngine(kite, orders=Orders("desk"))
    assert not (tmp_path / "desk").exists()


def test_orders_are_the_one_class() -> None:
    assert isinstance(older(), Order)
