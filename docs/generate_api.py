"""Writes `api.md` from the docstrings of what strategies and scripts import: `python docs/generate_api.py`."""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import durable_orders
from durable_orders import checks
from durable_orders.trading import errors

TARGET = Path(__file__).with_name("api.md")
OURS = ("durable_orders",)

PAGE = """\
<!-- Written by docs/generate_api.py from the docstrings. Edit those, then run the script. -->

# API reference

What your code needs is imported from `durable_orders`, from `durable_orders.checks` and, for strategies of the older
in-process engine, from [`durable_orders.v2`](migrating-from-v2.md). Every other module may move at any time.

Money is `Decimal` rupees, times carry a zone. **A quantity is what Kite counts**: shares on NSE and BSE, units on NFO
and BFO (a whole number of lots), and *lots* on MCX, NCO, CDS and BCD. What goes wrong is one of the [errors](#errors).

## `durable_orders`: the client, its orders and its events

{client}

## `durable_orders`: what a strategy file is written against

{strategy}

## `durable_orders`: engines

{engines}

## `durable_orders.checks`: own rules of the guardian

{checks}

## `durable_orders`: the sandbox

{sandbox}

## Errors

All of them are in `durable_orders`. The family says what is known about the outside world.

{errors}
"""

SECTIONS = {
    "durable_orders.engines": "engines",
    "durable_orders.sandbox": "sandbox",
    "durable_orders.trading.errors": "errors",
    "durable_orders.trading.market.contracts": "strategy",
    "durable_orders.trading.market.shipped": "strategy",
    "durable_orders.trading.market.ticks": "strategy",
    "durable_orders.trading.strategies.parameters": "strategy",
    "durable_orders.trading.strategies.strategy": "strategy",
}
"""By the module that a name of `durable_orders` is from; all others are the client's."""


def render() -> str:
    names: dict[str, list[str]] = {}
    for module, own in durable_orders._MODULES.items():
        names.setdefault(SECTIONS.get(module, "client"), []).extend(own)
    parts = {
        section: "\n\n".join(_entry(name, getattr(durable_orders, name)) for name in sorted(names[section]))
        for section in ("client", "strategy", "engines", "sandbox")
    }
    rules = "\n\n".join(_entry(name, getattr(checks, name)) for name in checks.__all__)
    return PAGE.format(**parts, checks=rules, errors="\n".join(_errors(errors)))


def _entry(name: str, found: Any) -> str:
    """One name: a class with what it offers, or a function."""
    if not inspect.isclass(found):
        return f"### `{name}`\n\n" + (_text(found) if callable(found) else f"`{found!r}`")
    parts = [f"### `{name}`", _text(found)]
    if issubclass(found, Enum):
        parts.append("Values: " + ", ".join(f"`{member.name}`" for member in found) + ".")
        return "\n\n".join(part for part in parts if part)
    members: dict[str, str] = {}
    for kind in reversed([kind for kind in found.__mro__ if kind.__module__.split(".")[0] in OURS]):
        members |= dict(_members(kind))
    return "\n\n".join([part for part in parts if part] + (["\n".join(members.values())] if members else []))


def _members(kind: type) -> Iterator[tuple[str, str]]:
    """The public fields and methods that a class itself declares, each as an item of a list."""
    body = _source_of(kind).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_"):
            said = _string(after)
            yield node.target.id, _item(f"{node.target.id}: {ast.unparse(node.annotation)}", said)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node.name):
            yield node.name, _item(_signature(node, kind.__name__), ast.get_docstring(node) or "")


def _is_public(name: str) -> bool:
    return name == "__init__" or not name.startswith("_")


def _item(head: str, said: str) -> str:
    words = " ".join(said.split())
    return f"- `{head}`" + (f"  \n{textwrap.indent(words, '  ')}" if words else "")


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> str:
    if any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list):
        return f"{node.name}{_returns(node)[4:] and ': ' + _returns(node)[4:]}"
    given = ast.unparse(node.args).removeprefix("self, ").removeprefix("self").removeprefix("cls, ")
    waits = "await " if isinstance(node, ast.AsyncFunctionDef) and "Generator" not in _returns(node) else ""
    name = owner if node.name == "__init__" else node.name
    return f"{waits}{name}({given}){_returns(node)}"


def _returns(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    said = ast.unparse(node.returns).strip("'") if node.returns is not None else "None"
    return "" if said == "None" else f" -> {said}"


def _string(node: ast.stmt | None) -> str:
    """The docstring under a field."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return str(node.value.value) if is_text else ""  # type: ignore[union-attr]


def _source_of(kind: type) -> ast.ClassDef:
    for node in _tree(str(inspect.getsourcefile(kind))).body:
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            return node
    raise LookupError(kind)


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def _text(found: Any) -> str:
    """The docstring, with its indented part as a block of code."""
    lines = inspect.cleandoc(found.__doc__ or "").splitlines()
    blocks = groupby(lines, key=lambda line: line.startswith("    "))
    return "\n".join(_fenced(block) if is_code else "\n".join(block) for is_code, block in blocks).strip()


def _fenced(lines: Iterable[str]) -> str:
    code = textwrap.dedent("\n".join(lines))
    return f"```python\n{code}\n```"


def _errors(module: ModuleType) -> Iterator[str]:
    yield "| error | family | what it means, and what happens next |"
    yield "| --- | --- | --- |"
    for name, found in vars(module).items():
        if inspect.isclass(found) and found.__module__ == module.__name__:
            yield f"| `{name}` | `{found.__base__.__name__}` | {' '.join((found.__doc__ or '').split())} |"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
