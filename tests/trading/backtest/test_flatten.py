"""A breaker that trips in a backtest: what it cancels and closes, when, and that it closes nothing twice."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.flatten.closing import FLATTEN
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionCalendar
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Amendment, Order, OrderIntent, OrderType, Side, Status
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
from tests.trading.market.test_rules import LATE, LISTED, MASTER, master

PAPER = {"slippage_enabled": False, "volume_limit_enabled": True, "volume_limit": 1}


RESTING = {"market_rests_probability": 0.6, "seed": 3}


def core_of(
    on_trip: str, *, paper: dict[str, Any] | None = None, exits: dict[str, Any] | None = None, **limits: Any
) -> Core:
    own = {"max_daily_loss": 300, "on_trip": on_trip, "flatten_products": ["MIS", "NRML"]} | limits
    content = {"guardian": own, "execution": {"paper": PAPER | (paper or {})}, "exits": exits or {}}
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
    return [order for order in orders if order.strategy == FLATTEN]


def held(core: Core) -> dict[str, int]:
    return {f"{each.symbol} {each.product}": each.quantity for each in core.positions() if each.quantity}


def test_it_cancels_what_is_open_and_closes_what_is_held_as_far_as_there_is_volume() -> None:
    core = core_of("flatten")
    show(core, LOSING)
    [tripped] = core.flatten.tripped
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
    assert not core.flatten.is_needed
    core.send(order("late", Side.BUY, 1)[1])
    assert [reason.partition(":")[0] for reason in core.order("late").reasons] == ["REDUCING", "MAX_DAILY_LOSS"]


def test_cancels_take_their_time_and_nothing_is_closed_before_they_are_answered() -> None:
    """200 ms to the exchange: what rests fills meanwhile, and is closed as well."""
    core = core_of("flatten", paper={"latency_enabled": True, "latency_ms": 200})
    show(core, LOSING)
    show(core, [tick(RELIANCE, "1400", 1100, 2.3), tick(INFY, "900", 1200, 2.35)])
    [tripped] = core.flatten.tripped
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


def test_a_position_that_no_order_may_close_is_tried_on_and_told_of() -> None:
    """It may not order at that hour. After each refusal it is tried again, ever later, until it may."""
    hours = {"start": "15:00", "end": "15:10"}
    core = core_of("flatten", strategies={FLATTEN: {"rules": {"trading_hours": hours}}})
    show(core, LOSING)
    show(core, [tick(INFY, "980", 2000, 3 + second) for second in range(60)])
    [tripped] = core.flatten.tripped
    assert held(core) == {"NSE:INFY MIS": 80, "NSE:RELIANCE MIS": -10, "NSE:RELIANCE CNC": 5}
    assert len(tripped.closing) == 10
    told = {words.partition(" is not closed yet: 5 closing orders in a row")[0] for words in tripped.problems}
    assert told == {"NSE:INFY MIS", "NSE:RELIANCE MIS"}
    assert core.flatten.is_needed, "it goes on"


def test_a_closing_order_that_rests_is_repriced_until_it_fills() -> None:
    """Each MARKET order finds the price moved away: a limit three percent above the market, for a sale."""
    core = core_of("flatten", paper=RESTING | {"market_rests_probability": 1}, exits={"interval": 1})
    steps = [step for step in LOSING if step[0] == "tick"]
    show(core, steps[:2])
    show(core, [order("long", Side.BUY, 100, order_type="LIMIT", price="1001")])
    show(core, [steps[2], order("sold", Side.SELL, 20, order_type="LIMIT", price="979")])
    [tripped] = core.flatten.tripped
    closing = core.order(tripped.closing[0])
    assert (closing.order_type, closing.price, closing.filled_quantity) == (OrderType.LIMIT, Decimal("1009.40"), 0)
    show(core, [tick(INFY, "980", 2000, 4)])
    closed = core.order(tripped.closing[0])
    assert (closed.status, closed.price, closed.filled_quantity) == (Status.FILLED, Decimal("975.10"), 80)
    assert held(core) == {}


def test_a_new_price_of_a_closing_order_passes_the_guardian_too() -> None:
    """Another way in would let a breaker's own order out at a price that nobody checked."""
    core = core_of("flatten", paper=RESTING | {"market_rests_probability": 1}, exits={"interval": 1})
    show(core, [tick(INFY, "1000", 1000, 0), order("long", Side.BUY, 100, order_type="LIMIT", price="1001")])
    show(core, [tick(INFY, "980", 1030, 2), order("sold", Side.SELL, 20, order_type="LIMIT", price="979")])
    [closing] = [live for live in core.live() if live.strategy == FLATTEN]
    before = closing.price
    core.amend(closing, Amendment(price=Decimal("975.01")))
    assert closing.price == before
    assert closing.reasons[-1].startswith("amendment (price 975.01) not done: TICK_SIZE: ")
    core.amend(closing, Amendment(quantity=200))
    assert (closing.quantity, closing.status) == (80, Status.PLACED)
    core.amend(closing, Amendment(price=Decimal("975.00")))
    assert (closing.price, closing.filled_quantity) == (Decimal(975), 10), "as much as the tick had left"


