"""The older engine, live: its own words and rows, over durable orders of a desk in this process."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_orders.engines import broker_orders
from durable_orders.v2 import ExecutionEngineV2, engine_calls
from durable_orders.workers.home import Home, ServerAddress
from tests.conftest import new_account
from tests.durable_orders.v2.sessions import Exchange, Journal, Row, Store, TaglessExchange, intent
from tests.sandbox.serving import MAX_WAIT, until

QUICK = {"settle_window": 0.5, "retry_delay": 0.01, "reconciliation_interval": 0.1}
Make = Callable[..., ExecutionEngineV2]


class Desk:
    """An account, its folder and its broker; engines over them have a state and a journal of their own."""

    def __init__(self, path: Path, exchange: Any) -> None:
        self.exchange, self.folder, self.account = exchange, path / "desk", new_account()

    def engine(self, state: Any = None, journal: Any = None, config: Any = None, **execution: Any) -> ExecutionEngineV2:
        content = {"account": self.account, "execution": {"live": QUICK, "folder": str(self.folder)} | execution}
        return ExecutionEngineV2("live", self.exchange, state, journal, None, None, content | (config or {}))


@pytest.fixture(scope="module")
def shared(temporal_server: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One that is up for all whose orders are settled when they end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_ADDRESS", temporal_server.target)
        desk = Desk(tmp_path_factory.mktemp("shared"), Exchange())
        with desk.engine() as holder:
            assert holder.apply_circuit_breakers(intent())
            yield desk


@pytest.fixture
def alone(tmp_path: Path, over_the_shared_server: None) -> Callable[[Any], Desk]:
    """One whose broker has bad days."""
    return lambda exchange: Desk(tmp_path, exchange)


def row(desk: Desk, **figures: Any) -> Row:
    """The newest of the broker's book, with figures of now."""
    desk.exchange.book[-1] |= figures
    return dict(desk.exchange.book[-1])


def filled(desk: Desk, quantity: int = 10, price: float = 100.0, status: str = "COMPLETE") -> Row:
    return row(desk, status=status, filled_quantity=quantity, average_price=price)


def heard(engine: ExecutionEngineV2, found: bool) -> bool:
    """Whether it was so; else the engine looks once more."""
    if not found:
        engine.on_order_update({})
    return found


def statuses(journal: Journal) -> list[tuple[str, int | None]]:
    return [(row["status"], row.get("filled_qty")) for row in journal.rows]


def test_an_order_its_payload_its_state_and_its_rows(shared: Desk) -> None:
    store, journal = Store(), Journal()
    with shared.engine(store, journal) as engine:
        result = engine.execute_intent(
            intent(order_type="LIMIT", price=101.5, product="NRML", tag="run-1", metadata={"exchange": "MCX"})
        )
        own_id = shared.exchange.book[-1]["order_id"]
        assert (result.status, result.order_id, result.avg_price) == ("PLACED", own_id, None)
        sent = dict(shared.exchange.sent[-1])
        assert sent.pop("tag") == (result.raw or {})["tag"]
        assert sent == {
            "symbol": "NIFTY24DECFUT",
            "side": "BUY",
            "qty": 10,
            "order_type": "LIMIT",
            "product": "NRML",
            "validity": "DAY",
            "price": 101.5,
            "trigger_price": None,
            "exchange": "MCX",
        }
        [entry] = store.state["open_orders"]
        assert (entry["order_id"], entry["status"], entry["quantity"], entry["side"]) == (own_id, "PLACED", 10, "BUY")
        for quantity, price, status in ((4, 100.0, "OPEN"), (10, 106.0, "COMPLETE")):
            update = filled(shared, quantity, price, status)
            for _ in range(2):
                engine.on_order_update(update)
            until(lambda: heard(engine, statuses(journal)[-1][1] == quantity))  # noqa: B023
        [position] = store.state["positions"]
        assert (position["qty"], position["avg_price"], store.state["open_orders"]) == (10, 106.0, [])
        assert statuses(journal) == [("PLACED", 0), ("PARTIAL", 4), ("FILLED", 10)]
        assert {(row["order_id"], row["strategy"], row["reason"]) for row in journal.rows} == {
            (own_id, "trend", "cross")
        }
    with shared.engine(store, journal) as again:  # each part once, through a restart too
        again.on_order_update(row(shared))
        assert (store.state["positions"][0]["qty"], len(journal.rows)) == (10, 3)


