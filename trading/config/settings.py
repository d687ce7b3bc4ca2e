"""One frozen settings object: defaults here, then the YAML file, then `DURABLE_ORDERS_*` (nested names take `__`)."""

import os
from collections import Counter
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.config.fill_models import FillModels
from durable_orders.trading.config.given import from_environment, put, read_file
from durable_orders.trading.config.hooks import Hook
from durable_orders.trading.config.keys import explained
from durable_orders.trading.config.margins import Margins, PaperAccount
from durable_orders.trading.config.news import Channel
from durable_orders.trading.config.recordings import Recordings
from durable_orders.trading.config.sections import Count, Percent, Rupees, Seconds, Section
from durable_orders.trading.config.sessions import MarketException, Sessions
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.orders.order import Mode, Name, Product, Symbol


class Calendar(StrEnum):
    XNSE = "XNSE"
    """The sessions of the Indian exchanges, by segment (`market/data/sessions.yaml`)."""
    ALWAYS_OPEN = "always_open"
    """A session from each midnight (IST) to the next, for everything."""


class Feed(StrEnum):
    REPLAY = "replay"
    SYNTHETIC = "synthetic"


class OnTrip(StrEnum):
    """What a circuit breaker that trips does to open orders, beside stopping new risk."""

    KEEP = "keep"
    """Nothing: they go on, and can be cancelled."""
    CANCEL_OPEN = "cancel_open"
    """Cancel them all."""
    FLATTEN = "flatten"
    """Cancel them all, then close every position at the market."""


class PhysicalSettlement(StrEnum):
    """What becomes of orders for contracts on shares in the last days before their delivery."""

    WARN = "warn"
    REFUSE = "refuse"
    """Those that add to one are refused."""
    CLOSE = "close"
    """And what is held of one is closed."""


class RealizedBy(StrEnum):
    """What a trade that closes a part of a position has earned."""

    AVERAGE = "average"
    """Against the average cost of all that was held."""
    FIFO = "fifo"
    """Against what was opened first."""


class Placing(Section):
    """How an order is sent and, if the answer is lost, settled. The same keys for paper and live."""

    max_retries: Annotated[int, Field(ge=0, le=100)] = 3
    """How often an order that provably was not sent is sent again."""
    retry_delay: Seconds = 1.0
    """Seconds before the first of those; doubled each time."""
    reconciliation_interval: Annotated[float, Field(ge=0.05, le=3600)] = 3.0
    """Seconds between the account watch's readings of the order book."""
    settle_window: Seconds = 60.0
    """Seconds for which the book must not show an order before it counts as never placed."""
    resend_after_settle: bool = True
    """Whether a LIMIT or SL order that was proved absent is sent again. MARKET and SL-M never are."""
    positions_window: Seconds = 10.0
    """Seconds for which the broker's positions must differ from the ledger's before that counts: they lag behind its
    trades."""
    unreadable_interval: Seconds = 600.0
    """Longest pause, in seconds, between two readings that an order in doubt makes of a book that cannot be read. The
    watch wakes it when the book can be read again, and a night without a login must not fill its history."""
    market_deadline: Seconds = 30.0
    """Seconds from its creation after which a MARKET or SL-M order is no longer sent."""
    safety_interval: Annotated[float, Field(ge=1)] = 900.0
    """Seconds after which an order that heard nothing checks that the watch is alive, and looks for itself if not."""


class Paper(Placing, FillModels, PaperAccount):
    """The paper exchange, and the account's money there."""

    settle_window: Seconds = 2.0
    """The paper exchange's book is complete the moment it is read, so two seconds are plenty."""
    positions_window: Seconds = 2.0


UNREGISTERED = 10
"""Orders a second of one account that need no registered algorithm (SEBI PoD/2025/0000013 of 4 February 2025, in full
since 1 April 2026)."""


