"""A journal row out of whatever names its writer used, and what makes two rows the same."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from durable_orders.callers.figures import exact, first_of
from durable_orders.trading.ledger.journal_csv import COLUMNS

BASE_COLUMNS = COLUMNS
FILLED_STATUSES = frozenset({"COMPLETE", "FILLED", "EXECUTED", "PARTLY FILLED", "PARTIAL", "SUCCESS"})
FULLY_FILLED = FILLED_STATUSES - {"PARTLY FILLED", "PARTIAL"}
BUY_SIDES = frozenset({"BUY", "B", "COVER", "EXIT SHORT"})
SELL_SIDES = frozenset({"SELL", "S", "SHORT", "EXIT LONG"})


def normalize_order(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the journal's own columns filled in; what else it has stays.

    What is filled is what the row says. Where it says nothing, an order that ended filled has filled whole, and any
    other has filled 0: an ordered quantity is no trade.
    """
    status = str(first_of(row, "status") or "").strip().upper()
    symbol = first_of(row, "symbol", "tradingsymbol", "instrument")
    side = first_of(row, "transaction_type", "side")
    filled = first_of(row, "filled_quantity", "filled_qty")
    quantity = first_of(row, "quantity", "qty")
    if _is_empty(filled):
        filled = quantity if status in FULLY_FILLED else 0
    average = first_of(row, "average_price", "avg_price")
    if _is_empty(average) and not _is_zero(filled):
        average = first_of(row, "price")
    own = {
        "timestamp": _iso(first_of(row, "timestamp", "exchange_timestamp") or datetime.now(UTC)),
        "order_id": first_of(row, "order_id", "orderid", "id", "kite_order_id"),
        "symbol": symbol,
        "tradingsymbol": first_of(row, "tradingsymbol") or symbol,
        "transaction_type": side,
        "side": side,
        "quantity": filled if _is_empty(quantity) else quantity,
        "filled_quantity": filled,
        "average_price": average,
        "status": status,
    }
    return {**row, **own}


def row_key(row: Mapping[str, Any]) -> str | None:
    """Equal for rows that tell the same: one order, one status, one filled quantity, one trade. `None` without an id.

    An order's PLACED and its FILLED are two rows, as are its fills.
    """
    if _is_empty(row.get("order_id")):
        return None
    figures = [_figure(row.get(name)) for name in ("filled_quantity", "average_price")]
    return "|".join([str(row["order_id"]), str(row.get("status") or ""), *figures, str(row.get("trade_id") or "")])


def cell(value: Any) -> Any:
    """As it stands in the file: nothing for `None`, and no line break, so that a row is a line."""
    if value is None:
        return ""
    if isinstance(value, str | Mapping | list):
        return " ".join(str(value).split("\n")).replace("\r", " ")
    return _iso(value)


def side_sign(word: Any) -> int:
    """1 for what buys, -1 for what sells. Raises `ValueError` for a word that is neither."""
    side = str(getattr(word, "value", word) or "").strip().upper()
    if side in BUY_SIDES:
        return 1
    if side in SELL_SIDES:
        return -1
    raise ValueError(f"side: must be a word for BUY or SELL, was {side!r:.40}")


def _iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _is_empty(value: Any) -> bool:
    return value is None or value == ""


def _is_zero(value: Any) -> bool:
    return _is_empty(value) or exact(value, "filled_quantity") == 0


def _figure(value: Any) -> str:
    """One text for one number: 50, 50.0 and '50' are the same."""
    if _is_empty(value):
        return ""
    number = exact(value, "figure")
    return f"{number.normalize():f}" if number else "0"
