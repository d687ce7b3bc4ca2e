"""Indian charges as Zerodha bills them. Pure arithmetic over the dated rates of `data/charges.yaml`.

The unit is the executed order, as in Kite's virtual contract note: brokerage is capped for the order and not for each
fill. Every component of an order is rounded half up to the paisa; GST is taken on the rounded components. What a fill
adds is the difference of the order with it and without it, so fills always sum to their order, in whatever sequence
they are booked.

A day's contract note rounds once, over all its orders, and takes the transaction tax to the whole rupee (Securities
Transaction Tax Rules 2004, rule 4; Zerodha support, "How is the Securities Transaction Tax calculated?"; of CTT a
published MCX note shows the same). Stamp duty is in paise on that MCX note and in whole rupees on Zerodha's NSE notes;
for the latter only a public reconciliation of 41 notes of 2025 was found, for BSE nothing. `contract_note` gives this
view. A ledger of orders differs from it by that rounding alone: up to 50 paise in each of the two lines, and in every
line half a paisa an order.

What is not seen from an order: shares bought and sold on one day with product CNC are taxed as intraday trades, and
STT on shares is worked out on the client's average price of the day (both by the same rules). Here an order costs what
its product and its own prices say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from durable_orders.trading.charges.contracts import Contract, Kind, contract_of
from durable_orders.trading.charges.rates import Exchange, Gst, NoCharges, Segment, rate_sheet, rates_on
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.orders.order import Fill, Frozen, Product, Side

__all__ = [
    "Charges",
    "Exchange",
    "ExecutedOrder",
    "NoCharges",
    "Segment",
    "charged_as",
    "charges_by_fill",
    "charges_of",
    "charges_of_order",
    "contract_note",
    "dp_charge",
    "segment_of",
]

PAISA = Decimal("0.01")
RUPEE = Decimal(1)
NOTHING = Decimal("0.00")

CASH = {
    Product.CNC: Segment.EQUITY_DELIVERY,
    Product.MTF: Segment.EQUITY_MTF,
    Product.MIS: Segment.EQUITY_INTRADAY,
}
DERIVATIVES = {
    (Exchange.NFO, Exchange.BFO): (Segment.EQUITY_FUTURES, Segment.EQUITY_OPTIONS),
    (Exchange.CDS, Exchange.BCD): (Segment.CURRENCY_FUTURES, Segment.CURRENCY_OPTIONS),
    (Exchange.MCX, Exchange.NCO): (Segment.COMMODITY_FUTURES, Segment.COMMODITY_OPTIONS),
}
DERIVED = (Kind.FUTURE, Kind.CALL, Kind.PUT)
DEMAT = (Segment.EQUITY_DELIVERY, Segment.EQUITY_MTF)
STAMPED_IN_PAISE = (Exchange.MCX, Exchange.NCO)


class Charges(Frozen):
    """What is billed, in rupees to the paisa, under Kite's names. Without arguments: nothing."""

    brokerage: Decimal = NOTHING
    transaction_tax: Decimal = NOTHING
    """STT; CTT for commodities."""
    exchange_turnover_charge: Decimal = NOTHING
    """With the exchange's IPFT, as on Zerodha's contract notes."""
    sebi_turnover_charge: Decimal = NOTHING
    stamp_duty: Decimal = NOTHING
    gst: Decimal = NOTHING

    @property
    def total(self) -> Decimal:
        return sum((getattr(self, name) for name in type(self).model_fields), NOTHING)

    def __add__(self, other: "Charges") -> "Charges":
        return Charges(**{name: getattr(self, name) + getattr(other, name) for name in Charges.model_fields})

    def __sub__(self, other: "Charges") -> "Charges":
        return Charges(**{name: getattr(self, name) - getattr(other, name) for name in Charges.model_fields})


class ExecutedOrder(NamedTuple):
    """The arguments of `charges_of_order`, for `contract_note`."""

    segment: Segment
    exchange: Exchange
    side: Side
    fills: Sequence[Fill]
    multiplier: int = 1


