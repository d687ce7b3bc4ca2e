"""The control endpoint, /__control: faults, ticks, days, tokens and the tally, in JSON, while the sandbox runs."""

from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.exchange import Exchange
from durable_orders.sandbox.falsified import Falsehood, Falsified
from durable_orders.sandbox.fault_kinds import NATURES, FaultKind
from durable_orders.sandbox.faults import FaultRule, Faults
from durable_orders.sandbox.market_feed import PushedMarket
from durable_orders.sandbox.order_desk import OrderDesk
from durable_orders.sandbox.order_forms import first_problem
from durable_orders.sandbox.sessions import Sessions
from durable_orders.sandbox.tally import Tally
from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.orders.order import BrokerOrderId, Price, Quantity, Symbol, Terms

PREFIX = "/__control"
Body = TypeVar("Body", bound=BaseModel)


class PushedTick(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Symbol
    last_price: Price
    volume: Annotated[int, Field(ge=0)] = 0
    """Units of the day so far."""


class PushedTicks(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ticks: list[PushedTick]


class NextDay(BaseModel):
    model_config = ConfigDict(extra="forbid")

    flush_tokens: bool = False


class HandFill(BaseModel):
    model_config = ConfigDict(extra="forbid")

    quantity: Quantity
    price: Price


class Control:
    """Answers in Kite's envelopes; what is wrong is 400 `InputException`."""

    def __init__(
        self,
        faults: Faults,
        falsified: Falsified,
        tally: Tally,
        sessions: Sessions,
        exchange: Exchange,
        desk: OrderDesk,
        market: PushedMarket | None,
    ) -> None:
        """`market` is there only where the feed is pushed."""
        self._faults = faults
        self._falsified = falsified
        self._tally = tally
        self._sessions = sessions
        self._exchange = exchange
        self._desk = desk
        self._market = market

    def add_to(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", f"{PREFIX}/faults", self.show_faults)
        add("POST", f"{PREFIX}/faults", self.arm_fault)
        add("DELETE", f"{PREFIX}/faults", self.clear_faults)
        add("DELETE", f"{PREFIX}/faults/{{kind}}", self.clear_faults)
        add("POST", f"{PREFIX}/falsified", self.falsify)
        add("DELETE", f"{PREFIX}/falsified", self.tell_the_truth)
        add("GET", f"{PREFIX}/tally", self.show_tally)
        add("DELETE", f"{PREFIX}/tally", self.reset_tally)
        add("POST", f"{PREFIX}/login", self.login)
        add("POST", f"{PREFIX}/flush-tokens", self.flush_tokens)
        add("POST", f"{PREFIX}/ticks", self.push_ticks)
        add("POST", f"{PREFIX}/close-session", self.close_session)
        add("POST", f"{PREFIX}/next-day", self.next_day)
        add("POST", f"{PREFIX}/orders", self.foreign_order)
        add("GET", f"{PREFIX}/elsewhere/order", self.elsewhere)
        add("GET", f"{PREFIX}/elsewhere/book", self.elsewhere)
        add("POST", f"{PREFIX}/orders/{{order_id}}/fill", self.fill)
        add("POST", f"{PREFIX}/orders/{{order_id}}/release", self.release)

    async def show_faults(self, request: web.Request) -> web.Response:
        kinds = {kind: nature.effect for kind, nature in NATURES.items()}
        return success(self._faults.shown() | {"kinds": kinds})

    async def arm_fault(self, request: web.Request) -> web.Response:
        self._faults.arm(await read_body(request, FaultRule))
        return success(self._faults.shown())

    async def clear_faults(self, request: web.Request) -> web.Response:
        kind = request.match_info.get("kind")
        if kind is not None and kind not in list(FaultKind):
            raise wrong_input(f"no such fault: {kind}")
        self._faults.clear(FaultKind(kind) if kind is not None else None)
        return success(self._faults.shown())

    async def falsify(self, request: web.Request) -> web.Response:
        self._falsified.add(await read_body(request, Falsehood))
        return success(data=True)

    async def tell_the_truth(self, request: web.Request) -> web.Response:
        self._falsified.clear()
        return success(data=True)

    async def show_tally(self, request: web.Request) -> web.Response:
        return success(self._tally.shown() | {"faults": dict(self._faults.struck)})

    async def reset_tally(self, request: web.Request) -> web.Response:
        self._tally.reset()
        return success(self._tally.shown())

    async def login(self, request: web.Request) -> web.Response:
        """An access token without the login flow."""
        return success({"access_token": self._sessions.open()})

    async def flush_tokens(self, request: web.Request) -> web.Response:
        self._sessions.flush()
        return success(data=True)

    async def push_ticks(self, request: web.Request) -> web.Response:
        market = self._pushed()
        for tick in (await read_body(request, PushedTicks)).ticks:
            try:
                await market.push(tick.symbol, tick.last_price, tick.volume)
            except InvalidTicks as error:
                raise wrong_input(str(error)) from None
        return success(data=True)

    async def close_session(self, request: web.Request) -> web.Response:
        await self._pushed().close()
        return success(data=True)

    async def next_day(self, request: web.Request) -> web.Response:
        asked = await read_body(request, NextDay) if request.can_read_body else NextDay()
        session = await self._pushed().next_day()
        if asked.flush_tokens:
            self._sessions.flush()
        return success({"session": session.date.isoformat()})

    async def foreign_order(self, request: web.Request) -> web.Response:
        return success({"order_id": await self._desk.place_foreign(await read_body(request, Terms))})

    async def fill(self, request: web.Request) -> web.Response:
        asked = await read_body(request, HandFill)
        return success({"order_id": await self._exchange.trade(_order(request), asked.quantity, asked.price)})

    async def release(self, request: web.Request) -> web.Response:
        return success({"order_id": await self._exchange.release(_order(request))})

    async def elsewhere(self, request: web.Request) -> web.Response:
        """Where the fault `redirected` leads: an order that nobody has, an empty book."""
        return success({"order_id": "elsewhere"} if request.path.endswith("order") else [])

    def _pushed(self) -> PushedMarket:
        if self._market is None:
            raise wrong_input("only with feed pushed: this market has a feed of its own")
        return self._market


def _order(request: web.Request) -> BrokerOrderId:
    return BrokerOrderId(request.match_info["order_id"])


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError as error:
        raise wrong_input(first_problem(error)) from None
