"""What a new instrument master means for the account: its trouble is told, and open orders that do not fit it."""

from datetime import UTC, datetime

from durable_orders.trading.guardian.standing_terms import broken_terms
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.orders.order import Account
from durable_orders.workers.instruments import Master


class Renewals:
    """One account's."""

    def __init__(self, account: str, database: Database) -> None:
        self._account = Account(account)
        self._database = database
        self._told: set[str] = set()
        """What was said already, as long as it holds."""

    def tell(self, master: Master) -> None:
        """An alert for each thing that is new. Blocks."""
        now = datetime.now(UTC)
        with self._database.read() as connection:
            open_orders = list_orders(connection, self._account, open_only=True)
        found = list(master.told)
        for order in open_orders:
            found += [f"{order.client_order_id}: {words}" for words in broken_terms(order, master.instruments, now)]
        for words in found:
            if words not in self._told:
                alert(self._database, self._account, words, now)
        self._told = set(found)
