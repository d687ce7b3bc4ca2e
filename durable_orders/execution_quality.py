"""How well orders were executed, one by one and in groups, with the market as far as somebody recorded it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from statistics import median
from typing import Any

from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.executions import Executed
from durable_orders.trading.quality.measures import HORIZONS, quality_of, weighted_mean
from durable_orders.trading.quality.tape import Tape

SIZES = ((Decimal(50_000), "below 50,000"), (Decimal(500_000), "below 5 lakh"), (Decimal(5_000_000), "below 50 lakh"))
LARGEST = "50 lakh and above"
IN_BPS = (
    "slippage_bps",
    *("slippage_vwap_bps", "slippage_close_bps", "spread_paid_bps"),
    *(f"markout_{seconds}s_bps" for seconds in HORIZONS),
)
IN_RUPEES = ("slippage_rupees", "spread_paid_rupees", "opportunity_cost_rupees", "charges_rupees", "shortfall_rupees")

Line = dict[str, Any]


class By(StrEnum):
    STRATEGY = "strategy"
    SYMBOL = "symbol"
    HOUR = "hour"
    TYPE = "type"
    SIZE = "size"


def lines(executed: Iterable[Executed], tape: Tape | None = None) -> Iterator[Line]:
    """One an order. Without a `tape`, what only the market tells is `None`."""
    for each in executed:
        own = {
            "order_id": each.order_id,
            "client_order_id": each.client_order_id,
            "strategy": each.strategy,
            "symbol": each.symbol,
            "side": each.execution.side.value,
            "order_type": each.order_type.value,
            "status": each.status.value,
            "quantity": each.execution.quantity,
            "created_at": each.execution.moments.intent.astimezone(IST).isoformat(),
            "turnover": each.turnover,
        }
        yield own | _quality(each, tape).model_dump()


def _quality(each: Executed, tape: Tape | None) -> Any:
    execution = each.execution
    if tape is None:
        return quality_of(execution)
    begin = execution.moments.checked or execution.moments.intent
    end = max((fill.at for fill in execution.fills), default=None)
    shown = replace(
        execution.prices,
        decision=tape.price_at(each.symbol, execution.moments.intent),
        vwap=None if end is None else tape.vwap(each.symbol, begin, end),
        close=tape.close(each.symbol, begin),
    )
    return quality_of(replace(execution, prices=shown), lambda moment: tape.price_at(each.symbol, moment))


def grouped(found: Iterable[Line], by: By) -> list[Line]:
    """Of each group: sums in rupees, and means in basis points, weighted by turnover, of the orders that have them."""
    groups: dict[str, list[Line]] = defaultdict(list)
    key = KEYS[by]
    for line in found:
        groups[key(line)].append(line)
    names = sorted(groups) if by is not By.SIZE else [name for name in _SIZE_NAMES if name in groups]
    return [_group(by, name, groups[name]) for name in names]


def _group(by: By, name: str, found: Sequence[Line]) -> Line:
    sent = [line["intent_to_sent_ms"] for line in found if line["intent_to_sent_ms"] is not None]
    return {
        by.value: name,
        "orders": len(found),
        "filled_orders": sum(1 for line in found if line["filled_quantity"]),
        "turnover": sum((line["turnover"] for line in found), Decimal(0)),
        **{field: _sum(line[field] for line in found) for field in IN_RUPEES},
        **{field: weighted_mean((line[field], line["turnover"]) for line in found) for field in IN_BPS},
        "median_intent_to_sent_ms": round(median(sent)) if sent else None,
    }


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known else None


def _size(line: Line) -> str:
    return next((name for limit, name in SIZES if line["turnover"] < limit), LARGEST)


_SIZE_NAMES = (*(name for _, name in SIZES), LARGEST)
KEYS: dict[By, Callable[[Line], str]] = {
    By.STRATEGY: lambda line: str(line["strategy"]),
    By.SYMBOL: lambda line: str(line["symbol"]),
    By.HOUR: lambda line: f"{line['created_at'][11:13]}:00",
    By.TYPE: lambda line: str(line["order_type"]),
    By.SIZE: _size,
}
