"""What the market takes of orders that close positions, read from the ledger: the last price, the hours, the rules."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.exchange.store import read_market
from durable_orders.trading.flatten.closing import Target, closing
from durable_orders.trading.flatten.quotes import closed_until, quote_of
from durable_orders.trading.flatten.snapshot import Closing
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import ExchangeRules
from durable_orders.trading.orders.order import Account, Mode


@dataclass(frozen=True, slots=True)
class ExitQuotes:
    """Of one account."""

    settings: Settings
    instruments: Instruments
    sessions: SessionSource
    rules: ExchangeRules

    def closing(self, connection: sa.Connection, target: Target, now: datetime) -> Closing:
        """How the target is closed at that moment."""
        symbol, limits = target.symbol, self.settings.guardian
        calendar, instrument = self.sessions.of(symbol), self.instruments.get(symbol)
        tick, at = last_tick(connection, self.settings.account, symbol), self._market_time(connection, now)
        session = calendar.session_at_or_after(at) if at is not None else None
        day = session.date if session is not None else None
        quote = quote_of(
            target,
            self.rules,
            limits,
            instrument,
            tick.last_price if tick is not None and self._is_recent(tick, now) else None,
            day,
            at if at is not None and session is not None and session.contains(at) else None,
            closed_until(calendar, symbol, now) if self._is_live else "",
        )
        return closing(target, limits, instrument, tick.last_price if tick is not None else None, day, quote)

    @property
    def _is_live(self) -> bool:
        return self.settings.execution.mode is Mode.LIVE

    def _market_time(self, connection: sa.Connection, now: datetime) -> datetime | None:
        """`None` for a paper market that was shown nothing yet."""
        if self._is_live:
            return now
        market = read_market(connection, Account(self.settings.account))
        return market.market_at if market is not None else None

    def _is_recent(self, tick: LastTick, now: datetime) -> bool:
        """On paper an older price fills nothing."""
        paper = self.settings.execution.paper.stale_tick_seconds
        most = self.settings.exits.max_price_age if self._is_live else paper
        return (now - tick.received_at).total_seconds() <= most
