"""A table on a terminal of any width: no number is cut, and nothing is left out."""

import io
import re
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from durable_orders.cli.render import positions_table
from durable_orders.portfolio import PositionLine

NUMBER = re.compile(r"-?\d+\.\d\d")


def printed(table: Table, width: int) -> list[str]:
    to = io.StringIO()
    Console(file=to, width=width, highlight=False).print(table)
    return [line.rstrip() for line in to.getvalue().splitlines()]


def line(amount: Decimal) -> PositionLine:
    return PositionLine(
        account="paper",
        symbol="NFO:NIFTY25MAYFUT",
        product="NRML",
        quantity=75,
        average_price=amount,
        last_price=amount,
        realized_pnl=-amount,
        unrealized_pnl=amount,
        charges=amount,
        uncharged_fills=0,
        net_pnl=amount,
        day_realized_pnl=amount,
        day_unrealized_pnl=amount,
        day_charges=amount,
        day_pnl=amount,
    )


@given(
    width=st.integers(30, 130),
    amounts=st.lists(st.decimals(0, 99_999_999, places=2), min_size=1, max_size=4),
)
def test_no_number_is_ever_cut(width: int, amounts: list[Decimal]) -> None:
    shown = printed(positions_table([line(amount) for amount in amounts], width), width)
    assert all(len(each) <= width for each in shown)
    found = NUMBER.findall("\n".join(shown))
    for amount in amounts:
        assert found.count(f"{amount:.2f}") >= 3
        assert f"{-amount:.2f}" in found


def test_with_room_a_row_is_a_line_and_without_it_a_block() -> None:
    table = positions_table([line(Decimal("24456.65")), line(Decimal("1.50"))], 60)
    assert len(printed(table, 120)) == 3, "the names of the columns, and two rows"
    narrow = printed(table, 40)
    assert narrow[0].split() == ["symbol", "NFO:NIFTY25MAYFUT"]
    assert narrow.count("") == 1, "between the rows"
