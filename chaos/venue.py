"""The broker of a run: the sandbox in this event loop, seen through its control endpoint and its exchange's tables."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

import aiohttp
import sqlalchemy as sa

from durable_orders.sandbox import FaultRule, FeedKind, Sandbox, SandboxSettings
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.tables import exchange_orders, exchange_trades
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Terms

INFY, SBIN = "NSE:INFY", "NSE:SBIN"
ASK_AGAIN = 0.25
"""Seconds before a reading that was refused is made again."""


@dataclass(frozen=True, slots=True)
class Row:
    """An order as the exchange has it, hidden from the book or not."""

    broker_order_id: str
    tag: str | None
    symbol: str
    side: str
    product: str
    quantity: int
    filled_quantity: int
    price: Decimal | None
    status: str
    state: BookState
    placed_at: datetime

    @classmethod
    def of(cls, found: Any) -> Self:
        content = {name: getattr(found, name) for name in cls.__dataclass_fields__}
        return cls(**content | {"state": BookState(found.state)})


@dataclass(frozen=True, slots=True)
class Trade:
    broker_order_id: str
    symbol: str
    product: str
    side: str
    quantity: int
    price: Decimal

    @classmethod
    def of(cls, found: Any) -> Self:
        return cls(**{name: getattr(found, name) for name in cls.__dataclass_fields__})


class Venue:
    """The sandbox and what is known of it without asking it as a client would."""

    def __init__(self, settings: SandboxSettings, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.sandbox = sandbox
        self._session = session
        self._database = Database(f"sqlite:///{settings.database}")

    async def ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        """The control endpoint's answer. Raises `RuntimeError` with what it says against the question."""
        async with self._session.request(method, f"{self.sandbox.control}/{path}", json=content) as answer:
            told = await answer.json()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {told['message']}")
        return told["data"]

    async def arm(self, rule: FaultRule) -> None:
        await self.ask("POST", "faults", rule.model_dump(mode="json", exclude_none=True, exclude_defaults=True))

    async def fault(self, kind: FaultKind, **rule: Any) -> None:
        """Arm a fault: for the next time, unless the rule says otherwise."""
        when: dict[str, Any] = {} if rule.keys() & {"count", "probability"} else {"next": True}
        await self.arm(FaultRule(kind=kind, **when, **rule))

    async def clear(self) -> None:
        await self.ask("DELETE", "faults")

    async def struck(self, kind: FaultKind) -> int:
        return int((await self.tally())["faults"].get(kind, 0))

    async def tally(self) -> dict[str, Any]:
        told: dict[str, Any] = await self.ask("GET", "tally")
        return told

    async def tick(self, price: Decimal, symbol: str = INFY) -> None:
        await self.ask("POST", "ticks", {"ticks": [{"symbol": symbol, "last_price": str(price)}]})

    async def flush_tokens(self) -> None:
        await self.ask("POST", "flush-tokens")

    async def accepts(self, token: str) -> bool:
        """Whether the access token opens anything, as far as the answer tells."""
        headers = {"Authorization": f"token {self.settings.api_key}:{token}"}
        async with self._session.get(f"{self.sandbox.root}/user/profile", headers=headers) as answer:
            return answer.status != 403

    async def place_foreign(self, terms: Terms) -> str:
        content = terms.model_dump(mode="json", exclude_none=True)
        return str((await self.ask("POST", "orders", content))["order_id"])

    async def fill(self, broker_order_id: str, quantity: int, price: Decimal) -> None:
        await self.ask("POST", f"orders/{broker_order_id}/fill", {"quantity": quantity, "price": str(price)})

    async def release(self, broker_order_id: str) -> None:
        await self.ask("POST", f"orders/{broker_order_id}/release")

    async def positions(self) -> list[dict[str, Any]]:
        """The net positions as Kite's REST shows them, with numbers as `Decimal`; asked again where it says no.

        The readings of the account that is watched count towards the same ten a second.
        """
        token = (await self.ask("POST", "login"))["access_token"]
        headers = {"Authorization": f"token {self.settings.api_key}:{token}"}
        while True:
            async with self._session.get(f"{self.sandbox.root}/portfolio/positions", headers=headers) as answer:
                told = await answer.json(loads=_exactly)
            if told["data"] is not None:
                rows: list[dict[str, Any]] = told["data"]["net"]
                return rows
            await asyncio.sleep(ASK_AGAIN)

    def rows(self, *, tag: str | None = None) -> list[Row]:
        """The exchange's orders, oldest first; only those with the tag, if one is given."""
        asked = sa.select(exchange_orders).order_by(exchange_orders.c.placed_at, exchange_orders.c.version)
        if tag is not None:
            asked = asked.where(exchange_orders.c.tag == tag)
        return [Row.of(found) for found in self._read(asked)]

    def heads(self) -> dict[str, str]:
        """Of the rows of orders that were to be split: the first of the same order."""
        asked = sa.text("SELECT broker_order_id, details FROM sandbox_orders WHERE details <> ''")
        told = {order_id: json.loads(details) for order_id, details in self._read(asked)}
        return {order_id: head for order_id, details in told.items() if (head := _head(order_id, details)) is not None}

    def row(self, broker_order_id: str) -> Row:
        (found,) = self._read(sa.select(exchange_orders).where(exchange_orders.c.broker_order_id == broker_order_id))
        return Row.of(found)

    def trades(self) -> list[Trade]:
        """All trades, in the order of their execution."""
        return [Trade.of(found) for found in self._read(sa.select(exchange_trades).order_by(exchange_trades.c.number))]

    def close(self) -> None:
        self._database.close()

    def _read(self, asked: sa.Executable) -> Iterable[Any]:
        with self._database.read() as connection:
            return connection.execute(asked).all()


def _head(order_id: str, details: dict[str, Any]) -> str | None:
    tags: list[str] = details["system_tags"]
    parents = [tag.removeprefix("autoslice:") for tag in tags if tag.startswith("autoslice:")]
    if details["leg"] is not None:
        parents = [details["leg"]["parent"] or order_id]
    return next(iter(parents), order_id if "autoslice" in tags else None)


def _exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


@asynccontextmanager
async def open_venue(settings: SandboxSettings, prices: dict[str, Decimal] | None = None) -> AsyncIterator[Venue]:
    """The sandbox for the length of a block, in this event loop. `prices` are shown in it at the beginning."""
    async with Sandbox(settings) as sandbox, aiohttp.ClientSession() as session:
        venue = Venue(settings, sandbox, session)
        try:
            for symbol, price in (prices or {}).items():
                await venue.tick(price, symbol)
            yield venue
        finally:
            venue.close()


__all__ = ["FaultKind", "FeedKind", "Row", "Trade", "Venue", "open_venue"]
