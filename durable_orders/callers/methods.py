"""Calling a method of an object that somebody else wrote, under one of the names that it may have."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

Form = tuple[tuple[Any, ...], Mapping[str, Any]]


def method_of(owner: Any, *names: str) -> Callable[..., Any] | None:
    """The first of these methods that the object has."""
    for name in names:
        method = getattr(owner, name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]
    return None


def call_as(method: Callable[..., Any], *forms: Form) -> Any:
    """Call it with the first of these arguments that it takes. A call is made once. Raises `TypeError` if it takes none
    of them."""
    args, named = form_of(method, *forms)
    return method(*args, **named)


def form_of(method: Callable[..., Any], *forms: Form) -> Form:
    """The first of these arguments that it takes, read off its signature and not tried out. Raises `TypeError` if it
    takes none of them."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # something without a signature: the first form is the usual one
        return forms[0]
    for args, named in forms:
        try:
            signature.bind(*args, **named)
        except TypeError:
            continue
        return args, named
    name = getattr(method, "__qualname__", repr(method))
    raise TypeError(f"{name}{signature} takes none of the arguments that are known for it")
