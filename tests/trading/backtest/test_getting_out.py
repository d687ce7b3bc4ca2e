"""A breaker that trips in a backtest: what it cancels and closes, when, and that it closes nothing twice."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings

from tests.trading.backtest.test_differential import (
    INFY,
    INSTRUMENTS,
    OPENS,
    RELIANCE,
    SESSION,
    Step,
    outcome,
    played,
    schedules,
)
from trading.backtest.core import Core
from trading.market.ticks import Tick
from trading.order import Order, OrderIntent, Side, Status
from trading.settings import Settings
from trading.unwinding import UNWINDING

PAPER = {"slippage_enabled": False, "volume_limit_enabled": True, "volume_limit": 1}


def core_of(on_trip: str, *, paper: dict[str, Any] | None = None, **limits: Any) -> Core:
    own = {"max_daily_loss": 300, "on_trip": on_trip, "flatten_products": ["MIS", "NRML"]} | limits
    content = {"guardian": own, "execution": {"paper": PAPER | (paper or {})}}
    return Core(Settings.model_validate(content), INSTRUMENTS, OPENS, {"first"}, lambda _live: None)


def tick(symbol: str, price: str, volume: int, second: float) -> Step:
    return "tick", Tick(symbol, Decimal(price), OPENS + timedelta(seconds=second), volume)


def order(name: str, side: Side, quantity: int, symbol: str = INFY, **terms: Any) -> Step:
    own = {"symbol": symbol, "side": side, "quantity": quantity, "client_order_id": name, "strategy": "first"}
    return "place", OrderIntent(**own | terms)


LOSING: list[Step] = [
    tick(INFY, "1000", 1000, 0),
    tick(RELIANCE, "1400", 1000, 1),
    order("long", Side.BUY, 100),
    order("short", Side.SELL, 10, RELIANCE),
    order("held", Side.BUY, 5, RELIANCE, product="CNC"),
    order("rests", Side.BUY, 50, order_type="LIMIT", price="900"),
    tick(INFY, "980", 1030, 2),
    order("sold", Side.SELL, 20),
]
"""The last one loses 400 rupees, and leaves 10 of the tick's 30 units."""


def show(core: Core, steps: list[Step]) -> None:
    for kind, what in steps:
        if kind == "tick":
            core.on_tick(what, SESSION)
        else:
            core.send(what)


def by_the_breaker(core: Core) -> list[Order]:
    orders = [each.order() for each in core.ended()] + [each.order() for each in core.live()]
    return [order for order in orders if order.strategy == UNWINDING]


def held(core: Core) -> dict[str, int]:
    return {f"{each.symbol} {each.product}": each.quantity for each in core.positions() if each.quantity}


def test_it_cancels_what_is_open_and_closes_what_is_held_as_far_as_there_is_volume() -> None:
    core = core_of("flatten")
    show(core, LOSING)
    [tripped] = core.getting_out.tripped
    assert (tripped.trip.cause, tripped.trip.at) == ("MAX_DAILY_LOSS", OPENS + timedelta(seconds=2))
    assert tripped.trip.message == "the day's loss may be at most 300 rupees, and is 400.0000"
    assert tripped.cancelled == ["rests"]
    assert core.order("rests").status is Status.CANCELLED
    assert held(core) == {"NSE:INFY MIS": 70, "NSE:RELIANCE CNC": 5}, "delivery is not closed"
    show(core, [tick(INFY, "970", 1090, 3), tick(INFY, "960", 1130, 4)])
    assert held(core) == {"NSE:RELIANCE CNC": 5}
    fills = {
        each.client_order_id: [(fill.quantity, int(fill.price)) for fill in each.fills] for each in by_the_breaker(core)
    }
    second, first = tripped.closing  # in INFY something was open
    assert fills == {first: [(10, 980), (60, 970), (10, 960)], second: [(10, 1400)]}
    assert core.getting_out.request is None
    core.send(order("late", Side.BUY, 1)[1])
    assert [reason.partition(":")[0] for reason in core.order("late").reasons] == ["REDUCING", "MAX_DAILY_LOSS"]


def test_cancels_take_their_time_and_nothing_is_closed_before_they_are_answered() -> None:
    """200 ms to the exchange: what rests fills meanwhile, and is closed as well."""
    core = core_of("flatten", paper={"latency_enabled": True, "latency_ms": 200})
    show(core, LOSING)
    show(core, [tick(RELIANCE, "1400", 1100, 2.3), tick(INFY, "900", 1200, 2.35)])
    [tripped] = core.getting_out.tripped
    assert tripped.trip.at == OPENS + timedelta(seconds=2.2)
    assert core.order("rests").status is Status.FILLED
    show(core, [tick(INFY, "900", 2000, 3), tick(RELIANCE, "1400", 2000, 3.1), tick(INFY, "900", 3000, 4)])
    assert held(core) == {"NSE:RELIANCE CNC": 5}
    sold = [each for each in by_the_breaker(core) if each.symbol == INFY]
    assert [(each.quantity, each.status) for each in sold] == [(130, Status.FILLED)]


def test_only_what_the_settings_say_is_done() -> None:
    for on_trip, status in {"keep": Status.PLACED, "cancel_open": Status.CANCELLED}.items():
        core = core_of(on_trip)
        show(core, LOSING)
        assert core.order("rests").status is status
        assert by_the_breaker(core) == []
        assert held(core)["NSE:INFY MIS"] == 80


def test_a_position_that_no_order_may_close_is_left_after_five_tries() -> None:
    """It may not order at that hour. After each refusal it is tried again, ever later."""
    hours = {"start": "15:00", "end": "15:10"}
    core = core_of("flatten", strategies={UNWINDING: {"rules": {"trading_hours": hours}}})
    show(core, LOSING)
    show(core, [tick(INFY, "980", 2000, 3 + second) for second in range(60)])
    [tripped] = core.getting_out.tripped
    assert held(core) == {"NSE:INFY MIS": 80, "NSE:RELIANCE MIS": -10, "NSE:RELIANCE CNC": 5}
    assert len(tripped.closing) == 10
    left = {words.partition(" could not be closed in 5 tries")[0] for words in tripped.problems}
    assert left == {"NSE:INFY MIS", "NSE:RELIANCE MIS"}


@given(steps=schedules())
@settings(deadline=None, max_examples=60)
def test_from_the_trip_on_no_position_grows_and_the_same_steps_end_the_same(steps: list[Step]) -> None:
    limits: dict[str, Any] = {"max_daily_loss": 20, "max_loss_streak": 2}
    core, again = core_of("flatten", **limits), core_of("flatten", **limits)
    before: dict[str, int] | None = None
    for step in steps:
        played_one(core, step)
        if before is not None:
            assert all(
                0 <= size * (1 if before[name] > 0 else -1) <= abs(before[name]) for name, size in held(core).items()
            )
        before = held(core) if core.getting_out.tripped else None
    core.close()
    played(again, steps)
    assert [outcome(each.order()) for each in core.ended()] == [outcome(each.order()) for each in again.ended()]
    assert all(live.strategy != UNWINDING for live in core.live())


def played_one(core: Core, step: Step) -> None:
    kind, what = step
    if kind == "cancel":
        core.cancel(what, "by the test")
    else:
        show(core, [step])
