"""The names that settings have, and the words for those that are wrong."""

import difflib
from pathlib import Path
from types import GenericAlias
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from durable_orders.trading.config.sections import Section
from durable_orders.trading.explained import problems


def explained(root: type[BaseModel], error: ValidationError, file: Path | None) -> str:
    words = [
        f"{problem.field}: no such setting{_nearest(root, problem.field)}" if problem.is_unknown else str(problem)
        for problem in problems(error)
    ]
    return f"{file or 'settings'}: " + "; ".join(words)


MOST_NAMED = 12
"""Settings of a section that an error lists."""


def _nearest(root: type[BaseModel], key: str) -> str:
    """In the section where it stands, or else wherever that name is one."""
    *above, name = key.split(".")
    keys = all_keys(root)
    beside = {
        own[len(above)]
        for own in keys
        if len(own) > len(above) and all(each in (given, "*") for each, given in zip(own, above, strict=False))
    }
    if near := difflib.get_close_matches(name, beside, n=1):
        return f", did you mean {'.'.join((*above, near[0]))}?"
    elsewhere = {own[-1]: ".".join(own) for own in reversed(keys)}
    if near := difflib.get_close_matches(name, elsewhere, n=1, cutoff=0.75):
        return f", did you mean {elsewhere[near[0]]}?"
    there = sorted(beside - {"*"}) if above else []
    return f"; there is {', '.join(there)}" if 0 < len(there) <= MOST_NAMED else ""


def all_keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key that can be set, as its path. What stands under a name of the user's own has `*` for the name."""
    keys: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        sections = [kind for kind in (field.annotation, *get_args(field.annotation)) if _is_section(kind)]
        named = ("*",) if isinstance(field.annotation, GenericAlias) else ()
        inner = [key for kind in sections for key in all_keys(kind, (*above, name, *named))]
        keys += inner or [(*above, name)]
    return keys


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)
