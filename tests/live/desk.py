"""A live account on the shared Temporal server: production workers at one end of the wire, the sandbox at the other."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from temporalio.worker import Interceptor

from chaos.account import log_in, make_home, settings_for
from chaos.venue import INFY, Row, Venue, open_venue
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.sandbox import FeedKind, SandboxSettings
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ledger.accounts import halt_reason
from durable_orders.trading.ledger.reading import FeedEvent, events_of
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Side, Status
from durable_orders.trading.orders.tags import is_of
from durable_orders.workers import worker
from durable_orders.workers.components import Components, build
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home, ServerAddress
from tests.conftest import eventually, new_account, until
from tests.ledgers import empty_ledger

LAST = Decimal(1500)
FAR = Decimal(1400)
"""A limit to buy at that the market does not reach."""
HOURS = timedelta(hours=6)


@dataclass
class Desk:
    venue: Venue
    home: Home
    orders: Orders

    @property
    def settings(self) -> Settings:
        return self.orders.settings

    def intent(self, order_type: OrderType = OrderType.LIMIT, **terms: Any) -> OrderIntent:
        """BUY 10 INFY, LIMIT at the last price, however long its worker takes to start, or whatever the terms say."""
        content: dict[str, Any] = {"symbol": INFY, "side": Side.BUY, "quantity": 10, "mode": "live"}
        content |= {"account": self.settings.account, "order_type": order_type, "place_by": datetime.now(UTC) + HOURS}
        if order_type is OrderType.LIMIT:
            content |= {"price": LAST}
        return OrderIntent(**content | terms)

    async def place(self, order_type: OrderType = OrderType.LIMIT, **terms: Any) -> OrderHandle:
        return await self.orders.place(self.intent(order_type, **terms))

    async def resting(self, **terms: Any) -> OrderHandle:
        """An order that works at the broker, and is recorded as such."""
        order = await self.place(**{"price": FAR} | terms)
        assert (await order.placed(60)).status is Status.PLACED
        return order

    async def recorded(self, order: OrderHandle, *statuses: Status) -> Order:
        """The order as the ledger has it, once it has one of these statuses."""

        async def reached() -> Order | None:
            found = await order.now()
            return found if found.status in statuses else None

        found = await eventually(reached, f"{order.order_id} {statuses}")
        assert found is not None
        return found

    async def told(self, order_id: str, words: str, kind: EventType | None = None) -> FeedEvent:
        """The event of that order, or of the account, that has these words, once there is one."""

        async def recorded() -> FeedEvent | None:
            for event in await self.events(order_id):
                if words in event.message and kind in (None, event.type):
                    return event
            return None

        found = await eventually(recorded, f"{words!r} of {order_id}")
        assert found is not None
        return found

    async def alerted(self, words: str) -> FeedEvent:
        return await self.told(self.account_events, words, EventType.ALERT)

    @property
    def account_events(self) -> str:
        return f"account:{self.settings.account}"

    async def events(self, order_id: str) -> list[FeedEvent]:
        return await self.orders.read(lambda ledger: events_of(ledger, order_id))

    async def alerts(self) -> list[str]:
        return [event.message for event in await self.events(self.account_events)]

    async def halted(self) -> str | None:
        return await self.orders.read(lambda ledger: halt_reason(ledger, self.settings.account))

    def at_the_broker(self, order: OrderHandle) -> list[Row]:
        """The broker's orders with this order's tag."""
        return [row for row in self.venue.rows() if is_of(row.tag, order.order_id)]


def story(events: Iterable[FeedEvent]) -> str:
    return "\n".join(event.message for event in events)


@asynccontextmanager
async def open_desk(
    server: ServerAddress, path: Path, *, sandbox: dict[str, Any] | None = None, **more: Any
) -> AsyncIterator[Desk]:
    """A venue where INFY stands at 1500, and a home that is logged in there; nobody works yet.

    `sandbox` are settings of the sandbox, `more` of the home: `live` keys of `execution.live`, others by section.
    """
    usual: dict[str, Any] = {"port": 0, "feed": FeedKind.PUSHED, "heartbeat_seconds": 0.5}
    settings = SandboxSettings(**usual | {"database": path / "exchange.db"} | (sandbox or {}))
    async with open_venue(settings, {INFY: LAST}) as venue:
        content = settings_for(venue, new_account(), **more.pop("live", {}))
        for section, keys in more.items():
            content[section] = content.get(section, {}) | keys
        home = make_home(path / "home", content)
        empty_ledger(home.ledger_db)
        home.save_address(server)
        await log_in(home)
        async with await Orders.connect(home.path) as orders:
            yield Desk(venue, home, orders)


@asynccontextmanager
async def at_work(desk: Desk, *interceptors: Interceptor) -> AsyncIterator[Components]:
    """The desk's production workers and watch, for the length of a block."""
    client = await connect(desk.home, desk.settings)
    parts = build(desk.home, desk.settings, client, live=True)
    async with worker.running(client, parts, interceptors):
        yield parts


__all__ = ["Desk", "at_work", "eventually", "open_desk", "story", "until"]