class Live(Placing):
    """Kite. Its limits are 10 order requests a second and 400 a minute (Kite documentation, rate limits)."""

    orders_per_second: Annotated[int, Field(ge=1, le=100)] = 10
    """Order requests (place, modify, cancel) of the account in any second, over all workers. Above 10 the exchange must
    have registered the strategy: see `algo_id`."""
    algo_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] | None = None
    """What the exchange registered the strategy under; goes with each order. Nobody needs one up to 10 orders a second
    (SEBI PoD/2025/0000013; NSE/INVG/67858)."""
    orders_per_minute: Annotated[int, Field(ge=1, le=400)] = 400
    market_protection: Annotated[Decimal, Field(ge=-1, le=100)] = Decimal(-1)
    """Percent for MARKET and SL-M; -1 lets Kite choose. Kite refuses such orders without it since 1 April 2026."""
    identical_refusals: Annotated[int, Field(ge=1)] = 3
    """So many refusals in a row with the same words, other than for the order itself, halt the account."""

    @model_validator(mode="after")
    def _registered(self) -> Self:
        if self.orders_per_second > UNREGISTERED and self.algo_id is None:
            words = f"above {UNREGISTERED} orders a second the exchange must have registered the strategy: set algo_id"
            raise ValueError(f"orders_per_second: {words}, was {self.orders_per_second}")
        return self


class CircuitBreakers(Section):
    """The older names of some limits. Off as long as the section is not there; with it, what it does not name has the
    default that is shown here, and `null` switches one off."""

    max_daily_loss_rupees: Rupees | None = Decimal(5000)
    """See `guardian.max_daily_loss`."""
    max_daily_drawdown_pct: Annotated[Decimal, Field(gt=0, le=1)] | None = Decimal("0.02")
    """A fraction of the capital: the day's realized loss. See `guardian.max_daily_drawdown_pct`."""
    max_trades_per_day: Count | None = 100
    """Orders that filled or still may, of the account. An order that only reduces a position is let through."""
    max_trades_per_strategy_per_day: Count | None = 50
    """The same of each strategy."""
    max_loss_streak: Count | None = 5
    """See `guardian.max_loss_streak`."""


class Execution(Section):
    mode: Mode = Mode.PAPER
    dry_run: bool = False
    """Check and record everything, and send nothing: every order ends REJECTED, marked as a dry run with all of its
    events. It counts wherever it is set: for the worker, or for what places the order."""
    paper: Paper = Paper()
    live: Live = Live()
    circuit_breakers: CircuitBreakers | None = None


class TradeThrottler(Section):
    """Older limits still. Off as long as the section is not there; with it, what it does not name has the default that
    is shown here, and 0 or less switches one off."""

    max_trades_per_symbol_per_day: int = 20
    """Orders that filled or still may, of each symbol. An order that only reduces a position is let through."""
    max_trades_per_strategy_per_day: int = 80
    max_total_trades_per_day: int = 300
    max_daily_drawdown_pct: Annotated[Decimal, Field(le=1)] = Decimal("0.02")
    """A fraction of the capital: the day's realized loss. See `guardian.max_daily_drawdown_pct`."""
    max_loss_streak: int = 5
    """See `guardian.max_loss_streak`."""


class Trading(Section):
    paper_capital: Rupees = Decimal(100_000)
    """What percentages of the capital are of, where `guardian.capital` is not set."""
    trade_throttler: TradeThrottler | None = None


class Kite(Section):
    """Kite Connect. Zerodha's production, Zerodha's sandbox and ours differ only in these keys."""

    api_key: str | None = None
    api_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    """Without one, that of the last `durable-orders login`."""
    root: Annotated[str, Field(pattern=r"^https?://[^/]+$")] = "https://api.kite.trade"
    """No path: the client would drop it. See `route_prefix`."""
    ws_root: Annotated[str, Field(pattern=r"^wss?://[^/]+$")] = "wss://ws.kite.trade"
    login_root: Annotated[str, Field(pattern=r"^https?://.+$")] = "https://kite.zerodha.com/connect/login"
    route_prefix: Annotated[str, Field(pattern=r"^(/[a-z]+)?$")] = ""
    """`/oms` for Zerodha's own sandbox."""
    timeout: Annotated[float, Field(ge=0.1, le=25)] = 7.0
    """Seconds for a connection and for an answer; shorter than the broker call's own limit of 30 s."""
    postback_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Listen there on loopback for Kite's postbacks, checked by their checksum; without one, do not."""


class OrdersPer(Section):
    """So many approved orders within a period."""

    account: Count | None = None
    """Of the whole account."""
    strategy: Count | None = None
    """Of each strategy."""
    symbol: Count | None = None
    """Of each symbol."""


class CircuitLimits(Section):
    """The prices between which an exchange lets a symbol trade today, in rupees, both allowed."""

    lower: Rupees
    upper: Rupees

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lower > self.upper:
            raise ValueError("lower: must not be above upper")
        return self


