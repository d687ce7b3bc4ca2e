"""Who may do what: bearer tokens, and how often somebody may fail to show one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from durable_orders.trading.ledger.tokens import Role, token_of
from durable_orders.web.desk import Desk, desk_of
from durable_orders.web.problems import Problem


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may do."""

    name: str
    """For the record, as in `token robot`."""
    role: Role

    @property
    def who(self) -> str:
        return f"by {self.name}"

    @property
    def may_trade(self) -> bool:
        return self.role.includes(Role.TRADE)

    def must_be(self, role: Role) -> None:
        """Raises `Problem` (403)."""
        if not self.role.includes(role):
            raise Problem(HTTPStatus.FORBIDDEN, "ROLE", f"this takes the role {role}; {self.name} may {self.role}")


def refuse(desk: Desk, connection: HTTPConnection, detail: str) -> Problem:
    """The answer to a wrong secret: 401, and 429 once there were too many of them."""
    address = address_of(connection)
    if held := desk.throttle.held_for(address):
        words = f"too many wrong secrets; try again in {held} s"
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, "THROTTLED", words, retry_after=held)
    desk.throttle.failed(address)
    return Problem(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", detail)


def address_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else "unknown"


async def caller_of(connection: HTTPConnection) -> Caller:
    """Whose token came with it. Raises `Problem` (401, 429)."""
    desk = desk_of(connection)
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise refuse(desk, connection, "send `Authorization: Bearer TOKEN`, of `durable-orders token create`")
    found = await desk.read(lambda c: token_of(c, desk.settings.account, text.strip(), datetime.now(UTC)))
    if found is None:
        raise refuse(desk, connection, "this token is not known, has expired or was revoked")
    return Caller(f"token {found.name}", found.role)


def may(role: Role) -> Callable[..., object]:
    """The caller, who must have that role."""

    async def allowed(connection: HTTPConnection) -> Caller:
        caller = await caller_of(connection)
        caller.must_be(role)
        return caller

    return allowed


READER = [Depends(may(Role.READ))]
Proposer = Annotated[Caller, Depends(may(Role.PROPOSE))]
Trader = Annotated[Caller, Depends(may(Role.TRADE))]
Halter = Annotated[Caller, Depends(may(Role.HALT))]
