"""GTTs in the ledger: how they stand, which are not resolved, and which one an order came of."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.gtt.gtt import EXTERNAL, UNRESOLVED, GttIntent, GttLeg, GttStatus, TriggerId
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.gtt.view import GttView, view_of
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.broker_positions import same_share
from durable_orders.trading.ledger.gtt_orders import give_order_to
from durable_orders.trading.ledger.reading import views_for
from durable_orders.trading.ledger.rows import chunks, upsert
from durable_orders.trading.ledger.tables import gtts as table
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import BrokerOrderId

LATE_FOR = timedelta(days=7)
"""How long one that was found not to have been placed may turn up after all: as long as the list shows it."""
FROM_ITS_WORKFLOW = "the ledger was restored from before it was placed, and the broker's list was not read since"


def find_gtt(connection: sa.Connection, account: str, gtt_id: str) -> tuple[GttState, str] | None:
    """A GTT as it was last recorded, and the fingerprint of what was asked for."""
    asked = sa.select(table.c.state, table.c.fingerprint)
    row = connection.execute(asked.where(table.c.account == account, table.c.gtt_id == gtt_id)).one_or_none()
    return None if row is None else (_read(row.state), row.fingerprint)


def record_gtt(connection: sa.Connection, state: GttState, now: datetime) -> None:
    """Write down how it stands. A row of the broker's list that had been adopted, and is proved to be
    this one, is no other's, and what was asked of it goes on."""
    intent = state.intent
    if state.trigger_id is not None and not state.is_external and not state.is_unproved:
        state = _taken_over(connection, state)
    row = {
        "account": intent.account,
        "gtt_id": intent.gtt_id,
        "trigger_id": None if state.is_unproved else state.trigger_id,
        "strategy": intent.strategy,
        "symbol": intent.symbol,
        "status": state.status.value,
        "is_open": state.status.is_open,
        "fingerprint": intent.fingerprint(),
        "state": state.model_dump_json(),
        "created_at": state.created_at,
        "updated_at": now,
    }
    upsert(connection, table, [row])


def _taken_over(connection: sa.Connection, state: GttState) -> GttState:
    adopted = find_gtt(connection, state.intent.account, f"{EXTERNAL}{state.trigger_id}")
    if adopted is None:
        return state
    own = (table.c.account == state.intent.account) & (table.c.gtt_id == adopted[0].intent.gtt_id)
    connection.execute(sa.delete(table).where(own))
    goes_on = state.change is None and state.status.is_open
    return state.updated(change=adopted[0].change) if goes_on else state


def list_gtts(
    connection: sa.Connection, account: str, *, open_only: bool = False, limit: int | None = None
) -> list[GttState]:
    """The account's, newest first."""
    asked = sa.select(table.c.state).where(table.c.account == account)
    if open_only:
        asked = asked.where(table.c.is_open)
    asked = asked.order_by(table.c.created_at.desc(), table.c.gtt_id).limit(limit)
    return [_read(row) for row in connection.execute(asked).scalars()]


def known_gtts(connection: sa.Connection, account: str, shown: Iterable[TriggerId], now: datetime) -> list[GttState]:
    """Those that a list of the broker may concern: what it shows, what is open, and what may turn up late."""
    late = (table.c.status == GttStatus.REJECTED.value) & (table.c.created_at >= now - LATE_FOR)
    own = table.c.account == account
    found = {row.gtt_id: row.state for row in connection.execute(_select(own & (table.c.is_open | late)))}
    for ids in chunks(list(shown)):
        found |= {row.gtt_id: row.state for row in connection.execute(_select(own & table.c.trigger_id.in_(ids)))}
    return [_read(state) for state in found.values()]


