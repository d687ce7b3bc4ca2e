"""Stops an account, and flattens it: `halt`, `resume`, risk flags.

What is said here stands in the ledger before anything else is done. A flatten is a workflow of the account's own, so it
goes on whatever becomes of whoever asked, and whoever asks again joins it.
"""

import asyncio
import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.answers import ENDED_FROM_OUTSIDE, domain_error, unreachable
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BrokenError, InvalidOrder
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.guardian.breakers import flag_raised
from durable_orders.trading.ledger.accounts import AccountState, Permission, permission_of, set_state
from durable_orders.trading.ledger.broker_positions import last_reading
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.delivery import moved_today
from durable_orders.trading.ledger.flags import RiskFlag, flags_of, record_cleared_flag
from durable_orders.trading.ledger.gtts import list_gtts
from durable_orders.trading.ledger.position_differences import Unexplained, unexplained
from durable_orders.trading.ledger.reading import list_orders, positions_of
from durable_orders.trading.ledger.state_files import StateFiles
from durable_orders.trading.orders.order import Frozen, Mode, Name, Product, Symbol
from durable_orders.trading.reconciliation.position_settling import held_by_ledger
from durable_orders.trading.reconciliation.positions import differences
from durable_orders.trading.reconciliation.taking_over import take_over
from durable_orders.workers.home import Home
from durable_orders.workflows import names

WATCH_SECONDS = 25.0
"""In which a watch that runs has read the positions twice."""
MOST_NAMED = 5
FLATTEN_SECONDS = 60.0
"""How long to wait for the end of a flatten by default. It goes on without the one who waits."""
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
    gtts: tuple[str, ...] = ()
    """The ids of the GTTs that wait at the broker: what those place goes past a halt."""
    flattened: FlattenResult | None = None
    """How a flatten ended, where that was asked for and has ended."""


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
        waiting = [state.intent.gtt_id for state in list_gtts(connection, account, open_only=True)]
    return _standing(account, permission, flags).model_copy(update={"gtts": tuple(waiting)})


def waiting_gtts(states: Sequence[GttState]) -> str:
    """What waits at the broker, in one line."""
    named = [f"{state.intent.gtt_id} ({state.status}, {state.intent.side} {state.intent.symbol})" for state in states]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    named = named[:MOST_NAMED]
    return f"{len(states)} GTTs wait at the broker, and may place their orders: {', '.join(named)}{more}"


def halt(database: Database, settings: Settings, reason: str, *, state: AccountState, who: str) -> Standing:
    """Let the account take no orders (HALTED), or only those that reduce a position (REDUCING), from now on.

    Raises `InvalidOrder` for a reason that says nothing.
    """
    set_state(database, settings.account, state, checked_reason(reason), datetime.now(UTC), who=who)
    return standing(database, settings.account)


def halt_without_a_ledger(home: Home, account: str, reason: str, *, state: AccountState, who: str) -> str:
    """The same where the ledger does not take it: a worker of this home enters it as soon as that can be. In words."""
    words = "the halt is not recorded, and orders are still taken"
    try:
        file = StateFiles(home.path).ask(account, Permission(state, reason, who, datetime.now(UTC)))
    except OSError as error:
        return f"{words}; nor can it be kept in the home ({error.strerror})"
    return f"{words} until a worker of this home, once the ledger answers, has read it in {file}"


def resume(database: Database, settings: Settings, reason: str, *, who: str) -> Standing:
    """Let the account trade again. Risk flags stay up: each is cleared by its name."""
    set_state(database, settings.account, AccountState.ACTIVE, reason, datetime.now(UTC), who=who)
    return standing(database, settings.account)


def raise_flag(database: Database, settings: Settings, name: str, reason: str, *, who: str) -> Standing:
    """Raise a risk flag. Raises `InvalidOrder` for a name or a reason that will not do."""
    flag = RiskFlag(_flag_name(name), checked_reason(reason), who, datetime.now(UTC))
    with database.write(settings.account) as connection:
        flag_raised(connection, settings.account, flag, settings.guardian.on_trip)
    return standing(database, settings.account)


def clear_flag(database: Database, settings: Settings, name: str, *, who: str) -> Standing:
    """Clear a risk flag. Raises `InvalidOrder` if it is not up."""
    with database.write(settings.account) as connection:
        was_up = record_cleared_flag(connection, settings.account, _flag_name(name), who, datetime.now(UTC))
    if not was_up:
        raise InvalidOrder(f"name: no risk flag {name} is up")
    return standing(database, settings.account)


def flatten_request(
    account: str,
    reason: str,
    who: str,
    *,
    symbol: str | None = None,
    product: Product | str | None = None,
    strategy: str | None = None,
) -> FlattenRequest:
    """To close what is held while the account goes on trading. Raises `InvalidOrder`, which names the field."""
    if product is not None and product not in list(Product):
        raise InvalidOrder(f"product: must be one of {', '.join(Product)}, was {product!r}")
    if symbol is not None and not _is(Symbol, symbol):
        raise InvalidOrder(f"symbol: must be an exchange and a tradingsymbol, as in NSE:INFY, was {symbol!r}")
    if strategy is not None and not _is(Name, strategy):
        raise InvalidOrder("strategy: may have letters, digits, dot, dash and underscore, at most 64")
    return FlattenRequest(
        account=account,
        reason=checked_reason(reason),
        who=who,
        flatten=True,
        until_resumed=False,
        symbol=symbol,
        strategy=strategy,
        products=None if product is None else (Product(product),),
    )


