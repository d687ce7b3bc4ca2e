"""What a GTT command can end in, and the permission without which none is placed."""

from decimal import Decimal
from typing import Annotated, Final, Literal, final

from pydantic import Discriminator

from durable_orders.trading.errors import NotApproved
from durable_orders.trading.gtt.gtt import GttIntent, TriggerId
from durable_orders.trading.orders.order import Frozen
from durable_orders.trading.orders.outcome import NotSent, Refused, SessionExpired, Unknown


class GttAccepted(Frozen):
    """The broker took it. What it has is told by its list."""

    kind: Literal["gtt_accepted"] = "gtt_accepted"
    trigger_id: TriggerId


GttOutcome = Annotated[GttAccepted | Refused | NotSent | SessionExpired | Unknown, Discriminator("kind")]

_GUARDIAN: Final = object()


@final
class ApprovedGtt:
    """The permission to place a GTT, or to change one to this content, that passed every check. Raises `NotApproved`
    for anybody who tries to make one without the guardian."""

    __slots__ = ("intent", "last_price")

    def __init__(self, intent: GttIntent, last_price: Decimal, *, key: object) -> None:
        if key is not _GUARDIAN:
            raise NotApproved(f"{intent.gtt_id}: only the guardian approves a GTT")
        self.intent = intent
        self.last_price = last_price
        """Rupees: what the broker is told that the last price is."""


def grant_gtt(intent: GttIntent, last_price: Decimal) -> ApprovedGtt:
    """For the guardian alone: a test holds that nobody else calls this."""
    return ApprovedGtt(intent, last_price, key=_GUARDIAN)
