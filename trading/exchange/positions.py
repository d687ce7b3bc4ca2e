"""The paper exchange's net positions, with the same arithmetic as the ledger's."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.orders.book import BrokerPosition
from durable_orders.trading.orders.order import Account, Product, Side


class NetPositions:
    """The positions of one account, trade by trade."""

    def __init__(self, account: Account) -> None:
        self.number = 0
        """Of the last trade that is in."""
        self._account = account
        self._held: dict[tuple[str, Product], Position] = {}

    def add(self, trades: Iterable[Any]) -> None:
        """Rows of `exchange_trades`, in the order of their numbers."""
        for trade in trades:
            key = (trade.symbol, Product(trade.product))
            held = self._held.get(key) or Position(self._account, *key)
            self._held[key] = booked(held, Side(trade.side), trade.quantity, trade.price)
            self.number = trade.number

    def open(self) -> list[BrokerPosition]:
        """Those that are not flat, by symbol and product."""
        held = [self._held[key] for key in sorted(self._held)]
        return [
            BrokerPosition(position.symbol, position.product, position.quantity, position.average_price or Decimal(0))
            for position in held
            if position.quantity
        ]
