"""Schedules, as rules: which part goes out when, and never more than what was due."""

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import OrderType, Status
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.pieces import schedule_state
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.schedule_process import ScheduleProcess
from durable_orders.trading.plans.state import AWAITS_PERSON, PlanStatus
from tests.trading.plans.lines_world import START, LinesWorld

SYMBOL = "NFO:NIFTY25MAYFUT"


def schedule(**content: Any) -> ScheduleIntent:
    """BUY 300 in four parts, a minute each."""
    told: dict[str, Any] = {"plan_id": "p1", "symbol": SYMBOL, "side": "BUY", "quantity": 300, "slices": 4}
    told |= {"begins_at": START, "ends_at": START + timedelta(minutes=4)}
    return ScheduleIntent.model_validate(told | content)


def process(intent: ScheduleIntent) -> ScheduleProcess:
    return ScheduleProcess(schedule_state(intent, START), intent)


def world(intent: ScheduleIntent, *sizes: int, most: int | None = None) -> LinesWorld:
    terms = tuple(LineTerms(sizes=(size,), most=most) for size in sizes or intent.sizes(75, Random(1)))
    made = LinesWorld(process(intent), terms)
    made.run()
    return made


def out(made: LinesWorld) -> list[tuple[str, int]]:
    return [(intent.client_order_id, intent.quantity) for intent in made.placed]


def test_each_part_goes_out_when_it_is_due() -> None:
    made = world(schedule())
    for number in range(1, 5):
        assert out(made)[-1] == (f"p1.slice-{number}-1", 75)
        assert len(made.placed) == number
        made.fill(f"p1.slice-{number}-1")
        made.pass_time(60)
    assert made.is_done
    assert made.process.view.status is PlanStatus.FILLED
    assert made.process.view.held == 300


def test_before_its_time_nothing_goes_out() -> None:
    made = world(schedule(begins_at=START + timedelta(minutes=1)))
    assert out(made) == []
    made.pass_time(60)
    assert out(made) == [("p1.slice-1-1", 75)]


def test_what_a_part_leaves_is_added_to_the_next_once_its_end_is_proved() -> None:
    made = world(schedule(price="100"))
    assert (made.placed[0].order_type, made.placed[0].price) == (OrderType.LIMIT, Decimal(100))
    made.work("p1.slice-1-1")
    made.fill("p1.slice-1-1", 25)
    made.pass_time(60)
    assert made.cancelled == ["p1.slice-1-1"]
    assert out(made)[1:] == [("p1.slice-2-1", 75)]
    made.end("p1.slice-1-1", Status.CANCELLED)
    made.run()
    assert out(made)[2:] == [("p1.slice-2-2", 50)]


def test_without_catching_up_it_is_not() -> None:
    made = world(schedule(price="100", catch_up=False))
    made.work("p1.slice-1-1")
    made.pass_time(60)
    made.end("p1.slice-1-1", Status.CANCELLED)
    for number in range(2, 5):
        made.run()
        made.fill(f"p1.slice-{number}-1")
        made.pass_time(60)
    assert out(made) == [(f"p1.slice-{number}-1", 75) for number in range(1, 5)]
    assert made.is_done
    view = made.process.view
    assert (view.status, view.held) == (PlanStatus.LEFT, 225)
    assert view.reasons == ("its time is over: 225 of 300 were traded",)


def test_parts_that_a_dead_worker_has_missed_are_made_good_at_once_below_the_freeze_quantity() -> None:
    made = world(schedule(), most=100)
    made.fill("p1.slice-1-1")
    made.pass_time(130)
    assert out(made)[1:] == [("p1.slice-3-1", 100), ("p1.slice-3-2", 50)]


def test_a_part_of_unknown_fate_counts_as_traded() -> None:
    made = world(schedule())
    made.told("p1.slice-1-1", status=Status.UNKNOWN)
    made.pass_time(60)
    assert out(made)[1:] == [("p1.slice-2-1", 75)]
    made.pass_time(200)
    assert not made.is_done
    assert sum(quantity for _, quantity in out(made)) <= 300


def test_a_part_that_is_refused_is_told_and_left_to_the_next() -> None:
    made = world(schedule())
    made.end("p1.slice-1-1", Status.REJECTED, "HALTED")
    made.run()
    assert out(made) == [("p1.slice-1-1", 75)]
    assert made.alerts == ["plan p1: slice 1 is REJECTED: HALTED"]
    made.pass_time(60)
    assert out(made)[1:] == [("p1.slice-2-1", 150)]


def test_cancelled_it_stops_and_with_flatten_it_closes_what_it_has() -> None:
    made = world(schedule())
    made.fill("p1.slice-1-1")
    made.run()
    made.cancel(flatten=True)
    made.run()
    assert out(made)[1:] == [("flatten-p1-1", 75)]
    made.fill("flatten-p1-1")
    made.pass_time(2)
    assert (made.process.view.status, made.is_done) == (PlanStatus.CLOSED, True)


def test_sizes_are_whole_lots_and_all_of_it_however_they_are_drawn() -> None:
    intent = schedule(quantity=75 * 37, randomise=60)
    for seed in range(40):
        sizes = intent.sizes(75, Random(seed))
        assert sum(sizes) == intent.quantity
        assert all(size > 0 and size % 75 == 0 for size in sizes)
    assert len({intent.sizes(75, Random(seed)) for seed in range(40)}) > 10


def test_its_times_are_told_in_ist_whoever_sent_them_in_which_zone() -> None:
    told = {schedule(begins_at=at).summary() for at in (START, START.astimezone(IST), START.isoformat())}
    assert len(told) == 1
    assert "from 30 Nov 09:30:00" in told.pop()
    assert schedule(enter_by=START).fingerprint() == schedule().fingerprint()


