"""What the activities of an account's GTTs share: whether anything goes out, the last price, and their events."""

from concurrent.futures import Executor
from datetime import timedelta
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.activities.last_look import now
from durable_orders.trading.brokers.broker import GttBroker
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BookUnreadable, NotApproved
from durable_orders.trading.gtt.gtt import GttIntent
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.guardian.guardian import SETTLE_READS, Guardian
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.approval import DRY_RUN
from durable_orders.trading.orders.events import EventType

NO_BROKER = "gtt: for live accounts only, the paper exchange has none"


def say(connection: sa.Connection, state: GttState, words: str, kind: EventType = EventType.GTT_UPDATED) -> None:
    """An event of the account, in its feed."""
    add_event(connection, state.intent.account, kind, f"GTT {state.intent.gtt_id}: {words}", now())


def is_disproved(before: GttState, after: GttState) -> bool:
    """Whether the list has shown that it is not the row which a human said it is."""
    return before.trigger_id is not None and after.trigger_id is None


class GttAccount:
    """One account's."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        guardian: Guardian,
        broker: GttBroker | None,
        executor: Executor,
    ) -> None:
        """`broker` is `None` where there is nobody who keeps one, as on paper."""
        self._settings = settings
        self._account = settings.account
        self._database = database
        self._guardian = guardian
        self._broker = broker
        self._executor = executor
        self._window = timedelta(seconds=settings.placing.settle_window)

    def problems(self, intent: GttIntent) -> list[str]:
        """Everything against it before anything is sent."""
        outside = self.outside()
        return [outside] if outside is not None else [*self._guardian.judge_gtt(intent)]

    def outside(self) -> str | None:
        """Why nothing goes out to a broker at all, also no delete."""
        if self._broker is None:
            return NO_BROKER
        return DRY_RUN if self._settings.execution.dry_run else None

    @property
    def interval(self) -> float:
        """Seconds between two readings of the list."""
        return max(self._settings.placing.settle_window / SETTLE_READS, 0.1)

    def last_price(self, intent: GttIntent) -> Decimal:
        """Rupees; the one that was said, or the broker's own. Raises `BookUnreadable`."""
        if intent.last_price is not None:
            return intent.last_price
        found = self.needed().last_prices([intent.symbol])
        price = next((tick.last_price for tick in found if tick.symbol == intent.symbol), None)
        if price is None:
            raise BookUnreadable(f"last_price: the broker has none of {intent.symbol}: give it")
        return price

    def needed(self) -> GttBroker:
        """Raises `NotApproved`."""
        if self._broker is None:
            raise NotApproved(NO_BROKER)
        return self._broker
