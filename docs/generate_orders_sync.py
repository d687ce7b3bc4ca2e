"""Writes `durable_orders/orders_sync.py` from `orders.py` and `order_handle.py` beside it.

The two can only say the same: each public coroutine of the client becomes a call that waits for it, under the same
name, with the same arguments and the same docstring.
"""

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "durable_orders" / "orders.py"
HANDLE = SOURCE.with_name("order_handle.py")
TARGET = SOURCE.with_name("orders_sync.py")
BY_HAND = {"open", "close", "follow"}
"""Methods that the template has: they need more than to be waited for."""
ASYNC_ONLY = {"connect", "over", "feed", "not_started", "read"}
"""Methods for code that has an event loop of its own."""

TEMPLATE = '''\
"""The same client for scripts and notebooks: every call waits for its answer.

Written by docs/generate_orders_sync.py from orders.py and order_handle.py. Edit those, then run the script.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from durable_orders.background import BackgroundLoop
{imports}


class OrderHandleSync:
    """One order, by its id."""

    def __init__(self, loop: BackgroundLoop, handle: OrderHandle) -> None:
        self.order_id = handle.order_id
        self._loop = loop
        self._handle = handle

{handle}


class OrdersSync:
    """Places and follows the orders of one account, from any number of threads, also where an event loop runs.

        with OrdersSync() as orders:
            order = orders.buy("NFO:NIFTY25MAYFUT", 75).result()

    Each call is that of `Orders`.
    """

    def __init__(self, home: Path | str | None = None, config: Path | str | None = None) -> None:
        """As `Orders`. Connects with `open`, or at the beginning of a `with`."""
        self._orders = Orders(home, config)
        self._loop = BackgroundLoop("durable-orders")

    def open(self) -> Self:
        """{open}"""
        self._loop.run(self._orders.open())
        return self

    def close(self) -> None:
        """Disconnect, and end the thread. Orders are not touched by that. Closing twice is fine."""
        with closing(self._loop):
            if self._loop.is_open:
                self._loop.run(self._orders.close())

    def __enter__(self) -> Self:
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def follow(self, after: int | None = None) -> Generator[Event, None, None]:
        """{follow}"""
        events = self._orders.follow(after)
        try:
            while True:
                yield self._loop.run(events.__anext__())
        finally:
            self._loop.run(events.aclose())

{orders}

    def _of(self, handle: OrderHandle) -> OrderHandleSync:
        return OrderHandleSync(self._loop, handle)
'''

Method = ast.FunctionDef | ast.AsyncFunctionDef


def render() -> str:
    client, of_order = (ast.parse(file.read_text(encoding="utf-8")) for file in (SOURCE, HANDLE))
    handle, orders = _methods(of_order, "OrderHandle"), _methods(client, "Orders")
    text = TEMPLATE.format(
        imports="\n".join([_imports(client, "orders"), _imports(of_order, "order_handle")]),
        handle="\n\n".join(_waiting(method, "_handle") for method in handle.values() if _is_offered(method)),
        orders="\n\n".join(_waiting(method, "_orders") for method in orders.values() if _is_offered(method)),
        open=_said(orders["open"]),
        follow=_said(orders["follow"]),
    )
    return _formatted(text)


def _methods(tree: ast.Module, name: str) -> dict[str, Method]:
    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return {node.name: node for node in found.body if isinstance(node, Method)}


def _is_offered(method: Method) -> bool:
    is_property = any(isinstance(each, ast.Name) and each.id == "property" for each in method.decorator_list)
    return not (method.name.startswith("_") or is_property or method.name in BY_HAND | ASYNC_ONLY)


def _waiting(method: Method, inner: str) -> str:
    given = ast.unparse(method.args)
    gives = ast.unparse(method.returns).strip("'") if method.returns is not None else "None"
    call = f"self.{inner}.{method.name}({', '.join(_passed(method.args))})"
    call = f"self._loop.run({call})" if isinstance(method, ast.AsyncFunctionDef) else call
    call = f"self._of({call})" if gives == "OrderHandle" else call
    gives = gives.replace("OrderHandle", "OrderHandleSync")
    body = f'def {method.name}({given}) -> {gives}:\n    """{_said(method)}"""\n    return {call}'
    return textwrap.indent(body, "    ")


def _said(method: Method) -> str:
    """The docstring, as far in as the body of a function at the margin."""
    return textwrap.indent(ast.get_docstring(method) or "", "    ").strip() + _end(method)


def _end(method: Method) -> str:
    return "\n    " if "\n" in (ast.get_docstring(method) or "") else ""


def _passed(arguments: ast.arguments) -> Iterator[str]:
    yield from (each.arg for each in arguments.args if each.arg != "self")
    yield from (f"{each.arg}={each.arg}" for each in arguments.kwonlyargs)
    if arguments.kwarg is not None:
        yield f"**{arguments.kwarg.arg}"


def _imports(tree: ast.Module, module: str) -> str:
    """Whatever the client imports may stand in a signature; what does not is taken out again."""
    every = [ast.unparse(node) for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import)]
    targets = [each for node in tree.body if isinstance(node, ast.Assign) for each in node.targets]
    constants = [each.id for each in targets if isinstance(each, ast.Name)]
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    own = ", ".join([*classes, *(each for each in constants if each.isupper())])
    return "\n".join([*every, f"from durable_orders.{module} import {own}"])


def _formatted(text: str) -> str:
    """By ruff, as everything here, without the imports that nothing needs."""
    where = ["--stdin-filename", str(TARGET), "-"]
    commas = [
        "--config",
        "lint.isort.split-on-trailing-comma=false",
        "--config",
        "format.skip-magic-trailing-comma=true",
    ]
    for words in (["check", "--fix", "--quiet", "--select", "F401,I", *commas], ["format", "--quiet", *commas]):
        command = [sys.executable, "-m", "ruff", *words, *where]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
