"""A process whose engine is over Kite's client, and that is killed after the broker has an order and before it knows;
or that ends without having closed it, in another directory than it began in. `older` is the older engine, killed.

`python -m tests.durable_orders.engines.killed_engine (killed | unclosed | older) FOLDER ACCOUNT KEY TOKEN ROOT`
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from kiteconnect import KiteConnect

from durable_orders.engines import LiveExecutionEngine
from durable_orders.v2 import ExecutionEngineV2, OrderIntent, StateStore
from tests.durable_orders.engines.conftest import older

MINE = OrderIntent(
    "INFY", "s", "BUY", 10, "LIMIT", price=1490.0, metadata={"exchange": "NSE", "client_order_id": "mine"}
)


class Killing(KiteConnect):  # type: ignore[misc]
    def place_order(self, tradingsymbol: str, **terms: Any) -> Any:
        super().place_order(tradingsymbol=tradingsymbol, **terms)
        os.kill(os.getpid(), signal.SIGKILL)


async def place(how: str, folder: str, account: str, key: str, token: str, root: str) -> None:
    execution = {"folder": folder, "live": {"settle_window": 0.5, "reconciliation_interval": 0.1}}
    kite = (KiteConnect if how == "unclosed" else Killing)(key, token, root=root)
    config = {"account": account, "execution": execution}
    if how == "older":
        store = StateStore(checkpoint_path=Path(folder).with_name("state.json"))
        ExecutionEngineV2("live", kite, store, None, None, None, config).execute_intent(MINE)
    engine = LiveExecutionEngine(kite, config=config)
    await engine.place_order(older(order_id="mine", order_type="LIMIT", price=1490.0))
    os.chdir("/")


if __name__ == "__main__":
    asyncio.run(place(*sys.argv[1:]))
