"""Guardian and ledger under two workers: whatever comes, in whatever order, and however often a worker dies.

Against a model that knows what the exchange really has: no limit is ever passed by what could still fill, what is
reserved is what open orders may still trade, and each reservation is released once, with its order's end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.sweeping import sweep
from durable_orders.trading.ledger.tables import metadata
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.events import EVENT_OF, Entry
from durable_orders.trading.orders.lifecycle import Event, Receipt, Reported, Withdrawn, step
from durable_orders.trading.orders.order import (
    Amendment,
    BrokerOrderId,
    Fill,
    Order,
    OrderIntent,
    Product,
    Side,
    TradeId,
)
from durable_orders.trading.orders.verdict import Approval
from tests.trading.ledger.examples import rows

R = TypeVar("R")

NOW = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
INSTRUMENTS = Instruments.shipped()
SYMBOLS = ("NSE:INFY", "NSE:TCS")
PRICE = Decimal(100)
PER_SYMBOL, TOTAL, MOST_OPEN = 12, 18, 5
GROSS_UNITS = 16
LIMITS = {
    "max_position_per_symbol": PER_SYMBOL,
    "max_position_total": TOTAL,
    "max_gross_exposure": PRICE * GROSS_UNITS,
    "max_open_orders": MOST_OPEN,
}


class Killed(Exception):
    """The worker died before its transaction was committed."""


@dataclass
class Life:
    """One approved order: as its workflow has it, and as the exchange has it."""

    order: Order
    sequence: int = 0
    row: BrokerOrder | None = None
    trades: list[Fill] = field(default_factory=list)
    pending: int | None = None
    """The quantity of a change whose fate is not known."""
    released_at: datetime | None = None

    @property
    def traded(self) -> int:
        return sum(fill.quantity for fill in self.trades)

    @property
    def works(self) -> bool:
        """At the exchange."""
        return self.row is not None and self.row.state is BookState.WORKING

    @property
    def may_trade(self) -> int:
        """In all, whatever happens."""
        if self.order.status.terminal or (self.row is not None and not self.works):
            return self.traded
        return max(self.row.quantity if self.row else self.order.quantity, self.pending or 0)


class TwoWorkers(RuleBasedStateMachine):
    """The world of one account. `url` is set by the test."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.databases = [Database(self.url) for _ in range(2)]
        with self.databases[0].write() as connection:
            for table in metadata.tables.values():
                connection.execute(sa.delete(table))
            save_ticks(connection, "paper", [Tick(symbol, PRICE, NOW) for symbol in SYMBOLS], NOW)
        self.guardians = [
            Guardian(
                database,
                INSTRUMENTS,
                Settings.model_validate({"guardian": LIMITS}),
                lambda _connection, _moment: NOW + timedelta(hours=5),
                lambda: NOW,
            )
            for database in self.databases
        ]
        self.lives: list[Life] = []
        self.numbers = count(1)
        self.clock = NOW

    def teardown(self) -> None:
        """Everything comes to its end, and nothing stays reserved."""
        for life in self.lives:
            if life.row is None and not life.order.status.terminal:
                self.tell(life, Withdrawn("the end"), 0, crash=False)
            elif life.works:
                self.end_of(life)
            if life.row is not None:
                self.tell(life, Reported(self.whole(life)), 1, crash=False)
        self.nothing_leaks_and_no_limit_is_passed()
        assert [row for row in rows(self.databases[0], "reservations") if row["released_at"] is None] == []
        for database in self.databases:
            database.close()

    # What workers do.

    @contextmanager
    def dying(self, worker: int) -> Iterator[None]:
        engine = self.databases[worker].engine

        def die(_connection: sa.Connection) -> None:
            raise Killed

        sa.event.listen(engine, "commit", die)
        try:
            yield
        finally:
            sa.event.remove(engine, "commit", die)

    def by_a_worker(self, worker: int, crash: bool, call: Callable[[int], R]) -> R:
        """A worker's step. If it dies in it nothing has happened, and the other one does the step; otherwise the other
        one may do it again.
        """
        if crash:
            before = rows(self.databases[0], "reservations")
            with self.dying(worker):
                try:
                    call(worker)
                except Killed:
                    assert rows(self.databases[0], "reservations") == before
        return call(1 - worker if crash else worker)

    def tell(self, life: Life, event: Event, worker: int, *, crash: bool) -> None:
        """The workflow hears of something, and has it recorded, twice."""
        self.clock += timedelta(seconds=1)
        after = step(life.order, event, self.clock)
        if after is life.order:
            return
        life.order, life.sequence = after, life.sequence + 1
        entry = Entry(
            sequence=life.sequence, type=EVENT_OF[after.status], at=self.clock, message="told", status=after.status
        )
        for _ in range(2):
            self.by_a_worker(worker, crash, lambda who: record(self.databases[who], after, [entry]))
        if life.pending is not None and after.quantity == life.pending:
            life.pending = None

    @rule(
        worker=st.integers(0, 1),
        crash=st.booleans(),
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(Side),
        product=st.sampled_from([Product.MIS, Product.CNC]),
        quantity=st.integers(1, 8),
        at_market=st.booleans(),
    )
    def ask(self, worker: int, crash: bool, at_market: bool, **terms: Any) -> None:
        kind = {} if at_market else {"order_type": "LIMIT", "price": PRICE}
        intent = OrderIntent(client_order_id=f"o{next(self.numbers)}", **terms, **kind)
        order = Order.from_intent(intent, NOW)
        verdict = self.by_a_worker(worker, crash, lambda who: self.guardians[who].admit(order, "run", "content", None))
        if isinstance(verdict, Approval):
            self.lives.append(Life(order))
            assert self.guardians[1 - worker].admit(order, "run", "content", None) == verdict

    def some(self, data: st.DataObject, *, chosen: Callable[[Life], bool]) -> Life | None:
        found = [life for life in self.lives if chosen(life)]
        return data.draw(st.sampled_from(found)) if found else None

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), worker=st.integers(0, 1), crash=st.booleans())
    def place(self, data: st.DataObject, worker: int, crash: bool) -> None:
        life = self.some(data, chosen=lambda life: life.row is None and not life.order.status.terminal)
        if life is None:
            return
        order = self.guardians[worker].redeem(life.order).order
        order_id = BrokerOrderId(f"B{next(self.numbers)}")
        life.row = BrokerOrder(
            broker_order_id=order_id,
            tag=order.tag,
            symbol=order.symbol,
            side=order.side,
            product=order.product,
            order_type=order.order_type,
            validity=order.validity,
            quantity=order.quantity,
            filled_quantity=0,
            price=order.price,
            trigger_price=None,
            status="OPEN",
            state=BookState.WORKING,
            message=None,
            placed_at=NOW,
            updated_at=NOW,
        )
        self.tell(life, Receipt(order_id), worker, crash=crash)

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), worker=st.integers(0, 1), crash=st.booleans())
    def withdraw(self, data: st.DataObject, worker: int, crash: bool) -> None:
        life = self.some(data, chosen=lambda life: life.row is None and not life.order.status.terminal)
        if life is not None:
            self.tell(life, Withdrawn("by hand"), worker, crash=crash)

    @precondition(lambda self: any(life.works for life in self.lives))
    @rule(data=st.data(), quantity=st.integers(2, 10), worker=st.integers(0, 1), fate=st.sampled_from("tln"))
    def amend(self, data: st.DataObject, quantity: int, worker: int, fate: str) -> None:
        life = self.some(data, chosen=lambda life: life.works and life.pending is None)
        if life is None or life.row is None or quantity <= life.traded or quantity == life.row.quantity:
            return
        change = Amendment(quantity=quantity)
        if self.guardians[worker].check_amendment(life.order, change):
            return
        assert self.guardians[1 - worker].check_amendment(life.order, change) == ()
        if fate == "n":
            self.guardians[worker].withdraw_amendment(life.order, change)
            return
        life.pending = quantity
        if fate == "t":
            life.row = replace(life.row, quantity=quantity)

    # What the exchange does.

    @precondition(lambda self: any(life.works for life in self.lives))
    @rule(data=st.data(), quantity=st.integers(1, 8))
    def trade(self, data: st.DataObject, quantity: int) -> None:
        life = self.some(data, chosen=lambda life: life.works)
        if life is None or life.row is None:
            return
        quantity = min(quantity, life.row.quantity - life.traded)
        life.trades.append(
            Fill(
                trade_id=TradeId(f"T{next(self.numbers)}"),
                broker_order_id=life.row.broker_order_id,
                quantity=quantity,
                price=PRICE,
                at=NOW,
            )
        )
        full = life.traded == life.row.quantity
        state = BookState.COMPLETE if full else BookState.WORKING
        life.row = replace(life.row, filled_quantity=life.traded, state=state)

    @precondition(lambda self: any(life.works for life in self.lives))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        life = self.some(data, chosen=lambda life: life.works)
        if life is not None:
            self.end_of(life)

    def end_of(self, life: Life) -> None:
        assert life.row is not None
        life.row = replace(life.row, state=BookState.CANCELLED)

    def whole(self, life: Life) -> OrderReport:
        assert life.row is not None
        return OrderReport(life.row, tuple(life.trades))

    @precondition(lambda self: any(life.row for life in self.lives))
    @rule(data=st.data(), worker=st.integers(0, 1), crash=st.booleans())
    def report(self, data: st.DataObject, worker: int, crash: bool) -> None:
        """The row as it is now, with some of its trades, in any order, and doubled."""
        life = self.some(data, chosen=lambda life: life.row is not None)
        if life is None or life.row is None:
            return
        shown = data.draw(st.lists(st.sampled_from(life.trades), max_size=6)) if life.trades else []
        self.tell(life, Reported(OrderReport(life.row, tuple(shown))), worker, crash=crash)

    @precondition(lambda self: any(life.row for life in self.lives))
    @rule(data=st.data(), worker=st.integers(0, 1), crash=st.booleans())
    def report_all(self, data: st.DataObject, worker: int, crash: bool) -> None:
        life = self.some(data, chosen=lambda life: life.row is not None)
        if life is not None:
            self.tell(life, Reported(self.whole(life)), worker, crash=crash)

    # What always holds.

    @invariant()
    def nothing_leaks_and_no_limit_is_passed(self) -> None:
        assert sweep(self.databases[0], "paper") == []
        reserved = {row["order_id"]: row for row in rows(self.databases[1], "reservations")}
        assert set(reserved) == {life.order.order_id for life in self.lives}
        for life in self.lives:
            self.is_reserved_right(life, reserved[life.order.order_id])
        assert sum(row["released_at"] is None for row in reserved.values()) <= MOST_OPEN
        worst = [self.worst(symbol, product) for symbol in SYMBOLS for product in Product]
        assert sum(worst) <= min(TOTAL, GROSS_UNITS)
        for symbol in SYMBOLS:
            assert sum(self.worst(symbol, product) for product in Product) <= PER_SYMBOL

    def is_reserved_right(self, life: Life, row: Any) -> None:
        order = life.order
        if order.status.terminal:
            assert row["released_at"] == (life.released_at or row["released_at"]), "released once"
            life.released_at = row["released_at"]
        assert (row["released_at"] is not None) == order.status.terminal
        assert row["filled"] == order.filled_quantity
        if not order.status.terminal:
            needs = max(order.quantity, life.pending or 0) - order.filled_quantity
            assert row["quantity"] >= needs
            assert row["quantity"] == needs or row["amended_quantity"] is not None

    def worst(self, symbol: str, product: Product) -> int:
        """Units of the position, long or short, if the worst of what is open at the exchange filled."""
        mine = [life for life in self.lives if (life.order.symbol, life.order.product) == (symbol, product)]
        held = sum(life.order.side.sign * life.traded for life in mine)
        reach = []
        for side in Side:
            on = sum(life.may_trade - life.traded for life in mine if life.order.side is side)
            # Of delivery nothing is ever short: what is below zero was sold out of holdings.
            reach.append(on + side.sign * (max(held, 0) if product.is_delivery else held))
        return max(*reach, 0)


def test_no_limit_is_passed_and_nothing_leaks_whatever_happens(ledger: Database, ledger_url: str) -> None:
    few = not ledger.is_sqlite
    machine = type("OnThisLedger", (TwoWorkers,), {"url": ledger_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=3 if few else 12,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
