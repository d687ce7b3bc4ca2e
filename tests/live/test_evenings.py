"""A week against the sandbox's own accounts: each evening nothing differs, and exactly what was falsified is found.

Server, workers, Kite's client over HTTP, ledger and evening are the real ones; the wall's clock of this process goes
from day to day, by the calendar of NSE.
"""

import asyncio
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect
from temporalio import workflow

from chaos.account import log_in
from chaos.venue import INFY, SBIN, FaultKind
from durable_orders.activities import day_close, kite_stream, live_prices
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.broker_positions import last_reading
from durable_orders.trading.ledger.certificates import broken_certificates, certificates_of
from durable_orders.trading.orders.order import Order, OrderType, Product, Side, Status, Terms
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from durable_orders.workers import components
from tests.live.conftest import Desks
from tests.live.desk import FAR, LAST, Desk, eventually
from tests.live.test_external_orders import adopted, position

USED_BY_THE_WORKER = (kite_stream, live_prices)
"""Loaded when a live account is built: they are to have the week's clock, too."""
MONDAY = date(2026, 1, 5)
INDEX, FUTURE, CALL = "NSE:NIFTY 50", "NFO:NIFTY26JANFUT", "NFO:NIFTY2610626000CE"
MASTER = """instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
instrument_type,segment,exchange
256265,1,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
2050,8,NIFTY26JANFUT,NIFTY,0,2026-01-27,0,0.1,65,FUT,NFO-FUT,NFO
2306,9,NIFTY2610626000CE,NIFTY,0,2026-01-06,26000,0.05,65,CE,NFO-OPT,NFO
408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
779521,3045,SBIN,SBIN,0,,0,0.05,1,EQ,NSE,NSE
"""
PRICES = {INFY: LAST, SBIN: Decimal(810), FUTURE: Decimal(26050), CALL: Decimal(45), INDEX: Decimal(25900)}
MIS, CNC, NRML = Product.MIS, Product.CNC, Product.NRML
Found = list[tuple[str, str]]
"""Of each difference its kind, and the order's own name or what it is about."""


class _AnyDatetime(type):
    def __instancecheck__(cls, each: object) -> bool:
        return isinstance(each, datetime)


class Wall(datetime, metaclass=_AnyDatetime):
    """`datetime`, whose `now` is the week's."""

    ahead = timedelta(0)
    """Of the machine's clock."""

    def __new__(cls, *args: Any, **named: Any) -> datetime:  # type: ignore[misc]
        return datetime(*args, **named)  # noqa: DTZ001

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + cls.ahead

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: Any) -> Any:
        return handler(datetime)


