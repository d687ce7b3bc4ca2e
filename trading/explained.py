"""Why an order, or a change of one, cannot be expressed: every field that is wrong, and the rule it breaks."""

import re
from typing import Any

from pydantic import ValidationError

from trading.errors import InvalidOrder

NAME_RULE = "must be 1 to 64 letters, digits, dots, dashes or underscores"
PATTERN_RULES = {
    "symbol": "must be an exchange and a tradingsymbol, as in NSE:INFY",
    "account": NAME_RULE,
    "client_order_id": NAME_RULE,
    "strategy": NAME_RULE,
}
SHOWN = 40
"""Characters of a wrong value that an error repeats."""


def explained(error: ValidationError) -> InvalidOrder:
    """All of it on one line."""
    return InvalidOrder("; ".join(_sentence(dict(problem)) for problem in error.errors(include_url=False)))


def _sentence(problem: dict[str, Any]) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if not field or (problem["type"] == "value_error" and isinstance(problem["input"], dict)):
        return str(problem["msg"]).removeprefix("Value error, ")
    rule = re.sub(r"^\w+( \w+)? should ", "must ", problem["msg"])
    if problem["type"] == "string_pattern_mismatch":
        rule = PATTERN_RULES.get(field, "must not hold a NUL")
    return f"{field}: {rule}, was {_shown(problem['input'])}"


def _shown(value: Any) -> str:
    """A number as it is; a text in quotes, so that a blank or a control character in it can be seen."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(str(value))} characters)"
