"""Contract notes as Zerodha's Console gives them in XML: of each day the trades, and what was billed for them.

`contract_note/contracts/contract` has `id`, `timestamp` (the day), `trades/trade` (with `segment_id` as in `NSE-EQ` and
`instrument_id` as in `NSE:INFY - EQ / INE009A01021`; `id`, `order_id`, `timestamp` as a time of day, `type` B or S,
`quantity` and `value`, below 0 of sales, `average_price`) and `grandtotal` with `name` and `value`. The format is not
documented; it was read from what public importers of it take. Order ids are the exchange's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from durable_orders.trading.brokers.kite.tradebook import (
    SEGMENTS,
    Tradebook,
    TradebookRow,
    exchange_of,
    without_doubles,
)
from durable_orders.trading.charges.fees import NOTHING, Charges
from durable_orders.trading.errors import InvalidTradebook
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import BrokerOrderId, Side, TradeId

USER = re.compile(r"[A-Z]{2,3}[0-9]{4,6}")
"""What stands for a user somewhere among the client's particulars."""
KINDS = {"EQ": "EQ", "FO": "FO", "CD": "CDS", "CDS": "CDS", "CO": "COM", "COM": "COM"}
"""The Console's segments, by the last part of a segment id."""
SIDES = {"B": Side.BUY, "S": Side.SELL}
LINES = {
    "brokerage": "brokerage",
    "securities transaction tax": "transaction_tax",
    "commodities transaction tax": "transaction_tax",
    "commodity transaction tax": "transaction_tax",
    "exchange transaction charges": "exchange_turnover_charge",
    "clearing charges": "exchange_turnover_charge",
    "sebi turnover fees": "sebi_turnover_charge",
    "stamp duty": "stamp_duty",
    "central gst": "gst",
    "state gst": "gst",
    "integrated gst": "gst",
}
"""By how the name of a total begins, the line of ours that it belongs to."""
NO_CHARGES = ("pay in", "net amount", "exchange obligation", "taxable value", "none")
"""How the names of totals begin that are no charges."""


@dataclass(frozen=True, slots=True)
class ContractNote(Tradebook):
    """The notes of one file."""

    billed: Mapping[date, Charges]
    """Of each day, the totals of its notes."""

    @property
    def days(self) -> list[date]:
        return sorted(self.billed)

    def tells_of(self, day: date) -> bool:
        return day in self.billed


