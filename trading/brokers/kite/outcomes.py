"""How a call to Kite can end, and what each ending proves: one table, first match wins.

What decides is the wire of this very call, as `http.KiteSession` tells it: the client loses parts of it (an HTML page
of a 504 becomes `DataException` 502, `MarginException` becomes `GeneralException`, a success envelope under HTTP 500
becomes a success, a missing key becomes a `KeyError`). Sources: Kite documentation, exceptions; kiteconnect 5.2.2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import requests

from durable_orders.trading.orders.outcome import Evidence, Held, NotSent, Outcome, Refused, SessionExpired, Unknown

REFUSALS = frozenset(
    {
        "InputException",
        "OrderException",
        "MarginException",
        "HoldingException",
        "PermissionException",
        "PermissionError",
        "UserException",
        "TwoFAException",
        "TokenException",
        "GeneralException",
    }
)
"""Kite's error types that, under HTTP 4xx, are a plain no. NetworkException and DataException never are."""

NO_ANSWER = "no answer within the time limit"
ACCOUNT_WIDE = ("IP (", "allowed IPs", "No IPs configured", "not allowed to place orders", "PermissionException")
"""Marks of a refusal that the next order would meet too: the static-IP rule of 2025, and permissions."""


@dataclass(frozen=True, slots=True)
class Ending:
    """One call's end: what the wire showed, and what the client raised, if anything."""

    error: BaseException | None
    http_status: int | None = None
    error_type: str | None = None
    """From the error envelope, where the reply was one."""
    message: str | None = None
    left: bool = True
    """Whether a byte of the request may have left. Only the wire of this very request can tell that none did: an
    exception may be of anything."""
    held: Held | None = None
    """What the last look said against it, where it was ready to leave and did not."""

    @property
    def evidence(self) -> Evidence:
        message = self.message or (_words(self.error) if self.error else "the reply cannot be read")
        kind = self.error_type or (type(self.error).__name__ if self.error else None)
        return Evidence(message=message, error_type=kind, http_status=self.http_status)


def never_left(ending: Ending) -> bool:
    """No connection was made (refused, no route, no such name, no handshake), so no byte of the request left."""
    return not ending.left


def too_many(ending: Ending) -> bool:
    """429 is answered by the gateway, before the order system."""
    return ending.http_status == 429


def logged_out(ending: Ending) -> bool:
    return ending.http_status == 403 and ending.error_type == "TokenException"


def is_refusal(ending: Ending) -> bool:
    """A whole error envelope, of a type that means no, under a status that means no."""
    status = ending.http_status or 0
    return 400 <= status < 500 and ending.error_type in REFUSALS and ending.message is not None


ENDINGS: tuple[tuple[Callable[[Ending], bool], Callable[[Evidence], Outcome]], ...] = (
    (never_left, lambda e: NotSent(evidence=e)),
    (too_many, lambda e: NotSent(evidence=e)),
    (logged_out, lambda e: SessionExpired(evidence=e)),
    (is_refusal, lambda e: Refused(evidence=e, of_account=_concerns_the_account(e))),
)
"""Anything that no row matches is unknown: time-outs, resets, redirects, 5xx, HTML, half a reply, a surprise in the
client."""


def outcome_of(ending: Ending) -> Outcome:
    """What a call that gave no receipt has proved."""
    if ending.held is not None:
        return ending.held
    for matches, outcome in ENDINGS:
        if matches(ending):
            return outcome(ending.evidence)
    return Unknown(evidence=ending.evidence)


def _concerns_the_account(evidence: Evidence) -> bool:
    """By its marks; see `Refused.of_account`."""
    return any(mark in f"{evidence.message} {evidence.error_type}" for mark in ACCOUNT_WIDE)


def _words(error: BaseException) -> str:
    """What went wrong, without the request: a URL may carry a token, a reply may repeat one."""
    words: dict[type[BaseException], str] = {
        requests.ReadTimeout: NO_ANSWER,
        requests.ConnectTimeout: "no connection within the time limit",
        requests.ConnectionError: "the connection failed or was dropped",
    }
    return next((said for kind, said in words.items() if isinstance(error, kind)), "the reply cannot be understood")
