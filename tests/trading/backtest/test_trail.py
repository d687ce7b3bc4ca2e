"""What a backtest remembers of each minute: exact where it counts, and bounded."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from durable_orders.backtest.figures import MOST_POINTS, _curve
from durable_orders.trading.backtest.trail import MOST, Mark, Marks, PriceLine
from durable_orders.trading.ist import IST

AT = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
MINUTE = timedelta(minutes=1)


def test_marks_come_back_as_they_were_kept() -> None:
    marks, kept = Marks(), [Mark(AT + n * MINUTE, Decimal(n) / 8 - 5, Decimal(n) * 100) for n in range(10)]
    for mark in kept:
        marks.add(mark)
    exact = Mark(AT + 10 * MINUTE, Decimal(1) / 3, Decimal(2) / 3)
    marks.add(exact)

    assert list(marks) == [*kept, exact]
    assert marks.last == exact


def test_a_line_of_very_many_minutes_keeps_its_shape_in_few_points() -> None:
    line = PriceLine()
    for minute in range(20 * MOST):
        line.add(AT + minute * MINUTE, Decimal(minute))

    points = list(line)
    assert MOST // 2 <= len(points) <= MOST
    assert all((at - AT) // MINUTE == price for at, price in points)
    steps = {int(after - before) for (_, before), (_, after) in pairwise(points)}
    assert len(steps) == 1


def test_the_largest_drawdown_is_that_of_all_minutes_though_few_are_shown() -> None:
    marks, count = Marks(), 3 * MOST_POINTS + 1
    for minute in range(count):
        fell = Decimal(-70) if minute == 1000 else Decimal(0)
        marks.add(Mark(AT + minute * MINUTE, Decimal(100) + fell, Decimal(0)))

    points, drawdown = _curve(marks, [])

    assert drawdown == 70
    assert len(points) <= MOST_POINTS
    assert points[-1].at == AT + (count - 1) * MINUTE
