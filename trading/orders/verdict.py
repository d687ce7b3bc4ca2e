"""What the guardian answers, in a form that fits into a workflow's history."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Discriminator

from durable_orders.trading.orders.order import Frozen, Order, SignOff, Tag


class Refusal(Frozen):
    """One check that an order did not pass."""

    code: str
    """Stable, such as `LOT_SIZE`."""
    message: str
    """One sentence with the limit and the value."""
    limit: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Policy(Frozen):
    """How an approved order is to be placed, settled and followed: the settings as they were at its approval."""

    place_by: AwareDatetime
    """Past this moment nothing is sent."""
    max_retries: int
    retry_delay: float
    settle_window: float
    settle_interval: float
    resend_after_settle: bool
    safety_interval: float
    unreadable_interval: float = 600.0
    """The default is for orders that were approved before there was this field."""
    is_before_sign_off: bool = False
    """Nothing is sent by it: once a person has approved the order, the guardian judges again."""


class Approval(Frozen):
    kind: Literal["approved"] = "approved"
    policy: Policy
    dry_run: bool = False
    """Whether the order is one that is never sent."""
    tag: Tag | None = None
    """The order's tag with the mark of the home that sends it; `None` where it has none."""
    approval: SignOff | None = None
    """Of an order that a person has to approve. Until then nothing is reserved."""


class Refusals(Frozen):
    """All the checks that failed, not only the first."""

    kind: Literal["refused"] = "refused"
    refusals: tuple[Refusal, ...]
    dry_run: bool = False
    tag: Tag | None = None
    approval: SignOff | None = None


class Existing(Frozen):
    """The id was used before; this is what the ledger knows of it."""

    kind: Literal["existing"] = "existing"
    order: Order
    same_content: bool
    """Whether the earlier intent had the same fingerprint."""
    sequence: int
    """Of the order's last recorded event."""
    policy: Policy
    """For what is still open of it. One that `is_before_sign_off` says that it waits for a person's approval, and was
    never sent."""


Verdict = Annotated[Approval | Refusals | Existing, Discriminator("kind")]