class DayLock(Section):
    """When the day of an account, or of a strategy, is over by itself: all that is its own is closed, and no new risk
    taken until midnight, IST. What counts is its day's result, realized and not, before charges."""

    target: Rupees | None = None
    """Rupees that were earned."""
    loss: Rupees | None = None
    """Rupees that were lost."""
    trail: Rupees | None = None
    """Rupees that were given back of the day's best result."""
    trail_from: Rupees | None = None
    """The best result from which on that counts; `trail` itself without one."""

    @property
    def is_set(self) -> bool:
        return any(each is not None for each in (self.target, self.loss, self.trail))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.trail_from is not None and self.trail is None:
            raise ValueError("trail_from: belongs to a trail: give one")
        return self


class Strategy(Section):
    """What one strategy may do."""

    approve: bool = False
    """Its orders wait for a person's approval before they are sent, but for those that only close: of a flatten, and
    the exits of a plan."""
    capital: Rupees | None = None
    """Rupees that its positions and open orders may bind, at cost."""
    day_lock: DayLock = DayLock()
    """When its day is over by itself."""
    rules: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Further checks, by the name under which a package registers them (`durable_orders.guardian_checks`), each with
    its options. `trading_hours` is shipped."""


class Guardian(Section):
    """Pre-trade limits. One that is not set is off."""

    enabled: bool | None = None
    """`false` switches off every limit of this section. `true` gives older keys that are not set the values that they
    used to have: 5 orders a second, prices at most 3 s old and 2 % away, 3 % of the capital lost in a day."""
    max_order_quantity: Count | None = None
    """Units in one order."""
    max_order_value: Rupees | None = None
    """Rupees in one order: quantity times multiplier times limit price, or last price where there is no limit."""
    max_position_per_symbol: Count | None = None
    """Units of one symbol, long or short, products added up: after this order, if every open order filled."""
    max_position_total: Count | None = None
    """The same over all symbols."""
    max_gross_exposure: Rupees | None = None
    """Rupees at the last price: all positions, long and short added up, if every open order filled."""
    max_net_exposure: Rupees | None = None
    """Rupees at the last price: long less short, if every open order of one side filled. Closing one leg of a hedge
    raises it, and is refused where that goes too far."""
    capital: Rupees | None = None
    """Rupees that all positions and open orders may bind, at cost. Percentages of the capital are of this."""
    strategies: dict[Name, Strategy] = Field(default_factory=dict)
    """Limits of single strategies, by their code."""
    approve_within: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    """Seconds that a person has to approve an order that waits for it; after them, and past the end of the session, it
    is rejected."""
    require_margin: bool = False
    """Refuse an order that the broker's available margin, read every ten seconds, does not carry."""
    margins: Margins = Margins()
    """What an order binds of it, estimated: as for a paper account, `mis_leverage`, `mtf_leverage`, `derivatives`."""
    max_margin_age: Annotated[float, Field(gt=0)] = 60.0
    """Seconds since that was read; an older figure is none."""
    max_open_orders: Count | None = None
    """Open orders of the account at once."""
    max_orders_per_second: OrdersPer = OrdersPer()
    max_orders_per_minute: OrdersPer = OrdersPer()
    max_orders_per_day: OrdersPer = OrdersPer()
    """Since midnight, IST."""
    duplicate_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Seconds in which a strategy may not order the same quantity of a symbol on the same side twice. An order that
    ended without a fill does not count."""
    require_price: bool = False
    """Refuse an order for a symbol that has no last price."""
    max_price_age: Annotated[float, Field(gt=0)] | None = None
    """Seconds since the last price was received."""
    price_band_percent: Percent | None = None
    """How far a LIMIT price may be from the last price, and the limit of an SL order from its trigger."""
    circuit_limits: dict[Symbol, CircuitLimits] = Field(default_factory=dict)
    """Today's, by symbol. Kite's master does not have them."""
    freeze_quantity: dict[str, Count] = Field(default_factory=dict)
    """Units above which the exchange takes no single order, by tradingsymbol or underlying, as in `NIFTY: 1800`.
    Kite's master does not have them."""
    physical_settlement: PhysicalSettlement = PhysicalSettlement.WARN
    """Contracts on shares end in a delivery. `refuse`: no order that adds to one in its last four days of trading
    before the expiry. `close`: nor is one kept, open orders in it are cancelled and what is held is closed as soon as
    its session is open. Held ones are alerted whatever this says; what is left of them on paper and in backtests is
    closed at its expiry."""
    refuse_delivery_sales: bool = False
    """Refuse sales of shares held (CNC, MTF): for an account without a DDPI, whose sales the depository must authorise
    each day first."""
    require_open_session: bool = False
    """Refuse an order outside of the windows of `market.sessions`."""
    refuse_mis_after_cutoff: bool = False
    """Refuse MIS orders from the broker's cut-off on (`market.sessions`)."""
    max_daily_loss: Rupees | None = None
    """Rupees realized since midnight, IST, before charges. A loss above it refuses all orders but those that only
    reduce a position; profits never refuse any."""
    max_loss_streak: Count | None = None
    """So many orders in a row that closed at a loss today refuse all orders but those that only reduce a position."""
    max_daily_drawdown_pct: Percent | None = None
    """The same as `max_daily_loss`, in percent of the capital."""
    day_lock: DayLock = DayLock()
    """When the account's day is over by itself."""
    on_trip: OnTrip = OnTrip.KEEP
    """What the day's loss, drawdown or loss streak, a risk flag, or a broker that refuses everything does to orders
    that are open: `keep`, `cancel_open` or `flatten`. New risk is refused whatever this says."""
    flatten_products: tuple[Product, ...] = tuple(Product)
    """What a flatten closes. Without `CNC`, shares that were bought for delivery stay."""
    halt_on_pnl_drop_pct: Percent | None = None
    """An older name of `max_daily_drawdown_pct`; the lower one counts."""
    max_lot_size: Count | None = None
    """An older name of `max_order_quantity` (as Kite counts, not always lots); the lower one counts."""
    max_order_per_second: Count | None = None
    """An older name of `max_orders_per_second.account`; the lower one counts."""
    reject_if_price_stale_secs: Annotated[float, Field(gt=0)] | None = None
    """An older name of `max_price_age`; the lower one counts."""
    reject_if_slippage_pct: Percent | None = None
    """An older name of `price_band_percent`; the lower one counts."""

    @property
    def closes_before_delivery(self) -> bool:
        """Whether contracts on shares are closed in their last days."""
        return self.physical_settlement is PhysicalSettlement.CLOSE and self.enabled is not False