def claimed_ids(connection: sa.Connection, account: str, other_than: str) -> set[str]:
    """The broker's ids of all GTTs but that one, and but those that were adopted: a ledger that was put back has
    forgotten whose they are. A human's word claims one, too."""
    others = (table.c.account == account) & (table.c.gtt_id != other_than) & ~table.c.gtt_id.startswith(EXTERNAL)
    asked = sa.select(table.c.trigger_id).where(others, table.c.trigger_id.is_not(None))
    unknown = connection.execute(_select(others & (table.c.status == GttStatus.UNKNOWN.value)))
    settled = (_read(row.state).trigger_id for row in unknown)
    return {*connection.execute(asked).scalars(), *(each for each in settled if each is not None)}


def put_back(connection: sa.Connection, ended: GttState, now: datetime) -> None:
    """Record what a GTT's workflow has ended with, where the ledger is older than that. What the broker's list has said
    since then stands; one that waited at the broker is UNKNOWN until that is read."""
    account, gtt_id = ended.intent.account, ended.intent.gtt_id
    known = find_gtt(connection, account, gtt_id)
    if known is not None and (known[0].status not in UNRESOLVED or known[0].trigger_id == ended.trigger_id is not None):
        return
    adopted = find_gtt(connection, account, f"{EXTERNAL}{ended.trigger_id}")
    state = ended
    if adopted is not None:
        seen = adopted[0]
        state = ended.updated(status=seen.status, legs=seen.legs, results=seen.results, expires_at=seen.expires_at)
    elif ended.status is GttStatus.ACTIVE:
        state = ended.updated(status=GttStatus.UNKNOWN, reasons=(FROM_ITS_WORKFLOW,))
    # what was asked of it by its end is long over; what the ledger has was asked since
    goes_on = known is not None and state.status.is_open
    state = state.updated(change=known[0].change if known is not None and goes_on else None)
    if ended.status not in UNRESOLVED:
        state = state.updated(is_settled=False)  # the list had shown that it is that row, and it may have changed since
    record_gtt(connection, state, now)
    for result in state.results:
        if result is not None and result.order_id is not None:
            give_order_to(connection, state, result.order_id)
    words = f"GTT {gtt_id}: {state.status}, found again after the ledger was restored: {ended.intent.summary()}"
    add_event(connection, account, EventType.GTT_UPDATED if state.trigger_id is None else EventType.ALERT, words, now)


def unresolved_gtt(connection: sa.Connection, intent: GttIntent) -> GttState | None:
    """Another GTT of the same symbol that was sent, and of which no list has shown what came of it."""
    own = (table.c.account == intent.account) & (table.c.symbol == intent.symbol) & table.c.is_open
    rows = connection.execute(_select(own & (table.c.gtt_id != intent.gtt_id)))
    return next((state for state in (_read(row.state) for row in rows) if state.is_unresolved), None)


def unresolved_gtts(connection: sa.Connection, account: str) -> list[GttState]:
    """All that a workflow has to follow: their placement has not come to an end."""
    states = list_gtts(connection, account, open_only=True)
    return [state for state in states if state.status is not GttStatus.ACTIVE]


def unknown_gtts(connection: sa.Connection, account: str) -> list[str]:
    """The ids of those of which it is not known what came of them, oldest first."""
    asked = sa.select(table.c.gtt_id).where(table.c.account == account, table.c.is_open)
    asked = asked.where(table.c.status == GttStatus.UNKNOWN.value).order_by(table.c.created_at, table.c.gtt_id)
    return list(connection.execute(asked).scalars())


def gtt_of_order(
    connection: sa.Connection, account: str, symbol: str, broker_order_id: BrokerOrderId, placed_at: datetime
) -> GttState | None:
    """The GTT that placed an order of the broker's book, by the broker's own word."""
    for state in _recent(connection, account, symbol, placed_at):
        if any(result is not None and result.order_id == broker_order_id for result in state.results):
            return state
    return None


def may_be_of_gtt(connection: sa.Connection, account: str, row: BrokerOrder) -> bool:
    """Whether a GTT would place just such an order, and what came of that one is not known."""
    return any(
        state.status in (GttStatus.ACTIVE, GttStatus.TRIGGERED) and not any(state.results) and places(state, row)
        for state in _recent(connection, account, row.symbol, row.placed_at)
    )


