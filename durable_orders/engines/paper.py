"""The paper engine: over durable workflows where a server is configured, else in this process and without waiting."""

import logging
from pathlib import Path
from typing import Any

from durable_orders.engines.any_symbol import AnySymbol
from durable_orders.engines.backend_engine import BackendEngine
from durable_orders.engines.books import Books
from durable_orders.engines.durable import TemporalBackend
from durable_orders.engines.execution_backend import ExecutionBackend
from durable_orders.engines.simulated_backend import SimulatedBackend
from durable_orders.engines.terms import configured_home, paper_run, timeframe_of
from durable_orders.orders import Orders
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Mode


class PaperExecutionEngine(BackendEngine):
    """Orders that are not real.

    With `orders` (a client) or `home` (a directory; else `execution.home` of the configuration), they are durable
    workflows of that home's desk: its market fills them, and `market_data_engine` only shows the guardian a price.
    Without either, the guardian and the exchange of the backtest are run in this process, on the last price that
    `market_data_engine` has, by whichever of the known methods it has; nothing waits, and the same seed gives the same
    fills. `poll_orders` is when resting orders meet a new price.

    The checks are those of the configuration's `guardian` section, and `guardian` (`validate_pre_trade`) beside them.
    `state_store` gets positions and open orders, `journal_store` a row for each change. An order that still rested when
    its process ended has ended with it.
    """

    def __init__(
        self,
        market_data_engine: Any = None,
        state_store: Any = None,
        config: Any = None,
        event_bus: EventBus | None = None,
        logger_instance: logging.Logger | None = None,
        *,
        guardian: Any = None,
        journal_store: Any = None,
        instruments: Instruments | None = None,
        orders: Orders | None = None,
        home: Path | str | None = None,
    ) -> None:
        """`instruments` has lots and ticks; without it, everything is traded in ones and in steps of 0.05. Raises
        `ValueError` for neither a server nor market data and for a configuration that cannot be used, and what reading
        the state raises."""
        bus = event_bus or EventBus()
        books = Books(state_store, journal_store, Mode.PAPER.value, logger_instance)
        server = orders or configured_home(home, config)
        desk: ExecutionBackend
        if server is not None:
            desk = TemporalBackend(server, Mode.PAPER, guardian, market_data_engine, bus, books)
        elif market_data_engine is None:
            raise ValueError("MarketDataEngine required for paper mode")
        else:
            settings, master = paper_run(config), instruments or AnySymbol()
            desk = SimulatedBackend(market_data_engine, guardian, timeframe_of(config), settings, master, bus, books)
        super().__init__(desk, bus)