def test_what_refuses_in_the_older_words_and_order(shared: Desk) -> None:
    class SaysNo:
        def can_trade(self, symbol: str, strategy: str, expected_edge: float) -> tuple[bool, str]:
            return False, "LOSS_STREAK"

    sent, journal = len(shared.exchange.sent), Journal()
    with shared.engine(Store(risk={"trading_halted": True}), journal) as engine:
        engine.throttler = SaysNo()
        assert (engine.execute_intent(intent("HOLD")).message or "").startswith("Invalid order: side: ")
        halted = engine.execute_intent(intent())
        assert (halted.status, halted.order_id, halted.raw) == ("REJECTED", None, {"reason": "LOSS_STREAK"})
        assert halted.message == "Circuit breaker blocked execution"
        assert not engine.apply_circuit_breakers(intent())
    with shared.engine(config={"guardian": {"enabled": True, "max_lot_size": 9}}) as guarded:
        refused = guarded.execute_intent(intent())
        assert refused.message == "Guardian blocked: Order quantity 10 exceeds max_lot_size 9"
    assert [row["status"] for row in journal.rows] == ["REJECTED", "REJECTED"]
    assert len(shared.exchange.sent) == sent


@pytest.mark.parametrize(
    ("answer", "status", "average"),
    [
        ({"status": "SUBMITTED"}, "PLACED", None),
        ({"status": "COMPLETE", "filled_quantity": 10, "average_price": 99.5}, "FILLED", 99.5),
        ({"status": "OPEN", "filled_quantity": 4, "average_price": 99.0}, "PARTIAL", 99.0),
        ({"status": "REJECTED", "status_message": "no margin"}, "REJECTED", None),
        ({"status": "TRIGGER PENDING"}, "PLACED", None),
    ],
)
def test_what_a_broker_answers(shared: Desk, answer: Row, status: str, average: float | None) -> None:
    own_id = f"B{len(shared.exchange.sent) + 1}"
    shared.exchange.answers = [answer | {"order_id": own_id, "quantity": 10}]
    shared.exchange.figures = {name: answer[name] for name in answer if name != "status_message"}
    with shared.engine() as engine:
        result = engine.execute_intent(intent())
    shared.exchange.figures = {}
    assert (result.status, result.order_id, result.avg_price) == (status, own_id, average)


def test_a_plain_no_is_a_rejection_and_blocks_nothing(shared: Desk) -> None:
    shared.exchange.places, shared.exchange.answers = False, [{"status": "REJECTED", "message": "no margin"}]
    journal = Journal()
    with shared.engine(Store(), journal) as engine:
        refused = engine.execute_intent(intent())
        shared.exchange.places = True
        assert (refused.status, refused.order_id, refused.message) == ("REJECTED", None, "Broker error: no margin")
        assert engine.execute_intent(intent()).status == "PLACED"
    assert [row["status"] for row in journal.rows] == ["REJECTED", "PLACED"]


def test_a_dry_run_sends_nothing(shared: Desk) -> None:
    sent, journal = len(shared.exchange.sent), Journal()
    with shared.engine(None, journal, dry_run=True) as engine:
        result = engine.execute_intent(intent())
    assert re.fullmatch(r"DRY-RUN-\d+", result.order_id or "")
    assert (result.status, result.message) == ("PLACED", "Dry run - order not actually placed")
    assert ([row["status"] for row in journal.rows], len(shared.exchange.sent)) == (["PLACED"], sent)


