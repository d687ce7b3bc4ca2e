"""Getting out: which open orders to cancel, and which orders close what is held.

A position is closed at the market, in as many orders as the limits on a single one ask for, and only while nothing
else of its symbol and product is open: what an open or unknown order may still trade would make the size wrong.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal

from trading.ledger.accounts import AccountState
from trading.ledger.positions import Position
from trading.ledger.trips import Trip
from trading.market.instruments import Instrument
from trading.order import Frozen, Mode, Order, OrderIntent, OrderType, Product, Side, Status
from trading.settings import Guardian, OnTrip

UNWINDING = "unwind"
"""The strategy of the orders that close positions."""
ROUNDS = 5
"""So often closing a position is tried, before a human is asked to look."""
BETWEEN_ROUNDS = timedelta(seconds=1)
"""Before a position that an order did not close is tried again; doubled each time."""
MOST_SLICES = 100
REASON_LENGTH = 480


class Unwinding(Frozen):
    """What is asked for."""

    account: str
    reason: str
    who: str
    flatten: bool = False
    """Close every position, after the open orders are cancelled."""
    halt: bool = False
    """Halt the account when that is done."""

    def joined_by(self, other: "Unwinding") -> "Unwinding":
        """Both at once; the later one's reason counts."""
        return other.model_copy(update={"flatten": self.flatten or other.flatten, "halt": self.halt or other.halt})


class OpenOrder(Frozen):
    """An order that has not ended."""

    order_id: str
    summary: str
    status: Status
    position: str
    followed: bool
    """Whether a workflow of its own follows it; one that was found at the broker has none."""


class Closing(Frozen):
    """A position, and the quantities of the orders that close it."""

    symbol: str
    product: Product
    side: Side
    """Of the orders."""
    slices: tuple[int, ...]

    @property
    def position(self) -> str:
        return position_name(self.symbol, self.product)


class Picture(Frozen):
    """How things stand."""

    state: AccountState
    mode: Mode
    open: tuple[OpenOrder, ...] = ()
    closings: tuple[Closing, ...] = ()
    over: tuple[str, ...] = ()
    """Those of the closing orders that have ended, by order id."""


class Became(Frozen):
    """What became of one order."""

    order_id: str
    summary: str
    status: Status
    filled_quantity: int
    words: str
    """The last reason, if it has one."""


class Left(Frozen):
    """A position that is still there."""

    symbol: str
    product: Product
    quantity: int


class Unwound(Frozen):
    """How an unwinding ended."""

    state: AccountState
    cancelled: tuple[Became, ...]
    """The orders that were open."""
    closed: tuple[Became, ...]
    """The orders that were to close positions."""
    left: tuple[Left, ...]
    """Positions that are still there; of those that were to be closed, if any were."""
    problems: tuple[str, ...]


def position_name(symbol: str, product: Product) -> str:
    return f"{symbol} {product}"


def busy(picture: Picture, placed: Mapping[str, str]) -> set[str]:
    """The positions that something is open in. `placed` are closing orders with their positions: one that the ledger
    does not have yet is open, too."""
    over = set(picture.over)
    return {order.position for order in picture.open} | {
        position for order_id, position in placed.items() if order_id not in over
    }


def due(picture: Picture, taken: Collection[str], rounds: Mapping[str, int]) -> list[Closing]:
    """The positions to close now."""
    return [
        closing
        for closing in picture.closings
        if closing.position not in taken and rounds.get(closing.position, 0) < ROUNDS
    ]


def is_out(request: Unwinding, picture: Picture, placed: Mapping[str, str], rounds: Mapping[str, int]) -> bool:
    """Whether nothing is open, and everything that was to be closed is closed or was tried `ROUNDS` times."""
    if picture.open or placed:
        return False
    if not request.flatten or picture.state is AccountState.HALTED:
        return True
    return not due(picture, (), rounds)


def problems(rounds: Mapping[str, int]) -> list[str]:
    """What could not be closed."""
    return [
        f"{position} could not be closed in {ROUNDS} tries: look at it; closing orders are still taken"
        for position, tries in rounds.items()
        if tries >= ROUNDS
    ]


def after_trip(trip: Trip) -> Unwinding | None:
    """What a breaker that tripped asks for, by the settings of then; `None` where open orders go on."""
    if trip.response is OnTrip.KEEP:
        return None
    return Unwinding(
        account=trip.account,
        reason=f"{trip.cause}: {trip.message}",
        who=f"by the breaker {trip.cause}",
        flatten=trip.response is OnTrip.FLATTEN,
    )


def to_close(positions: Iterable[Position], limits: Guardian) -> list[Position]:
    return [held for held in positions if held.quantity and held.product in limits.flatten_products]


def closing(held: Position, limits: Guardian, instrument: Instrument | None, price: Decimal | None) -> Closing:
    """Of a position. `price` is the last one, in rupees a unit."""
    return Closing(
        symbol=held.symbol,
        product=held.product,
        side=Side.SELL if held.quantity > 0 else Side.BUY,
        slices=slices(abs(held.quantity), limits, instrument, price),
    )


def closing_order(request: Unwinding, name: str, of: Closing, quantity: int, mode: Mode) -> OrderIntent:
    """One of the orders that close a position. `name` is its client order id."""
    return OrderIntent(
        account=request.account,
        mode=mode,
        client_order_id=name,
        strategy=UNWINDING,
        reason=request.reason[:REASON_LENGTH].replace("\x00", " "),
        symbol=of.symbol,
        side=of.side,
        quantity=quantity,
        order_type=OrderType.MARKET,
        product=of.product,
    )


def became(orders: Iterable[Order]) -> tuple[Became, ...]:
    return tuple(
        Became(
            order_id=order.order_id,
            summary=order.summary(),
            status=order.status,
            filled_quantity=order.filled_quantity,
            words=order.reasons[-1] if order.reasons else "",
        )
        for order in orders
    )


def slices(quantity: int, limits: Guardian, instrument: Instrument | None, price: Decimal | None) -> tuple[int, ...]:
    """The quantity in orders of which each keeps the limits on a single one, in whole lots where that is possible.

    `price` is in rupees a unit; without one, a limit on an order's value cannot be kept, and such an order is refused.
    """
    lot = instrument.lot_size if instrument and instrument.lot_size > 0 else 1
    most = min(_most(limits, instrument, price), default=quantity)
    size = max(most // lot * lot, lot, -(-quantity // MOST_SLICES))
    whole, rest = divmod(quantity, size)
    return (size,) * whole + ((rest,) if rest else ())


def _most(limits: Guardian, instrument: Instrument | None, price: Decimal | None) -> list[int]:
    names = [instrument.symbol.partition(":")[2], instrument.name] if instrument else []
    of_the_exchange = [limits.freeze_quantity[name] for name in names if name in limits.freeze_quantity]
    of_value = [int(limits.max_order_value // price)] if limits.max_order_value is not None and price else []
    own = [limit for limit in (limits.max_order_quantity, limits.max_lot_size) if limit is not None]
    return own + of_the_exchange[:1] + of_value
