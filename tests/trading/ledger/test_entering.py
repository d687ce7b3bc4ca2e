"""What moves a position without an order: quantities, cost and profit add up, whatever comes in whatever order."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ledger.audit import fill_sums
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.day import traded_since
from durable_orders.trading.ledger.entering import enter
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.ledger.positions import Position, entered, in_lots
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.results import realized_since
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.orders.position_entry import OUTSIDE, EntryKind, PositionEntry, shares
from durable_orders.trading.reconciliation.compare import against_own_fills
from tests.properties import FIXTURES_STAY
from tests.trading.ledger.examples import START, history, new_order, record_all, rows

PROVE = settings(FIXTURES_STAY, max_examples=25)
INFY = "NSE:INFY"
_numbers = count()

money = st.decimals(min_value="0.05", max_value="9999.9999", places=4)
signed = st.integers(-60, 60).filter(bool)
steps = st.lists(
    st.tuples(st.sampled_from(["fill", *EntryKind]), signed, money, st.sampled_from(["first", "second"])), max_size=12
)


def entry(quantity: int, kind: EntryKind = EntryKind.OTHER, **content: Any) -> PositionEntry:
    given = {"symbol": INFY, "product": Product.MIS, "quantity": quantity, "kind": kind, "evidence": "contract note"}
    if not kind.keeps_the_cost:
        given["price"] = Decimal(100)
    if kind is EntryKind.CONVERSION:
        given["to_product"] = Product.CNC
    return PositionEntry(**given | content)


def put(ledger: Database, account: str, *entries: PositionEntry) -> None:
    with ledger.write() as connection:
        for each in entries:
            enter(connection, account, each, START)


def trade(ledger: Database, account: str, quantity: int, price: Decimal, **terms: Any) -> None:
    side = Side.BUY if quantity > 0 else Side.SELL
    content: dict[str, Any] = {
        "product": Product.MIS,
        "account": account,
        "side": side,
        "quantity": abs(quantity),
    } | terms
    order = new_order(f"e{next(_numbers)}", **content)
    record_all(ledger, history(order, [(abs(quantity), price)], BookState.COMPLETE))


def held(ledger: Database, account: str, product: Product = Product.MIS, symbol: str = INFY) -> Position:
    with ledger.read() as connection:
        found = {(each.symbol, each.product): each for each in positions_of(connection, account)}
    return found.get((symbol, product)) or Position(account, symbol, product)


@given(quantity=signed, paid=st.decimals(min_value=-(10**9), max_value=10**9, places=4))
def test_lots_come_to_exactly_what_was_paid(quantity: int, paid: Decimal) -> None:
    lots = in_lots(quantity, paid)
    assert sum(each for each, _ in lots) == quantity
    assert sum(each * price for each, price in lots) == paid
    assert len(lots) <= 2


@given(st.lists(st.tuples(signed, st.decimals(min_value=-(10**6), max_value=10**6, places=4)), max_size=10))
def test_no_rupee_is_lost_whatever_is_entered(done: list[tuple[int, Decimal]]) -> None:
    position = Position("a", INFY, Product.MIS)
    for quantity, paid in done:
        position = entered(position, quantity, paid)
    assert position.quantity == sum(quantity for quantity, _ in done)
    assert position.open_value - position.realized_pnl == sum((paid for _, paid in done), Decimal(0))
    assert position.quantity or not position.open_value


@given(quantity=signed, own=st.dictionaries(st.sampled_from(["a", "b", OUTSIDE]), st.integers(-30, 30)))
def test_the_shares_of_the_strategies_are_all_of_it(quantity: int, own: dict[str, int]) -> None:
    found = shares(quantity, own)
    assert sum(found.values()) == quantity
    for name, by in found.items():
        if name != OUTSIDE:
            assert own[name] * by < 0, "it closes what the strategy has"
            assert abs(by) <= abs(own[name]), "and no more"


@PROVE
@given(steps)
def test_fills_and_entries_of_every_kind_add_up(ledger: Database, done: list[tuple[str, int, Decimal, str]]) -> None:
    """Quantity, cost and realized profit, by average and first in, first out; of the account and its strategies."""
    account = f"entered{next(_numbers)}"
    for kind, quantity, price, strategy in done:
        if kind == "fill":
            trade(ledger, account, quantity, price, strategy=strategy)
            continue
        own = EntryKind(kind)
        content = {} if own.keeps_the_cost else {"price": price}
        said = entry(quantity, own, **content)
        if said.problem_with(held(ledger, account).quantity) is None:
            put(ledger, account, said)
    with ledger.read() as connection:
        found = positions_of(connection, account)
        assert against_own_fills(found, fill_sums(connection, account)) == {}
        by_key = traded_since(connection, account, START - timedelta(days=1))
        for by in RealizedBy:
            earned = realized_since(connection, account, START - timedelta(days=1), by)
            assert earned == sum((each.realized_by(by) for each in found), Decimal(0))
    for each in found:
        assert by_key[each.symbol, each.product].quantity == each.quantity
        assert by_key[each.symbol, each.product].paid == each.open_value - each.realized_pnl
        lots = [
            row for row in rows(ledger, "lots") if (row["account"], row["product"]) == (account, each.product.value)
        ]
        assert sum(row["quantity"] for row in lots) == each.quantity
        assert sum((row["quantity"] * row["price"] for row in lots), Decimal(0)) == each.open_value_by(RealizedBy.FIFO)
    of_strategies: Counter[str] = Counter()
    for row in rows(ledger, "strategy_positions"):
        if row["account"] == account:
            of_strategies[row["product"]] += row["quantity"]
    assert {key: quantity for key, quantity in of_strategies.items() if quantity} == {
        each.product.value: each.quantity for each in found if each.quantity
    }


@pytest.mark.parametrize(("held", "quantity"), [((5, 5), -9), ((1, 1, 1), 2), ((3, 4), 1), ((7, 3), 40)])
def test_what_the_strategies_hold_adds_up_after_a_corporate_action(
    ledger: Database, held: tuple[int, ...], quantity: int
) -> None:
    account = f"adds-up{next(_numbers)}"
    for number, own in enumerate(held):
        trade(ledger, account, own, Decimal(100), product=Product.CNC, strategy=f"s{number}")
    put(ledger, account, entry(quantity, EntryKind.CORPORATE_ACTION, product=Product.CNC))
    found = [row["quantity"] for row in rows(ledger, "strategy_positions") if row["account"] == account]
    assert sum(found) == sum(held) + quantity
    assert min(found) >= 0


def test_a_corporate_action_is_of_no_single_strategy(ledger: Database) -> None:
    account = f"single{next(_numbers)}"
    trade(ledger, account, 10, Decimal(100), product=Product.CNC, strategy="mine")
    with pytest.raises(InvalidOrder, match="strategy: corporate-action moves what everybody holds"):
        put(ledger, account, entry(40, EntryKind.CORPORATE_ACTION, product=Product.CNC, strategy="mine"))


def test_a_split_moves_quantity_and_price_and_the_cost_stays(ledger: Database) -> None:
    trade(ledger, "split", 10, Decimal(1500), product=Product.CNC, strategy="mine")
    put(ledger, "split", entry(40, EntryKind.CORPORATE_ACTION, product=Product.CNC))
    trade(ledger, "split", -50, Decimal(300), product=Product.CNC, strategy="mine")
    after = held(ledger, "split", Product.CNC)
    assert not any([after.quantity, after.realized_pnl, after.realized_fifo, after.open_value])
    [own] = [row for row in rows(ledger, "strategy_positions") if row["account"] == "split"]
    assert (own["strategy"], own["quantity"], own["realized_pnl"]) == ("mine", 0, 0)


def test_a_conversion_takes_the_cost_along(ledger: Database) -> None:
    trade(ledger, "converted", 10, Decimal(100), strategy="mine")
    trade(ledger, "converted", 5, Decimal(130), strategy="mine")
    put(ledger, "converted", entry(-15, EntryKind.CONVERSION, to_product=Product.NRML))
    left, got = held(ledger, "converted"), held(ledger, "converted", Product.NRML)
    assert not any([left.quantity, left.open_value, left.realized_pnl])
    assert (got.quantity, got.average_price, got.realized_pnl) == (15, Decimal(110), Decimal(0))


def test_an_option_that_expired_worthless_has_lost_what_it_cost(ledger: Database) -> None:
    option = "NFO:NIFTY25MAY24000CE"
    terms = {"symbol": option, "product": Product.NRML}
    trade(ledger, "expired", 75, Decimal(100), strategy="mine", **terms)
    put(ledger, "expired", entry(-75, EntryKind.EXPIRY, price=Decimal(0), **terms))
    after = held(ledger, "expired", Product.NRML, option)
    assert (after.quantity, after.realized_pnl, after.realized_fifo) == (0, Decimal(-7500), Decimal(-7500))
    with ledger.read() as connection:
        [line] = [line for line in journal_lines(connection, Chosen("expired")) if line.order_type is None]
    assert (line.reason, line.filled_quantity, line.fill_price, line.realized_pnl) == (
        "expiry",
        75,
        Decimal(0),
        Decimal(-7500),
    )
    assert line.reasons[0] == "contract note"


def test_an_annulled_trade_is_taken_back_at_its_own_price(ledger: Database) -> None:
    trade(ledger, "annulled", 10, Decimal(100))
    put(ledger, "annulled", entry(-10, EntryKind.ANNULLED_TRADE, price=Decimal(100)))
    assert not any(held(ledger, "annulled")[3:7])


@pytest.mark.parametrize(
    ("quantity", "kind", "words"),
    [
        (-11, EntryKind.EXPIRY, "quantity: expiry closes a part of what is held, 10, was -11"),
        (5, EntryKind.CONVERSION, "quantity: conversion closes a part of what is held, 10, was 5"),
        (-10, EntryKind.CORPORATE_ACTION, "quantity: corporate-action keeps the side of what is held, 10, was -10"),
    ],
)
def test_what_cannot_be_said_of_a_position_writes_nothing(
    ledger: Database, quantity: int, kind: EntryKind, words: str
) -> None:
    account = f"wrong{next(_numbers)}"
    trade(ledger, account, 10, Decimal(100))
    with pytest.raises(InvalidOrder) as refused:
        put(ledger, account, entry(quantity, kind))
    assert str(refused.value) == words
    assert [row for row in rows(ledger, "position_entries") if row["account"] == account] == []
    assert held(ledger, account).quantity == 10


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"quantity": 0}, "quantity: must not be 0"),
        ({"price": None}, "price: must be given, in rupees as quoted; it may be 0"),
        ({"kind": EntryKind.CORPORATE_ACTION}, "price: corporate-action has none: the cost stays"),
        ({"to_product": Product.CNC}, "to_product: a conversion has one, and nothing else has"),
        ({"evidence": " "}, "evidence"),
        ({"price": Decimal(-1)}, "price"),
    ],
)
def test_half_an_entry_cannot_be_made(content: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PositionEntry(**entry(1).model_dump() | content)


def test_what_a_lot_is_too_small_for_is_not_lost(ledger: Database) -> None:
    """Of a position that shrinks: the last lot, too small for a share of its own, has its cost in the one before."""
    trade(ledger, "shrunk", 100, Decimal(10), product=Product.CNC, strategy="mine")
    trade(ledger, "shrunk", 1, Decimal(500), product=Product.CNC, strategy="mine")
    put(ledger, "shrunk", entry(-91, EntryKind.CORPORATE_ACTION, product=Product.CNC))
    (position,) = [each for each in rows(ledger, "positions") if each["account"] == "shrunk"]
    lots = [row for row in rows(ledger, "lots") if row["account"] == "shrunk"]
    assert sum(row["quantity"] for row in lots) == position["quantity"] == 10
    assert sum(row["quantity"] * row["price"] for row in lots) == Decimal(1500)
