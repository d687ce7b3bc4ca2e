"""Plans in the ledger: how they stand, which orders are theirs, and which of them a price concerns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.ledger.audit import orders_named
from durable_orders.trading.ledger.plan_gtts import gtt_exits
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import plans as table
from durable_orders.trading.ledger.tables import ticks
from durable_orders.trading.orders.order import Order, order_id
from durable_orders.trading.plans.kinds import (
    AnyIntent,
    AnyState,
    is_its_own,
    lines_state,
    read_state,
    refreshed,
    status_of,
    view_of,
)
from durable_orders.trading.plans.pieces import LineIntent, piece_name
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.state import PlanView, closing_id, entry_id, exit_id

AT_ONCE = 8
"""Exits of a leg that are looked up in one go: there are seldom more."""
MOST = 400
"""Names that are looked up in one statement."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Concerned:
    """An open plan that the last price of its symbol concerns."""

    plan_id: str
    price: Decimal


def find_plan(connection: sa.Connection, account: str, plan_id: str) -> tuple[AnyState, str] | None:
    """A plan as it was last recorded, and the fingerprint of what was asked for."""
    asked = sa.select(table.c.state, table.c.fingerprint)
    row = connection.execute(asked.where(table.c.account == account, table.c.plan_id == plan_id)).one_or_none()
    return None if row is None else (read_state(row.state), row.fingerprint)


def stored_view(connection: sa.Connection, account: str, plan_id: str) -> PlanView | None:
    """A plan for readers, with its orders as the ledger has them."""
    found = find_plan(connection, account, plan_id)
    return None if found is None else _view(connection, found[0])


def stored_views(
    connection: sa.Connection, account: str, *, open_only: bool = False, limit: int | None = None
) -> list[PlanView]:
    """The account's plans for readers, newest first."""
    return [_view(connection, state) for state in list_plans(connection, account, open_only=open_only, limit=limit)]


def views_of_strategy(connection: sa.Connection, account: str, strategy: str, *, open_only: bool) -> list[PlanView]:
    """A strategy's plans for readers, oldest first."""
    asked = sa.select(table.c.state).where(table.c.account == account, table.c.strategy == strategy)
    if open_only:
        asked = asked.where(table.c.is_open)
    rows = connection.execute(asked.order_by(table.c.created_at, table.c.plan_id)).scalars()
    return [_view(connection, read_state(row)) for row in rows]


def plan_ids_of(connection: sa.Connection, account: str, strategy: str) -> list[str]:
    """Of all plans that a strategy has ever started."""
    asked = sa.select(table.c.plan_id).where(table.c.account == account, table.c.strategy == strategy)
    return list(connection.execute(asked).scalars())


def _view(connection: sa.Connection, state: AnyState) -> PlanView:
    return view_of(refreshed(state, orders_of_plan(connection, state.intent)))


def receive_plan(connection: sa.Connection, state: AnyState, now: datetime) -> None:
    """Record a plan that is new."""
    connection.execute(sa.insert(table).values(**_row(state, None, None, now)))


def record_plan(
    connection: sa.Connection, state: AnyState, below: Decimal | None, above: Decimal | None, now: datetime
) -> None:
    """How it stands now, and the prices that concern it from now on. A ledger that was restored may not have it."""
    upsert(connection, table, [_row(state, below, above, now)])


def _row(state: AnyState, below: Decimal | None, above: Decimal | None, now: datetime) -> dict[str, object]:
    intent, status = state.intent, status_of(state)
    return {
        "account": intent.account,
        "plan_id": intent.plan_id,
        "strategy": intent.strategy,
        "symbol": intent.symbol if isinstance(intent, PlanIntent) else "",
        "fingerprint": intent.fingerprint(),
        "status": status.value,
        "is_open": not status.terminal,
        "state": state.model_dump_json(),
        "below": below,
        "above": above,
        "created_at": state.created_at,
        "updated_at": now,
    }


