"""The readings of orders and trades. A fault may show them as they were some seconds ago."""

from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web

from durable_orders.sandbox.book import Book, OrderView
from durable_orders.sandbox.envelopes import success, unknown_order
from durable_orders.sandbox.falsified import Falsified
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.sandbox.faults import Faults
from durable_orders.sandbox.order_rows import OrderRows
from durable_orders.sandbox.routes import Route
from durable_orders.trading.orders.order import BrokerOrderId


class BookRoutes:
    def __init__(
        self, book: Book, rows: OrderRows, faults: Faults, falsified: Falsified, clock: Callable[[], datetime]
    ) -> None:
        self._book = book
        self._rows = rows
        self._faults = faults
        self._falsified = falsified
        self._clock = clock

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("GET", "/orders", self.orders, name=Route.ORDER_BOOK)
        app.router.add_route("GET", "/orders/{order_id}", self.history, name=Route.ORDER_HISTORY)
        app.router.add_route("GET", "/trades", self.trades, name=Route.TRADES)
        app.router.add_route("GET", "/orders/{order_id}/trades", self.order_trades, name=Route.ORDER_TRADES)

    async def orders(self, request: web.Request) -> web.Response:
        rows = (self._rows.book_row(view) for view in self._all(Route.ORDER_BOOK))
        return success(self._falsified.rows(Route.ORDER_BOOK, rows))

    async def history(self, request: web.Request) -> web.Response:
        return success(self._rows.history_rows(self._one(request, Route.ORDER_HISTORY)))

    async def trades(self, request: web.Request) -> web.Response:
        return success(self._falsified.rows(Route.TRADES, self._rows.trade_rows(self._all(Route.TRADES))))

    async def order_trades(self, request: web.Request) -> web.Response:
        return success(self._rows.trade_rows([self._one(request, Route.ORDER_TRADES)]))

    def _all(self, route: Route) -> list[OrderView]:
        return self._book.all_seen(self._clock(), self._as_of(route))

    def _one(self, request: web.Request, route: Route) -> OrderView:
        order = BrokerOrderId(request.match_info["order_id"])
        view = self._book.seen(order, self._clock(), self._as_of(route))
        if view is None:
            raise unknown_order()
        return view

    def _as_of(self, route: Route) -> datetime | None:
        rule = self._faults.take(FaultKind.BOOK_STALE, route)
        return self._clock() - timedelta(seconds=rule.lasts) if rule else None
