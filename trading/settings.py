"""One frozen settings object: defaults here, then the YAML file, then `DURABLE_ORDERS_*` (nested names take `__`)."""

import difflib
import os
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from trading.errors import InvalidSettings
from trading.order import Mode, Name

ENVIRONMENT_PREFIX = "DURABLE_ORDERS_"

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bps = Annotated[Decimal, Field(ge=0, le=10_000)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Calendar(StrEnum):
    XNSE = "XNSE"
    ALWAYS_OPEN = "always_open"


class Feed(StrEnum):
    REPLAY = "replay"
    SYNTHETIC = "synthetic"


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
    market_deadline: Seconds = 30.0
    """Seconds from its creation after which a MARKET or SL-M order is no longer sent."""
    safety_interval: Annotated[float, Field(ge=1)] = 900.0
    """Seconds after which an order that heard nothing checks that the watch is alive, and looks for itself if not."""


class Paper(Placing):
    """The paper exchange. Prices in basis points of the last price."""

    settle_window: Seconds = 2.0
    """The paper exchange's book is complete the moment it is read, so two seconds are plenty."""
    slippage_enabled: bool = True
    slippage_bps: Bps = Decimal(5)
    spread_enabled: bool = False
    spread_bps: Bps = Decimal(2)
    partial_fill_enabled: bool = False
    partial_fill_probability: Probability = 0.1
    partial_fill_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    latency_enabled: bool = False
    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 50
    seed: int = 0
    stale_tick_seconds: Seconds = 20.0
    """A last price received longer ago than this fills nothing; the order waits for the next tick."""


class Live(Placing):
    """Kite. Its limits are 10 order requests a second and 400 a minute (Kite documentation, rate limits)."""

    orders_per_second: Annotated[int, Field(ge=1, le=10)] = 10
    """Order requests (place, modify, cancel) of the account in any second, over all workers."""
    orders_per_minute: Annotated[int, Field(ge=1, le=400)] = 400
    market_protection: Annotated[Decimal, Field(ge=-1, le=100)] = Decimal(-1)
    """Percent for MARKET and SL-M; -1 lets Kite choose. Kite refuses such orders without it since 1 April 2026."""
    identical_refusals: Annotated[int, Field(ge=1)] = 3
    """So many refusals in a row with the same words, other than for the order itself, halt the account."""


class Execution(Section):
    mode: Mode = Mode.PAPER
    dry_run: bool = False
    """Check and record everything, and send nothing: every order ends REJECTED, marked as a dry run."""
    paper: Paper = Paper()
    live: Live = Live()


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


class Guardian(Section):
    """Pre-trade limits. One that is not set is off."""

    max_order_quantity: Annotated[int, Field(gt=0)] | None = None
    """Units in one order."""
    max_order_value: Annotated[Decimal, Field(gt=0)] | None = None
    """Rupees in one order: quantity times limit price, or last price where there is no limit."""


class Market(Section):
    calendar: Calendar = Calendar.XNSE
    feed: Feed = Feed.REPLAY
    ticks: Path | None = None
    """CSV or Parquet to replay; without one, the shipped day of the NIFTY 50."""
    symbol: str | None = None
    """Whose ticks those are, where the file does not say."""
    speed: Annotated[float, Field(gt=0, le=100_000)] = 60.0
    """Market seconds per second."""
    instruments: Path | None = None
    """Kite's instruments CSV; without one, the small master that is shipped."""


class Ledger(Section):
    url: str | None = None
    """SQLAlchemy URL; without one, `ledger.db` in the home directory."""


class Settings(Section):
    account: Name = "paper"
    execution: Execution = Execution()
    guardian: Guardian = Guardian()
    market: Market = Market()
    kite: Kite = Kite()
    ledger: Ledger = Ledger()

    @property
    def placing(self) -> Placing:
        """How orders of the mode that is set are sent and settled."""
        return self.execution.live if self.execution.mode is Mode.LIVE else self.execution.paper

    @classmethod
    def load(cls, file: Path | None = None, environment: dict[str, str] | None = None) -> "Settings":
        """Defaults, then `file` if it exists, then the environment. Raises `InvalidSettings`, which names the key."""
        content = _read(file) if file is not None else {}
        for path, value in _from_environment(os.environ if environment is None else environment):
            _put(content, path, value)
        return cls._checked(content, file)

    @classmethod
    def _checked(cls, content: dict[str, Any], file: Path | None) -> "Settings":
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InvalidSettings(_explain(cls, error, file)) from None

    def replaced(self, changes: dict[str, dict[str, Any]]) -> "Settings":
        """These settings with some keys of some sections replaced. Raises `InvalidSettings`."""
        content = self.model_dump()
        for section, values in changes.items():
            content[section] |= values
        return self._checked(content, None)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise InvalidSettings(f"{file}: not YAML{line}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InvalidSettings(f"{file}: must hold settings as `key: value`, was a {type(content).__name__}")
    return content


def _from_environment(environment: Any) -> list[tuple[list[str], Any]]:
    """`DURABLE_ORDERS_EXECUTION__PAPER__SLIPPAGE_BPS=7` as (["execution", "paper", "slippage_bps"], 7)."""
    found = []
    for name, value in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in OTHER_VARIABLES:
            found.append((name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), _scalar(name, value)))
    return found


def _scalar(name: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise InvalidSettings(f"{name}: not a YAML value") from None


OTHER_VARIABLES = frozenset({"DURABLE_ORDERS_HOME", "DURABLE_ORDERS_CONFIG"})
"""Read by the command line, not settings."""


def _put(content: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        inner = content.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidSettings(f"{'.'.join(path)}: {part} is not a section")
        content = inner
    content[path[-1]] = value


def _explain(root: type[BaseModel], error: ValidationError, file: Path | None) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        path = [str(part) for part in problem["loc"]]
        key = ".".join(path)
        if problem["type"] == "extra_forbidden":
            problems.append(f"{key}: no such setting{_nearest(root, path)}")
        else:
            problems.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
    return f"{file or 'settings'}: " + "; ".join(problems)


def _nearest(root: type[BaseModel], path: list[str]) -> str:
    known = [".".join(key) for key in all_keys(root)]
    near = difflib.get_close_matches(".".join(path), known, n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else ""


def all_keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key that can be set, as its path."""
    keys: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            keys += all_keys(inner, (*above, name))
        else:
            keys.append((*above, name))
    return keys
