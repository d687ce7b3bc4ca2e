"""The three commands of a ticker's client (Kite documentation, WebSocket streaming)."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from durable_orders.sandbox.packets import TickMode

MAX_TOKENS = 3000
"""On one connection."""


class Subscribe(BaseModel):
    a: Literal["subscribe"]
    v: list[int]


class Unsubscribe(BaseModel):
    a: Literal["unsubscribe"]
    v: list[int]


class SetMode(BaseModel):
    a: Literal["mode"]
    v: tuple[TickMode, list[int]]


Command: TypeAdapter[Subscribe | Unsubscribe | SetMode] = TypeAdapter(
    Annotated[Subscribe | Unsubscribe | SetMode, Field(discriminator="a")]
)


class CommandError(Exception):
    """A command that cannot be followed. It changes nothing; its text is for the client."""


def subscribed(modes: dict[int, TickMode], text: str) -> list[int]:
    """Follow a command in `modes` (by instrument token), and give the tokens whose quote is now due.

    Subscribing begins in mode quote. A mode is set only of what is subscribed.
    """
    try:
        command = Command.validate_json(text)
    except ValidationError:
        raise CommandError("Invalid message.") from None
    if isinstance(command, Subscribe):
        if len(modes.keys() | set(command.v)) > MAX_TOKENS:
            raise CommandError(f"At most {MAX_TOKENS} instruments on one connection.")
        modes.update(dict.fromkeys(command.v, TickMode.QUOTE))
        return command.v
    if isinstance(command, Unsubscribe):
        for token in command.v:
            modes.pop(token, None)
        return []
    mode, tokens = command.v
    chosen = [token for token in tokens if token in modes]
    modes.update(dict.fromkeys(chosen, mode))
    return chosen
