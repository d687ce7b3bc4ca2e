"""News out: which events are told, and where."""

from datetime import datetime, time
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from durable_orders.trading.config.sections import ClockTime, Seconds, Section
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.events import EventType, Severity
from durable_orders.trading.orders.order import Name


class Quiet(Section):
    """Hours of the day, IST, in which only alerts are told. They may go over midnight."""

    begins: ClockTime = time(22)
    ends: ClockTime = time(7)

    def covers(self, at: datetime) -> bool:
        now = at.astimezone(IST).time()
        if self.begins <= self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends


class Channel(Section):
    """Somewhere to tell what happens."""

    url: SecretStr
    """As apprise writes it: `tgram://TOKEN/CHAT`, `mailto://...`, `json://...`."""
    events: tuple[EventType, ...] = ()
    """Only these types; all without."""
    severity: Severity = Severity.INFO
    """Only events of that severity or above: info, warning, alert."""
    accounts: tuple[Name, ...] = ()
    """Only these accounts; all without."""
    strategies: tuple[Name, ...] = ()
    """Only orders of these strategies, and what is of the whole account; all without."""
    quiet: Quiet | None = None
    """Hours in which only alerts are told; the rest is told folded when they are over. Without it, none."""
    fold: Annotated[Seconds, Field(le=600)] = 2.0
    """Seconds for which more is waited for: what comes within them is one message."""
    late: Seconds = 60.0
    """Seconds after which an event is told as late."""

    @field_validator("url")
    @classmethod
    def _is_one(cls, url: SecretStr) -> SecretStr:
        if "://" not in url.get_secret_value():
            raise ValueError("must be an address as apprise writes it, as in tgram://TOKEN/CHAT")
        return url

    def wants(self, kind: EventType, strategy: str | None) -> bool:
        """Whether such an event is told; `strategy` is that of its order, `None` for one of the account."""
        return (
            kind is not EventType.POSITION_UPDATED
            and (not self.events or kind in self.events)
            and kind.severity.rank >= self.severity.rank
            and (not self.strategies or strategy is None or strategy in self.strategies)
        )