Underlying = Annotated[str, Field(pattern=r"^(MCX|NCO|CDS|BCD):[A-Z0-9&-]+$")]
"""An exchange that counts in lots, and what its contracts are of."""


def _paths(given: Any) -> tuple[Path, ...]:
    """Of one path, or a list of them. An empty text would be the present folder."""
    every = given if isinstance(given, list | tuple) else (given,)
    if not every or not all(isinstance(each, str | Path) and str(each).strip() for each in every):
        raise ValueError("must be a path or a list of paths")
    return tuple(Path(each) for each in every)


Paths = Annotated[tuple[Path, ...], BeforeValidator(_paths)]


class Market(Section):
    calendar: Calendar = Calendar.XNSE
    feed: Feed = Feed.REPLAY
    ticks: Paths | None = None
    """Files or folders of ticks or candles to replay (docs/data-files.md); without any, the shipped day of the
    NIFTY 50."""
    recordings: Recordings = Recordings()
    symbol: str | None = None
    """Whose ticks those are, where the file does not say."""
    speed: Annotated[float, Field(gt=0, le=100_000)] = 60.0
    """Market seconds per second."""
    history: Path | None = None
    """A file of ticks or candles from before the recording: not played, and what a strategy's `history` begins
    with in a backtest and on paper."""
    instruments: Paths | None = None
    """Kite's instruments CSV, or several, an exchange each; without any, the small master that is shipped."""
    contract_sizes: dict[Underlying, Count] = Field(default_factory=dict)
    """Units of the price that one lot is, by exchange and underlying, as in `MCX:NICKEL: 250`: over those that are
    shipped, and those that Kite's positions tell."""
    settlement_prices: dict[str, dict[date, Rupees]] = Field(default_factory=dict)
    """Final settlement prices of indices, by name and day of expiry, as in `NIFTY: {2026-12-29: 26012.35}`: what index
    contracts end at on paper and in backtests. Without one it is the last price that the feed showed of the index."""
    sessions: Sessions = Sessions()
    exceptions: tuple[MarketException, ...] = ()
    """Days that `sessions.yaml` has otherwise, or not yet: a holiday by notice, the hours of a Muhurat session."""

    known_until: date | None = None
    """Up to then days count as known that are beyond the exchanges' lists in `sessions.yaml`: `exceptions` have
    what the lists say of them. Without it, live orders for such a day are refused unless they reduce a position."""

    @property
    def masters(self) -> tuple[Path, ...]:
        """The files of `instruments`."""
        return self.instruments or ()

    @property
    def tick_files(self) -> tuple[Path, ...]:
        """The files and folders of `ticks`."""
        return self.ticks or ()

    @field_validator("exceptions")
    @classmethod
    def _said_once(cls, exceptions: tuple[MarketException, ...]) -> tuple[MarketException, ...]:
        said = Counter((each.date, segment) for each in exceptions for segment in set(each.segments))
        for (day, segment), times in said.items():
            if times > 1:
                raise ValueError(f"{day} is there {times} times for {segment}")
        return exceptions