def list_plans(
    connection: sa.Connection, account: str, *, open_only: bool = False, limit: int | None = None
) -> list[AnyState]:
    """The account's plans, newest first."""
    asked = sa.select(table.c.state).where(table.c.account == account)
    if open_only:
        asked = asked.where(table.c.is_open)
    rows = connection.execute(asked.order_by(table.c.created_at.desc(), table.c.plan_id).limit(limit)).scalars()
    return [read_state(row) for row in rows]


def version_of(connection: sa.Connection, intent: AnyIntent) -> int | None:
    """How often the plan was recorded, as the ledger has it; `None` if it does not have it."""
    found = find_plan(connection, intent.account, intent.plan_id)
    return None if found is None else found[0].version


def open_plans(connection: sa.Connection, account: str) -> list[AnyIntent]:
    return [state.intent for state in list_plans(connection, account, open_only=True)]


def orders_of_plan(connection: sa.Connection, intent: AnyIntent) -> list[Order]:
    """All of a plan's orders that the ledger has."""
    return [order for order in orders_named_after(connection, intent) if is_its_own(intent, order)]


def orders_named_after(connection: sa.Connection, intent: AnyIntent) -> list[Order]:
    """The orders that have a name of the plan's, whoever has started them."""
    if not isinstance(intent, PlanIntent):
        closings = _numbered(connection, intent, lambda number: closing_id(intent.plan_id, number))
        return _of_lines(connection, intent) + closings
    found = _named(connection, intent, [entry_id(intent.plan_id)])
    for leg in range(1, len(intent.legs) + 1):
        found += _numbered(connection, intent, lambda number, leg=leg: exit_id(intent.plan_id, leg, number))  # type: ignore[misc]
    found += gtt_exits(connection, intent)
    return found + _numbered(connection, intent, lambda number: closing_id(intent.plan_id, number))


def _of_lines(connection: sa.Connection, intent: LineIntent) -> list[Order]:
    lines = range(1, len(lines_state(intent, _BEGINNING).pieces) + 1)
    found: list[Order] = []
    first, asked = 1, [*lines]
    while asked:  # only those lines go on that had all of the names before
        numbers = range(first, first + AT_ONCE)
        named = {piece_name(intent, line, number): line for line in asked for number in numbers}
        own = [*named]
        batch = [each for at in range(0, len(own), MOST) for each in _named(connection, intent, own[at : at + MOST])]
        found += batch
        asked = sorted({named[order.client_order_id] for order in batch})
        first += AT_ONCE
    return found


def _numbered(connection: sa.Connection, intent: AnyIntent, name: Callable[[int], str]) -> list[Order]:
    """A ledger that was restored may lack some of them, not so many in a row."""
    found: list[Order] = []
    for ids in _batches(name):
        batch = _named(connection, intent, ids)
        found += batch
        if not batch:
            break
    return found


def _batches(name: Callable[[int], str]) -> Iterator[list[str]]:
    first = 1
    while True:
        yield [name(number) for number in range(first, first + AT_ONCE)]
        first += AT_ONCE


def _named(connection: sa.Connection, intent: AnyIntent, ids: list[str]) -> list[Order]:
    return orders_named(connection, [order_id(intent.account, own) for own in ids])[0]


def concerned(connection: sa.Connection, account: str, after: datetime) -> list[Concerned]:
    """The open plans whose symbol has a last price at or beyond what they want to be told of, received after that
    moment."""
    reached = (ticks.c.last_price <= table.c.below) | (ticks.c.last_price >= table.c.above)
    same = (ticks.c.account == table.c.account) & (ticks.c.symbol == table.c.symbol)
    asked = (
        sa.select(table.c.plan_id, ticks.c.last_price)
        .join(ticks, same)
        .where(table.c.account == account, table.c.is_open, reached, ticks.c.received_at > after)
    )
    return [Concerned(*row) for row in connection.execute(asked)]
