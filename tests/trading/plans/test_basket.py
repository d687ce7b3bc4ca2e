"""Baskets, as rules: which legs go out when, at what, and what becomes of them where not all can be had."""

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from durable_orders.trading.orders.order import OrderType, Side, Status
from durable_orders.trading.plans import actions
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.basket_process import BasketProcess
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.pieces import basket_state
from durable_orders.trading.plans.state import PlanStatus
from tests.trading.plans.lines_world import START, LinesWorld

LONG, SHORT = "NFO:NIFTY25MAY24200CE", "NFO:NIFTY25MAY24000CE"


def basket(*legs: dict[str, Any], **content: Any) -> BasketIntent:
    """A bear call spread: the sold leg is named first, and the bought one goes out first."""
    spread = (leg(SHORT, "SELL"), leg(LONG, "BUY"))
    return BasketIntent.model_validate({"plan_id": "p1", "legs": legs or spread} | content)


def leg(symbol: str, side: str, quantity: int = 75, **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "side": side, "quantity": quantity, **more}


class BasketWorld(LinesWorld):
    def perform_more(self, action: actions.Action) -> None:
        assert isinstance(action, actions.Quote)
        assert isinstance(self.process, BasketProcess)
        self.process.quoted({symbol: self.prices[symbol] for symbol in action.symbols if symbol in self.prices})


def world(intent: BasketIntent, *references: str, sizes: tuple[int, ...] = ()) -> BasketWorld:
    prices = references or ("100",) * len(intent.legs)
    terms = tuple(LineTerms(tick_size=Decimal("0.05"), reference=Decimal(each), sizes=sizes) for each in prices)
    made = BasketWorld(BasketProcess(basket_state(intent, START), intent), terms)
    made.run()
    return made


def another(made: LinesWorld) -> BasketProcess:
    intent = made.state.intent
    assert isinstance(intent, BasketIntent)
    return BasketProcess(basket_state(intent, START), intent)


def names(made: LinesWorld) -> list[str]:
    return [intent.client_order_id for intent in made.placed]


def test_what_is_sold_goes_out_once_its_hedge_is_filled() -> None:
    made = world(basket())
    assert names(made) == ["p1.leg-2-1"]
    made.fill("p1.leg-2-1", 50)
    made.run()
    assert names(made) == ["p1.leg-2-1"]
    made.fill("p1.leg-2-1")
    made.run()
    assert names(made) == ["p1.leg-2-1", "p1.leg-1-1"]
    made.fill("p1.leg-1-1")
    made.run()
    assert made.is_done
    view = made.process.view
    assert view.status is PlanStatus.FILLED
    assert {(each.symbol, each.quantity) for each in view.holdings} == {(LONG, 75), (SHORT, -75)}
    assert [(order.role, order.symbol) for order in view.orders] == [("leg 1", SHORT), ("leg 2", LONG)]


def test_an_order_of_legs_that_is_given_is_kept() -> None:
    made = world(basket(leg(SHORT, "SELL", step=1), leg(LONG, "BUY", step=2)))
    assert names(made) == ["p1.leg-1-1"]


@pytest.mark.parametrize(
    ("price", "content", "is_late"),
    [
        (None, {}, True),
        ("100", {}, True),
        (None, {"enter_by": START + timedelta(minutes=5)}, True),
        ("100", {"enter_by": START + timedelta(minutes=5)}, False),
        ("100", {"enter_by": START + timedelta(seconds=5)}, True),
    ],
)
def test_a_basket_that_waited_too_long_to_begin_sends_nothing(
    price: str | None, content: dict[str, Any], is_late: bool
) -> None:
    """Its worker was stopped between its admission and its first leg: the deadline of its orders refuses them."""
    kind: dict[str, Any] = {"order_type": "LIMIT", "price": price} if price else {}
    intent = basket(leg(SHORT, "SELL", **kind), leg(LONG, "BUY", **kind), within=3600, **content)
    made = BasketWorld(BasketProcess(basket_state(intent, START), intent), (LineTerms(), LineTerms()))
    made.now += timedelta(seconds=31)
    made.run()
    [first] = made.placed
    assert first.place_by is not None
    assert (first.place_by <= made.now) is is_late
    if is_late:
        made.end(first.client_order_id, Status.REJECTED, "TOO_LATE")
        made.run()
        assert (made.is_done, made.process.view.status, made.process.view.holdings) == (True, PlanStatus.REJECTED, ())


