"""Baskets and schedules in a backtest: what is asked and judged of one, and how what it is not to keep is closed."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from durable_orders.trading.flatten.lines import closing_of_line, line_of, terms_of_line
from durable_orders.trading.guardian import together
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import PlanOrderIntent, Side
from durable_orders.trading.orders.verdict import Refusal
from durable_orders.trading.plans import claims
from durable_orders.trading.plans.actions import CloseLine
from durable_orders.trading.plans.line import QUOTED, LineTerms
from durable_orders.trading.plans.news import LineClosing
from durable_orders.trading.plans.pieces import LinesState
from durable_orders.trading.plans.schedule import drawn_by

if TYPE_CHECKING:
    from durable_orders.trading.backtest.core import Core


class Lines:
    """Those of one account. A `together.Known`."""

    def __init__(self, core: "Core") -> None:
        self._core = core

    def problems(self, state: LinesState) -> tuple[str, ...]:
        """Everything against a plan as a whole, each as a field and a rule."""
        core, drawn = self._core, drawn_by(state.intent)
        return tuple(dict.fromkeys(together.problems(state, self, core.limits, core.sessions, drawn)))

    @property
    def now(self) -> datetime:
        return self._core.now

    def instrument(self, symbol: str) -> Instrument | None:
        return self._core.instruments().get(symbol)

    def terms_of(self, symbol: str, side: Side, quantity: int) -> LineTerms:
        instrument, tick = self.instrument(symbol), self._tick_of_now(symbol)
        return terms_of_line(symbol, side, quantity, instrument, tick, self._core.limits, self._today)

    def judge_together(self, orders: Sequence[PlanOrderIntent]) -> list[tuple[Refusal, ...]]:
        return self._core.guard.judge_together(orders, self.now)

    def market_ahead(self, order: PlanOrderIntent) -> timedelta | None:
        return timedelta(0)

    def prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """The last prices, in rupees, of those that have one of now."""
        found = {symbol: self._tick_of_now(symbol) for symbol in symbols}
        return {symbol: tick.last_price for symbol, tick in found.items() if tick is not None}

    def close(self, books: claims.Books, state: LinesState, asked: CloseLine) -> LineClosing:
        """What there still is of something that a plan is not to keep, and the orders that close it."""
        line = line_of(state, asked.symbol, asked.product, asked.quantity)
        ours = self._core.guard.holdings.position(asked.symbol, asked.product).quantity
        left = abs(asked.quantity)
        left -= claims.closed_of_line(books, line, left, ours, state.created_at)
        instrument, limits = self.instrument(asked.symbol), self._core.limits
        return closing_of_line(state, line, left, asked.number, (ours, ours), limits, instrument, self._today)

    @property
    def _today(self) -> date:
        return self.now.date()

    def _tick_of_now(self, symbol: str) -> Tick | None:
        last = self._core.exchange.last(symbol)
        return last.offer.tick if last is not None and self.now - last.at <= QUOTED else None
