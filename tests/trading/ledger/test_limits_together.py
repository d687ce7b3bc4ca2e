"""A thousand orders at once, over several workers, pass no limit together; and an order at a locked ledger."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle

import pytest
from sqlalchemy.exc import OperationalError

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.funds import save_funds
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.ledger.sweeping import sweep
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Order, OrderIntent
from durable_orders.trading.orders.verdict import Approval, Refusals, Verdict
from tests.trading.ledger.examples import everything, rows

NOW = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
INFY = "NSE:INFY"
PRICE = Decimal(1500)
ORDERS, WORKERS, THREADS = 1000, 4, 16
FIT = 100
"""So many orders for one share fit under each limit."""


def guardian_over(database: Database, limits: dict[str, object]) -> Guardian:
    settings = Settings.model_validate({"guardian": limits})
    return Guardian(database, Instruments.shipped(), settings, lambda _c, _m: NOW + timedelta(hours=5), lambda: NOW)


def asked(guardian: Guardian, name: str) -> Verdict:
    order = Order.from_intent(OrderIntent(symbol=INFY, side="BUY", quantity=1, client_order_id=name), NOW)
    return guardian.admit(order, "run", "content", None)


@contextmanager
def workers(url: str, limits: dict[str, object]) -> Iterator[list[Guardian]]:
    with ExitStack() as stack:
        yield [guardian_over(stack.enter_context(Database(url)), limits) for _ in range(WORKERS)]


@pytest.fixture
def priced(ledger: Database) -> Database:
    with ledger.write() as connection:
        save_ticks(connection, "paper", [Tick(INFY, PRICE, NOW)], NOW)
    save_funds(ledger, "paper", Funds(PRICE * FIT / 5, Decimal(0)), NOW)
    return ledger


def test_a_thousand_orders_at_once_pass_no_limit_together(priced: Database, ledger_url: str) -> None:
    limits = {
        "max_position_per_symbol": FIT,
        "max_position_total": FIT,
        "max_gross_exposure": PRICE * FIT,
        "capital": PRICE * FIT,
        "max_open_orders": FIT,
        "max_orders_per_day": {"account": FIT, "symbol": FIT},
        "require_margin": True,
    }
    names = [f"o{number}" for number in range(ORDERS)]
    with workers(ledger_url, limits) as guardians, ThreadPoolExecutor(THREADS) as pool:
        verdicts = list(pool.map(asked, cycle(guardians), names))
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refusals)]
    assert (ORDERS - len(refused), len(refused)) == (FIT, ORDERS - FIT)
    codes = {tuple(refusal.code for refusal in verdict.refusals) for verdict in refused}
    assert codes == {
        (
            "MAX_POSITION_PER_SYMBOL",
            "MAX_POSITION_TOTAL",
            "MAX_GROSS_EXPOSURE",
            "CAPITAL",
            "INSUFFICIENT_MARGIN",
            "LOT_NOT_AFFORDABLE",
            "MAX_OPEN_ORDERS",
            "MAX_ORDERS_PER_DAY",
            "MAX_ORDERS_PER_DAY",
        )
    }, "every limit is reached with the same order, and says so"
    assert sum(row["quantity"] for row in rows(priced, "reservations")) == FIT
    assert sweep(priced, "paper") == []


def test_an_order_waits_for_a_locked_ledger_and_nothing_is_half_done(priced: Database, ledger_url: str) -> None:
    with Database(ledger_url, busy_seconds=0.05) as impatient:
        guardian = guardian_over(impatient, {"max_open_orders": 1})
        before = everything(priced)
        with priced.write(), pytest.raises(OperationalError):
            asked(guardian, "a")
        assert everything(priced) == before
        assert isinstance(asked(guardian, "a"), Approval), "the same step again, as the workflow does it"
        assert isinstance(asked(guardian, "a"), Approval)
        assert isinstance(asked(guardian, "b"), Refusals)