def test_a_basket_that_began_in_time_has_its_whole_time() -> None:
    made = world(basket(enter_by=START + timedelta(seconds=5), within=60))
    made.pass_time(40)
    made.fill("p1.leg-2-1")
    made.run()
    assert names(made) == ["p1.leg-2-1", "p1.leg-1-1"]
    assert made.placed[-1].place_by == START + timedelta(seconds=60)


def test_until_when_it_begins_is_no_part_of_what_it_is() -> None:
    assert basket(enter_by=START).fingerprint() == basket().fingerprint()


def test_a_leg_above_the_freeze_quantity_is_several_orders() -> None:
    made = world(basket(), sizes=(50, 25))
    assert [(intent.client_order_id, intent.quantity) for intent in made.placed] == [
        ("p1.leg-2-1", 50),
        ("p1.leg-2-2", 25),
    ]


def test_a_leg_that_is_refused_has_the_others_closed() -> None:
    made = world(basket())
    made.fill("p1.leg-2-1")
    made.run()
    made.end("p1.leg-1-1", Status.REJECTED, "INSUFFICIENT_MARGIN")
    made.run()
    assert names(made)[2:] == ["flatten-p1-1"]
    closing = made.placed[-1]
    assert (closing.symbol, closing.side, closing.quantity) == (LONG, Side.SELL, 75)
    assert made.process.view.status is PlanStatus.OPEN
    made.fill("flatten-p1-1")
    made.pass_time(2)
    assert made.is_done
    view = made.process.view
    assert (view.status, view.holdings) == (PlanStatus.COMPENSATED, ())
    assert view.reasons[0] == f"leg 1 ({SHORT}) is REJECTED: INSUFFICIENT_MARGIN"
    assert any("what was had is closed" in words for words in made.alerts)


def test_a_first_leg_that_is_refused_is_the_end_of_it() -> None:
    made = world(basket())
    made.end("p1.leg-2-1", Status.REJECTED)
    made.run()
    assert made.is_done
    assert made.process.view.status is PlanStatus.REJECTED


def test_what_is_not_had_in_time_is_cancelled_and_closed_once_its_end_is_proved() -> None:
    made = world(basket(leg(LONG, "BUY"), leg(SHORT, "SELL", order_type="LIMIT", price="101"), within=10))
    made.fill("p1.leg-1-1")
    made.run()
    made.work("p1.leg-2-1")
    made.fill("p1.leg-2-1", 25)
    made.pass_time(11)
    assert made.cancelled == ["p1.leg-2-1"]
    assert names(made) == ["p1.leg-1-1", "p1.leg-2-1"]
    made.end("p1.leg-2-1", Status.CANCELLED)
    made.run()
    assert [(each.symbol, each.side, each.quantity) for each in made.placed[2:]] == [(SHORT, Side.BUY, 25)]
    made.fill("flatten-p1-1")
    made.pass_time(2)
    assert [(each.symbol, each.side, each.quantity) for each in made.placed[3:]] == [(LONG, Side.SELL, 75)]
    made.fill("flatten-p1-2")
    made.pass_time(2)
    assert made.process.view.status is PlanStatus.COMPENSATED


def test_an_unknown_leg_keeps_its_hedge() -> None:
    made = world(basket(within=10))
    made.fill("p1.leg-2-1")
    made.run()
    made.told("p1.leg-1-1", status=Status.UNKNOWN)
    made.pass_time(60)
    assert names(made) == ["p1.leg-2-1", "p1.leg-1-1"]
    assert not made.is_done


def test_a_loss_while_legs_are_waited_for_ends_the_wait() -> None:
    made = world(basket(max_loss="300"))
    made.prices[LONG] = Decimal(97)
    made.fill("p1.leg-2-1")
    made.run()
    made.work("p1.leg-1-1")
    made.pass_time(1)
    assert made.cancelled == []
    made.prices[LONG] = Decimal(95)
    made.pass_time(1)
    made.pass_time(0)
    assert made.cancelled == ["p1.leg-1-1"]
    assert made.state.gives_up == "it has lost 375.00 rupees while legs are waited for, more than 300"


def test_the_limits_of_the_legs_never_come_to_more_than_the_net_price() -> None:
    made = world(basket(leg(LONG, "BUY"), leg(SHORT, "SELL"), net_credit="18"), "80", "100.10")
    first = made.placed[0]
    assert (first.order_type, first.price) == (OrderType.LIMIT, Decimal("81.05"))
    made.fill("p1.leg-1-1", price="80")
    made.run()
    assert made.placed[1].price == Decimal("98.00")


