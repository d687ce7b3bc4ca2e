"""The live engine over a caller's broker object: here the real Kite client, against the sandbox and its faults."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from durable_orders.engines import LiveExecutionEngine
from durable_orders.orders import Orders
from durable_orders.trading.errors import (
    DuplicateOrder,
    InvalidOrder,
    InvalidSettings,
)
from durable_orders.trading.orders.order import Order
from durable_orders.v2 import GuardianDecision, JournalStateStore, StateStore, TradeGuardian
from durable_orders.workers.home import ServerAddress
from tests.conftest import eventually
from tests.durable_orders.engines.conftest import older, rows_of
from tests.durable_orders.engines.over_a_broker import LIMIT, Account, Slow, accepted, polled, rows, stands
from tests.ledgers import empty_ledger
from tests.sandbox.serving import Clock, Served, pushed

Make = Callable[..., LiveExecutionEngine]


@pytest.fixture(scope="module")
async def shared(temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Account]:
    """One desk that is up for all who only place orders of their own."""
    path = tmp_path_factory.mktemp("shared")
    served = Served(pushed(database=empty_ledger(path / "exchange.db")), Clock())
    served.tick(1500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_ADDRESS", temporal_server.target)
        account = Account(path, served, served.kite())
        holder = account.engine()
        await holder.poll_orders()
        yield account
        await holder.close()
    served.stop()


@pytest.fixture
async def make(
    shared: Account, state_store: StateStore, journal_store: JournalStateStore, over_the_shared_server: None
) -> AsyncIterator[Make]:
    """Engines over the shared desk, whose state and journal are this test's."""
    shared.served.tick(1500)
    made: list[LiveExecutionEngine] = []

    def engine(guardian: Any = None) -> LiveExecutionEngine:
        made.append(shared.engine(None, guardian, state_store, journal_store))
        return made[-1]

    yield engine
    for one in made:
        await one.close()


@pytest.fixture
def engine(make: Make) -> LiveExecutionEngine:
    return make()


def told(engine: LiveExecutionEngine, order: Order) -> list[tuple[str, Any]]:
    events = engine.event_bus.get_recent_events()
    return [(event.type, event.data.get("qty")) for event in events if event.data.get("order_id") == order.order_id]


async def test_a_market_order_is_filled_booked_and_told(
    engine: LiveExecutionEngine, shared: Account, state_store: StateStore, journal_store: JournalStateStore
) -> None:
    await engine.poll_orders()
    order = await stands(engine, await engine.place_order(older()), "FILLED")
    assert (order.filled_qty, order.avg_price, order.symbol) == (10, 1500.0, "NSE:INFY")
    assert (order.mode, order.account, order.tags) == ("live", shared.name, {"exchange": "NSE"})
    assert len(rows(shared.served, order)) == 1

    async def are_told() -> bool:
        return len(told(engine, order)) >= 4

    assert await eventually(are_told)
    kinds = [("order_received", 10), ("order_placed", 10), ("order_filled", 10), ("position_updated", 10)]
    assert told(engine, order) == kinds
    [position] = state_store.load()["positions"]
    assert (position["symbol"], position["qty"], position["avg_price"]) == ("INFY", 10, 1500.0)
    assert state_store.load()["open_orders"] == []
    assert list(rows_of(journal_store))[-1] == ("FILLED", "10")


async def test_a_resting_order_is_followed_and_booked_once(
    engine: LiveExecutionEngine, shared: Account, state_store: StateStore
) -> None:
    placed = await engine.place_order(older(**LIMIT))
    assert placed.status == "PLACED"
    shared.served.tick(1489)
    order = await stands(engine, placed, "FILLED")
    for _ in range(2):
        assert await polled(engine, placed) == order
    assert order.avg_price == 1489.0
    assert [position["qty"] for position in state_store.load()["positions"]] == [10]


async def test_profit_is_what_was_earned(engine: LiveExecutionEngine, shared: Account, state_store: StateStore) -> None:
    orders: list[tuple[int, dict[str, Any]]] = [(1500, {}), (1510, {}), (1525, {"side": "SELL", "qty": 15})]
    for price, more in orders:
        shared.served.tick(price)
        await stands(engine, await engine.place_order(older(**more)), "FILLED")
    state = state_store.load()
    [position] = state["positions"]
    assert (position["qty"], position["avg_price"], state["equity"]["realized_pnl"]) == (5, 1505.0, 300.0)


