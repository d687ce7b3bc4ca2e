"""The sandbox's settings: one frozen object."""

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from durable_orders.sandbox.faults import FaultRule
from durable_orders.trading.config.sections import Bps, Probability
from durable_orders.trading.config.settings import Calendar, Paper
from durable_orders.trading.orders.order import Name, Price, Symbol

HOST = "127.0.0.1"
START_PRICES = {
    "NSE:NIFTY 50": Decimal("24350.05"),
    "NSE:INFY": Decimal(1500),
    "NSE:RELIANCE": Decimal(1400),
    "NSE:HDFCBANK": Decimal(1900),
    "NSE:TCS": Decimal(3450),
    "NSE:SBIN": Decimal(810),
    "NSE:M&M": Decimal(2900),
    "NFO:NIFTY25MAYFUT": Decimal(24400),
}
"""Where the synthetic feed begins, in rupees, unless `prices` says otherwise."""


class FeedKind(StrEnum):
    SYNTHETIC = "synthetic"
    """A seeded random walk of `prices`, on the wall's clock."""
    REPLAY = "replay"
    """Recorded ticks, or the shipped day; `speed` market seconds per second."""
    PUSHED = "pushed"
    """Nothing moves, and no day ends, but by the control endpoint."""


class SandboxSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    port: Annotated[int, Field(ge=0, le=65535)] = 8899
    """On 127.0.0.1, REST and WebSocket; 0 takes a free one."""
    api_key: Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")] = "sandboxkey"
    api_secret: SecretStr = SecretStr("sandboxsecret")
    user_id: Name = "SB0001"
    redirect_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where a login leads, with the request token; without one, a page of the sandbox that shows it."""
    postback_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    feed: FeedKind = FeedKind.SYNTHETIC
    prices: dict[Symbol, Price] | None = None
    """Start prices of the synthetic feed, in rupees."""
    tick_interval: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Seconds between two ticks of the synthetic feed, one symbol after the other; 0.25 if not set."""
    ticks: Path | None = None
    """CSV or Parquet to replay; without one, the shipped day."""
    symbol: Symbol | None = None
    """Whose ticks those are, and those of `history`, where the file does not say."""
    history: Path | None = None
    """CSV or Parquet of ticks or candles with which the historical candles begin; what the feed shows follows."""
    speed: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Of a replay, in market seconds per second; 1 if not set."""
    calendar: Calendar = Calendar.ALWAYS_OPEN
    instruments: Path | tuple[Path, ...] | None = None
    """Kite's instruments CSV, or several; without one, the small master that is shipped."""
    cash: Annotated[Decimal, Field(ge=0)] = Decimal(1_000_000_000)
    """Rupees in the account at its beginning. Nothing is paid in or out."""
    slippage_bps: Bps = Decimal(0)
    partial_fill_probability: Probability = 0.0
    partial_fill_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    rate_limits: bool = True
    market_data: bool = True
    """Without it, quotes and the WebSocket answer 403, as on Kite's free plan."""
    market_within: Annotated[Decimal, Field(gt=0, le=1000)] | None = None
    """Percent of an index's last price: MARKET is refused in its options whose strike lies farther away. Kite names no
    figure; without one, it is taken in all."""
    ddpi: bool = True
    """Whether holdings can be sold without the depository's authorisation of the day."""
    tags_parts: bool = True
    """Whether the parts of one order (legs, slices) behind the first carry its tag; Kite does not document it."""
    heartbeat_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """Between the one-byte messages on each socket."""
    seed: int = 0
    """Of the synthetic feed, of partial fills and of the faults' probabilities."""
    database: Path | None = None
    """SQLite file that a restarted sandbox goes on with; without one, everything is forgotten at the end."""
    faults: tuple[FaultRule, ...] = ()
    """Armed from the start."""

    @model_validator(mode="after")
    def _options_fit_the_feed(self) -> Self:
        of_feed = {"ticks": "replay", "speed": "replay", "prices": "synthetic"}
        of_feed |= {} if self.history else {"symbol": "replay"}
        for field, feed in (of_feed | {"tick_interval": "synthetic"}).items():
            if getattr(self, field) is not None and self.feed != feed:
                raise ValueError(f"{field}: only with feed {feed}, was {self.feed}")
        return self

    @property
    def fill_model(self) -> Paper:
        """The exchange's. A price stands until the next tick, however long that takes."""
        return Paper(
            slippage_bps=self.slippage_bps,
            partial_fill_enabled=self.partial_fill_probability > 0,
            partial_fill_probability=self.partial_fill_probability,
            partial_fill_ratio=self.partial_fill_ratio,
            seed=self.seed,
            stale_tick_seconds=DAY_SECONDS,
        )


DAY_SECONDS = 86_400
