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

from durable_orders.trading.orders.book import OrderReport
from durable_orders.trading.orders.order import BrokerOrderId, Frozen

ATTEMPT_USED = "AttemptUsed"
"""Type of the evidence that an attempt to send the order was made before: this one was not sent."""


class Evidence(Frozen):
    """What the call showed, kept for the history: never a header, a token or a request."""

    message: str
    error_type: str | None = None
    """The broker's own name for it, such as Kite's `NetworkException`."""
    http_status: int | None = None

    def __str__(self) -> str:
        marks = [str(mark) for mark in (self.http_status, self.error_type) if mark is not None]
        return f"{self.message} ({' '.join(marks)})" if marks else self.message


AT_THE_LIMIT = Evidence(message="the account's order requests are at their limit")


class Accepted(Frozen):
    kind: Literal["accepted"] = "accepted"
    broker_order_id: BrokerOrderId
    report: OrderReport | None = None
    """The book's row and trades, where the broker's answer already carries them."""
    slices: tuple[BrokerOrderId, ...] = ()
    """Of an autoslice order: the ids of all that were taken."""
    refusals: tuple[str, ...] = ()
    """Of an autoslice order: why slices of it were not taken."""


class NothingCameOfIt(Frozen):
    """Of a placement: it is certain that the broker does not have the order."""

    evidence: Evidence
    attempt: int = 0
    """The number of the attempt that this used up (`trading.ledger.attempts`); 0 where none was begun."""


class Refused(NothingCameOfIt):
    kind: Literal["refused"] = "refused"
    of_account: bool = False
    """The refusal is of the account or the machine rather than of the order: the next order would meet it too."""


class NotSent(NothingCameOfIt):
    kind: Literal["not_sent"] = "not_sent"
    tried: bool = True
    """Without it, the order was held back on this side, as by the account's pace: no attempt was made."""


Held = NotSent | Refused
"""Why a placement that was ready to leave must not."""


class SessionExpired(NothingCameOfIt):
    kind: Literal["session_expired"] = "session_expired"


class Unknown(Frozen):
    kind: Literal["unknown"] = "unknown"
    evidence: Evidence


Outcome = Annotated[Accepted | Refused | NotSent | SessionExpired | Unknown, Discriminator("kind")]
