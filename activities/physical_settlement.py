"""Contracts on shares that are held in their last days of trading: told each day, and closed where the settings say."""

import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.exchange.store import read_market
from durable_orders.trading.flatten.request import FlattenRequest, before_delivery
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.market.calendar import Session, SessionSource
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import delivery_of
from durable_orders.trading.orders.order import Account, Mode

AGAIN = 600.0
"""Seconds after which a close is asked for anew: the flatten that was asked may have been ended by hand."""


class _Held(NamedTuple):
    """A position that would end in a delivery, and the session in which it can be closed next."""

    position: Position
    expiry: date
    session: Session
    is_on_known_share: bool
    """What is not may be on an index that is new: it is told of, and a human decides."""


class PhysicalDeliveries:
    """One account's. Blocks."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        instruments: Instruments,
        sessions: SessionSource,
        clock: Callable[[], datetime],
    ) -> None:
        """`clock` is the wall's; a paper account goes by its market's time."""
        self._closes = settings.guardian.closes_before_delivery and not settings.execution.dry_run
        self._is_live = settings.execution.mode is Mode.LIVE
        self._every = settings.placing.reconciliation_interval
        self._account = Account(settings.account)
        self._database = database
        self._instruments = instruments
        self._sessions = sessions
        self._clock = clock
        self._looked_at: float | None = None
        self._asked: dict[str, float] = {}
        self._told: set[tuple[str, str, date]] = set()

    def look(self) -> list[FlattenRequest]:
        """Alert of what is held, once for each session, and give what is to be closed now. Called at any pace, it looks
        once an interval of the watch."""
        now = time.monotonic()
        if self._looked_at is not None and now - self._looked_at < self._every:
            return []
        self._looked_at = now
        with self._database.read() as connection:
            at = self._time(connection)
            positions = [each for each in positions_of(connection, self._account) if each.quantity]
            may_close = self._closes and permission_of(connection, self._account).state is not AccountState.HALTED
        if at is None:
            return []
        held = list(self._in_last_days(positions, at))
        self._tell(held)
        open_now = [each for each in held if each.is_on_known_share and each.session.contains(at)]
        due = [each for each in open_now if may_close and self._is_due(each, now)]
        expiries = {each.position.symbol: each.expiry for each in due}
        return [before_delivery(self._account, symbol, expiry) for symbol, expiry in expiries.items()]

    def asked(self, request: FlattenRequest) -> None:
        """The account's watch was told."""
        self._asked[request.symbol or ""] = time.monotonic()

    def _is_due(self, held: _Held, now: float) -> bool:
        asked_at = self._asked.get(held.position.symbol)
        return asked_at is None or now - asked_at >= AGAIN

    def _time(self, connection: sa.Connection) -> datetime | None:
        if self._is_live:
            return self._clock()
        market = read_market(connection, self._account)
        return market.market_at if market is not None else None

    def _in_last_days(self, positions: list[Position], at: datetime) -> Iterator[_Held]:
        for each in positions:
            instrument, calendar = self._instruments.get(each.symbol), self._sessions.of(each.symbol)
            if instrument is None or instrument.expiry is None:
                continue
            session = calendar.session_at_or_after(at)
            if delivery_of(instrument, session.date, calendar) is not None:
                yield _Held(each, instrument.expiry, session, self._instruments.has_share(instrument.name))

    def _tell(self, held: list[_Held]) -> None:
        for position, expiry, session, is_on_known_share in held:
            said = (position.symbol, position.product, session.date)
            if said in self._told:
                continue
            what = f"{position.quantity} {position.symbol} {position.product}"
            words = f"{what} is settled in shares on {expiry:%d %b %Y}"
            if not is_on_known_share:
                words = (
                    f"{what} expires on {expiry:%d %b %Y}, in shares if it is on one: the master has no share of its"
                )
                words += " name, so it is not closed by itself"
            elif self._closes:
                words += f": it is closed in the session of {session.date:%d %b} (guardian.physical_settlement)"
            else:
                words += " unless it is closed before, and its margin rises until then"
            alert(self._database, self._account, words, self._clock())
            self._told.add(said)