class Ledger(Section):
    url: str | None = None
    """SQLAlchemy URL; without one, `ledger.db` in the home directory."""
    password: SecretStr | None = None
    """Of the URL's user, where it does not stand in the URL."""
    realized_by: RealizedBy = RealizedBy.AVERAGE
    """`average` or `fifo`: which realized profit is shown, and counted as the day's loss. The ledger keeps both, so it
    may be changed at any time."""

    @model_validator(mode="after")
    def _has_somebody_whose_it_is(self) -> Self:
        if self.password is not None and self.url is None:
            raise ValueError("password: belongs to the user of a url, and there is none")
        return self


class Worker(Section):
    """The process that follows the orders."""

    max_cached_workflows: Annotated[int, Field(ge=10, le=1_000_000)] = 20_000
    """Orders, plans and the like that it keeps in memory, at most: some 110 KB each (docs/measured.md). With more of
    them open, those that heard nothing for longest leave it; the next thing that one hears costs a replay of its
    history, and nothing else."""


class Page(Section):
    """The page and the API."""

    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where `up` serves them; without one, or with 0, it does not."""
    host: str = "127.0.0.1"
    """The address to listen on. Any but the loopback's is for a proxy with TLS before it."""
    names: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.*-]+$")], ...] = ()
    """Names under which a browser may ask for them beside the loopback's, as a proxy passes them on."""
    link: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    """Under which address people find the page, for the links in news; that of `port` without it."""

    @property
    def address(self) -> str | None:
        """Where people find the page; `None` if it is not served."""
        return self.link or (f"http://127.0.0.1:{self.port}" if self.port else None)


class Settings(Section):
    account: Name = "paper"
    execution: Execution = Execution()
    guardian: Guardian = Guardian()
    exits: Exits = Exits()
    trading: Trading = Trading()
    market: Market = Market()
    kite: Kite = Kite()
    ledger: Ledger = Ledger()
    worker: Worker = Worker()
    page: Page = Page()
    notify: dict[Name, Channel] = Field(default_factory=dict)
    """Where news goes, by a name of yours."""
    hooks: dict[Name, Hook] = Field(default_factory=dict)
    """Alerts that come in, by the name in their address."""

    @property
    def channels(self) -> dict[str, Channel]:
        """Those of `notify` that hear of this account."""
        named = self.notify.items()
        return {name: channel for name, channel in named if not channel.accounts or self.account in channel.accounts}

    @property
    def placing(self) -> Placing:
        """How orders of the mode that is set are sent and settled."""
        return self.execution.live if self.execution.mode is Mode.LIVE else self.execution.paper

    @classmethod
    def load(cls, file: Path | None = None, environment: dict[str, str] | None = None) -> "Settings":
        """Defaults, then `file` if it exists, then the environment. Raises `InvalidSettings`, which names the key."""
        content = read_file(file) if file is not None else {}
        for path, value in from_environment(os.environ if environment is None else environment):
            put(content, path, value)
        return cls._checked(content, file)

    @classmethod
    def _checked(cls, content: dict[str, Any], file: Path | None) -> "Settings":
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InvalidSettings(explained(cls, error, file)) from None

    def replaced(self, changes: dict[str, dict[str, Any]]) -> "Settings":
        """These settings with some keys of some sections replaced. Raises `InvalidSettings`."""
        content = self.model_dump()
        for section, values in changes.items():
            content[section] |= values
        return self._checked(content, None)
