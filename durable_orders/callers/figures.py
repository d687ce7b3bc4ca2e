"""Figures and moments as the callers' objects write them: numbers of any kind, times as epoch or ISO 8601."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from durable_orders.trading.ist import IST

EPOCH_IN_MILLISECONDS = 100_000_000_000
"""From here on (the year 5138 in seconds) an epoch is one of milliseconds."""


def exact(value: Any, field: str) -> Decimal:
    """The number, where a float is the shortest decimal that gives it. Raises `ValueError` for what is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except (InvalidOperation, TypeError):
        raise ValueError(f"{field}: must be a number, was {value!r:.40}") from None
    if not number.is_finite():
        raise ValueError(f"{field}: must be finite, was {value!r:.40}")
    return number


def moment_of(value: Any) -> datetime | None:
    """An epoch in seconds or milliseconds, ISO 8601, or a datetime; `None` for anything else.

    A time without a zone is IST, as Kite's are. Taken for UTC, an old price would pass for one of the future.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value >= EPOCH_IN_MILLISECONDS else value, UTC)
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=IST) if value.tzinfo is None else value


def first_of(content: Any, *names: str) -> Any:
    """The first of these keys or attributes that is there and not `None`: 0 counts."""
    for name in names:
        value = content.get(name) if isinstance(content, Mapping) else getattr(content, name, None)
        if value is not None:
            return value
    return None


def section(config: Any, *path: str) -> Mapping[str, Any]:
    """A part of a configuration of nested mappings; empty where it is not there.

    Raises `ValueError` for a part that is no mapping: limits that cannot be read must not count as none.
    """
    found = config if config is not None else {}
    for number, name in enumerate(path, 1):
        found = first_of(found, name)
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            where = ".".join(path[:number])
            raise ValueError(f"{where}: must be a mapping, was {found!r:.40}")
    return found if isinstance(found, Mapping) else {}