async def test_a_cancel_is_what_the_book_says(engine: LiveExecutionEngine, shared: Account) -> None:
    one, other = [await engine.place_order(older(**LIMIT)) for _ in range(2)]
    assert (await engine.cancel_order(one.order_id)).status == "CANCELLED"
    shared.served.fault("fill_during_cancel")
    ended = await engine.cancel_order(other.client_order_id)
    assert (ended.status, ended.filled_qty) == ("FILLED", 10)
    assert await engine.cancel_order(other.order_id) == ended


async def test_a_resting_order_is_changed_as_the_book_shows(
    engine: LiveExecutionEngine, shared: Account, state_store: StateStore
) -> None:
    placed = await engine.place_order(older(**LIMIT))
    amended = await engine.amend_order(placed.client_order_id, price=1480, quantity=20)
    assert (amended.status, amended.price, amended.qty) == ("PLACED", Decimal(1480), 20)
    assert len(rows(shared.served, placed)) == 1
    [kept] = state_store.load()["open_orders"]
    assert (kept["price"], kept["quantity"]) == (1480.0, 20)
    shared.served.tick(1479)
    assert (await stands(engine, placed, "FILLED")).filled_qty == 20
    with pytest.raises(InvalidOrder, match="cannot be amended, it has ended: FILLED"):
        await engine.amend_order(placed.order_id, price=1470)
    with pytest.raises(ValueError, match="Order X not found"):
        await engine.amend_order("X", price=1470)


async def test_a_change_whose_answer_was_lost_is_looked_up_and_asked_for_once(
    engine: LiveExecutionEngine, shared: Account
) -> None:
    def asked() -> int:
        return sum(shared.served.tally()["requests"].get("modify", {}).values())

    placed, before = await engine.place_order(older(**LIMIT)), asked()
    shared.served.fault("accept_then_drop")
    assert (await engine.amend_order(placed.order_id, price=1480)).price == 1480
    assert asked() == before + 1
    await engine.cancel_order(placed.order_id)


async def test_a_change_that_the_broker_or_the_guardian_refuses_is_not_done(make: Make) -> None:
    engine, strict = make(Watching(allow=True)), make(Watching(allow=False))
    placed = await engine.place_order(older(**LIMIT))
    with pytest.raises(InvalidOrder, match=r"amendment \(price 900\) not done: .*outside the circuit limits"):
        await engine.amend_order(placed.order_id, price=900)
    with pytest.raises(InvalidOrder, match="not done: Guardian blocked: too far"):
        await strict.amend_order(placed.order_id, price=1470)
    order = await polled(engine, placed)
    assert (order.price, order.status) == (Decimal(1490), "PLACED")
    await engine.cancel_order(placed.order_id)


async def test_an_id_that_was_never_seen_is_said_to_be(engine: LiveExecutionEngine) -> None:
    for name in ("X", "order:live:X", "no such order"):
        with pytest.raises(ValueError, match=f"Order {name} not found"):
            await engine.cancel_order(name)


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_504", "empty_body"])
async def test_a_lost_answer_is_found_in_the_book(engine: LiveExecutionEngine, shared: Account, fault: str) -> None:
    await engine.poll_orders()
    shared.served.fault(fault)
    order = await engine.place_order(older(**LIMIT))
    assert order.status == "PLACED"
    assert "found in the order book" in str(order.message)
    assert len(rows(shared.served, order)) == 1
    await engine.cancel_order(order.order_id)


async def test_what_never_arrived_is_proved_by_the_book_and_not_sent_again(
    engine: LiveExecutionEngine, shared: Account
) -> None:
    def asked() -> int:
        return sum(shared.served.tally()["requests"]["place"].values())

    await engine.cancel_order((await engine.place_order(older(**LIMIT))).order_id)
    before = asked()
    shared.served.fault("refuse_connection")
    order = await stands(engine, await engine.place_order(older(**LIMIT)), "REJECTED")
    assert "not placed: the order book did not show it" in str(order.message)
    assert (rows(shared.served, order), asked()) == ([], before + 1)


async def test_the_brokers_refusal_ends_it_in_its_own_words(engine: LiveExecutionEngine, shared: Account) -> None:
    shared.served.fault("refused", http_status=400, error_type="InputException", message="Trading is not for you")
    order = await engine.place_order(older())
    assert (order.status, rows(shared.served, order)) == ("REJECTED", [])
    assert "Trading is not for you" in str(order.message)


