"""What moves a position without an order, in a caller's state and journal: as the ledger has it, whatever comes."""

from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.engines.books import Books
from durable_orders.engines.settled import ENTRIES
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import enter, entered_after, newest_entry
from durable_orders.trading.ledger.tables import strategy_positions
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from durable_orders.v2 import JournalStateStore, create_execution_engine
from tests.conftest import MakeHome
from tests.durable_orders.v2.sessions import Journal, Store, intent
from tests.ledgers import open_empty_ledger
from tests.properties import FIXTURES_STAY
from tests.trading.ledger.examples import START, history, new_order, record_all, rows

INFY = "NSE:INFY"
_numbers = count()
quantities = st.integers(-50, 50).filter(bool)
prices = st.integers(1, 99).map(Decimal)
steps = st.lists(
    st.tuples(st.sampled_from(["mine", "another", *EntryKind]), quantities, prices, st.sampled_from([None, "mine"])),
    max_size=14,
)


class Caller:
    """A ledger with its engine's books: the orders of `mine` are this engine's, those of others are not."""

    def __init__(self, ledger: Database, journal: Any) -> None:
        self.account = f"a{next(_numbers)}"
        self.ledger = ledger
        self.store = Store()
        self.books = Books(self.store, journal, "paper")
        with ledger.read() as connection:
            self.books.begin_entries(newest_entry(connection, self.account))

    def trade(self, strategy: str, quantity: int, price: Decimal, product: Product = Product.MIS) -> None:
        terms: dict[str, Any] = {"account": self.account, "strategy": strategy, "quantity": abs(quantity)}
        side = Side.BUY if quantity > 0 else Side.SELL
        order = new_order(f"o{next(_numbers)}", side=side, product=product, **terms)
        done = history(order, [(abs(quantity), price)], BookState.COMPLETE)
        record_all(self.ledger, done)
        if strategy == "mine":
            self.books.note(None, order)
            self.books.note(order, done[-1].order)

    def settle(self, quantity: int, kind: EntryKind = EntryKind.OTHER, **content: Any) -> None:
        given: dict[str, Any] = {"symbol": INFY, "product": Product.MIS, "quantity": quantity, "kind": kind}
        if not kind.keeps_the_cost:
            given["price"] = Decimal(100)
        if kind is EntryKind.CONVERSION:
            given["to_product"] = Product.NRML
        with self.ledger.write() as connection:
            enter(connection, self.account, PositionEntry(**given | {"evidence": "contract note"} | content), START)

    def look(self) -> None:
        until = self.books.entries_until
        assert until is not None
        with self.ledger.read() as connection:
            found = entered_after(connection, self.account, until)
        self.books.note_entries(found)

    @property
    def held(self) -> tuple[int, Decimal]:
        """By the state: units, and what they earned."""
        positions = self.store.state.get("positions") or []
        earned = self.store.state.get("equity", {}).get("realized_pnl", 0)
        return sum(each["qty"] for each in positions), Decimal(str(earned))

    @property
    def of_ledger(self) -> tuple[int, Decimal]:
        own = [
            row
            for row in rows(self.ledger, strategy_positions.name)
            if (row["account"], row["strategy"]) == (self.account, "mine")
        ]
        return sum(row["quantity"] for row in own), sum((row["realized_pnl"] for row in own), Decimal(0))


@pytest.fixture
def caller(ledger: Database, tmp_path: Path) -> Caller:
    return Caller(ledger, JournalStateStore(artifacts_dir=tmp_path, mode="paper"))


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with open_empty_ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


@given(done=steps, looks=st.booleans())
@settings(FIXTURES_STAY, max_examples=60)
def test_the_state_has_what_the_ledger_has_of_its_strategies(ledger: Database, done: Any, looks: bool) -> None:
    """Told at once, or of all of it at the end: then the last trades came before the first entry."""
    journal = Journal()
    caller = Caller(ledger, journal)
    if not looks:
        done = sorted(done, key=lambda step: step[0] in list(EntryKind))
    is_apart = False
    caller.trade("mine", 1, Decimal(50))  # from then on it is one of this engine's
    for what, quantity, price, whose in done:
        if what in list(EntryKind):
            kind = EntryKind(what)
            try:
                caller.settle(quantity, kind, strategy=whose, **{} if kind.keeps_the_cost else {"price": price})
            except InvalidOrder:
                continue  # what it cannot say of the position as it is
            is_apart |= kind is EntryKind.CONVERSION or (kind is EntryKind.CORPORATE_ACTION and quantity < 0)
            if looks:
                caller.look()
        else:
            caller.trade(what, quantity, price, Product.MIS if whose is None else Product.NRML)
            is_apart |= whose is not None
    caller.look()
    (held, earned), (ours, profit) = caller.held, caller.of_ledger
    assert held == ours
    # A state has one position of both products, and a consolidation may leave nothing of a share.
    assert is_apart or abs(earned - profit) < Decimal("0.01")
    signed = [row["filled_qty"] * (1 if row["side"] == "BUY" else -1) for row in journal.rows if row["filled_qty"]]
    assert sum(signed) == ours