def test_a_net_price_of_a_ratio_counts_the_smallest_leg() -> None:
    made = world(basket(leg(LONG, "BUY", 150), leg(SHORT, "SELL", 75), net_debit="60"), "80", "100")
    assert made.placed[0].price == Decimal(80)
    with pytest.raises(
        ValidationError, match=r"net_debit: at the limits of its legs the basket costs 60.00, beyond 59"
    ):
        basket(
            leg(LONG, "BUY", 150, order_type="LIMIT", price="80"),
            leg(SHORT, "SELL", 75, order_type="LIMIT", price="100"),
            net_debit="59",
        )


def test_cancelled_it_leaves_what_it_holds_and_with_flatten_it_closes_that() -> None:
    made = world(basket())
    made.fill("p1.leg-2-1")
    made.run()
    made.work("p1.leg-1-1")
    made.cancel()
    made.run()
    assert made.cancelled == ["p1.leg-1-1"]
    made.end("p1.leg-1-1", Status.CANCELLED)
    made.run()
    assert (made.process.view.status, made.is_done) == (PlanStatus.LEFT, True)
    made.cancel(flatten=True)
    made.run()
    made.fill("flatten-p1-1")
    made.pass_time(2)
    assert made.process.view.status is PlanStatus.CLOSED


def test_what_cannot_be_closed_is_said_and_tried_again() -> None:
    made = world(basket())
    made.fill("p1.leg-2-1")
    made.run()
    made.waits = "the account is halted: by a test"
    made.end("p1.leg-1-1", Status.REJECTED)
    made.run()
    assert any("cannot be closed: the account is halted" in words for words in made.alerts)
    made.waits = ""
    made.pass_time(3)
    assert names(made)[-1] == "flatten-p1-1"


