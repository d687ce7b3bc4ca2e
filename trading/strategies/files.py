"""Loads a strategy from a Python file: one class, or an object that is called `strategy`."""

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pydantic import TypeAdapter, ValidationError

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.orders.order import Name
from durable_orders.trading.strategies.parameters import given_values, set_parameters
from durable_orders.trading.strategies.strategy import CALLBACKS, OPTIONAL, Strategy, has_own

MODULE_PREFIX = "strategy_file_"
PLAIN = "is an `async def`, as strategies over an engine have it: those are run with --engines"
ENGINES = "must be an `async def`, and is given an engine, with --engines; over a desk a strategy runs without it"
CLOSE = 0.8
"""How alike a name must be to a callback's, of 1, to be a slip of the pen: `on_tik`, `onTick`, `on_ticks`."""
EVERY = CALLBACKS | OPTIONAL
NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A strategy, and the code that its orders carry."""

    strategy: Strategy
    name: str


def load_strategy(path: Path, *, awaited: bool = False, given: Sequence[str] = ()) -> Loaded:
    """A file's strategy: its object `strategy`, else its one class with the four callbacks, made without arguments.

    The file may import what lies beside it. `awaited` says whether its callbacks must be coroutine functions, as those
    for an engine are, or plain ones; `given` are values of its parameters, as in `fast=5`.

    Raises `InvalidStrategy`, one line that names the file and the rule.
    """
    found = _strategy_of(_module(path), path, given_values(given))
    has = {name: told for name, told in OPTIONAL.items() if has_own(found, name)}
    for name, told in (CALLBACKS | has).items():
        callback = getattr(found, name)
        if inspect.iscoroutinefunction(callback) is not awaited:
            raise InvalidStrategy(f"{path.name}: {name}: {ENGINES if awaited else PLAIN}")
        if not _takes(callback, told):
            words = f"must take {', '.join(('self', *told))}; it is {name}{inspect.signature(callback)}"
            raise InvalidStrategy(f"{path.name}: {name}: {words}")
    for name in _misspelt(found):
        meant = get_close_matches(name, EVERY, 1, CLOSE)[0]
        raise InvalidStrategy(f"{path.name}: {name}: is no callback and would never be called; did you mean {meant}?")
    name = getattr(found, "name", None) or path.stem
    try:
        return Loaded(found, NAME.validate_python(name))
    except ValidationError:
        rule = "must be 1 to 64 letters, digits, dots, dashes or underscores"
        raise InvalidStrategy(f"{path.name}: the strategy's name {rule}, was {str(name)[:64]!r}") from None


def _takes(callback: Callable[..., object], told: tuple[str, ...]) -> bool:
    try:
        inspect.signature(callback).bind(*told)
    except TypeError:
        return False
    return True


def _misspelt(owner: object) -> list[str]:
    """Methods that read like a callback and are none."""
    own = [name for name in dir(owner) if name not in EVERY and not name.startswith("_")]
    return [name for name in own if get_close_matches(name, EVERY, 1, CLOSE) and callable(getattr(owner, name))]


def _module(path: Path) -> ModuleType:
    if path.is_dir():
        raise InvalidStrategy(f"{path}: must be a Python file (.py), is a directory")
    if not path.is_file():
        raise InvalidStrategy(f"{path}: no such file")
    spec = spec_from_file_location(MODULE_PREFIX + path.stem, path)
    if spec is None or spec.loader is None:
        raise InvalidStrategy(f"{path.name}: must be a Python file (.py)")
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses and pickles look their module up there
    beside = str(path.resolve().parent)
    if beside not in sys.path:
        sys.path.insert(0, beside)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody's code may raise
        raise InvalidStrategy(f"{path.name}: {_where(error, path)}{type(error).__name__}: {error}") from error
    return module


def _where(error: BaseException, path: Path) -> str:
    """The last line of the file that was running."""
    own = path.resolve()
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == own]
    return f"line {lines[-1]}: " if lines else ""


def _strategy_of(module: ModuleType, path: Path, given: Mapping[str, str]) -> Strategy:
    if (made := getattr(module, "strategy", None)) is not None:
        if missing := _missing(made):
            raise InvalidStrategy(f"{path.name}: strategy: must have {', '.join(missing)}")
        if given:
            words = "parameters are set before a strategy is made, and the file makes it itself: leave the class to us"
            raise InvalidStrategy(f"{path.name}: --set {next(iter(given))}: {words}")
        return made  # type: ignore[no-any-return]
    own = [kind for kind in vars(module).values() if _is_strategy(kind, module)]
    if len(own) != 1:
        names = ", ".join(kind.__name__ for kind in own) or "none"
        raise InvalidStrategy(f"{path.name}: must have one Strategy class, or an object called strategy; has {names}")
    set_parameters(own[0], given)
    try:
        return own[0]()  # type: ignore[no-any-return]
    except (Exception, SystemExit) as error:
        raise InvalidStrategy(f"{path.name}: {own[0].__name__}(): {type(error).__name__}: {error}") from error


def _is_strategy(kind: object, module: ModuleType) -> bool:
    """Whether it is a class of the file's own that can be made and has the callbacks."""
    own = inspect.isclass(kind) and kind.__module__ == module.__name__
    return own and not inspect.isabstract(kind) and not _missing(kind)


def _missing(owner: object) -> list[str]:
    return [name for name in CALLBACKS if not callable(getattr(owner, name, None))]
