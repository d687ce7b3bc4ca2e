"""`twap`, and what it prints."""

import pytest

from tests.durable_orders.conftest import SYMBOL
from tests.durable_orders.program import Program


def test_a_schedule_is_shown_and_cancelled(morning: Program) -> None:
    words = ("BUY", SYMBOL.lower(), "150", "--slices", "2", "--to", "+10", "--id", "twap-1")
    answer = morning.here("twap", *words, "--json")
    view = answer.json
    assert (answer.code, view["kind"], view["status"]) == (0, "twap", "OPEN")
    assert [(order["role"], order["quantity"]) for order in view["orders"]] == [("slice 1", 75)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("150", "--slices", "2", "--to", "noon"), "to: must be a time, as in 15:10, "),
        (("150", "--slices", "200", "--to", "+10"), "slices: 200 would be 3.0 s apart, and must be at least 5 s apart"),
        (("150", "--slices", "3", "--to", "+10"), "slices: 2 lots of 75 cannot be split into 3 parts of whole lots"),
        (("151", "--slices", "2", "--to", "+10"), "quantity: must be a multiple of the lot of 75, was 151"),
        (("150", "--slices", "2", "--to", "+9999"), "to: "),
        (("150", "--slices", "2", "--to", "+10", "--profile", "1,x"), "profile: not a number of rupees"),
        (("150", "--slices", "2", "--to", "+10", "--from", "+20"), "to: must lie after from"),
    ],
)
def test_a_schedule_that_cannot_be_is_one_line(desk: Program, words: tuple[str, ...], said: str) -> None:
    answer = desk.here("twap", "BUY", SYMBOL, *words)
    assert answer.code == 1
    assert said in answer.error
