"""The activities of an evening: the day is closed, or an alert says that it was not."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_orders.activities.day_close import DayClose
from durable_orders.trading.errors import DayNotOver
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.order import Account


class DayClosing:
    """One account's. Its methods block."""

    def __init__(self, account: Account, database: Database, closing: Callable[[], DayClose]) -> None:
        """`closing` makes what closes a day; only then is the broker's client needed."""
        self._account = account
        self._database = database
        self._closing = closing

    @activity.defn
    def close_day(self, day: str) -> str:
        """Raises what `DayClose.close` does."""
        closing, chosen = self._closing(), date.fromisoformat(day)
        if closing.is_idle(chosen):
            return f"{day} is no trading day, and nothing was ordered"
        try:
            evening, certificate = closing.close(chosen)
        except DayNotOver as error:
            # the next try is at its very end, which may be minutes before midnight, when the book is gone
            raise ApplicationError(str(error), type=DayNotOver.__name__, next_retry_delay=error.left) from None
        found = "nothing differs" if evening.agrees else f"{len(evening.differences)} differences"
        return f"{day}: {found}, certificate {certificate.number}"

    @activity.defn
    def tell_not_closed(self, day: str, why: str) -> str:
        words = f"{day} was not closed: {why}"
        alert(self._database, self._account, words, datetime.now(UTC))
        return words