def test_another_run_goes_on_from_what_the_ledger_has() -> None:
    made = world(basket())
    made.fill("p1.leg-2-1")
    made.reset(another(made))
    assert names(made) == ["p1.leg-2-1", "p1.leg-1-1"]
    made.fill("p1.leg-1-1")
    made.run()
    assert made.process.view.status is PlanStatus.FILLED


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"legs": (leg(LONG, "BUY"),)}, "legs: Tuple should have at least 2 items"),
        ({"legs": (leg(LONG, "BUY"), leg(LONG, "SELL"))}, f"legs: {LONG} NRML is in more than one"),
        ({"legs": (leg(LONG, "BUY", step=1), leg(SHORT, "SELL"))}, "step: give it for every leg, or for none"),
        ({"legs": (leg(LONG, "BUY", order_type="SL-M"), leg(SHORT, "SELL"))}, "order_type: a leg is MARKET or LIMIT"),
        ({"net_debit": "1", "net_credit": "1"}, "net_debit: give it or net_credit, not both"),
        ({"within": 0}, "within"),
    ],
)
def test_what_does_not_fit_together_is_refused(content: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        BasketIntent.model_validate(basket().model_dump(exclude_none=True) | content)
    assert words.partition(":")[0] in str(refused.value)
    assert words.partition(": ")[2].removeprefix("Tuple ") in str(refused.value)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_it_is_had_whole_or_not_kept(seed: int) -> None:
    """Fills in parts, refusals, cancels by others, answers that stay away, runs that begin anew: at the end all legs
    are filled or nothing is held, and at no moment can more come of a leg than it is for."""
    random = Random(seed)
    made = world(basket(leg(SHORT, "SELL"), leg(LONG, "BUY"), leg("NFO:X", "BUY", 150), within=20), sizes=())
    for _ in range(120):
        if made.is_done:
            break
        live = made.live()
        if live and random.random() < 0.7:
            _something(made, random.choice(live), random)
        if random.random() < 0.05:
            made.reset(another(made))
        made.pass_time(random.choice([0, 0.5, 3, 11]))
        made.must_add_up()
    while not made.is_done:
        for own in made.live():
            made.fill(own)
        made.pass_time(31)
    state = made.state
    assert made.process.view.status in (
        *(PlanStatus.FILLED, PlanStatus.COMPENSATED),
        *(PlanStatus.REJECTED, PlanStatus.CANCELLED),
    )
    assert all(piece.is_done for piece in state.pieces) or not state.held()


def _something(made: LinesWorld, own: str, random: Random) -> None:
    left = made.orders[own].quantity - made.orders[own].filled_quantity
    match random.choice(["work", "part", "fill", "unknown", "end"]):
        case "work" if made.orders[own].status is Status.PENDING:
            made.work(own)
        case "part" if left > 1:
            made.fill(own, random.randrange(1, left))
        case "fill":
            made.fill(own)
        case "unknown" if made.orders[own].status is Status.PENDING:
            made.told(own, status=Status.UNKNOWN)
        case "end" if random.random() < 0.3 or own in made.cancelled:
            made.end(own, random.choice([Status.REJECTED, Status.CANCELLED, Status.EXPIRED]))


def test_a_leg_that_the_ledger_does_not_get_is_asked_for_again_with_the_same_terms() -> None:
    """Its start was lost. The same id is the same order, so it is never placed twice."""
    made = world(basket())
    lost = made.orders.pop("p1.leg-2-1")
    for _ in range(12):
        made.pass_time(10)
        if "p1.leg-2-1" in made.orders:
            break
    first, second = made.placed
    assert (first.client_order_id, first.symbol, first.side, first.quantity) == (lost.client_order_id, LONG, "BUY", 75)
    assert second.model_dump(exclude={"place_by"}) == first.model_dump(exclude={"place_by"})


def test_a_leg_of_which_a_later_part_is_known_first_gets_the_missing_one() -> None:
    """After a reset the ledger has the second part of a leg, and not yet the first: each name is one order."""
    made = world(basket(), sizes=(50, 25))
    later = made.orders.pop("p1.leg-2-1")
    assert names(made) == ["p1.leg-2-1", "p1.leg-2-2"]
    made.placed.clear()
    made.reset(another(made))
    assert [(one.client_order_id, one.quantity) for one in made.placed] == [("p1.leg-2-1", later.quantity)]
    made.fill("p1.leg-2-1")
    made.fill("p1.leg-2-2")
    made.run()
    assert [piece.filled for piece in made.state.pieces] == [0, 75]


@pytest.mark.parametrize("plan_id", ["x.leg-1", "x.slice-2", "x.exit-1"])
def test_a_name_whose_closing_orders_would_be_taken_for_a_plans_own_is_refused(plan_id: str) -> None:
    with pytest.raises(ValidationError, match="must not end as the names of a plan's orders do"):
        basket(plan_id=plan_id)


def test_a_basket_that_a_person_approves_begins_with_that() -> None:
    """However long it took: its time, and that of its legs at the market, is counted from then."""
    legs = (leg(SHORT, "SELL"), leg(LONG, "BUY"), leg("NFO:NIFTY25MAYFUT", "BUY"))
    made = world(basket(*legs, approve=True, within=60))
    [first] = made.placed
    assert (first.client_order_id, first.approve, first.place_by) == ("p1.leg-2-1", True, None)
    made.pass_time(500)
    assert (len(made.placed), made.cancelled, made.is_done) == (1, [], False)
    made.approve("p1.leg-2-1")
    made.run()
    assert names(made) == ["p1.leg-2-1", "p1.leg-3-1"]
    second = made.placed[1]
    assert (second.approve, second.place_by) == (False, made.now + timedelta(seconds=30))
    made.pass_time(59)
    assert made.cancelled == []
    made.pass_time(2)
    assert made.cancelled == ["p1.leg-2-1", "p1.leg-3-1"]


@pytest.mark.parametrize("status", [Status.REJECTED, Status.CANCELLED])
def test_a_basket_that_a_person_declines_sends_nothing(status: Status) -> None:
    """At the market its first order may wait for the person until then, and once approved not be sent so late."""
    by = START + timedelta(minutes=5)
    made = world(basket(approve=True, enter_by=by))
    assert (made.placed[0].approve_by, made.placed[0].place_by) == (by, None)
    made.end("p1.leg-2-1", status, "DECLINED: by user asha")
    made.run()
    assert (made.is_done, names(made)) == (True, ["p1.leg-2-1"])
    assert (made.process.view.status.value, made.process.view.reasons) == (status.value, ("DECLINED: by user asha",))


def test_a_basket_that_waits_for_a_person_is_asked_about_again_where_its_order_was_lost() -> None:
    made = world(basket(approve=True))
    del made.orders["p1.leg-2-1"]
    made.pass_time(61)
    [first, again] = made.placed
    assert (again.fingerprint(), again.approve) == (first.fingerprint(), True)


def test_a_plan_that_nobody_has_to_approve_is_what_it_was_before_there_were_such() -> None:
    assert basket().fingerprint() == basket(approve=False).fingerprint() != basket(approve=True).fingerprint()
