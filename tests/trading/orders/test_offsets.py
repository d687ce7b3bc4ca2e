"""What of a strategy's holding others have closed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.orders.offsets import CLOSERS, NO_OFFSET, UNWIND, offset
from durable_orders.trading.orders.position_entry import OUTSIDE

SOME = st.integers(min_value=0, max_value=10**6) | st.integers(min_value=0, max_value=5)
ANY = st.integers(min_value=-(10**6), max_value=10**6) | st.integers(min_value=-5, max_value=5)


def strategies_with(quantities: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, int]]:
    return st.dictionaries(st.sampled_from("abcdefgh"), quantities, min_size=1)


@given(strategies_with(SOME), SOME, st.sampled_from([1, -1]), st.booleans())
def test_after_a_flatten_of_the_account_nothing_is_left_and_no_price_matters(
    own: dict[str, int], by_hand: int, sign: int, is_closed_by_hand: bool
) -> None:
    """With what a human has had besides, on their side, or has closed of it before."""
    before = {name: sign * quantity for name, quantity in own.items()}
    outside = -sign * min(by_hand, sum(own.values())) if is_closed_by_hand else sign * by_hand
    held = before | {OUTSIDE: outside, UNWIND: -sum(before.values()) - outside}
    for name, quantity in before.items():
        found = offset(held, name)
        assert found.quantity == quantity
        assert found.shared(quantity, sum(held[each] for each in found.by)) == 0, "so many rupees a rupee of its price"


@given(strategies_with(ANY), ANY, ANY)
def test_it_is_never_more_than_is_held_and_shared_in_proportion(own: dict[str, int], outside: int, unwind: int) -> None:
    held, net = own | {OUTSIDE: outside, UNWIND: unwind}, outside + unwind
    found = {name: offset(held, name) for name in own}
    assert found == {name: offset(dict(reversed(held.items())), name) for name in own}
    there = {name: quantity for name, quantity in own.items() if quantity * net < 0}
    total = abs(sum(there.values()))
    taken = min(abs(net), total)
    assert sum(abs(each.quantity) for each in found.values()) == taken
    for name, each in found.items():
        if name not in there:
            assert each == NO_OFFSET
            continue
        assert 0 <= abs(each.quantity) <= abs(own[name])
        assert each.quantity * own[name] >= 0
        assert abs(abs(each.quantity) - Fraction(abs(own[name]) * taken, total)) < 1
        left = own[name] - each.quantity
        assert each.shared(own[name], sum(held[by] for by in each.by)) == left * each.whole


@pytest.mark.parametrize(
    "held",
    [
        {"a": 10, "b": -10},
        {"a": 10, UNWIND: 10},
        {"a": 10, OUTSIDE: 5},
        {"a": -10, OUTSIDE: -15, UNWIND: 5},
        {"a": 10, OUTSIDE: -5, UNWIND: 5},
        {"a": 0, UNWIND: -5},
        {"b": 10, UNWIND: -5},
    ],
)
def test_nothing_is_set_off_against_the_same_side_or_none(held: dict[str, int]) -> None:
    assert offset(held, "a") == NO_OFFSET
    assert {offset(held, name) for name in CLOSERS} == {NO_OFFSET}


def test_of_two_that_were_on_both_sides_the_one_is_closed_that_the_account_had() -> None:
    held = {"a": 10, "b": -4, UNWIND: -6}
    assert (offset(held, "a").quantity, offset(held, "b").quantity) == (6, 0)
