"""A strategy over recorded ticks with many values of its parameters: on all cores, some in one pass over the ticks.

What is finished is kept in a file, so that a sweep that was broken off goes on where it was. The same inputs give the
same results, whatever the cores and the order.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED as ANY
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import redirect_stdout
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from durable_orders.backtest.figures import figures_of, refused_throughout
from durable_orders.backtest.imported import imported_files, is_installed
from durable_orders.backtest.kept_results import Kept
from durable_orders.backtest.recorded import Days, recorded
from durable_orders.backtest.trials import Result, Trial, Values
from durable_orders.trading.backtest.play import Player, play_together
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.market.files.containers import files_of
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.strategies.files import load_strategy
from durable_orders.workers.home import Home

MOST = 10_000
"""Combinations of one sweep."""
RANGE_COLONS = 2
AT_ONCE = 8
"""Strategies that one process plays in one pass: reading costs as much as playing one."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is played. It is the same in every process."""

    file: Path
    home: Path
    settings: Settings

    def fingerprint(self) -> str:
        """Of all that the results depend on but the values and the days: this version and Python's, the strategy's file
        and what it imports, the settings, the files of ticks."""
        found = hashlib.sha256(self.file.read_bytes())
        for path in imported_files(self.file):
            since = path.stat().st_mtime_ns if is_installed(path) else ""  # of when the package was installed
            found.update(f"{path} {since} ".encode() + hashlib.sha256(path.read_bytes()).digest())
        found.update(f"{version('durable-orders')} {sys.version}".encode())
        found.update(self.settings.model_dump_json().encode())
        market = self.settings.market
        paths = [*(market.tick_files or ()), *([market.history] if market.history else []), *market.masters]
        for path in files_of(paths, ReadingReport()) if paths else ():
            about = path.stat()
            found.update(f"{path.resolve()} {about.st_size} {about.st_mtime_ns}".encode())
        return found.hexdigest()


