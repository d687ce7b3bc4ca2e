"""What a call to the broker can end in. There is no sixth way.

| outcome | what is known | what happens next |
| --- | --- | --- |
| `Accepted` | the broker took it and gave a receipt | it is followed; it may still be rejected |
| `Refused` | the broker said no | the order ends, with the broker's words |
| `NotSent` | nothing reached the broker | it may be sent again, until the deadline |
| `SessionExpired` | refused for want of a login | it waits for one, until the deadline |
| `Unknown` | anything else | the book is read until it tells |
"""

from typing import Annotated, Literal

from pydantic import Discriminator

from trading.brokers.book import BookReport
from trading.order import BrokerOrderId, Frozen


class Evidence(Frozen):
    """What the call showed, kept for the history: never a header, a token or a request."""

    message: str
    error_type: str | None = None
    """The broker's own name for it, such as Kite's `NetworkException`."""
    http_status: int | None = None

    def __str__(self) -> str:
        marks = [str(mark) for mark in (self.http_status, self.error_type) if mark is not None]
        return f"{self.message} ({' '.join(marks)})" if marks else self.message


class Accepted(Frozen):
    kind: Literal["accepted"] = "accepted"
    broker_order_id: BrokerOrderId
    report: BookReport | None = None
    """The book's row and trades, where the broker's answer already carries them."""
    slices: tuple[BrokerOrderId, ...] = ()
    """Of an autoslice order: the ids of all that were taken."""
    refusals: tuple[str, ...] = ()
    """Of an autoslice order: why slices of it were not taken."""


class Refused(Frozen):
    kind: Literal["refused"] = "refused"
    evidence: Evidence


class NotSent(Frozen):
    kind: Literal["not_sent"] = "not_sent"
    evidence: Evidence
    tried: bool = True
    """Without it, the order was held back on this side, as by the account's pace: no attempt was made."""


class SessionExpired(Frozen):
    kind: Literal["session_expired"] = "session_expired"
    evidence: Evidence


class Unknown(Frozen):
    kind: Literal["unknown"] = "unknown"
    evidence: Evidence


Outcome = Annotated[Accepted | Refused | NotSent | SessionExpired | Unknown, Discriminator("kind")]
