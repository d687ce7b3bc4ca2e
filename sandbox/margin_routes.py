"""What orders would bind: POST /margins/orders and /margins/basket (Kite documentation, margin calculation).

The figures are those of `margins.py`; charges are 0, since the sandbox charges nothing.
"""

from decimal import Decimal
from json import JSONDecodeError
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.margins import margin
from durable_orders.sandbox.order_forms import first_problem
from durable_orders.sandbox.portfolio import Portfolio
from durable_orders.sandbox.quotes import Quotes
from durable_orders.sandbox.routes import Route
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.orders.order import OrderType, Terms

Row = dict[str, Any]
PARTS = ("span", "exposure", "option_premium", "additional", "bo", "cash", "var")
CHARGES = (
    *("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty", "total"),
)
TAXES = ("igst", "cgst", "sgst", "total")


class MarginRoutes:
    def __init__(self, instruments: Instruments, quotes: Quotes, portfolio: Portfolio) -> None:
        self._instruments = instruments
        self._quotes = quotes
        self._portfolio = portfolio

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("POST", "/margins/orders", self.orders, name=Route.ORDER_MARGINS)
        app.router.add_route("POST", "/margins/basket", self.basket, name=Route.BASKET_MARGINS)

    async def orders(self, request: web.Request) -> web.Response:
        asked = await self._read(request)
        return success([self._row(terms, instrument, self._alone(terms, instrument)) for terms, instrument in asked])

    async def basket(self, request: web.Request) -> web.Response:
        """`consider_positions` lets what closes a position bind nothing; the client sends it as `True`."""
        asked = await self._read(request)
        considered = request.query.get("consider_positions", "").lower() == "true"
        rows = [self._row(terms, instrument, self._alone(terms, instrument)) for terms, instrument in asked]
        if considered:
            final = [self._row(terms, one, self._portfolio.required(terms, one)) for terms, one in asked]
        else:
            final = rows
        answer = {"initial": _sum(rows), "final": _sum(final), "orders": rows, "charges": _charges()}
        if request.query.get("mode") == "compact":
            answer = {key: answer[key] for key in ("initial", "final", "charges")}
        return success(answer)

    async def _read(self, request: web.Request) -> list[tuple[Terms, Instrument]]:
        try:
            orders = await request.json()
        except (JSONDecodeError, UnicodeDecodeError):
            raise wrong_input("The body must be a JSON list of orders.") from None
        if not isinstance(orders, list) or not orders or not all(isinstance(order, dict) for order in orders):
            raise wrong_input("The body must be a JSON list of orders.")
        return [self._terms(order) for order in orders]

    def _terms(self, order: Row) -> tuple[Terms, Instrument]:
        instrument = self._instruments.get(f"{order.get('exchange')}:{order.get('tradingsymbol')}")
        if instrument is None or not instrument.tradable:
            raise wrong_input(f"Invalid `tradingsymbol`: {order.get('tradingsymbol')}")
        has = {kind: (kind.has_price, kind.has_trigger) for kind in OrderType}.get(order.get("order_type", ""))
        priced, triggered = has or (False, False)
        try:
            terms = Terms(
                symbol=instrument.symbol,
                side=order.get("transaction_type", ""),
                quantity=order.get("quantity", 0),
                order_type=order.get("order_type", ""),
                price=Decimal(str(order.get("price") or 0)) if priced else None,
                trigger_price=Decimal(str(order.get("trigger_price") or 0)) if triggered else None,
                product=order.get("product", ""),
            )
        except ValidationError as error:
            raise wrong_input(first_problem(error)) from None
        return terms, instrument

    def _alone(self, terms: Terms, instrument: Instrument) -> Decimal:
        return margin(terms, instrument, terms.quantity, self._quotes.last_price(terms.symbol))

    def _row(self, terms: Terms, instrument: Instrument, total: Decimal) -> Row:
        exchange, _, tradingsymbol = terms.symbol.partition(":")
        part = "var" if instrument.instrument_type == "EQ" else "span"
        head = {"type": "equity", "tradingsymbol": tradingsymbol, "exchange": exchange}
        return head | _amounts({part: total}) | {"leverage": 1, "charges": _charges(), "total": total}


def _amounts(known: Row) -> Row:
    return dict.fromkeys(PARTS, Decimal(0)) | {"pnl": {"realised": 0, "unrealised": 0}} | known


def _sum(rows: list[Row]) -> Row:
    parts = {part: sum((row[part] for row in rows), Decimal(0)) for part in PARTS}
    total = sum((row["total"] for row in rows), Decimal(0))
    head = {"type": "", "tradingsymbol": "", "exchange": ""}
    return head | _amounts(parts) | {"leverage": 0, "charges": _charges(), "total": total}


def _charges() -> Row:
    return dict.fromkeys(CHARGES, 0) | {"transaction_tax_type": "stt", "gst": dict.fromkeys(TAXES, 0)}
