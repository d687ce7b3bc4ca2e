"""What orders cost by the ledger against what the broker works out for them, line by line, to the paisa. Pure.

The ledger rounds each line of an order to the paisa, and takes GST of the rounded lines; Kite's virtual contract note
rounds nothing. So a line agrees where the broker's, rounded, is the ledger's; GST, which the ledger takes of three
rounded lines, where the two are less than a paisa apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.charges.fees import PAISA, RUPEE, Charges, NoCharges, charged_as
from durable_orders.trading.charges.rates import Brokerage, Rate, rates_on
from durable_orders.trading.orders.book import BilledOrder

HALF = PAISA / 2
GST = "gst"
GST_OF = ("brokerage", "exchange_turnover_charge", "sebi_turnover_charge")


@dataclass(frozen=True, slots=True)
class ChargeDifference:
    """One line of one order. Rupees."""

    line: str
    """One of the fields of `Charges`."""
    ours: Decimal
    theirs: Decimal
    cause: str
    """By which rate of which day ours was worked out, and what the broker's would be the rate of."""


def differences(order: BilledOrder, ours: Charges, theirs: Charges, day: date) -> list[ChargeDifference]:
    """The lines that differ. `day` is the day whose rates ours were worked out by."""
    lines = [name for name in Charges.model_fields if not _agree(name, getattr(ours, name), getattr(theirs, name))]
    found = []
    for name in lines:
        here, there = getattr(ours, name), getattr(theirs, name)
        if name == GST and (others := [line for line in lines if line in GST_OF]):
            cause = f"follows from {' and '.join(others)}"
        else:
            cause = _by_the_sheet(name, order, there, day)
        found.append(ChargeDifference(name, here, there, cause))
    return found


def _agree(name: str, ours: Decimal, theirs: Decimal) -> bool:
    apart = abs(ours - theirs)
    return apart < PAISA if name == GST else apart <= HALF


def _by_the_sheet(name: str, order: BilledOrder, theirs: Decimal, day: date) -> str:
    try:
        segment, contract = charged_as(order.symbol, order.product)
        rates = rates_on(segment, contract.exchange, day)
    except NoCharges as error:
        return str(error)
    turnover = order.quantity * order.average_price * multiplier_of(order.symbol)
    rate = getattr(rates, name)
    told = " and ".join(_rate_words(rate, order)) if name != GST else f"{_percent(rates.gst.rate)} of three lines"
    words = f"our rate for {segment} on {contract.exchange} is {told}, since {rate.since}"
    return f"{words}; the broker's {theirs:.4f} is {_percent(theirs / turnover)} of the turnover of {turnover:.2f}"


def _rate_words(rate: Rate | Brokerage, order: BilledOrder) -> Iterator[str]:
    if isinstance(rate, Rate):
        yield _percent(rate.for_side(order.side))
        return
    if rate.flat is not None:
        yield f"{rate.flat} rupees an order"
    if rate.rate is not None:
        yield _percent(rate.rate)
    if rate.at_most is not None:
        yield f"at most {rate.at_most} rupees"


def _percent(portion: Decimal) -> str:
    return f"{(portion * 100).quantize(Decimal('0.000001')).normalize():f} %"


def of_note(ours: Charges, billed: Charges, orders: int, columns: int) -> list[tuple[str, Decimal, Decimal]]:
    """The lines in which a day's contract notes are further from the ledger than their rounding can make them: name,
    the ledger's and the note's, in rupees.

    The ledger rounds each line of an order to the paisa, and a note each line of a column (an exchange's segment), the
    transaction tax and stamp duty to the rupee (`charges/fees.py`).
    """
    paise = HALF * (orders + columns)
    room = dict.fromkeys(Charges.model_fields, paise) | {GST: 2 * paise}
    room |= dict.fromkeys(("transaction_tax", "stamp_duty"), paise + RUPEE / 2 * columns)
    pairs = ((name, getattr(ours, name), getattr(billed, name)) for name in Charges.model_fields)
    return [(name, here, there) for name, here, there in pairs if abs(here - there) > room[name]]
