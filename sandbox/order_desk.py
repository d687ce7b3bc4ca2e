"""What becomes of an order request that got through: Kite's checks, the exchange, and the faults of single orders."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import ValidationError

from durable_orders.sandbox.book import OrderView
from durable_orders.sandbox.cover_orders import AT_MARKET, STOP_ALONE, due_stops, moves_only_the_stop
from durable_orders.sandbox.envelopes import KiteError, unknown_order, wrong_input
from durable_orders.sandbox.exchange import Exchange
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.sandbox.faults import Faults
from durable_orders.sandbox.iceberg import due_legs, first_leg
from durable_orders.sandbox.order_forms import Form, Placement, Variety, first_problem, read_modification
from durable_orders.sandbox.quotes import Quotes
from durable_orders.sandbox.rms import NO_MARKET, Rms
from durable_orders.sandbox.routes import Route
from durable_orders.sandbox.store import OrderDetails
from durable_orders.sandbox.tally import Tally
from durable_orders.trading.exchange.orders import KiteStatus, terms_of
from durable_orders.trading.exchange.protection import Protection, protection_of
from durable_orders.trading.market.rules import rules
from durable_orders.trading.orders.order import BrokerOrderId, OrderType, Terms

MARGIN_EXCEEDS = "RMS:Margin Exceeds,Required:1000000.00, Available:0.00"
SOMEBODY_ELSE = "RMS"
AT_EXCHANGE = (KiteStatus.OPEN, KiteStatus.TRIGGER_PENDING)


@dataclass(slots=True)
class OrderDesk:
    """Every method raises `KiteError` for what Kite refuses."""

    exchange: Exchange
    rms: Rms
    quotes: Quotes
    faults: Faults
    tally: Tally
    clock: Callable[[], datetime]
    tags_parts: bool = True
    """Whether legs and slices behind the first carry the user's tag."""
    _releases: dict[BrokerOrderId, datetime] = field(default_factory=dict)

    async def place(self, asked: Placement) -> BrokerOrderId:
        self.rms.check_placement(asked)
        if asked.terms.order_type is OrderType.MARKET and (
            refused := self.faults.take(FaultKind.MARKET_REFUSED, Route.PLACE)
        ):
            raise wrong_input(refused.message or NO_MARKET)
        if self.faults.take(FaultKind.FOREIGN_ORDER, Route.PLACE):
            lot = self.rms.instruments.get(asked.terms.symbol)
            await self.place_foreign(asked.terms.model_copy(update={"quantity": lot.lot_size if lot else 1}))
        return await self.send(first_leg(asked))

    async def place_foreign(self, terms: Terms) -> BrokerOrderId:
        """An order that did not come through the app: no tag, and no postbacks."""
        details = OrderDetails(placed_by=SOMEBODY_ELSE, by_app=False)
        order = await self.exchange.place(details, lambda desk: desk.receive(terms, None))
        self.tally.foreign.append(order)
        return order

    async def modify(self, variety: Variety, order: BrokerOrderId, form: Form) -> BrokerOrderId:
        view = self._found(variety, order)
        present = terms_of(view.row)
        asked = read_modification(form, present, view.details)
        if not moves_only_the_stop(view.details, asked.amendment):
            raise wrong_input(STOP_ALONE)
        try:
            self.rms.check_terms(asked.amendment.applied_to(present), disclosed=asked.details.disclosed_quantity)
        except ValidationError as error:
            raise wrong_input(first_problem(error)) from None
        return await self.exchange.modify(order, asked.amendment, asked.details)

    async def cancel(self, variety: Variety, order: BrokerOrderId) -> BrokerOrderId:
        """The request is taken; what it finds at the exchange is another matter."""
        view = self._found(variety, order)
        price = self._price(view)
        if price is not None and view.row.status in AT_EXCHANGE:
            remaining = view.row.quantity - view.row.filled_quantity
            with suppress(KiteError):  # it may have been filled while this was decided: then the exchange refuses
                if self.faults.take(FaultKind.FILL_DURING_CANCEL, Route.CANCEL):
                    return await self.exchange.trade(order, remaining, price)
                if remaining > 1 and self.faults.take(FaultKind.PARTIAL_THEN_CANCEL, Route.CANCEL):
                    await self.exchange.trade(order, remaining // 2, price)
        return await self.exchange.cancel(order)

    async def exit(self, variety: Variety, order: BrokerOrderId, parent: str) -> BrokerOrderId:
        """Close what a cover order holds: its stop, which names that parent, becomes a MARKET order (Kite staff)."""
        view = self._found(variety, order)
        if view.details.parent != parent or view.details.cover is None:
            raise wrong_input("Invalid `parent_order_id`.")
        return await self.exchange.modify(order, AT_MARKET, view.details)

    async def run_by_the_clock(self) -> None:
        """Release what was stuck long enough, cancel what outlived its minutes (validity TTL), and make the legs of
        iceberg and cover orders that are due."""
        now = self.clock()
        for order in [order for order, at in self._releases.items() if at <= now]:
            del self._releases[order]
            await _if_possible(self.exchange.release(order))
        for view in self.exchange.book.working_with_ttl():
            if view.row.placed_at + timedelta(minutes=view.details.validity_ttl or 0) <= now:
                await _if_possible(self.exchange.cancel(view.row.broker_order_id))
        for leg in list(due_legs(self.exchange.book.legs(), tagged=self.tags_parts)):
            await _if_possible(self.send(leg))
        for stop in list(due_stops(self.exchange.book.covers(), tagged=self.tags_parts)):
            await _if_possible(self.send(stop))

    async def send(self, asked: Placement) -> BrokerOrderId:
        """Past the checks. Who asks for several orders at once has them checked as one."""
        terms, tag, disclosed = asked.terms, asked.tag, asked.details.disclosed_quantity or None
        stuck = None
        if asked.variety is Variety.AMO:
            order = await self.exchange.place(asked.details, lambda desk: desk.queue(terms, tag, disclosed))
        elif message := self._late_rejection(terms):
            order = await self.exchange.place(asked.details, lambda desk: desk.reject(terms, tag, message))
        elif stuck := self.faults.take(FaultKind.STUCK_OPEN_PENDING, Route.PLACE):
            order = await self.exchange.place(asked.details, lambda desk: desk.hold(terms, tag, disclosed))
        else:
            protection = self._protection(asked)
            order = await self.exchange.place(
                asked.details, lambda desk: desk.receive(terms, tag, protection, disclosed)
            )
        self.tally.accept(tag, order)
        if stuck is not None:
            self._releases[order] = self._in(stuck.lasts)
        if hidden := self.faults.take(FaultKind.ORDER_HIDDEN, Route.PLACE):
            self.exchange.book.hide(order, self._in(hidden.lasts))
        return order

    def _protection(self, asked: Placement) -> Protection | None:
        if asked.terms.order_type is not OrderType.MARKET:
            return None
        rule, day = rules().market_protection, self.exchange.day
        moved = self.faults.take(FaultKind.MARKET_RESTS, Route.PLACE) is not None
        if not moved and (day is None or day < rule.since):
            return None
        return protection_of(asked.details.market_protection, price_moved=moved)

    def _in(self, seconds: float) -> datetime:
        return self.clock() + timedelta(seconds=seconds)

    def _late_rejection(self, terms: Terms) -> str | None:
        if rule := self.faults.take(FaultKind.REJECTED_LATER, Route.PLACE):
            return rule.message or MARGIN_EXCEEDS
        return self.rms.late_rejection(terms)

    def _found(self, variety: Variety, order: BrokerOrderId) -> OrderView:
        view = self.exchange.book.seen(order, self.clock())
        if view is None:
            raise unknown_order()
        if view.details.variety != variety:
            raise wrong_input(f"Invalid `variety`: the order is {view.details.variety}.")
        return view

    def _price(self, view: OrderView) -> Decimal | None:
        """Rupees at which somebody would take it: its limit, its trigger, else the last price."""
        return view.row.price or view.row.trigger_price or self.quotes.last_price(view.row.symbol)


async def _if_possible(command: Awaitable[BrokerOrderId]) -> None:
    """The order may have ended meanwhile."""
    with suppress(KiteError):
        await command
