"""Signals that take whatever is sent: anybody can send any JSON to a workflow, from the Temporal UI or a terminal.

The SDK fails a workflow's task for good over one argument too many, so that the order stands still; of an argument of
the wrong type it tells its log alone. Here the workflow is told what was wrong with a message, and goes on.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from temporalio import workflow

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[None] | None])


class Reader(Protocol):
    """A workflow that hears of messages which do not fit."""

    def misread(self, words: str) -> None: ...


class Unfit(Exception):
    """The arguments cannot be those of the message, in a sentence without their values."""


class Parameter:
    """One argument of a handler, without `self`."""

    def __init__(self, declared: inspect.Parameter, hint: Any) -> None:
        self.name = declared.name
        self.default = declared.default
        self._reads: TypeAdapter[Any] = TypeAdapter(hint)

    @property
    def is_needed(self) -> bool:
        return self.default is inspect.Parameter.empty

    def read(self, value: Any) -> Any:
        """Raises `ValidationError`."""
        return self._reads.validate_python(value)


class Parameters:
    """What a handler takes."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        hints = get_type_hints(handler)
        _self, *declared = inspect.signature(handler).parameters.values()
        self._each = [Parameter(parameter, hints[parameter.name]) for parameter in declared]

    def fitted(self, sent: Sequence[Any]) -> tuple[list[Any], list[str]]:
        """The handler's arguments, and what had to be overlooked to have them. Raises `Unfit`."""
        overlooked = []
        if len(sent) > len(self._each):
            overlooked.append(f"{len(sent)} arguments, it takes {len(self._each) or 'none'}")
        taken = []
        for number, parameter in enumerate(self._each):
            try:
                if number >= len(sent) and parameter.is_needed:
                    raise Unfit(f"{parameter.name} is missing")
                taken.append(parameter.read(sent[number]) if number < len(sent) else parameter.default)
            except ValidationError as error:
                words = f"{parameter.name} cannot be read ({error.error_count()} problems)"
                if parameter.is_needed:
                    raise Unfit(words) from None
                overlooked.append(words)
                taken.append(parameter.default)
        return taken, overlooked


def signal(description: str, *, name: str | None = None) -> Callable[[Handler], Handler]:
    """As `workflow.signal`. The handler is called if what was sent can be made to fit: what is too much is left out,
    and a parameter that has a default falls back on it. `misread` is told of that, and of a message that was ignored.
    """

    def decorate(handler: Handler) -> Handler:
        own = name or handler.__name__
        parameters = Parameters(handler)

        def fitted(reader: Reader, sent: Sequence[Any]) -> list[Any] | None:
            try:
                taken, overlooked = parameters.fitted(sent)
            except Unfit as error:
                reader.misread(f"the signal {own} was ignored: {error}")
                return None
            if overlooked:
                reader.misread(f"the signal {own} did not fit, and was taken all the same: {'; '.join(overlooked)}")
            return taken

        def at_once(self: Reader, *sent: Any) -> None:
            if (taken := fitted(self, sent)) is not None:
                handler(self, *taken)

        async def awaited(self: Reader, *sent: Any) -> None:
            if (taken := fitted(self, sent)) is not None:
                await handler(self, *taken)  # type: ignore[misc]

        received = awaited if inspect.iscoroutinefunction(handler) else at_once
        # Not `functools.wraps`: the SDK would read the handler's own parameters, and decode what is sent by them.
        received.__name__, received.__doc__ = handler.__name__, handler.__doc__
        return workflow.signal(name=own, description=description)(received)  # type: ignore[return-value]

    return decorate
