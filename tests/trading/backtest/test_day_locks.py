"""Day locks in a backtest: a day of the account, or of one strategy, that is over by itself."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.backtest.play import Played, Player
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ist import IST
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import StrategyContext
from tests.durable_orders.running.stage import Script

INFY, SBIN = "NSE:INFY", "NSE:SBIN"
OPENS = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
INSTRUMENTS = Instruments.shipped()
Step = Callable[[StrategyContext], Any]
ACCOUNT: Callable[[dict[str, int]], dict[str, Any]] = lambda lock: {"day_lock": lock}  # noqa: E731
STRATEGY: Callable[[dict[str, int]], dict[str, Any]] = lambda lock: {"strategies": {"few": {"day_lock": lock}}}  # noqa: E731


def played(steps: dict[int, Step], ticks: list[Tick], guardian: dict[str, Any]) -> Played:
    own = Settings.model_validate({"execution": {"paper": {"slippage_enabled": False}}, "guardian": guardian})
    feed = ReplayFeed(ticks, 1.0, InstrumentSessions(own.market, INSTRUMENTS), rounds=1)
    done = Player(Loaded(Script(steps), "few"), own, INSTRUMENTS, OPENS).play(feed)
    assert done.failure is None
    return done


def every_ten_seconds(*prices: int, symbol: str = INFY, opens: datetime = OPENS) -> list[Tick]:
    return [Tick(symbol, Decimal(price), opens + timedelta(seconds=10 * number)) for number, price in enumerate(prices)]


def buy(quantity: int = 10, symbol: str = INFY) -> Step:
    return lambda desk: desk.buy(symbol, quantity)


def ends(done: Played) -> list[str]:
    return [f"{each.trip.at:%H:%M:%S} {each.trip.message}" for each in done.core.flatten.tripped]


@pytest.mark.parametrize(("of", "day"), [(ACCOUNT, "the day"), (STRATEGY, "the day of few")])
@pytest.mark.parametrize(
    ("lock", "prices", "words"),
    [
        ({"target": 100}, (1000, 1009, 1011), "09:15:21 {} has earned 110.00 rupees, and its target is 100"),
        ({"loss": 100}, (1000, 995, 990), "09:15:21 {} has lost 100.00 rupees, and may lose 100"),
        (
            {"trail": 50, "trail_from": 80},
            (1000, 1009, 1008, 1003),
            "09:15:31 {} has given back 50.00 rupees of 80.00, and may give back 50",
        ),
    ],
)
def test_a_day_that_is_over_is_closed_and_takes_no_new_risk(
    of: Callable[[dict[str, int]], dict[str, Any]], day: str, lock: dict[str, int], prices: tuple[int, ...], words: str
) -> None:
    """It is ended a second after the first look, and closed at the last price of then."""
    later = len(prices)
    done = played({0: buy(), later: buy()}, every_ten_seconds(*prices, prices[-1], prices[-1]), of(lock))
    assert ends(done) == [words.format(day)]
    assert not [position for position in done.core.positions() if position.quantity]
    first, closing, refused = sorted(done.orders, key=lambda each: each.number)
    assert (first.status, closing.status, refused.status) == ("FILLED", "FILLED", "REJECTED")
    code = "REDUCING" if of is ACCOUNT else "STRATEGY_DAY_OVER: few only takes orders that reduce what it holds"
    assert refused.reasons[0].startswith(code)


@pytest.mark.parametrize("of", [ACCOUNT, STRATEGY])
def test_one_odd_price_ends_no_day(of: Callable[[dict[str, int]], dict[str, Any]]) -> None:
    odd = [*every_ten_seconds(1000, 1000), Tick(INFY, Decimal(900), OPENS + timedelta(seconds=20))]
    odd += [Tick(INFY, Decimal(1000), OPENS + timedelta(seconds=20.5)), *every_ten_seconds(1000, 1000, 1000, 1000)[3:]]
    assert ends(played({0: buy()}, odd, of({"loss": 100}))) == []


@pytest.mark.parametrize("of", [ACCOUNT, STRATEGY])
def test_the_next_day_begins_anew(of: Callable[[dict[str, int]], dict[str, Any]]) -> None:
    ticks = [
        *every_ten_seconds(1000, 1011, 1011),
        *every_ten_seconds(1000, 1009, 1011, 1011, opens=OPENS + timedelta(1)),
    ]
    steps = {0: lambda desk: desk.buy(INFY, 10, product="CNC"), 3: lambda desk: desk.buy(INFY, 10, product="CNC")}
    done = played(steps, ticks, of({"target": 100}))
    assert [each.split(" has ")[1] for each in ends(done)] == ["earned 110.00 rupees, and its target is 100"] * 2
    assert [f"{each.trip.at:%d}" for each in done.core.flatten.tripped] == ["29", "30"]


@pytest.mark.parametrize("of", [ACCOUNT, STRATEGY])
def test_without_a_price_of_now_no_day_is_ended(of: Callable[[dict[str, int]], dict[str, Any]]) -> None:
    ticks = [*every_ten_seconds(1000, 1000), *every_ten_seconds(800, 800, symbol=SBIN)]
    late = OPENS + timedelta(minutes=3)
    ticks = sorted(ticks, key=lambda tick: tick.at)
    ticks += every_ten_seconds(700, 700, 700, symbol=SBIN, opens=late)
    steps = {0: buy(), 1: buy(10, SBIN)}
    assert ends(played(steps, ticks, of({"loss": 500}))) == []
    with_both = [*ticks, *every_ten_seconds(1000, 1000, opens=late + timedelta(seconds=25))]
    assert len(ends(played(steps, with_both, of({"loss": 500})))) == 1


def test_another_strategys_day_and_what_only_reduces_go_on() -> None:
    guardian = {"strategies": {"other": {"day_lock": {"loss": 1}}}}
    assert ends(played({0: buy()}, every_ten_seconds(1000, 900, 900), guardian)) == []
    kept = STRATEGY({"loss": 50}) | {"flatten_products": ["NRML"]}
    steps: dict[int, Step] = {0: buy(), 3: lambda desk: desk.sell(INFY, 4), 4: lambda desk: desk.sell(INFY, 7)}
    done = played(steps, every_ten_seconds(1000, 990, 990, 990, 990, 990), kept)
    assert [f"{each.side} {each.quantity} {each.status}" for each in sorted(done.orders, key=lambda o: o.number)] == [
        "BUY 10 FILLED",
        "SELL 4 FILLED",
        "SELL 7 REJECTED",
    ]


def test_a_close_of_one_symbol_leaves_open_orders_in_another() -> None:
    steps: dict[int, Step] = {
        0: lambda desk: (desk.buy(INFY, 10), desk.buy(SBIN, 5, order_type="LIMIT", price="700")),
        2: lambda desk: desk.close(INFY),
    }
    ticks = sorted(
        [*every_ten_seconds(1000, 1000, 1000), *every_ten_seconds(800, 800, 690, symbol=SBIN)], key=lambda tick: tick.at
    )
    done = played(steps, ticks, {})
    assert [(each.symbol, each.status.value) for each in done.orders] == [
        (INFY, "FILLED"),
        (INFY, "FILLED"),
        (SBIN, "FILLED"),
    ]


def test_what_a_flatten_of_the_account_has_closed_is_not_the_strategys_any_more() -> None:
    """Its books still have it. It moves no lock, on the next day either, and is not sold again when the day is over."""
    guardian = ACCOUNT({"target": 100}) | STRATEGY({"loss": 500})
    prices = (1000, 1009, 1011, 1011, 900, 900)
    ticks = every_ten_seconds(*prices)
    ticks += every_ten_seconds(850, 700, 700, 700, 640, 640, 640, opens=OPENS + timedelta(1))
    sells: Step = lambda desk: desk.sell(INFY, 10)  # noqa: E731
    done = played({0: buy(), 8: buy(), 12: sells}, ticks, guardian)
    assert ends(done) == [
        "09:15:21 the day has earned 110.00 rupees, and its target is 100",
        "09:15:41 the day of few has lost 600.00 rupees, and may lose 500",
    ]
    *_, refused = sorted(done.orders, key=lambda each: each.number)
    assert refused.reasons[0].startswith("STRATEGY_DAY_OVER")
    assert not [position for position in done.core.positions() if position.quantity]