@pytest.fixture(autouse=True)
def _moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall's clock of whatever of ours has one, and the workflows' own."""
    for name, module in list(sys.modules.items()):
        is_ours = name.startswith("durable_orders.") or name == "tests.live.desk"
        if is_ours and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Wall)
    now, info = workflow.now, workflow.info

    def moved_info() -> workflow.Info:
        own = info()
        return replace(own, workflow_start_time=own.workflow_start_time + Wall.ahead)

    monkeypatch.setattr(workflow, "now", lambda: now() + Wall.ahead)
    monkeypatch.setattr(workflow, "info", moved_info)
    monkeypatch.setattr(day_close, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(day_close, "LOOKS", 2)
    monkeypatch.setattr(Wall, "ahead", timedelta(0))


def it_is(day: date, hour: int, minute: int) -> None:
    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST)
    Wall.ahead = moment - datetime.now(UTC)


@dataclass
class Week:
    desk: Desk
    day: date = MONDAY
    orders: dict[str, Order] = field(default_factory=dict)

    async def show(self, **moved: Decimal) -> None:
        for symbol, price in PRICES.items():
            await self.desk.venue.tick(moved.get(symbol.partition(":")[2], price), symbol)

    async def traded(self, name: str, side: Side, quantity: int, symbol: str = INFY, product: Product = MIS) -> Order:
        """A MARKET order, filled."""
        terms = {"client_order_id": name, "symbol": symbol, "side": side, "quantity": quantity, "product": product}
        order = await (await self.desk.place(OrderType.MARKET, **terms)).result()
        assert order.status is Status.FILLED, order.reasons
        self.orders[name] = order
        return order

    def order_id(self, name: str) -> str:
        own = self.orders[name].broker_order_id
        assert own is not None
        return own

    async def positions_are_read(self) -> None:
        """By the watch, from now on."""
        since, account = Wall.now(UTC), self.desk.settings.account

        async def read() -> bool:
            reading = await self.desk.orders.read(lambda ledger: last_reading(ledger, account))
            return reading is not None and reading.at > since

        await eventually(read, "the positions are read")

    async def end(self) -> None:
        """RMS squares off, and the session ends."""
        it_is(self.day, 15, 25)
        for order_id in (await self.desk.venue.ask("POST", "square-off"))["order_ids"]:
            await adopted(self.desk, ExternalKind.EXTERNAL, order_id, Status.FILLED)
        it_is(self.day, 15, 31)
        await self.desk.venue.ask("POST", "close-session")
        it_is(self.day, 16, 10)

    async def evening(self) -> Found:
        """What differs. In a thread: the sandbox is in this event loop."""
        closing = components.day_close_of(self.desk.home, self.desk.settings, self.desk.orders.database)
        found = (await asyncio.to_thread(closing.close))[0].differences
        return sorted((each.kind.value, (each.order_id or each.about).rpartition(":")[2]) for each in found)

    async def falsified(self, route: str, where: dict[str, Any], **what: Any) -> Found:
        await self.desk.venue.ask("POST", "falsified", {"route": route, "where": where, **what})
        try:
            return await self.evening()
        finally:
            await self.desk.venue.ask("DELETE", "falsified")

    async def next_day(self) -> None:
        """Nobody is logged in until the new session has begun."""
        await self.desk.venue.flush_tokens()
        self.day += timedelta(days=1)
        it_is(self.day, 10, 0)
        told = await self.desk.venue.ask("POST", "next-day")
        assert told["session"] == self.day.isoformat()
        await self.show()
        await log_in(self.desk.home)
        await self.positions_are_read()


@pytest.fixture
async def week(desks: Desks, tmp_path: Path) -> Week:
    it_is(MONDAY, 10, 0)
    (master := tmp_path / "master.csv").write_text(MASTER)
    market = {"calendar": "XNSE", "instruments": str(master)}
    by_hand = {"positions_window": 3600}  # the watch would settle the expiry by itself, as soon as it lasts
    desk = await desks(sandbox={"calendar": "XNSE", "instruments": master}, market=market, live=by_hand)
    found = Week(desk)
    await found.show()
    return found


async def test_each_evening_of_a_week_finds_what_was_falsified_and_nothing_else(week: Week) -> None:
    await monday(week)
    await tuesday(week)
    await wednesday(week)
    await thursday(week)
    await friday(week)
    account = week.desk.settings.account
    with week.desk.orders.database.read() as connection:
        made = certificates_of(connection, account)
        assert broken_certificates(connection, account) == {}
    of_days = {each.day: len(each.content["differences"]) for each in made}
    assert of_days == {MONDAY + timedelta(days=number): 0 for number in range(5)}, "the last one of each day"


async def monday(week: Week) -> None:
    """A lost answer, a plan, a part of an order, an order by hand, one that ends with the session, and RMS."""
    desk = week.desk
    await desk.venue.fault(FaultKind.ACCEPT_THEN_DROP)
    await week.traded("bought", Side.BUY, 10, product=CNC)
    await week.traded("sold", Side.SELL, 30)
    await week.traded("back", Side.BUY, 30)
    part = await desk.resting(client_order_id="part", product=MIS)
    await desk.venue.fill(desk.at_the_broker(part)[0].broker_order_id, 4, FAR)
    await desk.recorded(part, Status.PARTIAL)
    await part.cancel()
    await desk.recorded(part, Status.CANCELLED)
    await out_at_its_target(week)
    by_hand = await desk.venue.place_foreign(Terms(symbol=SBIN, side=Side.BUY, quantity=7, product=MIS))
    await adopted(desk, ExternalKind.EXTERNAL, by_hand, Status.FILLED)
    await week.traded("call", Side.BUY, 65, CALL, NRML)
    await week.traded("short", Side.SELL, 65, FUTURE, NRML)
    unfilled = await desk.resting(client_order_id="unfilled", product=CNC)
    await week.end()
    await desk.recorded(unfilled, Status.EXPIRED, Status.CANCELLED)
    assert await week.evening() == []

    trade = {"trade_id": week.orders["sold"].fills[0].trade_id, "order_id": week.order_id("sold")}
    assert await week.falsified("trades", trade, remove=True) == [("trade", "sold")]
    assert await week.falsified("trades", trade, change={"average_price": 1500.05}) == [("trade", "sold")]
    rounded = {"charges.transaction_tax": 11}
    sale = {"order_id": week.order_id("sold")}
    assert await week.falsified("contract_note", sale, change=rounded) == [("charge", "sold")]
    removed = await week.falsified("order_book", {"order_id": by_hand}, remove=True)
    assert removed == [("order", f"external-{by_hand}")]
    assert await week.evening() == []


async def out_at_its_target(week: Week) -> None:
    desk = week.desk
    content = {"account": desk.settings.account, "mode": "live", "plan_id": "p1", "symbol": INFY, "side": Side.BUY}
    exits = {"stop": {"trigger_price": "1450"}, "targets": ({"price": "1600"},)}
    entry = {"quantity": 10, "product": MIS, "entry": {"order_type": "LIMIT", "price": "1500"}}
    await desk.orders.start_plan(PlanIntent.model_validate(content | exits | entry))

    async def is_protected() -> bool:
        view = await desk.orders.plan("p1")
        return view.protected is True and view.held == 10

    async def is_over() -> bool:
        await desk.venue.tick(Decimal(1600))
        return (await desk.orders.plan("p1")).status.terminal

    await eventually(is_protected, "a stop at work")
    await eventually(is_over, "the target")
    await desk.venue.tick(LAST)


async def tuesday(week: Week) -> None:
    """The option ends worthless, and shares are converted: each is what differs, until somebody says so."""
    desk = week.desk
    await week.next_day()
    await week.traded("more", Side.BUY, 8)
    await convert(desk, 5)
    await week.end()
    expired = ("position", "NIFTY2610626000CE NRML")
    assert await week.evening() == [("holding", "INFY CNC"), ("position", "INFY MIS"), expired]
    await week.positions_are_read()
    await desk.orders.settle_position(INFY, MIS, -5, "by hand", kind="conversion", to_product=CNC)
    assert await week.evening() == [expired]
    await desk.orders.settle_position(CALL, NRML, -65, "the day's statement", kind="expiry", price=0)
    assert await week.evening() == []

    moved = {"tradingsymbol": "NIFTY26JANFUT"}
    assert await week.falsified("positions", moved, change={"quantity": -64}) == [("position", "NIFTY26JANFUT NRML")]
    assert await week.evening() == []


async def convert(desk: Desk, quantity: int) -> None:
    token = (await desk.venue.ask("POST", "login"))["access_token"]
    kite = KiteConnect(desk.venue.settings.api_key, token, root=desk.venue.sandbox.root)
    asked = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "position_type": "day"}
    await asyncio.to_thread(kite.convert_position, **asked, quantity=quantity, old_product="MIS", new_product="CNC")


async def wednesday(week: Week) -> None:
    """An order is filled in three trades; a conversion is told before the evening."""
    desk = week.desk
    await week.next_day()
    parts_of = await desk.place(side=Side.SELL, quantity=9, product=MIS, price=Decimal(1600), client_order_id="parts")
    await parts_of.placed(60)
    for quantity in (2, 3, 4):
        await desk.venue.fill(desk.at_the_broker(parts_of)[0].broker_order_id, quantity, Decimal(1600))
    week.orders["parts"] = await desk.recorded(parts_of, Status.FILLED)
    await week.traded("cover", Side.BUY, 9)
    await week.traded("kept", Side.BUY, 4)
    await convert(desk, 4)
    await week.positions_are_read()
    await desk.orders.settle_position(INFY, MIS, -4, "by hand", kind="conversion", to_product=CNC)
    await week.end()
    assert await week.evening() == []

    third = {"trade_id": week.orders["parts"].fills[2].trade_id, "order_id": week.order_id("parts")}
    assert await week.falsified("trades", third, change={"quantity": 3}) == [("trade", "parts")]
    assert await week.evening() == []


async def thursday(week: Week) -> None:
    """Some of what was bought and converted is sold out of the demat account."""
    await week.next_day()
    assert await position(week.desk) == 19
    await week.traded("delivered", Side.SELL, 6, product=CNC)
    await week.end()
    assert await week.evening() == []

    fewer = dict.fromkeys(("quantity", "opening_quantity", "realised_quantity"), 15)
    found = await week.falsified("holdings", {"tradingsymbol": "INFY"}, change=fewer)
    assert found == [("holding", "INFY CNC")]
    assert await week.evening() == []


async def friday(week: Week) -> None:
    """What is open is closed, with an answer that is lost, and updates that nobody gets."""
    await week.next_day()
    await week.desk.venue.fault(FaultKind.UPDATES_LOST, probability=1)
    await week.desk.venue.fault(FaultKind.ACCEPT_THEN_504)
    await week.traded("closed", Side.BUY, 65, FUTURE, NRML)
    await week.traded("sbin", Side.BUY, 3, SBIN, CNC)
    await week.end()
    assert await week.evening() == []

    row = {"order_id": week.order_id("closed")}
    assert await week.falsified("order_book", row, change={"filled_quantity": 64}) == [("order", "closed")]
    assert await week.falsified("contract_note", row, change={"charges.stamp_duty": 0}) == [("charge", "closed")]
    assert await week.evening() == []
