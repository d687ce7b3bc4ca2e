"""What an account holds and may still trade: positions and reservations together, in one statement.

Each symbol and product is a position of its own, as it is at the broker: a short in MIS is not closed by shares that
are held in CNC. While every open order may fill or not, a position of `quantity` ends up somewhere between
`quantity - selling` and `quantity + buying`. Its reach on a side is the worst of that. A fill moves units from the
reservation into the position and so never lets a reach grow; only a new order, or a change of one, does.

Prices are as quoted, in the tables too. Here they become rupees: those of one of the quantity, which is a lot where
Kite counts in lots (`trading.charges.contracts`). A position's cost is in rupees already.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of, size_of
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import positions, reservations, strategy_positions, ticks
from durable_orders.trading.orders.order import Product, Side

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Pending:
    """What open orders of one side may still trade."""

    quantity: int = 0
    value: Decimal = ZERO
    """Rupees, at the orders' own prices."""
    highest: Decimal = ZERO
    """Rupees of one of the quantity, at the highest of those prices."""

    @classmethod
    def quoted(cls, symbol: str, quantity: int, value: Decimal, highest: Decimal) -> "Pending":
        """Of orders for that symbol whose value and highest price are as quoted."""
        size = multiplier_of(symbol)
        return cls(quantity, value, highest) if size == 1 else cls(quantity, value * size, highest * size)

    def __add__(self, other: "Pending") -> "Pending":
        highest = max(self.highest, other.highest)
        return Pending(self.quantity + other.quantity, self.value + other.value, highest)

    def __sub__(self, other: "Pending") -> "Pending":
        """Without one of the orders. The highest price stays: it only ever errs on the safe side."""
        return Pending(self.quantity - other.quantity, self.value - other.value, self.highest)


NOTHING = Pending()


@dataclass(frozen=True, slots=True)
class Held:
    """One symbol and product: the position, and what its open orders may make of it."""

    symbol: str
    product: Product
    quantity: int = 0
    """Units; short is negative."""
    cost: Decimal = ZERO
    """Rupees that the position cost, signed like `quantity`."""
    last_price: Decimal | None = None
    """As quoted."""
    buying: Pending = NOTHING
    selling: Pending = NOTHING
    deliverable: int | None = None
    """Of a delivery product: shares that may be sold now, before the open orders, as the broker's holdings of today and
    the day's own trades have it. Without that it is what is held."""

    @property
    def to_deliver(self) -> int:
        """Shares that a sale for delivery has: what is below zero was sold out of holdings, and is no short."""
        return max(self.quantity, 0) if self.deliverable is None else max(self.deliverable, 0)

    @property
    def is_sized(self) -> bool:
        """Whether rupees can be worked out. Otherwise they are those of one unit a lot, and too few for a limit."""
        return size_of(self.symbol) is not None

    def pending(self, side: Side) -> Pending:
        return self.buying if side is Side.BUY else self.selling

    def plus(self, side: Side, pending: Pending) -> "Held":
        """With further open orders of that side."""
        if side is Side.BUY:
            return replace(self, buying=self.buying + pending)
        return replace(self, selling=self.selling + pending)

    def minus(self, side: Side, pending: Pending) -> "Held":
        """Without some of its open orders of that side."""
        if side is Side.BUY:
            return replace(self, buying=self.buying - pending)
        return replace(self, selling=self.selling - pending)

    def reach(self, side: Side) -> int:
        """Units held on that side if all its open orders filled, and none of the other side; at least 0."""
        return max(self.net_quantity(side), 0)

    def only_reduced_by(self, side: Side, quantity: int) -> bool:
        """Whether so many more units on that side can only close, whatever becomes of the open orders of that side."""
        return self.net_quantity(side) + quantity <= 0

    def is_closed_by(self, side: Side, quantity: int) -> bool:
        """Whether so many units on that side only close what is held now, whatever else is open."""
        return self._base(side) + quantity <= 0

    def exposure(self, side: Side) -> Decimal:
        """Rupees of the reach at the last price. Without one, at the highest price that the position or its orders
        have."""
        reach = self.reach(side)
        return reach * self._mark(side) if reach else ZERO

    def net_quantity(self, side: Side) -> int:
        """Units on that side, less those on the other, if all open orders of that side filled."""
        return self._base(side) + self.pending(side).quantity

    def _base(self, side: Side) -> int:
        """Units on that side, less those on the other. Of delivery nothing is ever short, and a purchase closes
        nothing."""
        if not self.product.is_delivery:
            return side.sign * self.quantity
        return max(self.quantity, 0) if side is Side.BUY else -self.to_deliver

    def net(self, side: Side) -> Decimal:
        """Rupees of `net_quantity`."""
        pending = self.pending(side)
        if self.last_price is not None:
            return self._net_of_what_was_bought(side) * self.last_price * multiplier_of(self.symbol)
        return side.sign * self._cost + pending.value

    def _net_of_what_was_bought(self, side: Side) -> int:
        """Shares that the account only may sell are not among it."""
        held = max(self.quantity, 0) if self.product.is_delivery else self.quantity
        return side.sign * held + self.pending(side).quantity

    @property
    def _cost(self) -> Decimal:
        """What is sold out of holdings has none."""
        return ZERO if self.product.is_delivery and self.quantity < 0 else self.cost

    def bound(self, side: Side) -> Decimal:
        """Rupees that the position and the open orders of that side bind, at cost. What they close, they do not bind.

        Of orders that close first and then open, the dearest units are taken to be the ones that open.
        """
        pending = self.pending(side)
        opening = min(pending.quantity, self.reach(side))
        held = max(side.sign * self._cost, ZERO) if side.sign * self.quantity > 0 else ZERO
        return held + min(pending.value, opening * pending.highest)

    def worst_reach(self) -> int:
        return max(self.reach(side) for side in Side)

    def worst_exposure(self) -> Decimal:
        return max(self.exposure(side) for side in Side)

    def worst_bound(self) -> Decimal:
        return max(self.bound(side) for side in Side)

    def _mark(self, side: Side) -> Decimal:
        if self.last_price is not None:
            return self.last_price * multiplier_of(self.symbol)
        average = self.cost / self.quantity if side.sign * self.quantity > 0 else ZERO
        return max(average, self.pending(side).highest)


