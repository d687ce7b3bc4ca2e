"""Many threads, many processes, many orders: the same fills, and no scans."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Side
from tests.ledgers import empty_ledger
from tests.trading.exchange.exchange import Exchange, accepted, approved, limit, stop

DICE = Paper(partial_fill_enabled=True, partial_fill_probability=0.5, partial_fill_ratio=0.3)
Trades = dict[str, list[tuple[int, str]]]


def traded(exchange: Exchange) -> Trades:
    """Quantities and prices by tag, in the order of execution."""
    tags = {row.broker_order_id: str(row.tag) for row in exchange.broker.order_book()}
    found: Trades = {tag: [] for tag in tags.values()}
    for fill in exchange.broker.trades():
        found[tags[fill.broker_order_id]].append((fill.quantity, str(fill.price)))
    return found


def run(file: Path, processes: int, settings: Paper = DICE) -> Trades:
    """The same forty orders, placed by threads of so many processes, and three ticks for what remains of them."""
    empty_ledger(file)
    orders = [
        approved(client_order_id=f"order-{number}", quantity=40 + number, side=list(Side)[number % 2])
        for number in range(40)
    ]
    with closing(Exchange(f"sqlite:///{file}", settings)) as owner:
        owner.market.take_over()
        owner.show("100")
        brokers = [owner.broker, *(owner.again().broker for _ in range(processes - 1))]
        with ThreadPoolExecutor(max_workers=2 * processes) as threads:
            chosen = [brokers[number % processes] for number in range(len(orders))]
            outcomes = list(threads.map(lambda pair: pair[0].place(pair[1]), zip(chosen, orders, strict=True)))
        assert len({accepted(outcome).row.broker_order_id for outcome in outcomes}) == len(orders)
        owner.show("101", "102")
        owner.show("103")
        assert all(broker.order_book() == owner.broker.order_book() for broker in brokers)
        return traded(owner)


def test_the_same_seed_gives_the_same_fills_whatever_the_number_of_workers(tmp_path: Path) -> None:
    alone = run(tmp_path / "one.db", processes=1)
    assert run(tmp_path / "three.db", processes=3) == alone
    assert {len(fills) for fills in alone.values()} == {1, 2, 3, 4}
    other = DICE.model_copy(update={"seed": 1})
    assert run(tmp_path / "other.db", processes=1, settings=other) != alone


def test_many_threads_on_one_order_cancel_it_once(exchange: Exchange) -> None:
    order = exchange.place(**limit("90")).row.broker_order_id
    brokers = [exchange.broker, exchange.again().broker]
    with ThreadPoolExecutor(max_workers=4) as threads:
        kinds = list(threads.map(lambda number: brokers[number % 2].cancel(order).kind, range(8)))
    assert sorted(kinds) == ["accepted"] + ["refused"] * 7
    assert exchange.row(order).state is BookState.CANCELLED


def test_a_tick_reads_no_order_that_it_does_not_concern(exchange: Exchange) -> None:
    """However many orders rest, each part of the query is a range of an index."""
    for terms in (limit("90"), limit("110", side=Side.SELL), stop("120"), stop("80", side=Side.SELL), {}):
        exchange.place(**terms)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(exchange.database.engine, "before_cursor_execute", note)
    exchange.show("100")
    queries = [(statement, given) for statement, given in asked if "exchange_orders" in statement]
    union = next((statement, given) for statement, given in queries if "UNION ALL" in statement)
    steps = plan_of(exchange, *union)
    assert [step for step in steps if "SCAN exchange_orders" in step] == []
    ranges = [step for step in steps if "SEARCH exchange_orders" in step]
    assert sum("ix_exchange_orders_matching" in step and "price" in step for step in ranges) == 3
    assert sum("ix_exchange_orders_triggers" in step and "trigger_price" in step for step in ranges) == 2


def plan_of(exchange: Exchange, statement: str, parameters: Sequence[Any]) -> list[str]:
    with exchange.database.read() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters)).all()
    return [str(row[-1]) for row in rows]
