"""Hypothesis strategies for orders, broker rows and lifecycle events. Plain examples first, so failures shrink well."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.lifecycle import (
    AnswerLost,
    CancelRequested,
    Event,
    MissingFromBook,
    Noted,
    ProvedAbsent,
    Receipt,
    Refused,
    Reported,
    Withdrawn,
)
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Fill,
    Instructions,
    Mode,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Tag,
    TradeId,
    Validity,
)

PROVE = settings(max_examples=300)

START = datetime(2026, 1, 5, 3, 45, tzinfo=UTC)
"""09:15 IST on a Monday."""

names = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True).filter(lambda name: name not in (".", ".."))
symbols = st.sampled_from(["NSE:INFY", "NSE:M&M", "NFO:NIFTY25MAYFUT", "NSE:BAJAJ-AUTO", "NSE:NIFTY 50", "MCX:GOLD_M"])
prices = st.decimals(min_value="0.0001", max_value="9999999999.9999", places=4)
quantities = st.integers(min_value=1, max_value=10**9)
moments = st.builds(
    lambda seconds, hours: (START + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=hours))),
    st.integers(min_value=0, max_value=100_000),
    st.sampled_from([0, 5.5, -8]),
)


@st.composite
def intents(draw: st.DrawFn) -> OrderIntent:
    """Valid intents of every type, side, product and validity; those for live accounts may carry instructions."""
    mode = draw(st.sampled_from(Mode))
    validity = draw(st.sampled_from(Validity if mode is Mode.LIVE else [Validity.DAY, Validity.IOC]))
    minutes = draw(st.integers(1, 120)) if validity is Validity.TTL else None
    disclosed = draw(st.none() | st.just(1))
    special = None if minutes is disclosed is None else Instructions(validity_ttl=minutes, disclosed_quantity=disclosed)
    order_type, side = draw(st.sampled_from(OrderType)), draw(st.sampled_from(Side))
    low, high = sorted([draw(prices), draw(prices)])
    price, trigger = (high, low) if side is Side.BUY else (low, high)
    return OrderIntent(
        symbol=draw(symbols),
        side=side,
        quantity=draw(quantities),
        order_type=order_type,
        price=price if order_type.has_price else None,
        trigger_price=trigger if order_type.has_trigger else None,
        product=draw(st.sampled_from(Product)),
        validity=validity,
        instructions=special,
        account=draw(names),
        mode=mode,
        client_order_id=draw(names),
        strategy=draw(names),
        reason=draw(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)),
        place_by=draw(st.none() | moments),
    )


BROKER_IDS = st.sampled_from([BrokerOrderId("250105000000001"), BrokerOrderId("250105000000002")])
small = st.integers(min_value=1, max_value=6)
"""Quantities small enough that trades often add up to what a row says."""

fills = st.builds(
    Fill,
    trade_id=st.integers(min_value=1, max_value=8).map(lambda number: TradeId(f"T{number}")),
    broker_order_id=BROKER_IDS,
    quantity=small,
    price=prices,
    at=moments,
)

row_quantities = st.integers(min_value=-2, max_value=12) | st.sampled_from([10**9, 10**12, -(10**12)])
row_prices = st.none() | prices | st.sampled_from([Decimal(p) for p in ("0", "-1", "0.00001", "1e30", "NaN")])
texts = st.sampled_from(["why not", ""]) | st.text(st.characters(), max_size=8)
"""With lone surrogates and NUL, as a broker's JSON can carry them."""

rows = st.builds(
    BrokerOrder,
    broker_order_id=BROKER_IDS,
    tag=st.sampled_from([None, Tag("0123456789abcdef0123")]),
    symbol=symbols,
    side=st.sampled_from(Side),
    product=st.sampled_from(Product),
    order_type=st.sampled_from(OrderType),
    validity=st.sampled_from(Validity),
    quantity=row_quantities,
    filled_quantity=row_quantities,
    price=row_prices,
    trigger_price=row_prices,
    status=st.sampled_from(["OPEN", "COMPLETE", "CANCELLED", "A NEW STATUS", ""]),
    state=st.sampled_from(BookState),
    message=st.none() | texts,
    placed_at=moments,
    updated_at=moments,
)
reports = st.builds(OrderReport, row=rows, fills=st.lists(fills, max_size=5).map(tuple))

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Receipt, BROKER_IDS),
    st.builds(Reported, reports),
    st.builds(Reported, reports),  # twice: most of what happens is a reading of the book
    st.builds(Refused, st.lists(texts, max_size=2).map(tuple)),
    st.builds(Withdrawn, texts),
    st.builds(AnswerLost, texts),
    st.builds(ProvedAbsent, texts),
    st.builds(MissingFromBook, texts, st.booleans()),
    st.builds(CancelRequested, texts),
    st.builds(Noted, texts),
)

odd_numbers: st.SearchStrategy[Any] = st.one_of(
    st.integers(min_value=-3, max_value=2000),
    st.integers(),
    st.booleans(),
    st.floats(),
    st.decimals(),
    st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-1, max_value=2000),
    st.sampled_from([10**9, 10**9 + 1, "1500.05", "0", "-1", "NaN", "Infinity", "", "ten", b"10", [1], None]),
)
odd_names: st.SearchStrategy[Any] = st.one_of(
    names,
    st.text(st.characters(), max_size=8),
    st.sampled_from(["", "a/b", "a\n", "a\0", "x" * 64, "x" * 65, "x" * 10_000, "paper:1", "é", "٣", 5, None]),
)
