"""What the broker has by its own word: its net positions and holdings, as they were last read whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger.accounts import positions_read
from durable_orders.trading.ledger.delivery import DELIVERY
from durable_orders.trading.ledger.rows import upsert
from durable_orders.trading.ledger.tables import accounts, broker_positions
from durable_orders.trading.orders.book import BrokerHolding, BrokerPosition
from durable_orders.trading.orders.order import PRICE_PLACES

Key = tuple[str, str]
"""Symbol and product."""

TWINS = {"NSE": "BSE", "BSE": "NSE"}
"""A share is held whatever the exchange: the broker names one of them."""


def same_share(symbol: str) -> tuple[str, ...]:
    """The names of one share, its own first; of anything else its own alone."""
    exchange, _, name = symbol.partition(":")
    return (symbol, f"{TWINS[exchange]}:{name}") if exchange in TWINS else (symbol,)


class AtBroker(NamedTuple):
    """What the broker has of one symbol and product, as orders count it."""

    symbol: str
    product: str
    quantity: int = 0
    """The net position, signed."""
    average_price: Decimal = Decimal(0)
    """Rupees, as quoted."""
    carried: int = 0
    """Delivery shares that were carried into the day as holdings."""
    sellable: int = 0
    """Of those, how many may be sold, before any sale of today."""

    @property
    def total(self) -> int:
        """All there is, in the demat account and beside it."""
        return self.quantity + self.carried

    @property
    def closable(self) -> int:
        """What an order may close, signed. Delivery below zero is a sale out of holdings: nothing closes it."""
        return max(self.quantity + self.sellable, 0) if self.product in DELIVERY else self.quantity

    @property
    def is_anything(self) -> bool:
        return bool(self.quantity or self.carried)


@dataclass(frozen=True, slots=True)
class BrokerReading:
    """All of it, read whole."""

    at: datetime
    """When the reading began."""
    rows: Mapping[Key, AtBroker]

    @classmethod
    def of(
        cls, at: datetime, positions: Iterable[BrokerPosition], holdings: Iterable[BrokerHolding]
    ) -> "BrokerReading":
        rows = {
            (each.symbol, str(each.product)): AtBroker(
                each.symbol, str(each.product), each.quantity, _quoted(each.average_price)
            )
            for each in positions
        }
        for held in holdings:
            key = (held.symbol, held.product.value)
            known = rows.get(key) or AtBroker(*key, average_price=_quoted(held.average_price))
            rows[key] = known._replace(carried=known.carried + held.quantity, sellable=known.sellable + held.sellable)
        return cls(at, {key: row for key, row in rows.items() if row.is_anything})

    def at_broker(self, symbol: str, product: str) -> AtBroker:
        """Of one symbol and product, wherever a share is held."""
        row = self.rows.get((symbol, product)) or AtBroker(symbol, product)
        if product not in DELIVERY or row.carried:
            return row
        exchange, _, name = symbol.partition(":")
        twin = self.rows.get((f"{TWINS.get(exchange, exchange)}:{name}", product))
        return row if twin is None else row._replace(carried=twin.carried, sellable=twin.sellable)

    def everywhere(self, symbol: str, product: str) -> int:
        """All there is of one symbol and product, signed; of a share on both exchanges together."""
        names = same_share(symbol) if product in DELIVERY else (symbol,)
        traded = sum(self.rows[name, product].quantity for name in names if (name, product) in self.rows)
        return traded + self.at_broker(symbol, product).carried


def _quoted(price: Decimal) -> Decimal:
    return price.quantize(PRICE_PLACES, ROUND_HALF_EVEN)


_COLUMNS = tuple(broker_positions.c[name] for name in AtBroker._fields)
_ROWS = sa.select(*_COLUMNS).where(broker_positions.c.account == sa.bindparam("account"))
_READ_AT = sa.select(accounts.c.positions_read_at).where(accounts.c.account == sa.bindparam("account"))


def save_reading(connection: sa.Connection, account: str, reading: BrokerReading) -> bool:
    """Keep a reading; `False` where a newer one is kept already."""
    at = connection.execute(_READ_AT, {"account": account}).scalar_one_or_none()
    if at is not None and at > reading.at:
        return False
    known = {row[:2]: row for row in _rows(connection, account)}
    gone = known.keys() - reading.rows.keys()
    for symbol, product in gone:
        own = broker_positions.c
        connection.execute(
            sa.delete(broker_positions).where(own.account == account, own.symbol == symbol, own.product == product)
        )
    fresh = [row for key, row in reading.rows.items() if known.get(key) != row]
    if fresh:
        upsert(connection, broker_positions, [{"account": account, **row._asdict()} for row in fresh])
    positions_read(connection, account, reading.at)
    return True


def last_reading(connection: sa.Connection, account: str) -> BrokerReading | None:
    """The last whole reading; `None` if there never was one."""
    at = connection.execute(_READ_AT, {"account": account}).scalar_one_or_none()
    return None if at is None else BrokerReading(at, {row[:2]: row for row in _rows(connection, account)})


def _rows(connection: sa.Connection, account: str) -> list[AtBroker]:
    return [AtBroker(*row) for row in connection.execute(_ROWS, {"account": account})]
