"""The account, proved over the wire: whatever happened, a flatten opens nothing, and says flat when Kite is flat."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import KiteException

from chaos.venue import INFY
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import OrderType, Product, Side, Status, Terms
from durable_orders.verify import verify_home
from tests.conftest import MAX_WAIT
from tests.live.conftest import Desks
from tests.live.desk import Desk, at_work
from tests.live.test_exits import QUICK, closing_orders

EXPIRY = datetime.now(IST).date() + timedelta(days=3)
FUTURE = f"NFO:NIFTY{EXPIRY:%y%b}FUT".upper()
LISTED = f"""instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
instrument_type,segment,exchange
1,1,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
2,2,{FUTURE.removeprefix("NFO:")},NIFTY,0,{EXPIRY},0,0.05,1,FUT,NFO-FUT,NFO
3,3,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
"""
PRICES = {INFY: Decimal(1500), FUTURE: Decimal(26000)}
KEYS = [(INFY, Product.MIS), (INFY, Product.MIS), (FUTURE, Product.NRML), (FUTURE, Product.MIS)]


class Key(NamedTuple):
    symbol: str
    product: str

    @property
    def is_delivery(self) -> bool:
        return self.product == Product.CNC


Held = Counter[Key]


async def held(desk: Desk) -> Held:
    found: Held = Counter()
    for row in await desk.venue.positions():
        found[Key(f"{row['exchange']}:{row['tradingsymbol']}", row["product"])] += int(row["quantity"])
    return found


def chosen(random: Random) -> dict[str, Any]:
    symbol, product = random.choice(KEYS)
    return {"symbol": symbol, "product": product, "side": random.choice(list(Side)), "quantity": random.randint(1, 9)}


async def by_a_strategy(desk: Desk, random: Random) -> None:
    """One of two, in the same symbols."""
    terms = chosen(random)
    order = await desk.place(OrderType.MARKET, strategy=random.choice(["first", "second"]), **terms)
    ended = await order.result()
    refused = ended.status is Status.REJECTED and any("UNEXPLAINED" in reason for reason in ended.reasons)
    assert ended.status is Status.FILLED or refused, ended.reasons


async def by_hand(desk: Desk, random: Random) -> None:
    await desk.venue.place_foreign(Terms(**chosen(random)))


async def converted(desk: Desk, random: Random) -> None:
    token = (await desk.venue.ask("POST", "login"))["access_token"]
    kite = KiteConnect(desk.venue.settings.api_key, token, root=desk.venue.sandbox.root)
    asked = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "position_type": "day"}
    quantity = random.randint(1, 5)
    try:
        await asyncio.to_thread(kite.convert_position, **asked, quantity=quantity, old_product="MIS", new_product="CNC")
    except KiteException:
        return  # as many are not held


async def squared_off(desk: Desk, random: Random) -> None:
    await desk.venue.ask("POST", "square-off")


async def split(desk: Desk, random: Random) -> None:
    if any(quantity for key, quantity in (await held(desk)).items() if key.symbol == INFY):
        await desk.venue.ask("POST", "splits", {"symbol": INFY, "old": 1, "new": 2})


async def expired(desk: Desk, random: Random) -> None:
    if any(quantity for key, quantity in (await held(desk)).items() if key.symbol == FUTURE):
        await desk.venue.ask("POST", "settlements", {"symbol": FUTURE, "price": "26010"})


AT_WORK = (by_a_strategy, by_a_strategy, by_a_strategy, by_hand, converted, squared_off)
DOWN = (by_hand, converted, squared_off, split, expired)


async def while_the_markets_go_on(desk: Desk, work: "asyncio.Task[Any]") -> None:
    while not work.done():
        for symbol, price in PRICES.items():
            await desk.venue.tick(price, symbol)
        await asyncio.wait([work], timeout=0.5)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_a_flatten_opens_nothing_and_says_flat_only_when_kite_is(desks: Desks, tmp_path: Path, seed: int) -> None:
    (master := tmp_path / "instruments.csv").write_text(LISTED)
    random = Random(seed)
    desk = await desks(staffed=False, sandbox={"instruments": master}, market={"instruments": str(master)}, **QUICK)
    for symbol, price in PRICES.items():
        await desk.venue.tick(price, symbol)
    async with at_work(desk):
        for _ in range(6):
            await random.choice(AT_WORK)(desk, random)
    for _ in range(random.randint(0, 3)):
        await random.choice(DOWN)(desk, random)
    before = await held(desk)
    async with at_work(desk):
        for kind in random.choice([(), (FaultKind.MARKET_RESTS,), (FaultKind.MARKET_REFUSED,)]):
            await desk.venue.fault(kind)
        out: asyncio.Task[Any] = asyncio.create_task(desk.orders.flatten(everything=seed % 2 == 0, timeout=MAX_WAIT))
        await while_the_markets_go_on(desk, out)
    result, after = out.result(), await held(desk)
    assert result is not None
    for key in {*before, *after}:
        assert abs(after[key]) <= abs(before[key]), f"{key}: no more exposure than before"
        assert after[key] * before[key] >= 0, f"{key}: nothing is turned around"
    left = {key for key, quantity in after.items() if (quantity > 0 if key.is_delivery else quantity)}
    assert not left or not result.is_flat, f"{left} is left, and it says flat"
    said = {(each.symbol, each.product) for each in result.differences}
    assert left <= said, f"{left - said} is left, and nobody names it"
    for order in await closing_orders(desk):
        assert order.price is None or order.price % Decimal("0.05") == 0
        assert order.filled_quantity <= abs(before[Key(order.symbol, order.product)])
    if result.is_flat:
        found = {each.about for each in (await verify_home(desk.orders, desk.home)).differences}
        assert found <= {f"{symbol} {product}" for symbol, product in said}, "and nothing else differs"
