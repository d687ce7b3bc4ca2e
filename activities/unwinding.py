"""What an unwinding reads from the ledger, and how it ends there."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from temporalio import activity

from trading.adoption import Stranger
from trading.events import EventType
from trading.ledger.accounts import AccountState, Permission, permission_of, set_state_within
from trading.ledger.alerts import add_event
from trading.ledger.audit import CHUNK, orders_named
from trading.ledger.database import Database
from trading.ledger.last_ticks import last_tick
from trading.ledger.positions import Position
from trading.ledger.reading import find_order, list_orders, positions_of
from trading.market.instruments import Instruments
from trading.order import Order
from trading.settings import Settings
from trading.unwinding import (
    Closing,
    Left,
    OpenOrder,
    Picture,
    Unwinding,
    Unwound,
    became,
    closing,
    position_name,
    to_close,
)


class UnwindingActivities:
    """One account's. All of them block, and may be repeated."""

    def __init__(self, settings: Settings, database: Database, instruments: Instruments) -> None:
        self._settings = settings
        self._account = settings.account
        self._database = database
        self._instruments = instruments

    @activity.defn
    def picture(self, request: Unwinding, placed: list[str]) -> Picture:
        """How things stand, and which of the closing orders that were placed have ended."""
        with self._database.read() as connection:
            found = list_orders(connection, self._account, open_only=True)
            held = self._to_close(connection) if request.flatten else []
            over = [order.order_id for order in self._named(connection, placed) if order.status.terminal]
            return Picture(
                state=permission_of(connection, self._account).state,
                mode=self._settings.execution.mode,
                open=tuple(_open(order) for order in found if order.order_id not in placed),
                closings=tuple(self._closing(connection, position) for position in held),
                over=tuple(over),
            )

    @activity.defn
    def stored_order(self, order_id: str) -> Order | None:
        """The order as the ledger has it."""
        with self._database.read() as connection:
            return find_order(connection, order_id)

    @activity.defn
    def finish(self, request: Unwinding, cancelled: list[str], closed: list[str], problems: list[str]) -> Unwound:
        """Halt the account if that was asked for and nothing is left to close, and tell how everything ended."""
        with self._database.write() as connection:
            now = datetime.now(UTC)
            remaining = self._to_close(connection) if request.flatten else []
            standing = permission_of(connection, self._account, now).state
            if request.halt and not remaining and standing is AccountState.REDUCING:
                set_state_within(
                    connection, self._account, Permission(AccountState.HALTED, request.reason, request.who, now)
                )
            for words in problems:
                add_event(connection, self._account, EventType.ALERT, words, now)
            left = remaining if request.flatten else [held for held in self._positions(connection) if held.quantity]
            return Unwound(
                state=permission_of(connection, self._account, now).state,
                cancelled=became(self._named(connection, cancelled)),
                closed=became(self._named(connection, closed)),
                left=tuple(Left(symbol=held.symbol, product=held.product, quantity=held.quantity) for held in left),
                problems=tuple(problems),
            )

    def local(self) -> Sequence[Callable[..., object]]:
        return (self.picture, self.stored_order, self.finish)

    def _positions(self, connection: sa.Connection) -> list[Position]:
        return positions_of(connection, self._account)

    def _to_close(self, connection: sa.Connection) -> list[Position]:
        return to_close(self._positions(connection), self._settings.guardian)

    def _closing(self, connection: sa.Connection, held: Position) -> Closing:
        instrument = self._instruments.get(held.symbol)
        tick = last_tick(connection, self._account, held.symbol)
        return closing(held, self._settings.guardian, instrument, tick.last_price if tick else None)

    def _named(self, connection: sa.Connection, ids: Sequence[str]) -> list[Order]:
        """Those of the orders that the ledger has, in that order."""
        found: dict[str, Order] = {}
        for start in range(0, len(ids), CHUNK):
            chunk, _ = orders_named(connection, ids[start : start + CHUNK])
            found |= {str(order.order_id): order for order in chunk}
        return [found[own_id] for own_id in ids if own_id in found]


def _open(order: Order) -> OpenOrder:
    return OpenOrder(
        order_id=order.order_id,
        summary=order.summary(),
        status=order.status,
        position=position_name(order.symbol, order.product),
        followed=order.strategy not in list(Stranger),
    )