def must_be_in_a_book(connection: sa.Connection, request: FlattenRequest) -> None:
    """Raises `InvalidOrder` for a symbol of which neither the ledger nor the broker's last reading has anything."""
    account, symbol = request.account, request.symbol
    held = any(each.symbol == symbol and each.quantity for each in positions_of(connection, account))
    reading = last_reading(connection, account)
    at_broker = reading is not None and any(own == symbol for own, _ in reading.rows)
    if not (held or at_broker or list_orders(connection, account, symbol=symbol, open_only=True, limit=1)):
        raise InvalidOrder(f"symbol: nothing of {symbol} is held or open")


async def take_over_all(database: Database, settings: Settings, request: FlattenRequest) -> list[Unexplained]:
    """Before a flatten of all that the broker has: enter what the ledger does not know of it, as the account's watch
    has found it. What differs and does not count yet is waited for, as long as the watch needs at most.

    Raises `InvalidOrder` for a request of one strategy.
    """
    if request.strategy is not None:
        raise InvalidOrder("all: is of what the account does not know, and never of one strategy")

    def wanted(each: Unexplained) -> bool:
        closes = request.closes(Product(each.product), settings.guardian)
        return closes and request.symbol in (None, each.symbol)

    is_live = settings.execution.mode is Mode.LIVE
    until = asyncio.get_running_loop().time() + settings.placing.positions_window + WATCH_SECONDS
    while await asyncio.to_thread(partial(_is_pending, database, settings.account, is_of_one_day=is_live)):
        if asyncio.get_running_loop().time() > until:
            break
        await asyncio.sleep(0.2)
    return await asyncio.to_thread(take_over, database, settings.account, wanted, request.who, datetime.now(UTC))


def _is_pending(database: Database, account: str, *, is_of_one_day: bool) -> bool:
    """Whether something differs by the last reading that the watch has not put down yet."""
    with database.read() as connection:
        reading = last_reading(connection, account)
        if reading is None:
            return True
        moved = moved_today(connection, account, datetime.now(UTC)) if is_of_one_day else {}
        ours = held_by_ledger(connection, account)
        found = differences(ours, moved, reading, is_of_one_day=is_of_one_day)
        known = {each[:2] for each in unexplained(connection, account)}
    return any(each[:2] not in known for each in found)


Flattening = WorkflowHandle[object, FlattenResult]


async def flatten(client: Client, request: FlattenRequest, timeout: float = FLATTEN_SECONDS) -> FlattenResult | None:
    """Cancel what is open and close what is held, as asked; `None` if that takes longer than `timeout` seconds, and
    goes on.

    One flatten an account: asked again, the one that runs takes this in. One that is reset goes on as its next run.
    Raises `ServerUnreachable`, and `BrokenError` for one that was terminated.
    """
    within = asyncio.get_running_loop().time() + timeout
    try:
        async with asyncio.timeout_at(within):
            flattening = await flatten_asked(client, request)
    except TimeoutError:
        return None
    return await flattened(client, flattening, within - asyncio.get_running_loop().time())


async def flatten_asked(client: Client, request: FlattenRequest) -> Flattening:
    """Asked for: it goes on whatever becomes of whoever asked. Raises `ServerUnreachable`."""
    try:
        return await client.start_workflow(
            names.FLATTEN_WORKFLOW,
            request,
            id=names.flatten_id(request.account),
            task_queue=names.orders_queue(request.account),
            result_type=FlattenResult,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=names.JOIN,
            start_signal_args=[request],
            task_timeout=names.TASK_TIMEOUT,
            static_summary=names.flatten_summary(request.account, request.reason),
        )
    except RPCError as error:
        raise unreachable(error) from None


async def flattened(client: Client, handle: Flattening, timeout: float) -> FlattenResult | None:
    """How one ends that was asked for; `None` if that takes longer than `timeout` seconds. Raises as `flatten`."""
    try:
        async with asyncio.timeout(timeout):
            return await _result(client, handle)
    except TimeoutError:
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.DEADLINE_EXCEEDED:
            return None
        raise unreachable(error) from None


async def _result(client: Client, handle: Flattening) -> FlattenResult:
    while True:
        try:
            return await handle.result()
        except WorkflowFailureError as error:
            if not isinstance(error.cause, ENDED_FROM_OUTSIDE):
                raise domain_error(error.cause) from None
        latest = await client.get_workflow_handle(handle.id).describe()
        if latest.status is not WorkflowExecutionStatus.RUNNING:
            raise BrokenError("the flatten was ended from outside: something may be held yet, ask for it again")
        handle = client.get_workflow_handle(handle.id, run_id=latest.run_id, result_type=FlattenResult)


def _is(kind: Any, value: str) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


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