async def test_the_same_order_again_is_not_sent_again(engine: LiveExecutionEngine, shared: Account) -> None:
    order = older(**LIMIT)
    first, second = [await engine.place_order(order) for _ in range(2)]
    assert (first.order_id, len(rows(shared.served, first))) == (second.order_id, 1)
    with pytest.raises(DuplicateOrder, match="is the id of another order"):
        await engine.place_order(older(order_id=order.client_order_id, **LIMIT | {"qty": 20}))
    await engine.cancel_order(first.order_id)


class Watching:
    """A guardian of the caller that computes with what it is shown."""

    def __init__(self, allow: bool) -> None:
        self.seen: list[tuple[str, int, float]] = []
        self._allow = allow

    def validate_pre_trade(self, intent: Any, market_snapshot: Any = None) -> GuardianDecision:
        self.seen.append((intent.symbol, intent.qty, abs(intent.price - 1500.0)))
        return GuardianDecision(self._allow, None if self._allow else "too far")


@pytest.mark.parametrize("allow", [True, False])
async def test_the_guardian_is_asked_about_every_order(make: Make, shared: Account, allow: bool) -> None:
    guardian = Watching(allow)
    order = await make(guardian).place_order(older(**LIMIT))
    assert guardian.seen == [("INFY", 10, 10.0)]
    sent = len(rows(shared.served, order)) if allow else 0
    assert (sent, order.message) == ((1, None) if allow else (0, "Guardian blocked: too far"))


async def test_the_older_guardians_limits_hold(make: Make, shared: Account, state_store: StateStore) -> None:
    guardian = TradeGuardian({"guardian": {"enabled": True, "max_lot_size": 9}}, state_store)
    before = accepted(shared.served)
    order = await make(guardian).place_order(older())
    assert (order.status, accepted(shared.served)) == ("REJECTED", before)
    assert order.message == "Guardian blocked: Order quantity 10 exceeds max_lot_size 9"


async def test_a_check_that_breaks_lets_nothing_through(make: Make, shared: Account) -> None:
    class Broken:
        def validate_pre_trade(self, intent: Any, market_snapshot: Any = None) -> GuardianDecision:
            raise ZeroDivisionError("no capital")

    before = accepted(shared.served)
    order = await make(Broken()).place_order(older())
    assert (order.message, accepted(shared.served)) == ("Guardian blocked: Guardian exception: no capital", before)


async def test_it_looks_without_being_asked(engine: LiveExecutionEngine, shared: Account) -> None:
    await engine.poll_orders()
    filled = engine.event_bus.stream("order_filled")
    order = await engine.place_order(older(**LIMIT))
    shared.served.tick(1489)
    while (event := await anext(filled)).data["order_id"] != order.order_id:
        pass
    assert event.data["qty"] == 10


async def test_engines_of_one_process_share_a_desk_over_one_object_alone(shared: Account, make: Make) -> None:
    one, other = make(), make()
    placed = await one.place_order(older(**LIMIT))
    assert (await polled(other, placed)).status == "PLACED"
    stranger = shared.engine(Slow(shared.broker))
    with pytest.raises(InvalidSettings, match="another engine of this process has its folder with another broker"):
        await stranger.place_order(older())
    await stranger.close()
    await other.close()
    assert (await one.cancel_order(placed.order_id)).status == "CANCELLED"


async def test_a_folder_is_of_one_account(shared: Account, over_the_shared_server: None) -> None:
    config = {"account": "another", "execution": {"folder": str(shared.folder)}}
    engine = LiveExecutionEngine(shared.broker, config=config)
    with pytest.raises(
        InvalidSettings, match=r"account: .* is of t-.* \(live\), and this engine is of another \(live\)"
    ):
        await engine.poll_orders()
    await engine.close()


async def test_a_home_with_a_worker_over_a_broker_is_joined_as_any(shared: Account, make: Make) -> None:
    engine = LiveExecutionEngine(home=shared.folder)
    order = await engine.place_order(older(**LIMIT))
    assert (order.status, len(rows(shared.served, order))) == ("PLACED", 1)
    assert (await engine.cancel_order(order.order_id)).status == "CANCELLED"
    await engine.close()


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