def waiting_beside(connection: sa.Connection, intent: GttIntent) -> int:
    """What the other open GTTs of its side, symbol and product may trade together: of each one leg, the greater one,
    also where it is not known whether it was changed. A share is one on either exchange."""
    is_open = (table.c.account == intent.account) & table.c.is_open
    others = is_open & table.c.symbol.in_(same_share(intent.symbol))
    states = [_read(row.state) for row in connection.execute(_select(others & (table.c.gtt_id != intent.gtt_id)))]
    alike = [each for each in states if (each.intent.side, each.intent.product) == (intent.side, intent.product)]
    return sum(max(leg.quantity for leg in _any_legs(state)) for state in alike)


def _any_legs(state: GttState) -> tuple[GttLeg, ...]:
    return state.legs if state.change is None else (*state.legs, *(state.change.legs or ()))


def triggered_untold(connection: sa.Connection, account: str, since: datetime) -> list[GttState]:
    """Those that have triggered since then, and whose order the ledger does not have."""
    own = (table.c.account == account) & (table.c.status == GttStatus.TRIGGERED.value) & (table.c.updated_at >= since)
    states = [_read(row.state) for row in connection.execute(_select(own))]
    ids = {result.order_id for state in states for result in state.results if result is not None and result.order_id}
    known = views_for(connection, account, tags=(), broker_order_ids=ids) if ids else []
    met = {str(each.broker_order_id) for each in known}

    def is_told(state: GttState) -> bool:
        results = [result for result in state.results if result is not None]
        return bool(results) and all(result.order_id is None or result.order_id in met for result in results)

    return [state for state in states if not is_told(state)]


def _recent(connection: sa.Connection, account: str, symbol: str, at: datetime) -> list[GttState]:
    """Those of a symbol that may have placed an order then."""
    own = (table.c.account == account) & (table.c.symbol == symbol)
    recent = table.c.is_open | (table.c.updated_at >= at - timedelta(days=1))
    return [_read(each.state) for each in connection.execute(_select(own & recent))]


def places(state: GttState, row: BrokerOrder) -> bool:
    """Whether the row is an order as the GTT would place it."""
    intent = state.intent
    if (row.side, row.product) != (intent.side, intent.product):
        return False
    return any((row.quantity, row.price) == (leg.quantity, leg.price) for leg in state.legs)


def _select(where: sa.ColumnElement[bool]) -> sa.Select[tuple[str, str]]:
    return sa.select(table.c.gtt_id, table.c.state).where(where)


def _read(state: str) -> GttState:
    return GttState.model_validate_json(state)


def gtt_views(connection: sa.Connection, account: str, states: Sequence[GttState]) -> list[GttView]:
    """They, for readers, with the orders that came of them."""
    ids = {result.order_id for state in states for result in state.results if result is not None and result.order_id}
    known = views_for(connection, account, tags=(), broker_order_ids=ids) if ids else []
    orders = {str(each.broker_order_id): (each.status, each.filled_quantity) for each in known}
    return [view_of(state, orders) for state in states]


def settle_gtt(
    connection: sa.Connection,
    account: str,
    gtt_id: str,
    trigger_id: TriggerId | None,
    evidence: str,
    now: datetime,
    window: timedelta,
) -> GttState:
    """A human says which row of the broker's list it is, or with `None` that it is none. `window` is the settle window.
    Raises `InvalidOrder`."""
    found = find_gtt(connection, account, gtt_id)
    if found is None or found[0].status is not GttStatus.UNKNOWN:
        raise InvalidOrder(f"{gtt_id}: it is not UNKNOWN any more")
    if trigger_id is None:
        state = found[0].said_to_be_none(evidence, now, window)
    elif trigger_id in claimed_ids(connection, account, gtt_id):
        raise InvalidOrder(f"trigger_id: {trigger_id} is another GTT's")
    else:
        state = found[0].said_to_be(trigger_id, evidence)
    record_gtt(connection, state, now)
    add_event(connection, account, EventType.GTT_UPDATED, f"GTT {gtt_id}: {state.reasons[0]}", now)
    return state
