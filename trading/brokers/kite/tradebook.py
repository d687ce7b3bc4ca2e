"""The tradebook that Zerodha's Console gives as CSV: a later source of what was traded, independent of the API.

It has a row for each trade, with the broker's order id and the exchange's trade id. Neither its user nor its range of
days is in it: the user is in the name it is saved under, as in `tradebook-AB1234-EQ.csv`, and the range may be as short
as its trades, of one segment, and of one symbol alone where that was asked for.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from durable_orders.trading.errors import InvalidTradebook
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import BrokerOrderId, Side, TradeId

COLUMNS = (
    *("symbol", "isin", "trade_date", "exchange", "segment", "series", "trade_type", "auction", "quantity", "price"),
    *("trade_id", "order_id", "order_execution_time"),
)
OPTIONAL = ("expiry_date",)
"""In the tradebooks of derivatives."""
EXCHANGES: Mapping[str, Mapping[str, str]] = {
    "EQ": {"NSE": "NSE", "BSE": "BSE"},
    "FO": {"NSE": "NFO", "BSE": "BFO"},
    "COM": {"MCX": "MCX", "NSE": "NCO"},
    "CDS": {"NSE": "CDS", "BSE": "BCD"},
}
"""The Console's segments with its exchanges, and Kite's name of each."""
SEGMENTS: Mapping[str, tuple[str, ...]] = {segment: tuple(of.values()) for segment, of in EXCHANGES.items()}
"""The Console's segments, and Kite's exchanges of each."""
SAVED_AS = re.compile(r"tradebook-(?P<user>[A-Z]{2}[0-9]{4,6}|[A-Z0-9]{4,10})-.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TradebookRow:
    """One trade."""

    line: int
    """Of the file, from 1."""
    tradingsymbol: str
    segment: str
    exchange: str
    """Kite's, as `NFO`. A trade id is one exchange's: another one may give the same."""
    day: date
    side: Side
    quantity: int
    price: Decimal
    """Rupees."""
    trade_id: TradeId
    order_id: BrokerOrderId
    at: datetime

    @property
    def symbol(self) -> str:
        return f"{self.exchange}:{self.tradingsymbol}"

    @property
    def key(self) -> tuple[str, str, str]:
        return self.order_id, self.trade_id, self.exchange


@dataclass(frozen=True, slots=True)
class Tradebook:
    """One file."""

    name: str
    user: str | None
    """Whose it is, in capitals; `None` where its name does not tell."""
    rows: tuple[TradebookRow, ...]

    @property
    def days(self) -> list[date]:
        return sorted({row.day for row in self.rows})

    def rows_of(self, day: date) -> list[TradebookRow]:
        return [row for row in self.rows if row.day == day]

    def tells_of(self, day: date) -> bool:
        """Whether it has trades of that day, or of days before and after it, of one segment."""
        of = {segment: [row.day for row in self.rows if row.segment == segment] for segment in SEGMENTS}
        return any(min(days) <= day <= max(days) for days in of.values() if days)

    def has_segment_of(self, symbol: str) -> bool:
        return bool(self._of_segment(symbol))

    def why_silence_proves_nothing(self, symbol: str, day: date) -> str | None:
        """Why a trade of that symbol and day may be missing from it; `None` where it would have it."""
        rows = self._of_segment(symbol)
        if not any(row.day <= day for row in rows) or not any(row.day > day for row in rows):
            return f"{self.name} may not tell of {day}: it has no trades of that segment both until then and later"
        names = {row.tradingsymbol for row in rows}
        if len(names) == 1 and symbol.partition(":")[2] not in names:
            return f"{self.name} has trades of {names.pop()} alone: it may be of that symbol only"
        return None

    def _of_segment(self, symbol: str) -> list[TradebookRow]:
        return [row for row in self.rows if symbol.partition(":")[0] in SEGMENTS[row.segment]]


def read_tradebook(file: Path, user: str | None) -> Tradebook:
    """All of it or nothing. Raises `InvalidTradebook`, which names the line and the column, for a file of another
    user's, with other columns, that ends within a row, or has a trade twice.
    """
    named = SAVED_AS.fullmatch(file.name)
    if named is not None and user is not None and named["user"].upper() != user.upper():
        raise InvalidTradebook(f"{file.name}: is of user {named['user']}, and the account is {user}'s")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = list(csv.reader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidTradebook(f"{file.name}: is no CSV file ({error})") from None
    if not table:
        raise InvalidTradebook(f"{file.name}: is empty")
    header = tuple(name.strip().lower() for name in table[0])
    missing = [name for name in COLUMNS if name not in header]
    unknown = [name for name in header if name not in (*COLUMNS, *OPTIONAL)]
    if missing or unknown:
        told = [f"has no column {name}" for name in missing] + [f"has an unknown column {name!r}" for name in unknown]
        raise InvalidTradebook(f"{file.name}: {', '.join(told)}: it is not a Console tradebook")
    rows = without_doubles(file, [_row(file, number, header, cells) for number, cells in enumerate(table[1:], 2)])
    return Tradebook(file.name, named["user"].upper() if named is not None else None, tuple(rows))


def _row(file: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> TradebookRow:
    where = f"{file.name}: line {line}"
    if len(cells) != len(header):
        raise InvalidTradebook(f"{where}: has {len(cells)} of {len(header)} fields: the file is not whole")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    segment, side = row["segment"].upper(), row["trade_type"].upper()
    if segment not in SEGMENTS:
        raise InvalidTradebook(f"{where}: segment: must be one of {', '.join(SEGMENTS)}, was {segment!r}")
    if side not in list(Side):
        raise InvalidTradebook(f"{where}: trade_type: must be buy or sell, was {row['trade_type']!r}")
    if (exchange := exchange_of(segment, row["exchange"].upper())) is None:
        known = " or ".join(EXCHANGES[segment])
        raise InvalidTradebook(f"{where}: exchange: must be {known} in segment {segment}, was {row['exchange']!r}")
    for name in ("symbol", "trade_id", "order_id"):
        if not row[name]:
            raise InvalidTradebook(f"{where}: {name}: must not be empty")
    price = _number(where, "price", row["price"])
    quantity = _number(where, "quantity", row["quantity"])
    if quantity != quantity.to_integral_value():
        raise InvalidTradebook(f"{where}: quantity: must be a whole number, was {row['quantity']!r}")
    at = _moment(where, "order_execution_time", row["order_execution_time"])
    return TradebookRow(
        line=line,
        tradingsymbol=row["symbol"],
        segment=segment,
        exchange=exchange,
        day=_moment(where, "trade_date", row["trade_date"]).date(),
        side=Side(side),
        quantity=int(quantity),
        price=price,
        trade_id=TradeId(row["trade_id"]),
        order_id=BrokerOrderId(row["order_id"]),
        at=at,
    )


def exchange_of(segment: str, told: str) -> str | None:
    """Kite's, by the Console's segment and what it calls the exchange there, which may be Kite's name too."""
    of = EXCHANGES[segment]
    return told if told in of.values() else of.get(told)


def _number(where: str, name: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise InvalidTradebook(f"{where}: {name}: must be a number above 0, was {text!r}")
    return number


def _moment(where: str, name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=IST)
    except ValueError:
        raise InvalidTradebook(f"{where}: {name}: must be a date, as in 2026-11-27, was {text!r}") from None


def without_doubles(file: Path, rows: list[TradebookRow]) -> list[TradebookRow]:
    """The same rows. Raises `InvalidTradebook` for a trade that is there twice."""
    first: dict[tuple[str, str, str], int] = {}
    for row in rows:
        known = first.setdefault(row.key, row.line)
        if known != row.line:
            words = f"has trade {row.trade_id} of order {row.order_id} a second time"
            raise InvalidTradebook(f"{file.name}: line {row.line}: {words}; line {known} has it")
    return rows
