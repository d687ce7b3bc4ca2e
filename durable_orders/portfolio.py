"""Positions as people ask for them: with the last price, and what they would be worth at it."""

from decimal import Decimal

import sqlalchemy as sa

from trading.ledger.last_ticks import last_tick
from trading.ledger.positions import Position
from trading.ledger.reading import positions_of
from trading.order import Account, Frozen


class PositionLine(Frozen):
    """One net position. Money in rupees; `quantity` is signed, short is negative."""

    account: str
    symbol: str
    product: str
    quantity: int
    average_price: Decimal | None
    last_price: Decimal | None
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    """`None` for an open position whose symbol has had no tick yet."""


def position_lines(connection: sa.Connection, account: Account) -> list[PositionLine]:
    """The account's positions, flat ones with a result included, by symbol."""
    return [_line(connection, position) for position in positions_of(connection, account)]


def _line(connection: sa.Connection, position: Position) -> PositionLine:
    tick = last_tick(connection, position.account, position.symbol)
    worth = tick.last_price * position.quantity - position.open_value if tick else None
    return PositionLine(
        account=position.account,
        symbol=position.symbol,
        product=position.product,
        quantity=position.quantity,
        average_price=position.average_price if position.quantity else None,
        last_price=tick.last_price if tick else None,
        realized_pnl=position.realized_pnl,
        unrealized_pnl=worth if position.quantity else Decimal(0),
    )
