"""The owner's side of a paper market: it brings the ticks, and matches what rests against them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from trading.brokers import paper_rows, paper_store
from trading.brokers.offer import Offer
from trading.brokers.paper import PaperBroker
from trading.brokers.paper_matching import in_priority
from trading.brokers.paper_orders import ExchangeOrder, Progress, received
from trading.brokers.paper_reading import reading
from trading.brokers.paper_store import Market
from trading.brokers.rms import squared_off
from trading.errors import MarketNotOwned
from trading.ledger.database import Database
from trading.ledger.last_ticks import last_offer, offered, save_offers
from trading.market.calendar import Session
from trading.market.ticks import Tick
from trading.order import Account, BrokerOrderId, Product


class PaperMarket:
    """One account's market. One process at a time owns it: whoever took it over last.

    Each method is one transaction. `on_ticks` and `close_session` raise `MarketNotOwned` if this process does not own
    the market; whatever writes raises `SQLAlchemyError` if the database fails. Either way nothing has changed.
    """

    def __init__(self, broker: PaperBroker, database: Database, account: Account) -> None:
        """`broker` is that of the same account on the same database: its fill model and its clock count here too."""
        self._broker = broker
        self._database = database
        self._account = account
        self._epoch: int | None = None
        self._fills: dict[str, int] = {}
        """Shares by which the MIS positions of this transaction's symbols have changed in it."""

    def take_over(self) -> int:
        """Own the market from now on, and give the number of this ownership. The owner before is fenced off."""
        with self._database.write() as connection:
            epoch = paper_store.own_market(connection, self._account)
        self._epoch = epoch
        return epoch

    def resume_point(self) -> datetime | None:
        """The market time that was last shown, from which a restarted feed goes on. Raises `BookUnreadable`."""
        with reading(self._database) as connection:
            market = paper_store.read_market(connection, self._account)
        return market.market_at if market is not None else None

    def session_date(self) -> date | None:
        """Of the session that was last shown; `None` before the first. Raises `BookUnreadable`."""
        with reading(self._database) as connection:
            market = paper_store.read_market(connection, self._account)
        return market.session if market is not None else None

    def on_ticks(self, ticks: Sequence[Tick], session: Session, closes_at: datetime) -> list[BrokerOrderId]:
        """Show the ticks to the market, one after the other, and give the orders that changed.

        `session` is the one that the ticks belong to, `closes_at` its close on the wall's clock. If it is not the
        session of the ticks before, the DAY orders of that one expire first; orders that were placed after its
        close belong to the new one.
        """
        with self._database.write() as connection:
            market, now = self._owned(connection), self._broker.clock()
            held = self._to_square_off(connection, ticks, session)
            self._fills = {}
            changed = self._turn(connection, market, session, now)
            offers = self._offers(connection, ticks)
            for offer, quantity in zip(offers, held, strict=True):
                changed += self._match(connection, offer, now)
                if quantity is not None:
                    changed += self._square_off(connection, offer, quantity, session, now)
            save_offers(connection, self._account, offers, now)
            shown: dict[str, Any] = {"market_at": max(tick.at for tick in ticks), "wall_at": now} if ticks else {}
            paper_store.update_market(connection, self._account, session=session.date, closes_at=closes_at, **shown)
        return list(dict.fromkeys(changed))

    def close_session(self) -> list[BrokerOrderId]:
        """End the session without waiting for the next one's first tick, and give the orders that expired."""
        with self._database.write() as connection:
            market, now = self._owned(connection), self._broker.clock()
            if not market.has_closed(now):
                paper_store.update_market(connection, self._account, closes_at=now)
            ended, _ = _by_session(market, paper_rows.working_orders(connection, self._account))
            return self._expire(connection, market, ended, now)

    def _owned(self, connection: sa.Connection) -> Market:
        market = paper_store.read_market(connection, self._account)
        if market is None or market.epoch != self._epoch:
            raise MarketNotOwned(f"paper market {self._account}: not owned by this process, or no longer")
        return market

    def _turn(self, connection: sa.Connection, market: Market, session: Session, now: datetime) -> list[BrokerOrderId]:
        if market.session == session.date:
            return []
        ended, kept = _by_session(market, paper_rows.working_orders(connection, self._account))
        moved = [Progress(order, now) for order in kept]
        for progress in moved:
            progress.move_to(session.date)
        self._write(connection, moved)
        return self._expire(connection, market, ended, now)

    def _expire(
        self, connection: sa.Connection, market: Market, orders: Sequence[ExchangeOrder], now: datetime
    ) -> list[BrokerOrderId]:
        expired = [Progress(order, now) for order in orders]
        for progress in expired:
            progress.expire(f"DAY: the session of {market.session} has ended")
        return self._write(connection, expired)

    def _offers(self, connection: sa.Connection, ticks: Sequence[Tick]) -> list[Offer]:
        """What each has to offer. The tick before it is only asked for where a fill model counts volume."""
        if not self._broker.matcher.settings.counts_volume:
            return [Offer(tick) for tick in ticks]
        offers, before = [], dict[str, Tick]()
        for tick in ticks:
            if tick.symbol not in before and (last := last_offer(connection, self._account, tick.symbol)):
                before[tick.symbol] = last[0].tick
            offers.append(offered(tick, before.get(tick.symbol)))
            before[tick.symbol] = tick
        return offers

    def _match(self, connection: sa.Connection, offer: Offer, now: datetime) -> list[BrokerOrderId]:
        models = self._broker.matcher.settings
        found = paper_rows.candidates(connection, self._account, offer.tick, models)
        served = in_priority(found) if models.shares_liquidity else found
        matched = [Progress(order, now) for order in served]
        for progress in matched:
            self._broker.matcher.match(progress, offer)
        return self._write(connection, matched)

    def _write(self, connection: sa.Connection, progresses: Sequence[Progress]) -> list[BrokerOrderId]:
        """Write what has changed, and give those whose row in the book has."""
        moved = [progress for progress in progresses if progress.moved]
        if not moved:
            return []
        market = paper_store.bump_market(connection, self._account)
        paper_store.update_orders(connection, self._account, moved, market.version)
        self._note(moved)
        return [progress.order.broker_order_id for progress in moved if progress.is_shown]

    def _note(self, progresses: Sequence[Progress]) -> None:
        for progress in progresses:
            order = progress.order
            if order.product is Product.MIS and progress.fills:
                signed = order.side.sign * sum(fill.quantity for fill in progress.fills)
                self._fills[order.symbol] = self._fills.get(order.symbol, 0) + signed

    def _to_square_off(self, connection: sa.Connection, ticks: Sequence[Tick], session: Session) -> list[int | None]:
        """For each tick the MIS position that it finds to be closed, if the broker's cut-off has come."""
        rms = self._broker.rms
        if rms is None:
            return [None] * len(ticks)
        return [rms.to_square_off(connection, tick.symbol, tick.at, session.date) for tick in ticks]

    def _square_off(
        self, connection: sa.Connection, offer: Offer, held: int, session: Session, now: datetime
    ) -> list[BrokerOrderId]:
        """`held` is the position before this transaction."""
        symbol = offer.tick.symbol
        working = paper_rows.intraday_orders(connection, self._account, symbol)
        cancelled, closing = squared_off(symbol, held + self._fills.get(symbol, 0), working, now)
        changed = self._write(connection, cancelled)
        if closing is None:
            return changed
        market = paper_store.bump_market(connection, self._account)
        own = paper_store.new_broker_order_id(connection, now, market.version)
        progress = received(closing, None, own, session.date, now)
        progress.open()
        self._broker.matcher.match(progress, offer, arriving=True)
        paper_store.insert_order(connection, self._account, progress, market.version)
        self._note([progress])
        return [*changed, own]


def _by_session(market: Market, orders: Sequence[ExchangeOrder]) -> tuple[list[ExchangeOrder], list[ExchangeOrder]]:
    """Those of the market's session, and those placed before it ever had one or after its close."""
    ended: list[ExchangeOrder] = []
    kept: list[ExchangeOrder] = []
    for order in orders:
        outside = market.session is None or market.has_closed(order.placed_at)
        (kept if outside else ended).append(order)
    return ended, kept
