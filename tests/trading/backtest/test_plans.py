"""Plans in a backtest: what becomes of them, driven by the same process as on paper and live."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.backtest.play import Played, Player
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, InvalidStrategy, OrderNotFound
from durable_orders.trading.ist import IST
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext

INFY = "NSE:INFY"
OPENS = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
INSTRUMENTS = Instruments.shipped()
PLAIN = {"slippage_enabled": False}

Step = Callable[[StrategyContext], Any]


class Scripted(Strategy):
    """Does what it is told to do at each tick, counted from 0, and notes how its plans were told."""

    def __init__(self, steps: dict[int, Step]) -> None:
        self.steps = steps
        self.ticks = 0
        self.told: list[str] = []
        self.last: dict[str, PlanView] = {}

    def on_start(self, desk: StrategyContext) -> None:
        return

    def on_order(self, desk: StrategyContext, order: Order) -> None:
        return

    def on_stop(self, desk: StrategyContext) -> None:
        return

    def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
        if step := self.steps.get(self.ticks):
            step(desk)
        self.ticks += 1

    def on_plan(self, desk: StrategyContext, plan: PlanView) -> None:
        self.last[plan.plan_id] = plan
        self.told.append(f"{desk.now:%H:%M:%S} {plan.status} {plan.held} {plan.stop}")


def played(
    steps: dict[int, Step], prices: list[str], volumes: Sequence[int] = (), **paper: Any
) -> tuple[Scripted, Played]:
    """A tick every ten seconds. With volumes only what was traded can be."""
    paper |= {"volume_limit_enabled": True, "volume_limit": 1} if volumes else {}
    own = Settings.model_validate({"execution": {"paper": PLAIN | paper}})
    shown = enumerate(zip(prices, volumes or [0] * len(prices), strict=True))
    ticks = [
        Tick(INFY, Decimal(price), OPENS + timedelta(seconds=10 * number), volume) for number, (price, volume) in shown
    ]
    strategy = Scripted(steps)
    feed = ReplayFeed(ticks, 1.0, InstrumentSessions(own.market, INSTRUMENTS), rounds=1)
    return strategy, Player(Loaded(strategy, "few"), own, INSTRUMENTS, OPENS).play(feed)


def plain(price: Decimal) -> str:
    return f"{price.normalize():f}"


def traded(played: Played) -> list[tuple[str, str, str, int, str]]:
    orders = sorted(played.orders, key=lambda each: each.updated_at)
    return [
        (
            f"{each.updated_at:%M:%S}",
            each.client_order_id,
            each.status.value,
            fill.quantity,
            f"{fill.price.normalize():f}",
        )
        for each in orders
        for fill in each.fills
    ]


def bracket(**terms: Any) -> Step:
    return lambda desk: desk.bracket("BUY", INFY, 10, **({"stop": "990", "target": "1020"} | terms))


def test_a_bracket_takes_its_profit_by_the_order_that_was_its_stop() -> None:
    strategy, done = played({0: bracket()}, ["1000", "1005", "1019", "1021", "1021"])
    assert traded(done) == [
        ("15:00", "few-p1.entry", "FILLED", 10, "1000"),
        ("15:30", "few-p1.exit-1-1", "FILLED", 10, "1021"),
    ]
    assert strategy.told == ["09:15:00 OPEN 10 990", "09:15:30 CLOSED 0 990"]


def test_a_stop_is_at_the_exchange_before_the_next_tick() -> None:
    _, done = played({0: bracket()}, ["1000", "985"])
    assert traded(done)[1:] == [("15:10", "few-p1.exit-1-1", "FILLED", 10, "985")]
    [stop] = [order for order in done.orders if order.client_order_id == "few-p1.exit-1-1"]
    assert f"{stop.order_type} {stop.trigger_price} {stop.created_at:%H:%M:%S}" == "SL-M 990 09:15:00"


def test_a_target_that_is_touched_and_left_is_the_stop_again() -> None:
    """At 1020 nothing is left to be traded; the price falls half of the way to the stop."""
    _, done = played({0: bracket()}, ["1000", "1020", "1004", "989"], [100, 100, 100, 200])
    assert traded(done)[1:] == [("15:30", "few-p1.exit-1-1", "FILLED", 10, "989")]
    [exit_] = [order for order in done.orders if order.client_order_id == "few-p1.exit-1-1"]
    assert f"{exit_.order_type} {exit_.trigger_price}" == "SL-M 990"


def test_a_trailing_stop_follows_and_goes_to_cost_at_break_even() -> None:
    strategy, done = played({0: bracket(target=None, trail=10)}, ["1000", "1006", "1020", "1009"])
    assert traded(done)[-1] == ("15:30", "few-p1.exit-1-1", "FILLED", 10, "1009")
    assert strategy.last["few-p1"].stop == 1010
    strategy, _ = played({0: bracket(target=None, break_even=1010)}, ["1000", "1009", "1010", "1002"])
    assert strategy.told[:2] == ["09:15:00 OPEN 10 990", "09:15:20 OPEN 10 1000.0"]


def test_quantities_follow_partial_entries() -> None:
    """Each target has an exit of its own; legs are filled in their order."""
    entry = bracket(price="1000", target=[("1010", 4), ("1020", 6)])
    prices, volumes = ["1000", "1000", "1000", "1010", "1020"], [100, 103, 110, 200, 300]
    strategy, done = played({1: entry}, prices, volumes)
    assert [told.split()[1:3] for told in strategy.told][::3] == [["OPEN", "3"], ["CLOSED", "0"]]
    assert [each for each in traded(done) if "exit" in each[1]] == [
        ("15:30", "few-p1.exit-1-1", "FILLED", 4, "1010"),
        ("15:40", "few-p1.exit-2-1", "FILLED", 6, "1020"),
    ]


def test_time_to_exit_comes_between_two_ticks() -> None:
    _, done = played({0: bracket(exit_at="9:15:25")}, ["1000", "1001", "1002", "1003"])
    assert traded(done)[1:] == [("15:25", "few-p1.exit-1-1", "FILLED", 10, "1002")]


def test_a_short_one_and_an_oco() -> None:
    strategy, _ = played(
        {0: lambda desk: desk.bracket("SELL", INFY, 10, stop="1010", target="990", plan_id="short")},
        ["1000", "989", "989"],
    )
    assert strategy.last["short"].status == "CLOSED"
    steps: dict[int, Step] = {
        0: lambda desk: desk.buy(INFY, 10),
        1: lambda desk: desk.oco("SELL", INFY, 10, stop="990", target="1020", plan_id="held"),
        2: lambda desk: desk.oco("SELL", INFY, 10, stop="991", target="1021", plan_id="twice"),
    }
    strategy, done = played(steps, ["1000", "1000", "1000", "989"])
    assert strategy.last["twice"].status == "REJECTED"
    [why] = strategy.last["twice"].reasons
    assert why == "quantity: 10 are to be closed, and 0 of NSE:INFY can be, 10 of 10 are closed by other open exits"
    assert traded(done)[-1] == ("15:30", "held.exit-1-1", "FILLED", 10, "989")


def test_it_is_cancelled_amended_and_closed() -> None:
    steps: dict[int, Step] = {
        0: bracket(),
        1: lambda desk: desk.amend_plan("few-p1", stop="995", target="1030"),
        2: lambda desk: desk.cancel_plan("few-p1", flatten=True),
    }
    strategy, done = played(steps, ["1000", "1001", "1002", "1003"])
    assert strategy.told[1:] == ["09:15:10 OPEN 10 995", "09:15:20 CLOSED 0 995"]
    assert traded(done)[-1] == ("15:20", "few-p1.exit-1-1", "FILLED", 10, "1002")
    strategy, done = played({0: bracket(), 1: lambda desk: desk.cancel_plan("few-p1")}, ["1000", "1001", "985"])
    assert strategy.told[-1] == "09:15:10 LEFT 10 990"
    assert len(traded(done)) == 1


def test_closing_a_symbol_has_its_plans_close_first_and_cancel_all_leaves_them() -> None:
    steps: dict[int, Step] = {
        0: lambda desk: (bracket()(desk), desk.buy(INFY, 5)),
        1: lambda desk: desk.cancel_all(),
        2: lambda desk: desk.close(INFY),
    }
    strategy, done = played(steps, ["1000", "1001", "1002", "985"])
    assert strategy.told == ["09:15:00 OPEN 10 990", "09:15:20 CLOSED 0 990"]
    assert [quantity for at, *_, quantity, _ in traded(done) if at == "15:20"] == [10, 5]
    assert not [note for note in done.notes if "UNPROTECTED" in note]


def test_what_the_strategy_sells_beside_its_plan_is_let_go_of() -> None:
    steps: dict[int, Step] = {0: bracket(), 1: lambda desk: desk.sell(INFY, 4)}
    strategy, done = played(steps, ["1000", "1001", "1001", "985"])
    assert strategy.told[1] == "09:15:10 OPEN 6 990"
    assert traded(done)[-1] == ("15:30", "few-p1.exit-1-1", "FILLED", 6, "985")
    assert done.notes == ["29 Apr 09:15:10 plan few-p1: others have closed 4 that it held: it lets go of them"]


def test_a_stop_outlives_the_night() -> None:
    """NRML's stop expires with its session, and is placed again when the market opens."""
    opens = [OPENS, OPENS + timedelta(minutes=1)]
    opens += [each + timedelta(days=1) for each in opens]
    future = "NFO:NIFTY25MAYFUT"
    ticks = [Tick(future, Decimal(price), at) for price, at in zip((24300, 24310, 24305, 24200), opens, strict=True)]
    ticks.append(Tick(future, Decimal(24195), opens[-1] + timedelta(minutes=1)))
    strategy = Scripted({0: lambda desk: desk.bracket("BUY", future, 75, stop="24250", product="NRML")})
    own = Settings.model_validate({"execution": {"paper": PLAIN}})
    feed = ReplayFeed(ticks, 1.0, InstrumentSessions(own.market, INSTRUMENTS), rounds=1)
    done = Player(Loaded(strategy, "few"), own, INSTRUMENTS, OPENS).play(feed)
    assert strategy.last["few-p1"].status == "CLOSED"
    assert [name for _, name, status, *_ in traded(done) if status == "FILLED"] == ["few-p1.entry", "few-p1.exit-1-2"]


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"stop": "1010", "price": "1000"}, "stop: must lie below the entry's 1000, was 1010"),
        ({"stop": None, "target": None}, "stop: a plan has a stop, a target or both"),
        ({"stop": None, "trail": 5}, "trail: there is no stop to go with it"),
        ({"stopp": 5}, "stopp: no term of a plan, did you mean stop?"),
        ({"target": "990", "stop": "995"}, "target: must lie above the stop's 995, was 990"),
        ({"plan_id": "external-1"}, "plan_id: "),
    ],
)
def test_what_does_not_fit_together_is_one_line_at_once(terms: dict[str, Any], words: str) -> None:
    raised = []

    def ask(desk: StrategyContext) -> None:
        with pytest.raises(InvalidOrder) as error:
            bracket(**terms)(desk)
        raised.append(str(error.value))

    _, done = played({0: ask}, ["1000", "1000"])
    assert done.failure is None
    assert raised[0].startswith(words)
    assert "\n" not in raised[0]


