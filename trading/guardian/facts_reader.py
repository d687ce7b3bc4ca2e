"""Reads what the checks of an order need, and nothing else."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

import sqlalchemy as sa

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.guardian.check import Check
from durable_orders.trading.guardian.check_context import CheckContext, Figures, Read
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger import approvals, exposure, results
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.approvals import Count
from durable_orders.trading.ledger.deliverable import with_deliverable
from durable_orders.trading.ledger.exposure import NOTHING, Held, Pending
from durable_orders.trading.ledger.funds import margin_of
from durable_orders.trading.ledger.position_differences import unexplained
from durable_orders.trading.ledger.reading import own_quantities, unsettled_orders
from durable_orders.trading.ledger.reservations import own_price
from durable_orders.trading.ledger.surroundings import Surroundings
from durable_orders.trading.ledger.trips import strategy_day_over
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.offsets import offset
from durable_orders.trading.orders.order import Mode, Order, Side, Terms, is_closing


@dataclass(frozen=True, slots=True)
class Needs:
    """What some checks need, all together."""

    figures: Figures
    counts: frozenset[Count]
    is_anything: bool

    @classmethod
    def of(cls, checks: Collection[Check]) -> "Needs":
        figures = reduce(or_, (check.figures for check in checks), Figures.NONE)
        counts = frozenset(count for check in checks for count in check.counts())
        return cls(figures, counts, bool(figures) or bool(counts))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: an order with the terms that it shall have."""

    order: Order
    terms: Terms
    place_by: datetime
    asked: Pending
    own: Pending = NOTHING
    """What is reserved for it already, and does not count against it."""
    changes: int = 0
    """Of the order so far."""


@dataclass(frozen=True, slots=True)
class Day:
    """The day of the moment, in IST, and how profit is realized that counts."""

    now: datetime
    by: RealizedBy

    @property
    def begin(self) -> datetime:
        return start_of_day(self.now)

    @property
    def counted(self) -> tuple[datetime, RealizedBy]:
        return self.begin, self.by


class FactsReader:
    """Makes the situation of an order, in one statement for each kind of figure that is needed."""

    def __init__(self, instruments: Instruments, clock: Callable[[], datetime], by: RealizedBy) -> None:
        """`by` is how profit is realized that counts."""
        self._instruments = instruments
        self._by = by
        self._clock = clock

    def survey(self, connection: sa.Connection, subject: Subject, around: Surroundings, needs: Needs) -> CheckContext:
        order, now = subject.order, self._clock()
        instrument = self._instruments.get(order.symbol)
        return CheckContext(
            order=order,
            now=now,
            market_time=market_time(order.mode, around, now),
            place_by=subject.place_by,
            instrument=instrument,
            nearest_symbol=None if instrument else self._instruments.nearest(order.symbol),
            last_price=around.last_price,
            price_received_at=around.price_received_at,
            state=around.state,
            state_reason=around.state_reason,
            unsettled=unsettled_orders(connection, order.account) if around.has_unsettled else (),
            asked=subject.asked,
            price=own_price(subject.terms) or around.last_price,
            read=_read(connection, subject, around, needs, Day(now, self._by)),
            changes=subject.changes,
            has_market_time=order.mode is not Mode.PAPER or around.market_at is not None,
            unreadable=None if instrument else self._instruments.left_out.get(order.symbol),
            unexplained=unexplained(connection, order.account, order.symbol) if around.has_unexplained else (),
            sent=around.sent if order.mode is Mode.PAPER else None,
        )


def market_time(mode: Mode, around: Surroundings, now: datetime) -> datetime:
    """On paper that of the last tick, once there is one."""
    return around.market_at or now if mode is Mode.PAPER else now


def _read(connection: sa.Connection, subject: Subject, around: Surroundings, needs: Needs, day: Day) -> Read:
    """An account that is REDUCING needs the position, whatever the checks are; so does an order that may only close,
    a symbol in which the broker has something else, and a sale for delivery."""
    order, figures, account = subject.order, needs.figures, subject.order.account
    everything = in_symbol = own = of_strategy = None
    if figures & Figures.ACCOUNT:
        everything = _without(subject, exposure.held_by_account(connection, account))
        everything = _deliverable(connection, order, everything, day.now)
        in_symbol = [held for held in everything if held.symbol == order.symbol]
    elif (
        figures & Figures.SYMBOL
        or around.state is AccountState.REDUCING
        or around.has_unexplained
        or is_closing(order.client_order_id)
        or _sells_for_delivery(order)
    ):
        in_symbol = _without(subject, exposure.held_in_symbol(connection, account, order.symbol))
    if in_symbol is not None:
        own = exposure.own_of(in_symbol, order.symbol, order.product, around.last_price)
        [own] = _deliverable(connection, order, [own], day.now)
    if figures & Figures.STRATEGY:
        of_strategy = _without(subject, exposure.held_by_strategy(connection, account, order.strategy))
    day_over = strategy_day_over(connection, account, order.strategy, day.now) if figures & Figures.LOCK else ""
    return Read(
        held=own,
        held_in_symbol=in_symbol,
        held_by_account=everything,
        held_by_strategy=of_strategy,
        realized_today=results.realized_since(connection, account, *day.counted) if figures & Figures.DAY else None,
        losses_in_a_row=results.losses_in_a_row(connection, account, *day.counted)
        if figures & Figures.STREAK
        else None,
        margin=margin_of(connection, account, order.order_id) if figures & Figures.MARGIN else None,
        counts=approvals.counted(connection, needs.counts, order, day.now, day.begin),
        day_over=day_over,
        offset=_offset(connection, order) if day_over else 0,
    )


def _offset(connection: sa.Connection, order: Order) -> int:
    held = own_quantities(connection, order.account).get((order.symbol, order.product.value), {})
    return offset(held, order.strategy).quantity


def _sells_for_delivery(order: Order) -> bool:
    return order.product.is_delivery and order.side is Side.SELL


def _deliverable(connection: sa.Connection, order: Order, held: list[Held], now: datetime) -> list[Held]:
    """A paper exchange has all shares among its positions."""
    return with_deliverable(connection, order.account, held, now) if order.mode is Mode.LIVE else held


def _without(subject: Subject, found: Sequence[Held]) -> list[Held]:
    """What is held, without what is reserved for the order itself."""
    order = subject.order
    key = (order.symbol, order.product)
    return [held.minus(order.side, subject.own) if (held.symbol, held.product) == key else held for held in found]
