from datetime import timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.store import new_broker_order_id
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Account, Side, Validity
from durable_orders.trading.orders.outcome import Refused
from tests.trading.exchange.exchange import (
    HALVES,
    INFY,
    OPENS,
    TCS,
    Exchange,
    Opened,
    approved,
    limit,
    refusal,
    stop,
)

ACCEPTED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN"]
TWITTER_EPOCH_MS = 1_288_834_974_657


def test_a_market_order_fills_at_once_at_a_fresh_last_price(exchange: Exchange) -> None:
    exchange.show("1500.05")
    report = exchange.place(quantity=10)
    assert report.row.state is BookState.COMPLETE
    assert (report.row.status, report.row.filled_quantity) == ("COMPLETE", 10)
    assert [(fill.quantity, fill.price) for fill in report.fills] == [(10, Decimal("1500.05"))]
    assert exchange.statuses(report.row.broker_order_id) == [*ACCEPTED, "COMPLETE"]


def test_order_ids_are_kites_snowflakes(exchange: Exchange) -> None:
    exchange.clock.advance(microseconds=123_000)
    first, second = (exchange.place().row.broker_order_id for _ in range(2))
    assert len(first) == 19
    assert first.isdecimal()
    assert first < second, "two of one millisecond keep the order of their placing"
    milliseconds = (int(first) >> 22) + TWITTER_EPOCH_MS
    assert milliseconds == int((OPENS + timedelta(microseconds=123_000)).timestamp() * 1000)


def test_orders_of_one_millisecond_keep_their_order_wherever_the_account_counts_from(exchange: Exchange) -> None:
    """This one's numbers begin just below the next millisecond's."""
    with exchange.database.read() as connection:
        ids = [new_broker_order_id(connection, Account("desk43910"), OPENS, version) for version in range(1, 4)]
    assert ids == sorted(set(ids))


def test_the_same_order_placed_twice_is_two_orders_with_one_tag(exchange: Exchange) -> None:
    order = approved(**limit("90"))
    exchange.broker.place(order)
    exchange.broker.place(order)
    first, second = exchange.broker.order_book()
    assert first.tag == second.tag == order.order.tag
    assert first.broker_order_id != second.broker_order_id


@pytest.mark.parametrize("terms", [{}, limit("1500"), {"validity": Validity.DAY, "side": Side.SELL}])
def test_without_any_tick_an_order_rests_and_fills_with_the_first_one(
    exchange: Exchange, terms: dict[str, object]
) -> None:
    placed = exchange.place(**terms)
    assert (placed.row.status, placed.row.state, placed.fills) == ("OPEN", BookState.WORKING, ())
    assert exchange.show("1500", symbol=TCS) == []
    assert exchange.show("1500") == [placed.row.broker_order_id]
    assert exchange.row(placed.row.broker_order_id).state is BookState.COMPLETE


def test_a_stale_tick_fills_nothing_and_the_next_one_does(exchange: Exchange) -> None:
    exchange.show("100")
    exchange.clock.advance(seconds=exchange.settings.stale_tick_seconds + 0.001)
    resting = exchange.place()
    assert resting.fills == ()
    assert exchange.show("101") == [resting.row.broker_order_id]
    assert [fill.price for fill in exchange.broker.trades()] == [Decimal("101")]


def test_a_tick_that_is_just_not_stale_fills(exchange: Exchange) -> None:
    exchange.show("100")
    exchange.clock.advance(seconds=exchange.settings.stale_tick_seconds)
    assert exchange.place().row.state is BookState.COMPLETE


def test_nothing_fills_after_the_close(exchange: Exchange) -> None:
    exchange.clock.advance(hours=6, minutes=14, seconds=58)
    exchange.show("100")
    exchange.clock.advance(seconds=1)
    assert exchange.place().fills == ()


@pytest.mark.parametrize(
    ("side", "marketable", "resting"), [(Side.BUY, "100.05", "99.95"), (Side.SELL, "99.95", "100.05")]
)
def test_a_limit_order_fills_at_the_touch_or_rests(
    exchange: Exchange, side: Side, marketable: str, resting: str
) -> None:
    exchange.show("100")
    assert exchange.place(side=side, **limit(marketable)).fills[0].price == Decimal(100)
    waiting = exchange.place(side=side, **limit(resting)).row
    assert (waiting.status, waiting.state) == ("OPEN", BookState.WORKING)
    assert exchange.show(resting) == [waiting.broker_order_id]
    assert exchange.broker.trades()[-1].price == Decimal(resting)


def test_slippage_and_spread_go_against_the_order_but_not_past_its_limit(opened: Opened) -> None:
    exchange = opened(Paper(spread_enabled=True, spread_bps=Decimal(20), slippage_bps=Decimal(30)))
    exchange.show("100")
    prices = [
        exchange.place(side=side, **terms).fills[0].price
        for side in Side
        for terms in ({}, limit("100.20" if side is Side.BUY else "99.80"))
    ]
    assert prices == [Decimal(price) for price in ("100.45", "100.20", "99.60", "99.80")]
    assert exchange.place(**limit("100.05")).fills == (), "half the spread puts the touch at 100.10"


