"""Rate limits by the calendar second and minute of the sandbox's clock, on a clock that stands still."""

from datetime import datetime

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import NetworkException

from durable_orders.sandbox.envelopes import KiteError
from durable_orders.sandbox.rate_limits import RateLimits
from durable_orders.sandbox.routes import Route
from tests.sandbox.conftest import Serve
from tests.sandbox.serving import Clock, Served, order


@pytest.fixture
def limited(serve: Serve) -> Served:
    return serve(rate_limits=True)


def test_ten_order_requests_go_in_a_second_and_no_more(limited: Served) -> None:
    kite = limited.kite()
    limited.clock.advance(milliseconds=999)
    first = kite.place_order(**order())
    for _ in range(8):
        kite.place_order(**order())
    kite.cancel_order("regular", first)
    with pytest.raises(NetworkException, match="Too many requests") as refused:
        kite.place_order(**order(tag="late"))
    assert refused.value.code == 429
    assert len(kite.orders()) == 9
    assert "late" not in limited.tally()["accepted"]
    limited.clock.advance(milliseconds=1)
    assert kite.place_order(**order()), "a new calendar second, a millisecond later"


def test_ten_reads_go_in_a_second_together(limited: Served) -> None:
    kite = limited.kite()
    for _ in range(5):
        kite.orders()
        kite.positions()
    with pytest.raises(NetworkException, match="Too many requests"):
        kite.trades()
    assert kite.place_order(**order()), "orders have a budget of their own"
    limited.clock.advance(seconds=1)
    assert kite.trades() == []


def test_one_quote_goes_in_a_second(limited: Served) -> None:
    kite = limited.kite()
    kite.ltp("NSE:INFY")
    with pytest.raises(NetworkException, match="Too many requests"):
        kite.quote("NSE:INFY")
    assert kite.instruments("NSE")
    limited.clock.advance(seconds=1)
    assert kite.quote("NSE:INFY") == {}


def test_without_rate_limits_all_goes(served: Served, kite: KiteConnect) -> None:
    placed = [kite.place_order(**order()) for _ in range(12)]
    assert [row["order_id"] for row in kite.orders()] == placed
    assert served.tally()["order_requests"] == {"most_in_a_second": 12, "most_in_a_minute": 12}


def refused(limits: RateLimits, route: Route) -> str | None:
    try:
        limits.admit(route)
    except KiteError as error:
        return f"{error.status} {error.message}"
    return None


def test_four_hundred_order_requests_go_in_a_minute(clock: Clock) -> None:
    limits = RateLimits(clock)
    for _ in range(40):
        assert [refused(limits, Route.MODIFY) for _ in range(10)] == [None] * 10
        clock.advance(seconds=1)
    assert refused(limits, Route.CANCEL) == "429 Maximum allowed order requests exceeded."
    clock.advance(seconds=20)
    assert clock.now == datetime.fromisoformat("2026-01-05T10:01:00+05:30")
    assert refused(limits, Route.CANCEL) is None


def test_five_thousand_orders_are_placed_in_a_day(clock: Clock) -> None:
    limits = RateLimits(clock)
    for _ in range(5000):
        assert refused(limits, Route.PLACE) is None
        clock.advance(seconds=1)
    assert refused(limits, Route.PLACE) == "429 Maximum allowed order requests exceeded."
    assert refused(limits, Route.CANCEL) is None
    limits.turn_day()
    assert refused(limits, Route.PLACE) is None


def test_what_is_refused_does_not_count(clock: Clock) -> None:
    limits = RateLimits(clock)
    answers = [refused(limits, Route.PLACE) for _ in range(500)]
    assert answers.count(None) == 10
    clock.advance(seconds=1)
    assert refused(limits, Route.PLACE) is None