def test_an_intent_with_an_id_of_its_own_is_sent_once_even_after_a_restart(shared: Desk) -> None:
    sent, named = len(shared.exchange.sent), intent(metadata={"client_order_id": "monday-1"})
    with shared.engine() as engine:
        first = engine.execute_intent(named)
    filled(shared)
    with shared.engine(Store(risk={"trading_halted": True})) as again:  # whatever would refuse it now
        until(lambda: again.execute_intent(named).status == "FILLED")
        result = again.execute_intent(named)
        assert (result.order_id, result.avg_price) == (first.order_id, 100.0)
        assert result.message == "executed before: it is the same order"
        assert again.execute_intent(intent()).message == "Circuit breaker blocked execution"
    assert len(shared.exchange.sent) == sent + 1


def test_a_code_that_is_no_name_stays_the_journals(shared: Desk) -> None:
    journal, odd = Journal(), intent()
    odd.strategy_code = "trend/5 min"
    with shared.engine(None, journal) as engine:
        assert engine.execute_intent(odd).status == "PLACED"
    assert [row["strategy"] for row in journal.rows] == ["trend/5 min"]


def test_trades_are_counted_once_each_and_through_a_restart(shared: Desk) -> None:
    store, limits = Store(), {"circuit_breakers": {"max_trades_per_day": 2}}
    with shared.engine(store, **limits) as engine:
        assert engine.execute_intent(intent()).status == "PLACED"
    with shared.engine(store, **limits) as again:
        filled(shared)
        until(lambda: heard(again, not store.state["open_orders"]))
        assert again.execute_intent(intent("SELL")).status == "PLACED"
    with shared.engine(store, **limits) as last:
        assert last.execute_intent(intent()).raw == {"reason": "CAP_TOTAL"}


def test_a_journal_that_fails_does_not_undo_an_order(shared: Desk) -> None:
    class Full:
        def append_orders(self, rows: Any) -> None:
            raise OSError("disk full")

    store = Store()
    with shared.engine(store, Full()) as engine:
        assert engine.execute_intent(intent()).status == "PLACED"
        assert (engine.execute_intent(intent("HOLD")).raw or {})["journal_error"] == "disk full"
    assert [entry["status"] for entry in store.state["open_orders"]] == ["PLACED"]


def test_a_closed_engine_takes_no_more_orders_and_the_next_one_hears_of_those_it_had(shared: Desk) -> None:
    store = Store()
    with shared.engine(store) as engine:
        assert engine.execute_intent(intent()).status == "PLACED"
    engine.close()
    sent = len(shared.exchange.sent)
    refused = engine.execute_intent(intent())
    assert (refused.status, refused.message) == ("REJECTED", "Execution error: the engine is closed")
    assert not engine.apply_circuit_breakers(intent())
    engine.on_order_update(filled(shared))
    assert "positions" not in store.state
    with shared.engine(store) as again:
        until(lambda: heard(again, bool(store.state.get("positions"))))
    assert (store.state["positions"][0]["qty"], len(shared.exchange.sent)) == (10, sent)


def test_an_engine_that_was_never_used_closes(alone: Callable[[Any], Desk]) -> None:
    desk = alone(Exchange())
    with desk.engine() as engine:
        engine.close()
    assert not desk.folder.exists()


def test_close_lets_go_of_the_folder(alone: Callable[[Any], Desk]) -> None:
    desk = alone(Exchange())
    with desk.engine() as engine:
        assert engine.execute_intent(intent()).status == "PLACED"
        assert Home(desk.folder).holder() is not None
    assert Home(desk.folder).holder() is None


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    both = {"execution": {"home": str(tmp_path / "home")}}
    with pytest.raises(ValueError, match="broker: give a broker or a home, not both"):
        ExecutionEngineV2("live", Exchange(), None, None, None, None, both)
    with pytest.raises(TypeError, match=r"broker: a object has no place_order\(\)"):
        ExecutionEngineV2("live", object(), None, None, None, None, {})
    with pytest.raises(ValueError, match="retries"):
        ExecutionEngineV2("live", Exchange(), None, None, None, None, {"execution": {"live": {"retries": 3}}})