def segment_of(instrument: Instrument, product: Product) -> Segment:
    """How an instrument is charged when it is traded with that product. Raises `NoCharges`.

    ETFs and bonds count as shares: Kite's instruments do not tell them apart.
    """
    exchange = Exchange.of(instrument.symbol)
    if not instrument.tradable:
        raise NoCharges(f"{instrument.symbol}: an index cannot be traded")
    if exchange not in (Exchange.NSE, Exchange.BSE) and instrument.instrument_type not in DERIVED:
        kinds, kind = ", ".join(DERIVED), instrument.instrument_type
        raise NoCharges(f"{instrument.symbol}: instrument_type must be one of {kinds}, was {kind}")
    return _segment(instrument.symbol, exchange, instrument.instrument_type, instrument.name, product)


def charged_as(symbol: str, product: Product) -> tuple[Segment, Contract]:
    """The same from the symbol alone, so that it can be said of a contract that has expired, with what it stands for.

    Raises `NoCharges`, also for a contract of a size that is not known.
    """
    exchange, contract = Exchange.of(symbol), contract_of(symbol)
    if contract is None or contract.multiplier is None:
        raise NoCharges(f"{symbol}: how much one of its quantity stands for is not known")
    return _segment(symbol, exchange, contract.kind, contract.underlying, product), contract


def _segment(symbol: str, exchange: Exchange, kind: str, name: str, product: Product) -> Segment:
    if exchange in (Exchange.NSE, Exchange.BSE):
        if product not in CASH:
            raise NoCharges(f"{symbol}: shares are traded with {', '.join(CASH)}, not with {product}")
        return CASH[product]
    if product not in (Product.NRML, Product.MIS):
        raise NoCharges(f"{symbol}: derivatives are traded with NRML or MIS, not with {product}")
    futures, options = next(pair for exchanges, pair in DERIVATIVES.items() if exchange in exchanges)
    if Kind(kind).is_option:
        return options
    agri = futures is Segment.COMMODITY_FUTURES and name in rate_sheet().agricultural.names
    return Segment.AGRI_FUTURES if agri else futures


def charges_of(
    segment: Segment, exchange: Exchange, side: Side, quantity: int, price: Decimal, on: date, *, multiplier: int = 1
) -> Charges:
    """Of one fill that is all of its order, on the (IST) day `on`.

    `price` is in rupees; `multiplier` is what one of `quantity` stands for, as in Kite's positions: 1 for shares and
    their derivatives, 100 barrels for a lot of CRUDEOIL. Raises `NoCharges`.
    """
    bill = _Bill(segment, exchange, side)
    bill.add(_turnover(quantity, price, multiplier), on)
    return bill.charges()


def charges_of_order(
    segment: Segment, exchange: Exchange, side: Side, fills: Iterable[Fill], *, multiplier: int = 1
) -> Charges:
    """Of an order with all its fills, each at the rates of its day; without any, nothing. Raises `NoCharges`."""
    return _bill(ExecutedOrder(segment, exchange, side, tuple(fills), multiplier)).charges()


def charges_by_fill(
    segment: Segment, exchange: Exchange, side: Side, fills: Iterable[Fill], *, multiplier: int = 1
) -> tuple[Charges, ...]:
    """What each fill adds to its order, in their sequence. They sum to `charges_of_order`. Raises `NoCharges`."""
    bill = _Bill(segment, exchange, side)
    added = []
    so_far = Charges()
    for fill in fills:
        bill.add_fill(fill, multiplier)
        now = bill.charges()
        added.append(now - so_far)
        so_far = now
    return tuple(added)


def contract_note(orders: Iterable[ExecutedOrder]) -> Charges:
    """A day's orders as one column of its contract note (NSE capital market, NSE F&O, MCX and so on) has them.

    Raises `NoCharges`, also for orders of different days.
    """
    bills = [bill for bill in map(_bill, orders) if bill.days]
    days = {day for bill in bills for day in bill.days}
    if len(days) > 1:
        raise NoCharges(f"contract note: all orders must be of one day, were of {min(days)} to {max(days)}")
    if not bills:
        return Charges()
    total = Charges(
        brokerage=sum((_paisa(bill.brokerage) for bill in bills), NOTHING),
        transaction_tax=_rupee(sum(bill.transaction_tax for bill in bills)),
        exchange_turnover_charge=_paisa(sum(bill.exchange_turnover_charge for bill in bills)),
        sebi_turnover_charge=_paisa(sum(bill.sebi_turnover_charge for bill in bills)),
        stamp_duty=_stamp_on_note(bills),
    )
    return total.model_copy(update={"gst": _gst(total, bills[0].gst)})


