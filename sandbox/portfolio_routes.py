"""Positions, holdings and funds as Kite's JSON shows them (Kite documentation, portfolio and user)."""

from decimal import Decimal
from typing import Any

from aiohttp import web

from durable_orders.sandbox.account_events import AccountEvents
from durable_orders.sandbox.envelopes import success, wrong_input
from durable_orders.sandbox.falsified import Falsified
from durable_orders.sandbox.order_forms import read_conversion
from durable_orders.sandbox.order_rows import COVER_PRODUCT
from durable_orders.sandbox.portfolio import Line, OddRow, Portfolio
from durable_orders.sandbox.routes import Route
from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.orders.order import PRICE_PLACES, Product, Side

SEGMENTS = ("equity", "commodity")
Row = dict[str, Any]


class PortfolioRoutes:
    def __init__(self, portfolio: Portfolio, events: AccountEvents, falsified: Falsified) -> None:
        self._portfolio = portfolio
        self._events = events
        self._falsified = falsified

    def add_to(self, app: web.Application) -> None:
        app.router.add_route("GET", "/portfolio/positions", self.positions, name=Route.POSITIONS)
        app.router.add_route("PUT", "/portfolio/positions", self.convert, name=Route.CONVERT)
        app.router.add_route("GET", "/portfolio/holdings", self.holdings, name=Route.HOLDINGS)
        app.router.add_route("GET", "/portfolio/holdings/auctions", self.auctions, name=Route.AUCTIONS)
        app.router.add_route("GET", "/user/margins", self.margins, name=Route.MARGINS)
        app.router.add_route("GET", "/user/margins/{segment}", self.segment_margins, name=Route.SEGMENT_MARGINS)

    async def positions(self, request: web.Request) -> web.Response:
        lines = self._portfolio.lines.values()
        traded = [line for line in lines if line.bought or line.sold]
        net = [line for line in lines if line in traded or not _is_holding(line)]
        odd = [self._odd_row(row) for row in self._portfolio.odd.values()]
        covers = self._portfolio.covers.values()
        odd += [self._position_row(line, line.net) | {"product": COVER_PRODUCT} for line in covers]
        rows = [self._position_row(line, line.day if _is_holding(line) else line.net) for line in net] + odd
        return success(
            {
                "net": self._falsified.rows(Route.POSITIONS, rows),
                "day": [self._position_row(line, line.day) for line in traded] + odd,
            }
        )

    async def convert(self, request: web.Request) -> web.Response:
        """`PUT /portfolio/positions` (Kite documentation, portfolio)."""
        form = await request.post()
        asked = read_conversion(form)
        await self._events.convert(asked.symbol, asked.side, asked.quantity, asked.old, asked.new)
        return success(data=True)

    async def holdings(self, request: web.Request) -> web.Response:
        rows = (self._holding_row(line) for line in self._portfolio.lines.values() if _is_holding(line))
        return success(self._falsified.rows(Route.HOLDINGS, rows))

    async def auctions(self, request: web.Request) -> web.Response:
        """Shares held for which an auction of undelivered ones goes on: there never is one here."""
        return success([])

    async def margins(self, request: web.Request) -> web.Response:
        return success({segment: self._funds(segment) for segment in SEGMENTS})

    async def segment_margins(self, request: web.Request) -> web.Response:
        segment = request.match_info["segment"]
        if segment not in SEGMENTS:
            raise wrong_input("Invalid `segment`.")
        return success(self._funds(segment))

    def _funds(self, segment: str) -> Row:
        """One pool of money, shown under equity; the commodity segment is not enabled."""
        own = segment == "equity"
        zero = Decimal(0)
        net, utilised = (self._portfolio.available(), self._portfolio.utilised()) if own else (zero, zero)
        cash = self._portfolio.cash if own else zero
        available = {"cash": cash, "opening_balance": cash, "live_balance": net}
        used = {"debits": utilised, "m2m_realised": self._portfolio.realised() if own else zero}
        return {
            "enabled": own,
            "net": net,
            "available": dict.fromkeys(("adhoc_margin", "collateral", "intraday_payin"), zero) | available,
            "utilised": dict.fromkeys(UTILISED, zero) | used,
        }

    def _position_row(self, line: Line, position: Position) -> Row:
        exchange, _, tradingsymbol = position.symbol.partition(":")
        average = position.average_price or Decimal(0)
        last = self._portfolio.price(position.symbol, average)
        unrealised = position.quantity * last - position.open_value
        instrument = self._portfolio.instruments.get(position.symbol)
        overnight, close = 0 if position is line.day else line.overnight, self._portfolio.close(position.symbol)
        profit, carried_at = position.realized_pnl + unrealised, close or line.overnight_price
        return {
            "tradingsymbol": tradingsymbol,
            "exchange": exchange,
            "instrument_token": instrument.instrument_token if instrument else 0,
            "product": position.product,
            "quantity": position.quantity,
            "overnight_quantity": overnight,
            "multiplier": 1,
            "average_price": average,
            "close_price": close,
            "last_price": last,
            "value": -position.open_value,
            "pnl": profit,
            "m2m": profit - overnight * (carried_at - line.overnight_price),
            "unrealised": unrealised,
            "realised": position.realized_pnl,
            **_traded("buy", line.bought, line.buy_value, max(overnight, 0), line.overnight_price, carried_at),
            **_traded("sell", line.sold, line.sell_value, max(-overnight, 0), line.overnight_price, carried_at),
        }

    def _odd_row(self, row: OddRow) -> Row:
        account, whole = self._portfolio.account, Product.MIS
        flat = Position(account, row.symbol, whole)
        side = Side.BUY if row.quantity > 0 else Side.SELL
        held = booked(flat, side, abs(row.quantity), row.price) if row.quantity else flat
        return self._position_row(Line(0, Decimal(0), held, held), held) | {"product": row.product}

    def _holding_row(self, line: Line) -> Row:
        exchange, _, tradingsymbol = line.net.symbol.partition(":")
        last = self._portfolio.price(line.net.symbol, line.overnight_price)
        close = self._portfolio.close(line.net.symbol)
        change = last - close if close else Decimal(0)
        instrument = self._portfolio.instruments.get(line.net.symbol)
        return {
            "tradingsymbol": tradingsymbol,
            "exchange": exchange,
            "instrument_token": instrument.instrument_token if instrument else 0,
            "isin": "",
            "product": line.net.product,
            "price": 0,
            "quantity": line.overnight - line.t1,
            "used_quantity": min(line.sold, line.overnight),
            "t1_quantity": line.t1,
            "realised_quantity": line.overnight - line.t1,
            "authorised_quantity": line.authorised,
            "opening_quantity": line.overnight,
            "collateral_quantity": line.pledged,
            "collateral_type": None,
            "discrepancy": False,
            "average_price": line.overnight_price,
            "last_price": last,
            "close_price": close,
            "pnl": (last - line.overnight_price) * line.overnight,
            "day_change": change,
            "day_change_percentage": 100 * change / close if close else 0,
        }


UTILISED = (
    *("debits", "exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span", "holding_sales"),
    *("turnover", "liquid_collateral", "stock_collateral", "delivery"),
)


def _is_holding(line: Line) -> bool:
    """Delivery shares of earlier days are holdings, and no longer a position."""
    return line.net.product.is_delivery and line.overnight > 0


def _traded(side: str, quantity: int, value: Decimal, carried: int, price: Decimal, close: Decimal) -> Row:
    """One side of a position: `quantity` of the day, and what was `carried` into it, bought or sold at `price`. Marked
    to market, that counts from the close (Kite documentation, positions)."""
    whole = value + carried * price
    return {
        f"{side}_quantity": quantity + carried,
        f"{side}_price": _mean(whole, quantity + carried),
        f"{side}_value": whole,
        f"{side}_m2m": value + carried * close,
        f"day_{side}_quantity": quantity,
        f"day_{side}_price": _mean(value, quantity),
        f"day_{side}_value": value,
    }


def _mean(value: Decimal, quantity: int) -> Decimal:
    return (value / quantity).quantize(PRICE_PLACES) if quantity else Decimal(0)
