"""The live engine: over durable workflows where a server is configured, else over the caller's own broker object."""

import logging
from pathlib import Path
from typing import Any

from durable_orders.callers.figures import section
from durable_orders.engines.books import Books
from durable_orders.engines.desk import Desk
from durable_orders.engines.durable import DurableDesk
from durable_orders.engines.in_process import InProcessDesk
from durable_orders.engines.over_desk import OverDesk
from durable_orders.engines.terms import LiveTerms, configured_home
from durable_orders.orders import Orders
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.orders.order import Mode

ACCOUNT = "live"
"""The account of an engine without a server, if `account` of the configuration names none."""

BOTH = (
    "broker: give a broker or a home, not both: with `home`, `orders` or `execution.home` the orders go to that home's "
    "worker and its own session with Kite, and never over this broker"
)


class LiveExecutionEngine(OverDesk):
    """Real orders.

    With `orders` (a client) or `home` (a directory; else `execution.home` of the configuration), they are durable
    workflows of that home's desk, which has a live account and its worker. Without either, they go over `broker` and
    are followed by this process: `place_order(dict)`, `cancel_order` and `get_orders` are called by whichever of the
    known spellings they have. An order has one way to go, so a `broker` beside a home is an error.

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
        terms = LiveTerms.of(config)
        server = orders or configured_home(home, config)
        if server is not None and broker is not None:
            raise ValueError(BOTH)
        desk: Desk
        if server is not None:
            desk = DurableDesk(server, Mode.LIVE, guardian, market_data_engine, bus, books)
        elif broker is None:
            raise ValueError("Broker required for live mode")
        else:
            account = str(section(config).get("account") or ACCOUNT)
            desk = InProcessDesk(broker, guardian, market_data_engine, terms, account, bus, books)
        super().__init__(desk, bus)
