"""Kite's rows of orders, trades and positions, as ours. Times are IST without an offset (Kite documentation)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.trading.brokers.kite.split_orders import Part, part_of
from durable_orders.trading.charges.contracts import IN_UNITS, contract_of
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionCalendar, SessionSource
from durable_orders.trading.market.rules import NO_WAYS, Way, ends_before_auction
from durable_orders.trading.orders import tags
from durable_orders.trading.orders.book import (
    BookState,
    BrokerHolding,
    BrokerOrder,
    BrokerPosition,
    DayFigures,
    Funds,
    state_of,
)
from durable_orders.trading.orders.order import BrokerOrderId, Fill, OrderType, Product, Side, Tag, TradeId, Validity

Row = Mapping[str, Any]
UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, ArithmeticError)
"""What it raises to read a row that is not as it should be."""

AMO = "amo"
"""The variety of after-market orders."""
OUR_TAG_LENGTH = 20


def order_from(row: Row, sessions: SessionSource) -> BrokerOrder:
    """A row of the order book. Raises one of `UNREADABLE` for words that are not known here (such as product CO)."""
    order_type = OrderType(row["order_type"])
    validity = Validity(row.get("validity") or "DAY")
    placed_at = moment(row["order_timestamp"])
    updated_at = moment(row.get("exchange_update_timestamp")) or placed_at or datetime.now(UTC)
    symbol = f"{row['exchange']}:{row['tradingsymbol']}"
    return BrokerOrder(
        broker_order_id=BrokerOrderId(str(row["order_id"])),
        tag=tag_in(row),
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
        state=_state(row, validity, sessions.of(symbol), updated_at),
        message=row.get("status_message") or row.get("status_message_raw"),
        placed_at=placed_at or updated_at,
        updated_at=updated_at,
        variety=str(row.get("variety") or "regular"),
    )


def part_from(row: Row, sessions: SessionSource) -> Part:
    """The same as a part of an order of which Kite may have made several. Raises one of `UNREADABLE` also for an
    iceberg's leg that does not tell of what."""
    return part_of(row, order_from(row, sessions), is_ours=may_be_ours(row))


def may_be_ours(row: Row) -> bool:
    """Whether the row carries a tag as we make them (`trading/orders/tags.py`)."""
    return tags.may_be_ours(tag_in(row))


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
    """Of whatever product: cover and bracket orders leave rows of their own (Zerodha's published samples)."""
    return BrokerPosition(
        symbol=f"{row['exchange']}:{row['tradingsymbol']}",
        product=Product(row["product"]) if row["product"] in list(Product) else str(row["product"]),
        quantity=int(row["quantity"]),
        average_price=money(row.get("average_price")) or Decimal(0),
        day=_day_figures(row),
    )


def _day_figures(row: Row) -> DayFigures | None:
    """`m2m` counts what was carried into the day from its close (Kite documentation, positions)."""
    profit, last = row.get("m2m"), money(row.get("last_price"))
    if profit is None or last is None:
        return None
    profit = Decimal(str(profit))
    close = money(row.get("close_price")) or Decimal(0)
    return DayFigures(profit, int(row.get("overnight_quantity") or 0), close, last) if profit.is_finite() else None


def holdings_from(row: Row) -> list[BrokerHolding]:
    """A row of the holdings: delivery shares, and beside them those of the margin trading facility.

    What is pledged is in the demat account and cannot be sold; what was bought the day before (`t1_quantity`) is not
    there yet and can. `quantity` may or may not go down with the day's sales, which `used_quantity` counts, and have T1
    in it: it is never taken for more than what was there in the morning. Whether a sale needs the depository's
    authorisation first is not in the row: Kite refuses it then, in its own words.
    """
    symbol = f"{row['exchange']}:{row['tradingsymbol']}"
    quantity, t1 = int(row["quantity"]), int(row.get("t1_quantity") or 0)
    realised = row.get("realised_quantity")
    known = int(row.get("opening_quantity", quantity))
    opening = known if realised is None else max(known, int(realised) + t1)
    free = min(quantity + int(row.get("used_quantity") or 0) + t1, opening)
    sellable = max(free - int(row.get("collateral_quantity") or 0), 0)
    price = money(row.get("average_price")) or Decimal(0)
    found = [BrokerHolding(symbol, Product.CNC, opening, sellable, price)]
    if facility := row.get("mtf"):
        held = int(facility["quantity"])
        price = money(facility.get("average_price")) or Decimal(0)
        found.append(BrokerHolding(symbol, Product.MTF, held, held, price))
    return [holding for holding in found if holding.quantity]


def sizes_from(rows: Iterable[Row]) -> dict[str, int]:
    """What rows of positions tell of contracts that are counted in lots: `multiplier`, the units of the price that one
    lot is, by exchange and underlying."""
    found: dict[str, int] = {}
    for row in rows:
        contract = contract_of(f"{row.get('exchange')}:{row.get('tradingsymbol')}")
        told = row.get("multiplier")
        if contract is not None and contract.exchange not in IN_UNITS and isinstance(told, int | float) and told >= 1:
            found[f"{contract.exchange}:{contract.underlying}"] = int(told)
    return found


def funds_from(segment: Row) -> Funds:
    """One segment of the account's margins."""
    available, utilised = Decimal(str(segment["net"])), Decimal(str(segment["utilised"]["debits"]))
    if not (available.is_finite() and utilised.is_finite()):
        raise ValueError("funds that are no numbers")
    return Funds(available, utilised)


def money(value: Any) -> Decimal | None:
    """Rupees; Kite shows 0 where there is no price. Raises one of `UNREADABLE` for what is no number."""
    if not value:
        return None
    rupees = Decimal(str(value))
    if not rupees.is_finite():
        raise ValueError("rupees that are no number")
    return rupees


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


def tag_in(row: Row) -> Tag | None:
    """Ours among the tags: the system adds some of its own (`mktp`, `autoslice`)."""
    if not isinstance(row, Mapping):
        return None
    every = [row.get("tag"), *(row.get("tags") or [])]
    found = [tag for tag in every if isinstance(tag, str) and tag]
    ours = [tag for tag in found if len(tag) == OUR_TAG_LENGTH and tag.isalnum()]
    chosen = ours or found
    return Tag(chosen[0]) if chosen else None


def _state(row: Row, validity: Validity, calendar: SessionCalendar, at: datetime) -> BookState:
    """CANCELLED also stands for what ran out: the rest of an IOC, DAY orders once the session has closed, and what the
    exchange cancels before a closing auction. An after-market order that no exchange has seen cannot run out."""
    state = state_of(str(row["status"]))
    if state is not BookState.CANCELLED or _never_sent(row):
        return state
    ran_out = validity is Validity.IOC or _stopped(row, calendar, at) or not calendar.is_regular(at)
    return BookState.EXPIRED if ran_out else state


def _stopped(row: Row, calendar: SessionCalendar, at: datetime) -> bool:
    """Whether the exchange cancelled what may not rest in the closing auction that came."""
    day, disclosed = at.astimezone(IST).date(), bool(int(row.get("disclosed_quantity") or 0))
    ways = frozenset({Way.DISCLOSED}) if disclosed else NO_WAYS
    if not ends_before_auction(day, OrderType(row["order_type"]), ways):
        return False
    session = calendar.session_on(day)
    return session is not None and session.is_before_auction(at)


def _never_sent(row: Row) -> bool:
    return row.get("variety") == AMO and not (row.get("exchange_order_id") or row.get("exchange_timestamp"))
