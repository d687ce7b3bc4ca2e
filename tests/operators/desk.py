"""A live account whose broker is the counting Kite, on the shared Temporal server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from durable_orders import login
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.errors import OrderNotFound
from durable_orders.trading.ledger.reading import FeedEvent, events_of
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderIntent, Side, Status
from durable_orders.workers import worker
from durable_orders.workers.components import Components, build
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home, ServerAddress
from tests.conftest import eventually, new_account, write_home
from tests.operators.counting_kite import CountingKite

TOKEN, USER = "token-of-first-user", "AB0001"
LIVE = {"settle_window": 2, "reconciliation_interval": 0.3, "retry_delay": 0.2}
HOURS = timedelta(hours=6)
INFY = "NSE:INFY"


@dataclass
class Desk:
    kite: CountingKite
    home: Home
    orders: Orders

    @property
    def account(self) -> str:
        return self.orders.settings.account

    async def place(self, name: str | None = None, **terms: Any) -> OrderHandle:
        """BUY 10 INFY, LIMIT 1500, good for hours, or whatever the terms say."""
        content: dict[str, Any] = {"symbol": INFY, "side": Side.BUY, "quantity": 10, "order_type": "LIMIT"}
        content |= {"price": Decimal(1500), "place_by": datetime.now(UTC) + HOURS, "mode": "live"}
        content |= {"account": self.account, **({"client_order_id": name} if name else {})} | terms
        if content["order_type"] == "MARKET":
            del content["price"]
        return await self.orders.place(OrderIntent(**content))

    async def resting(self, name: str | None = None, **terms: Any) -> OrderHandle:
        """An order that works at the broker, and is recorded as such."""
        order = await self.place(name, **terms)
        await self.reached(order, Status.PLACED)
        return order

    async def reached(self, order: OrderHandle, *statuses: Status) -> Order:
        """The order as the ledger has it, once it has one of these statuses."""

        async def has() -> Order | None:
            try:
                found = await order.now()
            except OrderNotFound:  # one that the watch has not adopted yet
                return None
            return found if found.status in statuses else None

        found = await eventually(has, f"{order.order_id} {statuses}")
        assert found is not None
        return found

    async def events(self, order_id: str | None = None) -> list[FeedEvent]:
        """Of an order; without one, of the account."""
        own = order_id or f"account:{self.account}"
        return await self.orders.read(lambda ledger: events_of(ledger, own))

    async def alerted(self, words: str) -> FeedEvent:
        """The account's alert that has these words, once there is one."""

        async def told() -> FeedEvent | None:
            every = await self.events()
            return next((one for one in every if one.type is EventType.ALERT and words in one.message), None)

        found = await eventually(told, f"an alert of {words!r}")
        assert found is not None
        return found

    async def story_has(self, order: OrderHandle, words: str) -> None:
        """Until the order's events tell that."""

        async def told() -> bool:
            return any(words in event.message for event in await self.events(order.order_id))

        assert await eventually(told, words)

    async def watched(self) -> None:
        """Until the watch has read the book."""

        async def read() -> bool:
            return bool(self.kite.sent("GET", "/trades"))

        assert await eventually(read, "a reading of the book")


def live_home(path: Path, kite: CountingKite, *, account: str = "", ledger: str | None = None, **live: Any) -> Home:
    """A home whose broker is the counting Kite. `live` are keys of `execution.live`, or `timeout` of Kite's."""
    timeout = live.pop("timeout", 2.0)
    content = {
        "account": account or new_account(),
        "execution": {"mode": "live", "live": LIVE | live},
        "market": {"calendar": "always_open", "instruments": str(shipped_instruments())},
        "kite": {
            "api_key": "key",
            "api_secret": "the-api-secret-of-this-app",
            "root": kite.root,
            "timeout": timeout,
            "ws_root": kite.root.replace("http", "ws"),
        },
    }
    return write_home(path, content | ({"ledger": {"url": ledger}} if ledger else {}))


@asynccontextmanager
async def open_desk(
    server: ServerAddress, path: Path, kite: CountingKite, token: str = TOKEN, *, account: str = "", **live: Any
) -> AsyncIterator[Desk]:
    """A home that is logged in; nobody works yet."""
    home = live_home(path, kite, account=account, **live)
    home.save_address(server)
    login.keep(home, home.settings().kite, token)
    async with await Orders.connect(home.path) as orders:
        yield Desk(kite, home, orders)


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[Components]:
    """The desk's production workers and watch, for the length of a block."""
    client = await connect(desk.home, desk.orders.settings)
    parts = build(desk.home, desk.orders.settings, client, live=True)
    async with worker.running(client, parts):
        yield parts
