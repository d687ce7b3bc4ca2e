"""Reads the evidence: the exchange's tables, the ledger, the tally, and the files of the home."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import sqlalchemy as sa

from chaos.ground import Ground
from chaos.operators import Act
from chaos.play import Played
from chaos.venue import Row, Trade
from chaos.verdict import Evidence
from durable_orders.trading.ledger.reading import FeedEvent, events_after, list_orders, unsettled_orders
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import tag_of
from durable_orders.trading.orders.tags import of_order

BY_WEIGHT = tuple(BookState)
"""WORKING, then COMPLETE, CANCELLED, EXPIRED and REJECTED."""
ALL = 1_000_000_000


async def evidence_of(ground: Ground, played: Played, longest_stall: float) -> Evidence:
    account = ground.orders.settings.account
    intents, heads = list(played.intents.values()), ground.venue.heads()
    asked = {of_order(tag_of(intent.order_id)): intent.quantity for intent in intents}
    recorded = await ground.orders.read(lambda ledger: list_orders(ledger, account))
    return Evidence(
        account=account,
        intents=intents,
        ended={order.order_id: order for order in played.ended.values()},
        ledger={order.order_id: order for order in recorded},
        events=await ground.orders.read(lambda ledger: _events(ledger, account)),
        unsettled=await ground.orders.read(lambda ledger: unsettled_orders(ledger, account)),
        positions=await ground.orders.positions(),
        rows=as_one(ground.venue.rows(), heads, asked),
        trades=[_of_head(trade, heads) for trade in ground.venue.trades()],
        their_positions=await ground.venue.positions(),
        tally=await ground.venue.tally(),
        halts=played.halts,
        ledger_went_back=any(played.done[act] for act in (Act.RESTORE_LEDGER, Act.RESTORE_BOTH)),
        secrets_in=ground.files_with_secrets(),
        longest_stall=longest_stall,
    )


def as_one(rows: Sequence[Row], heads: Mapping[str, str], asked: Mapping[str, int]) -> list[Row]:
    """What Kite made of one order, as the order that was asked for; `asked` are the quantities by order."""
    families: dict[str, list[Row]] = {}
    for row in rows:
        families.setdefault(heads.get(row.broker_order_id, row.broker_order_id), []).append(row)
    split = set(heads.values())
    return [
        _merged(family, asked.get(of_order(family[0].tag or ""), 0)) if head in split else family[0]
        for head, family in families.items()
    ]


def _of_head(trade: Trade, heads: Mapping[str, str]) -> Trade:
    return replace(trade, broker_order_id=heads.get(trade.broker_order_id, trade.broker_order_id))


def _merged(family: Sequence[Row], quantity: int) -> Row:
    """It works while a part does; it is COMPLETE when all was traded, else what a part of it came to."""
    filled = sum(row.filled_quantity for row in family)
    states = [state for state in BY_WEIGHT if state in {row.state for row in family}]
    over = BookState.COMPLETE if filled == quantity else BookState.REJECTED
    state = next((state for state in states if state is not BookState.COMPLETE), over)
    return replace(family[0], quantity=quantity, filled_quantity=filled, state=state)


def _events(ledger: sa.Connection, account: str) -> Mapping[str, list[FeedEvent]]:
    events = sorted(
        events_after(ledger, 0, account=account, limit=ALL), key=lambda event: (event.order_id, event.sequence)
    )
    return {order_id: list(group) for order_id, group in groupby(events, key=lambda event: event.order_id)}
