"""The way out of one position: it never opens, never exceeds, never stops, and its limits go farther each time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.flatten.exits import (
    MOST_CHANGES,
    Action,
    Exit,
    Quote,
    Reprice,
    Rest,
    Send,
    Waiting,
    Withdraw,
    WorkingExit,
    next_step,
    worst_price,
)
from durable_orders.trading.orders.order import OrderType, Side, Status

START = datetime(2026, 11, 2, 4, 30, tzinfo=UTC)
TICK = Decimal("0.05")
SETTLE = timedelta(seconds=3)
LAST = Decimal(1000)


def quote(last: str | Decimal | None = LAST, **more: Any) -> Quote:
    return Quote(last=None if last is None else Decimal(last), tick_size=TICK, **more)


def working(order_type: OrderType = OrderType.MARKET, price: str | Decimal | None = None, **more: Any) -> WorkingExit:
    usual: dict[str, Any] = {"order_id": "order:a:flatten-1", "summary": "SELL 10", "status": Status.PLACED}
    usual |= {"side": Side.SELL, "order_type": order_type, "remaining": 10}
    return WorkingExit(**usual | {"price": None if price is None else Decimal(price)} | more)


@dataclass
class Played:
    """One exit, step by step, of a position of ten, against an order that never fills."""

    how: Exits
    known: Exit = field(default_factory=lambda: Exit.begun(START, LAST))
    now: datetime = START
    order: WorkingExit | None = None
    makes_changes: bool = True
    quantity: int = 10

    def step(self, seen: Quote, seconds: float = 5) -> Action:
        self.now += timedelta(seconds=seconds)
        self.known, action = next_step(self.known, self.quantity, self.order, seen, self.how, self.now, SETTLE)
        match action:
            case Send(order_type, price):
                assert self.order is None, "one order at a time"
                side = Side.SELL if self.quantity > 0 else Side.BUY
                self.order = working(order_type, price, side=side, remaining=abs(self.quantity))
            case Reprice(price) if self.makes_changes:
                assert self.order is not None
                self.order = self.order.model_copy(update={"price": price, "order_type": OrderType.LIMIT})
            case Withdraw():
                self.order, self.known = None, self.known.ended(filled=False, refused_market=False)
        return action


def test_a_market_order_that_rests_becomes_a_limit_that_goes_farther_each_time() -> None:
    played = Played(Exits())
    assert played.step(quote()) == Send(OrderType.MARKET, None)
    assert played.step(quote(), 4) == Rest(), "it has five seconds"
    assert [played.step(quote()) for _ in range(4)] == [
        Reprice(Decimal("995.00")),
        Reprice(Decimal("990.00")),
        Reprice(Decimal("985.00")),
        Reprice(Decimal("980.00")),
    ]


def test_one_that_the_broker_has_given_a_limit_goes_beyond_that() -> None:
    """A protected MARKET at Kite since April 2026: a limit three percent away, which rests when the price has moved."""
    played = Played(Exits(), order=working(OrderType.LIMIT, "970"))
    assert played.step(quote()) == Reprice(Decimal("965.00"))
    played = Played(Exits(), order=working(OrderType.LIMIT, "970"))
    assert played.step(quote("960")) == Reprice(Decimal("955.20")), "half a percent below where the price is now"


def test_after_25_changes_it_is_placed_anew_where_it_was() -> None:
    played = Played(Exits(step=Decimal("0.1")))
    actions = [played.step(quote()) for _ in range(MOST_CHANGES + 3)]
    assert actions[0] == Send(OrderType.MARKET, None)
    assert all(isinstance(each, Reprice) for each in actions[1:-2])
    assert actions[-2] == Withdraw("it was changed 25 times: no more are taken")
    last = actions[-3]
    assert isinstance(last, Reprice)
    assert actions[-1] == Send(OrderType.LIMIT, last.price)


def test_changes_that_are_not_made_end_in_a_new_order() -> None:
    played = Played(Exits(), makes_changes=False)
    actions = [played.step(quote()) for _ in range(5)]
    assert [type(each) for each in actions] == [Send, Reprice, Reprice, Withdraw, Send]
    assert actions[-1] == Send(OrderType.LIMIT, Decimal("990.00"))


def test_where_market_is_not_taken_or_was_refused_it_is_a_limit() -> None:
    assert Played(Exits()).step(quote(takes_market=False)) == Send(OrderType.LIMIT, Decimal("995.00"))
    refused = Exit.begun(START, LAST).ended(filled=False, refused_market=True)
    assert Played(Exits(), refused).step(quote()) == Send(OrderType.LIMIT, Decimal("995.00"))
    assert Played(Exits(), quantity=-10).step(quote(takes_market=False)) == Send(OrderType.LIMIT, Decimal("1005.00"))
    waits = Played(Exits()).step(quote(None, takes_market=False))
    assert isinstance(waits, Rest)
    assert waits.waiting is Waiting.FOR_A_PRICE


def test_the_worst_price_is_kept_and_tried_for_good() -> None:
    played = Played(Exits(worst_price=Decimal(1)))
    assert played.step(quote()) == Send(OrderType.LIMIT, Decimal("995.00"))
    assert played.step(quote("980")) == Reprice(Decimal("990.00"))
    for _ in range(60):
        rests = played.step(quote("900"))
        assert isinstance(rests, Rest)
        assert rests.waiting is Waiting.AT_THE_WORST
        assert rests.why.endswith("its limit is the worst price that may be paid")


def test_limits_stay_inside_of_what_is_taken() -> None:
    played = Played(Exits(step=Decimal(5)))
    played.step(quote(takes_market=False))
    assert played.step(quote(bound=Decimal("980.02"))) == Reprice(Decimal("980.05"))
    assert isinstance(played.step(quote(bound=Decimal("980.02"))), Rest)


def test_it_waits_for_the_session_and_says_so() -> None:
    closed = quote(closed="NSE:INFY is not traded before Mon 09:15")
    played = Played(Exits())
    assert played.step(closed) == Rest(Waiting.FOR_THE_SESSION, "NSE:INFY is not traded before Mon 09:15")
    assert played.step(quote()) == Send(OrderType.MARKET, None)


def test_an_order_for_more_than_may_be_closed_is_withdrawn_when_that_lasts() -> None:
    played = Played(Exits(), order=working(), quantity=4)
    assert played.step(quote(), 1) == Rest(), "the broker's positions lag behind its trades"
    assert isinstance(played.step(quote(), 3), Withdraw)
    played = Played(Exits(), order=working(), quantity=0)
    played.step(quote(), 1)
    played.quantity = 10
    assert played.step(quote(), 1) == Rest()
    assert played.known.exceeds_since is None


def test_while_nobody_can_tell_what_is_held_the_order_rests_as_it_is() -> None:
    """The broker's positions cannot be read."""
    known = Exit.begun(START, LAST)
    after, action = next_step(known, None, working(), quote(), Exits(), START + timedelta(minutes=5), SETTLE)
    assert (after, action) == (known, Rest())
    assert next_step(known, None, None, quote(), Exits(), START, SETTLE) == (known, Rest())