def test_what_cannot_be_noted_is_not_sent(shared: Desk) -> None:
    class Full(Store):
        def save_checkpoint(self, state: dict[str, Any]) -> None:
            raise OSError("disk full")

    sent = len(shared.exchange.sent)
    with shared.engine(Full()) as engine:
        result = engine.execute_intent(intent())
    assert (result.status, result.message) == ("REJECTED", "Execution error: disk full (nothing was sent)")
    assert len(shared.exchange.sent) == sent


OLDER: list[tuple[Row, str]] = [
    (
        {"open_orders": [{"order_id": "ab12", "status": "UNKNOWN", "side": "BUY", "quantity": 5, "symbol": "INFY"}]},
        "BUY 5 INFY (ab12), sent by an earlier version",
    ),
    (
        {
            "open_orders": [
                {"order_id": "B1", "status": "PLACED", "side": "SELL", "quantity": 5, "symbol": "INFY"}
                | {"filled_quantity": 0, "strategy": "trend", "price": None}
            ]
        },
        "SELL 5 INFY (B1), sent by an earlier version",
    ),
    (
        {"execution": {"unproved": [{"order_id": "B2", "side": "BUY", "quantity": 5, "symbol": "INFY"}]}},
        "take it out of the state's execution.unproved",
    ),
]


@pytest.mark.parametrize(("state", "said"), OLDER, ids=["unknown", "open", "unproved"])
def test_what_an_earlier_version_left_open_holds_new_orders_until_it_is_out_of_the_state(
    shared: Desk, state: Row, said: str
) -> None:
    """Nothing follows it: what became of it is not known."""
    sent, store = len(shared.exchange.sent), Store(**state)
    with shared.engine(store) as engine:
        for _ in range(2):
            refused = engine.execute_intent(intent())
            assert refused.status == "REJECTED"
            assert (refused.message or "").startswith("Blocked: no new risk while the outcome of ")
            assert said in (refused.message or "")
        assert len(shared.exchange.sent) == sent
        store.state |= {"open_orders": [], "execution": {}}
        assert engine.execute_intent(intent()).status == "PLACED"


def test_entries_of_other_programs_hold_nothing(shared: Desk) -> None:
    entry = {"order_id": "7", "symbol": "INFY", "status": "OPEN", "quantity": 5, "price": None, "side": "BUY"}
    with shared.engine(Store(open_orders=[entry])) as engine:
        assert engine.execute_intent(intent()).status == "PLACED"


def test_a_broker_that_raises_after_it_has_placed_has_placed_it(alone: Callable[[Any], Desk]) -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    exchange.answers = [ConnectionRefusedError("no answer")]
    with alone(exchange).engine(store, journal) as engine:
        result = engine.execute_intent(intent())
        assert (result.status, result.order_id, len(exchange.sent)) == ("PLACED", "B1", 1)
        assert [entry["order_id"] for entry in store.state["open_orders"]] == ["B1"]
        assert statuses(journal)[-1] == ("PLACED", 0)


