"""GTT requests (Kite documentation, GTT): place, modify, delete, the list and one. And what Kite's own system ends."""

import json
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from durable_orders.sandbox.control import PREFIX, read_body
from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.gtt_desk import GttDesk
from durable_orders.sandbox.gtt_forms import read_gtt
from durable_orders.sandbox.gtt_triggers import Gtt, GttLeg, GttResult, GttStatus
from durable_orders.sandbox.order_rows import Row, ist
from durable_orders.sandbox.routes import Route
from durable_orders.trading.market.instruments import Instruments

APP_ID = 12617


class Ending(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: GttStatus


class GttRoutes:
    def __init__(self, desk: GttDesk, instruments: Instruments) -> None:
        self._desk = desk
        self._instruments = instruments

    def add_to(self, app: web.Application) -> None:
        add = app.router.add_route
        add("POST", "/gtt/triggers", self.place, name=Route.GTT_PLACE)
        add("GET", "/gtt/triggers", self.listed, name=Route.GTT_LIST)
        add("GET", "/gtt/triggers/{trigger_id}", self.one, name=Route.GTT)
        add("PUT", "/gtt/triggers/{trigger_id}", self.modify, name=Route.GTT_MODIFY)
        add("DELETE", "/gtt/triggers/{trigger_id}", self.delete, name=Route.GTT_DELETE)
        add("POST", f"{PREFIX}/gtt/{{trigger_id}}/end", self.end)

    async def place(self, request: web.Request) -> web.Response:
        return success({"trigger_id": self._desk.place(read_gtt(dict(await request.post())))})

    async def modify(self, request: web.Request) -> web.Response:
        number = _number(request)
        return success({"trigger_id": self._desk.modify(number, read_gtt(dict(await request.post())))})

    async def delete(self, request: web.Request) -> web.Response:
        return success({"trigger_id": self._desk.delete(_number(request))})

    async def listed(self, request: web.Request) -> web.Response:
        return success([self._row(gtt) for gtt in self._desk.listed()])

    async def one(self, request: web.Request) -> web.Response:
        return success(self._row(self._desk.one(_number(request))))

    async def end(self, request: web.Request) -> web.Response:
        """As Kite's own system does: disabled, cancelled, rejected or expired."""
        self._desk.end(_number(request), (await read_body(request, Ending)).status)
        return success(data=True)

    def _row(self, gtt: Gtt) -> Row:
        exchange, _, tradingsymbol = gtt.asked.symbol.partition(":")
        instrument = self._instruments.get(gtt.asked.symbol)
        return {
            "id": gtt.id,
            "user_id": self._desk.user_id,
            "parent_trigger": None,
            "type": gtt.asked.type,
            "created_at": ist(gtt.created_at),
            "updated_at": ist(gtt.updated_at),
            "expires_at": ist(gtt.expires_at),
            "status": gtt.status,
            "condition": {
                "exchange": exchange,
                "last_price": gtt.asked.last_price,
                "tradingsymbol": tradingsymbol,
                "trigger_values": [leg.trigger for leg in gtt.asked.legs],
                "instrument_token": instrument.instrument_token if instrument else 0,
            },
            "orders": [self._order(gtt, leg) for leg in gtt.asked.legs],
            "meta": {},
        }

    def _order(self, gtt: Gtt, leg: GttLeg) -> Row:
        exchange, _, tradingsymbol = gtt.asked.symbol.partition(":")
        order: dict[str, Any] = {
            "exchange": exchange,
            "tradingsymbol": tradingsymbol,
            "product": leg.product,
            "order_type": "LIMIT",
            "transaction_type": leg.side,
            "quantity": leg.quantity,
            "price": leg.price,
        }
        return order | {"result": None if leg.result is None else self._result(gtt, order, leg.result)}

    def _result(self, gtt: Gtt, order: Row, result: GttResult) -> Row:
        return order | {
            "account_id": self._desk.user_id,
            "validity": "DAY",
            "meta": json.dumps({"app_id": APP_ID, "gtt": gtt.id}),
            "timestamp": ist(result.at),
            "triggered_at": result.triggered_at,
            "order_result": {
                "status": "failed" if result.order_id is None else "success",
                "order_id": result.order_id or "",
                "rejection_reason": result.rejection_reason,
            },
        }


def _number(request: web.Request) -> int:
    try:
        return int(request.match_info["trigger_id"])
    except ValueError:
        raise wrong_input("Invalid `trigger_id`.") from None
