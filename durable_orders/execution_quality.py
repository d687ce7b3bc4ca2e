"""How well orders were executed, one by one and in groups, with the market as far as somebody recorded it."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from statistics import median
from typing import Any

from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.executions import Executed
from durable_orders.trading.orders.order import plan_of
from durable_orders.trading.quality.measures import HORIZONS, Quality, WeightedMean, quality_of
from durable_orders.trading.quality.tape import Tape

SIZES = ((Decimal(50_000), "below 50,000"), (Decimal(500_000), "below 5 lakh"), (Decimal(5_000_000), "below 50 lakh"))
LARGEST = "50 lakh and above"
IN_BPS = (
    "slippage_bps",
    *("slippage_vwap_bps", "slippage_close_bps", "spread_paid_bps"),
    *(f"markout_{seconds}s_bps" for seconds in HORIZONS),
)
IN_RUPEES = (
    *("slippage_rupees", "slippage_vwap_rupees", "slippage_close_rupees", "spread_paid_rupees"),
    *("opportunity_cost_rupees", "charges_rupees", "shortfall_rupees"),
)

ZERO = Decimal(0)

Line = dict[str, Any]


class By(StrEnum):
    STRATEGY = "strategy"
    PLAN = "plan"
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
            "plan": plan_of(each.client_order_id),
            "symbol": each.symbol,
            "side": each.execution.side.value,
            "order_type": each.order_type.value,
            "status": each.status.value,
            "quantity": each.execution.quantity,
            "created_at": each.execution.moments.intent.astimezone(IST).isoformat(),
            "turnover": each.turnover,
        }
        yield own | _quality(each, tape)._asdict()


def _quality(each: Executed, tape: Tape | None) -> Quality:
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


@dataclass(slots=True)
class _Group:
    """What is known of its orders, added up one by one: a year of them is never in memory."""

    orders: int = 0
    filled: int = 0
    turnover: Decimal = Decimal(0)
    rupees: dict[str, Decimal] = field(default_factory=dict)
    bps: dict[str, WeightedMean] = field(default_factory=lambda: {name: WeightedMean() for name in IN_BPS})
    sent: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, line: Line) -> None:
        turnover = line["turnover"]
        self.orders += 1
        self.filled += bool(line["filled_quantity"])
        self.turnover += turnover
        for name in IN_RUPEES:
            if (amount := line[name]) is not None:
                self.rupees[name] = self.rupees.get(name, ZERO) + amount
        if turnover:
            for name, mean in self.bps.items():
                mean.add(line[name], turnover)
        if (took := line["intent_to_sent_ms"]) is not None:
            self.sent.append(took)

    def line(self, by: By, name: str) -> Line:
        return {
            by.value: name,
            "orders": self.orders,
            "filled_orders": self.filled,
            "turnover": self.turnover,
            **{field: self.rupees.get(field) for field in IN_RUPEES},
            **{field: mean.value for field, mean in self.bps.items()},
            "median_intent_to_sent_ms": round(median(self.sent)) if self.sent else None,
        }


def grouped(found: Iterable[Line], by: By) -> list[Line]:
    """Of each group: sums in rupees, and means in basis points, weighted by turnover, of the orders that have them.
    By plan, orders of none are left out."""
    groups: dict[str, _Group] = {}
    key = KEYS[by]
    for line in found:
        if (name := key(line)) is not None:
            if (group := groups.get(name)) is None:
                group = groups[name] = _Group()
            group.add(line)
    names = sorted(groups) if by is not By.SIZE else [name for name in _SIZE_NAMES if name in groups]
    return [groups[name].line(by, name) for name in names]


def _size(line: Line) -> str:
    return next((name for limit, name in SIZES if line["turnover"] < limit), LARGEST)


_SIZE_NAMES = (*(name for _, name in SIZES), LARGEST)
KEYS: dict[By, Callable[[Line], str | None]] = {
    By.STRATEGY: lambda line: str(line["strategy"]),
    By.PLAN: lambda line: line["plan"],
    By.SYMBOL: lambda line: str(line["symbol"]),
    By.HOUR: lambda line: f"{line['created_at'][11:13]}:00",
    By.TYPE: lambda line: str(line["order_type"]),
    By.SIZE: _size,
}
