"""The control endpoint's part for what happens to positions and holdings without an order, in JSON."""

from decimal import Decimal
from typing import Annotated, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from durable_orders.sandbox.account_events import AccountEvents
from durable_orders.sandbox.control import PREFIX, read_body
from durable_orders.sandbox.envelopes import success
from durable_orders.sandbox.portfolio import OddRow
from durable_orders.trading.orders.order import Price, Quantity, Symbol

Part = Annotated[int, Field(strict=True, ge=0)]


class SquareOff(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol | None = None


class Settlement(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    price: Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=4)]
    """Rupees a unit; 0 for an option that is worth nothing."""


class Split(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    old: Quantity
    new: Quantity


class Shares(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    quantity: Quantity
    price: Price
    t1: Part = 0
    pledged: Part = 0
    authorised: Part = 0

    @model_validator(mode="after")
    def _parts_of_the_whole(self) -> Self:
        if self.t1 + self.pledged > self.quantity or self.authorised > self.quantity:
            raise ValueError("quantity: t1 and pledged, or authorised, are more than that")
        return self


class Authorised(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    quantity: Quantity


class OddPosition(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    product: Annotated[str, Field(pattern=r"^(CO|BO)$")]
    quantity: Annotated[int, Field(strict=True)]
    price: Price


class AccountControl:
    """What is wrong is 400 `InputException`."""

    def __init__(self, events: AccountEvents) -> None:
        self._events = events

    def add_to(self, app: web.Application) -> None:
        add = app.router.add_route
        add("POST", f"{PREFIX}/square-off", self.square_off)
        add("POST", f"{PREFIX}/settlements", self.settle)
        add("POST", f"{PREFIX}/splits", self.split)
        add("POST", f"{PREFIX}/holdings", self.give)
        add("POST", f"{PREFIX}/authorisations", self.authorise)
        add("POST", f"{PREFIX}/positions", self.show_odd)

    async def square_off(self, request: web.Request) -> web.Response:
        asked = await read_body(request, SquareOff) if request.can_read_body else SquareOff()
        return success({"order_ids": await self._events.square_off(asked.symbol)})

    async def settle(self, request: web.Request) -> web.Response:
        asked = await read_body(request, Settlement)
        await self._events.settle(asked.symbol, asked.price)
        return success(data=True)

    async def split(self, request: web.Request) -> web.Response:
        asked = await read_body(request, Split)
        await self._events.split(asked.symbol, asked.old, asked.new)
        return success(data=True)

    async def give(self, request: web.Request) -> web.Response:
        asked = await read_body(request, Shares)
        await self._events.give(asked.symbol, asked.quantity, asked.price, asked.t1, asked.pledged, asked.authorised)
        return success(data=True)

    async def authorise(self, request: web.Request) -> web.Response:
        asked = await read_body(request, Authorised)
        self._events.authorise(asked.symbol, asked.quantity)
        return success(data=True)

    async def show_odd(self, request: web.Request) -> web.Response:
        asked = await read_body(request, OddPosition)
        self._events.show_odd(OddRow(asked.symbol, asked.product, asked.quantity, asked.price))
        return success(data=True)
