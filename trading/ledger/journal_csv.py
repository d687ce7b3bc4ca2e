"""The journal as CSV, in the 33 columns that existing tools read. `docs/journal.md` says what stands in each."""

import csv
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import TextIO

from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.journal import JournalLine

COLUMNS = (
    "timestamp",
    "order_id",
    "symbol",
    "tradingsymbol",
    "transaction_type",
    "side",
    "quantity",
    "filled_quantity",
    "price",
    "average_price",
    "status",
    "exchange",
    "product",
    "variety",
    "parent_order_id",
    "tag",
    "tf",
    "profile",
    "strategy",
    "parent_signal_timestamp",
    "underlying",
    "extra",
    "pnl",
    "realized_pnl",
    "r",
    "r_multiple",
    "trade_id",
    "signal_id",
    "entry_price",
    "exit_price",
    "realized_pnl_pct",
    "exit_reason",
    "exit_detail",
)
"""In this order. What a line has nothing to say about is empty."""


def write_csv(lines: Iterable[JournalLine], file: TextIO) -> int:
    """Header and lines, as they come. Returns how many lines there were. `file` must be open with `newline=""`."""
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007  (counted for the caller)
        writer.writerow(csv_row(line))
    return count


def csv_row(line: JournalLine) -> dict[str, object]:
    """The columns that the line fills. Times are ISO 8601 in IST, money is rupees with all its places."""
    exchange, tradingsymbol = line.symbol.split(":", 1)
    return {
        "timestamp": line.at.astimezone(IST).isoformat(timespec="milliseconds"),
        "order_id": line.order_id,
        "symbol": line.symbol,
        "tradingsymbol": tradingsymbol,
        "transaction_type": line.side.value,
        "side": line.side.value,
        "quantity": line.quantity,
        "filled_quantity": line.filled_quantity,
        "price": _money(line.price),
        "average_price": _money(line.fill_price),
        "status": line.status.value,
        "exchange": exchange,
        "product": line.product.value,
        "tag": line.tag,
        "strategy": line.strategy,
        "extra": _extra(line),
        "pnl": _money(line.realized_pnl),
        "realized_pnl": _money(line.realized_pnl),
        "trade_id": line.trade_id or "",
    }


def _extra(line: JournalLine) -> str:
    """A JSON object of what the layout has no column for. An empty cell of it is left out."""
    content = {
        "account": line.account,
        "mode": line.mode.value,
        "client_order_id": line.client_order_id,
        "broker_order_id": line.broker_order_id,
        "order_type": line.order_type,
        "validity": line.validity,
        "trigger_price": _money(line.trigger_price),
        "charges": _money(line.charges),
        "reason": line.reason,
        "reasons": list(line.reasons),
    }
    return json.dumps({name: value for name, value in content.items() if value}, separators=(",", ":"))


def _money(amount: Decimal | None) -> str:
    """To the paisa, and to four places where there is more to tell."""
    if amount is None:
        return ""
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount:.4f}"
