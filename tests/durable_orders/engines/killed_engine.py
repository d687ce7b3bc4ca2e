"""A process whose engine is over Kite's client, and that is killed after the broker has an order and before it knows;
or that ends without having closed it, in another directory than it began in.

`python -m tests.durable_orders.engines.killed_engine (killed | unclosed) FOLDER ACCOUNT KEY TOKEN ROOT`
"""

import asyncio
import os
import signal
import sys
from typing import Any

from kiteconnect import KiteConnect

from durable_orders.engines import LiveExecutionEngine
from tests.durable_orders.engines.conftest import older


class Killing(KiteConnect):  # type: ignore[misc]
    def place_order(self, tradingsymbol: str, **terms: Any) -> Any:
        super().place_order(tradingsymbol=tradingsymbol, **terms)
        os.kill(os.getpid(), signal.SIGKILL)


async def place(how: str, folder: str, account: str, key: str, token: str, root: str) -> None:
    execution = {"folder": folder, "live": {"settle_window": 0.5, "reconciliation_interval": 0.1}}
    kite = (Killing if how == "killed" else KiteConnect)(key, token, root=root)
    engine = LiveExecutionEngine(kite, config={"account": account, "execution": execution})
    await engine.place_order(older(order_id="mine", order_type="LIMIT", price=1490.0))
    os.chdir("/")


if __name__ == "__main__":
    asyncio.run(place(*sys.argv[1:]))
