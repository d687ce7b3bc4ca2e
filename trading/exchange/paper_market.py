"""The owner's side of a paper market: it brings the ticks, and matches what rests against them."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.errors import MarketNotOwned
from durable_orders.trading.exchange import rows as paper_rows
from durable_orders.trading.exchange import store as paper_store
from durable_orders.trading.exchange.matching import in_priority
from durable_orders.trading.exchange.orders import ExchangeOrder, Progress, received
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.reach import Waiting
from durable_orders.trading.exchange.reading import reading
from durable_orders.trading.exchange.rms import closing_at_expiry, ended_at_expiry, squared_off
from durable_orders.trading.exchange.store import Market
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import last_offer, last_price, save_offers
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.expiry import Settled
from durable_orders.trading.market.liquidity import Liquidity, offered
from durable_orders.trading.market.rules import rules
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Account, BrokerOrderId, Product, Terms

DAY = timedelta(days=1)


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
        with self._database.write(self._account) as connection:
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
        close belong to the new one. Those of symbols whose own session has ended by the time of the ticks expire too.
        """
        with self._database.write(self._account) as connection:
            market, now = self._owned(connection), self._broker.clock()
            held = self._to_square_off(connection, ticks, session)
            self._fills = {}
            changed = self._turn(connection, market, session, now)
            changed += self._end_sessions(connection, market, session, ticks, now)
            if market.session is not None and market.session != session.date:
                changed += self._settle(connection, session.date - DAY, now, is_over=True)
            offers = self._offers(connection, ticks)
            waiting = self._waiting(connection) if len(ticks) > 1 else None
            for offer, quantity in zip(offers, held, strict=True):
                if waiting is None or changed or waiting.is_reached(offer.tick):
                    changed += self._match(connection, offer, now)
                if quantity is not None:
                    changed += self._square_off(connection, offer, quantity, session, now)
            save_offers(connection, self._account, offers, now)
            shown: dict[str, Any] = {"market_at": max(tick.at for tick in ticks), "wall_at": now} if ticks else {}
            paper_store.update_market(connection, self._account, session=session.date, closes_at=closes_at, **shown)
        return list(dict.fromkeys(changed))

    def idle_for(self, ticks: Sequence[Tick], session: Session, minded: Collection[str] = ()) -> int:
        """How many of these ticks of that session, from the first on, can change nothing: none reaches the price of an
        order, no plan waits for one (but the `minded`: the caller knows what concerns them), no session ends, and no
        position is squared off. Raises `BookUnreadable`."""
        with reading(self._database) as connection:
            market = paper_store.read_market(connection, self._account)
            if market is None or (before := market.market_at) is None or market.session != session.date:
                return 0
            if paper_rows.has_open_plan(connection, self._account, minded):
                return 0
            held, waiting = self._to_square_off(connection, ticks, session), self._waiting(connection)
        ends = min((end for end in self._broker.sessions.ends(session.date) if end > before), default=None)
        for number, (tick, to_close) in enumerate(zip(ticks, held, strict=True)):
            if to_close is not None or (ends is not None and tick.at >= ends) or waiting.is_reached(tick):
                return number
        return len(ticks)

    def _waiting(self, connection: sa.Connection) -> Waiting:
        return Waiting(paper_rows.working_orders(connection, self._account), self._broker.matcher.settings)

    def pass_time(self, at: datetime) -> None:
        """The market's time goes on to that moment, before which every tick was shown, and never back."""
        with self._database.write(self._account) as connection:
            market = self._owned(connection)
            shown = {"market_at": max(at, market.market_at or at), "wall_at": self._broker.clock()}
            paper_store.update_market(connection, self._account, **shown)

    def close_session(self) -> list[BrokerOrderId]:
        """End the session without waiting for the next one's first tick, and give the orders that expired."""
        with self._database.write(self._account) as connection:
            market, now = self._owned(connection), self._broker.clock()
            if not market.has_closed(now):
                paper_store.update_market(connection, self._account, closes_at=now)
            ended, _ = _by_session(market, paper_rows.working_orders(connection, self._account))
            changed = self._expire(connection, market, ended, now)
            if market.session is None:
                return changed
            return changed + self._settle(connection, market.session, now, is_over=True)

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

    def _end_sessions(
        self, connection: sa.Connection, market: Market, session: Session, ticks: Sequence[Tick], now: datetime
    ) -> list[BrokerOrderId]:
        """Expire the DAY orders of symbols whose session has ended between the ticks before and these, and what may not
        rest in a closing auction that has come."""
        sessions, at = self._broker.sessions, max((tick.at for tick in ticks), default=None)
        before = market.market_at
        if at is None or not any((before is None or before < end) and end <= at for end in sessions.ends(session.date)):
            return []
        over = Market(market.epoch, market.version, session.date, at, None)
        orders = paper_rows.working_orders(connection, self._account)
        of_today = [order for order in orders if order.session == session.date]
        ended = [order for order in of_today if over.is_over_for(sessions.of(order.symbol))]
        leaving = [order for order in of_today if order not in ended and order.ends_before_auction(session.date)]
        leaving = [order for order in leaving if over.has_auction_ahead(sessions.of(order.symbol))]
        changed = self._expire(connection, over, ended, now)
        changed += self._expire(connection, over, leaving, now, str(rules().cancelled_before_auction))
        return changed + self._settle(connection, session.date, now, at=at)

    def _expire(
        self,
        connection: sa.Connection,
        market: Market,
        orders: Sequence[ExchangeOrder],
        now: datetime,
        why: str = "",
    ) -> list[BrokerOrderId]:
        expired = [Progress(order, now) for order in orders]
        for progress in expired:
            progress.expire(why or f"DAY: the session of {market.session} has ended")
        return self._write(connection, expired)

    def _settle(
        self,
        connection: sa.Connection,
        last: date,
        now: datetime,
        *,
        is_over: bool = False,
        at: datetime | None = None,
    ) -> list[BrokerOrderId]:
        """End what is held of contracts that expire on that day, or did before: where its session `is_over`, or at that
        market time. RMS does it with orders that have no tag, like a square-off."""
        expiry, changed = self._broker.expiry, list[BrokerOrderId]()
        over = Market(0, 0, last, at, None)
        for symbol, product, held in paper_rows.held(connection, self._account) if expiry is not None else ():
            day = expiry.day_of(symbol) if expiry is not None else None
            has_ended = is_over or over.is_over_for(self._broker.sessions.of(symbol))
            if expiry is None or day is None or day > last or (day == last and not has_ended):
                continue
            settled = expiry.settled(symbol, lambda asked: last_price(connection, self._account, asked))
            if settled is not None:
                closing = closing_at_expiry(symbol, product, held)
                changed.append(self._closed(connection, closing, settled, day, now))
        return changed

    def _closed(
        self, connection: sa.Connection, closing: Terms, settled: Settled, session: date, now: datetime
    ) -> BrokerOrderId:
        market = paper_store.bump_market(connection, self._account)
        own = paper_store.new_broker_order_id(connection, self._account, now, market.version)
        progress = ended_at_expiry(closing, settled, own, session, now)
        paper_store.insert_order(connection, self._account, progress, market.version)
        self._note([progress])
        return own

    def _offers(self, connection: sa.Connection, ticks: Sequence[Tick]) -> list[Liquidity]:
        """What each has to offer. The tick before it is only asked for where a fill model counts volume."""
        if not self._broker.matcher.settings.counts_volume:
            return [Liquidity(tick) for tick in ticks]
        offers, before = [], dict[str, Tick]()
        for tick in ticks:
            if tick.symbol not in before and (last := last_offer(connection, self._account, tick.symbol)):
                before[tick.symbol] = last[0].tick
            offers.append(offered(tick, before.get(tick.symbol)))
            before[tick.symbol] = tick
        return offers

    def _match(self, connection: sa.Connection, offer: Liquidity, now: datetime) -> list[BrokerOrderId]:
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
        return [None] * len(ticks) if rms is None else rms.to_square_off(connection, ticks, session.date)

    def _square_off(
        self, connection: sa.Connection, offer: Liquidity, held: int, session: Session, now: datetime
    ) -> list[BrokerOrderId]:
        """`held` is the position before this transaction."""
        symbol = offer.tick.symbol
        working = paper_rows.intraday_orders(connection, self._account, symbol)
        cancelled, closing = squared_off(symbol, held + self._fills.get(symbol, 0), working, now)
        changed = self._write(connection, cancelled)
        if closing is None:
            return changed
        market = paper_store.bump_market(connection, self._account)
        own = paper_store.new_broker_order_id(connection, self._account, now, market.version)
        progress = received(closing, None, own, session.date, now)
        progress.open()
        self._broker.matcher.match(progress, offer, arriving=True)
        paper_store.insert_order(connection, self._account, progress, market.version)
        self._note([progress])
        return [*changed, own]


def _by_session(market: Market, orders: Sequence[ExchangeOrder]) -> tuple[list[ExchangeOrder], list[ExchangeOrder]]:
    """Those of the market's session, and those of a later one: placed before it ever had one, or after its close."""
    ended: list[ExchangeOrder] = []
    kept: list[ExchangeOrder] = []
    for order in orders:
        is_later = market.session is None or order.session > market.session
        outside = is_later or market.has_closed(order.placed_at)
        (kept if outside else ended).append(order)
    return ended, kept
