"""What readings of the broker's list prove of a GTT whose answer was lost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.gtt.gtt import BrokerGtt, BrokerLeg, GttIntent, GttLeg, GttStatus, TriggerId
from durable_orders.trading.gtt.state import Change as GttChangeAsked
from durable_orders.trading.gtt.state import GttState, change_shown, settled, unread

AT = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
WINDOW = timedelta(seconds=60)
ASKED = GttIntent(
    symbol="NSE:INFY",
    side="SELL",
    legs=(GttLeg(trigger_price=Decimal("1400.00"), price=Decimal(1399), quantity=10),),
    gtt_id="exit",
)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def row(number: int, price: str = "1399", symbol: str = "NSE:INFY", **known: Any) -> BrokerGtt:
    leg = BrokerLeg(Decimal(1400), "SELL", 10, "CNC", "LIMIT", Decimal(price), None)
    content: dict[str, Any] = {"status": GttStatus.ACTIVE, "legs": (leg,), "created_at": AT, "expires_at": None}
    return BrokerGtt(trigger_id=TriggerId(str(number)), symbol=symbol, **content | known)


def lost(*before: int) -> GttState:
    """Sent, when the list had these, and never answered."""
    ids = tuple(TriggerId(str(number)) for number in before)
    return GttState.of(ASKED, AT).updated(attempts=1, sent_at=AT, before=ids)


def read_again(state: GttState, *readings: tuple[float, list[BrokerGtt]]) -> GttState:
    for seconds, rows in readings:
        state = settled(state, rows, (), after(seconds), WINDOW)
    return state


def test_the_one_new_row_with_its_content_is_it_however_its_prices_are_written() -> None:
    found = settled(lost(1), [row(1), row(2, "1399.0"), row(3, symbol="NSE:SBIN")], (), AT, WINDOW)
    assert (found.status, found.trigger_id) == (GttStatus.ACTIVE, "2")


def test_what_was_there_before_or_is_anothers_is_not_it() -> None:
    assert settled(lost(1), [row(1)], (), AT, WINDOW).status is GttStatus.UNKNOWN
    assert settled(lost(), [row(2)], {"2"}, AT, WINDOW).status is GttStatus.UNKNOWN


@pytest.mark.parametrize("rows", [[row(2), row(3)], [row(2, "1398")], [row(2, legs=())], [row(2, symbol="", legs=())]])
def test_what_may_or_may_not_be_it_tells_nothing_however_long_it_lasts(rows: list[BrokerGtt]) -> None:
    state = read_again(lost(), *((seconds, rows) for seconds in range(0, 600, 15)))
    assert (state.status, state.absent_at) == (GttStatus.UNKNOWN, None)
    assert state.candidates == tuple(row.trigger_id for row in rows), "none of which it is if a human says so"
    assert "settle it by hand" in state.reasons[0]


def test_a_row_with_its_content_is_it_beside_others() -> None:
    assert settled(lost(), [row(2, "1398"), row(3)], (), AT, WINDOW).trigger_id == "3"


def test_absent_through_a_settle_window_it_was_not_placed() -> None:
    state = read_again(lost(), (0, []), (30, []), (59, []))
    assert state.status is GttStatus.UNKNOWN
    state = read_again(state, (60, []))
    assert (state.status, state.absent_at) == (GttStatus.REJECTED, after(60))


def test_a_reading_that_fails_begins_the_window_anew() -> None:
    state = unread(read_again(lost(), (0, []), (30, [])), "502", after(45), WINDOW)
    state = read_again(state, (61, []), (90, []), (120, []))
    assert state.status is GttStatus.UNKNOWN
    assert read_again(state, (121, [])).status is GttStatus.REJECTED


def test_what_has_an_answer_was_there_however_long_the_list_does_not_show_it() -> None:
    state = lost().updated(trigger_id=TriggerId("7"))
    assert unread(read_again(state, (0, [])), "502", after(59), WINDOW).status is GttStatus.PENDING
    state = read_again(state, *((seconds, [row(8)]) for seconds in range(0, 600, 15)))
    assert state.status is GttStatus.UNKNOWN
    assert read_again(state, (600, [row(7), row(8)])).status is GttStatus.ACTIVE


def test_one_that_was_not_placed_may_turn_up_if_the_broker_made_it_then() -> None:
    state = read_again(lost(1), (0, []), (30, []), (60, []))
    assert state.was_late(row(2))
    assert not state.was_late(row(1)), "it was there before"
    assert not state.was_late(row(2, created_at=after(3600))), "somebody placed it later"
    assert not state.was_late(row(2, "1398"))
    assert not lost().was_late(row(2)), "it is still looked for"


def test_a_change_is_what_the_list_shows_of_it() -> None:
    known = lost().shown(row(2))
    legs = (GttLeg(trigger_price=Decimal(1400), price=Decimal(1398), quantity=10),)
    changing = known.updated(change=GttChangeAsked(legs=legs, asked_at=AT))
    made, refusal, _ = change_shown(changing, row(2, "1398"), AT, WINDOW)
    assert (made.change, made.legs, refusal) == (None, legs, None)
    going_on, refusal, _ = change_shown(changing, row(2), after(0), WINDOW)
    assert (going_on.change is not None, refusal) == (True, None)
    for seconds in (30, 60):
        going_on, refusal, _ = change_shown(going_on, row(2), after(seconds), WINDOW)
    assert (going_on.change, "it was not made" in (refusal or "")) == (None, True)
    gone, refusal, _ = change_shown(changing, row(2, status=GttStatus.TRIGGERED), AT, WINDOW)
    assert (gone.status, refusal) == (GttStatus.TRIGGERED, "it is TRIGGERED at the broker")


def test_a_delete_is_done_when_the_list_shows_it_deleted_and_too_late_when_it_is_triggered() -> None:
    deleting = lost().shown(row(2)).updated(change=GttChangeAsked(legs=None, asked_at=AT))
    assert change_shown(deleting, row(2, status=GttStatus.DELETED), AT, WINDOW)[1] is None
    assert change_shown(deleting, row(2, status=GttStatus.TRIGGERED), AT, WINDOW)[1] == "it is TRIGGERED at the broker"


def test_a_change_that_the_broker_took_is_never_said_not_to_have_been_made() -> None:
    legs = (GttLeg(trigger_price=Decimal(1400), price=Decimal(1398), quantity=10),)
    for asked in (legs, None):
        change = GttChangeAsked(legs=asked, asked_at=AT, is_accepted=True)
        state = lost().shown(row(2)).updated(change=change)
        for seconds in range(0, 135, 15):
            state, refusal, _ = change_shown(state, row(2), after(seconds), WINDOW)
            assert refusal is None
            assert state.change is not None
            assert state.change.is_told is (seconds >= 60), "it is told once, after a settle window"
        state, refusal, is_unknown = change_shown(state, row(2), after(135), WINDOW)
        assert (state.change, is_unknown) == (None, True), "another one later nobody waits for it any more"
        assert "though the broker took it" in (refusal or "")
    late = lost().shown(row(2)).updated(change=GttChangeAsked(legs=legs, asked_at=AT, is_accepted=True))
    assert change_shown(late, row(2, "1398", status=GttStatus.TRIGGERED), AT, WINDOW)[1] is None, "made, then triggered"


def test_a_reading_of_a_change_that_fails_begins_the_window_anew() -> None:
    legs = (GttLeg(trigger_price=Decimal(1400), price=Decimal(1398), quantity=10),)
    state = lost().shown(row(2)).updated(change=GttChangeAsked(legs=legs, asked_at=AT))
    for seconds in (0, 30):
        state, _, _ = change_shown(state, row(2), after(seconds), WINDOW)
    assert state.change is not None
    state = state.updated(change=state.change.not_seen())
    for seconds in (61, 90, 120):
        state, refusal, _ = change_shown(state, row(2), after(seconds), WINDOW)
        assert refusal is None
    assert "it was not made" in (change_shown(state, row(2), after(121), WINDOW)[1] or "")
