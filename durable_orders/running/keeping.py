"""What a strategy keeps in the ledger, written after a callback together with what that asked for.

A run that dies before all of it was done leaves it behind; the next one does it first, under the same ids, so nothing
is placed twice. What would be too late by then is entered and refused as such, so that the strategy hears of it.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from durable_orders.orders import Orders
from durable_orders.retrying import retry_unreachable
from durable_orders.running.desk import Amend, CancelPlan, ChangePlan, Close, RunDesk
from durable_orders.trading.errors import DuplicateOrder
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.reading import fingerprint_of
from durable_orders.trading.ledger.strategy_states import Kept, KeptChange, KeptOrders, keep, kept_of
from durable_orders.trading.orders.order import OrderIntent
from durable_orders.trading.plans.kinds import AnyIntent
from durable_orders.trading.strategies.state import State
from durable_orders.trading.strategies.timers import Timers


class Keeping:
    """One strategy's."""

    def __init__(self, orders: Orders, strategy: str, *, waits: bool) -> None:
        """`waits`: what an earlier run has asked for is at the exchange before the strategy begins."""
        self._orders = orders
        self._account = orders.settings.account
        self._strategy = strategy
        self._waits = waits
        self._written: tuple[object, ...] | None = None
        """What the row says, once this run has written it: one of another run's, or of another day, never matches."""
        self._kept: Kept | None = None
        self.timers, self.state = Timers(), State()
        self.told = 0
        """The last event of which the strategy has heard."""
        self.told_of_plans: Callable[[], dict[str, str]] = dict
        """How the plans stood of which it has heard."""
        self.notes: list[str] = []
        """What came to nothing, in words."""

    async def find(self) -> None:
        """What an earlier run has left; the orders that it asked for are placed when this returns. Of what became of
        the strategy's orders the strategy is told, if it is of the same day."""
        kept = await self._orders.read(lambda connection: kept_of(connection, self._account, self._strategy))
        self.told = await self._orders.read(lambda connection: newest_id(connection, self._account))
        if kept is None:
            return
        if kept.asked.told is not None and self._is_of_today(kept.updated_at):
            self.told = kept.asked.told
        self._kept = kept
        self.timers, self.state = Timers(json.loads(kept.called)), State(kept.state)
        for intent in kept.asked.placed:
            await self._place(intent, kept.updated_at)

    def ask_again(self, desk: RunDesk) -> None:
        """Ask for the cancels and closes of then: they take no risk, and change nothing where they were done. A change
        of an order is asked for again as long as an order at the market would still be sent."""
        if self._kept is None or not self._is_of_today(self._kept.updated_at):
            return
        known = {order.client_order_id: order for order in desk.open_orders()}
        for kept in self._kept.asked.changed:
            order = known.get(kept.client_order_id)
            if order is not None and not kept.change.is_in(order):
                self._change_again(desk, kept)
        for own in self._kept.asked.cancelled:
            if own in known:
                desk.cancel(own)
        self._ask_of_plans_again(desk, self._kept.asked)
        for each in self._kept.asked.closed:
            desk.ask(Close(each.symbol, each.product, each.reason))

    def _ask_of_plans_again(self, desk: RunDesk, asked: KeptOrders) -> None:
        still_open = {view.plan_id for view in desk.plans()} | {intent.plan_id for intent in asked.plans}
        for changed in asked.plans_changed:
            if changed.plan_id in still_open:
                desk.ask(ChangePlan(changed.plan_id, changed.change))
        for each in asked.plans_cancelled:
            if each.plan_id in still_open:
                desk.ask(CancelPlan(each.plan_id, each.reason, each.flatten))

    def plans_asked(self) -> list[AnyIntent]:
        """Those that an earlier run was to start and may not have; one of another day is refused as too late."""
        if self._kept is None:
            return []
        kept = self._kept
        if self._is_of_today(kept.updated_at):
            return list(kept.asked.plans)
        return [intent.model_copy(update={"enter_by": kept.updated_at}) for intent in kept.asked.plans]

    @property
    def plans_told(self) -> dict[str, str]:
        """How an earlier run has told of the plans that were open then."""
        return dict(self._kept.asked.plans_told) if self._kept is not None else {}

    def _change_again(self, desk: RunDesk, kept: KeptChange) -> None:
        asked_at = self._kept.updated_at if self._kept is not None else datetime.now(UTC)
        if datetime.now(UTC) - asked_at <= timedelta(seconds=self._orders.settings.placing.market_deadline):
            desk.ask(Amend(kept.client_order_id, kept.change))
        else:
            at = f"{asked_at.astimezone(IST):%H:%M:%S}"
            self.notes.append(f"not changed: {kept.client_order_id} ({kept.change.summary()}), asked for at {at}")

    async def keep(self, desk: RunDesk) -> None:
        """Write what stands otherwise than it was last written."""
        called = json.dumps(desk.timers.called, sort_keys=True)
        told = self.told_of_plans()
        now = desk.state.kept, called, self.told, desk.to_do, tuple(told.items())
        if now == self._written:
            return
        at = datetime.now(UTC)
        asked = desk.kept_asked(at).model_copy(update={"told": self.told, "plans_told": told})
        kept = Kept(desk.state.kept, called, asked, at)
        await asyncio.to_thread(self._write, kept)
        self._written = now

    def _write(self, kept: Kept) -> None:
        with self._orders.database.write(self._account) as connection:
            keep(connection, self._account, self._strategy, kept)

    async def _place(self, intent: OrderIntent, asked_at: datetime) -> None:
        if await self._orders.read(lambda connection: fingerprint_of(connection, intent.order_id)) is not None:
            return
        if not self._is_of_today(asked_at):
            intent = intent.model_copy(update={"place_by": asked_at})
        try:
            handle = await retry_unreachable(lambda: self._orders.place(intent))
        except DuplicateOrder as error:
            self.notes.append(str(error))
            return
        if self._waits:
            await handle.placed()

    def _is_of_today(self, at: datetime) -> bool:
        return start_of_day(at) == start_of_day(datetime.now(UTC))
