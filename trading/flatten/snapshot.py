"""How an account stands at one moment, as far as a flatten has to know."""

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.flatten.exits import Quote, WorkingExit
from durable_orders.trading.flatten.request import Difference, OpenPosition, OrderOutcome
from durable_orders.trading.gtt.gtt import GttStatus
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import Frozen, Mode, Order, Product, Side, Status


class OpenOrder(Frozen):
    """An order that has not ended."""

    order_id: str
    summary: str
    status: Status
    position: str
    followed: bool
    """Whether a workflow of its own follows it; one that was found at the broker has none."""

    @classmethod
    def of(cls, order: Order, *, followed: bool) -> "OpenOrder":
        return cls(
            order_id=order.order_id,
            summary=order.summary(),
            status=order.status,
            position=position_name(order.symbol, order.product),
            followed=followed,
        )


class OpenGtt(Frozen):
    """A GTT that would trade what is being closed: it waits at the broker, or has just placed its order."""

    gtt_id: str
    summary: str
    status: GttStatus
    """`TRIGGERED` while the ledger does not have the order that it has placed."""
    position: str
    why: str = ""
    """Why it is not deleted so far, if that is known."""


class Closing(Frozen):
    """What may be closed of a position now, in orders that keep the limits on a single one."""

    symbol: str
    product: Product
    side: Side
    """Of the orders."""
    slices: tuple[int, ...]
    strategy: str | None = None
    """Whose position it is; without it, the account's."""
    quote: Quote | None = None
    """What the market takes of those orders."""
    reason: str = ""
    """Of the latest request that wants it closed."""

    @property
    def position(self) -> str:
        return position_name(self.symbol, self.product)

    @property
    def quantity(self) -> int:
        """Signed as what is held."""
        return -self.side.sign * sum(self.slices)

    @property
    def key(self) -> str:
        return self.position if self.strategy is None else f"{self.position} {self.strategy}"


class Snapshot(Frozen):
    """What is open and held within the requests."""

    state: AccountState
    mode: Mode
    open: tuple[OpenOrder, ...] = ()
    closings: tuple[Closing, ...] = ()
    stuck: tuple[OpenPosition, ...] = ()
    """What is held and cannot be sold now, such as shares that are pledged."""
    over: tuple[str, ...] = ()
    """Those of the closing orders that have ended, by order id."""
    outcomes: tuple[OrderOutcome, ...] = ()
    """What became of those."""
    differences: tuple[Difference, ...] = ()
    """Where the broker has something else than the ledger."""
    settle_seconds: float = 0.0
    """A difference counts when it lasts so long: the broker's positions lag behind its trades."""
    waits: str = ""
    """Why nothing can be closed now, where that is so."""
    gtts: tuple[OpenGtt, ...] = ()
    """Those that are to be deleted, or whose order is not known yet."""
    working: tuple[WorkingExit, ...] = ()
    """Those of the closing orders that have not ended."""
    exits: Exits | None = None
    """How those are repriced; without it they are not, and a position is given up after some failures."""

    def without_quotes(self) -> "Snapshot":
        """But for what the market does by itself."""
        return self.model_copy(
            update={"closings": tuple(each.model_copy(update={"quote": None}) for each in self.closings)}
        )


def position_name(symbol: str, product: Product) -> str:
    return f"{symbol} {product}"