def test_what_the_market_or_the_guardian_does_not_take_is_told() -> None:
    steps = {0: bracket(stop="1001"), 1: bracket(stop="990.03"), 2: bracket(exit_at="9:15")}
    strategy, done = played(steps, ["1000", "1000", "1000"])
    reasons = [strategy.last[f"few-p{number}"].reasons for number in (1, 2, 3)]
    assert reasons[0] == ("stop: must lie below the market's 1000, was 1001",)
    assert "TICK_SIZE" in reasons[1][0]
    assert done.notes[0] == f"29 Apr 09:15:00 plan few-p1 was refused: {reasons[0][0]}"
    assert reasons[2] == ("exit_at: must lie ahead, was 2025-04-29T09:15:00+05:30",)
    assert not done.orders


def test_names_are_of_one_plan_and_unknown_ones_are_said() -> None:
    def ask(desk: StrategyContext) -> None:
        assert bracket(plan_id="mine")(desk) == bracket(plan_id="mine")(desk) == "mine"
        with pytest.raises(DuplicateOrder, match="plan_id: mine is the id of another plan"):
            bracket(plan_id="mine", stop="980")(desk)
        for call in (desk.plan, desk.cancel_plan, lambda own: desk.amend_plan(own, stop=1)):
            with pytest.raises(OrderNotFound, match="no plan 'nobodys'"):
                call("nobodys")
        with pytest.raises(InvalidStrategy, match="exit_at: must be a time of day"):
            bracket(exit_at="soon")(desk)
        assert [plan.status for plan in desk.plans()] == ["PENDING"]

    def change(desk: StrategyContext) -> None:
        with pytest.raises(InvalidOrder, match="stop: must lie below the last price 1000, was 1001"):
            desk.amend_plan("mine", stop="1001")
        with pytest.raises(InvalidOrder, match="exit_at: must lie ahead, was 2025-04-29T09:15:00"):
            desk.amend_plan("mine", exit_at="9:15")

    _, done = played({0: ask, 1: change}, ["1000", "1000"])
    assert done.failure is None
