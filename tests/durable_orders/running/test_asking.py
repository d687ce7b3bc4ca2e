"""What a strategy asks for by time, of orders and of prices: the same in a backtest and on paper."""

import asyncio
from collections.abc import Mapping
from datetime import time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from durable_orders.orders import Orders
from durable_orders.running import Plan, Why
from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.market.bars import Bar
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order, OrderIntent, Side, Status
from durable_orders.trading.strategies.strategy import StrategyContext
from durable_orders.trading.strategies.timers import moment_of
from durable_orders.workers.home import Home
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import (
    NAME,
    OPENS,
    PRICES,
    SYMBOL,
    Call,
    Script,
    Timed,
    backtest,
    home_with_ticks,
    orders_of,
    run_on,
    write_ticks,
)


def at_times(timed: Timed, desk: StrategyContext) -> None:
    desk.at("9:15:15", timed.noting("buys", lambda desk: desk.buy(SYMBOL, 10)), name="buys")
    desk.at("9:15:20", timed.noting("sells", lambda desk: desk.sell(SYMBOL, 10)), name="sells")
    desk.at("9:00", timed.noting("missed"), name="missed")
    desk.at("9:10", timed.noting("late"), name="late", late=True)
    desk.at("15:00", timed.noting("without a tick"), name="afternoon")
    desk.at(OPENS + timedelta(seconds=35), timed.noting("once"), name="once")
    desk.every(timedelta(seconds=25), timed.noting("every"), name="every")


IN_ORDER = [
    "late 09:15:00",
    "buys 09:15:15",
    "sells 09:15:20",
    "every 09:15:25",
    "once 09:15:35",
    "every 09:15:50",
    "every 09:16:15",
]
EVERY_TO_THE_CLOSE = 6 * 3600 + 15 * 60


async def test_timers_are_called_at_their_times_of_the_market_ticks_or_none(home: Home) -> None:
    strategies = [Timed(at_times), Timed(at_times)]
    played = backtest(home, strategies[0])
    summary = await run_on(home, strategies[1])
    assert played.failure is None
    assert summary.failure is None
    for found in strategies:
        assert found.calls[:7] == IN_ORDER
        assert found.calls.count("without a tick 15:00:00") == 1
        assert sum(call.startswith("every") for call in found.calls) == (EVERY_TO_THE_CLOSE - 1) // 25
    missed = "not called: missed: 09:00:00 had passed at 09:15:00; with late=True it is called then"
    assert list(summary.notes) == played.notes == [missed]
    on_paper = [(o.client_order_id, o.status, o.average_price) for o in await orders_of(home)]
    assert on_paper == [(o.client_order_id, o.status, o.order().average_price) for o in played.orders]
    assert [str(price) for *_, price in on_paper] == ["1501.5000", "1499.0000"]


async def test_bars_are_the_same_in_a_backtest_and_on_paper_to_the_last_of_the_day(
    make_home: MakeHome, tmp_path: Path
) -> None:
    """Two days of two symbols; what it squares off does not end its bars."""
    days = [OPENS + timedelta(days=day, minutes=minute) for day in (0, 1) for minute in (0, 3, 64, 374)]
    rows = [
        f"{at.isoformat()},{price + number},{symbol}"
        for number, at in enumerate(days)
        for symbol, price in ((SYMBOL, 1500), (OTHER, 3000))
    ]
    (tmp_path / "ticks.csv").write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    home = home_with_ticks(make_home, tmp_path / "ticks.csv")

    def asks(timed: Timed, desk: StrategyContext) -> None:
        def note(desk: StrategyContext, bars: Mapping[str, Bar]) -> None:
            said = [f"{symbol} {bar.at:%d %H:%M}-{bar.ends:%H:%M} {bar.close}" for symbol, bar in bars.items()]
            timed.calls.append(f"{desk.now:%d %H:%M:%S} {', '.join(said)}")

        desk.bars("60minute", note, SYMBOL, OTHER)
        desk.bars("day", note, name="days")
        desk.square_off_at("15:10")

    strategies = [Timed(asks), Timed(asks)]
    played, summary = backtest(home, strategies[0]), await run_on(home, strategies[1])
    assert (played.failure, summary.failure) == (None, None)
    assert strategies[0].calls == strategies[1].calls
    assert strategies[0].calls[:2] == [
        "29 10:15:00 NSE:INFY 29 09:15-10:15 1501, NSE:TCS 29 09:15-10:15 3001",
        "29 11:15:00 NSE:INFY 29 10:15-11:15 1502, NSE:TCS 29 10:15-11:15 3002",
    ]
    told = [words for words in strategies[0].calls if words.startswith("30 09:15:00")]
    assert [words[12:] for words in told] == [
        "NSE:INFY 29 15:15-15:30 1503, NSE:TCS 29 15:15-15:30 3003",
        "NSE:INFY 29 09:15-15:30 1503, NSE:TCS 29 09:15-15:30 3003",
    ]


