"""A caller's journal."""

from collections.abc import Mapping
from typing import Any

from durable_orders.callers.methods import method_of


def journal_row(journal: Any, row: Mapping[str, Any]) -> None:
    """Append it, by `append_orders`, or by `append_order` alone. What the journal raises goes on.

    Raises `TypeError` for a journal with neither.
    """
    if journal is None:
        return
    if (append := method_of(journal, "append_orders")) is not None:
        append([dict(row)])
    elif (append := method_of(journal, "append_order")) is not None:
        append(dict(row))
    else:
        raise TypeError(f"journal_store: a {type(journal).__name__} has no append_orders()")
