"""The paper exchange in memory: its orders, fill models and refusals are the paper broker's, its tables are heaps."""

from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from heapq import heapify, heappop, heappush
from typing import NamedTuple, cast

from trading.backtest.orders import Live
from trading.brokers import paper_refusals
from trading.brokers.book import Funds
from trading.brokers.fill_models import marketable_bound
from trading.brokers.offer import Offer
from trading.brokers.paper_matching import Matcher, in_priority
from trading.brokers.paper_orders import ExchangeOrder, Progress, received
from trading.brokers.paper_store import LOW_BITS, TWITTER_EPOCH_MS
from trading.brokers.rms import Rms, squared_off
from trading.ledger.last_ticks import offered
from trading.market.calendar import Session
from trading.market.ticks import Tick
from trading.order import PRICE_PLACES, BrokerOrderId, Product, Side, Terms, Validity
from trading.outcome import Refused

SHRINK_ABOVE = 1_000
"""A heap of more entries than this is rebuilt when most of them have gone."""

Entry = tuple[Decimal, str, ExchangeOrder]


class Resting:
    """Working orders of one symbol and side that a price reaches in the order of theirs, from one end."""

    __slots__ = ("_gone", "_heap", "_is_current", "_sign")

    def __init__(self, sign: int, *, triggers: bool) -> None:
        """`sign` is that of the price that comes up first: -1 for the highest, 1 for the lowest."""
        self._sign = sign
        self._is_current = _waits if triggers else _rests
        self._heap: list[Entry] = []
        self._gone = 0

    def add(self, price: Decimal, order: ExchangeOrder) -> None:
        heappush(self._heap, (price * self._sign, order.broker_order_id, order))

    def forget(self) -> None:
        """One of them has ended; its entry is dropped later."""
        self._gone += 1
        if len(self._heap) > SHRINK_ABOVE and self._gone * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if self._is_current(entry[2])]
            heapify(self._heap)
            self._gone = 0

    def take(self, bound: Decimal | None) -> list[ExchangeOrder]:
        """Those whose price is at the bound or comes up before it. They have to be added again if they stay."""
        if bound is None:
            return []
        reached, limit = [], bound * self._sign
        while self._heap and self._heap[0][0] <= limit:
            order = heappop(self._heap)[2]
            if self._is_current(order):
                reached.append(order)
            else:
                self._gone -= 1
        return reached


def _rests(order: ExchangeOrder) -> bool:
    return order.at_exchange and not order.waits_for_trigger


def _waits(order: ExchangeOrder) -> bool:
    return order.at_exchange and order.waits_for_trigger


class Shelf:
    """All that works in one symbol."""

    __slots__ = ("at_market", "limits", "triggers")

    def __init__(self) -> None:
        self.at_market: list[ExchangeOrder] = []
        """Without a limit: they fill with the next tick."""
        self.limits = {Side.BUY: Resting(-1, triggers=False), Side.SELL: Resting(1, triggers=False)}
        self.triggers = {Side.BUY: Resting(1, triggers=True), Side.SELL: Resting(-1, triggers=True)}

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


class Last(NamedTuple):
    """The last tick of a symbol, with what is left of it."""

    offer: Offer
    at: datetime
    price: Decimal


