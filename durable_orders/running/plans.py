"""The plans of a strategy that runs: started, brought to the market's time where that waits, and told of.

A plan goes on whatever becomes of the run. At a market that waits for the strategy it does so at the market's time: it
is brought to each moment that concerns it, and has done all that it had to do before the market goes on. So the same
plan on the same ticks comes to the same as in a backtest.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256

import sqlalchemy as sa

from durable_orders.orders import Orders
from durable_orders.plans import Plans
from durable_orders.retrying import retry_unreachable
from durable_orders.running.desk import RunDesk
from durable_orders.trading.errors import DurableOrdersError, OrderNotFound
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.plans import stored_view, views_of_strategy
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Product
from durable_orders.trading.plans.kinds import AnyIntent, closes_by_itself, concerns
from durable_orders.trading.plans.pacing import Pace, Paced
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.trading.plans.schedule import SCHEDULES
from durable_orders.trading.plans.state import FRESH, PlanView
from durable_orders.trading.strategies.desk import numbered_plan
from durable_orders.trading.strategies.timers import AT_ONCE, NEVER

MOST_ROUNDS = 4
"""In which plans are brought to one moment: each may record what concerns another. What is left waits for the next."""

ANY = Decimal("Infinity")


class RunPlans:
    """Those of one strategy."""

    def __init__(self, orders: Orders, strategy: str, *, waits: bool) -> None:
        """`waits` is whether the market does."""
        self._orders = orders
        self._account = orders.settings.account
        self._strategy = strategy
        self._waits = waits
        self._plans = Plans(orders)
        self._open: dict[str, Paced | None] = {}
        """Oldest first; where the market waits, with what concerns each."""
        self._paced_to = 0
        """The last event of the feed that they have taken in."""
        self._changed = False
        """Whether any may stand differently than it was told."""
        self.told: dict[str, str] = {}
        """How each stood when the strategy was told of it, as a digest: of those that had not ended."""

    @property
    def open_ids(self) -> Collection[str]:
        return self._open.keys()

    async def find(self, told: Mapping[str, str], unrecorded: Iterable[str] = ()) -> None:
        """Those that an earlier run has left. `told` is how they stood when that told of them; `unrecorded` are those
        that it has started and the ledger does not have yet."""
        found = await self._orders.read(lambda c: views_of_strategy(c, self._account, self._strategy, open_only=True))
        self._open = {view.plan_id: None for view in found}
        self._open |= dict.fromkeys(unrecorded)
        self.told = dict.fromkeys(unrecorded, "") | dict(told)
        self._changed = bool(self._open or self.told)

    async def unrecorded_after(self, number: int) -> list[str]:
        """Plans that are numbered on from there, and that only the server has: started, and not recorded before the
        earlier run was killed. Raises `ServerUnreachable`."""
        found = list[str]()
        with suppress(OrderNotFound):
            while True:
                plan_id = numbered_plan(self._strategy, number + len(found) + 1)
                await self._plans.show(plan_id)
                found.append(plan_id)
        return found

    async def start(self, desk: RunDesk, intent: AnyIntent) -> None:
        """Durable when this returns. Raises `DuplicateOrder`."""
        at = desk.market_time if self._waits else None
        await retry_unreachable(lambda: self._plans.begin(intent, at))
        self._open[intent.plan_id] = None
        self.told.setdefault(intent.plan_id, "")  # the next run is to tell of it, even if it is over by then
        self._changed = True
        await self._bring(desk, intent.plan_id)

    async def cancel(self, desk: RunDesk, plan_id: str, reason: str, *, flatten: bool) -> None:
        await retry_unreachable(lambda: self._plans.ask_to_cancel(plan_id, reason, flatten=flatten))
        self._changed = True
        await self._bring(desk, plan_id)

    async def amend(self, desk: RunDesk, plan_id: str, change: PlanChange, timeout: float) -> None:
        """Raises `InvalidOrder`, `UnknownError`, `OrderNotFound`."""
        await self._plans.amend(plan_id, change, timeout)
        self._changed = True
        await self._bring(desk, plan_id)

    async def close_out(
        self, desk: RunDesk, symbol: str | None, products: tuple[Product, ...], reason: str, timeout: float
    ) -> list[str]:
        """Have the open plans in a symbol, or all, close what they hold. Gives what is not known to be done."""
        problems = []
        try:
            views = await self.open_views()
        except DurableOrdersError as error:
            return [f"plans of the strategy may still hold something, or begin: {error}"]
        for view in views:
            intent = await self._intent_of(view.plan_id)
            if intent is not None and not concerns(intent, symbol, products):
                continue
            flatten = intent is None or closes_by_itself(intent)
            try:
                if self._waits:
                    await self.cancel(desk, view.plan_id, reason, flatten=flatten)
                else:
                    await self._plans.cancel(view.plan_id, reason, flatten=flatten, timeout=timeout)
                    self._changed = True
            except DurableOrdersError as error:
                problems.append(f"plan {view.plan_id} may still hold something: {error}")
        return problems

    async def let_go(self, reason: str) -> list[str]:
        """Have those end that hold nothing, and schedules; the others go on, with their stops, and baskets until they
        have all of their legs or none. Gives what there is to say of them."""
        words = []
        try:
            views = await self.open_views()
        except DurableOrdersError as error:
            return [f"plans of the strategy go on, it is not known which: {error}"]
        for view in views:
            if view.holdings and view.kind not in SCHEDULES:
                stop = "" if view.stop is None else f", stop at {view.stop}"
                held = ", ".join(f"{abs(each.quantity)} of {each.symbol}" for each in view.holdings)
                words.append(f"plan {view.plan_id} goes on: {held} held{stop}")
                continue
            try:
                await self._plans.ask_to_cancel(view.plan_id, reason, flatten=False)
            except DurableOrdersError as error:
                words.append(f"plan {view.plan_id} is not known to be cancelled: {error}")
        return words

    async def open_views(self) -> list[PlanView]:
        """How those stand that are open: as is recorded, or by the workflow of one that was started a moment ago.
        Raises `OrderNotFound`, `ServerUnreachable`."""
        views = await self._views()
        for plan_id in self._open.keys() - {view.plan_id for view in views}:
            views.append(await retry_unreachable(partial(self._plans.show, plan_id)))
        return [view for view in views if not view.status.terminal]

    def look_ahead(self, at: datetime) -> bool:
        """Whether ticks from that moment on concern none of them by their time; what prices do, `concerns` says."""
        return not self._changed and all(
            paced is not None and (paced.due is None or at < paced.due) for paced in self._open.values()
        )

    def reached(self) -> "Reached":
        """What concerns any of them, as they stand."""
        return Reached(self._open.values())

    async def bring(self, desk: RunDesk) -> bool:
        """Where the market waits: bring those to its time that it concerns. Gives whether there were any."""
        at = desk.market_time
        if not (self._waits and self._open and at is not None):
            return False
        brought = False
        for number in range(MOST_ROUNDS):
            newest = await self._orders.read(lambda connection: newest_id(connection, self._account))
            is_news = newest != self._paced_to
            found = [
                plan_id
                for plan_id, paced in self._open.items()
                if is_news
                or (number == 0 and Reached([paced]).by(at, desk.seen.get(paced.view.symbol) if paced else None))
            ]
            for plan_id in found:
                await self._bring(desk, plan_id)
            self._paced_to = newest  # and not the newest of now: what was recorded meanwhile some may not know
            brought = brought or bool(found)
            if not found:
                break
        return brought

    def next_before(self, until: datetime, session: Session) -> datetime | None:
        """The next moment before then at which time alone has one of them do something."""
        end = min(until, session.closes)
        due = (paced.due for paced in self._open.values() if paced is not None and paced.due is not None)
        return min((moment for moment in due if moment < end), default=None)

    async def news(self) -> list[PlanView]:
        """Those that stand differently than they were told, oldest first. `tell` says of each that it is told now."""
        if not self._changed and (self._waits or not self._open):
            return []
        self._changed = False
        found = []
        for view in await self._views():
            if self.told.get(view.plan_id) != _digest(view):
                found.append(view)
            elif view.status.terminal:
                self.tell(view)
        return found

    def tell(self, view: PlanView) -> None:
        """The strategy hears of this now: that it did is kept with what it asks for then."""
        if view.status.terminal:
            self._open.pop(view.plan_id, None)
            self.told.pop(view.plan_id, None)
        else:
            self.told[view.plan_id] = _digest(view)

    async def _views(self) -> list[PlanView]:
        """Of all that are open, or were when they were told."""
        wanted = list(dict.fromkeys((*self._open, *self.told)))

        def ask(connection: sa.Connection) -> list[PlanView]:
            found = (stored_view(connection, self._account, plan_id) for plan_id in wanted)
            return [view for view in found if view is not None]

        return await self._orders.read(ask)

    async def _intent_of(self, plan_id: str) -> AnyIntent | None:
        """`None` of one that is not recorded yet."""
        try:
            return await self._plans.intent(plan_id)
        except OrderNotFound:
            return None

    async def _bring(self, desk: RunDesk, plan_id: str) -> None:
        at = desk.market_time
        if not self._waits or at is None or plan_id not in self._open:
            return
        tick = desk.seen.get(await self._symbol_of(plan_id))
        price = tick.last_price if tick is not None and at - tick.at <= FRESH else None
        self._open[plan_id] = await retry_unreachable(lambda: self._plans.pace(plan_id, Pace(at=at, price=price)))
        self._changed = True

    async def _symbol_of(self, plan_id: str) -> str:
        paced = self._open[plan_id]
        return paced.view.symbol if paced is not None else (await self._plans.show(plan_id)).symbol


class Reached:
    """Whether some plans have to be brought to a moment, or to a tick of then: one comparison for all of them."""

    def __init__(self, plans: Iterable[Paced | None]) -> None:
        self._due = NEVER
        self._bands: dict[str, tuple[Decimal, Decimal]] = {}
        for paced in plans:
            if paced is None:
                self._due = AT_ONCE
                continue
            if paced.due is not None:
                self._due = min(self._due, paced.due.astimezone(IST))
            below, above = self._bands.get(paced.view.symbol, (-ANY, ANY))
            below = below if paced.below is None else max(below, paced.below)
            above = above if paced.above is None else min(above, paced.above)
            self._bands[paced.view.symbol] = below, above

    def by(self, at: datetime, tick: Tick | None) -> bool:
        if at >= self._due:
            return True
        band = self._bands.get(tick.symbol) if tick is not None and tick.at == at else None
        return band is not None and tick is not None and not band[0] < tick.last_price < band[1]


def _digest(view: PlanView) -> str:
    return sha256(view.model_dump_json().encode()).hexdigest()[:16]