def test_a_profile_gives_each_part_its_share_of_the_volume() -> None:
    assert schedule(quantity=1000, profile=("4", "3", "2", "1")).sizes(1, Random(0)) == (400, 300, 200, 100)


@pytest.mark.parametrize(("quantity", "words"), [(310, "quantity: must be a multiple"), (225, "slices: 3 lots of 75")])
def test_what_cannot_be_split_is_refused(quantity: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        schedule(quantity=quantity).sizes(75, Random(0))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"slices": 100}, "slices: 100 would be 2.4 s apart, and must be at least 5 s apart"),
        ({"ends_at": "9999-12-31T23:59:59-05:00"}, "must be a time of the years 2000 to 2099"),
        ({"ends_at": START}, "to: must lie after from"),
        ({"profile": ("1", "2")}, "profile: must have 4 weights, one for each slice, has 2"),
        ({"slices": 1}, "slices"),
    ],
)
def test_what_does_not_fit_together_is_refused(content: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        schedule(**content)


@pytest.mark.parametrize("seed", range(40))
def test_never_more_is_out_than_was_due(seed: int) -> None:
    """Whatever happens to its orders, and in whatever run: what may be traded never comes to more than the parts that
    were due."""
    random = Random(seed)
    made = world(schedule(catch_up=seed % 2 == 0, price="100" if seed % 3 else None))
    for _ in range(40):
        for own in made.live():
            left = made.orders[own].quantity - made.orders[own].filled_quantity
            match random.choice(["part", "fill", "unknown", "end", "nothing"]):
                case "part" if left > 1:
                    made.fill(own, random.randrange(1, left))
                case "fill":
                    made.fill(own)
                case "unknown" if made.orders[own].status is Status.PENDING:
                    made.told(own, status=Status.UNKNOWN)
                case "end":
                    made.end(own, random.choice([Status.REJECTED, Status.CANCELLED, Status.EXPIRED]))
        if random.random() < 0.1:
            made.reset(process(schedule(catch_up=seed % 2 == 0, price="100" if seed % 3 else None)))
        made.pass_time(random.choice([0, 1, 20, 61]))
        due = min(int((made.now - START) / timedelta(minutes=1)) + 1, 4) * 75
        assert sum(piece.may_fill for piece in made.state.pieces) <= due
    for own in made.live():
        made.end(own, Status.CANCELLED)
    made.pass_time(300)
    assert made.is_done
    assert made.process.view.status.terminal


def test_a_closing_order_that_the_ledger_does_not_get_is_asked_for_again() -> None:
    made = world(schedule())
    made.fill("p1.slice-1-1")
    made.cancel(flatten=True)
    made.run()
    assert out(made)[-1] == ("flatten-p1-1", 75)
    made.orders.pop("flatten-p1-1")
    for _ in range(12):
        made.pass_time(10)
        if "flatten-p1-1" in made.orders:
            break
    assert out(made)[-2:] == [("flatten-p1-1", 75), ("flatten-p1-1", 75)]
    made.fill("flatten-p1-1")
    made.run()
    assert made.process.view.status is PlanStatus.CLOSED


def test_a_schedule_that_a_person_approves_waits_with_its_first_part_and_catches_up() -> None:
    made = world(schedule(approve=True))
    assert (out(made), made.placed[0].approve) == ([("p1.slice-1-1", 75)], True)
    made.pass_time(130)
    assert (out(made), made.cancelled) == ([("p1.slice-1-1", 75)], [])
    made.approve("p1.slice-1-1")
    made.run()
    assert made.cancelled == ["p1.slice-1-1"], "its time is over"
    made.end("p1.slice-1-1", Status.CANCELLED)
    made.run()
    assert sum(quantity for _, quantity in out(made)[1:]) == 225, "what was due before is added"
    assert not any(intent.approve for intent in made.placed[1:])


@pytest.mark.parametrize("is_declined", [True, False])
def test_a_schedule_that_no_person_approves_sends_nothing(is_declined: bool) -> None:
    made = world(schedule(approve=True))
    if is_declined:
        made.end("p1.slice-1-1", Status.REJECTED, "DECLINED: by user asha")
        made.run()
    else:
        made.pass_time(240)
        assert made.cancelled == ["p1.slice-1-1"]
        made.end("p1.slice-1-1", Status.CANCELLED)
        made.run()
    assert (made.is_done, len(made.placed), made.process.view.holdings) == (True, 1, ())


@pytest.mark.parametrize("price", ["100", None])
def test_a_schedule_is_approved_until_its_end_and_nothing_of_it_is_sent_later(price: str | None) -> None:
    """Also by the order alone: the plan may be away then. At the market an approved order has its own short time."""
    made = world(schedule(approve=True, price=price))
    ends = START + timedelta(minutes=4)
    [first] = made.placed
    assert (first.approve_by, first.place_by) == (ends, ends if price else None)
    del made.orders["p1.slice-1-1"]
    made.pass_time(31)
    [_, again] = made.placed
    assert (again.fingerprint(), again.approve_by, again.place_by) == (first.fingerprint(), ends, first.place_by)


def test_a_schedule_that_waits_for_a_person_says_so() -> None:
    made = world(schedule(approve=True))
    assert (made.process.view.status, made.process.view.reasons) == (PlanStatus.PENDING, (AWAITS_PERSON,))
    made.approve("p1.slice-1-1")
    made.run()
    assert (made.process.view.status, made.process.view.reasons) == (PlanStatus.WORKING, ())
