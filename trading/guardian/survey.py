"""Reads what the checks of an order need, and nothing else."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

import sqlalchemy as sa

from trading.guardian.check import Check
from trading.guardian.situation import Figures, Read, Situation
from trading.ist import start_of_day
from trading.ledger import approvals, exposure, results
from trading.ledger.accounts import AccountState
from trading.ledger.approvals import Count
from trading.ledger.exposure import NOTHING, Held, Pending
from trading.ledger.funds import margin_of
from trading.ledger.reading import unsettled_orders
from trading.ledger.reservations import own_price
from trading.ledger.surroundings import Surroundings
from trading.market.instruments import Instruments
from trading.order import Mode, Order, Terms
from trading.settings import RealizedBy


@dataclass(frozen=True, slots=True)
class Needs:
    """What some checks need, all together."""

    figures: Figures
    counts: frozenset[Count]

    @classmethod
    def of(cls, checks: Collection[Check]) -> "Needs":
        figures = reduce(or_, (check.figures for check in checks), Figures.NONE)
        return cls(figures, frozenset(count for check in checks for count in check.counts()))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: an order with the terms that it shall have."""

    order: Order
    terms: Terms
    place_by: datetime
    asked: Pending
    own: Pending = NOTHING
    """What is reserved for it already, and does not count against it."""


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


class Surveyor:
    """Makes the situation of an order, in one statement for each kind of figure that is needed."""

    def __init__(self, instruments: Instruments, clock: Callable[[], datetime], by: RealizedBy) -> None:
        """`by` is how profit is realized that counts."""
        self._instruments = instruments
        self._by = by
        self._clock = clock

    def survey(self, connection: sa.Connection, subject: Subject, around: Surroundings, needs: Needs) -> Situation:
        order, now = subject.order, self._clock()
        instrument = self._instruments.get(order.symbol)
        return Situation(
            order=order,
            now=now,
            market_time=around.market_at or now if order.mode is Mode.PAPER else now,
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
        )


def _read(connection: sa.Connection, subject: Subject, around: Surroundings, needs: Needs, day: Day) -> Read:
    """An account that is REDUCING needs the position, whatever the checks are."""
    order, figures, account = subject.order, needs.figures, subject.order.account
    everything = in_symbol = own = of_strategy = None
    if figures & Figures.ACCOUNT:
        everything = _without(subject, exposure.held_by_account(connection, account))
        in_symbol = [held for held in everything if held.symbol == order.symbol]
    elif figures & Figures.SYMBOL or around.state is AccountState.REDUCING:
        in_symbol = _without(subject, exposure.held_in_symbol(connection, account, order.symbol))
    if in_symbol is not None:
        own = exposure.own_of(in_symbol, order.symbol, order.product, around.last_price)
    if figures & Figures.STRATEGY:
        of_strategy = _without(subject, exposure.held_by_strategy(connection, account, order.strategy))
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
    )


def _without(subject: Subject, found: Sequence[Held]) -> list[Held]:
    """What is held, without what is reserved for the order itself."""
    order = subject.order
    key = (order.symbol, order.product)
    return [held.minus(order.side, subject.own) if (held.symbol, held.product) == key else held for held in found]
