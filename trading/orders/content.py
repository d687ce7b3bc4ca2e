"""What is said of a plan or a GTT in words, and what makes two of them the same one."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field

Why = Annotated[str, Field(max_length=300, pattern=r"^[^\x00]*$")]
"""A reason, in the words of whoever asked."""


def fingerprint_of(content: Mapping[str, Any]) -> str:
    """Equal for equal content, however its prices were written."""
    return sha256(repr(_normal(content)).encode()).hexdigest()[:32]


def _normal(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value.normalize())
    if isinstance(value, Mapping):
        return {name: _normal(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)
