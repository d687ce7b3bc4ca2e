"""The live engine: over durable workflows where a server is configured, else over the caller's own broker object."""

import logging
from pathlib import Path
from typing import Any

from durable_orders.engines.backend_engine import BackendEngine
from durable_orders.engines.books import Books
from durable_orders.engines.broker_orders import BrokerOrders
from durable_orders.engines.durable import TemporalBackend
from durable_orders.engines.terms import configured_home, live_terms
from durable_orders.orders import Orders
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.orders.order import Mode

BOTH = (
    "broker: give a broker or a home, not both: with `home`, `orders` or `execution.home` the orders go to that home's "
    "worker and its own session with Kite, and never over this broker"
)


class LiveExecutionEngine(BackendEngine):
    """Real orders.

    With `orders` (a client) or `home` (a directory; else `execution.home` of the configuration), they are durable
    workflows of that home's desk, which has a live account and its worker. Without either, this process runs a desk
    itself, whose worker goes over `broker`: `place_order(dict)`, `cancel_order` and `get_orders` are called by
    whichever of the known spellings they have. Its orders are durable workflows, too, kept in `execution.folder`, and
    the next process goes on with them. An order has one way to go, so a `broker` beside a home is an error.

    `guardian` (`validate_pre_trade`) is asked about every order, whichever way it goes. A lost answer is settled by
    the order book: until then the order is `UNKNOWN` and nothing new is sent. `state_store` gets positions and open
    orders, `journal_store` a row for each change.
    """

    def __init__(
        self,
        broker: Any = None,
        guardian: Any = None,
        state_store: Any = None,
        journal_store: Any = None,
        config: Any = None,
        event_bus: EventBus | None = None,
        logger_instance: logging.Logger | None = None,
        *,
        market_data_engine: Any = None,
        orders: Orders | None = None,
        home: Path | str | None = None,
    ) -> None:
        """`market_data_engine` shows the guardian the last price. Raises `ValueError` for neither a home nor a broker,
        for both, and for a configuration that cannot be used, and what reading the state raises."""
        bus = event_bus or EventBus()
        books = Books(state_store, journal_store, Mode.LIVE.value, logger_instance)
        live_terms(config)
        server = orders or configured_home(home, config)
        if server is not None and broker is not None:
            raise ValueError(BOTH)
        if server is None and broker is None:
            raise ValueError("Broker required for live mode")
        own = server or BrokerOrders(broker, config)
        desk = TemporalBackend(
            *(own, Mode.LIVE, guardian, market_data_engine, bus, books),
            is_ours=server is None,
        )
        super().__init__(desk, bus)
