"""A caller's state store: `load` or `load_checkpoint`, `save` or `save_checkpoint`."""

from collections.abc import Mapping
from typing import Any

from durable_orders.callers.methods import method_of


def state_of(store: Any) -> dict[str, Any]:
    """What the store has. Empty where there is no store, or no state yet.

    Whatever the store raises goes on: limits that depend on the state must not take it for empty. Raises `TypeError`
    for a store with neither method, and for a state that is no mapping.
    """
    if store is None:
        return {}
    load = method_of(store, "load", "load_checkpoint")
    if load is None:
        raise TypeError(f"state_store: a {type(store).__name__} has neither load() nor load_checkpoint()")
    state = load()
    if state is not None and not isinstance(state, Mapping):
        raise TypeError(f"state_store: the state must be a mapping, was a {type(state).__name__}")
    return dict(state or {})


def keep_state(store: Any, state: dict[str, Any]) -> None:
    """Give it to the store. Raises `TypeError` for one with neither method."""
    if store is None:
        return
    save = method_of(store, "save", "save_checkpoint")
    if save is None:
        raise TypeError(f"state_store: a {type(store).__name__} has neither save() nor save_checkpoint()")
    save(state)
