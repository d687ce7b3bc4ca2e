"""The GTTs of the account: Kite's checks, and the orders that they place when the market reaches a trigger.

A trigger is good for one order, whatever becomes of it (Zerodha support, what is the GTT feature).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from durable_orders.sandbox.envelopes import KiteError, wrong_input
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.sandbox.faults import Faults
from durable_orders.sandbox.gtt_triggers import Gtt, GttRequest, GttResult, GttStatus
from durable_orders.sandbox.order_desk import OrderDesk
from durable_orders.sandbox.order_forms import Placement, Variety
from durable_orders.sandbox.routes import Route
from durable_orders.sandbox.store import OrderDetails, Store
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instruments import SHARES, Instrument
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Product, Side

FIRST_ID = 112127
YEAR = timedelta(days=365)
"""Zerodha support, validity of a GTT order; a contract's ends with the contract."""
SHOWN = timedelta(days=7)
"""How long the list shows one that is not active any more (Kite documentation, retrieving triggers)."""
MOST_ACTIVE = 250
"""In an account (Zerodha support, sell GTT orders)."""
EXCHANGES = (*SHARES, "NFO", "BFO")
"""Not for currencies and commodities (Zerodha support, GTT in futures and options)."""
LOW_PRICE, CLOSEST_PAISE, CLOSEST_PERCENT = Decimal(50), Decimal("0.09"), Decimal("0.25")
"""How far a trigger must be from the last price: so many rupees up to that price, so many percent above (Zerodha
support, buy GTT orders)."""
CLOSE = time(15, 30)


