"""Places an order over a line that is cut when it leaves and is back after its time: `cut_line.py DEADLINE LIMIT`.

Run in a network namespace of its own. DEADLINE and LIMIT are in seconds.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from durable_orders.trading.brokers.kite.broker import KiteBroker
from durable_orders.trading.config.settings import Kite, Live, Market
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.approval import grant
from durable_orders.trading.orders.order import Order, OrderIntent
from durable_orders.trading.orders.outcome import Held, NotSent
from tests.operators.counting_kite import CountingKite


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def line(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


class CutsTheLine:
    """A last look, after which nothing gets through."""

    def __init__(self, not_after: datetime) -> None:
        self.not_after = not_after

    @contextmanager
    def leaving(self) -> Iterator[Held | None]:
        line("down")
        yield None

    def late(self) -> NotSent | None:
        raise NotImplementedError


def main(deadline: float, limit: float) -> None:
    line("up")
    with closing(CountingKite()) as kite:
        settings = Kite(api_key="key", root=kite.root, timeout=limit)
        sessions = InstrumentSessions(Market(), Instruments.shipped())
        broker = KiteBroker(settings, Live(), lambda: "token-of-first-user", sessions, lambda: datetime.now(UTC))
        read(broker)
        not_after = datetime.now(UTC) + timedelta(seconds=deadline)
        order = Order.from_intent(OrderIntent(symbol="NSE:INFY", side="BUY", quantity=1), datetime.now(UTC))
        say(broker.place(grant(order), CutsTheLine(not_after)).kind)
        time.sleep(1)  # whatever the kernel still has to give up
        line("up")
        read(broker)
        time.sleep(4)  # longer than it waits before it sends again
        say(f"placements that came: {len(kite.sent())}")


def read(broker: KiteBroker) -> None:
    if broker.order_book() == []:
        say("the book was read")


main(float(sys.argv[1]), float(sys.argv[2]))
