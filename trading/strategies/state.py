"""What a strategy keeps from one start to the next: small values that can be JSON."""

import json
import math
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from durable_orders.trading.errors import InvalidStrategy

LARGEST = 65_536
"""Characters of all of it as JSON."""


class State(MutableMapping[str, Any]):
    """A dictionary of text, numbers, true or false, None, lists, and dictionaries with text for keys.

    What is put in by reference may be changed in place: what counts is how it stands when the callback returns. A value
    that would not come back as it was raises `InvalidStrategy`, one line that says which and what to do.
    """

    def __init__(self, kept: str = "{}") -> None:
        """`kept` is what `written` gave."""
        self._values: dict[str, Any] = json.loads(kept)
        self._kept = kept
        self.touched = False
        """Whether anything was looked for since `written` was called."""

    def __getitem__(self, key: str) -> Any:
        self.touched = True
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise InvalidStrategy(f"state: a key must be text, was {key!r:.40}; str() makes it one")
        _must_come_back(f"state[{key!r}]", value)
        self.touched = True
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self.touched = True
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        self.touched = True
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    @property
    def held(self) -> Mapping[str, Any]:
        """What is in it, which nobody is seen to look at."""
        return self._values

    def written(self) -> str | None:
        """All of it as JSON, if it is another than when this was last asked; else `None`. Raises `InvalidStrategy`."""
        if not self.touched and not any(isinstance(value, list | dict) for value in self._values.values()):
            return None
        self.touched = False
        for key, value in self._values.items():
            _must_come_back(f"state[{key!r}]", value)
        text = json.dumps(self._values, sort_keys=True, separators=(",", ":"))
        if len(text) > LARGEST:
            raise InvalidStrategy(f"state: must be at most {LARGEST} characters as JSON, was {len(text)}: keep less")
        if text == self._kept:
            return None
        self._kept = text
        return text

    @property
    def kept(self) -> str:
        """As it was last written."""
        return self._kept


def _must_come_back(where: str, value: Any) -> None:
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidStrategy(f"{where}: must be a finite number, was {value}: keep None instead")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            _must_come_back(f"{where}[{number}]", each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise InvalidStrategy(f"{where}: a key must be text, was {key!r:.40}; str() makes it one")
            _must_come_back(f"{where}[{key!r}]", each)
    else:
        way = "as a list" if isinstance(value, tuple | set | frozenset) else "as text, with str()"
        raise InvalidStrategy(f"{where}: a {type(value).__name__} cannot be kept as JSON; keep it {way}")