@pytest.mark.parametrize(
    ("side", "trigger", "price", "before", "hit"),
    [(Side.BUY, "105", "106", "104.95", "105"), (Side.SELL, "95", "94", "95.05", "95")],
)
def test_a_stop_limit_order_waits_for_its_trigger_then_works_as_a_limit_order(
    exchange: Exchange, side: Side, trigger: str, price: str, before: str, hit: str
) -> None:
    exchange.show("100")
    order = exchange.place(side=side, **stop(trigger, price)).row
    assert (order.status, order.state) == ("TRIGGER PENDING", BookState.WORKING)
    assert exchange.show(before) == []
    assert exchange.show(hit) == [order.broker_order_id]
    assert exchange.statuses(order.broker_order_id) == [*ACCEPTED[:3], "TRIGGER PENDING", "OPEN", "COMPLETE"]


def test_a_triggered_stop_limit_order_beyond_its_limit_rests_and_is_not_triggered_again(exchange: Exchange) -> None:
    order = exchange.place(**stop("105", "106")).row
    assert exchange.show("107") == [order.broker_order_id]
    assert exchange.row(order.broker_order_id).status == "OPEN"
    assert exchange.show("100") == [order.broker_order_id], "a limit order by now: the trigger counts no more"
    assert exchange.row(order.broker_order_id).state is BookState.COMPLETE


def test_a_stop_market_order_fills_at_the_price_that_triggers_it(exchange: Exchange) -> None:
    order = exchange.place(side=Side.SELL, **stop("95")).row
    exchange.show("96", "90", "97")
    assert [fill.price for fill in exchange.broker.trades()] == [Decimal(90)]
    assert exchange.row(order.broker_order_id).state is BookState.COMPLETE


def test_a_stop_whose_trigger_is_hit_already_goes_off_at_once(exchange: Exchange) -> None:
    exchange.show("110")
    assert exchange.place(**stop("105")).row.state is BookState.COMPLETE


def test_the_rest_of_an_ioc_order_expires_in_the_answer(opened: Opened) -> None:
    exchange = opened(HALVES)
    exchange.show("100")
    report = exchange.place(quantity=7, validity=Validity.IOC)
    assert (report.row.state, report.row.status) == (BookState.EXPIRED, "CANCELLED")
    assert report.row.filled_quantity == sum(fill.quantity for fill in report.fills) == 3
    assert report.row.message == "IOC: 4 of 7 could not be filled at once"
    assert exchange.show("100") == []


@pytest.mark.parametrize("terms", [{}, limit("99")])
def test_an_ioc_order_that_finds_nobody_expires_without_a_fill(exchange: Exchange, terms: dict[str, object]) -> None:
    if terms:
        exchange.show("100")
    report = exchange.place(validity=Validity.IOC, **terms)
    assert (report.row.state, report.fills) == (BookState.EXPIRED, ())


def test_partial_fills_go_on_with_each_tick_until_nothing_remains(opened: Opened) -> None:
    exchange = opened(HALVES)
    exchange.show("100")
    order = exchange.place(quantity=10).row
    assert (order.status, order.filled_quantity) == ("OPEN", 5)
    exchange.show("101", "102", "103")
    assert [(fill.quantity, str(fill.price)) for fill in exchange.broker.trades()] == [
        (5, "100"), (2, "101"), (1, "102"), (1, "103")
    ]  # fmt: skip
    exchange.show("104")
    assert exchange.row(order.broker_order_id).state is BookState.COMPLETE
    assert len({fill.trade_id for fill in exchange.broker.trades()}) == 5


def test_orders_that_one_tick_fills_are_filled_in_the_order_of_their_placing(exchange: Exchange) -> None:
    terms = [stop("101"), limit("101"), {}, stop("100.50", "102"), limit("103")]
    placed = [exchange.place(**each).row.broker_order_id for each in terms]
    assert exchange.show("101") == placed
    assert [fill.broker_order_id for fill in exchange.broker.trades()] == placed


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"symbol": "NSE:NOWHERE"}, "NSE:NOWHERE"),
        (limit("100.02"), "price: 100.02 is not a multiple of the tick size 0.05 of NSE:INFY"),
        (stop("100.01"), "trigger_price: 100.01"),
        (stop("100", validity=Validity.IOC), "SL-M order cannot be IOC"),
        (stop("100", "101", validity=Validity.IOC), "SL order cannot be IOC"),
    ],
)
def test_what_cannot_be_traded_is_refused_and_leaves_no_row(
    exchange: Exchange, terms: dict[str, object], words: str
) -> None:
    outcome = exchange.broker.place(approved(**terms))
    assert words in refusal(outcome)
    assert isinstance(outcome, Refused)
    assert outcome.evidence.error_type == "InputException"
    assert exchange.broker.order_book() == []


def test_latency_passes_before_the_market_is_looked_at(exchange: Exchange) -> None:
    """The price that counts is the one that is there when the order arrives."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        exchange.show("105")

    exchange.show("100")
    slow = exchange.slowed(sleep, latency_ms=70)
    assert slow.place(symbol=INFY).fills[0].price == Decimal(105)
    assert slept == [0.07]
