"""The account, proved, in a backtest: whatever two strategies, the broker's square-off and an expiry do to positions in
the same symbols, a breaker that flattens never makes one larger, and leaves none."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.config.sessions import Sessions
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.flatten.closing import FLATTEN
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderIntent, OrderType, Product, Side

INFY, FUTURE, CALL, INDEX = "NSE:INFY", "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE", "NSE:NIFTY 50"
EXPIRY = date(2026, 11, 23)
DAYS = (date(2026, 11, 20), EXPIRY, date(2026, 11, 25))
COLUMNS = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
LISTED = f"""{COLUMNS}
1,1,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
2,2,NIFTY26NOVFUT,NIFTY,0,{EXPIRY},0,0.05,65,FUT,NFO-FUT,NFO
3,3,NIFTY26NOV26000CE,NIFTY,0,{EXPIRY},26000,0.05,65,CE,NFO-OPT,NFO
4,4,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
"""
STEP = Decimal("0.05")
SOON = {kind: {"mis_cutoff": "09:40"} for kind in Sessions.model_fields}
PAPER: dict[str, Any] = {
    "slippage_enabled": False,
    "square_off_enabled": True,
    "volume_limit_enabled": True,
    "volume_limit": "0.5",
    "market_rests_probability": 0.3,
    "latency_enabled": True,
    "stale_tick_seconds": 600,
}


@pytest.fixture(scope="module")
def master() -> Instruments:
    with NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(LISTED)
        file.flush()
        return Instruments.read(Path(file.name))


class World:
    """A backtest of three days, the second of which is the last of the contracts."""

    def __init__(self, master: Instruments, random: Random) -> None:
        limits = {
            "max_daily_loss": random.choice([20, 200, 1_000]),
            "max_loss_streak": random.choice([1, 2, 3]),
            "on_trip": "flatten",
            "flatten_products": ["MIS", "NRML", "CNC"],
        }
        content = {"guardian": limits, "execution": {"paper": PAPER | {"seed": 1}}, "market": {"sessions": SOON}}
        chosen = Settings.model_validate(content | {"exits": {"interval": 1}})
        self.random = random
        self.sessions = InstrumentSessions(chosen.market, master)
        self.at = datetime.combine(DAYS[0], time(9, 15), IST)
        self.core = Core(chosen, master, self.at, {"first", "second"}, lambda _live: None)
        self.prices = {INFY: Decimal(1500), FUTURE: Decimal(26000), CALL: Decimal(100), INDEX: Decimal(26000)}
        self.volumes = dict.fromkeys(self.prices, 0)
        self.number = 0
        self.before: dict[tuple[str, Product], int] | None = None

    @property
    def held(self) -> dict[tuple[str, Product], int]:
        found = {(each.symbol, each.product): each.quantity for each in self.core.positions()}
        return {key: held for key, held in found.items() if held}

    def tick(self, seconds: float, volume: int) -> None:
        symbol = self.random.choice([INFY, INFY, FUTURE, CALL, INDEX])
        self.at += timedelta(seconds=seconds)
        self.prices[symbol] = max(self.prices[symbol] + STEP * self.random.randint(-60, 60), STEP)
        self.volumes[symbol] += volume
        session = self.sessions.of(symbol).session_on(self.at.date())
        if session is None or not session.contains(self.at):
            return
        if symbol in (FUTURE, CALL) and self.at.date() > EXPIRY:
            return
        self.core.on_tick(Tick(symbol, self.prices[symbol], self.at, self.volumes[symbol]), session)
        self.look()

    def order(self) -> None:
        self.number += 1
        symbol = self.random.choice([INFY, INFY, FUTURE, CALL])
        kind = self.random.choice([OrderType.MARKET, OrderType.MARKET, OrderType.LIMIT])
        products = [Product.MIS, Product.MIS, Product.CNC if symbol == INFY else Product.NRML]
        intent = OrderIntent(
            symbol=symbol,
            side=self.random.choice(list(Side)),
            quantity=self.random.randint(1, 40) if symbol == INFY else 65 * self.random.randint(1, 2),
            order_type=kind,
            price=self.prices[symbol] if kind is OrderType.LIMIT else None,
            product=self.random.choice(products),
            client_order_id=f"order-{self.number}",
            strategy=self.random.choice(["first", "second"]),
        )
        self.core.send(intent)
        self.look()

    def look(self) -> None:
        """From a trip on until trading is allowed again, nothing becomes larger, and nothing is turned around."""
        now = self.held
        if self.before is not None:
            for key, held in now.items():
                had = self.before.get(key, 0)
                assert abs(held) <= abs(had), f"{key}: {had} became {held}"
                assert held * had > 0, f"{key}: {had} was turned into {held}"
        self.before = now if self.core.state() is not AccountState.ACTIVE else None


@pytest.mark.parametrize("seed", range(25))
def test_a_trip_ends_flat_and_on_the_way_nothing_becomes_larger(master: Instruments, seed: int) -> None:
    world = World(master, Random(seed))
    for day in DAYS:
        world.at = max(world.at, datetime.combine(day, time(9, 15), IST))
        for _ in range(world.random.randint(20, 60)):
            if world.random.random() < 0.5:
                world.order()
            else:
                world.tick(world.random.choice([0.3, 5, 60]), world.random.randint(0, 300))
            if world.core.flatten.tripped and world.random.random() < 0.2:
                break
    for _ in range(3_000):
        if not world.core.flatten.is_needed:
            break
        world.tick(1, 10_000)
    closing = [each for each in world.core.ended() if each.strategy == FLATTEN]
    if world.core.state() is not AccountState.ACTIVE:
        left = {key: held for key, held in world.held.items() if not (key[1].is_delivery and held < 0)}
        assert not left or any(each.problems for each in world.core.flatten.tripped), (
            f"{left} is left, and nobody says so"
        )
    assert bool(closing) <= bool(world.core.flatten.tripped)