def test_without_a_recent_price_a_market_order_that_rests_is_placed_anew_at_the_market() -> None:
    played = Played(Exits(), order=working(OrderType.LIMIT, "970"))
    assert isinstance(played.step(quote(None)), Withdraw)
    assert played.step(quote(None)) == Send(OrderType.MARKET, None)


@given(
    held=st.integers(-20, 20).filter(bool),
    ticks=st.lists(st.integers(-200, 200), min_size=1, max_size=120),
    first=st.integers(0, 30),
    step=st.integers(1, 30),
    worst=st.one_of(st.none(), st.integers(30, 120)),
    band=st.one_of(st.none(), st.integers(10, 400)),
    takes_market=st.booleans(),
    fills=st.lists(st.sampled_from([0, 0, 0, 1, 3]), min_size=120, max_size=120),
    makes_changes=st.booleans(),
)
def test_whatever_the_market_does_it_closes_and_nothing_else(
    held: int,
    ticks: list[int],
    first: int,
    step: int,
    worst: int | None,
    band: int | None,
    takes_market: bool,
    fills: list[int],
    makes_changes: bool,
) -> None:
    tenth = Decimal("0.1")
    worst_percent = None if worst is None else worst * tenth
    how = Exits(first_distance=first * tenth, step=step * tenth, worst_price=worst_percent)
    played = Played(how, quantity=held, makes_changes=makes_changes)
    side = Side.SELL if held > 0 else Side.BUY
    distances: list[Decimal] = []
    idle = 0
    for number, moved in enumerate(ticks):
        last = LAST + TICK * moved
        bound = None if band is None else last * (1 + side.sign * band * tenth / 100)
        action = played.step(quote(last, bound=bound, takes_market=takes_market))
        assert isinstance(action, Send | Reprice | Withdraw | Rest)
        price = action.price if isinstance(action, Send | Reprice) else None
        if isinstance(action, Send):
            assert (price is None) == (action.order_type is OrderType.MARKET)
            assert price is not None or (takes_market and worst is None)
        if price is not None:
            assert price % TICK == 0
            assert price > 0
            assert bound is None or (price - bound) * side.sign <= 0, "within the band"
            limit = worst_price(side, LAST, how)
            assert limit is None or (price - limit) * side.sign <= 0, "never worse than may be paid"
            is_free = (bound is None or abs(price - bound) > TICK) and (limit is None or abs(price - limit) > TICK)
            if is_free:
                distances.append((price - last) * side.sign / last)
        idle = idle + 1 if isinstance(action, Rest) and played.order is None else 0
        assert idle == 0, "while something is held, an order works for it"
        if played.order is not None:
            assert played.order.side is side
            assert played.order.remaining <= abs(played.quantity), "never more than is held"
            played.quantity, played.order = _traded(played, min(fills[number], played.order.remaining), side)
        if not played.quantity:
            assert played.step(quote(last)) == Rest()
            return
    slack = TICK / 500
    if makes_changes and not any(fills[: len(ticks)]):
        assert all(later >= earlier - slack for earlier, later in pairwise(distances))


def _traded(played: Played, quantity: int, side: Side) -> tuple[int, WorkingExit | None]:
    order = played.order
    assert order is not None
    left = order.remaining - quantity
    held = played.quantity + side.sign * quantity
    if left:
        return held, order.model_copy(update={"remaining": left})
    played.known = played.known.ended(filled=True, refused_market=False)
    return held, None


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"worst_price": 0.2}, "exits: worst_price: must not be nearer than first_distance"),
        ({"step": 0}, "exits.step"),
        ({"interval": 0.1}, "exits.interval"),
        ({"first_distance": -1}, "exits.first_distance"),
        ({"worst": 1}, "exits.worst: no such setting, did you mean exits.worst_price?"),
    ],
)
def test_bad_settings_are_named(given_: dict[str, Any], words: str, tmp_path: Any) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("exits:\n" + "".join(f"  {name}: {value}\n" for name, value in given_.items()))
    with pytest.raises(InvalidSettings) as refused:
        Settings.load(file, {})
    assert words in str(refused.value)