@pytest.mark.parametrize("kind", [Exchange, TaglessExchange])
def test_a_lost_answer_that_the_book_cannot_tell_is_unknown_and_blocks_until_it_tells(
    alone: Callable[[Any], Desk], kind: type[Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, store, journal = kind(), Store(), Journal()
    desk = alone(exchange)
    named = intent(metadata={"client_order_id": "monday-1"})
    with desk.engine(store, journal) as engine:
        assert engine.execute_intent(intent(qty=5)).status == "PLACED"  # the first reading is behind it
        filled(desk, 5)
        until(lambda: heard(engine, not store.state["open_orders"]))
        monkeypatch.setattr(broker_orders, "LEAST_PATIENCE", 2.0)
        exchange.answers, exchange.readable = [TimeoutError("no answer")], kind is TaglessExchange
        result = engine.execute_intent(named)
        assert (result.status in ("UNKNOWN", "PENDING"), result.order_id) == (True, None)
        until(lambda: len(exchange.sent) == 2)
        assert engine.execute_intent(named).status in ("UNKNOWN", "PENDING")
        assert not engine.apply_circuit_breakers(intent())
        blocked = engine.execute_intent(intent("SELL", 1))
        assert (blocked.message or "").startswith("Blocked: no new risk while the outcome of BUY 10 NIFTY24DECFUT")
    with desk.engine(store, journal) as again:  # after a restart, too
        assert again.execute_intent(intent("SELL", 1)).status == "REJECTED"
        assert len(exchange.sent) == 2
        exchange.readable = True
        exchange.book[1]["tag"] = exchange.sent[1]["tag"]
        filled(desk)
        until(lambda: again.execute_intent(named).status == "FILLED")
        until(lambda: again.execute_intent(intent("SELL", 1)).status == "PLACED")
        assert (store.state["positions"][0]["qty"], len(exchange.sent)) == (15, 3)


def test_an_order_that_no_book_shows_for_the_whole_window_was_never_placed(alone: Callable[[Any], Desk]) -> None:
    exchange, store, journal = Exchange(), Store(), Journal()
    exchange.places, exchange.answers = False, [TimeoutError("no answer")]
    with alone(exchange).engine(store, journal) as engine:
        assert engine.execute_intent(intent()).status in ("REJECTED", "UNKNOWN", "PENDING")
        until(lambda: engine.apply_circuit_breakers(intent()))
        assert (store.state["open_orders"], len(exchange.sent)) == ([], 1)
        assert journal.rows[-1]["status"] == "REJECTED"
        assert "not placed: the order book did not show it" in journal.rows[-1]["message"]


@pytest.mark.parametrize("wrong", [{"average_price": 0}, {"filled_quantity": 0}], ids=["no price", "nothing filled"])
def test_an_end_that_does_not_add_up_holds_what_comes_after_it_until_it_does(
    alone: Callable[[Any], Desk], wrong: Row
) -> None:
    exchange, store = Exchange(), Store()
    desk = alone(exchange)
    with desk.engine(store) as engine:
        assert engine.execute_intent(intent()).status == "PLACED"
        row(desk, **{"status": "COMPLETE", "filled_quantity": 10, "average_price": 100.0} | wrong)
        until(lambda: heard(engine, store.state["open_orders"][0]["status"] == "UNKNOWN"))
    with desk.engine(store) as after:  # a restart changes nothing
        blocked = after.execute_intent(intent("SELL"))
        assert (blocked.status, len(exchange.sent)) == ("REJECTED", 1)
        assert "no new risk while the outcome of BUY 10 NIFTY24DECFUT (B1) is unknown" in (blocked.message or "")
        filled(desk, price=101.0)
        until(lambda: after.execute_intent(intent("SELL")).status == "PLACED")
    [position] = store.state["positions"]
    assert (position["qty"], position["avg_price"]) == (10, 101.0)


class Hangs(Exchange):
    """A call that is on its way until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def place_order(self, order: Row) -> Any:
        answer = super().place_order(order)
        assert self.go_on.wait(MAX_WAIT)
        return answer


def test_a_call_that_hangs_is_neither_refused_nor_made_again(
    alone: Callable[[Any], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_orders, "LEAST_PATIENCE", 1.0)
    exchange, store, journal = Hangs(), Store(), Journal()
    with alone(exchange).engine(store, journal) as engine:
        result = engine.execute_intent(intent())
        assert result.status != "REJECTED"
        until(lambda: len(exchange.sent) == 1)
        blocked = engine.execute_intent(intent("SELL", 1))
        assert (blocked.status, len(exchange.sent)) == ("REJECTED", 1)
        exchange.go_on.set()
        until(lambda: engine.apply_circuit_breakers(intent()))
        assert [entry["order_id"] for entry in store.state["open_orders"]] == ["B1"]
        assert statuses(journal)[-1] == ("PLACED", 0)


def test_an_order_that_the_server_never_got_is_open_no_more(
    alone: Callable[[Any], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke while it was begun: `UNKNOWN` as long as the request may still arrive."""
    exchange, store, journal = Exchange(), Store(), Journal()
    with alone(exchange).engine(store, journal) as engine:
        assert engine.apply_circuit_breakers(intent())
        orders = engine._live._orders  # type: ignore[union-attr]
        with monkeypatch.context() as away:
            away.setattr(orders, "place_and_wait", unreachable)
            assert engine.execute_intent(intent()).status == "UNKNOWN"
        assert not engine.apply_circuit_breakers(intent())
        monkeypatch.setattr(engine_calls, "LATE", 0.0)
        assert engine.apply_circuit_breakers(intent())
        assert (store.state["open_orders"], journal.rows[-1]["status"]) == ([], "REJECTED")
        assert exchange.sent == []


def test_an_order_whose_process_ended_before_it_was_begun_is_unknown_and_says_what_is_to_be_done(
    alone: Callable[[Any], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would ever tell what became of it: not even that it was never begun, as the folder may be another."""
    exchange, store, journal = Exchange(), Store(), Journal()
    desk = alone(exchange)
    with desk.engine(store, journal) as engine:
        assert engine.apply_circuit_breakers(intent())
        with monkeypatch.context() as away:
            away.setattr(engine._live._orders, "place_and_wait", unreachable)  # type: ignore[union-attr]
            assert engine.execute_intent(intent()).status == "UNKNOWN"
        assert [entry["status"] for entry in store.state["open_orders"]] == ["PENDING"]
    with desk.engine(store, journal) as again:
        for _ in range(2):
            blocked = again.execute_intent(intent("SELL", 1))
            assert "this home does not know it" in (blocked.message or "")
            assert "take it out of the state's open_orders, is unknown" in (blocked.message or "")
        assert [entry["status"] for entry in store.state["open_orders"]] == ["UNKNOWN"]
        assert [row["status"] for row in journal.rows] == ["UNKNOWN", "REJECTED", "REJECTED"]
        store.state["open_orders"] = []
        assert again.execute_intent(intent("SELL", 1)).status == "PLACED"
        assert len(exchange.sent) == 1


async def unreachable(*_: Any) -> Any:
    raise ConnectionError("the server went away")


ENDS: dict[str, tuple[Any, bool]] = {
    "accepted": (None, True),
    "answer lost": (TimeoutError("no answer"), True),
    "request lost": (TimeoutError("no answer"), False),
    "wrapper says error": ({"status": "error", "message": "?"}, True),
    "refused": ({"status": "REJECTED", "message": "no margin"}, False),
    "not connected": (ConnectionRefusedError("refused"), False),
}
"""What a call ends in: the answer, and whether the order was placed."""


def test_whatever_a_call_ends_in_every_order_is_sent_once_and_known_in_the_end(alone: Callable[[Any], Desk]) -> None:
    exchange, store = Exchange(), Store()
    desk = alone(exchange)
    for number, (answer, places) in enumerate(ENDS.values()):
        with desk.engine(store) as engine:
            until(lambda: engine.apply_circuit_breakers(intent()))
            exchange.answers, exchange.places = [answer] if answer is not None else [], places
            result = engine.execute_intent(intent(qty=10 + number))
            assert len(exchange.sent) == number + 1
            assert result.status != ("REJECTED" if places else "PLACED")
    with desk.engine(store) as engine:
        until(lambda: engine.apply_circuit_breakers(intent()))
    assert {entry["order_id"] for entry in store.state["open_orders"]} == {row["order_id"] for row in exchange.book}
    assert len({order["tag"] for order in exchange.sent}) == len(ENDS)
