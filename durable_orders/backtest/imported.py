"""Which files a strategy's file is made of: what it imports, and what that imports, without running any of it."""

import ast
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

OWN = "durable_orders"
"""Its version says what it is."""


def imported_files(file: Path) -> list[Path]:
    """The file, and every Python file that it imports, itself or through others, within functions too; by name.

    Of an installed package the file that is named is among them, and what that imports is not. Left out are Python's
    own modules, this package, and what has no Python file. What is imported by a name that is made while it runs is
    not seen, and neither are files that a strategy opens.
    """
    beside = str(file.resolve().parent)
    found: dict[Path, None] = {}
    waiting = [_Module(file.resolve(), "")]
    while waiting:
        module = waiting.pop()
        if module.file in found:
            continue
        found[module.file] = None
        if not is_installed(module.file):
            for name in module.imports():
                waiting += _modules(name, [beside, *sys.path])
    return sorted(found)


class _Module:
    """A file, and the package that it lies in."""

    def __init__(self, file: Path, package: str) -> None:
        self.file = file
        self._package = package

    def imports(self) -> Iterator[str]:
        """Full names; of `from a import b` also `a.b`, which may be a module. None of a file that is no Python."""
        try:
            tree = ast.parse(self.file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = self._package.split(".")[: self._package.count(".") + 2 - node.level] if node.level else []
                name = ".".join([*filter(None, above), *filter(None, [node.module])])
                yield from (f"{name}.{each.name}".strip(".") for each in node.names)


def _modules(name: str, path: Sequence[str]) -> Iterator[_Module]:
    """Of each part of a dotted name the file, as far as there is one."""
    parts, inside = name.split("."), path
    if parts[0] == OWN:
        return
    if parts[0] in sys.stdlib_module_names:
        inside = path[:1]  # a file beside the strategy goes before Python's own
    for end in range(1, len(parts) + 1):
        spec = _spec(".".join(parts[:end]), inside)
        if spec is None:
            return
        is_package = spec.submodule_search_locations is not None
        if spec.origin is not None and spec.origin.endswith(".py"):
            package = ".".join(parts[: end if is_package else end - 1])
            yield _Module(Path(spec.origin).resolve(), package)
        if not is_package:
            return
        inside = list(spec.submodule_search_locations or ())


def _spec(name: str, path: Sequence[str]) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(name, path)
    except (ImportError, ValueError):
        return None


def is_installed(file: Path) -> bool:
    """Whether it is of a package, or of Python, and not of somebody who works on it."""
    roots = (sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib"))
    return any(file.is_relative_to(Path(root).resolve()) for root in roots if root)
