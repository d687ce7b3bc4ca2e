"""A position together with what the others have of it: its strategies, the account and the broker."""

from collections.abc import Mapping
from typing import Self

import sqlalchemy as sa

from durable_orders.trading.ledger.position_differences import Unexplained, unexplained
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.reading import own_quantities, positions_of
from durable_orders.trading.orders.order import Product

Key = tuple[str, Product]


class ToldPosition(Position):
    """A `Position`, equal to one with the same figures. Quantities are signed, short is negative."""

    of_account: int
    """What the account has by the recorded fills and entries, whoever traded it."""
    strategies: Mapping[str, int]
    """What of that each strategy's own trades have come to; `external` is nobody's. Empty in a strategy's own one."""
    differs: Unexplained | None
    """Where the broker has something else, and nothing explains it."""

    @classmethod
    def of(
        cls,
        own: Position,
        of_account: int,
        differs: Unexplained | None = None,
        strategies: Mapping[str, int] | None = None,
    ) -> Self:
        told = cls(*own)
        told.of_account, told.differs, told.strategies = of_account, differs, strategies or {}
        return told

    @property
    def unexplained(self) -> int:
        """By how much the broker has more than the account."""
        return self.differs.quantity if self.differs is not None else 0

    @property
    def at_broker(self) -> int:
        """What the broker has, as far as its positions were compared."""
        return self.of_account + self.unexplained


class Others:
    """What account and broker have, at one moment."""

    def __init__(self, connection: sa.Connection, account: str) -> None:
        self._held = {(each.symbol, each.product): each.quantity for each in positions_of(connection, account)}
        self._differing = {
            (each.symbol, Product(each.product)): each
            for each in unexplained(connection, account)
            if each.product in list(Product)
        }

    def told(self, own: Position) -> ToldPosition:
        key = (own.symbol, own.product)
        return ToldPosition.of(own, self._held.get(key, 0), self._differing.get(key))


def told_positions(connection: sa.Connection, account: str) -> list[ToldPosition]:
    """The account's, flat ones with a result and what only the broker has included."""
    own = own_quantities(connection, account)
    differing = {(each.symbol, each.product): each for each in unexplained(connection, account)}
    found = [
        ToldPosition.of(
            held,
            held.quantity,
            differing.pop((held.symbol, held.product.value), None),
            own.get((held.symbol, held.product.value)),
        )
        for held in positions_of(connection, account)
    ]
    found += [
        ToldPosition.of(Position(account, each.symbol, Product(each.product)), 0, each)
        for each in differing.values()
        if each.product in list(Product)
    ]
    return sorted(found, key=lambda held: (held.symbol, held.product))