async def test_history_is_what_was_shown_by_then_in_a_backtest_and_on_paper(
    make_home: MakeHome, tmp_path: Path
) -> None:
    """It begins with the file from before, and never knows the bar that forms."""
    ticks = write_ticks(tmp_path / "ticks.csv", [str(1500 + number) for number in range(20)])
    before = tmp_path / "before.csv"
    day = OPENS - timedelta(days=1)
    rows = [f"{(day + timedelta(minutes=n)).isoformat()},{1400 + n},{SYMBOL}" for n in (0, 1, 374)]
    before.write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    home = home_with_ticks(make_home, ticks, market={"history": str(before)})

    class Asking(Timed):
        def on_start(self, desk: StrategyContext) -> None:
            super().on_start(desk)
            self.look(desk)

        def look(self, desk: StrategyContext) -> None:
            minutes = desk.history(SYMBOL, "minute", 2)
            days = desk.history(SYMBOL, "day", since=day.date())
            self.calls.append(f"{[int(bar.close) for bar in minutes]} {[int(bar.high) for bar in days]}")

    def asks(timed: Timed, desk: StrategyContext) -> None:
        return

    strategies = [Asking(asks), Asking(asks)]
    for asking in strategies:
        asking.steps |= {5: asking.look, 6: asking.look, 13: asking.look}
    played, summary = backtest(home, strategies[0]), await run_on(home, strategies[1])
    assert (played.failure, summary.failure) == (None, None)
    for found in strategies:
        assert found.calls == [
            "[1401, 1774] [1774]",
            "[1401, 1774] [1774]",
            "[1774, 1505] [1774]",
            "[1505, 1511] [1774]",
        ]


