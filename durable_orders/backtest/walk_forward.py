"""Walk-forward: the best values of some days, played over the days that follow, again and again through the ticks.

What it comes to out of sample is what a trader would have had who chose the values each time by what had passed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from durable_orders.backtest.kept_results import Kept
from durable_orders.backtest.recorded import Days, recorded_days
from durable_orders.backtest.sweep import Sweep, check_unchanged, run
from durable_orders.backtest.trials import Result, Trial, Values, best_first
from durable_orders.trading.errors import InvalidStrategy, InvalidTicks
from durable_orders.workers.home import Home

ZERO = Decimal(0)
PERCENT = Decimal(100)
TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Days on which there are ticks, at least 1 each."""

    in_sample: int
    out_of_sample: int


@dataclass(frozen=True, slots=True)
class Window:
    """Days, and those that follow. The next window begins as many days later as this one has out of sample."""

    in_sample: Days
    in_sample_days: int
    out_of_sample: Days
    out_of_sample_days: int
    """Of the last window maybe fewer than the others have."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one window came to."""

    window: Window
    in_sample: Result | None
    """The best of it; `None` if every combination was stopped."""
    out_of_sample: Result | None
    """The same values on the days that follow; `None` if there are none."""
    stopped: str | None
    """Why nothing was chosen, or what was chosen came to nothing."""


@dataclass(frozen=True, slots=True)
class WalkForward:
    """All windows, and what they came to out of sample, without those that were stopped: their figures say nothing.
    Rupees where nothing else is said."""

    steps: list[Step]
    stopped: int
    """Of the windows."""
    combinations: int
    net_profit: Decimal
    charges: Decimal
    orders: int
    wins: int
    losses: int
    efficiency: Decimal | None
    """Percent: net profit a day out of sample, of that in sample. `None` where there was none in sample."""


def lengths_of(words: str) -> Lengths:
    """Of `20:5`, twenty days in sample and five out of sample. Raises `InvalidStrategy`."""
    parts = words.split(":")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        return Lengths(*map(int, parts))
    rule = "must be DAYS:DAYS, in sample and out of sample, each at least 1, as in 20:5"
    raise InvalidStrategy(f"--walk-forward: {rule}, was {words!r}")


def windows_of(days: Sequence[date], lengths: Lengths) -> list[Window]:
    """From the first day on, as long as a day is left out of sample. Raises `InvalidTicks`."""
    within, beyond = lengths.in_sample, lengths.out_of_sample
    if len(days) <= within:
        raise InvalidTicks(
            f"--walk-forward: the ticks must be of at least {within + 1} days, {within} in sample and 1 after them; "
            f"they are of {len(days)}"
        )
    found = []
    for begin in range(0, len(days) - within, beyond):
        inside, outside = days[begin : begin + within], days[begin + within : begin + within + beyond]
        parts = Days(inside[0], inside[-1]), len(inside), Days(outside[0], outside[-1]), len(outside)
        found.append(Window(*parts))
    return found


def walk_forward(
    sweep: Sweep,
    every: Sequence[Values],
    lengths: Lengths,
    kept: Kept,
    cores: int,
    told: Callable[[int, int], object],
) -> WalkForward:
    """All windows; what is kept is not played again. `told` hears how many trials are done of how many. The files are
    read once before anything is played.

    Raises `InvalidTicks` for fewer days than one window has, and what `sweep.run` raises.
    """
    windows = windows_of(_days(sweep, kept), lengths)
    trials = [Trial(values, window.in_sample) for window in windows for values in every]
    total = len(trials) + len(windows)
    results = run(sweep, trials, kept, cores, lambda done, _: told(done, total))
    chosen = []
    for number, window in enumerate(windows):
        best = best_first(results[number * len(every) : (number + 1) * len(every)])[0]
        chosen.append((window, best))
    following = [Trial(tuple(best.values.items()), each.out_of_sample) for each, best in chosen if not best.stopped]
    skipped = total - len(trials) - len(following)
    outcomes = iter(run(sweep, following, kept, cores, lambda done, _: told(len(trials) + skipped + done, total)))
    steps = [_step(window, best, None if best.stopped else next(outcomes)) for window, best in chosen]
    return _walked(steps, len(every))


def _days(sweep: Sweep, kept: Kept) -> list[date]:
    if (known := kept.days()) is not None:
        return known
    mark = sweep.fingerprint()
    days, report = recorded_days(Home(sweep.home), sweep.settings)
    check_unchanged(sweep, mark)
    kept.tell(report.lines(), days)
    return days


def _step(window: Window, best: Result, outcome: Result | None) -> Step:
    if outcome is None:
        return Step(window, None, None, f"every combination was stopped in sample: {best.stopped}")
    return Step(window, best, outcome, outcome.stopped)


def _walked(steps: list[Step], combinations: int) -> WalkForward:
    played = [(step.window, step.in_sample, step.out_of_sample) for step in steps if step.stopped is None]
    both = [(window, best, outcome) for window, best, outcome in played if best is not None and outcome is not None]
    outcomes = [outcome for _, _, outcome in both]
    net = sum((each.net_profit for each in outcomes), ZERO)
    before = sum((best.net_profit for _, best, _ in both), ZERO)
    inside = sum(window.in_sample_days for window, _, _ in both)
    outside = sum(window.out_of_sample_days for window, _, _ in both)
    return WalkForward(
        steps=steps,
        stopped=sum(step.stopped is not None for step in steps),
        combinations=combinations,
        net_profit=net,
        charges=sum((each.charges for each in outcomes), ZERO),
        orders=sum(each.orders for each in outcomes),
        wins=sum(each.wins for each in outcomes),
        losses=sum(each.losses for each in outcomes),
        efficiency=(net / outside / (before / inside) * PERCENT).quantize(TENTH) if before > 0 else None,
    )
