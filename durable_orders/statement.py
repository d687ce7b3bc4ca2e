"""The statement of a financial year: by month, class of instrument and strategy, with the turnover of a tax audit."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

from durable_orders.trading.charges.contracts import Kind, contract_of
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.yearly import Earning
from durable_orders.trading.orders.order import Product, Side

APRIL = 4
Line = dict[str, Any]


class InstrumentClass(StrEnum):
    EQUITY_INTRADAY = "equity intraday"
    EQUITY_DELIVERY = "equity delivery"
    FUTURES = "equity futures"
    OPTIONS = "equity options"
    COMMODITY = "commodity"
    CURRENCY = "currency"
    OTHER = "other"


BY_EXCHANGE = {
    "MCX": InstrumentClass.COMMODITY,
    "NCO": InstrumentClass.COMMODITY,
    "CDS": InstrumentClass.CURRENCY,
    "BCD": InstrumentClass.CURRENCY,
}


class By(StrEnum):
    MONTH = "month"
    CLASS = "class"
    STRATEGY = "strategy"


def class_of(symbol: str, product: Product) -> InstrumentClass:
    """Shares by the product that they were traded with; derivatives by their symbol."""
    exchange = symbol.partition(":")[0]
    if exchange in ("NSE", "BSE"):
        return InstrumentClass.EQUITY_INTRADAY if product is Product.MIS else InstrumentClass.EQUITY_DELIVERY
    if exchange in ("NFO", "BFO"):
        return InstrumentClass.OPTIONS if is_option(symbol) else InstrumentClass.FUTURES
    return BY_EXCHANGE.get(exchange, InstrumentClass.OTHER)


def is_option(symbol: str) -> bool:
    contract = contract_of(symbol)
    kind = contract.kind if contract is not None else Kind.SHARE
    return kind.is_option


def financial_year(text: str) -> tuple[datetime, datetime]:
    """Of `2025-26`: from 1 April 2025 to before 1 April 2026, in IST. Raises `ValueError`."""
    first, dash, last = text.partition("-")
    if not (len(first) == 4 and first.isdecimal() and dash and last == f"{(int(first) + 1) % 100:02}" and int(first)):
        raise ValueError(f"must be a financial year as in 2025-26, was {text[:20]!r}")
    begin, end = (datetime.combine(date(int(first) + more, APRIL, 1), time(0), IST) for more in (0, 1))
    return begin, end


def year_of(day: date) -> str:
    """The financial year of a day, as in `2025-26`."""
    first = day.year if day.month >= APRIL else day.year - 1
    return f"{first}-{(first + 1) % 100:02}"


KEYS: dict[By, Callable[[Earning], str]] = {
    By.MONTH: lambda each: each.at.astimezone(IST).strftime("%Y-%m"),
    By.CLASS: lambda each: class_of(each.symbol, each.product).value,
    By.STRATEGY: lambda each: each.strategy,
}
NOTHING = Decimal("0.00")
SUMS = ("bought", "sold", "realized", "turnover", "premium_received", *Charges.model_fields, "charges", "net")
"""Of a line, in rupees. `turnover` is that of a tax audit (docs/statement.md)."""
CLASSES = {each.value: number for number, each in enumerate(InstrumentClass)}


def statement(found: Iterable[Earning], by: Iterable[By] = tuple(By)) -> list[Line]:
    """A line for each month, class and strategy, or for each of those that are asked for; in memory are only these."""
    keys = tuple(by)
    lines: dict[tuple[str, ...], Line] = {}
    for each in found:
        key = tuple(KEYS[name](each) for name in keys)
        line = lines.get(key)
        if line is None:
            own = dict(zip((name.value for name in keys), key, strict=True))
            line = lines[key] = own | {"trades": 0, "uncharged_trades": 0} | dict.fromkeys(SUMS, NOTHING)
        _add(line, each)
    return [lines[key] for key in sorted(lines, key=lambda key: [(CLASSES.get(part, -1), part) for part in key])]


def _add(line: Line, each: Earning) -> None:
    line["trades"] += 1
    line["bought" if each.side is Side.BUY else "sold"] += each.value
    line["realized"] += each.realized
    line["turnover"] += turnover(each)
    if each.side is Side.SELL and is_option(each.symbol):
        line["premium_received"] += each.value
    if each.charges is None:
        line["uncharged_trades"] += 1
    else:
        for name in Charges.model_fields:
            line[name] += getattr(each.charges, name)
        line["charges"] += each.charges.total
    line["net"] = line["realized"] - line["charges"]


def turnover(each: Earning) -> Decimal:
    """Of delivery, what was sold; of everything that is settled by its difference, that difference, gain or loss."""
    if class_of(each.symbol, each.product) is InstrumentClass.EQUITY_DELIVERY:
        return each.value if each.side is Side.SELL else NOTHING
    return abs(each.realized)
