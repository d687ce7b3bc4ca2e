"""Order requests: place, modify, cancel (Kite documentation, orders). `order_id` means taken, not done."""

from aiohttp import web

from durable_orders.sandbox.autoslice import Autoslice
from durable_orders.sandbox.envelopes import success
from durable_orders.sandbox.order_desk import OrderDesk
from durable_orders.sandbox.order_forms import Form, Variety, read_placement, read_variety
from durable_orders.sandbox.routes import Route
from durable_orders.trading.orders.order import BrokerOrderId


class OrderRoutes:
    def __init__(self, desk: OrderDesk, user_id: str) -> None:
        self._desk = desk
        self._autoslice = Autoslice(desk)
        self._user_id = user_id

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("POST", "/orders/{variety}", self.place, name=Route.PLACE)
        app.router.add_route("PUT", "/orders/{variety}/{order_id}", self.modify, name=Route.MODIFY)
        app.router.add_route("DELETE", "/orders/{variety}/{order_id}", self.cancel, name=Route.CANCEL)

    async def place(self, request: web.Request) -> web.Response:
        asked = read_placement(request.match_info["variety"], await _form(request), self._user_id)
        if asked.autoslice:
            return success(await self._autoslice.place(asked))
        return success({"order_id": await self._desk.place(asked)})

    async def modify(self, request: web.Request) -> web.Response:
        variety, order = read_variety(request.match_info["variety"]), BrokerOrderId(request.match_info["order_id"])
        return success({"order_id": await self._desk.modify(variety, order, await _form(request))})

    async def cancel(self, request: web.Request) -> web.Response:
        variety, order = read_variety(request.match_info["variety"]), BrokerOrderId(request.match_info["order_id"])
        if variety is Variety.CO and (parent := request.query.get("parent_order_id")):
            return success({"order_id": await self._desk.exit(variety, order, parent)})
        return success({"order_id": await self._desk.cancel(variety, order)})


async def _form(request: web.Request) -> Form:
    return dict(await request.post())
