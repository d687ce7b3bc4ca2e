"""What happens next to a basket: all of its legs within a time and a loss, or none of them is kept.

The legs of a step go out together, once those of the steps before are filled, and bought ones before sold ones: what
is sold is hedged by then. With a net price, each leg without a limit of its own gets one: its share of what is left
between the market's net, as it was seen, and the limit. The limits together never come to more than the net price, and
what a leg fills better than its limit is left to those after it.
"""

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from durable_orders.trading.orders.order import Order, Side, Status
from durable_orders.trading.plans import actions
from durable_orders.trading.plans.actions import Action
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.content import MARKET_DEADLINE
from durable_orders.trading.plans.lines import LinesProcess
from durable_orders.trading.plans.pieces import LinesState, piece_name
from durable_orders.trading.plans.state import Child

QUOTE_EVERY = timedelta(seconds=1)


class BasketProcess(LinesProcess):
    """One basket's."""

    def __init__(self, state: LinesState, intent: BasketIntent, *, is_admitted: bool = False) -> None:
        super().__init__(state, is_admitted=is_admitted)
        self._intent = intent
        self._next_quote: datetime | None = None

    def _go_on(self, now: datetime) -> Action | None:
        if why := self._failure(now):
            self._give_up(why)
            return None
        return self._place(now) or self._watch_loss(now)

    def _failure(self, now: datetime) -> str:
        """Why not all of it can be had any more."""
        state = self.state
        for number, piece in enumerate(state.pieces, 1):
            for child in piece.children:
                status = child.order.status
                if status.terminal and status is not Status.FILLED:
                    why = child.order.reasons[-1] if child.order.reasons else "no reason was given"
                    return f"leg {number} ({piece.symbol}) is {status}: {why}"
        if state.began_at is None or all(piece.is_done for piece in state.pieces):
            return ""
        if now < (deadline := self._deadline(now)):
            self._timers.append(deadline)
            return self._lost()
        missing = [
            f"leg {number} has {piece.filled} of {piece.quantity}"
            for number, piece in enumerate(state.pieces, 1)
            if not piece.is_done
        ]
        return f"not all of it was had within {self._intent.within:g} s: {', '.join(missing)}"

    def _deadline(self, now: datetime) -> datetime:
        return (self.state.began_at or now) + timedelta(seconds=self._intent.within)

    def _place_by(self, order: Order) -> datetime:
        return self._sent_by(order.created_at, is_limit=order.order_type.has_price)

    def _sent_by(self, at: datetime, *, is_limit: bool) -> datetime:
        """Of an order that goes out then. One of a basket that began too late is past its time: the guardian refuses
        it, and one of that name that an earlier run has placed in time is found."""
        deadline = self._deadline(at)
        by = deadline if is_limit else min(deadline, at + MARKET_DEADLINE)
        begin_by = self._intent.begin_by(self.state.created_at)
        return by if begin_by is None or (self.state.began_at or at) < begin_by else min(by, begin_by)

    def _lost(self) -> str:
        limit = self._intent.max_loss
        if limit is None:
            return ""
        lost = Decimal(0)
        for piece in self.state.pieces:
            if not piece.filled:
                continue
            price = self._prices.get(piece.symbol)
            if price is None:  # what one leg lost may be what the other has gained
                return ""
            lost -= (price * piece.filled - piece.value) * piece.side.sign * piece.terms.multiplier
        return f"it has lost {lost:.2f} rupees while legs are waited for, more than {limit}" if lost > limit else ""

    def _watch_loss(self, now: datetime) -> Action | None:
        state = self.state
        held = [piece.symbol for piece in state.pieces if piece.filled]
        if self._intent.max_loss is None or not held or all(piece.is_done for piece in state.pieces):
            return None
        if self._next_quote is not None and now < self._next_quote:
            self._timers.append(self._next_quote)
            return None
        self._next_quote = now + QUOTE_EVERY
        return actions.Quote(tuple(held))

    def _place(self, now: datetime) -> Action | None:
        state = self.state
        for step in self._intent.steps:
            for number in step:
                piece = state.pieces[number]
                sizes = piece.terms.sizes or (piece.quantity,)
                if piece.next_number <= len(sizes):
                    return self._next_of(number, sizes[piece.next_number - 1], now)
            if not all(state.pieces[number].is_done for number in step):
                return None
        return None

    def _next_of(self, number: int, quantity: int, now: datetime) -> Action:
        state, piece = self.state, self.state.pieces[number]
        state.began_at = state.began_at or now
        price = piece.children[0].order.price if piece.children else self._limit(number)
        name = piece_name(self._intent, number + 1, piece.next_number)
        by = self._sent_by(now, is_limit=price is not None)
        intent = self._new(piece, name, quantity, price, by)
        piece.take(Child(order=Order.from_intent(intent, now), leg=number))
        return actions.Place(intent)

    def _limit(self, number: int) -> Decimal | None:
        """Of a leg without one of its own, where the basket has a net price; rupees."""
        state, intent, leg = self.state, self._intent, self._intent.legs[number]
        if leg.price is not None or intent.net is None:
            return leg.price
        spent, shares = Decimal(0), 0
        for one, piece in zip(intent.legs, state.pieces, strict=True):
            placed = piece.children[0].order.price if piece.children else None
            price = one.price or placed or piece.terms.reference or Decimal(0)
            spent += one.side.sign * (piece.value + price * (piece.quantity - piece.filled))
            if one.price is None and not piece.children:
                shares += piece.quantity
        left = max(intent.net * intent.unit - spent, Decimal(0))
        piece = state.pieces[number]
        wanted = (piece.terms.reference or Decimal(0)) + leg.side.sign * left / shares
        tick = piece.terms.tick_size or Decimal("0.05")
        rounding = ROUND_FLOOR if leg.side is Side.BUY else ROUND_CEILING
        return max((wanted / tick).to_integral_value(rounding) * tick, tick)
