"""Orders of earlier days that the broker's book does not have any more: Kite's is of one day."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from trading.ledger import reservations
from trading.ledger.database import Database
from trading.ledger.reading import OpenView, open_views
from trading.market.calendar import IST
from trading.order import Account, BrokerOrderId, Mode, Status


@dataclass(frozen=True, slots=True)
class Gone:
    view: OpenView
    words: str
    amended: bool
    """Whether a change of it is on its way that the book never showed."""


class Rollover:
    """One live account's. A paper exchange keeps its whole book."""

    def __init__(self, account: Account, mode: Mode, database: Database) -> None:
        self._account = account
        self._mode = mode
        self._database = database
        self._missing: set[str] = set()

    @property
    def is_of_one_day(self) -> bool:
        """Whether the broker's book, trades and positions are those of the day."""
        return self._mode is Mode.LIVE

    def gone(self, ids: Collection[BrokerOrderId], now: datetime) -> list[Gone]:
        """Of the account's working orders, those of earlier days that a whole book with these ids does not have. It
        counts when it is seen in two books, some time apart. Blocks.
        """
        if not self.is_of_one_day:
            return []
        with self._database.read() as connection:
            missing = [view for view in open_views(connection, self._account) if _is_missing(view, ids, now)]
            again = [view for view in missing if view.order_id in self._missing]
            self._missing = {view.order_id for view in missing}
            return [_gone(connection, view) for view in again]


def _is_missing(view: OpenView, ids: Collection[BrokerOrderId], now: datetime) -> bool:
    """One that is PENDING or UNKNOWN looks for itself."""
    works = view.status in (Status.PLACED, Status.PARTIAL)
    is_of_today = view.created_at.astimezone(IST).date() == now.astimezone(IST).date()
    return works and not is_of_today and view.broker_order_id not in ids


def _gone(connection: sa.Connection, view: OpenView) -> Gone:
    stands = reservations.standing(connection, view.order_id)
    day = f"{view.created_at.astimezone(IST):%d %b %Y}"
    words = f"{view.broker_order_id} was placed on {day}, and the broker's book of today does not have it"
    return Gone(view, words, amended=stands is not None and stands.amended_quantity is not None)
