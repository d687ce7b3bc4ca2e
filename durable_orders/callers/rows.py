"""Lines of a caller's order book as the rows and trades that every broker shows. No I/O.

A line says what its wrapper likes to say. What an order of ours was asked for with is known; only what fills and ends
it, and a change of it that was asked for, is taken from the line.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from durable_orders.callers.broker import WORDS, Line
from durable_orders.callers.figures import exact, first_of
from durable_orders.trading.orders.book import BookState, BrokerOrder, row_of
from durable_orders.trading.orders.order import (
    PRICE_PLACES,
    Account,
    Amendment,
    BrokerOrderId,
    Fill,
    Mode,
    Order,
    OrderType,
    Status,
    Terms,
    TradeId,
    Validity,
    order_id,
)
from durable_orders.trading.reconciliation.external_orders import ExternalKind

STATES = {
    Status.FILLED: BookState.COMPLETE,
    Status.CANCELLED: BookState.CANCELLED,
    Status.EXPIRED: BookState.EXPIRED,
    Status.REJECTED: BookState.REJECTED,
}
"""What ends an order in a book; whatever else it says, the order works."""


def payload_of(order: Order) -> dict[str, Any]:
    """What a caller's broker object is given."""
    exchange, _, symbol = order.symbol.partition(":")
    return {
        "symbol": symbol,
        "side": order.side.value,
        "qty": order.quantity,
        "order_type": order.order_type.value,
        "product": order.product.value,
        "validity": order.validity.value,
        "price": float(order.price) if order.price is not None else None,
        "trigger_price": float(order.trigger_price) if order.trigger_price is not None else None,
        "exchange": exchange,
        "tag": str(order.tag),
    }


def row_of_line(order: Order, line: Line, *, may_be_changed: bool) -> BrokerOrder:
    """The line as a row of that order. Its terms are the line's only where a change of them `may_be` there."""
    terms = _terms_shown(line, order) if may_be_changed else order
    quantity = (line.quantity or terms.quantity) if may_be_changed else order.quantity
    return row_of(
        order,
        BrokerOrderId(line.order_id),
        STATES.get(WORDS.get(line.word, Status.PLACED), BookState.WORKING),
        datetime.now(UTC),
        quantity=quantity,
        filled_quantity=filled_of(order, line),
        order_type=terms.order_type,
        price=terms.price,
        trigger_price=terms.trigger_price,
        status=line.word or line.status.value,
        message=line.message,
        placed_at=line.placed_at or order.created_at,
    )


def order_shown(line: Line, tag: str, account: Account) -> Order:
    """The order that the line is of, where nothing else knows it: as it was asked for, by all that the line says.

    Raises `ValueError`, with what is missing, for one that does not say all terms: they are not guessed.
    """
    exchange, order_type = first_of(line.shown, "exchange"), _type_shown(line)
    said = {"exchange": exchange, "symbol": line.symbol, "side": line.side, "quantity": line.quantity}
    said |= {"product": first_of(line.shown, "product"), "order_type": order_type}
    if missing := [name for name, value in said.items() if not value]:
        raise ValueError(f"its line does not say its {', '.join(missing)}")
    name, at = f"{ExternalKind.EXTERNAL}-{line.order_id}", line.placed_at or datetime.now(UTC)
    try:
        return Order.model_validate(
            {
                "order_id": order_id(account, name),
                "client_order_id": name,
                "account": account,
                "mode": Mode.LIVE,
                "strategy": ExternalKind.EXTERNAL.value,
                "tag": tag,
                "symbol": f"{_word(exchange)}:{line.symbol}",
                "side": line.side,
                "product": _word(said["product"]),
                "order_type": order_type,
                "validity": _word(first_of(line.shown, "validity") or Validity.DAY),
                "quantity": line.quantity,
                "price": _price_shown(line, "price") if order_type and order_type.has_price else None,
                "trigger_price": _price_shown(line, "trigger_price") if order_type and order_type.has_trigger else None,
                "created_at": at,
                "updated_at": at,
            }
        )
    except ValidationError as error:
        fields = ", ".join(str(part) for each in error.errors() for part in each["loc"]) or "terms"
        raise ValueError(f"what its line says of its {fields} is not understood") from None


def filled_of(order: Order, line: Line) -> int:
    """Units that are filled by now. A line that is complete and says no quantity is so of the whole order."""
    is_whole = line.status is Status.FILLED and line.quantity is None and not line.filled_quantity
    return order.quantity if is_whole else line.filled_quantity


def trade_of(order: Order, line: Line, known: Sequence[Fill]) -> Fill | None:
    """What the cumulative figures of the line add to the known trades, as one more. Without a price, not yet one."""
    filled = filled_of(order, line)
    quantity = filled - sum(fill.quantity for fill in known)
    if quantity <= 0 or line.average_price is None:
        return None
    value = sum((fill.price * fill.quantity for fill in known), Decimal(0))
    price = (line.average_price * filled - value) / quantity
    return Fill(
        trade_id=TradeId(f"{line.order_id}-{filled}"),
        broker_order_id=BrokerOrderId(line.order_id),
        quantity=quantity,
        price=(price if price > 0 else line.average_price).quantize(PRICE_PLACES),
        at=datetime.now(UTC),
    )


def _terms_shown(line: Line, order: Order) -> Terms:
    """What the line does not say, or says in a way that fits nothing, is as it was: only what is shown is a change that
    was made."""
    shown = {
        "quantity": line.quantity,
        "price": _price_shown(line, "price"),
        "trigger_price": _price_shown(line, "trigger_price"),
        "order_type": _type_shown(line),
    }
    try:
        return Amendment.model_validate(shown).applied_to(order)
    except ValueError:
        return order


def _price_shown(line: Line, name: str) -> Decimal | None:
    """`None` for none, which books also write as 0."""
    try:
        return exact(first_of(line.shown, name) or 0, name) or None
    except ValueError:
        return None


def _type_shown(line: Line) -> OrderType | None:
    """In capitals or not, or of an enumeration of the caller's."""
    try:
        return OrderType(_word(first_of(line.shown, "order_type")))
    except ValueError:
        return None


def _word(shown: Any) -> str:
    return str(getattr(shown, "value", shown)).strip().upper()
