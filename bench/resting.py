"""Orders that rest at the paper exchange and stand in the ledger as their workflows would leave them, without those."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from bench.ground import ACCOUNT
from bench.market import NEVER_MET
from bench.rounds import LOT
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.events import EVENT_OF, Entry
from durable_orders.trading.orders.order import Account, Order, OrderIntent, OrderType, Side
from durable_orders.trading.orders.outcome import Accepted
from durable_orders.workers.components import session_end


class Rester:
    """Checks, places and records orders to buy at a price that the market never meets."""

    def __init__(self, database: Database, broker: PaperBroker, instruments: Instruments, settings: Settings) -> None:
        ends = session_end(Account(ACCOUNT), InstrumentSessions(settings.market))
        self._guardian = Guardian(database, instruments, settings, ends, lambda: datetime.now(UTC))
        self._database = database
        self._broker = broker
        self._count = 0

    def rest_until(self, count: int, done: Callable[[int], None]) -> None:
        """Until so many rest. `done` hears the number after each."""
        while self._count < count:
            self._rest()
            self._count += 1
            done(self._count)

    def _rest(self) -> None:
        intent = resting_intent(NEVER_MET)
        order = Order.from_intent(intent, datetime.now(UTC))
        self._guardian.admit(order, "bench", intent.fingerprint(), None)
        outcome = self._broker.place(self._guardian.redeem(order))  # raises if it was not approved
        assert isinstance(outcome, Accepted)
        placed = lifecycle.step(order, lifecycle.Receipt(outcome.broker_order_id), datetime.now(UTC))
        words = f"working at the broker as {outcome.broker_order_id}"
        entry = Entry(
            sequence=1, type=EVENT_OF[placed.status], at=placed.updated_at, message=words, status=placed.status
        )
        record(self._database, placed, [entry])


def resting_intent(limit: Decimal) -> OrderIntent:
    return OrderIntent(
        account=ACCOUNT,
        symbol=SHIPPED_SYMBOL,
        side=Side.BUY,
        quantity=LOT,
        order_type=OrderType.LIMIT,
        price=limit,
        strategy="bench",
    )
