"""Stops an account, and gets it out of the market: `halt`, `resume`, risk flags.

What is said here stands in the ledger before anything else is done. Getting out is a workflow of the account's own, so
it goes on whatever becomes of whoever asked, and whoever asks again joins it.
"""

import asyncio
import getpass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from trading.errors import InvalidOrder, ServerUnreachable
from trading.guardian.breakers import flag_raised
from trading.ledger.accounts import AccountState, Permission, permission_of, set_state
from trading.ledger.database import Database
from trading.ledger.flags import RiskFlag, clear_flag, flags_of
from trading.order import Frozen, Name
from trading.settings import Settings
from trading.unwinding import Unwinding, Unwound
from workflows import names

UNWIND_SECONDS = 60.0
"""How long to wait for the end of an unwinding by default. It goes on without the one who waits."""
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]


class Flag(Frozen):
    """A risk flag that stands."""

    name: str
    reason: str
    who: str
    at: AwareDatetime


class Standing(Frozen):
    """How far an account may trade, and by whose word."""

    account: str
    state: AccountState
    reason: str = ""
    who: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    flags: tuple[Flag, ...] = ()
    unwound: Unwound | None = None
    """How getting out ended, where that was asked for and has ended."""


def operator() -> str:
    """Who sits at this terminal, for the record."""
    try:
        return f"by {getpass.getuser()}"
    except (KeyError, OSError):
        return "by hand"


def checked_reason(reason: str) -> str:
    """Raises `InvalidOrder` for one that says nothing, or too much."""
    try:
        return TypeAdapter(Reason).validate_python(reason)
    except ValidationError:
        raise InvalidOrder("reason: must say something, in at most 500 characters") from None


def standing(database: Database, account: str) -> Standing:
    """How the account stands now."""
    with database.read() as connection:
        permission, flags = permission_of(connection, account), flags_of(connection, account)
    return _standing(account, permission, flags)


def halt(database: Database, settings: Settings, reason: str, *, state: AccountState, who: str) -> Standing:
    """Let the account take no orders (HALTED), or only those that reduce a position (REDUCING), from now on.

    Raises `InvalidOrder` for a reason that says nothing.
    """
    set_state(database, settings.account, state, checked_reason(reason), datetime.now(UTC), who=who)
    return standing(database, settings.account)


def resume(database: Database, settings: Settings, reason: str, *, who: str) -> Standing:
    """Let the account trade again. Risk flags stay up: each is cleared by its name."""
    set_state(database, settings.account, AccountState.ACTIVE, reason, datetime.now(UTC), who=who)
    return standing(database, settings.account)


def put_flag(database: Database, settings: Settings, name: str, reason: str, *, who: str) -> Standing:
    """Raise a risk flag. Raises `InvalidOrder` for a name or a reason that will not do."""
    flag = RiskFlag(_flag_name(name), checked_reason(reason), who, datetime.now(UTC))
    with database.write() as connection:
        flag_raised(connection, settings.account, flag, settings.guardian.on_trip)
    return standing(database, settings.account)


def take_flag(database: Database, settings: Settings, name: str, *, who: str) -> Standing:
    """Clear a risk flag. Raises `InvalidOrder` if it is not up."""
    with database.write() as connection:
        was_up = clear_flag(connection, settings.account, _flag_name(name), who, datetime.now(UTC))
    if not was_up:
        raise InvalidOrder(f"name: no risk flag {name} is up")
    return standing(database, settings.account)


async def unwind(client: Client, request: Unwinding, timeout: float = UNWIND_SECONDS) -> Unwound | None:
    """Get the account out; `None` if that takes longer than `timeout` seconds, and goes on.

    One unwinding an account: asked again, the one that runs takes this in. Raises `ServerUnreachable`.
    """
    handle: WorkflowHandle[object, Unwound]
    try:
        handle = await client.start_workflow(
            names.UNWIND_WORKFLOW,
            request,
            id=names.unwind_id(request.account),
            task_queue=names.orders_queue(request.account),
            result_type=Unwound,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=names.JOIN,
            start_signal_args=[request],
            task_timeout=names.TASK_TIMEOUT,
            static_summary=f"Get account {request.account} out: {request.reason}"[:200],
        )
        async with asyncio.timeout(timeout):
            return await handle.result()
    except TimeoutError:
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.DEADLINE_EXCEEDED:
            return None
        raise ServerUnreachable(f"the Temporal server did not answer: {error.message}") from None


def _flag_name(name: str) -> str:
    try:
        return TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise InvalidOrder("name: may have letters, digits, dot, dash and underscore, at most 64") from None


def _standing(account: str, permission: Permission, flags: list[RiskFlag]) -> Standing:
    return Standing(
        account=account,
        state=permission.state,
        reason=permission.reason,
        who=permission.who,
        since=permission.since,
        until=permission.until,
        flags=tuple(Flag(name=flag.name, reason=flag.reason, who=flag.who, at=flag.at) for flag in flags),
    )
