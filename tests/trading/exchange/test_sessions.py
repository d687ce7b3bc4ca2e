from datetime import date, timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.errors import MarketNotOwned
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState
from tests.trading.exchange.exchange import (
    HALVES,
    INFY,
    OPENS,
    Exchange,
    Opened,
    limit,
    session_of,
    stop,
)

DAY = timedelta(days=1)
HUNDRED = Decimal(100)


def test_open_orders_expire_when_the_session_turns_and_keep_their_fills(opened: Opened) -> None:
    exchange = opened(HALVES)
    exchange.show("100")
    orders = [exchange.place(**terms).row.broker_order_id for terms in ({}, limit("90"), stop("200"))]
    exchange.clock.advance(days=1)
    assert sorted(exchange.show("100")) == orders
    rows = [exchange.row(order) for order in orders]
    assert {(row.state, row.status) for row in rows} == {(BookState.EXPIRED, "CANCELLED")}
    assert {row.message for row in rows} == {"DAY: the session of 2026-01-05 has ended"}
    assert [row.filled_quantity for row in rows] == [5, 0, 0]
    assert exchange.show("90") == []


def test_the_markets_time_never_goes_back(exchange: Exchange) -> None:
    exchange.clock.advance(hours=1)
    exchange.show("100")
    shown = exchange.market.resume_point()
    exchange.market.pass_time(OPENS)
    assert exchange.market.resume_point() == shown


def test_the_market_tells_the_date_of_its_session_to_whoever_comes_next(exchange: Exchange) -> None:
    assert exchange.market.session_date() is None
    exchange.show("100")
    exchange.market.close_session()
    assert exchange.again().market.session_date() == OPENS.date()


def test_the_first_tick_of_a_session_fills_nothing_of_the_session_before(exchange: Exchange) -> None:
    exchange.show("100")
    order = exchange.place(**limit("90")).row.broker_order_id
    exchange.clock.advance(days=1)
    exchange.show("80")
    assert exchange.row(order).state is BookState.EXPIRED
    assert exchange.broker.trades() == []


def test_orders_placed_after_the_close_belong_to_the_next_session(exchange: Exchange) -> None:
    exchange.show("100")
    exchange.clock.now = session_of(OPENS.date()).closes + timedelta(hours=1)
    order = exchange.place(**limit("90")).row.broker_order_id
    exchange.clock.now = OPENS + DAY
    assert exchange.show("95") == []
    assert exchange.show("90") == [order]
    exchange.clock.advance(days=1)
    assert exchange.show("90") == []


def test_orders_placed_before_any_session_belong_to_the_first_even_to_one_of_the_past(exchange: Exchange) -> None:
    """A replayed feed shows a day of last year."""
    order = exchange.place(**limit("90")).row.broker_order_id
    assert exchange.show_at([HUNDRED], INFY, date(2025, 4, 29)) == []
    assert exchange.show_at([Decimal(90)], INFY, date(2025, 4, 29)) == [order]


def test_closing_the_session_expires_what_is_open_once_and_for_all(exchange: Exchange) -> None:
    exchange.show("100")
    order = exchange.place(**limit("90")).row.broker_order_id
    assert exchange.market.close_session() == [order]
    assert exchange.row(order).state is BookState.EXPIRED
    exchange.clock.advance(seconds=1)
    late = exchange.place().row
    assert late.status == "OPEN", "nothing fills after the close"
    assert exchange.market.close_session() == []
    exchange.clock.advance(days=1)
    assert exchange.show("101") == [late.broker_order_id]


def test_a_second_owner_fences_off_the_first_which_then_changes_nothing(exchange: Exchange) -> None:
    exchange.show("100")
    order = exchange.place(**limit("90")).row
    successor = exchange.again()
    assert successor.market.take_over() == 2
    with pytest.raises(MarketNotOwned):
        exchange.show("80")
    with pytest.raises(MarketNotOwned):
        exchange.market.close_session()
    assert exchange.row(order.broker_order_id) == order
    assert exchange.place().fills[0].price == 100, "the fenced owner's last tick was not kept"
    assert successor.show("90") == [order.broker_order_id]


def test_a_market_that_was_never_taken_over_cannot_be_shown_anything(exchange: Exchange) -> None:
    with pytest.raises(MarketNotOwned):
        exchange.again().show("100")


def test_a_restarted_feed_goes_on_from_the_last_market_time_shown(exchange: Exchange) -> None:
    assert exchange.market.resume_point() is None
    exchange.show("100")
    exchange.market.on_ticks([], session_of(OPENS.date()), OPENS + timedelta(hours=1))
    times = [OPENS + timedelta(seconds=seconds) for seconds in (7, 9, 8)]
    ticks = [Tick(INFY, HUNDRED, at) for at in times]
    exchange.market.on_ticks(ticks, session_of(OPENS.date()), OPENS + timedelta(hours=1))
    successor = exchange.again()
    successor.market.take_over()
    assert successor.market.resume_point() == OPENS + timedelta(seconds=9)
