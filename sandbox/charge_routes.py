"""What executed orders cost by the broker's own computation: POST /charges/orders, Kite's virtual contract note.

Kite's answer has a row for each order that was asked for, in the same order, without its order id, and its figures are
not rounded (Kite documentation, virtual contract note). Worked out here from the turnover of the whole order.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from json import JSONDecodeError
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.falsified import Falsified
from durable_orders.sandbox.order_forms import first_problem
from durable_orders.sandbox.routes import Route
from durable_orders.trading.charges.fees import charged_as
from durable_orders.trading.charges.rates import NoCharges, rates_on
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import Product, Side

Row = dict[str, Any]


class Billed(BaseModel):
    """One order of the request."""

    model_config = ConfigDict(extra="ignore")

    order_id: str
    exchange: str
    tradingsymbol: str
    transaction_type: Side
    variety: str
    product: Product
    order_type: str
    quantity: int = Field(gt=0)
    average_price: Decimal = Field(gt=0)


class ChargeRoutes:
    def __init__(self, falsified: Falsified, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._falsified = falsified

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("POST", "/charges/orders", self.orders, name=Route.CONTRACT_NOTE)

    async def orders(self, request: web.Request) -> web.Response:
        try:
            asked = await request.json()
        except (JSONDecodeError, UnicodeDecodeError):
            asked = None
        if not isinstance(asked, list) or not asked:
            raise wrong_input("The body must be a JSON list of orders.")
        try:
            billed = [Billed.model_validate(order) for order in asked]
        except ValidationError as error:
            raise wrong_input(first_problem(error)) from None
        rows = [self._row(order) | {"order_id": order.order_id} for order in billed]
        shown = self._falsified.rows(Route.CONTRACT_NOTE, rows)
        return success([{name: value for name, value in row.items() if name != "order_id"} for row in shown])

    def _row(self, order: Billed) -> Row:
        try:
            charges = self._charges(order)
        except NoCharges as error:
            raise wrong_input(str(error)) from None
        told = ("transaction_type", "tradingsymbol", "exchange", "variety", "product", "order_type", "quantity")
        shown = {name: getattr(order, name) for name in told} | {"price": order.average_price}
        return shown | {"charges": charges}

    def _charges(self, order: Billed) -> Row:
        segment, contract = charged_as(f"{order.exchange}:{order.tradingsymbol}", order.product)
        day = self._clock().astimezone(IST).date()
        rates, side = rates_on(segment, contract.exchange, day), order.transaction_type
        turnover = order.quantity * order.average_price * (contract.multiplier or 1)
        of_exchange = rates.exchange_turnover_charge.for_side(side) + rates.ipft.for_side(side)
        lines = {
            "transaction_tax": turnover * rates.transaction_tax.for_side(side),
            "exchange_turnover_charge": turnover * of_exchange,
            "sebi_turnover_charge": turnover * rates.sebi_turnover_charge.for_side(side),
            "brokerage": rates.brokerage.of(turnover),
            "stamp_duty": turnover * rates.stamp_duty.for_side(side),
        }
        gst = rates.gst.rate * sum((lines[name] for name in rates.gst.base), Decimal(0))
        taxes = {"igst": gst, "cgst": 0, "sgst": 0, "total": gst}
        kind = "ctt" if order.exchange in ("MCX", "NCO") else "stt"
        return lines | {"transaction_tax_type": kind, "gst": taxes, "total": sum(lines.values(), gst)}
