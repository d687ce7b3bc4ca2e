"""The account, proved, on paper: the paper exchange, the ledger, the guardian and what a flatten reads.

Two strategies trade in the same symbols, somebody else trades beside them, and RMS squares off while nobody looks.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from temporalio.client import Client

from durable_orders.activities.exit_quotes import ExitQuotes
from durable_orders.activities.flatten import FlattenActivities
from durable_orders.activities.positions import PositionReader
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.flatten.flatten import Flatten, Progress
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.rules import ExchangeRules
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.approval import grant
from durable_orders.trading.orders.order import Account, Order, OrderIntent, Product, Side
from tests.ledgers import empty_ledger
from tests.trading.backtest.durable import DurablePath
from tests.trading.backtest.test_differential import FUTURE, INFY, INSTRUMENTS, OPENS, SESSION, SOON

Key = tuple[str, str]
PRICES = {INFY: Decimal(1500), FUTURE: Decimal(24300)}
CUT_OFF = 180
"""Seconds from the opening to the square-off of `SOON`."""


class World:
    def __init__(self, file: Path, random: Random) -> None:
        content = {"execution": {"paper": {"slippage_enabled": False, "square_off_enabled": True}}}
        settings = Settings.model_validate(content | {"market": {"sessions": SOON}})
        self.random, self.account = random, Account(settings.account)
        self.path = DurablePath(empty_ledger(file), settings, INSTRUMENTS, SESSION, datetime.now(UTC) - OPENS)
        self.second, self.number, self.volume = 0, 0, 1_000
        sessions = InstrumentSessions(settings.market)
        quotes = ExitQuotes(settings, INSTRUMENTS, sessions, ExchangeRules(INSTRUMENTS.get, sessions))
        reader = PositionReader(self.account, self.path._broker, self.path.database)
        no_server = cast(Client, None)  # nothing is amended here: what rests is withdrawn
        self.flattening = FlattenActivities(settings, self.path.database, no_server, reader, quotes)
        self.tick()

    @property
    def held(self) -> Counter[Key]:
        return Counter({(each.symbol, str(each.product)): each.quantity for each in self.path._broker.positions()})

    def tick(self, seconds: int = 1, *, is_seen: bool = True) -> None:
        self.second += seconds
        self.volume += 10_000
        for symbol, price in PRICES.items():
            tick = Tick(symbol, price, OPENS + timedelta(seconds=self.second), self.volume)
            if is_seen:
                self.path.show(tick)
            else:
                self.path.now = tick.at + self.path._ahead
                self.path._market.on_ticks([tick], SESSION, SESSION.closes + self.path._ahead)

    def intent(self, strategy: str) -> OrderIntent:
        self.number += 1
        symbol = self.random.choice([INFY, INFY, FUTURE])
        return OrderIntent(
            account=self.account,
            symbol=symbol,
            side=self.random.choice(list(Side)),
            quantity=self.random.randint(1, 9) * (75 if symbol == FUTURE else 1),
            product=self.random.choice([Product.MIS, Product.NRML if symbol == FUTURE else Product.CNC]),
            client_order_id=f"{strategy}-{self.number}",
            strategy=strategy,
        )

    def by_a_strategy(self) -> None:
        self.path.place(self.intent(self.random.choice(["first", "second"])))

    def by_hand(self) -> None:
        """Nothing of it comes into the ledger."""
        self.path._broker.place(grant(Order.from_intent(self.intent("elsewhere"), self.path.now)))

    def squared_off(self) -> None:
        """RMS closes what is intraday, and the home is down."""
        if self.second < CUT_OFF:
            self.tick(CUT_OFF - self.second, is_seen=False)

    def flattened(self) -> FlattenResult:
        request = FlattenRequest(account=self.account, reason="enough", who="a test", flatten=True, until_resumed=False)
        flatten = Flatten(Progress(requests=(request,)), f"f{self.second}")
        for _ in range(300):
            seen = self.flattening.snapshot([request], list(flatten.progress.placed), [])
            step = flatten.step(seen, self.path.now)
            if step.is_done:
                return self.flattening.finish(flatten.progress, seen, flatten.problems(seen, self.path.now))
            for cancel in step.cancels:
                self.path.cancel(str(cancel.order.order_id).rpartition(":")[2], "a test")
            for intent in step.orders:
                self.path.place(intent)
            self.tick()
        raise AssertionError("it never ends")


@pytest.mark.parametrize("seed", range(8))
def test_a_flatten_opens_nothing_and_says_what_the_broker_still_has(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path / "ledger.db", Random(seed))
    happenings: list[Any] = [world.by_a_strategy] * 5 + [world.by_hand, world.squared_off]
    for _ in range(2):
        for _ in range(world.random.randint(2, 8)):
            world.random.choice(happenings)()
        before = world.held
        result = world.flattened()
        after = world.held
        for key in {*before, *after}:
            assert abs(after[key]) <= abs(before[key]), f"{key}: {before[key]} became {after[key]}"
            assert after[key] * before[key] >= 0, f"{key}: {before[key]} was turned into {after[key]}"
        left = {key for key, held in after.items() if (held > 0 if key[1] == Product.CNC else held)}
        assert left <= {(each.symbol, each.product) for each in result.differences}
        assert not left or not result.is_flat
    world.path.database.close()
