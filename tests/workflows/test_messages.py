"""Whatever anybody sends to an order from the Temporal UI or a terminal, it goes on, and says what it did not read."""

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from durable_orders.trading.orders.book import OrderReport
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Status
from durable_orders.workflows.messages import Parameters, Unfit
from tests.workflows.desk import Desk, finished

MISFITS: dict[str, tuple[str, list[Any], str]] = {
    "one too many": ("wake", ["now"], "1 arguments, it takes none"),
    "none of those that are needed": ("gone", [], "words is missing"),
    "too few": ("gone", ["yesterday's"], "amended is missing"),
    "of another type": ("report", [{"row": "none"}], "report cannot be read"),
    "no object": ("report", [[1, None]], "report cannot be read"),
    "more than needed, of another type": ("report", [5, 6], "report cannot be read"),
}


@pytest.mark.parametrize("misfit", MISFITS)
async def test_a_signal_that_does_not_fit_is_told_and_changes_nothing(desk: Desk, misfit: str) -> None:
    name, sent, words = MISFITS[misfit]
    order = await desk.resting()
    await desk.client.get_workflow_handle(order.order_id).signal(name, args=sent)
    told = await desk.event(order, EventType.ALERT, f"the signal {name} ")
    assert words in told.message
    assert (await desk.standing(order)).status is Status.PLACED
    desk.broker.trade(desk.broker.only, 10)
    await desk.look()
    assert (await finished(desk, order)).status is Status.FILLED


@pytest.mark.parametrize("sent", [["by hand", "twice"], [7], [{"reason": "none"}, []], [None]])
async def test_a_cancel_is_taken_whatever_comes_with_it(desk: Desk, sent: list[Any]) -> None:
    order = await desk.resting()
    await desk.client.get_workflow_handle(order.order_id).signal("cancel", args=sent)
    assert (await finished(desk, order)).status is Status.CANCELLED
    assert any("the signal cancel did not fit" in event.message for event in await order.events())


@pytest.mark.parametrize("sent", [[], ["by hand", "twice"], [{"reason": 7}]])
async def test_a_cancel_that_is_waited_for_is_taken_too(desk: Desk, sent: list[Any]) -> None:
    order = await desk.resting()
    await desk.client.get_workflow_handle(order.order_id).execute_update("cancel_and_wait", args=sent)
    assert (await finished(desk, order)).status is Status.CANCELLED


@pytest.mark.parametrize("sent", [[], [{"price": "1490"}, 2], ["cheaper"], [{}]])
async def test_a_change_that_does_not_fit_is_refused(desk: Desk, sent: list[Any]) -> None:
    order = await desk.resting()
    with pytest.raises(WorkflowUpdateFailedError):
        await desk.client.get_workflow_handle(order.order_id).execute_update("amend", args=sent)
    assert (await order.cancel()).status is Status.CANCELLED


async def test_a_question_is_answered_whatever_comes_with_it(desk: Desk) -> None:
    order = await desk.resting()
    answer = await desk.client.get_workflow_handle(order.order_id).query("order", args=["now", 1])
    assert answer["status"] == Status.PLACED


async def test_signals_that_nobody_knows_change_nothing(desk: Desk) -> None:
    order = await desk.resting()
    await desk.client.get_workflow_handle(order.order_id).signal("cancle", "by hand")
    assert (await order.cancel()).status is Status.CANCELLED


class Handlers:
    def some(self, number: int, words: str = "none") -> None: ...

    def told(self, report: OrderReport) -> None: ...


def test_what_fits_is_handed_over_as_it_is() -> None:
    assert Parameters(Handlers.some).fitted([5]) == ([5, "none"], [])
    assert Parameters(Handlers.some).fitted([5, "six"]) == ([5, "six"], [])


def test_what_was_overlooked_is_said_without_its_value() -> None:
    taken, overlooked = Parameters(Handlers.some).fitted([5, ["a secret"], "and more"])
    assert taken == [5, "none"]
    assert overlooked == ["3 arguments, it takes 2", "words cannot be read (1 problems)"]
    with pytest.raises(Unfit, match=r"^report cannot be read \(\d+ problems\)$"):
        Parameters(Handlers.told).fitted([{"row": {"message": "a secret"}}])
