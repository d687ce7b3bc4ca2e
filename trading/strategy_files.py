"""Loads a strategy from a Python file: one class, or an object that is called `strategy`."""

import inspect
import sys
import traceback
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pydantic import TypeAdapter, ValidationError

from trading.errors import InvalidStrategy
from trading.order import Name
from trading.strategy import CALLBACKS, Strategy

MODULE_PREFIX = "strategy_file_"
PLAIN = "is an `async def`, as strategies over an engine have it: those are run with --engines"
ENGINES = "must be an `async def`, and is given an engine, with --engines; over a desk a strategy runs without it"
NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A strategy, and the code that its orders carry."""

    strategy: Strategy
    name: str


def load_strategy(path: Path, *, awaited: bool = False) -> Loaded:
    """A file's strategy: its object `strategy`, else its one class with the four callbacks, made without arguments.

    The file may import what lies beside it. `awaited` says whether its callbacks must be coroutine functions, as those
    for an engine are, or plain ones. Raises `InvalidStrategy`, one line that names the file and the rule.
    """
    found = _strategy_of(_module(path), path)
    for name in CALLBACKS:
        if inspect.iscoroutinefunction(getattr(found, name)) is not awaited:
            raise InvalidStrategy(f"{path.name}: {name}: {ENGINES if awaited else PLAIN}")
    name = getattr(found, "name", None) or path.stem
    try:
        return Loaded(found, NAME.validate_python(name))
    except ValidationError:
        rule = "must be 1 to 64 letters, digits, dots, dashes or underscores"
        raise InvalidStrategy(f"{path.name}: the strategy's name {rule}, was {str(name)[:64]!r}") from None


def _module(path: Path) -> ModuleType:
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
    except Exception as error:  # whatever somebody's code may raise
        raise InvalidStrategy(f"{path.name}: {_where(error, path)}{type(error).__name__}: {error}") from error
    return module


def _where(error: Exception, path: Path) -> str:
    """The last line of the file that was running."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f"line {lines[-1]}: " if lines else ""


def _strategy_of(module: ModuleType, path: Path) -> Strategy:
    if (given := getattr(module, "strategy", None)) is not None:
        if missing := _missing(given):
            raise InvalidStrategy(f"{path.name}: strategy: must have {', '.join(missing)}")
        return given  # type: ignore[no-any-return]
    own = [kind for kind in vars(module).values() if _is_strategy(kind, module)]
    if len(own) != 1:
        names = ", ".join(kind.__name__ for kind in own) or "none"
        raise InvalidStrategy(f"{path.name}: must have one Strategy class, or an object called strategy; has {names}")
    try:
        return own[0]()  # type: ignore[no-any-return]
    except Exception as error:
        raise InvalidStrategy(f"{path.name}: {own[0].__name__}(): {type(error).__name__}: {error}") from error


def _is_strategy(kind: object, module: ModuleType) -> bool:
    """Whether it is a class of the file's own that can be made and has the callbacks."""
    own = inspect.isclass(kind) and kind.__module__ == module.__name__
    return own and not inspect.isabstract(kind) and not _missing(kind)


def _missing(owner: object) -> list[str]:
    return [name for name in CALLBACKS if not callable(getattr(owner, name, None))]
