"""Halts an account whose broker says no to everything."""

from datetime import datetime

from durable_orders.trading.config.settings import OnTrip
from durable_orders.trading.guardian.breakers import BROKER_REFUSALS, tripping
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.refusals import accepted, refused
from durable_orders.trading.ledger.trips import Trip
from durable_orders.trading.orders.outcome import Accepted, Outcome, Refused


class RefusalBreaker:
    """Kite may suspend an app that writes in a loop: refusals that the next order would meet too end the trading.

    One refusal of the account itself (a static IP that is not allowed, a permission) is enough; others count when
    they come in the same words so many times in a row. The account is HALTED then, until it is resumed by hand.
    """

    def __init__(self, database: Database, account: str, identical: int, response: OnTrip = OnTrip.KEEP) -> None:
        self._database = database
        self._account = account
        self._identical = identical
        self._response = response

    def note(self, outcome: Outcome, at: datetime) -> bool:
        """Look at the answer to a placement, and halt the account if it is time. Whether this answer did."""
        if isinstance(outcome, Accepted):
            accepted(self._database, self._account)
        elif isinstance(outcome, Refused):
            words = str(outcome.evidence)
            times = refused(self._database, self._account, words)
            if outcome.of_account:
                return self._trip(f"the broker refuses this account: {words}", at)
            if times >= self._identical:
                return self._trip(f"refused {times} times in a row: {words}", at)
        return False

    def _trip(self, reason: str, at: datetime) -> bool:
        """What is halted already does not trip again."""
        with self._database.write(self._account) as connection:
            if permission_of(connection, self._account, at).state is AccountState.HALTED:
                return False
            trip = Trip(
                account=self._account,
                key=f"{at.astimezone(IST).isoformat(timespec='milliseconds')} {BROKER_REFUSALS}",
                cause=BROKER_REFUSALS,
                message=reason,
                response=self._response,
                at=at,
            )
            return tripping(connection, trip, AccountState.HALTED)
