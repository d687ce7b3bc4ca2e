"""The paper exchange as a broker: orders meet the account's last tick, and rest in the ledger until the next.

Any process may place, modify, cancel and read, at the same time; one process at a time owns the market and brings
the ticks (`paper_market.py`). All times in the book are the wall's, as `clock` tells it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError, StatementError

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.exchange import refusals as paper_refusals
from durable_orders.trading.exchange import rows as paper_rows
from durable_orders.trading.exchange import store as paper_store
from durable_orders.trading.exchange.fill_models import Request, latency
from durable_orders.trading.exchange.matching import Matcher
from durable_orders.trading.exchange.orders import Progress, received
from durable_orders.trading.exchange.protection import Protection
from durable_orders.trading.exchange.reading import BookReader, reading
from durable_orders.trading.exchange.sql_rms import PaperRms
from durable_orders.trading.exchange.store import Market
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import last_offer, last_tick, save_taken
from durable_orders.trading.market.calendar import ALWAYS_OPEN, SessionSource
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.market.request_limits import is_limited
from durable_orders.trading.market.rules import Way, ways_of
from durable_orders.trading.orders.approval import Approved
from durable_orders.trading.orders.book import BrokerHolding, BrokerOrder, BrokerPosition, Funds
from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.order import Account, Amendment, BrokerOrderId, Fill, Tag, Terms, Validity
from durable_orders.trading.orders.outcome import Accepted, Evidence, NotSent, Outcome, Refused, Unknown


def _now() -> datetime:
    return datetime.now(UTC)


class PaperBroker:
    """A `Broker` over the exchange's tables in the ledger database. Thread-safe."""

    def __init__(
        self,
        database: Database,
        account: Account,
        settings: Paper,
        tick_sizes: Callable[[str], Decimal | None],
        clock: Callable[[], datetime] = _now,
        sleep: Callable[[float], object] = time.sleep,
        listing: Listing | None = None,
        sessions: SessionSource = ALWAYS_OPEN,
    ) -> None:
        """`tick_sizes` gives rupees by symbol, `None` for what is not traded; `sleep` waits, in seconds. Without a
        `listing` the account's funds and the square-off of the settings cannot be minded: it is for reading alone.
        `sessions` says until when each symbol trades on the market's day.
        """
        self.rms = PaperRms(account, settings, listing) if listing is not None and settings.has_rms else None
        self._has_funds = settings.funds is not None
        self._rules = listing.rules if listing is not None else None
        self.expiry = listing.expiry if listing is not None else None
        self._database = database
        self._account = account
        self.matcher = Matcher(settings, tick_sizes)
        self.clock = clock
        self.sessions = sessions
        self._sleep = sleep
        self._reader = BookReader(database, account, clock)

    def place(self, approved: Approved, last_look: LastLook | None = None) -> Outcome:
        """Send an order and try to fill it at once; the answer carries what became of it. The permission is redeemed in
        the same transaction: raises `NotApproved` and `AttemptUsed`.

        Like Kite, the exchange does not deduplicate: the same order placed twice is two orders with one tag.
        """
        self._travel(Request.PLACE)
        draft = approved.draft
        given = draft.instructions
        disclosed = given.disclosed_quantity if given is not None else None
        return self._receive(draft, draft.tag, Progress.open, approved.redeem, last_look, ways_of(draft), disclosed)

    def modify(self, broker_order_id: BrokerOrderId, change: Amendment) -> Outcome:
        self._travel(Request.MODIFY)
        return self._transact(lambda connection: self._modify(connection, broker_order_id, change))

    def cancel(self, broker_order_id: BrokerOrderId) -> Outcome:
        self._travel(Request.CANCEL)
        return self._transact(lambda connection: self._cancel(connection, broker_order_id))

    def order_book(self) -> list[BrokerOrder]:
        return self._reader.order_book()

    def trades(self) -> list[Fill]:
        return self._reader.trades()

    def positions(self) -> list[BrokerPosition]:
        return self._reader.positions()

    def holdings(self) -> list[BrokerHolding]:
        """None: the paper exchange settles nothing, so what was bought for delivery stays a position."""
        return []

    def margins(self) -> Funds | None:
        """`None` for an account without `execution.paper.funds`. Raises `BookUnreadable`, also without a listing."""
        if not self._has_funds:
            return None
        if self.rms is None:
            raise BookUnreadable("the paper account was opened without the instruments that its margins need")
        with reading(self._database) as connection:
            return self.rms.funds(connection)

    def order_history(self, broker_order_id: BrokerOrderId) -> list[BrokerOrder]:
        return self._reader.order_history(broker_order_id)

    def _travel(self, request: Request) -> None:
        """The way to the exchange: what happens in the market meanwhile happens before the request."""
        if (seconds := latency(request, self.matcher.settings)) > 0:
            self._sleep(seconds)

    def _receive(
        self,
        terms: Terms,
        tag: Tag | None,
        way_in: Callable[[Progress], None],
        redeem: Callable[[sa.Connection], None] = lambda _connection: None,
        last_look: LastLook | None = None,
        ways: frozenset[Way] = frozenset(),
        disclosed: int | None = None,
        protection: Protection | None = None,
    ) -> Outcome:
        """`way_in` says how far the order gets on its way to the exchange; `disclosed` is what of it the market is to
        see; `protection` is that of a MARKET order, where its sender has asked for one."""
        refusal = paper_refusals.placement_refusal(terms, self.matcher.tick_sizes(terms.symbol))
        if refusal is not None:
            return refusal

        def place(connection: sa.Connection) -> Outcome:
            if last_look is not None and (late := last_look.late()) is not None:
                return late
            redeem(connection)
            refusal = self._over_limit(connection, terms.symbol, Request.PLACE)
            refusal = refusal or self._broken_rule(connection, terms, ways)
            return refusal or self._place(connection, terms, tag, way_in, protection, disclosed)

        return self._transact(place)

    def _broken_rule(self, connection: sa.Connection, terms: Terms, ways: frozenset[Way]) -> Refused | None:
        """By the rules of the exchanges, on the market's day. Before there is one nothing is asked."""
        market = paper_store.read_market(connection, self._account)
        if self._rules is None or market is None or market.session is None:
            return None
        is_over = self._is_over(market, terms.symbol)
        day = self.sessions.of(terms.symbol).next_session(market.session).date if is_over else market.session

        def last_price() -> Decimal | None:
            tick = last_tick(connection, self._account, terms.symbol)
            return None if tick is None else tick.last_price

        at = None if is_over else market.market_at
        return paper_refusals.rule_refusal(self._rules, terms, day, at, last_price, ways)

    def _over_limit(self, connection: sa.Connection, symbol: str, request: Request) -> Refused | None:
        """By Kite's limits on requests, by the market's clock; what is within them is counted. A cancel counts and is
        never refused: live it waits for its turn."""
        market = paper_store.read_market(connection, self._account)
        if self._rules is None or not self.matcher.settings.request_limits or market is None or market.session is None:
            return None
        day, is_order = market.session, request is Request.PLACE
        if not is_limited(day):
            return None
        at = None if self._is_over(market, symbol) else market.market_at
        refusal = paper_refusals.limit_refusal(market.sent, day, at, is_order=is_order)
        if refusal is not None and request is not Request.CANCEL:
            return refusal
        paper_store.save_sent(connection, self._account, market.sent.and_one(day, at, is_order=is_order))
        return None

    def _is_over(self, market: Market, symbol: str) -> bool:
        """Whether the symbol's session of the market's day is."""
        return market.has_closed(self.clock()) or market.is_over_for(self.sessions.of(symbol))

    def _transact(self, command: Callable[[sa.Connection], Outcome]) -> Outcome:
        """One transaction. A failure before COMMIT is asked for has provably changed nothing: without a COMMIT
        both databases undo, even if the connection is gone. From then on only the book can tell.
        """
        committing = False
        try:
            with self._database.write(self._account) as connection:
                outcome = command(connection)
                committing = True
        except SQLAlchemyError as error:
            evidence = _evidence(error)
            return Unknown(evidence=evidence) if committing else NotSent(evidence=evidence)
        return outcome

    def _place(
        self,
        connection: sa.Connection,
        terms: Terms,
        tag: Tag | None,
        way_in: Callable[[Progress], None],
        protection: Protection | None,
        disclosed: int | None,
    ) -> Accepted | Refused:
        now = self.clock()
        if self.rms is not None and (refusal := self.rms.refusal(connection, terms, None, now)) is not None:
            return refusal
        margin_price = self.rms.margin_price(connection, terms) if self.rms is not None else None
        market = paper_store.bump_market(connection, self._account)
        broker_order_id = paper_store.new_broker_order_id(connection, self._account, now, market.version)
        session = paper_store.session_of_new(market, self.sessions.of(terms.symbol), now)
        progress = received(terms, tag, broker_order_id, session, now, disclosed=disclosed)
        progress.order.margin_price = margin_price
        way_in(progress)
        self._meet_market(connection, progress, market, protection)
        paper_store.insert_order(connection, self._account, progress, market.version)
        return Accepted(broker_order_id=broker_order_id, report=progress.report)

    def _modify(
        self,
        connection: sa.Connection,
        broker_order_id: BrokerOrderId,
        change: Amendment,
        disclosed: int | None = None,
    ) -> Outcome:
        """`disclosed` is what of it the market is to see from now on, as it was without one."""
        order = paper_rows.find_order(connection, self._account, broker_order_id)
        if order is None:
            return paper_refusals.unknown_order()
        refusal = self._over_limit(connection, order.symbol, Request.MODIFY)
        refusal = refusal or paper_refusals.modification_refusal(
            order, paper_rows.modifications(connection, broker_order_id)
        )
        if refusal is not None:
            return refusal
        terms = paper_refusals.terms_after(order, change, self.matcher.tick_sizes(order.symbol))
        if isinstance(terms, Refused):
            return terms
        if disclosed is not None:
            order.disclosed_quantity = disclosed or None
        if (broken := self._broken_rule(connection, terms, order.ways)) is not None:
            return broken
        now = self.clock()
        if self.rms is not None:
            refusal = self.rms.refusal(connection, terms, order, now)
            if refusal is not None:
                return refusal
            order.margin_price = self.rms.margin_price(connection, terms)
        progress, market = Progress(order, now), paper_store.bump_market(connection, self._account)
        progress.modify(terms)
        self._match_at_once(connection, progress, market)
        return self._written(connection, progress, market)

    def _cancel(self, connection: sa.Connection, broker_order_id: BrokerOrderId) -> Outcome:
        order = paper_rows.find_order(connection, self._account, broker_order_id)
        if order is None:
            return paper_refusals.unknown_order()
        self._over_limit(connection, order.symbol, Request.CANCEL)
        refusal = paper_refusals.cancel_refusal(order)
        if refusal is not None:
            return refusal
        progress = Progress(order, self.clock())
        progress.cancel()
        return self._written(connection, progress, paper_store.bump_market(connection, self._account))

    def _written(self, connection: sa.Connection, progress: Progress, market: Market) -> Accepted:
        paper_store.update_orders(connection, self._account, [progress], market.version)
        report = paper_rows.report_of(connection, progress)
        return Accepted(broker_order_id=report.row.broker_order_id, report=report)

    def _meet_market(
        self, connection: sa.Connection, progress: Progress, market: Market, protection: Protection | None = None
    ) -> None:
        """What an order does when it has come to the exchange: it trades, and an IOC order ends."""
        self._match_at_once(connection, progress, market, protection)
        order = progress.order
        if order.validity is Validity.IOC and order.at_exchange:
            progress.expire(f"IOC: {order.remaining} of {order.quantity} could not be filled at once")

    def _match_at_once(
        self, connection: sa.Connection, progress: Progress, market: Market, protection: Protection | None = None
    ) -> None:
        """One round against the last tick, if it is fresh, by the wall's clock and by the market's, and the session has
        not closed since."""
        if not progress.order.at_exchange:
            return
        symbol = progress.order.symbol
        models = self.matcher.settings
        last = last_offer(connection, self._account, symbol)
        if last is None or market.has_closed(progress.at) or market.is_over_for(self.sessions.of(symbol)):
            return
        offer, received_at = last
        stale = timedelta(seconds=models.stale_tick_seconds)
        if progress.at - received_at > stale or (market.market_at and market.market_at - offer.tick.at > stale):
            return
        self.matcher.arrive(progress, offer, protection)
        if progress.fills and models.shares_liquidity:
            save_taken(connection, self._account, offer)


def _evidence(error: SQLAlchemyError) -> Evidence:
    """The driver's own words on one line, without the statement."""
    cause = error.orig if isinstance(error, StatementError) else error
    return Evidence(message=f"ledger: {' '.join(str(cause).split())}", error_type=type(error).__name__)
