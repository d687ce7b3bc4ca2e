"""Plans at a market that waits for its audience: their time is the market's, which whoever watches it tells them.

A replayed day goes by faster than the wall's clock, and stands still while somebody answers. So a plan there is told of
the moments that concern it, one at a time, and does all that it has to do before the market goes on.
"""

from datetime import datetime, timedelta

from pydantic import AwareDatetime

from durable_orders.trading.orders.order import Frozen, Price
from durable_orders.trading.plans.kinds import AnyIntent
from durable_orders.trading.plans.state import PlanView

HOLD = timedelta(minutes=1)
"""By the wall: so long a plan's time stands still while nobody tells it of another. Then whoever paced it is gone, and
it goes on by the wall."""


class PacedStart(Frozen):
    """A new plan, at that moment of the market."""

    intent: AnyIntent
    at: AwareDatetime


class Pace(Frozen):
    """It is that moment, and this is the last price, if it is one of then."""

    at: AwareDatetime
    price: Price | None = None


class Paced(Frozen):
    """How a plan stands when it has done all that it had to do at a moment."""

    view: PlanView
    due: AwareDatetime | None = None
    """The next moment at which time alone has it do something."""
    below: Price | None = None
    above: Price | None = None
    """A price at or beyond one of the two concerns it."""


class PlanClock:
    """What time it is for one plan. Without a pace it is the wall's.

    A market that begins its day anew does not set it back: what counts is how far that goes on.
    """

    def __init__(self, at: datetime | None, market: datetime | None, wall: datetime) -> None:
        """`at` is its own time, and `market` that of the market then, where it is paced."""
        self._at = at
        self.market = market
        self._told_at = wall

    def told(self, market: datetime, wall: datetime) -> None:
        """It is that moment of the market."""
        now = self.now(wall)
        self._at = now if self.market is None else now + max(market - self.market, timedelta(0))
        self.market, self._told_at = market, wall

    def let_go(self, wall: datetime) -> None:
        """From now on its time goes by."""
        if self._at is not None:
            self._at, self._told_at = self.now(wall), wall - HOLD

    def now(self, wall: datetime) -> datetime:
        if self._at is None:
            return wall
        return self._at + max(wall - self._told_at - HOLD, timedelta(0))

    def on_its_own(self, at: datetime, wall: datetime) -> datetime:
        """The moment of its own that is as far from now as that one is on the wall's clock."""
        return self.now(wall) + (at - wall)

    @property
    def is_paced(self) -> bool:
        return self._at is not None

    def held_for(self, wall: datetime) -> timedelta:
        """How much longer its time stands still."""
        return timedelta(0) if self._at is None else max(self._told_at + HOLD - wall, timedelta(0))
