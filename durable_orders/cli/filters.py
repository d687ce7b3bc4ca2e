"""Options that leave only a part: of a symbol, a strategy, an account."""

from typing import Any

import typer
from pydantic import TypeAdapter, ValidationError

from durable_orders.trading.explained import NAME_RULE, PATTERN_RULES
from durable_orders.trading.orders.order import Name, Symbol


def of_symbol(text: str | None) -> str | None:
    """In capitals, as symbols are."""
    return _fitting("--symbol", None if text is None else text.upper(), Symbol, PATTERN_RULES["symbol"])


def named(option: str, text: str | None) -> str | None:
    return _fitting(option, text, Name, NAME_RULE)


def _fitting(option: str, text: str | None, kind: Any, rule: str) -> str | None:
    """The text, which must be what it is to be compared with: nobody should read "nothing" for a misspelt symbol."""
    if text is None:
        return None
    try:
        return str(TypeAdapter[str](kind).validate_python(text))
    except ValidationError:
        raise typer.BadParameter(f"{rule}, was {text[:40]!r}", param_hint=f"'{option}'") from None
