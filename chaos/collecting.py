"""Reads the evidence: the exchange's tables, the ledger, the tally, and the files of the home."""

from collections.abc import Mapping
from itertools import groupby

import sqlalchemy as sa

from chaos.ground import Ground
from chaos.play import Played
from chaos.verdict import Evidence
from trading.ledger.reading import FeedEvent, events_after, list_orders, unsettled_orders

ALL = 1_000_000_000


async def evidence_of(ground: Ground, played: Played) -> Evidence:
    account = ground.orders.settings.account
    recorded = await ground.orders.read(lambda ledger: list_orders(ledger, account))
    return Evidence(
        account=account,
        intents=list(played.intents.values()),
        ended={order.order_id: order for order in played.ended.values()},
        ledger={order.order_id: order for order in recorded},
        events=await ground.orders.read(lambda ledger: _events(ledger, account)),
        unsettled=await ground.orders.read(lambda ledger: unsettled_orders(ledger, account)),
        positions=await ground.orders.positions(),
        rows=ground.venue.rows(),
        trades=ground.venue.trades(),
        their_positions=await ground.venue.positions(),
        tally=await ground.venue.tally(),
        secrets_in=ground.files_with_secrets(),
    )


def _events(ledger: sa.Connection, account: str) -> Mapping[str, list[FeedEvent]]:
    events = sorted(
        events_after(ledger, 0, account=account, limit=ALL), key=lambda event: (event.order_id, event.sequence)
    )
    return {own_id: list(group) for own_id, group in groupby(events, key=lambda event: event.order_id)}