@dataclass(slots=True)
class GttDesk:
    """Commands raise `KiteError` for what Kite refuses. To be used from one event loop."""

    user_id: str
    desk: OrderDesk
    store: Store
    faults: Faults
    clock: Callable[[], datetime]
    _gtts: dict[int, Gtt] = field(default_factory=dict)

    def start(self) -> None:
        """Read what an earlier run has left."""
        for text in self.store.gtts():
            gtt = Gtt.model_validate_json(text)
            self._gtts[gtt.id] = gtt

    def place(self, asked: GttRequest) -> int:
        instrument = self._check(asked)
        if sum(gtt.status is GttStatus.ACTIVE for gtt in self._gtts.values()) >= MOST_ACTIVE:
            raise wrong_input(f"You can have at most {MOST_ACTIVE} active GTTs.")
        now = self.clock()
        hidden = self.faults.take(FaultKind.GTT_HIDDEN, Route.GTT_PLACE)
        gtt = Gtt(
            id=max(self._gtts, default=FIRST_ID - 1) + 1,
            asked=asked,
            created_at=now,
            updated_at=now,
            expires_at=_expires(instrument, now),
            hidden_until=now + timedelta(seconds=hidden.lasts) if hidden else None,
        )
        self._keep(gtt)
        return gtt.id

    def modify(self, number: int, asked: GttRequest) -> int:
        """The whole of it is said anew."""
        gtt = self._of(number)
        gtt.must_be_active()
        if asked.symbol != gtt.asked.symbol or asked.type is not gtt.asked.type:
            raise wrong_input("The instrument and the type of a GTT cannot be modified.")
        self._check(asked)
        self._keep(gtt.model_copy(update={"asked": asked, "updated_at": self.clock()}))
        return number

    def delete(self, number: int) -> int:
        gtt = self._of(number)
        gtt.must_be_active()
        self.end(number, GttStatus.DELETED)
        return number

    def end(self, number: int, status: GttStatus) -> None:
        """As Kite's own system does it, or the user."""
        self._keep(self._of(number).ended(status, self.clock()))

    def one(self, number: int) -> Gtt:
        """Of any age and status, unless it is hidden."""
        gtt = self._of(number)
        if not self._is_shown(gtt):
            raise _unknown()
        return gtt

    def listed(self) -> Sequence[Gtt]:
        """Those that are active, and the others of the last days."""
        since = self.clock() - SHOWN
        return [
            gtt
            for gtt in self._gtts.values()
            if self._is_shown(gtt) and (gtt.status is GttStatus.ACTIVE or gtt.updated_at >= since)
        ]

    async def follow(self, tick: Tick) -> None:
        """Place the order of each GTT that the tick triggers. `triggered` is told before the order is known."""
        for gtt in list(self._gtts.values()):
            if gtt.status is not GttStatus.ACTIVE or gtt.asked.symbol != tick.symbol:
                continue
            if (number := gtt.asked.reached(tick.last_price)) is not None:
                self._keep(gtt.ended(GttStatus.TRIGGERED, self.clock()))
                await self._trigger(gtt.id, number, tick.last_price)

    def turn_day(self, day: date) -> None:
        """What has outlived its time expires."""
        for gtt in list(self._gtts.values()):
            if gtt.status is GttStatus.ACTIVE and gtt.expires_at.astimezone(IST).date() < day:
                self.end(gtt.id, GttStatus.EXPIRED)

    async def _trigger(self, number: int, leg: int, price: Decimal) -> None:
        gtt = self._gtts[number]
        details = OrderDetails(placed_by=self.user_id, by_app=False)
        result = GttResult(at=self.clock(), triggered_at=price)
        try:
            terms = gtt.asked.legs[leg].terms(gtt.asked.symbol)
            order = await self.desk.place(Placement(Variety.REGULAR, terms, None, details))
            result = result.model_copy(update={"order_id": order})
        except KiteError as refused:
            result = result.model_copy(update={"rejection_reason": refused.message})
        self._keep(self._gtts[number].with_result(leg, result))

    def _check(self, asked: GttRequest) -> Instrument:
        """Of its orders only the instrument, the lot and the tick are looked at: the rest is checked when one is
        placed."""
        for leg in asked.legs:
            instrument = self.desk.rms.check_steps(leg.terms(asked.symbol))
            if leg.trigger % instrument.tick_size:
                raise wrong_input("The trigger price must be a multiple of the tick size.")
            self._suits(asked, leg.product, leg.side, instrument)
        last = self.desk.quotes.last_price(asked.symbol) or asked.last_price
        if asked.reached(last) is not None:
            raise wrong_input("Trigger condition is already met.")
        closest = CLOSEST_PAISE if last <= LOW_PRICE else last * CLOSEST_PERCENT / 100
        if any(abs(leg.trigger - last) < closest for leg in asked.legs):
            raise wrong_input(f"Trigger must be at least {closest:.2f} away from the last price of {last}.")
        return instrument

    def _suits(self, asked: GttRequest, product: Product, side: Side, instrument: Instrument) -> None:
        is_share = instrument.exchange in SHARES
        if instrument.exchange not in EXCHANGES:
            raise wrong_input(f"GTT is not available on {instrument.exchange}.")
        if product not in ((Product.CNC, Product.MTF) if is_share else (Product.NRML,)):
            raise wrong_input(f"Product {product} is not allowed for GTT on {instrument.exchange}.")
        if is_share and side is Side.BUY and len(asked.legs) == 2:
            raise wrong_input("A two-leg GTT to buy is allowed in futures and options only.")

    def _is_shown(self, gtt: Gtt) -> bool:
        return gtt.hidden_until is None or gtt.hidden_until <= self.clock()

    def _of(self, number: int) -> Gtt:
        if (gtt := self._gtts.get(number)) is None:
            raise _unknown()
        return gtt

    def _keep(self, gtt: Gtt) -> None:
        self._gtts[gtt.id] = gtt
        self.store.keep_gtt(gtt.id, gtt.model_dump_json())


def _unknown() -> KiteError:
    """Kite's words for it are not established."""
    return wrong_input("Trigger not found.")


def _expires(instrument: Instrument, now: datetime) -> datetime:
    last = now + YEAR
    if instrument.expiry is None:
        return last
    ends = datetime.combine(instrument.expiry, CLOSE, IST)
    return min(ends, last) if ends > now else last