def test_a_split_keeps_the_cost_also_in_a_journal_that_is_added_up(caller: Caller, tmp_path: Path) -> None:
    caller.trade("mine", 10, Decimal(1500))
    caller.settle(40, EntryKind.CORPORATE_ACTION)
    caller.look()
    [held] = caller.store.state["positions"]
    assert (held["qty"], held["quantity"], held["avg_price"]) == (50, 50, 300.0)
    caller.look()
    caller.trade("mine", -50, Decimal(310))
    assert caller.held == (0, Decimal(500))
    rebuilt = JournalStateStore(artifacts_dir=tmp_path, mode="paper").rebuild_from_journal()
    assert (rebuilt["broker"]["positions"], rebuilt["meta"]["total_realized_pnl"]) == ([], 500.0)


def test_what_closes_takes_no_more_than_the_state_has(caller: Caller) -> None:
    """The strategy has traded before, with another state."""
    caller.trade("mine", 4, Decimal(100))
    record_all(
        caller.ledger,
        history(
            new_order("before", account=caller.account, strategy="mine", quantity=6, product=Product.MIS),
            [(6, Decimal(100))],
            BookState.COMPLETE,
        ),
    )
    caller.settle(-10, price=Decimal(90))
    caller.look()
    assert caller.held == (0, Decimal(-40))


def test_what_an_older_state_holds_is_not_all_of_the_product_that_trades_first(caller: Caller) -> None:
    """Ten were carried over when states named no products, five more are bought for the day."""
    before = new_order("before", account=caller.account, strategy="mine", quantity=10, product=Product.NRML)
    record_all(caller.ledger, history(before, [(10, Decimal(100))], BookState.COMPLETE))
    caller.store.state["positions"] = [{"symbol": "INFY", "qty": 10, "quantity": 10, "avg_price": 100.0}]
    caller.trade("mine", 5, Decimal(100))
    caller.settle(-10, product=Product.NRML)
    caller.look()
    assert caller.held[0] == caller.of_ledger[0] == 5
    caller.trade("mine", -5, Decimal(100))
    caller.trade("mine", 3, Decimal(100))
    assert caller.store.state[ENTRIES]["parts"] == {INFY: {Product.MIS: 3}}, "after flat, each is known"


def test_entries_are_booked_once_also_by_the_next_process_and_after_a_full_disk(caller: Caller) -> None:
    caller.trade("mine", 10, Decimal(100))
    caller.settle(-4, price=Decimal(90))

    class Full(Store):
        def save_checkpoint(self, state: dict[str, Any]) -> None:
            raise OSError("disk full")

    full, caller.books._state_store = caller.books._state_store, Full(**caller.store.state)
    with pytest.raises(OSError, match="disk full"):
        caller.look()
    caller.books._state_store = full
    caller.look()
    assert caller.held == (6, Decimal(-40))
    caller.books = Books(caller.store, None, "paper")
    caller.books.begin_entries(99)
    caller.settle(-6, EntryKind.EXPIRY, price=Decimal(0))
    for _ in range(2):
        caller.look()
    assert caller.held == (0, Decimal(-640))
    assert caller.store.state[ENTRIES]["strategies"] == ["mine"]


def test_what_was_lost_while_the_process_was_down_counts_before_the_next_order(make_home: MakeHome) -> None:
    """Over the home of a desk where nobody works: the caller's own breaker refuses."""
    home = make_home({"account": "paper"})
    known = {"qty": 10, "quantity": 10, "avg_price": 1500.0}
    store = Store(positions=[{"symbol": "INFY"} | known], **{ENTRIES: {"until": -1, "strategies": ["trend"]}})
    with home.ledger(home.settings()) as ledger:
        order = new_order(strategy="trend", quantity=10, product=Product.MIS)
        record_all(ledger, history(order, [(10, Decimal(1500))], BookState.COMPLETE))
        sold = {"symbol": INFY, "product": Product.MIS, "quantity": -10, "price": Decimal(1400)}
        with ledger.write() as connection:
            enter(connection, "paper", PositionEntry(**sold, evidence="squared off by RMS"), START)
    limits = {"circuit_breakers": {"max_daily_loss_rupees": 500}}
    engine = create_execution_engine("paper", {"execution": {"home": str(home.path)} | limits}, store, None)
    refused = engine.execute_intent(intent())
    engine.close()
    assert (refused.status, refused.message) == ("REJECTED", "Circuit breaker blocked execution")
    assert store.state["positions"] == []
    assert store.state["equity"] == {"realized_pnl": -1000.0}