def values_of(words: str) -> tuple[str, list[str]]:
    """A parameter and its values, of `fast=5:20:5` (both ends are among them) or `kind=EMA,SMA`.

    Raises `InvalidStrategy`.
    """
    name, equals, given = words.partition("=")
    rule = "must be NAME=FIRST:LAST:STEP or NAME=VALUE,VALUE, as in fast=5:20:5"
    if not equals or not name or not given:
        raise InvalidStrategy(f"--param {words}: {rule}")
    if "," in given or given.count(":") != RANGE_COLONS:
        return name, list(dict.fromkeys(part.strip() for part in given.split(",")))
    try:
        first, last, step = (Decimal(part) for part in given.split(":"))
    except InvalidOperation:
        raise InvalidStrategy(f"--param {words}: {rule}") from None
    if not all(each.is_finite() for each in (first, last, step)) or step <= 0 or last < first:
        raise InvalidStrategy(f"--param {words}: the step must be above 0, and the last not below the first")
    count = int((last - first) // step) + 1
    if count > MOST:
        raise InvalidStrategy(f"--param {words}: must be at most {MOST} values, were {count}")
    return name, [f"{(first + number * step).normalize():f}" for number in range(count)]


def combinations(params: Sequence[str]) -> list[Values]:
    """All of them, the last parameter first to change. Raises `InvalidStrategy`."""
    named: dict[str, list[str]] = {}
    for words in params:
        name, values = values_of(words)
        if name in named:
            raise InvalidStrategy(f"--param {name}: must be given once")
        named[name] = values
    if not named:
        raise InvalidStrategy("--param: must be given, as in --param fast=5:20:5")
    found = [tuple(zip(named, each, strict=True)) for each in product(*named.values())]
    if len(found) > MOST:
        raise InvalidStrategy(f"--param: must be at most {MOST} combinations, were {len(found)}")
    return found


def check(sweep: Sweep, every: Sequence[Values]) -> None:
    """Load the strategy with each value once, before anything is played. Raises `InvalidStrategy`."""
    for name, text in dict.fromkeys(pair for values in every for pair in values):
        try:
            load_strategy(sweep.file, given=[f"{name}={text}"])
        except InvalidStrategy as error:
            raise InvalidStrategy(str(error).replace("--set", "--param")) from None


def play(sweep: Sweep, days: Days | None, every: Sequence[Values]) -> tuple[list[Result], list[str]]:
    """Play these combinations in one pass over the ticks, in this process; and what there is to tell of the files.

    Raises `InvalidTicks` for files of which nothing can be played, and whatever the settings may raise.
    """
    found = recorded(Home(sweep.home), sweep.settings, days)
    begins, settings = found.feed.begins, sweep.settings
    loaded = [load_strategy(sweep.file, given=[f"{name}={text}" for name, text in values]) for values in every]
    players = [Player(each, settings, found.instruments, begins, found.earlier) for each in loaded]
    with redirect_stdout(sys.stderr):  # what strategies print is no result
        play_together(players, found.feed)
    results = [_came_to(dict(values), player) for values, player in zip(every, players, strict=True)]
    return results, found.told.lines()


def _came_to(values: dict[str, str], player: Player) -> Result:
    figures = figures_of(player.played)
    return Result(
        values,
        figures.net_profit,
        figures.gross_profit,
        figures.charges.total,
        figures.max_drawdown,
        figures.orders,
        figures.wins,
        figures.losses,
        figures.failure,
        refused_throughout(figures),
    )


def run(
    sweep: Sweep, trials: Sequence[Trial], kept: Kept, cores: int, told: Callable[[int, int], object]
) -> list[Result]:
    """All of them, in the order of `trials`; those that are kept not again. `told` hears how many are done of how
    many. Raises what `play` raises."""
    mark, wanted = sweep.fingerprint(), set(trials)
    done = {trial: result for trial, result in kept.results().items() if trial in wanted}
    left = [trial for trial in trials if trial not in done]
    told(len(done), len(trials))
    for (days, _), (results, lines) in _played(sweep, _shares(left, cores), cores):
        check_unchanged(sweep, mark)
        if days is None:
            kept.tell(lines)
        kept.add(days, results)
        done |= {Trial(tuple(result.values.items()), days): result for result in results}
        told(len(done), len(trials))
    return [done[trial] for trial in trials]


def check_unchanged(sweep: Sweep, mark: str) -> None:
    """Raises `InvalidStrategy` if it is not any more what it was when it had that fingerprint."""
    if sweep.fingerprint() != mark:
        words = "it, what it imports, the settings or the ticks were changed meanwhile: begin again"
        raise InvalidStrategy(f"{sweep.file.name}: {words}")


Share = tuple[Days | None, Sequence[Values]]
"""Combinations that are played in one pass over the same days."""


def _shares(left: Sequence[Trial], cores: int) -> list[Share]:
    size = max(min(AT_ONCE, -(-len(left) // cores)), 1)
    of_days: dict[Days | None, list[Values]] = {}
    for trial in left:
        of_days.setdefault(trial.days, []).append(trial.values)
    return [
        (days, every[begin : begin + size]) for days, every in of_days.items() for begin in range(0, len(every), size)
    ]


def _played(
    sweep: Sweep, shares: Sequence[Share], cores: int
) -> Iterator[tuple[Share, tuple[list[Result], list[str]]]]:
    """As they come. What waits is given up if the caller leaves."""
    if not shares:
        return
    if cores == 1 or len(shares) == 1:
        for share in shares:
            yield share, play(sweep, *share)
        return
    pool = ProcessPoolExecutor(min(cores, len(shares)), mp_context=get_context("spawn"))
    try:
        waiting = {pool.submit(play, sweep, *share): share for share in shares}
        while waiting:
            for each in wait(waiting, return_when=ANY).done:
                yield waiting.pop(each), each.result()
    finally:
        pool.shutdown(cancel_futures=True)
