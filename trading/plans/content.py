"""What every plan has, whatever its orders are: whose it is, its name, and what makes two of them the same."""

from datetime import datetime, timedelta
from typing import Annotated, Protocol

from pydantic import AfterValidator, AwareDatetime, Field, ValidationInfo, field_validator

from durable_orders.trading.orders.content import fingerprint_of
from durable_orders.trading.orders.order import CLOSING, RESERVED_NAMES, Frozen, Mode, Name, Tags, of_a_path, plan_of

LONGEST_ID = 48
MARKET_DEADLINE = timedelta(seconds=30)
"""After which what is at the market is not sent any more: the price would be of another market."""
FIRST_YEAR, LAST_YEAR = 2000, 2100
PlanId = Annotated[str, Field(pattern=rf"^[A-Za-z0-9._-]{{1,{LONGEST_ID}}}$")]
"""1 to 48 letters, digits, dots, dashes and underscores: the names of its orders begin with it."""


def _is_of_a_market(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise ValueError(f"must be a time of the years {FIRST_YEAR} to {LAST_YEAR - 1}")
    return at


PlanTime = Annotated[AwareDatetime, AfterValidator(_is_of_a_market)]
"""A moment that a plan names. Near the ends of what a time can be, it could not be told in another zone."""


class Content(Protocol):
    """A plan as somebody asks for it, of whichever kind."""

    @property
    def account(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def plan_id(self) -> str: ...
    @property
    def strategy(self) -> str: ...
    @property
    def reason(self) -> str: ...
    def summary(self) -> str: ...
    def fingerprint(self) -> str: ...
    def begin_by(self, asked_at: datetime) -> datetime | None:
        """On the wall's clock: the moment from which it is too late to begin it, if there is one."""


class Identity(Frozen):
    """Whose plan it is, and its name."""

    account: Name = "paper"
    mode: Mode = Mode.PAPER
    plan_id: PlanId
    by: Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")] = ""
    """Who asked for it: the user, the token or the hook, as its orders tell in their tag `by`."""

    approve: bool = False
    """It waits for a person's approval: its first order does, as an order, and no other one goes out before."""

    def fingerprint(self) -> str:
        """Equal for equal content, however its prices were written."""
        content = self.model_dump(exclude={*NOT_CONTENT, "approve", *(n for n in LATER if not getattr(self, n, None))})
        return fingerprint_of(content | {"approve": True} if self.approve else content)  # as before there was any

    @property
    def tags(self) -> Tags:
        """Of its orders."""
        return {"by": self.by} if self.by else {}

    @field_validator("plan_id")
    @classmethod
    def _id_is_free(cls, plan_id: str, info: ValidationInfo) -> str:
        """What is read back from a history may be older than the rule of paths."""
        if info.mode != "json" and (reason := of_a_path(plan_id)):
            raise ValueError(reason)
        return free_id(plan_id)


def free_id(plan_id: str) -> str:
    """The names of its orders begin with it. Raises `ValueError`."""
    reserved = (*RESERVED_NAMES, CLOSING)
    if plan_id.startswith(reserved):
        raise ValueError(f"must not begin with {' or '.join(reserved)}: orders that are not a plan's are named so")
    if plan_of(f"{CLOSING}{plan_id}-1") is not None:
        raise ValueError("must not end as the names of a plan's orders do, as in .exit-1, .leg-1 or .slice-1")
    return plan_id


NOT_CONTENT = {"enter_by", "by"}
"""What two plans may differ in that are the same one."""
LATER = ("protect",)
"""Fields that plans did not have from the beginning: without a value they are not content either."""