@pytest.mark.parametrize("paper", [{}, {"funds": 500_000}])
async def test_funds_and_margins_are_the_same_in_a_backtest_and_on_paper(
    make_home: MakeHome, tmp_path: Path, paper: dict[str, Any]
) -> None:
    """What closes binds nothing, where it is minded what is held."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"), **paper)

    def asks(timed: Timed, desk: StrategyContext) -> None:
        return

    def look(timed: Timed, desk: StrategyContext) -> None:
        content = {"symbol": SYMBOL, "quantity": 10}
        buy, sell = (OrderIntent.model_validate(content | {"side": side}) for side in Side)
        funds = desk.funds()
        margins = (desk.margin_of(buy), desk.margin_of(sell), desk.margin_of(buy, buy))
        known = () if funds is None else (funds.available, funds.utilised)
        timed.calls.append(" ".join(f"{rupees:.2f}" for rupees in (*margins, *known)))

    strategies = [Timed(asks), Timed(asks)]
    for timed in strategies:
        timed.steps |= {0: lambda desk: desk.buy(SYMBOL, 10), 3: partial(look, timed)}
    played, summary = backtest(home, strategies[0]), await run_on(home, strategies[1])
    assert (played.failure, summary.failure) == (None, None)
    assert strategies[0].calls == strategies[1].calls
    [told] = strategies[0].calls
    without = ["3004.00", "3004.00", "6008.00"]
    assert told.split()[:3] == (["3004.00", "0.00", "6008.00"] if paper else without)
    assert told.split()[4:] == (["3000.00"] if paper else [])


async def test_a_restart_calls_nothing_twice_unless_it_is_asked_to(home: Home) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def asks(timed: Timed, desk: StrategyContext) -> None:
        desk.at("9:15:05", timed.noting("once a day"), name="once", late=True)
        desk.at("9:15:06", timed.noting("again"), name="again", again=True)
        desk.at("9:15:45", timed.noting("later"), name="later")
        desk.every(timedelta(seconds=10), timed.noting("every"), name="every")

    first = Timed(asks, {3: lambda _desk: loop.call_soon_threadsafe(stop.set)})
    assert (await run_on(home, first, stop=stop)).ended == Why.INTERRUPTED
    second = Timed(asks)
    await run_on(home, second)
    assert first.calls == ["once a day 09:15:05", "again 09:15:06", "every 09:15:10", "every 09:15:20"]
    assert second.calls[:4] == ["again 09:15:30", "every 09:15:30", "every 09:15:40", "later 09:15:45"]


async def test_a_timer_asked_for_later_in_the_day_is_not_called_for_times_that_are_over(home: Home) -> None:
    def asks(timed: Timed, desk: StrategyContext) -> None:
        desk.at("9:15:05", timed.noting("first"), name="first")

    def later(timed: Timed, desk: StrategyContext) -> None:
        desk.every(timedelta(seconds=5), timed.noting("every"), name="every")
        desk.at("9:14:30", timed.noting("missed"), name="missed")
        desk.at("9:14:31", timed.noting("late"), name="late", late=True)

    strategies = [Timed(asks), Timed(asks)]
    for timed in strategies:
        timed.steps[4] = partial(later, timed)
    played = backtest(home, strategies[0])
    summary = await run_on(home, strategies[1])
    for found in strategies:
        assert found.calls[0] == "first 09:15:05"
        assert sorted(found.calls[1:3]) == ["every 09:15:40", "late 09:15:40"]
        assert found.calls[3:5] == ["every 09:15:45", "every 09:15:50"]
    missed = "not called: missed: 09:14:30 had passed at 09:15:40; with late=True it is called then"
    assert played.notes == list(summary.notes) == [missed]


async def test_squared_off_by_time_it_is_flat_and_hears_of_no_tick(home: Home) -> None:
    def asks(timed: Timed, desk: StrategyContext) -> None:
        desk.square_off_at("9:15:25")
        desk.at("9:15:40", timed.noting("too late"), name="too late")

    def enter(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 10)
        desk.buy(SYMBOL, 5, order_type="LIMIT", price="1400")

    strategies = [Timed(asks, {0: enter}), Timed(asks, {0: enter})]
    played = backtest(home, strategies[0])
    await run_on(home, strategies[1])
    on_paper = [(o.side, o.quantity, o.status, o.average_price) for o in await orders_of(home)]
    in_memory = sorted(played.orders, key=lambda order: order.number)
    assert on_paper == [(o.side, o.quantity, o.status, o.order().average_price) for o in in_memory]
    assert [status for _, _, status, _ in on_paper] == [Status.FILLED, Status.CANCELLED, Status.FILLED]
    assert [(found.ticks, found.calls) for found in strategies] == [(3, []), (3, [])]


async def test_a_working_order_is_changed_and_a_refused_change_is_told(make_home: MakeHome, tmp_path: Path) -> None:
    """Its limit is raised to a price that comes, and its quantity; more than the guardian lets through it stays as it
    is, and its strategy hears why."""
    ticks = write_ticks(tmp_path / "ticks.csv")
    home = home_with_ticks(make_home, ticks, guardian={"max_order_quantity": 100})

    def rest(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 10, order_type="LIMIT", price="1400", client_order_id="dip")

    class Amending(Script):
        def __init__(self) -> None:
            amends: dict[int, dict[str, Any]] = {2: {"price": "1498", "quantity": 20}, 3: {"quantity": 500}}
            later = {number: partial(self.change, terms) for number, terms in amends.items()}
            super().__init__({0: rest, **later})
            self.told: list[str] = []

        def change(self, terms: dict[str, Any], desk: StrategyContext) -> None:
            desk.amend("dip", **terms)

        def on_order(self, desk: StrategyContext, order: Order) -> None:
            self.told.append(f"{order.quantity} at {order.price} {order.status}, {'; '.join(order.reasons)}")

    played = backtest(home, in_memory := Amending())
    summary = await run_on(home, on_paper := Amending())
    assert (played.failure, summary.failure) == (None, None)
    for told in (in_memory.told, on_paper.told):
        assert told[0] == "10 at 1400 PLACED, "
        assert told[1] == "20 at 1498 PLACED, "
        assert told[2].startswith("20 at 1498 PLACED, amendment (quantity 500) not done: MAX_ORDER_QUANTITY")
        assert told[-1].startswith("20 at 1498 FILLED")


async def test_what_is_kept_is_back_with_the_orders_that_it_explains(home: Home) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def enter(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 10, client_order_id="entry")
        desk.state["entry"] = "entry"
        desk.state["legs"] = [1]

    def change(desk: StrategyContext) -> None:
        desk.state["legs"].append(2)
        loop.call_soon_threadsafe(stop.set)

    await run_on(home, Script({0: enter, 1: change}), stop=stop)
    found: list[Any] = []
    await run_on(home, Script({0: lambda desk: found.append(dict(desk.state))}))
    assert found == [{"entry": "entry", "legs": [1, 2]}]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda desk: desk.at("25:00", print), "at: must be a time of day, as in '9:20', or a datetime with a zone"),
        (lambda desk: desk.every(5, print), "every: interval: must be a timedelta of a second or more"),
        (lambda desk: desk.at("9:20", "enter"), "at: callback: must take the context, was 'enter'"),
        (
            lambda desk: desk.state.update(stop=desk.last_price(SYMBOL)),
            "state['stop']: a Decimal cannot be kept as JSON",
        ),
        (
            lambda desk: desk.state.update(legs=[(1, 2)]),
            "state['legs'][0]: a tuple cannot be kept as JSON; keep it as a list",
        ),
        (lambda desk: desk.positions("mine"), "positions: of: must be strategy, account or broker, was 'mine'"),
        (
            lambda desk: desk.instruments.find("NIFTI"),
            "no futures or options of 'NIFTI' in the master; did you mean NIFTY?",
        ),
        (lambda desk: desk.instruments.find("NIFTY", kind="CE"), "an option needs a strike, as in 'ATM+1' or 24400"),
    ],
)
def test_what_cannot_be_had_is_one_line_that_says_what_to_do(step: Call, words: str, home: Home) -> None:
    played = backtest(home, Script({0: step}))
    assert played.failure is not None
    assert words in played.failure


def test_a_time_of_day_is_read_as_it_is_written() -> None:
    assert str(moment_of("at", "9:20")) == "09:20:00"
    assert str(moment_of("at", "15:10:30")) == "15:10:30"


OTHER = "NSE:TCS"


def write_two(path: Path) -> Path:
    """Ticks of two symbols, in turn."""
    rows = [
        f"{(OPENS + timedelta(seconds=10 * number)).isoformat()},{price},{symbol}"
        for number, price in enumerate((1500, 1502, 1504, 1506))
        for symbol in (SYMBOL, OTHER)
    ]
    path.write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    return path


async def test_a_target_is_brought_about_kept_and_given_up_when_it_is_refused(
    make_home: MakeHome, tmp_path: Path
) -> None:
    """Up to 20, turned to 10 short, put right after a sale, flat; and no more than the guardian lets through."""
    ticks = write_ticks(tmp_path / "ticks.csv")
    home = home_with_ticks(make_home, ticks, guardian={"max_order_quantity": 100})
    steps = {
        0: lambda desk: desk.target(SYMBOL, 20),
        1: lambda desk: desk.target(SYMBOL, -10),
        2: lambda desk: desk.sell(SYMBOL, 5),
        3: lambda desk: desk.target(SYMBOL, 0),
        4: lambda desk: desk.target(SYMBOL, 500),
    }
    played = backtest(home, in_memory := Script(steps))
    summary = await run_on(home, on_paper := Script(steps))
    assert (played.failure, summary.failure) == (None, None)
    asked = [(order.side, order.quantity, order.status) for order in await orders_of(home)]
    assert asked == [(o.side, o.quantity, o.status) for o in sorted(played.orders, key=lambda order: order.number)]
    assert [(side.sign * quantity, status.value) for side, quantity, status in asked] == [
        (20, "FILLED"),
        (-30, "FILLED"),
        (-5, "FILLED"),
        (5, "FILLED"),
        (10, "FILLED"),
        (500, "REJECTED"),
    ]
    assert [held for _, _, held in in_memory.heard] == [held for _, _, held in on_paper.heard]


async def test_a_target_waits_for_the_close_of_the_one_before(make_home: MakeHome, tmp_path: Path) -> None:
    """The close fills in parts, over some ticks: a target that is named meanwhile would sell beside it."""
    ticks = write_ticks(tmp_path / "ticks.csv", PRICES * 3)
    home = home_with_ticks(make_home, ticks, partial_fill_enabled=True, partial_fill_probability=1.0)
    steps = {
        0: lambda desk: desk.buy(SYMBOL, 30),
        10: lambda desk: desk.target(SYMBOL, 0),
        11: lambda desk: desk.target(SYMBOL, 20),
    }
    played = backtest(home, Script(steps))
    summary = await run_on(home, Script(steps))
    assert (played.failure, summary.failure) == (None, None)
    in_memory, on_paper = sorted(played.orders, key=lambda order: order.number), await orders_of(home)
    expected = [(30, "FILLED"), (-30, "FILLED"), (20, "FILLED")]
    assert [(order.side.sign * order.quantity, order.status) for order in in_memory] == expected
    assert [(order.side.sign * order.quantity, order.status) for order in on_paper] == expected


async def test_a_target_takes_up_the_order_that_an_earlier_run_has_left_for_it(home: Home) -> None:
    async with Orders(home.path) as orders:
        own = {"strategy": NAME, "client_order_id": f"{NAME}-1"}
        await orders.buy(SYMBOL, 20, reason="target 20", **own)
        await orders.buy(SYMBOL, 5, order_type="LIMIT", price="1400", reason="target 20", strategy=NAME)
    summary = await run_on(home, Timed(lambda _timed, desk: desk.target(SYMBOL, 20)))
    assert summary.failure is None
    found = [(order.side.sign * order.quantity, order.status) for order in await orders_of(home)]
    assert sorted(found) == [(5, Status.EXPIRED), (20, Status.FILLED)], "one that rests is none of a target's"


async def test_a_run_that_is_squared_off_does_not_enter_again_for_a_target(home: Home) -> None:
    summary = await run_on(home, Script({0: lambda desk: desk.target(SYMBOL, 10)}), Plan(square_off=time(9, 15, 30)))
    assert (summary.ended, summary.holdings, summary.left) == (Why.SQUARED_OFF, (), ())
    assert summary.notes == (), "it does not even ask for it"
    assert [order.side.sign * order.quantity for order in await orders_of(home)] == [10, -10]


async def test_a_contract_that_is_listed_while_it_runs_is_found(make_home: MakeHome, tmp_path: Path) -> None:
    master, listed = tmp_path / "instruments.csv", shipped_instruments().read_text()
    master.write_text("\n".join(line for line in listed.splitlines() if ",TCS," not in line) + "\n")
    ticks = write_ticks(tmp_path / "ticks.csv")
    home = make_home({"market": {"ticks": str(ticks), "speed": 100_000, "instruments": str(master)}})
    found: list[str] = []

    def look(desk: StrategyContext) -> None:
        try:
            found.append(desk.instruments.get("NSE:TCS").symbol)
        except InvalidStrategy:
            found.append("not listed")
            master.write_text(listed)

    summary = await run_on(home, Script({0: look, 1: look}))
    assert summary.failure is None
    assert found == ["not listed", "NSE:TCS"]


async def test_a_close_cancels_the_symbols_orders_and_closes_what_is_held_of_it(
    make_home: MakeHome, tmp_path: Path
) -> None:
    home = home_with_ticks(make_home, write_two(tmp_path / "ticks.csv"))

    def enter(desk: StrategyContext) -> None:
        for symbol in (SYMBOL, OTHER):
            desk.buy(symbol, 10)
            desk.sell(symbol, 10, order_type="SL-M", trigger_price="1400")

    found: list[list[tuple[str, int]]] = []
    seen: list[tuple[int, int]] = []

    def look(desk: StrategyContext) -> None:
        found.append([(held.symbol, held.quantity) for of in ("strategy", "account") for held in desk.positions(of)])
        seen.append((len(desk.orders()), len(desk.fills())))

    steps = {2: enter, 4: lambda desk: desk.close(SYMBOL), 5: look, 6: lambda desk: desk.cancel_all(OTHER)}
    played = backtest(home, Script(steps))
    summary = await run_on(home, Script(steps))
    assert (played.failure, summary.failure, summary.open_orders) == (None, None, ())
    assert found == [[(OTHER, 10), (OTHER, 10)]] * 2
    assert seen == [(5, 3)] * 2
    asked = [(order.symbol, order.side, order.status) for order in await orders_of(home)]
    assert asked == [(o.symbol, o.side, o.status) for o in sorted(played.orders, key=lambda order: order.number)]


async def test_ticks_of_a_symbol_come_until_they_are_not_wanted_any_more(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_two(tmp_path / "ticks.csv"))

    class Choosing(Script):
        def __init__(self) -> None:
            super().__init__({2: lambda desk: desk.unsubscribe(OTHER), 4: self.again})
            self.symbols_seen: list[str] = []

        def again(self, desk: StrategyContext) -> None:
            desk.subscribe(OTHER, "NSE:SBIN")

        def on_tick(self, desk: StrategyContext, tick: Tick) -> None:
            self.symbols_seen.append(tick.symbol.partition(":")[2])
            assert desk.last_price(tick.symbol) == tick.last_price
            super().on_tick(desk, tick)

    played = backtest(home, in_memory := Choosing())
    summary = await run_on(home, on_paper := Choosing())
    assert (played.failure, summary.failure) == (None, None)
    assert in_memory.symbols_seen == on_paper.symbols_seen == ["INFY", "TCS", "INFY", "INFY", "INFY", "TCS"]
    unseen = "subscribed to NSE:SBIN, of which there is no tick"
    assert played.notes == list(summary.notes) == [unseen]


class Deaf(Script):
    """Hears of no tick, and answers each fill."""

    def on_start(self, desk: StrategyContext) -> None:
        super().on_start(desk)
        desk.buy(SYMBOL, 10, order_type="LIMIT", price="1499", client_order_id="entry")
        desk.unsubscribe(SYMBOL)

    def on_order(self, desk: StrategyContext, order: Order) -> None:
        super().on_order(desk, order)
        if order.client_order_id == "entry" and order.status is Status.FILLED:
            desk.sell(SYMBOL, 10, order_type="LIMIT", price="1503", client_order_id="exit")
            desk.state["entered"] = str(desk.now)


async def test_what_is_asked_for_when_an_order_fills_is_done_without_a_tick_of_its_own(home: Home) -> None:
    played = backtest(home, in_memory := Deaf({}))
    summary = await run_on(home, on_paper := Deaf({}))
    assert (played.failure, summary.failure, on_paper.ticks, in_memory.ticks) == (None, None, 0, 0)
    found = {
        order.client_order_id: [(fill.quantity, fill.price) for fill in order.fills] for order in await orders_of(home)
    }
    expected = [each.order() for each in played.orders]
    assert found == {order.client_order_id: [(fill.quantity, fill.price) for fill in order.fills] for order in expected}
    assert list(found) == ["entry", "exit"]
    assert all(found.values())
