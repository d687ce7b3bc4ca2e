"""What the exit of a leg should be now: a stop, a target in the stop's place, or an order at the market. Pure.

There is one exit a leg at a time, and it is never more than what was entered: a stop and a target that both rested for
the whole quantity would be twice what is held. So the stop works at the broker, the target is watched, and when it is
traded the stop itself becomes a LIMIT order at the target: one order, which cannot fill twice.
"""

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from durable_orders.trading.gtt.gtt import GttChange, GttIntent, GttLeg
from durable_orders.trading.orders.order import Amendment, OrderType, PlanOrderIntent
from durable_orders.trading.plans import by_gtt
from durable_orders.trading.plans.plan import Stop
from durable_orders.trading.plans.state import Child, LegState, PlanState, exit_id

TAKING = timedelta(seconds=5)
"""So long a target may work without a fill before it is the stop again."""
TAKE_AGAIN = timedelta(seconds=30)
GAP = timedelta(seconds=2)
"""So long a stop may work beyond its limit before it goes to the market."""
TRAIL_STEPS = 20
"""A trailing stop moves by at least this part of its distance, so that it needs few amendments."""

Shape = tuple[OrderType, Decimal | None, Decimal | None]
"""Type, price and trigger price."""
AT_MARKET: Shape = (OrderType.MARKET, None, None)