def held_by_account(connection: sa.Connection, account: str) -> list[Held]:
    """Everything that the account holds or may come to hold."""
    return _held(connection, _OF_ACCOUNT, account=account)


def held_in_symbol(connection: sa.Connection, account: str, symbol: str) -> list[Held]:
    """The same of one symbol: one entry a product."""
    return _held(connection, _OF_SYMBOL, account=account, symbol=symbol)


def held_by_strategy(connection: sa.Connection, account: str, strategy: str) -> list[Held]:
    """What the strategy's own orders have come to, as if it were alone in the account."""
    return _held(connection, _OF_STRATEGY, account=account, strategy=strategy)


def own_of(held: Iterable[Held], symbol: str, product: Product, last_price: Decimal | None) -> Held:
    """That of one symbol and product; flat if there is none."""
    found = (each for each in held if (each.symbol, each.product) == (symbol, product))
    return next(found, Held(symbol, product, last_price=last_price))


def _held(connection: sa.Connection, statement: sa.Select[Any], **own: str) -> list[Held]:
    found: dict[tuple[str, Product], Held] = {}
    for symbol, kind, side, quantity, value, highest, last_price in connection.execute(statement, own):
        product = Product(kind)
        held = found.get((symbol, product)) or Held(symbol, product, last_price=last_price)
        if side is None:
            held = replace(held, quantity=quantity, cost=value)
        else:
            held = held.plus(Side(side), Pending.quoted(symbol, quantity, value, highest))
        found[symbol, product] = held
    return list(found.values())


def _statement(table: sa.Table, *given: str) -> sa.Select[Any]:
    """The open positions of `table` (without a side) and the standing reservations by side, each with the last price
    of its symbol. `given` are the columns, beside the account, that choose them."""
    p, r = table.c, reservations.c
    money = ticks.c.last_price.type
    position = sa.select(
        *(p.symbol, p.product, sa.cast(sa.null(), sa.Text).label("side"), p.quantity, p.open_value.label("value")),
        sa.cast(sa.null(), money).label("highest"),
    ).where(p.quantity != 0, *_equal(p, "account", *given))
    standing = (
        sa.select(r.symbol, r.product, r.side, sa.cast(sa.func.sum(r.quantity), sa.BigInteger))
        .add_columns(sa.func.sum(r.value), sa.func.max(r.price))
        .where(r.released_at.is_(None), *_equal(r, "account", *given))
        .group_by(r.symbol, r.product, r.side)
    )
    both = sa.union_all(position, standing).subquery()
    of_symbol = (ticks.c.account == sa.bindparam("account")) & (ticks.c.symbol == both.c.symbol)
    return sa.select(*both.c, ticks.c.last_price).select_from(both.outerjoin(ticks, of_symbol))


def _equal(columns: Any, *names: str) -> list[sa.ColumnElement[bool]]:
    return [columns[name] == sa.bindparam(name) for name in names]


_OF_ACCOUNT = prepared(_statement(positions))
_OF_SYMBOL = prepared(_statement(positions, "symbol"))
_OF_STRATEGY = prepared(_statement(strategy_positions, "strategy"))