def read_contract_note(file: Path, user: str | None) -> ContractNote:
    """All of it or nothing. Raises `InvalidTradebook`, which names the note and the field, for a file of another
    user's, of another kind, that is not whole, or that has a trade twice."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise InvalidTradebook(f"{file.name}: is no contract note: it declares a document type")
        root = ElementTree.fromstring(text)  # noqa: S314
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise InvalidTradebook(f"{file.name}: is no whole XML file ({error})") from None
    notes = root.findall("contracts/contract")
    if root.tag != "contract_note" or not notes:
        raise InvalidTradebook(f"{file.name}: has no contract_note with contracts: it is not a Console contract note")
    rows, billed = list[TradebookRow](), dict[date, Charges]()
    for note in notes:
        where = f"{file.name}: note {_text(note, 'id') or 'without an id'}"
        _must_be_of(note, user, where)
        day = _day(note, where)
        rows += [_row(trade, day, len(rows) + place, where) for place, trade in enumerate(note.iter("trade"), 1)]
        billed[day] = billed.get(day, Charges()) + _charges(note, where)
    return ContractNote(file.name, None, tuple(without_doubles(file, rows)), billed)


def _must_be_of(note: Element, user: str | None, where: str) -> None:
    client = note.find("client")
    users = {word for each in (client.iter() if client is not None else ()) if (word := (each.text or "").strip())}
    named = {word.upper() for word in users if USER.fullmatch(word.upper())}
    if user is not None and user.upper() not in {word.upper() for word in users}:
        whose = f"is of user {' or '.join(sorted(named))}" if named else "does not name its user"
        raise InvalidTradebook(f"{where}: {whose}, and the account is {user}'s")


def _day(note: Element, where: str) -> date:
    text = _text(note, "timestamp")
    try:
        return _local(datetime.fromisoformat(text)).date()
    except ValueError:
        raise InvalidTradebook(f"{where}: timestamp: must be a date, as in 2026-11-27, was {text!r}") from None


def _row(trade: Element, day: date, line: int, where: str) -> TradebookRow:
    own = _text(trade, "id")
    at = f"{where}: trade {own or line}"
    for name in ("id", "order_id", "type", "quantity", "average_price", "timestamp"):
        if not _text(trade, name):
            raise InvalidTradebook(f"{at}: {name}: must not be empty")
    if (kind := _text(trade, "type").upper()) not in SIDES:
        raise InvalidTradebook(f"{at}: type: must be B or S, was {kind!r}")
    quantity, price = (abs(_number(trade, name, at)) for name in ("quantity", "average_price"))
    if quantity != quantity.to_integral_value() or not quantity or not price:
        raise InvalidTradebook(f"{at}: quantity and average_price: must be a whole number and a price, not 0")
    name, segment, exchange = _instrument(trade, at)
    return TradebookRow(
        line=line,
        tradingsymbol=name,
        segment=segment,
        exchange=exchange,
        day=day,
        side=SIDES[kind],
        quantity=int(quantity),
        price=price,
        trade_id=TradeId(own),
        order_id=BrokerOrderId(_text(trade, "order_id")),
        at=datetime.combine(day, _time(trade, day, at), IST),
    )


def _instrument(trade: Element, at: str) -> tuple[str, str, str]:
    """Its name within the exchange, the Console's segment, and Kite's exchange."""
    instrument, of = trade.get("instrument_id", "").strip(), trade.get("segment_id", "").strip()
    told, colon, rest = instrument.partition(":")
    by_exchange = next((segment for segment, exchanges in SEGMENTS.items() if told in exchanges), None)
    segment = KINDS.get(of.rpartition("-")[2].upper(), by_exchange)
    name = re.split(r" - | / ", rest)[0].strip()
    exchange = None if segment is None else exchange_of(segment, told.upper())
    if not colon or not name or segment is None or exchange is None:
        both = f"instrument_id {instrument!r}, segment_id {of!r}"
        raise InvalidTradebook(f"{at}: {both}: must be as in NSE:INFY - EQ / INE009A01021 and NSE-EQ")
    return name, segment, exchange


def _charges(note: Element, where: str) -> Charges:
    found = dict.fromkeys(Charges.model_fields, NOTHING)
    for each in note.iter("grandtotal"):
        name = _text(each, "name").lower()
        if not name or name.startswith(NO_CHARGES):
            continue
        line = next((line for begin, line in LINES.items() if name.startswith(begin)), None)
        amount = abs(_number(each, "value", f"{where}: {name}")) if _text(each, "value") else NOTHING
        if line is None:
            if amount:
                raise InvalidTradebook(f"{where}: {name}: is no charge that is known here")
            continue
        found[line] += amount
    return Charges(**found)


def _number(of: Element, name: str, where: str) -> Decimal:
    text = _text(of, name)
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidTradebook(f"{where}: {name}: must be a number, was {text!r}")
    return number


def _time(trade: Element, day: date, where: str) -> time:
    text = _text(trade, "timestamp")
    try:
        if len(text) <= len("10:00:00"):
            return time.fromisoformat(text)
        moment = _local(datetime.fromisoformat(text))
    except ValueError:
        raise InvalidTradebook(f"{where}: timestamp: must be a time, as in 10:30:05, was {text!r}") from None
    if moment.date() != day:
        raise InvalidTradebook(f"{where}: timestamp: the note is of {day}, was {text!r}")
    return moment.time()


def _local(moment: datetime) -> datetime:
    """In IST, as one without a zone is."""
    return moment if moment.tzinfo is None else moment.astimezone(IST).replace(tzinfo=None)


def _text(of: Element, name: str) -> str:
    """`None` stands for nothing in these files."""
    text = (of.findtext(name) or "").strip()
    return "" if text == "None" else text
