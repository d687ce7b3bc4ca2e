"""What happens to positions and holdings without an order of the app: conversion, square-off by RMS, settlement of
contracts, splits, shares that come in, and rows of products that the app cannot order."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from durable_orders.sandbox.cover_orders import AT_MARKET, is_stop_of_cover
from durable_orders.sandbox.envelopes import wrong_input
from durable_orders.sandbox.exchange import Exchange
from durable_orders.sandbox.order_desk import OrderDesk
from durable_orders.sandbox.portfolio import Line, OddRow, Portfolio
from durable_orders.trading.market.expiry import Expiry
from durable_orders.trading.orders.order import PRICE_PLACES, OrderType, Product, Side, Terms

NOT_HELD = "The position of {quantity} {symbol} in {product} cannot be converted: {held} are open."


@dataclass(slots=True)
class AccountEvents:
    """Of one account. What is moved outlives a restart, as trades do; odd rows do not."""

    portfolio: Portfolio
    exchange: Exchange
    desk: OrderDesk
    expiry: Expiry | None = None
    """When contracts end, and at which price; `None` where none does."""

    async def convert(self, symbol: str, side: Side, quantity: int, old: Product, new: Product) -> None:
        """From one product to another, at the average price: nothing is realized. Raises `KiteError` for what is not
        there. `side` is that of the position: BUY of a long one."""
        line = self.portfolio.lines.get((symbol, old))
        held = line.net.quantity if line is not None else 0
        if line is None or held * side.sign < quantity or old is new:
            raise wrong_input(NOT_HELD.format(quantity=quantity, symbol=symbol, product=old, held=held))
        price = line.net.average_price or Decimal(0)
        await self._move(symbol, old, -side.sign * quantity, price)
        await self._move(symbol, new, side.sign * quantity, price)
        self.portfolio.turn_over(line, self.portfolio.lines[symbol, new], side, quantity, price)

    async def square_off(self, symbol: str | None) -> list[str]:
        """What RMS does before the close: MIS orders are cancelled, and MIS positions closed at the market by orders of
        its own. What a cover order holds is exited by its stop. Gives the ids of RMS's orders."""
        for view in self.exchange.book.working():
            row = view.row
            if row.product is not Product.MIS or symbol not in (None, row.symbol):
                continue
            if is_stop_of_cover(view.details):
                await self.exchange.modify(row.broker_order_id, AT_MARKET, view.details)
            else:
                await self.exchange.cancel(row.broker_order_id)
        placed = []
        for (own, product), line in list(self.portfolio.lines.items()):
            if product is Product.MIS and symbol in (None, own) and line.net.quantity:
                side = Side.SELL if line.net.quantity > 0 else Side.BUY
                terms = Terms(
                    symbol=own,
                    side=side,
                    quantity=abs(line.net.quantity),
                    product=product,
                    order_type=OrderType.MARKET,
                )
                placed.append(await self.desk.place_foreign(terms))
        return [str(order_id) for order_id in placed]

    async def settle(self, symbol: str, price: Decimal) -> None:
        """A contract has expired: what is open of it is settled in cash, in rupees a unit."""
        for line in self._of(symbol):
            if line.net.quantity:
                await self._move(symbol, line.net.product, -line.net.quantity, price)

    async def end_day(self, day: date) -> None:
        """Settle what is open of contracts whose last day that was, or an earlier one, as on paper and without an
        order. Nothing is delivered."""
        for symbol, product, held, price in await self.exchange.expired(self.expiry, day) if self.expiry else ():
            await self._move(symbol, product, -held, price)

    async def split(self, symbol: str, old: int, new: int) -> None:
        """So many shares become so many: 1 and 5 for a share of which each becomes five. Costs stay as they are."""
        factor = Fraction(new, old)
        for line in self._of(symbol):
            quantity, price = line.net.quantity, line.net.average_price
            if not quantity or price is None:
                continue
            after = int(quantity * factor)
            if not after:
                raise wrong_input(f"{quantity} {symbol} do not make one share")
            paid = (price * quantity / after).quantize(PRICE_PLACES)
            was = (line.overnight, line.overnight_price)
            await self._move(symbol, line.net.product, -quantity, price)
            await self._move(symbol, line.net.product, after, paid)
            line.overnight, line.overnight_price = int(was[0] * factor), paid if was[0] else was[1]

    async def give(self, symbol: str, quantity: int, price: Decimal, t1: int, pledged: int, authorised: int) -> None:
        """Shares in the demat account since an earlier day, of which so many are of yesterday, pledged, authorised."""
        await self._move(symbol, Product.CNC, quantity, price)
        line = self.portfolio.lines[symbol, Product.CNC]
        line.overnight, line.overnight_price = line.overnight + quantity, price
        line.t1, line.pledged, line.authorised = line.t1 + t1, line.pledged + pledged, line.authorised + authorised

    def authorise(self, symbol: str, quantity: int) -> None:
        """The depository lets so many shares be sold today."""
        line = self.portfolio.lines.get((symbol, Product.CNC))
        if line is None or not line.overnight:
            raise wrong_input(f"no holdings of {symbol}")
        line.authorised = min(line.authorised + quantity, line.overnight)

    def show_odd(self, row: OddRow) -> None:
        """A row of a product that the app cannot order, such as CO or BO; of quantity 0, as one that is closed."""
        self.portfolio.odd[row.symbol, row.product] = row

    def _of(self, symbol: str) -> list[Line]:
        found = [line for (own, _), line in self.portfolio.lines.items() if own == symbol]
        if not found:
            raise wrong_input(f"nothing of {symbol} is held")
        return found

    async def _move(self, symbol: str, product: Product, quantity: int, price: Decimal) -> None:
        if not quantity:
            return
        if self.portfolio.instruments.get(symbol) is None:
            raise wrong_input(f"symbol: {symbol} is not in the instruments")
        await self.exchange.move(symbol, product, quantity, price)
        self.portfolio.move(symbol, product, quantity, price)
