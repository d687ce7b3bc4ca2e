"""Under random orders and faults, what the client sees is what the exchange's tables and the tally say."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import KiteException

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.book import BrokerOrder
from durable_orders.trading.orders.order import Account, OrderType
from tests.sandbox.conftest import Serve
from tests.sandbox.serving import Served, order

FAULTS = (
    *("accept_then_drop", "accept_then_504", "accept_then_500", "empty_body", "no_error_type", "success_with_500"),
    *("refuse_connection", "too_many_requests", "service_unavailable", "refused", "stuck_open_pending"),
    *("rejected_later", "fill_during_cancel", "partial_then_cancel", "foreign_order", "order_hidden"),
)
LOST = (requests.ConnectionError, KiteException, TypeError)


def act(served: Served, kite: KiteConnect, random: Random, number: int) -> None:
    known = [row["order_id"] for row in kite.orders()]
    action = random.choice(["place", "place", "market", "modify", "cancel", "tick"])
    price = float(random.randrange(1450, 1550))
    try:
        if action == "place":
            kite.place_order(**order(price, tag=f"n{number}", transaction_type=random.choice(["BUY", "SELL"])))
        elif action == "market":
            kite.place_order(**order(None, tag=f"n{number}", transaction_type=random.choice(["BUY", "SELL"])))
        elif action == "modify" and known:
            kite.modify_order("regular", random.choice(known), price=price, quantity=random.randrange(1, 20))
        elif action == "cancel" and known:
            kite.cancel_order("regular", random.choice(known))
        elif action == "tick":
            served.tick(random.randrange(1450, 1550))
    except LOST:
        pass


def exchange_rows(database: Path, served: Served) -> dict[str, BrokerOrder]:
    """The book as another process reads it from the tables."""
    with Database(f"sqlite:///{database}") as tables:
        broker = PaperBroker(tables, Account(served.settings.user_id), Paper(), lambda _: None, served.clock)
        return {row.broker_order_id: row for row in broker.order_book()}


@pytest.mark.parametrize("seed", range(3))
def test_the_client_the_tables_and_the_tally_agree(serve: Serve, database: Path, seed: int) -> None:
    served = serve(seed=seed, partial_fill_probability=0.3)
    served.tick(1500)
    kite, random = served.kite(), Random(seed)
    for kind in FAULTS:
        served.control("POST", "faults", kind=kind, probability=0.08)
    for number in range(60):
        act(served, kite, random, number)
        served.clock.advance(seconds=1)
    served.control("DELETE", "faults")
    served.clock.advance(seconds=10)
    shown = {row["order_id"]: row for row in kite.orders()}
    tally = served.tally()
    taken = [placed for ids in tally["accepted"].values() for placed in ids]
    assert sorted(shown) == sorted([*taken, *tally["foreign"]])
    assert {tag: [one for one in shown if shown[one]["tag"] == tag] for tag in tally["accepted"]} == tally["accepted"]
    rows = exchange_rows(database, served)
    assert {one: told(row) for one, row in rows.items()} == {one: seen(row) for one, row in shown.items()}
    assert_trades_add_up(kite, shown)


def told(row: BrokerOrder) -> tuple[Any, ...]:
    return row.status, row.quantity, row.filled_quantity, float(row.price or 0)


def seen(row: dict[str, Any]) -> tuple[Any, ...]:
    price = row["price"] if row["order_type"] != OrderType.MARKET else 0.0
    return row["status"], row["quantity"], row["filled_quantity"], price


def assert_trades_add_up(kite: KiteConnect, shown: dict[str, dict[str, Any]]) -> None:
    filled: Counter[str] = Counter()
    net = 0
    for trade in kite.trades():
        filled[trade["order_id"]] += trade["quantity"]
        net += trade["quantity"] if trade["transaction_type"] == "BUY" else -trade["quantity"]
    assert filled == Counter({one: row["filled_quantity"] for one, row in shown.items() if row["filled_quantity"]})
    assert sum(row["quantity"] for row in kite.positions()["net"]) == net
