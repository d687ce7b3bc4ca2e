"""What may be closed of a position, and by which orders: everything that closes a position passes here.

The quantity is the smallest of what the strategy, the account and the broker have, on one side, product by product. So
a closing order never opens: what somebody else has closed is not sold again, what was converted is closed under the
product that it has now, and delivery below zero, which is a sale out of holdings and never a short, is not bought back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.exits import Quote, Send
from durable_orders.trading.flatten.request import FlattenRequest, OpenPosition
from durable_orders.trading.flatten.snapshot import Closing
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.rules import freeze_quantity
from durable_orders.trading.orders.offsets import UNWIND
from durable_orders.trading.orders.order import Mode, OrderIntent, OrderType, Product, Side

FLATTEN = UNWIND
MOST_SLICES = 100
REASON_LENGTH = 480

Key = tuple[str, Product]


@dataclass(frozen=True, slots=True)
class Held:
    """What the account has, and whose it is. Quantities are signed; short is negative."""

    account: Mapping[Key, int]
    own: Mapping[str, Mapping[Key, int]] = field(default_factory=dict)
    """By strategy: what its own trades have come to."""
    broker: Mapping[Key, int] | None = None
    """What the broker has, of delivery what may be sold; `None` where the account is the broker's own word."""

    def at_broker(self, key: Key) -> int:
        return self.account.get(key, 0) if self.broker is None else self.broker.get(key, 0)


@dataclass(frozen=True, slots=True)
class Target:
    """A position that is to be closed, and what everybody has of it."""

    symbol: str
    product: Product
    strategy: str | None
    """Whose it is; `None` for the account's own."""
    own: int
    account: int
    broker: int
    reason: str = ""
    """Of the latest request that wants it closed."""

    @property
    def closable(self) -> int:
        return closable(self.product, self.own, self.account, self.broker)

    @property
    def side(self) -> Side:
        """Of the order that closes it."""
        return Side.SELL if self.closable > 0 else Side.BUY


def closable(product: Product, *have: int) -> int:
    """The smallest of them on one side, signed; 0 where they are on different sides, or one has nothing."""
    if min(have) > 0:
        return min(have)
    if max(have) < 0 and not product.is_delivery:
        return max(have)
    return 0


def targets(requests: Iterable[FlattenRequest], held: Held, limits: Guardian) -> list[Target]:
    """The positions that the requests want closed. What one strategy's target takes of the account's is not there for
    the next one's."""
    asked = list(requests)
    found = []
    for key, quantity in held.account.items():
        symbol, product = key
        wanted = [each for each in asked if each.closes(product, limits) and each.symbol in (None, symbol)]
        broker = held.at_broker(key)
        reasons = {each.strategy: each.reason for each in wanted}
        if None in reasons:
            found.append(Target(symbol, product, None, quantity, quantity, broker, reasons[None]))
            continue
        left = quantity
        for name, reason in reasons.items():
            own = held.own.get(name or "", {}).get(key, 0)
            target = Target(symbol, product, name, own, left, broker, reason)
            found.append(target)
            left, broker = left - target.closable, broker - target.closable
    return [target for target in found if target.own]


def stuck(found: Iterable[Target], there: Mapping[Key, int]) -> Iterator[OpenPosition]:
    """Of the targets, delivery shares that the broker has and that may not be sold now. `there` is all that it has."""
    left = dict(there)
    for target in found:
        key = target.symbol, target.product
        held = max(min(target.own, target.account, left.get(key, 0)), 0)
        left[key] = left.get(key, 0) - held
        if target.product.is_delivery and held > target.closable:
            yield OpenPosition(symbol=target.symbol, product=target.product, quantity=held - target.closable)


def closing(
    target: Target,
    limits: Guardian,
    instrument: Instrument | None,
    price: Decimal | None,
    day: date | None = None,
    quote: Quote | None = None,
) -> Closing:
    """Of a target that has something to close. `price` is the last one, in rupees a unit; `day` that of the session
    whose freeze quantities count; `quote` what the market takes."""
    return Closing(
        symbol=target.symbol,
        product=target.product,
        side=target.side,
        slices=slices(abs(target.closable), limits, instrument, price, day),
        strategy=target.strategy,
        quote=quote,
        reason=target.reason,
    )


def quantities(positions: Iterable[Position]) -> dict[Key, int]:
    return {(held.symbol, held.product): held.quantity for held in positions if held.quantity}


AT_MARKET = Send(OrderType.MARKET, None)


def closing_order(
    account: str,
    mode: Mode,
    name: str,
    reason: str,
    of: Closing,
    quantity: int,
    how: Send = AT_MARKET,
    place_by: datetime | None = None,
) -> OrderIntent:
    """One of the orders that close a position. `name` is its client order id."""
    return OrderIntent(
        account=account,
        mode=mode,
        client_order_id=name,
        strategy=of.strategy or FLATTEN,
        reason=reason[:REASON_LENGTH].replace("\x00", " "),
        symbol=of.symbol,
        side=of.side,
        quantity=quantity,
        order_type=how.order_type,
        price=how.price,
        product=of.product,
        place_by=place_by,
    )


def slices(
    quantity: int,
    limits: Guardian,
    instrument: Instrument | None,
    price: Decimal | None,
    day: date | None = None,
) -> tuple[int, ...]:
    """The quantity in orders of which each keeps the limits on a single one, in whole lots where that is possible.

    `price` is in rupees a unit; without one, a limit on an order's value cannot be kept, and such an order is refused.
    `day` says whose freeze quantities count; without one, those of the settings alone.
    """
    lot = instrument.lot_size if instrument and instrument.lot_size > 0 else 1
    most = min(_most(limits, instrument, price, day), default=quantity)
    size = max(most // lot * lot, lot, -(-quantity // MOST_SLICES))
    whole, rest = divmod(quantity, size)
    return (size,) * whole + ((rest,) if rest else ())


def _most(limits: Guardian, instrument: Instrument | None, price: Decimal | None, day: date | None) -> Sequence[int]:
    of_the_exchange = []
    if instrument is not None:
        known = freeze_quantity(instrument, day or date.min, limits.freeze_quantity)
        of_the_exchange = [known[0]] if known is not None else []
    of_value = [int(limits.max_order_value // price)] if limits.max_order_value is not None and price else []
    own = [limit for limit in (limits.max_order_quantity, limits.max_lot_size) if limit is not None]
    return own + of_the_exchange + of_value
