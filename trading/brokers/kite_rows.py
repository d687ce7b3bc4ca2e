"""Kite's rows of orders, trades and positions, as ours. Times are IST without an offset (Kite documentation)."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from trading.brokers.book import BookState, BrokerOrder, BrokerPosition, Funds
from trading.brokers.kite_families import Part, part_of
from trading.market.calendar import IST
from trading.order import BrokerOrderId, Fill, OrderType, Product, Side, Tag, TradeId, Validity

Row = Mapping[str, Any]
IsOpen = Callable[[str, datetime], bool]
"""Whether the session of that symbol is open at that moment."""

ENDS = {"COMPLETE": BookState.COMPLETE, "CANCELLED": BookState.CANCELLED, "REJECTED": BookState.REJECTED}
"""Kite's three terminal statuses. Everything else, known or not, works."""
OUR_TAG_LENGTH = 20
OURS = re.compile(r"[0-9a-f]{20}")


def order_from(row: Row, is_open: IsOpen) -> BrokerOrder | None:
    """A row of the order book; `None` for one whose words are not known here (such as product CO)."""
    try:
        order_type = OrderType(row["order_type"])
        validity = Validity(row.get("validity") or "DAY")
        placed_at = moment(row["order_timestamp"])
        updated_at = moment(row.get("exchange_update_timestamp")) or placed_at or datetime.now(UTC)
        symbol = f"{row['exchange']}:{row['tradingsymbol']}"
        return BrokerOrder(
            broker_order_id=BrokerOrderId(str(row["order_id"])),
            tag=_tag(row),
            symbol=symbol,
            side=Side(row["transaction_type"]),
            product=Product(row["product"]),
            order_type=order_type,
            validity=validity,
            quantity=int(row["quantity"]),
            filled_quantity=int(row["filled_quantity"]),
            price=money(row.get("price")) if order_type.has_price else None,
            trigger_price=money(row.get("trigger_price")) if order_type.has_trigger else None,
            status=str(row["status"]),
            state=_state(str(row["status"]), validity, in_session=is_open(symbol, updated_at)),
            message=row.get("status_message") or row.get("status_message_raw"),
            placed_at=placed_at or updated_at,
            updated_at=updated_at,
            variety=str(row.get("variety") or "regular"),
        )
    except (KeyError, ValueError, TypeError):
        return None


def part_from(row: Row, is_open: IsOpen) -> Part | None:
    """The same as a part of an order of which Kite may have made several; `None` also for an iceberg's leg that does
    not tell of what."""
    order = order_from(row, is_open)
    try:
        return None if order is None else part_of(row, order, is_ours=may_be_ours(row))
    except (KeyError, ValueError, TypeError):
        return None


def may_be_ours(row: Row) -> bool:
    """Whether the row carries a tag as we make them (`trading.order.tag_of`)."""
    tag = _tag(row)
    return tag is not None and OURS.fullmatch(tag) is not None


def fill_from(row: Row) -> Fill:
    """A trade. `average_price` is its own price (Kite documentation, trades)."""
    at = moment(row.get("fill_timestamp")) or moment(row.get("exchange_timestamp"))
    price = money(row["average_price"])
    if at is None or price is None:
        raise ValueError("a trade without time or price")
    return Fill(
        trade_id=TradeId(str(row["trade_id"])),
        broker_order_id=BrokerOrderId(str(row["order_id"])),
        quantity=int(row["quantity"]),
        price=price,
        at=at,
    )


def position_from(row: Row) -> BrokerPosition:
    return BrokerPosition(
        symbol=f"{row['exchange']}:{row['tradingsymbol']}",
        product=Product(row["product"]),
        quantity=int(row["quantity"]),
        average_price=money(row.get("average_price")) or Decimal(0),
    )


def funds_from(segment: Row) -> Funds:
    """One segment of the account's margins."""
    available, utilised = Decimal(str(segment["net"])), Decimal(str(segment["utilised"]["debits"]))
    if not (available.is_finite() and utilised.is_finite()):
        raise ValueError("funds that are no numbers")
    return Funds(available, utilised)


def money(value: Any) -> Decimal | None:
    """Rupees; Kite shows 0 where there is no price."""
    return Decimal(str(value)) if value else None


def moment(value: Any) -> datetime | None:
    """The client makes naive datetimes of some fields and leaves others as text; both mean IST."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=IST) if value.tzinfo is None else value


def _tag(row: Row) -> Tag | None:
    """Ours among the tags: the system adds some of its own (`mktp`, `autoslice`)."""
    tags = [row.get("tag"), *(row.get("tags") or [])]
    found = [tag for tag in tags if isinstance(tag, str) and tag]
    ours = [tag for tag in found if len(tag) == OUR_TAG_LENGTH and tag.isalnum()]
    chosen = ours or found
    return Tag(chosen[0]) if chosen else None


def _state(status: str, validity: Validity, *, in_session: bool) -> BookState:
    """CANCELLED also stands for what ran out: the rest of an IOC, and DAY orders once the session has closed."""
    state = ENDS.get(status, BookState.WORKING)
    ran_out = validity is Validity.IOC or not in_session
    return BookState.EXPIRED if state is BookState.CANCELLED and ran_out else state
