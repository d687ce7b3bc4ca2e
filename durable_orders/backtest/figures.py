"""What a backtest came to, in figures: trades, equity, drawdown, charges, and slippage against the arrival price."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from durable_orders.trading.backtest.flatten import Tripped
from durable_orders.trading.backtest.orders import Ended
from durable_orders.trading.backtest.play import Played
from durable_orders.trading.backtest.trail import Marks
from durable_orders.trading.charges.fees import Charges, NoCharges, charged_as, charges_of_order
from durable_orders.trading.config.settings import OnTrip
from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Product, Side, Status

ZERO = Decimal(0)
BPS = Decimal(10_000)
PAISA = Decimal("0.01")
MOST_POINTS = 20_000
"""Of the curve: 53 days of minutes are shown whole."""


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One order that traded."""

    at: datetime
    """Of its last fill, on the market's clock."""
    client_order_id: str
    symbol: str
    side: Side
    quantity: int
    """Units filled."""
    average_price: Decimal
    """Rupees a unit."""
    arrival_price: Decimal | None
    """Rupees: the last price when the strategy asked for it, `None` before the first tick; of a stop its trigger, as
    that is where it asked to trade."""
    slippage: Decimal | None
    """Rupees that the fills were worse than that; less than 0 where they were better."""
    charges: Decimal
    """Rupees."""
    realized: Decimal
    """Rupees that it earned by closing something, before charges."""
    position: int
    """Units held of the symbol and product after it."""
    reason: str
    """Why it was placed, where that is said: by the strategy, or by who closed the position."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """One order that was rejected."""

    at: datetime
    client_order_id: str
    symbol: str
    side: Side
    quantity: int
    why: str
    """All the reasons."""


@dataclass(frozen=True, slots=True)
class TripLine:
    """A circuit breaker that tripped."""

    at: datetime
    cause: str
    why: str
    """The limit, and what the day had come to."""
    response: OnTrip
    cancelled: list[str]
    """Client order ids of what was open and was cancelled."""
    closed: list[str]
    """Those of the orders that closed positions."""
    done: str
    """The same in words, and what could not be closed."""


@dataclass(frozen=True, slots=True)
class Point:
    """The account at a moment, in rupees."""

    at: datetime
    equity: Decimal
    """Profit so far, realized and not, after charges."""
    gross: Decimal
    """The same before charges."""
    drawdown: Decimal
    """How far the equity is below its highest until then; 0 or less."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it. Rupees where nothing else is said."""

    strategy: str
    first: datetime | None
    last: datetime | None
    ticks: int
    orders: int
    by_status: dict[Status, int]
    gross_profit: Decimal
    charges: Charges
    net_profit: Decimal
    max_drawdown: Decimal
    """At least 0."""
    turnover: Decimal
    slippage: Decimal
    slippage_bps: Decimal | None
    """Of the turnover at arrival prices; `None` without one."""
    wins: int
    """Orders that closed something and earned money by it, before charges."""
    losses: int
    trades: list[TradeLine]
    curve: list[Point]
    refusals: dict[str, int]
    """Why orders were rejected, and how many."""
    refused: list[RefusedLine]
    trips: list[TripLine]
    uncharged: dict[str, str]
    """Symbols whose charges are not known, and why."""
    funds: Funds | None
    """The broker's at the end, with the charges that no order has; `None` where the account has none set."""
    failure: str | None
    notes: list[str]
    """What went otherwise than one might think, from the files of ticks on: rows that were left out, columns, zones."""


def figures_of(played: Played) -> Figures:
    """Works it all out of what was played. The charges are those of each order with all its fills."""
    orders = played.orders
    traded = [order for order in orders if order.trades]
    lines, charges, uncharged = _trades(traded)
    curve, drawdown = _curve(played.marks, lines)
    slippage = sum((line.slippage for line in lines if line.slippage is not None), ZERO)
    arrived = sum((line.arrival_price * line.quantity for line in lines if line.arrival_price is not None), ZERO)
    gross = played.marks.last.profit.quantize(PAISA) if played.marks.last is not None else ZERO
    return Figures(
        strategy=played.strategy,
        first=played.first,
        last=played.last,
        ticks=played.ticks,
        orders=len(orders),
        by_status=dict(Counter(order.status for order in orders)),
        gross_profit=gross,
        charges=charges,
        net_profit=gross - charges.total,
        max_drawdown=drawdown,
        turnover=sum((line.average_price * line.quantity for line in lines), ZERO).quantize(PAISA),
        slippage=slippage.quantize(PAISA),
        slippage_bps=(slippage / arrived * BPS).quantize(PAISA) if arrived else None,
        wins=sum(line.realized > 0 for line in lines),
        losses=sum(line.realized < 0 for line in lines),
        trades=lines,
        curve=curve,
        refusals=dict(
            Counter(_code(reason) for order in _rejected(orders) for reason in order.reasons if _refuses(reason))
        ),
        refused=[_refused(order) for order in _rejected(orders)],
        trips=[_trip(tripped, played) for tripped in played.core.flatten.tripped],
        uncharged=uncharged,
        funds=played.core.exchange.funds(),
        failure=played.failure,
        notes=played.notes,
    )


