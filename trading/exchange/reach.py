"""Which working orders a tick may trigger or fill: those whose price it reaches. All others stay as they are."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from durable_orders.trading.config.fill_models import FillModels
from durable_orders.trading.exchange.fill_models import BUY, marketable_bound, worst_met
from durable_orders.trading.exchange.orders import ExchangeOrder
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import PRICE_PLACES, Side


@dataclass(frozen=True, slots=True)
class Reach:
    """Of one tick: the worst prices that it reaches, in rupees, to four places. `None` reaches nothing."""

    limit_of: dict[Side, Decimal | None]
    """The lowest limit of a BUY that it may fill, the highest of a SELL."""
    trigger_of: dict[Side, Decimal]
    """The highest trigger of a BUY that it hits, the lowest of a SELL."""


def reach_of(tick: Tick, models: FillModels) -> Reach:
    last = tick.last_price
    down = last.quantize(PRICE_PLACES, rounding=ROUND_FLOOR)
    up = last.quantize(PRICE_PLACES, rounding=ROUND_CEILING)
    return Reach({side: marketable_bound(side, tick, models) for side in Side}, {Side.BUY: down, Side.SELL: up})


@dataclass(slots=True)
class _Nearest:
    """Of the orders of one symbol that work: the prices that are reached first."""

    at_market: bool = False
    limit_of: dict[Side, Decimal] = field(default_factory=dict)
    trigger_of: dict[Side, Decimal] = field(default_factory=dict)

    def add(self, order: ExchangeOrder) -> None:
        side, sign = order.side, order.side.sign
        if order.waits_for_trigger and order.trigger_price is not None:
            known = self.trigger_of.get(side, order.trigger_price)
            self.trigger_of[side] = min(known * sign, order.trigger_price * sign) * sign
        elif order.price is None:
            self.at_market = True
        else:
            known = self.limit_of.get(side, order.price)
            self.limit_of[side] = max(known * sign, order.price * sign) * sign

    def is_reached(self, tick: Tick, models: FillModels) -> bool:
        """Their prices have four places, so what a `Reach` rounds need not be."""
        if self.at_market:
            return True
        last = tick.last_price
        for side, trigger in self.trigger_of.items():
            if last >= trigger if side is BUY else last <= trigger:
                return True
        for side, limit in self.limit_of.items():
            met = worst_met(side, tick, models)
            if met is not None and (limit >= met if side is BUY else limit <= met):
                return True
        return False


class Waiting:
    """The orders of an account that work at one moment, as far as a tick may change them."""

    def __init__(self, orders: Iterable[ExchangeOrder], models: FillModels) -> None:
        self._models = models
        self._nearest: dict[str, _Nearest] = {}
        for order in orders:
            if order.at_exchange:
                self._nearest.setdefault(order.symbol, _Nearest()).add(order)

    def is_reached(self, tick: Tick) -> bool:
        """Whether the tick may trigger or fill any of them: of an order that stands in a queue, whether it may move."""
        nearest = self._nearest.get(tick.symbol)
        return nearest is not None and nearest.is_reached(tick, self._models)
