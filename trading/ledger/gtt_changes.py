"""Changes of GTTs in the ledger: which were ever admitted, and which have not come to their end."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.gtt.gtt import GttChange
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.tables import gtt_changes as table


def was_admitted(connection: sa.Connection, account: str, change_id: str) -> bool:
    """Whether it is of a change that was there before, however that ended."""
    own = sa.exists().where(table.c.account == account, table.c.change_id == change_id)
    return bool(connection.execute(sa.select(own)).scalar_one())


def keep_admitted(connection: sa.Connection, asked: GttChange, change_id: str, at: datetime) -> None:
    """Remember it for good."""
    row = {"account": asked.account, "change_id": change_id, "gtt_id": asked.gtt_id, "asked_at": at}
    connection.execute(sa.insert(table), [row])


def open_changes(account: str, states: Iterable[GttState]) -> list[GttChange]:
    """Those of the account's open GTTs whose workflow has to go on, as that is started anew: nobody knows what came of
    them."""
    return [
        GttChange(
            account=account,
            gtt_id=state.intent.gtt_id,
            legs=state.change.legs,
            last_price=state.change.last_price,
            asked_at=state.change.asked_at,
            takes_up=state.change.change_id,
        )
        for state in states
        if state.change is not None
    ]
