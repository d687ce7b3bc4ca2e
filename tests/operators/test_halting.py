"""After `halt` has returned nothing leaves: what waits for its turn looks again, and what is leaving is waited for."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from durable_orders import halting
from durable_orders.activities.last_look import HeartbeatClock, PlacementLook, not_approved
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Order, OrderIntent, Status
from durable_orders.trading.orders.outcome import Held, Refused
from durable_orders.trading.orders.verdict import Approval
from tests.conftest import until
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite, Handler, Request
from tests.operators.desk import Desk

BURST = 40


@contextmanager
def answers_held(kite: CountingKite) -> Iterator[threading.Event]:
    """Placements are entered into the book, and answered when the event is set."""
    answered = threading.Event()

    def later(handler: Handler, request: Request) -> bool:
        if request.method != "POST":
            return False
        own = kite.book("AB0001", request.form)
        answered.wait(30)
        return handler.say({"order_id": own})

    kite.instead = later
    try:
        yield answered
    finally:
        answered.set()


@pytest.mark.parametrize("state", [AccountState.HALTED, AccountState.REDUCING])
async def test_burst_that_waits_for_its_turn_does_not_leave_after_a_halt(
    kite_desks: KiteDesks, kite: CountingKite, state: AccountState
) -> None:
    desk = await kite_desks(timeout=20)
    at_once = desk.orders.settings.execution.live.orders_per_second - 2
    with answers_held(kite) as answered:
        orders = await asyncio.gather(*(desk.place(quantity=10 + number) for number in range(BURST)))
        await until(lambda: len(kite.sent()) == at_once, "the placements that may be on their way at once")
        await asyncio.to_thread(
            halting.halt, desk.orders.database, desk.orders.settings, "stop", state=state, who="by a test"
        )
        left = len(kite.sent())
        answered.set()
        ended = [await desk.reached(order, Status.PLACED, Status.REJECTED) for order in orders]
    assert len(kite.sent()) == left
    placed = [order for order in ended if order.status is Status.PLACED]
    assert len(placed) == left, "what had left is followed"
    rejected = [order.reasons[-1] for order in ended if order.status is Status.REJECTED]
    assert all("stop" in words or "TOO_LATE" in words for words in rejected), rejected


def look_of(desk: Desk, order: Order) -> PlacementLook:
    settings, database = desk.orders.settings, desk.orders.database
    guardian = Guardian(
        database, Instruments.shipped(), settings, lambda *_: order.created_at, lambda: datetime.now(UTC)
    )
    assert isinstance(guardian.admit(order, "run", "content", None), Approval)
    guardian.redeem(order)
    beat = HeartbeatClock(datetime.now(UTC))

    def against(ledger: sa.Connection) -> Held | None:
        words = guardian.withheld(ledger, order)
        return not_approved(words) if words is not None else None

    return PlacementLook(datetime.now(UTC) + timedelta(hours=1), beat, database, order.account, against)


async def test_halt_waits_for_what_has_passed_its_last_look(kite_desks: KiteDesks) -> None:
    """A halt that comes while an order is leaving returns when that has left, and the next look sees it."""
    desk = await kite_desks(staffed=False)
    intent = OrderIntent(symbol="NSE:INFY", side="BUY", quantity=1, account=desk.account, mode="live")
    look = look_of(desk, Order.from_intent(intent, datetime.now(UTC)))
    settings = desk.orders.settings
    with ThreadPoolExecutor(1) as other, desk.orders.database.__class__(str(desk.home.ledger_url(settings))) as ledger:
        with look.leaving() as held:
            assert held is None
            halted = other.submit(halting.halt, ledger, settings, "now", state=AccountState.HALTED, who="by a test")
            with pytest.raises(TimeoutError):
                halted.result(0.3)
        assert halted.result(30).state is AccountState.HALTED
    with look.leaving() as held:
        assert isinstance(held, Refused)
        assert held.evidence.message == "the account is halted: now"