def refused_throughout(figures: Figures) -> str | None:
    """Why nothing was traded, if every single order was refused; else `None`."""
    if not figures.orders or len(figures.refused) < figures.orders:
        return None
    first, others = figures.refused[0], figures.orders - 1
    too = f", and {others} more for the same reason" if others else ""
    if others and len(figures.refusals) > 1:
        counts = ", ".join(f"{count} {code}" for code, count in figures.refusals.items())
        too = f"; all {figures.orders} were refused: {counts}"
    return f"{figures.strategy}: no order passed: {first.client_order_id} was refused, {first.why}{too}"


def _rejected(orders: Iterable[Ended]) -> Iterable[Ended]:
    return (order for order in orders if order.status is Status.REJECTED)


def _refuses(reason: str) -> bool:
    """Whether it says why; that a cancel was asked for as well is no refusal."""
    return not reason.startswith("cancel requested")


def _refused(order: Ended) -> RefusedLine:
    why = "; ".join(order.reasons)
    return RefusedLine(order.updated_at, order.client_order_id, order.symbol, order.side, order.quantity, why)


def _trip(tripped: Tripped, played: Played) -> TripLine:
    trip, orders = tripped.trip, [played.core.order(name) for name in tripped.closing]
    closed = [f"{each.side} {each.filled_quantity} {each.symbol} {each.product}" for each in orders if each.fills]
    parts = [f"cancelled {len(tripped.cancelled)}"] if tripped.cancelled else []
    parts += [f"closed by {', '.join(closed)}"] if closed else []
    words = "; ".join(parts + tripped.problems) or "nothing was open"
    if trip.response is OnTrip.KEEP:
        words = "open orders went on"
    return TripLine(
        trip.at,
        trip.cause,
        trip.message,
        trip.response,
        tripped.cancelled,
        tripped.closing,
        f"{words} ({trip.response})",
    )


def _code(reason: str) -> str:
    """A check's code; else the first sentence, which has no figures of its own."""
    code, colon, _ = reason.partition(":")
    return code if colon and code.isupper() else reason.partition(". ")[0]


def _trades(orders: Sequence[Ended]) -> tuple[list[TradeLine], Charges, dict[str, str]]:
    held: dict[tuple[str, Product], Position] = {}
    lines, total, uncharged = [], Charges(), dict[str, str]()
    for order in sorted(orders, key=lambda order: order.trades[-1].at):
        key = (order.symbol, order.product)
        before = position = held.get(key) or Position(order.account, *key)
        for trade in order.trades:
            position = booked(position, order.side, trade.quantity, trade.price)
        held[key] = position
        try:
            charges = _charges(order)
        except NoCharges as error:
            charges = Charges()
            uncharged[order.symbol] = str(error)
        total += charges
        lines.append(_line(order, charges, position.realized_pnl - before.realized_pnl, position.quantity))
    return lines, total, uncharged


def _charges(order: Ended) -> Charges:
    segment, contract = charged_as(order.symbol, order.product)
    return charges_of_order(segment, contract.exchange, order.side, order.fills, multiplier=contract.multiplier or 1)


def _line(order: Ended, charges: Charges, realized: Decimal, position: int) -> TradeLine:
    quantity = sum(trade.quantity for trade in order.trades)
    value = sum((trade.price * trade.quantity for trade in order.trades), ZERO)
    arrival = order.trigger_price if order.order_type.has_trigger else order.arrival_price
    return TradeLine(
        at=order.trades[-1].at,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        average_price=(value / quantity).quantize(Decimal("0.0001")),
        arrival_price=arrival,
        slippage=None if arrival is None else (order.side.sign * (value - arrival * quantity)).quantize(PAISA),
        charges=charges.total,
        realized=realized.quantize(PAISA),
        position=position,
        reason=order.reason,
    )


def _curve(marks: Marks, lines: Sequence[TradeLine]) -> tuple[list[Point], Decimal]:
    """The equity at each mark, and the largest drawdown of all of them: charges are taken off with the last fill of
    their order. Of very many marks, the last of every second, third or so on is a point."""
    points, charged, number, highest, largest = [], ZERO, 0, ZERO, ZERO
    every, count = -(-len(marks) // MOST_POINTS), len(marks)
    for place, mark in enumerate(marks, 1):
        while number < len(lines) and lines[number].at <= mark.at:
            charged += lines[number].charges
            number += 1
        equity = (mark.profit - charged).quantize(PAISA)
        highest = max(highest, equity)
        largest = max(largest, highest - equity)
        if place % every == 0 or place == count:
            points.append(Point(mark.at, equity, mark.profit.quantize(PAISA), equity - highest))
    return points, largest
