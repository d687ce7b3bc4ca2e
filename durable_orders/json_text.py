"""One JSON for everybody: what the command line prints with `--json` is what the API answers."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python


def rupees(amount: Decimal | None) -> str:
    """To the paisa, and to four places where there is more to tell; empty for `None`."""
    if amount is None:
        return ""
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount:.4f}"


def json_text(value: BaseModel | Sequence[BaseModel] | Mapping[str, object], indent: int | None = None) -> str:
    """One JSON value. Rupees are strings, so that no paisa is lost, and always to the paisa."""
    adapter = TypeAdapter(list[BaseModel] if isinstance(value, Sequence) else type(value))
    plain = adapter.dump_python(value, serialize_as_any=True)  # type: ignore[arg-type]
    return json.dumps(plain, default=jsonable, indent=indent)


def jsonable(value: object) -> object:
    """For `json.dumps`: what it does not know itself, rupees to the paisa."""
    return rupees(value) if isinstance(value, Decimal) else to_jsonable_python(value)
