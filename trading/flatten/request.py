"""What a flatten is asked for, and how it ended."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from durable_orders.trading.config.settings import Guardian, OnTrip
from durable_orders.trading.gtt.gtt import GttStatus
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.trips import Trip
from durable_orders.trading.orders.order import Frozen, Order, Product, Status


class FlattenRequest(Frozen):
    """What is asked for. Without a strategy and a symbol, it is asked of the whole account."""

    account: str
    reason: str
    who: str
    flatten: bool = False
    """Close what is held, after the open orders are cancelled."""
    halt: bool = False
    """Halt the account when that is done."""
    until_resumed: bool = True
    """The account was stopped for it: it ends when somebody lets the account trade again. Otherwise it goes on whatever
    the account may do, but for a halt."""
    symbol: str | None = None
    """Only orders and positions in this symbol."""
    strategy: str | None = None
    """Only this strategy's orders, and what its own trades have come to."""
    products: tuple[Product, ...] | None = None
    """What is closed; without it, `guardian.flatten_products`."""

    def is_same(self, other: "FlattenRequest") -> bool:
        """Whether both ask for the same, whoever asks and why."""
        return self.model_copy(update={"reason": other.reason, "who": other.who}) == other

    def covers(self, symbol: str, strategy: str) -> bool:
        """Whether an order is within it."""
        return self.symbol in (None, symbol) and self.strategy in (None, strategy)

    def closes(self, product: Product, limits: Guardian) -> bool:
        return self.flatten and product in (limits.flatten_products if self.products is None else self.products)


class OrderOutcome(Frozen):
    """What became of one order."""

    order_id: str
    summary: str
    status: Status
    filled_quantity: int
    words: str
    """The last reason, if it has one."""

    @classmethod
    def of(cls, order: Order) -> "OrderOutcome":
        return cls(
            order_id=order.order_id,
            summary=order.summary(),
            status=order.status,
            filled_quantity=order.filled_quantity,
            words=order.reasons[-1] if order.reasons else "",
        )


class GttOutcome(Frozen):
    """What became of a GTT that was asked to be deleted."""

    gtt_id: str
    summary: str
    status: GttStatus
    words: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.gtt_id}: {self.summary}{f': {self.words}' if self.words else ''}"


class OpenPosition(Frozen):
    """A position that is still there."""

    symbol: str
    product: Product
    quantity: int
    """Signed; short is negative."""

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol} {self.product}"


class Difference(Frozen):
    """A position of which the broker has something else than the ledger. Quantities are signed."""

    symbol: str
    product: str
    """One of `Product`, or another that only the broker has."""
    ours: int
    theirs: int

    @property
    def key(self) -> str:
        return f"{self.symbol} {self.product}"

    @property
    def quantity(self) -> int:
        """By how much the broker has more."""
        return self.theirs - self.ours

    def __str__(self) -> str:
        return f"{self.symbol} {self.product}: {self.ours} in the ledger, {self.theirs} at the broker"


class ExitCost(Frozen):
    """What closing one symbol and product came to, against the last price when it began."""

    symbol: str
    product: Product
    quantity: int
    """Signed as the trades: a sale is negative."""
    average_price: Decimal
    start_price: Decimal | None
    """`None` where no price was known."""
    rupees: Decimal | None
    """More than 0 is a loss; before charges."""

    def __str__(self) -> str:
        side = "bought" if self.quantity > 0 else "sold"
        average = f"{self.average_price.normalize():f}"
        words = f"{self.symbol} {self.product}: {abs(self.quantity)} {side} at {average} on average"
        if self.start_price is None or self.rupees is None:
            return f"{words}; there was no price when it began"
        return f"{words}, {self.start_price.normalize():f} when it began: it cost {self.rupees:.2f} rupees"


class FlattenResult(Frozen):
    """How a flatten ended."""

    state: AccountState
    cancelled: tuple[OrderOutcome, ...]
    """The orders that were open."""
    closed: tuple[OrderOutcome, ...]
    """The orders that were to close positions."""
    left: tuple[OpenPosition, ...]
    """Positions that are still there; of those that were to be closed, if any were."""
    problems: tuple[str, ...]
    differences: tuple[Difference, ...] = ()
    """Positions of which the broker has something else than the ledger. What only one of them has is not closed."""
    costs: tuple[ExitCost, ...] = ()
    stays: tuple[OpenPosition, ...] = ()
    """Positions of products that are not in `guardian.flatten_products`: nobody has asked for those to be closed."""
    gtts: tuple[GttOutcome, ...] = ()
    """GTTs of what was closed, which were to be deleted. One that is still there is one of the problems, too."""

    @property
    def is_flat(self) -> bool:
        """Whether the broker has nothing left of what was to be closed."""
        return not (self.left or self.problems or any(each.theirs for each in self.differences))

    @property
    def words(self) -> str:
        """Whether it is flat, in one line, with all that is held still."""
        kept = f"of a product that guardian.flatten_products leaves: {', '.join(map(str, self.stays))}"
        if self.is_flat:
            return f"flat, but for what is {kept}" if self.stays else "flat"
        held = [f"{each} still held" for each in self.left]
        unknown = [f"{each.theirs} {each.key} at the broker" for each in self.differences if each.theirs]
        return f"not flat: {'; '.join((*self.problems, *held, *unknown, *([kept] if self.stays else [])))}"


def joined(requests: Iterable[FlattenRequest], request: FlattenRequest) -> tuple[FlattenRequest, ...]:
    """The requests with one more, in the place of one that asks for the same. Others stay as they are: what each closes
    and how long it goes on is its own."""
    return (*(each for each in requests if not each.is_same(request)), request)


def after_trip(trip: Trip) -> FlattenRequest | None:
    """What a breaker that tripped asks for, by the settings of then; `None` where open orders go on."""
    if trip.response is OnTrip.KEEP:
        return None
    return FlattenRequest(
        account=trip.account,
        reason=f"{trip.cause}: {trip.message}",
        who=f"by the breaker {trip.cause}",
        flatten=trip.response is OnTrip.FLATTEN,
        until_resumed=trip.strategy is None,
        strategy=trip.strategy,
    )


def before_delivery(account: str, symbol: str, expiry: date) -> FlattenRequest:
    """What `guardian.physical_settlement: close` asks for, whatever `guardian.flatten_products` says."""
    return FlattenRequest(
        account=account,
        reason=f"PHYSICAL_SETTLEMENT: {symbol} is settled in shares on {expiry:%d %b %Y}",
        who="by guardian.physical_settlement",
        flatten=True,
        until_resumed=False,
        symbol=symbol,
        products=(Product.NRML, Product.MIS),
    )
