"""What is wrong with input: every field, and the rule that it breaks, out of pydantic's error."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from durable_orders.trading.errors import InvalidOrder

NAME_RULE = "must be 1 to 64 letters, digits, dots, dashes or underscores"
PATTERN_RULES = {
    "symbol": "must be an exchange and a tradingsymbol, as in NSE:INFY",
    "account": NAME_RULE,
    "client_order_id": NAME_RULE,
    "plan_id": NAME_RULE.replace("64", "48"),
    "strategy": NAME_RULE,
    "root": "must be an address without a path, as in https://api.kite.trade",
    "ws_root": "must be an address without a path, as in wss://ws.kite.trade",
    "login_root": "must be an address, as in https://kite.zerodha.com/connect/login",
    "route_prefix": "must be empty, or a slash and small letters, as in /oms",
}
TYPE_RULES = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must hold `key: value`"),
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_type": "must be a number",
    "bool_parsing": "must be true or false",
    "path_type": "must be a path",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "missing": "must be given",
}
"""Where pydantic speaks of its own types, in words of a settings file."""
NAMED = re.compile(r"([a-z][a-z0-9_.]*): ")
"""How a rule about several fields names the one that is wrong."""
SHOWN = 40
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One field, and what is wrong with it. The value is not in it: it may be a secret."""

    path: tuple[str, ...]
    """Empty where the input as a whole is wrong."""
    rule: str
    """What it breaks. A pattern is told in words: it is nothing that a reader should have to work out."""
    is_unknown: bool = False
    """There is no such field."""

    @property
    def field(self) -> str:
        return ".".join(self.path)

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}" if self.path else self.rule


def problems(error: ValidationError) -> list[Problem]:
    """All that is wrong, in the order of the fields."""
    return [_problem(problem) for problem in causes(map(dict, error.errors(include_url=False, include_input=False)))]


def explained(error: ValidationError) -> InvalidOrder:
    """All that is wrong with an order, on one line, with the values."""
    found = causes(map(dict, error.errors(include_url=False)))
    return InvalidOrder("; ".join(problem_words(problem) for problem in found))


def causes(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of pydantic's errors, those that are not the consequence of others: a list is too short, too, for each part of it
    that cannot be read."""
    told = list(found)
    places = [each["loc"] for each in told]
    return [each for each in told if each["type"] != "too_short" or not any(_is_in(at, each["loc"]) for at in places)]


def _is_in(place: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


def field_of(problem: dict[str, Any]) -> str:
    """The field that one of pydantic's is about: a rule about several fields names it in its words."""
    found = _problem(problem)
    named = NAMED.match(found.rule) if _names_itself(problem) else None
    return ".".join((*found.path, named[1])) if named is not None else found.field


def _problem(problem: dict[str, Any]) -> Problem:
    path = tuple(str(part) for part in problem["loc"])
    words = str(problem["msg"]).removeprefix("Value error, ")
    rule = TYPE_RULES.get(problem["type"]) or re.sub(r"^\w+( \w+)? should ", "must ", words)
    if problem["type"] == "string_pattern_mismatch":
        rule = PATTERN_RULES.get(path[-1], "must not hold a NUL")
    return Problem(path, rule, problem["type"] == "extra_forbidden")


def problem_words(problem: dict[str, Any]) -> str:
    """One of pydantic's, on one line, with the value. A rule about several fields names them itself."""
    found = _problem(problem)
    if not found.path or _names_itself(problem):
        return found.rule
    if problem["type"] == "missing":
        return str(found)
    return f"{found.field}: {found.rule}, was {_shown(problem['input'])}"


def _names_itself(problem: dict[str, Any]) -> bool:
    return problem["type"] == "value_error" and isinstance(problem["input"], dict)


def _shown(value: Any) -> str:
    """A number as it is; a text in quotes, so that a blank or a control character in it can be seen."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(str(value))} characters)"
