"""Whose session an access token opens. Asked of the broker once for each token, before anything is done with it."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.brokers.kite.http import KiteSession
from durable_orders.trading.brokers.kite.outcomes import outcome_of
from durable_orders.trading.errors import BookUnreadable, LedgerUnusable, LoginNeeded, WrongAccount, WrongLogin
from durable_orders.trading.ledger.rate_limiter import Slot
from durable_orders.trading.orders.outcome import SessionExpired

MustBe = Callable[[str], object]
"""Raises `WrongAccount` for a user whose account it is not."""


READS_AT_THE_LIMIT = "the account's readings are at their limit"
MAX_WAIT = 2.0
"""Seconds that one call waits for another that asks the same."""


class SessionUser:
    """Thread-safe."""

    def __init__(
        self, session: KiteSession, turn: Callable[[], AbstractContextManager[Slot]], must_be: MustBe | None
    ) -> None:
        """Without `must_be` everybody's session will do, and nobody is asked. The question takes a `turn` among the
        readings, as Kite counts it among them."""
        self._session = session
        self._turn = turn
        self._must_be = must_be
        self._asking = threading.Lock()
        self._asked_last: tuple[str, str] | None = None
        self._known: tuple[str, str] | None = None
        """The last token that was found right, and its user."""

    def of(self, client: Any, token: str) -> str | None:
        """The user's id at the broker; `None` where nobody is asked.

        Raises `WrongLogin` for the session of somebody else, `LoginNeeded` for none, and `BookUnreadable` where the
        broker or the ledger cannot tell.
        """
        if self._must_be is None:
            return None
        if (known := self._found(token)) is not None:
            return known
        if not self._asking.acquire(timeout=MAX_WAIT):
            raise BookUnreadable("whose session this is, the broker is still being asked")
        try:
            user = self._found(token)
            if user is None:
                user = self._asked(client, token)
                self._check(user)
                self._known = (token, user)
            return user
        finally:
            self._asking.release()

    def _found(self, token: str) -> str | None:
        known = self._known
        return known[1] if known is not None and known[0] == token else None

    def _asked(self, client: Any, token: str) -> str:
        """A token's user never changes, so that one of somebody else costs one question, however long it lies here."""
        last = self._asked_last
        if last is not None and last[0] == token:
            return last[1]
        with self._turn() as slot:
            profile, ending = self._session.call(client.profile) if slot else (None, None)
        if ending is None:
            raise BookUnreadable(READS_AT_THE_LIMIT)
        user = profile.get("user_id") if ending.http_status == 200 and isinstance(profile, dict) else None
        if isinstance(user, str) and user:
            self._asked_last = (token, user)
            return user
        if isinstance(outcome_of(ending), SessionExpired):
            raise LoginNeeded(str(ending.evidence))
        raise BookUnreadable(f"whose session this is could not be read: {ending.evidence}")

    def _check(self, user: str) -> None:
        if self._must_be is None:
            return
        try:
            self._must_be(user)
        except WrongAccount as error:
            raise WrongLogin(str(error)) from None
        except (SQLAlchemyError, LedgerUnusable) as error:
            raise BookUnreadable(f"whose account it is could not be read ({type(error).__name__})") from None
