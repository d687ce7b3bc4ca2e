"""The paper exchange in memory: its orders, fill models and refusals are the paper broker's, its tables are heaps."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.exchange import refusals as paper_refusals
from durable_orders.trading.exchange.fill_models import worst_met
from durable_orders.trading.exchange.matching import Matcher, in_priority
from durable_orders.trading.exchange.orders import ExchangeOrder, Progress, received
from durable_orders.trading.exchange.rms import Rms, closing_at_expiry, ended_at_expiry, squared_off
from durable_orders.trading.exchange.store import LOW_BITS, TWITTER_EPOCH_MS
from durable_orders.trading.market.calendar import Session, SessionSource
from durable_orders.trading.market.expiry import Expiry
from durable_orders.trading.market.liquidity import Liquidity, offered
from durable_orders.trading.market.request_limits import Sent, is_limited
from durable_orders.trading.market.rules import NO_WAYS, ExchangeRules, Way, rules, ways_of
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState, Funds
from durable_orders.trading.orders.order import (
    Amendment,
    BrokerOrderId,
    Product,
    Side,
    Tag,
    Terms,
    Validity,
    order_id,
    tag_of,
)
from durable_orders.trading.orders.outcome import Refused

SHRINK_ABOVE = 1_000
"""A heap of more entries than this is rebuilt when most of them have gone."""

DAY = timedelta(days=1)
WORKING = BookState.WORKING
Entry = tuple[Decimal, str, ExchangeOrder]


class PriceHeap:
    """Working orders of one symbol and side that a price reaches in the order of theirs, from one end."""

    __slots__ = ("_gone", "_heap", "_price_of", "_sign")

    def __init__(self, sign: int, *, triggers: bool) -> None:
        """`sign` is that of the price that comes up first: -1 for the highest, 1 for the lowest."""
        self._sign = sign
        self._price_of = _trigger if triggers else _limit
        self._heap: list[Entry] = []
        self._gone = 0

    def __bool__(self) -> bool:
        """Whether any may wait there."""
        return bool(self._heap)

    def add(self, price: Decimal, order: ExchangeOrder) -> None:
        heappush(self._heap, (price * self._sign, order.broker_order_id, order))

    def forget(self) -> None:
        """One of them has ended; its entry is dropped later."""
        self._gone += 1
        if len(self._heap) > SHRINK_ABOVE and self._gone * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapify(self._heap)
            self._gone = 0

    def take(self, bound: Decimal | None) -> list[ExchangeOrder]:
        """Those whose price is at the bound or comes up before it. They have to be added again if they stay."""
        if bound is None:
            return []
        reached: list[ExchangeOrder] = []
        limit = bound * self._sign
        while self._heap and self._heap[0][0] <= limit:
            entry = heappop(self._heap)
            if self._is_current(entry) and not (reached and reached[-1] is entry[2]):
                reached.append(entry[2])
            else:
                self._gone -= 1
        return reached

    def _is_current(self, entry: Entry) -> bool:
        """Whether the order still waits there: it may have ended, or have another price by now."""
        price = self._price_of(entry[2])
        return price is not None and price * self._sign == entry[0]


def _tag(account: str, client_order_id: str) -> Tag:
    return tag_of(order_id(account, client_order_id))


def _limit(order: ExchangeOrder) -> Decimal | None:
    return order.price if order.at_exchange and not order.waits_for_trigger else None


def _trigger(order: ExchangeOrder) -> Decimal | None:
    return order.trigger_price if order.at_exchange and order.waits_for_trigger else None


class SymbolBook:
    """One symbol: its last tick, and all that works in it."""

    __slots__ = ("at_market", "before", "due", "is_due_known", "limits", "offer", "tick", "triggers", "working")

    def __init__(self) -> None:
        self.tick: Tick | None = None
        """The last one."""
        self.before: Tick | None = None
        """The one before that."""
        self.offer: Liquidity | None = None
        """What is left of the last tick, where an order has asked for it."""
        self.working = 0
        """Orders."""
        self.due: datetime | None = None
        """From when on the broker squares off, as far as that is known."""
        self.is_due_known = False
        self.at_market: list[ExchangeOrder] = []
        """Without a limit: they fill with the next tick."""
        self.limits = {Side.BUY: PriceHeap(-1, triggers=False), Side.SELL: PriceHeap(1, triggers=False)}
        self.triggers = {Side.BUY: PriceHeap(1, triggers=True), Side.SELL: PriceHeap(-1, triggers=True)}

    def offered(self, tick: Tick) -> Liquidity:
        """What is left of the last tick."""
        if self.offer is None:
            self.offer = offered(tick, self.before)
        return self.offer

    def put(self, order: ExchangeOrder) -> None:
        if order.waits_for_trigger and order.trigger_price is not None:
            self.triggers[order.side].add(order.trigger_price, order)
        elif order.price is None:
            self.at_market.append(order)
        else:
            self.limits[order.side].add(order.price, order)

    def forget(self, order: ExchangeOrder) -> None:
        if order.waits_for_trigger:
            self.triggers[order.side].forget()
        elif order.price is not None:
            self.limits[order.side].forget()
        else:
            self.at_market = [each for each in self.at_market if each is not order]


class Last(NamedTuple):
    """The last tick of a symbol, with what is left of it."""

    offer: Liquidity
    at: datetime
    price: Decimal


class Exchange:
    """One account's market. Time is the market's; whoever calls says what it is."""

    def __init__(
        self,
        matcher: Matcher,
        sessions: SessionSource,
        rms: Rms | None = None,
        rules: ExchangeRules | None = None,
        expiry: Expiry | None = None,
    ) -> None:
        """`rms` minds funds and square-off, where the settings have any; `rules` are those of the exchanges, `expiry`
        ends what is held of contracts that expire."""
        self._expiry = expiry
        self._held: dict[tuple[str, Product], int] = {}
        self._rules = rules
        self._matcher = matcher
        self._sessions = sessions
        self._ends: list[datetime] = []
        self._rms = rms
        self._stale = timedelta(seconds=matcher.settings.stale_tick_seconds)
        self._shelves: dict[str, SymbolBook] = {}
        self._working: dict[BrokerOrderId, ExchangeOrder] = {}
        self._session: Session | None = None
        self._shown_at: datetime | None = None
        self._number = 0
        self._changes: Counter[BrokerOrderId] = Counter()
        self._is_limited = False
        self._sent = Sent()

    def last(self, symbol: str) -> Last | None:
        shelf = self._shelves.get(symbol)
        if shelf is None or (tick := shelf.tick) is None:
            return None
        return Last(shelf.offered(tick), tick.at, tick.last_price)

    def last_price(self, symbol: str) -> Decimal | None:
        shelf = self._shelves.get(symbol)
        return None if shelf is None or shelf.tick is None else shelf.tick.last_price

    def last_ticks(self) -> Iterator[Tick]:
        """Of each symbol, those that were shown first in front."""
        return (shelf.tick for shelf in self._shelves.values() if shelf.tick is not None)

    def funds(self) -> Funds | None:
        """`None` for an account without `execution.paper.funds`."""
        return self._rms.funds() if self._rms is not None else None

    def margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal | None:
        """Rupees that these orders, each at its price, would bind together and more than is bound now; `None` for an
        account without funds, of which that is not known."""
        return self._rms.margin(priced) if self._rms is not None and self._rms.has_funds else None

    @property
    def sent(self) -> Sent | None:
        """The requests of late; `None` where Kite's limits on them do not hold."""
        return self._sent if self._is_limited else None

    @property
    def session(self) -> Session | None:
        """The one that was shown last."""
        return self._session

    def place(self, live: Live, at: datetime) -> Progress | Refused:
        """As `PaperBroker.place`: to the exchange, where it is matched at once."""
        terms: Any = live  # reads like `Terms`
        refusal = paper_refusals.placement_refusal(terms, self._matcher.tick_sizes(live.symbol))
        if refusal is not None:
            return refusal
        is_over = self._is_over_for(live.symbol, at)
        session = self._session_of_new(live.symbol, at, is_over=is_over)
        moment, given = None if is_over else at, live.instructions
        if (refusal := self._over_limit(moment, is_order=True)) is not None:
            return refusal
        ways = NO_WAYS if given is None else ways_of(terms)
        if (refusal := self._broken(terms, session, moment, ways)) is not None:
            return refusal
        if self._rms is not None and (refusal := self._minded(self._rms, terms, session, at)) is not None:
            return refusal
        tag = partial(_tag, live.account, live.client_order_id)
        disclosed = None if given is None else given.disclosed_quantity
        progress = received(terms, tag, self._new_id(at), session, at, is_kept=False, disclosed=disclosed)
        progress.open()
        order = progress.order
        if self._rms is not None:
            order.margin_price = self._rms.margin_price(terms, self.last_price(live.symbol))
        if not is_over:
            self._match_at_once(progress)
        if order.state is WORKING and order.validity is Validity.IOC:
            progress.expire(f"IOC: {order.remaining} of {order.quantity} could not be filled at once")
        self._keep(progress)
        return progress

    def cancel(self, order: ExchangeOrder, at: datetime) -> Progress | Refused:
        if self._is_limited:
            self._count(None if self._is_over_for(order.symbol, at) else at, is_order=False)
        refusal = paper_refusals.cancel_refusal(order)
        if refusal is not None:
            return refusal
        self._forget(order)
        progress = Progress(order, at, is_kept=False)
        progress.cancel()
        self._note(progress)
        return progress

    def modify(self, order: ExchangeOrder, change: Amendment, at: datetime) -> Progress | Refused:
        """As `PaperBroker.modify`."""
        own, is_over = order.broker_order_id, self._is_over_for(order.symbol, at)
        refusal = self._over_limit(None if is_over else at, is_order=False)
        refusal = refusal or paper_refusals.modification_refusal(order, self._changes[own])
        if refusal is not None:
            return refusal
        terms = paper_refusals.terms_after(order, change, self._matcher.tick_sizes(order.symbol))
        if isinstance(terms, Refused):
            return terms
        session = self._session_of_new(order.symbol, at, is_over=is_over)
        broken = self._broken(terms, session, None if is_over else at, order.ways)
        if broken is not None:
            return broken
        if self._rms is not None:
            price = self._rms.margin_price(terms, self.last_price(order.symbol))
            if (refusal := self._rms.refusal(terms, order, price, session)) is not None:
                return refusal
            order.margin_price = price
        self._forget(order)
        self._changes[own] += 1
        progress = Progress(order, at, is_kept=False)
        progress.modify(terms)
        if not is_over:
            self._match_at_once(progress)
        self._keep(progress)
        return progress

    def show(self, tick: Tick, session: Session) -> list[Progress]:
        """As `PaperMarket.on_ticks`: the orders that the tick changed, and those that expired with their session."""
        at = tick.at
        shelf = self._shelves.get(tick.symbol) or self._shelf(tick.symbol)
        is_new_day = session is not self._session and (self._session is None or self._session.date != session.date)
        if is_new_day or not shelf.is_due_known:
            self._look_when_due(shelf, tick.symbol, session.date)
        is_due = shelf.due is not None and at >= shelf.due
        changed = self._turn(session, at) if is_new_day else []
        if self._ends and at >= self._ends[-1]:
            changed += self._end_sessions(at)
        shelf.before, shelf.tick, shelf.offer = shelf.tick, tick, None
        if shelf.working:
            changed += self._match(shelf, tick, at)
        if is_due and self._rms is not None:
            changed += self._square_off(self._rms, shelf.offered(tick), session.date, at)
        self._shown_at = at
        return changed

    def _look_when_due(self, shelf: SymbolBook, symbol: str, session: date) -> None:
        """It stays so until an order of the symbol moves, or another session begins."""
        shelf.due = self._rms.due_from(symbol, session) if self._rms is not None else None
        shelf.is_due_known = True

    def close(self, at: datetime) -> list[Progress]:
        """End the session: the orders that expired with it."""
        expired = self._expire([order for order in self._working.values() if not self._is_outside(order)], at)
        return expired + self._settle(self._today(), at, is_over=True)

    def _today(self) -> date:
        return self._session.date if self._session is not None else date.min

    def _note(self, progress: Progress) -> None:
        self._shelf(progress.order.symbol).is_due_known = False
        if self._rms is not None:
            self._rms.note(progress)
        if progress.fills and self._expiry is not None and self._expiry.day_of(progress.order.symbol) is not None:
            order = progress.order
            key = (order.symbol, order.product)
            held = self._held.get(key, 0)
            for each in progress.fills:
                held += order.side.sign * each.quantity
            self._held[key] = held

    def _settle(self, last: date, at: datetime, *, is_over: bool = False) -> list[Progress]:
        """As `PaperMarket`'s: end what is held of contracts that expire on that day, or did before."""
        settled: list[Progress] = []
        for (symbol, product), held in sorted(self._held.items()):
            day = self._expiry.day_of(symbol) if self._expiry is not None else None
            has_ended = is_over or self._is_over_for(symbol, at)
            if self._expiry is None or not held or day is None or day > last or (day == last and not has_ended):
                continue
            found = self._expiry.settled(symbol, self.last_price)
            if found is not None:
                closing = closing_at_expiry(symbol, product, held)
                progress = ended_at_expiry(closing, found, self._new_id(at), day, at)
                self._note(progress)
                settled.append(progress)
        return settled

    def _match(self, shelf: SymbolBook, tick: Tick, at: datetime) -> list[Progress]:
        """The working orders that this price triggers or fills, in the order of their placing, as the paper market."""
        changed = []
        for order in self._candidates(shelf, tick):
            progress = Progress(order, at, is_kept=False)
            self._matcher.match(progress, shelf.offered(tick))
            self._note(progress)
            if order.working:
                shelf.put(order)
            else:
                del self._working[order.broker_order_id]
                shelf.working -= 1
            if progress.is_shown:
                changed.append(progress)
        return changed

    def _candidates(self, shelf: SymbolBook, tick: Tick) -> list[ExchangeOrder]:
        """Their prices have four places, so what is compared with them need not be rounded."""
        found, shelf.at_market = [each for each in shelf.at_market if each.working and each.price is None], []
        models = self._matcher.settings
        for side, limits in shelf.limits.items():
            if limits:
                found += limits.take(worst_met(side, tick, models))
        for triggers in shelf.triggers.values():
            if triggers:
                found += triggers.take(tick.last_price)
        if len(found) > 1:
            found.sort(key=lambda order: order.broker_order_id)
            return in_priority(found) if models.shares_liquidity else found
        return found

    def _match_at_once(self, progress: Progress) -> None:
        """One round against the last tick, if it is fresh."""
        shelf = self._shelves.get(progress.order.symbol)
        if shelf is not None and (tick := shelf.tick) is not None and progress.at - tick.at <= self._stale:
            self._matcher.arrive(progress, shelf.offered(tick))

    def _turn(self, session: Session, at: datetime) -> list[Progress]:
        """A day begins: the orders that expired with the one before."""
        ended = [order for order in self._working.values() if not self._is_outside(order)]
        expired = self._expire(ended, at) + self._settle(session.date - DAY, at, is_over=True)
        for order in self._working.values():
            order.session = max(order.session, session.date)
        self._session = session
        has_limits = self._rules is not None and self._matcher.settings.request_limits
        self._is_limited = has_limits and is_limited(session.date)
        self._ends = sorted(self._sessions.ends(session.date), reverse=True)
        for shelf in self._shelves.values():
            shelf.is_due_known = False
        if self._rms is not None:
            self._rms.begin(session.date)
        return expired

    def _over_limit(self, at: datetime | None, *, is_order: bool) -> Refused | None:
        """By Kite's limits on requests; what is within them is counted. `at` is `None` once the session is over."""
        if not self._is_limited:
            return None
        refusal = paper_refusals.limit_refusal(self._sent, self._today(), at, is_order=is_order)
        if refusal is None:
            self._count(at, is_order=is_order)
        return refusal

    def _count(self, at: datetime | None, *, is_order: bool) -> None:
        self._sent = self._sent.and_one(self._today(), at, is_order=is_order)

    def _broken(self, terms: Terms, session: date, at: datetime | None, ways: frozenset[Way]) -> Refused | None:
        """By the rules of the exchanges. `at` is `None` once the session is over."""
        if self._rules is None or self._session is None:
            return None
        return paper_refusals.rule_refusal(self._rules, terms, session, at, lambda: self.last_price(terms.symbol), ways)

    def _minded(self, rms: Rms, terms: Terms, session: date, at: datetime) -> Refused | None:
        """What the broker's risk management refuses."""
        late = rms.late_refusal(terms, None if self._is_over_for(terms.symbol, at) else self._shown_at)
        price = rms.margin_price(terms, self.last_price(terms.symbol))
        return late or rms.refusal(terms, None, price, session)

    def _keep(self, progress: Progress) -> None:
        """An order that has come to the exchange works there, if it still does."""
        order = progress.order
        self._note(progress)
        if order.state is WORKING:
            self._working[order.broker_order_id] = order
            shelf = self._shelf(order.symbol)
            shelf.working += 1
            shelf.put(order)

    def _square_off(self, rms: Rms, offer: Liquidity, session: date, at: datetime) -> list[Progress]:
        """As `PaperMarket`'s: the orders that it cancels, and the one that closes the position, which has no tag."""
        symbol = offer.tick.symbol
        working = [o for o in self._working.values() if o.symbol == symbol and o.product is Product.MIS]
        changed, closing = squared_off(symbol, rms.intraday(symbol), working, at)
        for progress in changed:
            self._forget(progress.order)
            self._note(progress)
        if closing is None:
            return changed
        progress = received(closing, None, self._new_id(at), session, at)
        progress.open()
        self._matcher.match(progress, offer, arriving=True)
        self._keep(progress)
        return [*changed, progress]

    def _is_outside(self, order: ExchangeOrder) -> bool:
        """Placed before there was a session, or after its close."""
        is_later = self._session is None or order.session > self._session.date
        return is_later or self._is_over_for(order.symbol, order.placed_at)

    def _is_over_for(self, symbol: str, moment: datetime) -> bool:
        """Whether the symbol's session of the market's day is over at that moment."""
        if self._session is None:
            return False
        session = self._sessions.of(symbol).session_on(self._session.date)
        return session is None or moment >= session.closes

    def _session_of_new(self, symbol: str, at: datetime, *, is_over: bool) -> date:
        """Of an order that comes now."""
        if self._session is None:
            return at.date()
        return self._sessions.of(symbol).next_session(self._session.date).date if is_over else self._session.date

    def _end_sessions(self, at: datetime) -> list[Progress]:
        """Expire the orders of symbols whose session has ended by then, and what may not rest in a closing auction
        that has come."""
        while self._ends and at >= self._ends[-1]:
            self._ends.pop()
        today = [order for order in self._working.values() if not self._is_outside(order)]
        over = [order for order in today if self._is_over_for(order.symbol, at)]
        leaving = [order for order in today if order not in over and self._ends_before_auction(order, at)]
        changed = self._expire(over, at) + self._expire(leaving, at, str(rules().cancelled_before_auction))
        return changed + self._settle(self._today(), at)

    def _ends_before_auction(self, order: ExchangeOrder, at: datetime) -> bool:
        if not order.ends_before_auction(self._today()):
            return False
        session = self._sessions.of(order.symbol).session_on(self._today())
        begins = session.auction_ahead_at if session is not None else None
        return begins is not None and at >= begins

    def _expire(self, orders: list[ExchangeOrder], at: datetime, why: str = "") -> list[Progress]:
        expired = []
        for order in orders:
            self._forget(order)
            progress = Progress(order, at, is_kept=False)
            progress.expire(why or f"DAY: the session of {order.session} has ended")
            self._note(progress)
            expired.append(progress)
        return expired

    def _forget(self, order: ExchangeOrder) -> None:
        del self._working[order.broker_order_id]
        shelf = self._shelf(order.symbol)
        shelf.working -= 1
        shelf.forget(order)

    def _shelf(self, symbol: str) -> SymbolBook:
        shelf = self._shelves.get(symbol)
        if shelf is None:
            shelf = self._shelves[symbol] = SymbolBook()
        return shelf

    def _new_id(self, at: datetime) -> BrokerOrderId:
        """Nineteen digits that begin with the moment of the first order and rise from there, as Kite's do."""
        if not self._number:
            self._number = (int(at.timestamp() * 1000) - TWITTER_EPOCH_MS) << LOW_BITS
        self._number += 1
        return BrokerOrderId(f"{self._number:019d}")
