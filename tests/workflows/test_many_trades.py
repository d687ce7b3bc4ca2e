"""One order with so many trades that as JSON they are more than the server takes at once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from durable_orders.trading.ledger.tables import orders
from durable_orders.trading.orders.order import Fill, Status, TradeId
from durable_orders.workers.payloads import data_converter
from tests.conftest import eventually
from tests.workflows.desk import at_work, open_desk
from tests.workflows.scripted_broker import PRICE, ScriptedBroker

TRADES = 16_000
MOST = 2 * 1024 * 1024
"""Bytes of one payload."""


def fill_one_by_one(broker: ScriptedBroker, count: int) -> None:
    """So many shares, each a trade of its own."""
    own, at = broker.only, datetime.now(UTC)
    shared: dict[str, Any] = {"broker_order_id": own, "quantity": 1, "price": PRICE, "at": at}
    broker.trade_in_book(own, count)
    broker.fills += [Fill.model_construct(trade_id=TradeId(f"T{number}"), **shared) for number in range(count)]


async def test_every_trade_reaches_the_ledger(environment: WorkflowEnvironment, tmp_path: Path) -> None:
    """What the broker's activities are given then, and what the workflow gives, carries all of them."""
    server = environment.client
    client = Client(server.service_client, namespace=server.namespace, data_converter=data_converter)
    async with open_desk(client, tmp_path) as desk, at_work(desk):
        order = await desk.resting(quantity=TRADES + 1)
        fill_one_by_one(desk.broker, TRADES)
        await desk.look()
        filled = sa.select(orders.c.filled_quantity).where(orders.c.order_id == order.order_id)

        async def are_booked() -> bool:
            booked: int = await desk.orders.read(lambda ledger: ledger.execute(filled).scalar_one())
            return booked == TRADES

        await eventually(are_booked, "all trades in the ledger")
        ended = await order.cancel(timeout=60)
        assert (ended.status, len(ended.fills)) == (Status.CANCELLED, TRADES)
        assert len(ended.model_dump_json()) > MOST
        assert (await order.now()).fills == ended.fills
        (held,) = await desk.orders.positions()
        assert held.quantity == TRADES


async def test_what_is_long_travels_compressed_and_what_is_not_as_it_is() -> None:
    values = [{"long": "x" * MOST}, {"short": "x"}]
    coded = await data_converter.encode(values)
    assert len(coded[0].data) < MOST // 10
    assert coded[1].data == b'{"short":"x"}'
    assert await data_converter.decode(coded) == values