def dp_charge(segment: Segment, exchange: Exchange, side: Side, on: date) -> Decimal:
    """Rupees, with GST, that the depository and Zerodha take when shares that were held are sold; else 0.

    Due once for each scrip and day, whatever the quantity and the number of orders, so it is part of no order's
    `Charges`. Zerodha posts it to the funds statement, not to the contract note. Raises `NoCharges`.
    """
    if side is Side.BUY or segment not in DEMAT:
        return NOTHING
    rates = rates_on(segment, exchange, on)
    return rates.dp_charge.fee + _paisa(rates.dp_charge.fee * rates.gst.rate)


@dataclass(slots=True)
class _Bill:
    """An order's charges as they add up, before any rounding."""

    segment: Segment
    exchange: Exchange
    side: Side
    turnover: Decimal = Decimal(0)
    transaction_tax: Decimal = Decimal(0)
    exchange_turnover_charge: Decimal = Decimal(0)
    sebi_turnover_charge: Decimal = Decimal(0)
    stamp_duty: Decimal = Decimal(0)
    days: set[date] = field(default_factory=set)

    def add_fill(self, fill: Fill, multiplier: int) -> None:
        """A contract that ends at 0 has expired worthless: nothing is traded, and nothing charged."""
        if fill.price:
            self.add(_turnover(fill.quantity, fill.price, multiplier), fill.day)

    def add(self, turnover: Decimal, on: date) -> None:
        rates = rates_on(self.segment, self.exchange, on)
        exchange_rate = rates.exchange_turnover_charge.for_side(self.side) + rates.ipft.for_side(self.side)
        self.days.add(on)
        self.turnover += turnover
        self.transaction_tax += turnover * rates.transaction_tax.for_side(self.side)
        self.exchange_turnover_charge += turnover * exchange_rate
        self.sebi_turnover_charge += turnover * rates.sebi_turnover_charge.for_side(self.side)
        self.stamp_duty += turnover * rates.stamp_duty.for_side(self.side)

    @property
    def brokerage(self) -> Decimal:
        return rates_on(self.segment, self.exchange, min(self.days)).brokerage.of(self.turnover)

    @property
    def gst(self) -> Gst:
        return rates_on(self.segment, self.exchange, min(self.days)).gst

    def charges(self) -> Charges:
        if not self.days:
            return Charges()
        rounded = Charges(
            brokerage=_paisa(self.brokerage),
            transaction_tax=_paisa(self.transaction_tax),
            exchange_turnover_charge=_paisa(self.exchange_turnover_charge),
            sebi_turnover_charge=_paisa(self.sebi_turnover_charge),
            stamp_duty=_paisa(self.stamp_duty),
        )
        return rounded.model_copy(update={"gst": _gst(rounded, self.gst)})


def _bill(order: ExecutedOrder) -> _Bill:
    bill = _Bill(order.segment, order.exchange, order.side)
    for fill in order.fills:
        bill.add_fill(fill, order.multiplier)
    return bill


def _turnover(quantity: int, price: Decimal, multiplier: int) -> Decimal:
    for name, number in (("quantity", quantity), ("price", price), ("multiplier", multiplier)):
        if not number > 0:
            raise NoCharges(f"{name}: must be above 0, was {number}")
    return quantity * multiplier * price


def _gst(charges: Charges, gst: Gst) -> Decimal:
    return _paisa(gst.rate * sum((getattr(charges, name) for name in gst.base), NOTHING))


def _stamp_on_note(bills: Iterable[_Bill]) -> Decimal:
    in_paise = sum(bill.stamp_duty for bill in bills if bill.exchange in STAMPED_IN_PAISE)
    in_rupees = sum(bill.stamp_duty for bill in bills if bill.exchange not in STAMPED_IN_PAISE)
    return _paisa(in_paise) + _rupee(in_rupees)


def _paisa(amount: Decimal | int) -> Decimal:
    return Decimal(amount).quantize(PAISA, ROUND_HALF_UP)


def _rupee(amount: Decimal | int) -> Decimal:
    """To the paisa first and then to the rupee: 12.495 became 13 on the notes named above."""
    return _paisa(_paisa(amount).quantize(RUPEE, ROUND_HALF_UP))
