"""Statements that are made once and run for every order, compiled once.

SQLAlchemy works out what a statement is each time that it is run, which takes several times as long as SQLite takes for
what an order asks of it. `prepared` marks one for which that is done once; on SQLite it then goes straight to the
driver, with the values converted by the same types, and with the same errors. Everywhere else, and while somebody
listens to the engine's statements, it is run as any other.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect, IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

S = TypeVar("S", bound=sa.Executable)
Convert = Callable[[Any], Any]
Parameters = Mapping[str, Any]

_PREPARED: dict[int, tuple[sa.Executable, dict[Any, "_Compiled | None"]]] = {}
"""By the statement's identity, which nothing else gets while it is kept here; then by the names of its parameters."""


def prepared(statement: S) -> S:
    """The same statement, to be compiled once. For what a module makes once: it is kept for good."""
    _PREPARED[id(statement)] = (statement, {})
    return statement


class PreparedConnection(sa.Connection):
    """A connection to SQLite that runs prepared statements without asking anew what they are."""

    @cached_property
    def _driver(self) -> sqlite3.Connection:
        driver = self.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError(f"not a connection of sqlite3: {driver!r}")
        return driver

    def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        known = _PREPARED.get(id(statement))
        if known is None or execution_options or self.engine.dispatch.before_cursor_execute:
            return super().execute(statement, parameters, execution_options=execution_options)
        many = isinstance(parameters, list | tuple) and parameters
        several: Sequence[Parameters] = parameters if many else [parameters or {}]
        compiled = _compiled(*known, self.dialect, several)
        try:
            values = compiled and [compiled.in_order(each) for each in several]
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            values = None  # SQLAlchemy says in its own words what is wrong with them
        if not compiled or not values:
            return super().execute(statement, parameters)
        try:
            return compiled.run(self._driver, values)
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance(
                compiled.sql, values, error, sqlite3.Error, dialect=self.dialect
            ) from error


class _Rows(IteratorResult[Any]):
    """What a statement gave."""

    def __init__(self, metadata: SimpleResultMetaData, rows: Iterator[Any], rowcount: int) -> None:
        super().__init__(metadata, rows)
        self.rowcount = rowcount


class _Bind(NamedTuple):
    """One value of a statement."""

    name: str | None
    """Of the parameter; `None` for what the statement says itself."""
    fixed: Any
    convert: Convert | None

    @classmethod
    def of(cls, bind: sa.BindParameter[Any], dialect: Dialect) -> "_Bind":
        convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
        return cls(bind.key if bind.required else None, bind.effective_value, convert)


class _Compiled:
    def __init__(self, compiled: SQLCompiler, dialect: Dialect, columns: Sequence[tuple[str, Any]]) -> None:
        self.sql = compiled.string
        self._metadata = SimpleResultMetaData([name for name, _ in columns])
        converters = [kind.dialect_impl(dialect).result_processor(dialect, None) for _, kind in columns]
        self._converters = [(at, convert) for at, convert in enumerate(converters) if convert is not None]
        own = {name: bind for bind, name in compiled.bind_names.items()}
        self._binds = [_Bind.of(own[name], dialect) for name in compiled.positiontup or ()]

    def in_order(self, given: Parameters) -> list[Any]:
        """The values of its parameters, as the driver takes them. Raises whatever is wrong with one."""
        ordered = []
        for name, fixed, convert in self._binds:
            value = fixed if name is None else given[name]
            ordered.append(value if convert is None else convert(value))
        return ordered

    def run(self, driver: sqlite3.Connection, values: Sequence[list[Any]]) -> _Rows:
        is_one = len(values) == 1
        cursor = driver.execute(self.sql, values[0]) if is_one else driver.executemany(self.sql, values)
        return _Rows(self._metadata, iter(self._converted(cursor.fetchall())), cursor.rowcount)

    def _converted(self, rows: list[Any]) -> list[Any]:
        if not self._converters:
            return rows
        converted = []
        for row in rows:
            values = list(row)
            for at, convert in self._converters:
                values[at] = convert(values[at])
            converted.append(tuple(values))
        return converted


def _compiled(
    statement: sa.Executable, known: dict[Any, _Compiled | None], dialect: Dialect, several: Sequence[Parameters]
) -> _Compiled | None:
    """For parameters of these names. `None` for a statement of which SQLAlchemy has more to do than to run it."""
    key = (len(several) > 1, *several[0])
    if key not in known:
        known[key] = _compile(statement, dialect, sorted(several[0]), many=len(several) > 1)
    return known[key]


def _compile(statement: Any, dialect: Dialect, names: Sequence[str], *, many: bool) -> _Compiled | None:
    compiled = statement.compile(dialect=dialect, column_keys=names, for_executemany=many)
    exported = getattr(statement, "exported_columns", None)
    columns = [(name, column.type) for name, column in exported.items()] if exported is not None else []
    has_more_to_do = (
        compiled.insert_prefetch or compiled.update_prefetch or compiled.post_compile_params,
        compiled.literal_execute_params or (many and columns),
    )
    return None if any(has_more_to_do) else _Compiled(compiled, dialect, columns)
