"""What happens next to a schedule: a slice goes out when it is due, and what is left of the one before is cancelled.

Never more is out than the slices that were due come to: filled orders, and those that work or may work, under any
answer that was lost. What a slice has not traded is added to a later one only once the end of its order is proved.
"""

from datetime import datetime

from durable_orders.trading.orders.order import Order, Status
from durable_orders.trading.plans import actions
from durable_orders.trading.plans.actions import Action
from durable_orders.trading.plans.content import MARKET_DEADLINE
from durable_orders.trading.plans.lines import LinesProcess
from durable_orders.trading.plans.pieces import LinesState, piece_name
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import Child


class ScheduleProcess(LinesProcess):
    """One schedule's."""

    def __init__(self, state: LinesState, intent: ScheduleIntent, *, is_admitted: bool = False) -> None:
        super().__init__(state, is_admitted=is_admitted)
        self._intent = intent

    def _go_on(self, now: datetime) -> Action | None:
        state, intent = self.state, self._intent
        self._tell_of_refusals()
        if now < intent.begins_at:
            self._timers.append(intent.begins_at)
            return None
        current = min(int((now - intent.begins_at) / intent.every), intent.slices)
        if now < intent.due(min(current, intent.slices)):  # what is divided is rounded
            current -= 1
        if current < intent.slices:
            self._timers.append(intent.due(current + 1))
        for piece in state.pieces[:current]:
            for child in piece.children:
                if child.is_live and (found := self._cancel(child, now)) is not None:
                    return found
        if sum(piece.filled for piece in state.pieces) >= intent.quantity:
            state.is_finished = True
            return None
        if current == intent.slices:
            state.is_finished = not any(child.is_live for child in state.children())
            return None
        return self._place(current, now)

    def _place(self, current: int, now: datetime) -> Action | None:
        state, intent, piece = self.state, self._intent, self.state.pieces[current]
        if any(_was_refused(child) for child in piece.children):
            return None  # the next slice tries again
        wanted = self._room(current)
        if wanted <= 0:
            return None
        size = min(wanted, piece.terms.most or wanted)
        by = self._until(current)
        deadline = by if intent.price is not None else min(by, now + MARKET_DEADLINE)
        name = piece_name(intent, current + 1, piece.next_number)
        order = self._new(piece, name, size, intent.price, deadline)
        state.began_at = state.began_at or now
        piece.take(Child(order=Order.from_intent(order, now), leg=current))
        return actions.Place(order)

    def _room(self, current: int) -> int:
        """How much more may be out now."""
        pieces = self.state.pieces
        if not self._intent.catch_up:
            return pieces[current].quantity - pieces[current].may_fill
        due = sum(piece.quantity for piece in pieces[: current + 1])
        return due - sum(piece.may_fill for piece in pieces)

    def _until(self, number: int) -> datetime:
        return self._intent.due(number + 1)

    def _place_by(self, order: Order) -> datetime:
        number = next(
            n
            for n, piece in enumerate(self.state.pieces)
            for each in piece.children
            if each.client_order_id == order.client_order_id
        )
        by = self._until(number)
        return by if order.order_type.has_price else min(by, order.created_at + MARKET_DEADLINE)

    def _tell_of_refusals(self) -> None:
        for number, piece in enumerate(self.state.pieces, 1):
            for child in piece.children:
                own = child.client_order_id
                if own not in self.state.told and _was_refused(child):
                    self.state.told.append(own)
                    why = child.order.reasons[-1] if child.order.reasons else "no reason was given"
                    self._alerts.append(f"slice {number} is {child.order.status}: {why}")


def _was_refused(child: Child) -> bool:
    """Whether it has come to an end that nobody here asked for, and not traded whole."""
    status = child.order.status
    return status.terminal and status is not Status.FILLED and child.cancel_asked_at is None
