"""The state store of an engine over a desk: it has what settlements make of its strategies' positions."""

from durable_orders.engines import PaperExecutionEngine
from durable_orders.trading.orders.order import Status
from durable_orders.v2.breakers import trade_counter
from durable_orders.v2.keeping import Keeping
from tests.account.test_closing import QUICK
from tests.account.test_reconciling import EVIDENCE, MIS, compared
from tests.conftest import until
from tests.durable_orders.engines.conftest import older
from tests.durable_orders.v2.sessions import Journal, Store
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY
from tests.workflows.scripted_broker import fills_at_once


async def test_settlements_are_in_the_state_at_once_and_after_a_restart(desks: Desks) -> None:
    """10 bought here, 4 of them sold by hand, and the rest squared off while the process was down."""
    desk = await desks(**QUICK)
    store, journal = Store(), Journal()
    config = {"execution": {"circuit_breakers": {"max_loss_streak": 2, "max_trades_per_day": 5}}}

    def engine() -> PaperExecutionEngine:
        keeping = Keeping(store, journal, trade_counter(config), in_process=False)
        return PaperExecutionEngine(None, keeping, journal_store=keeping, orders=desk.orders)

    first = engine()
    desk.broker.on_place.append(fills_at_once)
    bought = await first.place_order(older(strategy="mine"))
    await desk.recorded(desk.orders.handle(bought.order_id), Status.FILLED)
    await first.poll_orders()
    desk.broker.held_besides = {(INFY, MIS): -4}
    await compared(desk)
    await desk.orders.settle_position(INFY, "MIS", -4, EVIDENCE, price=1490)
    await until(lambda: _quantities(store) == [6], "the state hears of it")
    assert store.state["equity"] == {"realized_pnl": -40.0}
    moved = first.event_bus.get_recent_events("position_updated")[-1]
    assert (moved.data["qty"], moved.data["price"], moved.data["strategy"]) == (-4, 1490.0, "mine")
    await first.close()
    desk.broker.held_besides = {(INFY, MIS): -10}
    await compared(desk)
    await desk.orders.settle_position(INFY, "MIS", -6, EVIDENCE, price=1480)
    second = engine()
    await second.poll_orders()
    assert _quantities(store) == []
    assert store.state["equity"] == {"realized_pnl": -160.0}
    assert store.state["execution"]["trades"]["loss_streak"] == 2
    assert store.state["execution"]["trades"]["total_trades"] == 1, "a settlement is no trade"
    settled = [(row["side"], row["qty"], row["avg_price"]) for row in journal.rows if row["status"] == "SETTLED"]
    assert settled == [("SELL", 4, 1490.0), ("SELL", 6, 1480.0)]
    await second.close()


def _quantities(store: Store) -> list[int]:
    return [each["qty"] for each in store.state.get("positions") or []]
