"""The value that placing accepts. Only the guardian makes one (after barter-rs' `RiskApproved`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from durable_orders.trading.errors import NotApproved
from durable_orders.trading.orders.order import Order

if TYPE_CHECKING:
    import sqlalchemy as sa

    Redeem = Callable[[sa.Connection], None]
    """Uses the permission up in that transaction. Raises `NotApproved` or `AttemptUsed`; then nothing may be sent."""

_GUARDIAN: Final = object()
DRY_RUN = "dry run: everything was checked, nothing was sent"
"""Why no such order is approved, and what is answered where one is asked to be sent."""


@final
class Approved:
    """The permission to send an order that passed every check, once. It is used up in the ledger before it is sent.

    Raises `NotApproved` for anybody who tries to make one without the guardian.
    """

    __slots__ = ("_redeem", "draft", "is_redeemed")

    def __init__(self, order: Order, redeem: "Redeem | None" = None, *, key: object) -> None:
        if key is not _GUARDIAN:
            raise NotApproved(f"{order.order_id}: only the guardian approves an order")
        self.draft = order
        """The order, for whoever has to look at it before it may be sent."""
        self.is_redeemed = redeem is None
        self._redeem = redeem

    @property
    def order(self) -> Order:
        """The order, to be sent. Raises `NotApproved` before `redeem`."""
        if not self.is_redeemed:
            raise NotApproved(f"{self.draft.order_id}: the permission to send it was not redeemed")
        return self.draft

    def redeem(self, connection: "sa.Connection") -> None:
        """Use it up in that transaction, unless it is already. The order may be sent once that is committed.

        Raises `NotApproved` for an order that must not be sent, and `AttemptUsed` for one that may be at the broker.
        """
        if self._redeem is not None and not self.is_redeemed:
            self._redeem(connection)
        self.is_redeemed = True


def grant(order: Order, redeem: "Redeem | None" = None) -> Approved:
    """For the guardian alone: import-linter and a test hold that nobody else calls this. Without `redeem`, the
    permission has been used up."""
    return Approved(order, redeem, key=_GUARDIAN)
