"""Every fill model alone, on a case that was worked out by hand. docs/paper-market.md has the formulas."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from durable_orders.trading.config.fill_models import PriceImprovement
from durable_orders.trading.exchange.fill_models import Request, latency
from durable_orders.trading.market.liquidity import Liquidity
from durable_orders.trading.orders.order import Side
from tests.trading.exchange.exchange import OPENS
from tests.trading.exchange.offers import Book, arrived, matched, models, offer

BIDS, ASKS = (("99.95", 30), ("99.90", 40)), (("100.00", 50), ("100.05", 60), ("100.20", 70))
BOOK = (BIDS, ASKS)
BUY, SELL = Side.BUY, Side.SELL


def test_volume_impact_is_the_square_of_the_share_of_what_was_traded() -> None:
    """200 of 1000 are a share of 0.2: 0.1 * 0.04 = 40 bps of 100, so 100.40."""
    model = models(volume_impact_enabled=True)
    assert matched(arrived(BUY, 200), model, offer(traded=1000)) == [(200, "100.40")]
    assert matched(arrived(SELL, 200), model, offer(traded=1000)) == [(200, "99.60")]
    assert matched(arrived(BUY, 2000), model, offer(traded=1000)) == [(2000, "110.00")], "a share is at most 1"
    assert matched(arrived(BUY, 200), model, offer(traded=None)) == [(200, "100.00")], "nothing counts the volume"


def test_the_square_root_law_takes_the_days_volume_and_volatility() -> None:
    """100 of 10000 are a hundredth, its root a tenth: 1 * 100 bps * 0.1 = 10 bps of 100, so 100.10."""
    model = models(square_root_enabled=True, daily_volume=10_000)
    assert matched(arrived(BUY, 100), model, offer()) == [(100, "100.10")]
    assert matched(arrived(SELL, 100), model, offer()) == [(100, "99.90")]
    of_the_tick = models(square_root_enabled=True)
    assert matched(arrived(BUY, 100), of_the_tick, offer(volume=10_000)) == [(100, "100.10")]
    assert matched(arrived(BUY, 100), of_the_tick, offer()) == [(100, "100.00")], "nothing counts the volume"


def test_impacts_add_up_and_come_after_spread_and_slippage() -> None:
    """100 * (1 + 1 bp) * (1 + 5 bps) * (1 + 40 bps + 10 bps) = 100.5603..., on the next worse tick 100.60."""
    model = models(
        spread_enabled=True,
        slippage_enabled=True,
        volume_impact_enabled=True,
        square_root_enabled=True,
        daily_volume=20_000,
    )
    assert matched(arrived(BUY, 200), model, offer(traded=1000)) == [(200, "100.60")]


@pytest.mark.parametrize(("minutes", "paid"), [(0, "100.20"), (15, "100.10"), (344, "100.10"), (345, "100.15")])
def test_slippage_is_greater_at_the_opening_and_at_the_close(minutes: int, paid: str) -> None:
    """10 bps of 100 are 0.10; twice that from 09:15, once from 09:30, and half as much again from 15:00."""
    model = models(slippage_enabled=True, slippage_bps=10, time_of_day_enabled=True)
    assert matched(arrived(BUY, 1), model, offer(at=OPENS + timedelta(minutes=minutes))) == [(1, paid)]


def test_parts_of_the_day_must_not_overlap() -> None:
    parts = [{"opens": "09:15", "closes": "10:00", "factor": 2}, {"opens": "09:59", "closes": "11:00", "factor": 3}]
    with pytest.raises(ValidationError, match="its parts must not overlap"):
        models(time_of_day=parts)
    with pytest.raises(ValidationError, match="must be before closes"):
        models(time_of_day=[{"opens": "10:00", "closes": "10:00", "factor": 2}])


def test_a_market_order_walks_the_book_level_by_level_and_waits_for_more() -> None:
    order = arrived(BUY, 200)
    walked = [(50, "100.00"), (60, "100.05"), (70, "100.20")]
    assert matched(order, models(depth_enabled=True), offer(book=BOOK)) == walked
    assert (order.order.status, order.order.remaining) == ("OPEN", 20)
    assert matched(order, models(depth_enabled=True), offer(book=BOOK), arriving=False) == [*walked, (20, "100.00")]


def test_a_limit_order_walks_no_further_than_its_limit() -> None:
    assert matched(arrived(BUY, 200, "100.10"), models(depth_enabled=True), offer(book=BOOK)) == [
        (50, "100.00"),
        (60, "100.05"),
    ]
    assert matched(arrived(SELL, 200, "99.95"), models(depth_enabled=True), offer(book=BOOK)) == [(30, "99.95")]


def test_what_one_order_takes_of_the_book_is_missing_to_the_next() -> None:
    shared, model = offer(book=BOOK), models(depth_enabled=True)
    assert matched(arrived(BUY, 80), model, shared) == [(50, "100.00"), (30, "100.05")]
    assert matched(arrived(BUY, 80, number=1), model, shared) == [(30, "100.05"), (50, "100.20")]
    assert matched(arrived(SELL, 30, number=2), model, shared) == [(30, "99.95")]


def test_nobody_sells_to_an_empty_side_of_the_book() -> None:
    circuit = offer(book=(BIDS, ()))
    assert matched(arrived(BUY, 10), models(depth_enabled=True), circuit) == []
    assert matched(arrived(SELL, 10), models(depth_enabled=True), circuit) == [(10, "99.95")]


def test_slippage_comes_on_top_of_a_level_and_stops_at_the_limit() -> None:
    model = models(depth_enabled=True, slippage_enabled=True, slippage_bps=10)
    assert matched(arrived(BUY, 60, "100.10"), model, offer(book=BOOK)) == [(50, "100.10"), (10, "100.10")]


def test_the_volume_limit_is_shared_and_the_rest_waits() -> None:
    """5 % of 1000 are 50 units for all orders together."""
    shared, model = offer(traded=1000), models(volume_limit_enabled=True, volume_limit="0.05")
    first, second = arrived(BUY, 30), arrived(SELL, 30, number=1)
    assert matched(first, model, shared) == [(30, "100.00")]
    assert matched(second, model, shared) == [(20, "100.00")]
    assert matched(arrived(BUY, 30, number=2), model, shared) == []
    assert matched(second, model, offer(traded=0), offer(traded=100), arriving=False) == [
        (20, "100.00"),
        (5, "100.00"),
    ]


def test_price_improvement_is_a_setting() -> None:
    """A limit of 101 against a market of 100, on arrival; and one of 99 that rests until the price is 98."""
    for setting, on_arrival, resting in (
        (PriceImprovement.ALWAYS, "100.00", "98.00"),
        (PriceImprovement.ON_ARRIVAL, "100.00", "99.00"),
        (PriceImprovement.NEVER, "101", "99.00"),
    ):
        model = models(price_improvement=setting)
        assert [Decimal(p) for _, p in matched(arrived(BUY, 1, "101"), model, offer())] == [Decimal(on_arrival)]
        rested = matched(arrived(BUY, 1, "99"), model, offer(), offer("98"))
        assert [Decimal(p) for _, p in rested] == [Decimal(resting)]


QUEUE = models(queue_enabled=True, depth_enabled=True, price_improvement=PriceImprovement.ON_ARRIVAL)


def test_a_resting_limit_waits_for_those_who_were_there_before() -> None:
    """30 are ahead at 99.95. 20 trade there: 10 are left. 15 more trade: 10 theirs, 5 ours. Then all that is wanted."""
    order = arrived(BUY, 12, "99.95")
    at_our_price = [offer("99.95", traded, book=((("99.95", 80),), ASKS)) for traded in (20, 15, 100)]
    assert matched(order, QUEUE, offer(book=BOOK)) == []
    assert order.order.queue_ahead == 30
    assert matched(order, QUEUE, at_our_price[0], arriving=False) == []
    assert order.order.queue_ahead == 10
    assert matched(order, QUEUE, at_our_price[1], arriving=False) == [(5, "99.95")]
    assert matched(order, QUEUE, at_our_price[2], arriving=False) == [(5, "99.95"), (7, "99.95")]


def test_the_queue_is_never_longer_than_the_level_that_is_shown() -> None:
    order = arrived(BUY, 12, "99.95")
    matched(order, QUEUE, offer(book=BOOK), offer("99.95", 1, book=((("99.95", 4),), ASKS)))
    assert order.order.queue_ahead == 4


@pytest.mark.parametrize(
    "later",
    [
        offer("99.90", 1, book=((("99.90", 4),), (("99.95", 5),))),
        offer("99.90", 1, book=((("99.80", 4),), ASKS)),
        offer("99.90", None),
    ],
    ids=["the other side is there", "the price went past", "without volume"],
)
def test_a_price_that_passes_the_limit_fills_it_whoever_was_ahead(later: Liquidity) -> None:
    order = arrived(BUY, 5, "99.95")
    assert matched(order, QUEUE, offer(book=BOOK), later) == [(5, "99.95")]


def test_without_volume_the_price_must_pass_the_limit() -> None:
    order = arrived(SELL, 5, "100.05")
    assert matched(order, QUEUE, offer(book=BOOK), offer("100.05"), offer("100.05")) == []
    assert matched(order, QUEUE, offer("100.10"), arriving=False) == [(5, "100.05")]


@pytest.mark.parametrize(
    ("price", "book", "ahead"),
    [
        ("99.90", BOOK, 40),
        ("99.85", BOOK, 0),
        ("99.97", BOOK, 0),
        ("99.80", None, 7),
        ("90.00", (tuple((str(99 - n), 1) for n in range(5)), (("100", 1),)), 7),
    ],
    ids=["at a level", "below a short book", "between two", "without a book", "beyond the fifth level"],
)
def test_who_is_ahead_is_what_the_book_shows(price: str, book: Book | None, ahead: int) -> None:
    order = arrived(BUY, 5, price)
    matched(order, QUEUE.model_copy(update={"queue_quantity": 7}), offer(book=book))
    assert order.order.queue_ahead == ahead


def test_two_of_ours_at_one_price_do_not_share_a_unit() -> None:
    first, second = arrived(BUY, 10, "99.95"), arrived(BUY, 10, "99.95", number=1)
    for order in (first, second):
        matched(order, QUEUE, offer(book=BOOK))
    shared = offer("99.95", 45, book=BOOK)
    assert matched(first, QUEUE, shared, arriving=False) == [(10, "99.95")]
    assert matched(second, QUEUE, shared, arriving=False) == [(5, "99.95")]


def test_latency_is_that_of_the_request() -> None:
    off = models(latency_ms=80)
    shared = models(latency_enabled=True, latency_ms=80)
    own = models(latency_enabled=True, latency_ms=80, modify_latency_ms=0, cancel_latency_ms=20)
    assert [latency(request, off) for request in Request] == [0, 0, 0]
    assert [latency(request, shared) for request in Request] == [0.08, 0.08, 0.08]
    assert [latency(request, own) for request in Request] == [0.08, 0, 0.02]
