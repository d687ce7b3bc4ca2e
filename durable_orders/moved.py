"""Says where a name is imported from now, to code that was written for version 0.1 and its packages.

Those were `trading`, `sandbox` and others, at the top. They are not installed any more: a user's own may be called so.
"""

import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast

PUBLIC, CHECKS = "durable_orders", "durable_orders.checks"
MOVED = {
    "sandbox": PUBLIC,
    "trading.bus": PUBLIC,
    "trading.errors": PUBLIC,
    "trading.events": PUBLIC,
    "trading.guardian.check": CHECKS,
    "trading.guardian.situation": CHECKS,
    "trading.ledger.positions": PUBLIC,
    "trading.ledger.reading": PUBLIC,
    "trading.market.instruments": CHECKS,
    "trading.market.shipped": PUBLIC,
    "trading.market.ticks": PUBLIC,
    "trading.order": PUBLIC,
    "trading.settlement": PUBLIC,
    "trading.strategy": PUBLIC,
}
"""What strategies and scripts imported, and where its names are. CHANGELOG.md has every module."""
RENAMED = {"Desk": "StrategyContext", "Situation": "CheckContext"}
"""Names of before, and what they are called now."""
PARTS = frozenset(".".join(module.split(".")[:count]) for module in MOVED for count in range(1, module.count(".") + 2))
"""What Python looks for on its way to one of them."""


class OldImports:
    """A finder that is asked last, so only for what nobody has. It finds nothing: it answers an old import with the
    new one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.removeprefix("durable_orders.") in PARTS:
            for words in _said_now(sys._getframe(1)):
                raise ModuleNotFoundError(words, name=fullname)
        return None


def not_by_itself(package: str) -> ImportError:
    """For one of our own packages that is about to be imported by its short name, as a checkout's root would allow:
    each module would be there twice then."""
    words = next(_said_now(sys._getframe(2)), f"import durable_orders.{package} instead of {package}")
    return ImportError(words, name=package)


def _said_now(frame: FrameType | None) -> Iterator[str]:
    """What the statement that imports would have to be. Nothing if it is none of those, or cannot be read."""
    import ast  # seldom needed, and this module is loaded with the package
    import linecache

    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    if frame is None:
        return
    try:
        statements = ast.walk(ast.parse("".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))))
    except SyntaxError:
        return
    for statement in statements:
        if isinstance(statement, ast.ImportFrom | ast.Import) and statement.lineno == frame.f_lineno:
            yield from _rewritten(statement)


def _rewritten(statement: "ast.ImportFrom | ast.Import") -> Iterator[str]:
    import ast

    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if (new := _new_home(alias.name)) is not None:
                yield f"`import {alias.name}`: its names are in `{new}` now"
    elif statement.level == 0 and (new := _new_home(statement.module or "")) is not None:
        names = ", ".join(_said_of(alias) for alias in statement.names)
        was = ast.unparse(statement).partition(" import ")[2]
        yield f"`from {statement.module} import {was}` is `from {new} import {names}` now"


def _said_of(alias: "ast.alias") -> str:
    name = RENAMED.get(alias.name, alias.name)
    known_as = alias.asname or alias.name
    return name if name == known_as else f"{name} as {known_as}"


def renamed(module: str, name: str) -> Exception:
    """For a name that one of the public modules does not have."""
    if name in RENAMED:
        return ImportError(f"{name} is called {RENAMED[name]} now: `from {module} import {RENAMED[name]} as {name}`")
    return AttributeError(f"module {module!r} has no attribute {name!r}")


def _new_home(module: str) -> str | None:
    return MOVED.get(module.removeprefix("durable_orders."))
