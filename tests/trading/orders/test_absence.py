"""When an order whose answer was lost counts as never placed, over whatever readings of the book there are."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.orders.absence import Absence, could_be, is_of_an_earlier_book, rows_of, under_another_mark
from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.lifecycle import AnswerLost, ProvedAbsent, Receipt, step
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Instructions,
    Mode,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Tag,
    Validity,
)
from durable_orders.trading.orders.tags import marked
from tests.trading.orders.strategies import PROVE, START

WINDOW = timedelta(seconds=60)
INTENT = OrderIntent(symbol="NFO:NIFTY25MAYFUT", side=Side.BUY, quantity=225, order_type=OrderType.MARKET)
LOST = step(Order.from_intent(INTENT, START), AnswerLost("timeout"), START)
SLICED = step(
    Order.from_intent(
        INTENT.model_copy(update={"mode": Mode.LIVE, "instructions": Instructions(autoslice=True)}), START
    ),
    AnswerLost("timeout"),
    START,
)
FIRST, SECOND = BrokerOrderId("250105000000001"), BrokerOrderId("250105000000002")


@pytest.mark.parametrize(
    ("shown", "placed_at", "is_possible"),
    [
        (("NIFTY25MAYFUT", "BUY", 225), START, True),
        ((None, None, None), None, True),
        (("NIFTY25MAYFUT", "BUY", 75), START, False),
        (("NIFTY25MAYFUT", "SELL", 225), START, False),
        (("BANKNIFTY25MAYFUT", "BUY", 225), START, False),
        (("NIFTY25MAYFUT", "BUY", 225), START - timedelta(minutes=2), False),
    ],
)
def test_a_row_without_the_tag_could_be_the_order_unless_it_says_something_else(
    shown: tuple[str | None, str | None, int | None], placed_at: datetime | None, is_possible: bool
) -> None:
    assert could_be(("NIFTY25MAYFUT", "BUY", 225), shown, START, placed_at) is is_possible


def row(order: Order, quantity: int, *slices: BrokerOrderId) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=slices[0],
        tag=order.tag,
        symbol=order.symbol,
        side=Side.BUY,
        product=Product.MIS,
        order_type=OrderType.MARKET,
        validity=Validity.DAY,
        quantity=quantity,
        filled_quantity=0,
        price=None,
        trigger_price=None,
        status="OPEN",
        state=BookState.WORKING,
        message=None,
        placed_at=START,
        updated_at=START,
        slices=slices if len(slices) > 1 else (),
    )


NOTHING, FAILED = "absent", "unreadable"
SHOWN: dict[str, tuple[BrokerOrderId, ...]] = {"one slice": (FIRST,), "two slices": (FIRST, SECOND)}
readings = st.lists(
    st.tuples(st.sampled_from([NOTHING, FAILED, *SHOWN]), st.sampled_from([0, 1, 20, 40, 59, 60, 61])), max_size=12
)
"""What is read, and how many seconds after the reading before."""


def read(absence: Absence, order: Order, kind: str, at: datetime) -> ProvedAbsent | Receipt | None:
    if kind == FAILED:
        absence.not_read()
        return None
    if kind == NOTHING:
        return absence.not_found(order, at)
    return absence.found(order, row(order, 75 * len(SHOWN[kind]), *SHOWN[kind]), at)


@PROVE
@given(readings)
def test_only_an_unbroken_row_of_like_readings_through_the_window_proves_anything(told: list[tuple[str, int]]) -> None:
    """Against the definition, read off all readings so far."""
    absence, at = Absence(WINDOW), START
    so_far: list[tuple[str, datetime]] = []
    for kind, later in told:
        at += timedelta(seconds=later)
        so_far.append((kind, at))
        since = next((s for i, (_, s) in enumerate(so_far) if {k for k, _ in so_far[i:]} == {kind}), at)
        lasted = kind != FAILED and at - since >= WINDOW
        seen = any(k in SHOWN for k, _ in so_far)
        proof = read(absence, SLICED, kind, at)
        assert isinstance(proof, ProvedAbsent) == (lasted and kind == NOTHING and not seen)
        assert isinstance(proof, Receipt) == (lasted and kind in SHOWN)
        if isinstance(proof, Receipt):
            assert proof.slices == SHOWN[kind]


@PROVE
@given(readings)
def test_what_the_book_has_shown_once_is_never_absent_again(told: list[tuple[str, int]]) -> None:
    absence, at = Absence(WINDOW), START
    absence.found(LOST, row(LOST, LOST.quantity, FIRST), at)
    for kind, later in told:
        at += timedelta(seconds=later)
        assert not isinstance(read(absence, LOST, kind, at), ProvedAbsent)


@PROVE
@given(readings)
def test_what_the_watch_saw_counts_as_shown(told: list[tuple[str, int]]) -> None:
    absence, at = Absence(WINDOW), START
    absence.was_seen = True
    for kind, later in told:
        at += timedelta(seconds=later)
        assert not isinstance(read(absence, LOST, kind, at), ProvedAbsent)


@pytest.mark.parametrize("beyond", [True, False])
def test_a_book_that_would_not_show_it_any_more_proves_nothing(beyond: bool) -> None:
    absence = Absence(WINDOW)
    absence.not_found(LOST, START, is_beyond_the_book=beyond)
    proof = absence.not_found(LOST, START + WINDOW, is_beyond_the_book=beyond)
    assert (proof is None) is beyond


@PROVE
@given(readings)
def test_where_tags_may_be_dropped_it_takes_at_least_three_readings(told: list[tuple[str, int]]) -> None:
    strict, plain, at, row_of_none = Absence(WINDOW, tags_may_be_dropped=True), Absence(WINDOW), START, 0
    for kind, later in told:
        at += timedelta(seconds=later)
        row_of_none = row_of_none + 1 if kind == NOTHING else 0
        proofs = [read(absence, LOST, kind, at) for absence in (strict, plain)]
        assert isinstance(proofs[0], ProvedAbsent) == (isinstance(proofs[1], ProvedAbsent) and row_of_none >= 3)


@PROVE
@given(readings)
def test_it_is_gone_on_with_where_an_earlier_process_stood(told: list[tuple[str, int]]) -> None:
    whole, at = Absence(WINDOW, tags_may_be_dropped=True), START
    resumed = Absence(WINDOW, tags_may_be_dropped=True)
    for kind, later in told:
        at += timedelta(seconds=later)
        kind = NOTHING if kind in SHOWN else kind
        proofs = [read(absence, LOST, kind, at) for absence in (whole, resumed)]
        assert proofs[0] == proofs[1]
        resumed = Absence(WINDOW, tags_may_be_dropped=True, absent_since=resumed.since, reads=resumed.reads)


def test_an_order_with_a_brokers_id_was_there() -> None:
    known = LOST.model_copy(update={"broker_order_id": FIRST})
    absence = Absence(WINDOW)
    assert absence.not_found(known, START) is None
    assert absence.not_found(known, START + WINDOW * 10) is None


def test_the_proof_says_how_often_and_how_long_was_looked() -> None:
    absence = Absence(WINDOW)
    for second in (0, 20, 40):
        assert absence.not_found(LOST, START + timedelta(seconds=second)) is None
    proof = absence.not_found(LOST, START + WINDOW)
    assert proof == ProvedAbsent("the order book did not show it in 4 readings through the settle window of 60 s")


def test_a_live_order_of_an_earlier_day_is_beyond_the_book() -> None:
    live = LOST.model_copy(update={"mode": Mode.LIVE})
    late = datetime.fromisoformat("2026-01-05T23:59:59+05:30")
    for order, is_beyond in ((live, True), (LOST, False)):
        assert not is_of_an_earlier_book(order, START, late)
        assert is_of_an_earlier_book(order, late, late + timedelta(seconds=1)) is is_beyond


def test_a_row_is_the_orders_by_its_tag_and_by_its_id_once_that_is_known() -> None:
    own = row(LOST, 225, FIRST)
    other, twin = replace(own, tag=Tag("0123456789abcdef0123")), replace(own, broker_order_id=SECOND)
    foreign = replace(own, tag=None, price=Decimal(1))
    assert rows_of(LOST, [foreign, other, own, twin]) == [own, twin]
    placed = LOST.model_copy(update={"broker_order_id": SECOND})
    assert rows_of(placed, [foreign, other, own, twin]) == [twin]


def test_a_row_with_the_orders_tag_under_another_mark_is_told_from_its_own() -> None:
    own = row(LOST, 225, FIRST)
    alike, foreign = replace(own, tag=marked(LOST.tag, "other")), replace(own, tag=Tag("0123456789abcdef0123"))
    assert under_another_mark(LOST, [own, foreign, replace(own, tag=None), alike]) is alike
    assert under_another_mark(LOST, [own, foreign]) is None
    sent_with_a_mark = LOST.model_copy(update={"tag": marked(LOST.tag, "mine0")})
    assert under_another_mark(sent_with_a_mark, [foreign, own]) is own
