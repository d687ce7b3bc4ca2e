"""A walk-forward as a terminal shows it."""

from rich.table import Table

from durable_orders.backtest.recorded import Days
from durable_orders.backtest.walk_forward import Step, WalkForward
from durable_orders.cli.render import rupees

HEADINGS = ("in sample", "out of sample", "best", "net in sample", "net out of sample", "drawdown", "orders", "stopped")
PLAIN = 3
"""Headings of words, before those of figures."""


def walk_table(walked: WalkForward) -> Table:
    """A line for each window; why one was stopped only where one was."""
    is_stopped = any(step.stopped for step in walked.steps)
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(HEADINGS[: None if is_stopped else -1]):
        is_figure = PLAIN <= number < len(HEADINGS) - 1
        table.add_column(heading, justify="right" if is_figure else "left", overflow="fold")
    for step in walked.steps:
        table.add_row(*cells_of(step)[: None if is_stopped else -1])
    return table


def cells_of(step: Step) -> list[str]:
    """By the headings."""
    best, outcome = step.in_sample, step.out_of_sample
    values = " ".join(f"{name}={value}" for name, value in best.values.items()) if best is not None else ""
    figures = ["", "", ""]
    if outcome is not None:
        figures = [rupees(outcome.net_profit), rupees(outcome.max_drawdown), str(outcome.orders)]
    inside = rupees(best.net_profit) if best is not None else ""
    days = [_days(step.window.in_sample), _days(step.window.out_of_sample)]
    return [*days, values, inside, *figures, step.stopped or ""]


def total(walked: WalkForward) -> str:
    """What it came to out of sample, in one line."""
    kept = f", {walked.efficiency} % of what a day in sample earned" if walked.efficiency is not None else ""
    left_out = f"; of {len(walked.steps)} windows, {walked.stopped} stopped and left out" if walked.stopped else ""
    return (
        f"out of sample: net profit {rupees(walked.net_profit)} after charges of {rupees(walked.charges)}{kept}; "
        f"{walked.orders} orders, {walked.wins} won, {walked.losses} lost{left_out}"
    )


def _days(days: Days) -> str:
    first, last = f"{days.first:%d %b %Y}", f"{days.last:%d %b %Y}"
    return first if first == last else f"{first} to {last}"