class Exits:
    """Of one plan."""

    def __init__(self, state: PlanState) -> None:
        self._state = state

    @property
    def _sign(self) -> int:
        return self._state.intent.side.sign

    def _beyond(self, price: Decimal, of: Decimal) -> bool:
        """At that price, or better for the position."""
        return (price - of) * self._sign >= 0

    # What prices do.

    def priced(self, price: Decimal, now: datetime) -> None:
        """Take in the last price: moves the stop, and says of each leg what its exit is to be."""
        state = self._state
        state.last, state.last_at = price, now
        if state.entered == 0 or state.is_leaving:
            return
        state.best = price if state.best is None or self._beyond(price, state.best) else state.best
        self._trail()
        for leg in state.legs:
            self._judge(leg, price, now)

    def _trail(self) -> None:
        state, stop = self._state, self._state.stop
        if stop is None or state.level is None or state.best is None:
            return
        if stop.trail is not None:
            step = max(stop.trail / TRAIL_STEPS, state.tick_size or Decimal(0))
            wanted = self._on_tick(state.best - self._sign * stop.trail)
            if (wanted - state.level) * self._sign >= step:
                state.level = wanted
        entry = state.entry.order.average_price if state.entry is not None else None
        if stop.break_even is not None and entry is not None and self._beyond(state.best, stop.break_even):
            even = self._on_tick(entry)
            state.level = even if self._beyond(even, state.level) else state.level

    def _on_tick(self, price: Decimal) -> Decimal:
        """The next price of the exchange's on the stop's side."""
        tick = self._state.tick_size
        if not tick:
            return price
        return (price / tick).to_integral_value(ROUND_FLOOR if self._sign > 0 else ROUND_CEILING) * tick

    def _judge(self, leg: LegState, price: Decimal, now: datetime) -> None:
        state, live = self._state, leg.live
        if state.level is None:
            return
        if self._beyond(state.level, price):
            self._stop_is_passed(leg, price, now)
            return
        leg.passed_since = None
        if leg.target is None or (live is not None and live.is_gtt):
            return
        if self._beyond(price, leg.target):
            if leg.taking_since is None and (leg.next_taking is None or now >= leg.next_taking):
                leg.taking_since = now
        elif leg.taking_since is not None and live is not None:
            halfway = (leg.target + state.level) / 2
            if not self._beyond(price, halfway) or now - leg.taking_since >= TAKING:
                self.take_no_more(leg, now)

    def take_no_more(self, leg: LegState, now: datetime) -> None:
        leg.taking_since, leg.next_taking = None, now + TAKE_AGAIN

    def _stop_is_passed(self, leg: LegState, price: Decimal, now: datetime) -> None:
        """The exchange's own trigger is left to it; what does not stand there at the level goes to the market."""
        state, live = self._state, leg.live
        if live is None or not live.is_working:
            return  # the next exit of the leg sees to it
        order = live.order
        at_level = order.trigger_price is not None and self._beyond(order.trigger_price, state.level or price)
        if not (at_level or live.is_triggered):
            leg.out = True
        elif order.price is not None and not self._beyond(price, order.price):
            leg.passed_since = leg.passed_since or now
            leg.out = leg.out or now - leg.passed_since >= GAP

    def time_passed(self, now: datetime) -> list[datetime]:
        """What time alone does to the exits. Gives the moments at which it does more."""
        due = []
        for leg in self._state.legs:
            if leg.passed_since is not None and not leg.out:
                leg.out = now - leg.passed_since >= GAP
                due += [] if leg.out else [leg.passed_since + GAP]
            if leg.taking_since is not None and self._state.stop is not None and not leg.out and leg.live is not None:
                if now - leg.taking_since >= TAKING:
                    self.take_no_more(leg, now)
                else:
                    due.append(leg.taking_since + TAKING)
        return due

    # What the exits are to be.

    def shape(self, leg: LegState) -> Shape:
        state, stop = self._state, self._state.stop
        if state.is_leaving or leg.out:
            return AT_MARKET
        if stop is None or state.level is None or (leg.taking_since is not None and leg.target is not None):
            return (OrderType.LIMIT, leg.target, None)
        return self._as_stop(stop, state.level)

    def _as_stop(self, stop: Stop, level: Decimal) -> Shape:
        if stop.limit_price is None:
            return (OrderType.SL_M, None, level)
        return (OrderType.SL, level + stop.limit_price - stop.trigger_price, level)

    def new(self, number: int, quantity: int, now: datetime) -> PlanOrderIntent | GttIntent:
        """The next exit of a leg. Where the price is at the stop already, it goes to the market: the exchange takes no
        trigger on the wrong side."""
        state, leg, intent = self._state, self._state.legs[number], self._state.intent
        price_now = state.price_at(now)
        if state.level is not None and price_now is not None and self._beyond(state.level, price_now):
            leg.out = True
        kind, price, trigger = self.shape(leg)
        if intent.by_gtt and kind.has_trigger and not leg.gtt_was_refused:
            own = by_gtt.gtt_id(intent.plan_id, number + 1, leg.next_number)
            return by_gtt.intent_of(intent, own, f"plan {intent.plan_id}", self._gtt_legs(leg, quantity))
        return PlanOrderIntent(
            account=intent.account,
            mode=intent.mode,
            plan_id=intent.plan_id,
            client_order_id=exit_id(intent.plan_id, number + 1, leg.next_number),
            strategy=intent.strategy,
            reason=f"plan {intent.plan_id}: {state.why}" if state.why else f"plan {intent.plan_id}",
            symbol=intent.symbol,
            side=intent.exit_side,
            quantity=quantity,
            order_type=kind,
            price=price,
            trigger_price=trigger,
            product=intent.product,
            tags=intent.tags,
        )

    def change(self, leg: LegState, live: Child, quantity: int) -> Amendment | None:
        """What is to be changed of a working exit: all its terms, or nothing. One that has met its trigger keeps it."""
        kind, price, trigger = self.shape(leg)
        order = live.order
        stands = (order.quantity, order.order_type, order.price, order.trigger_price)
        if stands == (quantity, kind, price, trigger) and not live.other_leg:
            return None
        return Amendment(quantity=quantity, order_type=kind, price=price, trigger_price=trigger)

    def change_of_gtt(self, leg: LegState, child: Child, quantity: int) -> GttChange:
        own = {"account": self._state.intent.account, "gtt_id": child.client_order_id}
        return GttChange(**own, legs=tuple(self._gtt_legs(leg, quantity)))

    def gtt_again(self, leg: LegState, child: Child) -> GttIntent:
        """What was asked for, of one of which nobody knows yet."""
        legs = self._gtt_legs(leg, child.order.quantity)
        return by_gtt.intent_of(self._state.intent, child.client_order_id, child.order.reason, legs)

    def _gtt_legs(self, leg: LegState, quantity: int) -> list[GttLeg]:
        stop, level = self._state.stop, self._state.level
        if stop is None or level is None:
            raise ValueError("a GTT keeps a stop, and the plan has none")
        _, limit, trigger = self._as_stop(stop, level)
        if limit is None or trigger is None:
            raise ValueError("a GTT places LIMIT orders, and the stop has no limit")
        return by_gtt.legs_of(quantity, (trigger, limit), leg.target)

    # Which prices matter.

    def band(self) -> tuple[Decimal | None, Decimal | None]:
        """A price at or beyond one of the two, the lower and the higher, is to be told."""
        state = self._state
        if state.entered == 0 or state.is_leaving or state.held <= 0:
            return None, None
        worse: list[Decimal] = []
        better: list[Decimal] = []
        for number, leg in enumerate(state.legs):
            if leg.out or (leg.live is None and state.room(number) <= 0):
                continue
            self._mind(leg, worse, better)
        self._mind_the_trail(better)
        nearest_worse = max(worse, key=self._rank, default=None)
        nearest_better = min(better, key=self._rank, default=None)
        return (nearest_worse, nearest_better) if self._sign > 0 else (nearest_better, nearest_worse)

    def _rank(self, price: Decimal) -> Decimal:
        return price * self._sign

    def _mind(self, leg: LegState, worse: list[Decimal], better: list[Decimal]) -> None:
        level, live = self._state.level, leg.live
        if level is None:
            return
        if live is None:  # its next exit has to know whether the price is beyond the stop by then
            worse.append(level)
            return
        order = live.order
        stands = order.order_type.has_trigger and order.trigger_price == level
        if not stands:
            worse.append(level)
        elif live.is_gtt:
            worse.append(level)  # then the broker places its order, which is looked for
        elif order.price is not None and leg.passed_since is None:
            worse.append(order.price - self._sign * (self._state.tick_size or Decimal("0.01")))
        if leg.target is None:
            return
        if leg.taking_since is None:
            better.append(leg.target)
        else:
            worse.append((leg.target + level) / 2)

    def _mind_the_trail(self, better: list[Decimal]) -> None:
        state, stop = self._state, self._state.stop
        if stop is None or state.level is None:
            return
        if stop.trail is not None:
            step = max(stop.trail / TRAIL_STEPS, state.tick_size or Decimal(0))
            better.append(state.level + self._sign * (stop.trail + step))
        if stop.break_even is not None and (state.best is None or not self._beyond(state.best, stop.break_even)):
            better.append(stop.break_even)
