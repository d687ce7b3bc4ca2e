"""The ledger against a model of itself: orders and fills in any sequence and doubled, crashes between, two connections.

The model is a list of the fills in the order in which they were booked, and a few lines of arithmetic.
"""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.charges.fees import Charges, charged_as, charges_of_order
from durable_orders.trading.ledger.audit import fill_sums
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.recording import receive, record_within
from durable_orders.trading.ledger.reservations import reserve
from durable_orders.trading.ledger.sweeping import sweep
from durable_orders.trading.ledger.tables import CHARGED, fills, lots
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Fill, Order, Product, Side
from tests.ledgers import empty_ledger
from tests.trading.ledger.examples import Recording, history, new_order, prices

SYMBOLS = ("NSE:INFY", "MCX:CRUDEOIL26JANFUT")
trades = st.lists(st.tuples(st.integers(1, 20), prices), min_size=1, max_size=4)


class Crash(Exception):
    """The process ended here."""


@contextmanager
def crashing_at(database: Database, statement: int | None) -> Iterator[None]:
    """The statement of that number, counted from 0, is not run any more."""
    left = [statement if statement is not None else 10**6]

    def count_down(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    sa.event.listen(database.engine, "before_cursor_execute", count_down)
    try:
        yield
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", count_down)


class LedgerMachine(RuleBasedStateMachine):
    told = Bundle("told")
    """Recordings that a worker may make: each order's in any sequence, and as often as it likes."""

    @initialize()
    def open(self) -> None:
        self._directory = TemporaryDirectory()
        file = empty_ledger(Path(self._directory.name) / "ledger.db")
        self.databases = [Database(f"sqlite:///{file}") for _ in range(2)]
        self.booked: list[tuple[Order, Fill]] = []
        self.numbers = 0

    def teardown(self) -> None:
        for database in self.databases:
            database.close()
        self._directory.cleanup()

    @rule(
        target=told,
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(Side),
        done=trades,
        end=st.sampled_from(BookState),
        by=st.integers(0, 1),
    )
    def order(self, symbol: str, side: Side, done: list[tuple[int, Decimal]], end: BookState, by: int) -> Any:
        """A new order, received and reserved. What there is to tell of it, somebody will record at some time."""
        self.numbers += 1
        traded = sum(quantity for quantity, _ in done)
        rest = 0 if end is BookState.COMPLETE else 5
        terms: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": traded + rest, "product": Product.NRML}
        terms |= {"product": Product.CNC} if symbol.startswith("NSE") else {}
        order = new_order(f"o{self.numbers}", **terms)
        with self.databases[by].write() as connection:
            receive(connection, order, "run", "print")
            reserve(connection, order, Decimal(100), order.created_at)
        return multiple(*history(order, done, BookState.CANCELLED if end is BookState.REJECTED else end))

    @rule(recording=told, by=st.integers(0, 1), crash=st.none() | st.integers(0, 14), commits=st.booleans())
    def record(self, recording: Recording, by: int, crash: int | None, commits: bool) -> None:
        """A worker records it; or it dies at some statement, or before it commits."""
        database = self.databases[by]
        try:
            with crashing_at(database, crash), database.write() as connection:
                record_within(connection, recording.order, recording.entries)
                if not commits:
                    raise Crash
        except Crash:
            return
        known = {(order.order_id, fill.trade_id) for order, fill in self.booked}
        fresh = [fill for fill in recording.order.fills if (recording.order.order_id, fill.trade_id) not in known]
        self.booked += [(recording.order, fill) for fill in fresh]

    @rule(recording=consumes(told))
    def forget(self, recording: Recording) -> None:
        """Nobody tells this one any more."""

    @invariant()
    def every_fill_is_booked_once(self) -> None:
        with self.databases[0].read() as connection:
            rows = [(row.order_id, row.trade_id) for row in connection.execute(sa.select(fills))]
        assert Counter(rows) == Counter((order.order_id, fill.trade_id) for order, fill in self.booked)

    @invariant()
    def positions_and_cash_are_what_the_fills_say(self) -> None:
        held: Counter[str] = Counter()
        paid: dict[str, Decimal] = dict.fromkeys(SYMBOLS, Decimal(0))
        for order, fill in self.booked:
            held[order.symbol] += order.side.sign * fill.quantity
            paid[order.symbol] += order.side.sign * fill.quantity * fill.price * multiplier_of(order.symbol)
        with self.databases[1].read() as connection:
            found, sums = positions_of(connection, "paper"), fill_sums(connection, "paper")
        assert {each.symbol: each.quantity for each in found} == {own: held[own] for own in held}
        for each in found:
            assert each.open_value - each.realized_pnl == paid[each.symbol]
            assert sums[each.symbol, each.product] == (each.quantity, paid[each.symbol])

    @invariant()
    def charges_are_those_of_the_orders(self) -> None:
        of_order: dict[str, tuple[Order, list[Fill]]] = {}
        for order, fill in self.booked:
            of_order.setdefault(order.order_id, (order, []))[1].append(fill)
        expected = dict.fromkeys(SYMBOLS, Decimal(0))
        for order, own in of_order.values():
            segment, contract = charged_as(order.symbol, order.product)
            size = multiplier_of(order.symbol)
            expected[order.symbol] += charges_of_order(
                segment, contract.exchange, order.side, own, multiplier=size
            ).total
        with self.databases[0].read() as connection:
            for each in positions_of(connection, "paper"):
                assert (each.charges, each.uncharged) == (expected[each.symbol], 0)
                own_rows = connection.execute(sa.select(fills).where(fills.c.symbol == each.symbol)).mappings().all()
                booked = [Charges(**{name: row[name] for name in CHARGED}) for row in own_rows]
                assert sum(booked, Charges()).total == expected[each.symbol]

    @invariant()
    def first_in_is_first_out(self) -> None:
        """An independent model, unit by unit."""
        earned, opened = self._model()
        with self.databases[1].read() as connection:
            for each in positions_of(connection, "paper"):
                assert each.realized_fifo == earned[each.symbol]
            rows = connection.execute(sa.select(lots).order_by(lots.c.lot_id)).all()
        units: dict[str, list[tuple[int, Decimal]]] = {symbol: [] for symbol in SYMBOLS}
        for row in rows:
            units[row.symbol] += [(row.quantity // abs(row.quantity), row.price)] * abs(row.quantity)
        assert units == {symbol: list(left) for symbol, left in opened.items()}

    def _model(self) -> tuple[dict[str, Decimal], dict[str, deque[tuple[int, Decimal]]]]:
        opened: dict[str, deque[tuple[int, Decimal]]] = {symbol: deque() for symbol in SYMBOLS}
        earned = dict.fromkeys(SYMBOLS, Decimal(0))
        for order, fill in self.booked:
            units, sign, price = opened[order.symbol], order.side.sign, fill.price * multiplier_of(order.symbol)
            for _ in range(fill.quantity):
                if units and units[0][0] != sign:
                    earned[order.symbol] -= sign * (price - units.popleft()[1])
                else:
                    units.append((sign, price))
        return earned, opened

    @invariant()
    def nothing_is_reserved_for_nothing(self) -> None:
        assert sweep(self.databases[0], "paper") == []


def test_the_ledger_is_what_its_fills_say() -> None:
    prove = settings(max_examples=15, stateful_step_count=25)
    run_state_machine_as_test(LedgerMachine, settings=prove)
