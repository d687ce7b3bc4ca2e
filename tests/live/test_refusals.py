"""Refusals that concern the account: it is halted at once, or after three in the same words, until it is resumed."""

import pytest

from chaos.account import resume
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.orders.order import OrderType, Status
from tests.live.conftest import Desks
from tests.live.desk import Desk, story

STATIC_IP = "IP (203.0.113.7) is not allowed to place orders for this app."


async def sent(desk: Desk) -> int:
    """How many placements have come to the broker, whatever it answered."""
    return sum((await desk.venue.tally())["requests"].get("place", {}).values())


@pytest.mark.parametrize(
    "refusal",
    [
        {},
        {"http_status": 400, "error_type": "InputException", "message": STATIC_IP},
        {"http_status": 403, "error_type": "PermissionException", "message": "Insufficient permission for that call."},
    ],
    ids=["static IP", "static IP as an input error", "permission"],
)
async def test_refusal_of_the_account_halts_it_at_once(desk: Desk, refusal: dict[str, object]) -> None:
    await desk.venue.fault(Fault.REFUSED, **refusal)
    refused = await (await desk.place(OrderType.LIMIT)).result()
    assert refused.status is Status.REJECTED
    assert "the broker refuses this account" in str(await desk.halted())
    held = await (await desk.place(OrderType.MARKET)).result()
    assert held.status is Status.REJECTED
    assert "HALTED: the account is halted: the broker refuses this account" in " ".join(held.reasons)
    assert await sent(desk) == 1
    await resume(desk.home)
    assert (await (await desk.place(OrderType.LIMIT)).result()).status is Status.FILLED


async def test_third_refusal_in_the_same_words_halts_it(desk: Desk) -> None:
    words = "Markets are closed right now."
    await desk.venue.fault(Fault.REFUSED, count=3, http_status=400, error_type="InputException", message=words)
    for _ in range(2):
        await (await desk.place(OrderType.LIMIT)).result()
    assert await desk.halted() is None
    await (await desk.place(OrderType.LIMIT)).result()
    assert await desk.halted() == f"refused 3 times in a row: {words} (400 InputException)"
    await (await desk.place(OrderType.LIMIT)).result()
    assert await sent(desk) == 3


async def test_refusals_that_are_not_in_a_row_halt_nothing(desk: Desk) -> None:
    refusal = {"http_status": 400, "error_type": "InputException", "message": "Try later."}
    for _ in range(2):
        await desk.venue.fault(Fault.REFUSED, count=2, **refusal)
        for _ in range(2):
            await (await desk.place(OrderType.LIMIT)).result()
        assert (await (await desk.place(OrderType.LIMIT)).result()).status is Status.FILLED
    assert await desk.halted() is None


async def test_halt_counts_for_what_was_approved_and_not_sent_yet(desks: Desks) -> None:
    desk = await desks(live={"retry_delay": 4})
    await desk.venue.fault(Fault.TOO_MANY_REQUESTS)
    waiting = await desk.place(OrderType.LIMIT)
    await desk.told(waiting.order_id, "not sent: Too many requests")
    await desk.venue.fault(Fault.REFUSED)
    await (await desk.place(OrderType.LIMIT)).result()
    ended = await waiting.result()
    assert ended.status is Status.REJECTED
    assert "the account is halted: the broker refuses this account" in story(await waiting.events())
    assert await sent(desk) == 2
