"""Parameters that a strategy declares, so that a run can give others: `--set fast=5`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Generic, Self, TypeVar, overload

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.strategies.timers import moment_of

T = TypeVar("T")
WORDS = {"true": True, "false": False}


class Parameter(Generic[T]):
    """A value on a strategy's class, of the kind that its default is: a number, text, true or false, a time of day.

    class Cross(Strategy):
        fast = Parameter(10, least=2)
    """

    def __init__(self, default: T, *, least: T | None = None, most: T | None = None) -> None:
        """Raises `InvalidStrategy` for a default of another kind."""
        if type(default) not in _KINDS:
            kinds = ", ".join(kind.__name__ for kind in _KINDS)
            raise InvalidStrategy(f"a Parameter must be one of {kinds}; its default was {default!r:.40}")
        self.value: T = default
        self._kind: type = type(default)
        self._least: Any = least
        self._most: Any = most
        self.name = "parameter"

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        return self if instance is None else self.value

    def take(self, text: str) -> None:
        """Raises `InvalidStrategy` for what is no such value."""
        read, rule = _KINDS[self._kind]
        try:
            value = read(text)
        except (ValueError, KeyError, InvalidOperation, InvalidStrategy):
            raise InvalidStrategy(f"--set {self.name}: must be {rule}, was {text!r:.40}") from None
        if isinstance(value, Decimal | float) and not Decimal(value).is_finite():
            raise InvalidStrategy(f"--set {self.name}: must be finite, was {text!r:.40}")
        if self._least is not None and value < self._least:
            raise InvalidStrategy(f"--set {self.name}: must be at least {self._least}, was {text}")
        if self._most is not None and value > self._most:
            raise InvalidStrategy(f"--set {self.name}: must be at most {self._most}, was {text}")
        self.value = value


def _time(text: str) -> time:
    found = moment_of("--set", text)
    if not isinstance(found, time):
        raise ValueError(text)
    return found


_KINDS: Mapping[type, tuple[Callable[[str], Any], str]] = {
    bool: (lambda text: WORDS[text.lower()], "true or false"),
    int: (int, "a whole number"),
    float: (float, "a number"),
    Decimal: (Decimal, "a number"),
    str: (str, "text"),
    time: (_time, "a time of day, as in 9:20"),
}


def given_values(given: Sequence[str]) -> dict[str, str]:
    """Of words such as `fast=5`. Raises `InvalidStrategy`."""
    found = {}
    for words in given:
        name, equals, value = words.partition("=")
        if not equals or not name:
            raise InvalidStrategy(f"--set {words}: must be NAME=VALUE, as in fast=5")
        found[name] = value
    return found


def set_parameters(kind: type, given: Mapping[str, str]) -> None:
    """Before a strategy of that class is made. Raises `InvalidStrategy`, which says what parameters there are."""
    there = {name: each for name in dir(kind) if isinstance(each := getattr(kind, name, None), Parameter)}
    for name, text in given.items():
        if name not in there:
            near = get_close_matches(name, there, 1)
            meant = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(there) or 'none'}"
            raise InvalidStrategy(f"--set {name}: the strategy has no such parameter{meant}")
        there[name].take(text)