@given(steps=schedules(), paper=st.sampled_from([{}, RESTING, RESTING | {"latency_enabled": True}]))
@settings(max_examples=80)
def test_from_the_trip_on_no_position_grows_and_the_same_steps_end_the_same(
    steps: list[Step], paper: dict[str, Any]
) -> None:
    limits: dict[str, Any] = {"max_daily_loss": 20, "max_loss_streak": 2, "paper": paper, "exits": {"interval": 1}}
    core, again = core_of("flatten", **limits), core_of("flatten", **limits)
    before: dict[str, int] | None = None
    for step in steps:
        played_one(core, step)
        if before is not None:
            assert all(
                0 <= size * (1 if before.get(name, 0) > 0 else -1) <= abs(before.get(name, 0))
                for name, size in held(core).items()
            )
        was_asked_before = any(live.strategy != FLATTEN for live in core.live())  # it may fill while it is cancelled
        before = held(core) if core.flatten.tripped and not was_asked_before else None
    core.close()
    played(again, steps)
    assert [outcome(each.order()) for each in core.ended()] == [outcome(each.order()) for each in again.ended()]
    assert all(live.strategy != FLATTEN for live in core.live())


def played_one(core: Core, step: Step) -> None:
    kind, what = step
    if kind == "cancel":
        core.cancel(what, "by the test")
    else:
        show(core, [step])


def test_a_contract_on_a_share_is_closed_in_its_last_days_where_the_settings_say_so() -> None:
    """Bought on the fifth session before its last, with an order that still rests on the fourth."""
    future, day = "NFO:RELIANCE26DECFUT", datetime(2026, 12, 21, 10, 0, tzinfo=IST)
    for setting, left in (("warn", 500), ("refuse", 500), ("close", 0)):
        content = {"guardian": {"physical_settlement": setting}, "execution": {"paper": {"slippage_enabled": False}}}
        own = Settings.model_validate(content)
        core = Core(own, MASTER, day, {"first"}, lambda _live: None)
        sessions = InstrumentSessions(own.market, MASTER).of(future)

        def trade(at: datetime, name: str, price: str, core: Core = core, of: SessionCalendar = sessions) -> None:
            session = of.session_on(at.date())
            assert session is not None
            core.on_tick(Tick(future, Decimal(1500), at), session)
            terms: dict[str, Any] = {"order_type": "LIMIT", "price": price, "product": "NRML"}
            core.send(order(name, Side.BUY, 500, future, **terms)[1])

        trade(day, "held", "1500")
        trade(day + timedelta(days=1), "adds", "1490")
        assert [each.quantity for each in core.positions()] == [left]
        refused = core.order("adds").status is Status.REJECTED
        assert refused is (setting != "warn")
        reasons = [each.reason.partition(":")[0] for each in by_the_breaker(core)]
        assert reasons == (["PHYSICAL_SETTLEMENT"] if setting == "close" else [])


def test_a_contract_of_which_the_master_has_no_share_is_not_closed_before_a_delivery() -> None:
    """An index that is new is not among the known ones: its contracts end in cash, and may be a hedge."""
    future, day = "NFO:NIFTYNEW26DECFUT", datetime(2026, 12, 21, 10, 0, tzinfo=IST)
    listed = master((*LISTED, ("NFO", "NIFTYNEW26DECFUT", "NIFTYNEW", "FUT", LATE, 75)))
    content = {"guardian": {"physical_settlement": "close"}, "execution": {"paper": {"slippage_enabled": False}}}
    own = Settings.model_validate(content)
    core, sessions = Core(own, listed, day, {"first"}, lambda _live: None), InstrumentSessions(own.market, listed)
    for at in (day, day + timedelta(days=1)):
        session = sessions.of(future).session_on(at.date())
        assert session is not None
        core.on_tick(Tick(future, Decimal(1500), at), session)
        if at == day:
            core.send(order("held", Side.BUY, 75, future, order_type="LIMIT", price="1500", product="NRML")[1])
    assert [each.quantity for each in core.positions()] == [75]
    assert by_the_breaker(core) == []
