"""Halts an account whose broker says no to everything."""

from datetime import datetime

from trading.brokers.kite_outcomes import concerns_the_account
from trading.ledger.accounts import set_halt
from trading.ledger.database import Database
from trading.ledger.refusals import accepted, refused
from trading.outcome import Accepted, Outcome, Refused


class RefusalBreaker:
    """Kite may suspend an app that writes in a loop: refusals that the next order would meet too end the trading.

    One refusal of the account itself (a static IP that is not allowed, a permission) is enough; others count when
    they come in the same words so many times in a row.
    """

    def __init__(self, database: Database, account: str, identical: int) -> None:
        self._database = database
        self._account = account
        self._identical = identical

    def note(self, outcome: Outcome, at: datetime) -> None:
        """Look at the answer to a placement, and halt the account if it is time."""
        if isinstance(outcome, Accepted):
            accepted(self._database, self._account)
        elif isinstance(outcome, Refused):
            words = str(outcome.evidence)
            times = refused(self._database, self._account, words)
            if concerns_the_account(outcome.evidence):
                set_halt(self._database, self._account, f"the broker refuses this account: {words}", at)
            elif times >= self._identical:
                set_halt(self._database, self._account, f"refused {times} times in a row: {words}", at)
