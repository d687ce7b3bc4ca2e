"""What a check may look at: the order's surroundings, read in the transaction that also reserves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import Flag, auto
from typing import NamedTuple, TypeVar

from durable_orders.trading.charges.contracts import multiplier_of, size_of
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.approvals import Count
from durable_orders.trading.ledger.exposure import NOTHING, Held, Pending
from durable_orders.trading.ledger.funds import Margin
from durable_orders.trading.ledger.position_differences import Unexplained
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.request_limits import Sent
from durable_orders.trading.orders.order import Order

T = TypeVar("T")


class Figures(Flag):
    """What a check needs beyond the order, its instrument and its last price. Each costs one query."""

    NONE = 0
    SYMBOL = auto()
    """`held()`, `held_in_symbol()` and `only_reduces()`."""
    ACCOUNT = auto()
    """`held_by_account()`."""
    STRATEGY = auto()
    """`held_by_strategy()`."""
    DAY = auto()
    """`realized_today()`."""
    STREAK = auto()
    """`losses_in_a_row()`."""
    MARGIN = auto()
    """`margin()`."""
    LOCK = auto()
    """`read.day_over` and `read.offset`."""


@dataclass(frozen=True, slots=True)
class Read:
    """The figures, as far as they were asked for; `None` where they were not. Positions and open orders are without
    the order itself."""

    held: Held | None = None
    """Of the order's own symbol and product."""
    held_in_symbol: Sequence[Held] | None = None
    held_by_account: Sequence[Held] | None = None
    held_by_strategy: Sequence[Held] | None = None
    """Of the strategy's own orders, as if it were alone in the account."""
    realized_today: Decimal | None = None
    """Rupees that the account realized since midnight, IST."""
    losses_in_a_row: int | None = None
    margin: Margin | None = None
    counts: Mapping[Count, int] = field(default_factory=dict)
    day_over: str = ""
    """Why the strategy's day is over; empty while it is not."""
    offset: int = 0
    """While it is: what others have closed of the strategy's holding in the order's symbol and product, signed as
    that is."""


class CheckContext(NamedTuple):
    """Everything around one order at one moment. A figure that a check did not say it needs raises `ValueError`."""

    order: Order
    """As it stands; what it asks for are the terms that a check gets beside this."""
    now: datetime
    market_time: datetime
    """On the market's clock: where a day is replayed, the replay's."""
    place_by: datetime
    instrument: Instrument | None
    nearest_symbol: str | None = None
    last_price: Decimal | None = None
    """As quoted; `None` before the first tick."""
    price_received_at: datetime | None = None
    state: AccountState = AccountState.ACTIVE
    state_reason: str = ""
    unsettled: Sequence[str] = ()
    """Orders whose outcome is unknown while the broker's book cannot be read."""
    asked: Pending = NOTHING
    """What is to be reserved for the order: what it may still trade, and for a change the greater of before and after.
    What is filled is part of the position."""
    price: Decimal | None = None
    """As quoted: the limit, else the trigger, else the last price, if there is one."""
    read: Read = Read()
    changes: int = 0
    """Changes of the order that were let through so far, and may have been made."""
    has_market_time: bool = True
    """Whether `market_time` is the market's: on paper it is the wall's until the first tick."""
    unreadable: str | None = None
    """Why the instrument is not known though the master has it: its row cannot be read."""
    unexplained: Sequence[Unexplained] = ()
    """Positions in the order's symbol of which the broker has something else than the ledger."""
    sent: Sent | None = None
    """What the paper exchange was sent of late. `None` live, where approved orders are counted."""

    @property
    def is_sized(self) -> bool:
        """Whether it is known what one of the order's quantity stands for, and so what the order is in rupees."""
        return size_of(self.order.symbol) is not None

    def rupees(self, quantity: int) -> Decimal | None:
        """So many of the order at its price. `None` without a price; those of one unit a lot unless `is_sized`."""
        if self.price is None:
            return None
        size = multiplier_of(self.order.symbol)
        return self.price * quantity if size == 1 else self.price * quantity * size

    def beside(self, waiting: Pending) -> "CheckContext":
        """As if more orders of its side, symbol and product were open."""
        if self.read.held is None or not waiting.quantity:
            return self
        held = self.read.held.plus(self.order.side, waiting)
        return self._replace(read=replace(self.read, held=held))

    def held(self) -> Held:
        """The position in the order's own symbol and product, with its open orders."""
        return _known(self.read.held, Figures.SYMBOL)

    def held_in_symbol(self) -> Sequence[Held]:
        return _known(self.read.held_in_symbol, Figures.SYMBOL)

    def held_by_account(self) -> Sequence[Held]:
        return _known(self.read.held_by_account, Figures.ACCOUNT)

    def held_by_strategy(self) -> Sequence[Held]:
        return _known(self.read.held_by_strategy, Figures.STRATEGY)

    def realized_today(self) -> Decimal:
        """Rupees; a loss is negative."""
        return _known(self.read.realized_today, Figures.DAY)

    def losses_in_a_row(self) -> int:
        return _known(self.read.losses_in_a_row, Figures.STREAK)

    def margin(self) -> Margin:
        """The broker's, as last read, and what was approved since without this order."""
        return _known(self.read.margin, Figures.MARGIN)

    def count(self, count: Count) -> int:
        """How many approved orders there are, without this one. Raises `KeyError` for one that was not asked for."""
        return self.read.counts[count]

    def only_reduces(self) -> bool:
        """Whether the order can only close what is held, even if every open order of its side fills as well."""
        return self.held().only_reduced_by(self.order.side, self.asked.quantity)


def _known(figure: T | None, needed: Figures) -> T:
    if figure is None:
        raise ValueError(f"the check does not say that it needs {needed.name}")
    return figure