class Exchange:
    """One account's market. Time is the market's; whoever calls says what it is."""

    def __init__(self, matcher: Matcher, rms: Rms | None = None) -> None:
        """`rms` minds funds and square-off, where the settings have any."""
        self._matcher = matcher
        self._rms = rms
        self._stale = timedelta(seconds=matcher.settings.stale_tick_seconds)
        self._last: dict[str, Last] = {}
        self._shelves: dict[str, Shelf] = {}
        self._working: dict[BrokerOrderId, ExchangeOrder] = {}
        self._session: Session | None = None
        self._shown_at: datetime | None = None
        self._number = 0

    def last(self, symbol: str) -> Last | None:
        return self._last.get(symbol)

    def last_price(self, symbol: str) -> Decimal | None:
        last = self._last.get(symbol)
        return None if last is None else last.price

    def funds(self) -> Funds | None:
        """`None` for an account without `execution.paper.funds`."""
        return self._rms.funds() if self._rms is not None else None

    @property
    def session(self) -> Session | None:
        """The one that was shown last."""
        return self._session

    def place(self, live: Live, at: datetime) -> Progress | Refused:
        """As `PaperBroker.place`: to the exchange, where it is matched at once."""
        terms = cast(Terms, live)
        refusal = paper_refusals.placement_refusal(terms, self._matcher.tick_sizes(live.symbol))
        if refusal is not None:
            return refusal
        session = self._session.date if self._session is not None else at.date()
        if self._rms is not None and (refusal := self._minded(self._rms, terms, session, at)) is not None:
            return refusal
        progress = received(terms, live.tag, self._new_id(at), session, at)
        progress.open()
        order = progress.order
        if self._rms is not None:
            order.margin_price = self._rms.margin_price(terms, self.last_price(live.symbol))
        self._match_at_once(progress)
        if order.working and order.validity is Validity.IOC:
            progress.expire(f"IOC: {order.remaining} of {order.quantity} could not be filled at once")
        self._keep(progress)
        return progress

    def cancel(self, order: ExchangeOrder, at: datetime) -> Progress | Refused:
        refusal = paper_refusals.cancel_refusal(order)
        if refusal is not None:
            return refusal
        self._forget(order)
        progress = Progress(order, at)
        progress.cancel()
        if self._rms is not None:
            self._rms.note(progress)
        return progress

    def show(self, tick: Tick, session: Session) -> list[Progress]:
        """As `PaperMarket.on_ticks`: the orders that the tick changed, and those that expired with their session."""
        is_due = self._rms is not None and self._rms.is_due(tick.symbol, tick.at, session.date)
        changed = self._turn(session, tick.at)
        before = self._last.get(tick.symbol)
        offer = offered(tick, None if before is None else before.offer.tick)
        shelf = self._shelves.get(tick.symbol)
        if shelf is not None:
            changed += self._match(shelf, offer, tick.at)
        if is_due and self._rms is not None:
            changed += self._square_off(self._rms, offer, session.date, tick.at)
        self._shown_at = tick.at
        self._last[tick.symbol] = Last(offer, tick.at, tick.last_price)
        return changed

    def close(self, at: datetime) -> list[Progress]:
        """End the session: the orders that expired with it."""
        return self._expire([order for order in self._working.values() if not self._is_outside(order)], at)

    def _match(self, shelf: Shelf, offer: Offer, at: datetime) -> list[Progress]:
        """The working orders that this price triggers or fills, in the order of their placing, as the paper market."""
        changed = []
        for order in self._candidates(shelf, offer.tick):
            progress = Progress(order, at)
            self._matcher.match(progress, offer)
            if self._rms is not None:
                self._rms.note(progress)
            if order.working:
                shelf.put(order)
            else:
                del self._working[order.broker_order_id]
            if progress.is_shown:
                changed.append(progress)
        return changed

    def _candidates(self, shelf: Shelf, tick: Tick) -> list[ExchangeOrder]:
        found, shelf.at_market = [order for order in shelf.at_market if order.working], []
        models = self._matcher.settings
        for side, limits in shelf.limits.items():
            found += limits.take(marketable_bound(side, tick, models))
        for side, triggers in shelf.triggers.items():
            rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
            found += triggers.take(tick.last_price.quantize(PRICE_PLACES, rounding=rounding))
        if len(found) > 1:
            found.sort(key=lambda order: order.broker_order_id)
            return in_priority(found) if models.shares_liquidity else found
        return found

    def _match_at_once(self, progress: Progress) -> None:
        """One round against the last tick, if it is fresh and the session has not closed since."""
        last = self._last.get(progress.order.symbol)
        if last is None or self._has_closed(progress.at) or progress.at - last.at > self._stale:
            return
        self._matcher.match(progress, last.offer, arriving=True)

    def _turn(self, session: Session, at: datetime) -> list[Progress]:
        if self._session is not None and self._session.date == session.date:
            return []
        ended = [order for order in self._working.values() if not self._is_outside(order)]
        expired = self._expire(ended, at)
        for order in self._working.values():
            order.session = session.date
        self._session = session
        if self._rms is not None:
            self._rms.begin(session.date)
        return expired

    def _minded(self, rms: Rms, terms: Terms, session: date, at: datetime) -> Refused | None:
        """What the broker's risk management refuses."""
        late = rms.late_refusal(terms, None if self._has_closed(at) else self._shown_at)
        price = rms.margin_price(terms, self.last_price(terms.symbol))
        return late or rms.refusal(terms, None, price, session)

    def _keep(self, progress: Progress) -> None:
        """An order that has come to the exchange works there, if it still does."""
        order = progress.order
        if self._rms is not None:
            self._rms.note(progress)
        if order.working:
            self._working[order.broker_order_id] = order
            self._shelf(order.symbol).put(order)

    def _square_off(self, rms: Rms, offer: Offer, session: date, at: datetime) -> list[Progress]:
        """As `PaperMarket`'s: the orders that it cancels, and the one that closes the position, which has no tag."""
        symbol = offer.tick.symbol
        working = [o for o in self._working.values() if o.symbol == symbol and o.product is Product.MIS]
        changed, closing = squared_off(symbol, rms.intraday(symbol), working, at)
        for progress in changed:
            self._forget(progress.order)
            rms.note(progress)
        if closing is None:
            return changed
        progress = received(closing, None, self._new_id(at), session, at)
        progress.open()
        self._matcher.match(progress, offer, arriving=True)
        self._keep(progress)
        return [*changed, progress]

    def _is_outside(self, order: ExchangeOrder) -> bool:
        """Placed before there was a session, or after its close."""
        return self._session is None or self._has_closed(order.placed_at)

    def _has_closed(self, moment: datetime) -> bool:
        return self._session is not None and moment >= self._session.closes

    def _expire(self, orders: list[ExchangeOrder], at: datetime) -> list[Progress]:
        expired = []
        for order in orders:
            self._forget(order)
            progress = Progress(order, at)
            progress.expire(f"DAY: the session of {order.session} has ended")
            if self._rms is not None:
                self._rms.note(progress)
            expired.append(progress)
        return expired

    def _forget(self, order: ExchangeOrder) -> None:
        del self._working[order.broker_order_id]
        self._shelf(order.symbol).forget(order)

    def _shelf(self, symbol: str) -> Shelf:
        shelf = self._shelves.get(symbol)
        if shelf is None:
            shelf = self._shelves[symbol] = Shelf()
        return shelf

    def _new_id(self, at: datetime) -> BrokerOrderId:
        """Nineteen digits that begin with the moment of the first order and rise from there, as Kite's do."""
        if not self._number:
            self._number = (int(at.timestamp() * 1000) - TWITTER_EPOCH_MS) << LOW_BITS
        self._number += 1
        return BrokerOrderId(f"{self._number:019d}")
