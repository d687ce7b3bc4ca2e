"""A worker that lives through a week: an expiry, a Muhurat session, a holiday by notice, one of the list, a new master.

The real server, a worker and the paper exchange; the week's clock is the feed's, and stands still until what the
strategy asked for at a tick is recorded.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.running import Why
from durable_orders.trading.ledger.reading import events_of
from durable_orders.trading.orders.order import Order, Product, Status
from durable_orders.trading.strategies.strategy import StrategyContext
from durable_orders.workers import instruments
from durable_orders.workers.components import book_of
from durable_orders.workers.home import Home
from tests.conftest import MakeHome, eventually
from tests.durable_orders.running.stage import Script, orders_of, run_on, staffed
from tests.sandbox.serving import until

INDEX, EXPIRING, LATER, WEEKLY, SHARE = (
    "NSE:NIFTY 50",
    "NFO:NIFTY26NOVFUT",
    "NFO:NIFTY26DECFUT",
    "NFO:NIFTY26N1726000CE",
    "NSE:PCBL",
)
HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n"
)
MASTER = f"""{HEADER}1,1,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
2,2,NIFTY26NOVFUT,NIFTY,0,2026-11-06,0,0.05,75,FUT,NFO-FUT,NFO
3,3,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.05,75,FUT,NFO-FUT,NFO
4,4,PCBL,PCBL,0,,0,0.05,1,EQ,NSE,NSE
"""
NEXT_MASTER = f"""{MASTER.replace(",75,", ",65,")}5,5,NIFTY26N1726000CE,NIFTY,0,2026-11-17,26000,0.05,65,CE,NFO-OPT,NFO
"""
TICKS = f"""timestamp,last_price,symbol
2026-11-05 10:00:00+05:30,26000,{EXPIRING}
2026-11-05 10:00:10+05:30,100,{SHARE}
2026-11-06 10:00:00+05:30,26100,{EXPIRING}
2026-11-06 15:25:00+05:30,26012.35,{INDEX}
2026-11-08 18:05:00+05:30,101,{SHARE}
2026-11-09 11:00:00+05:30,102,{SHARE}
2026-11-10 11:00:00+05:30,102,{SHARE}
2026-11-11 09:59:50+05:30,103,{SHARE}
2026-11-11 10:00:00+05:30,103,{SHARE}
2026-11-11 10:00:10+05:30,26200,{LATER}
2026-11-11 10:00:20+05:30,150,{WEEKLY}
2026-11-11 10:00:30+05:30,150,{WEEKLY}
2026-11-12 10:00:00+05:30,104,{SHARE}
"""
"""On the 9th, closed by notice, and on the 10th, a holiday, there is nothing to be seen."""
EXCEPTIONS = [
    {"date": "2026-11-08", "windows": [{"opens": "18:00", "closes": "19:00"}], "reason": "Muhurat"},
    {"date": "2026-11-09", "closed": True, "reason": "by notice"},
]
PLAIN = {"slippage_bps": 0, "reconciliation_interval": 0.5, "stale_tick_seconds": 86_400}
LIMIT: dict[str, Any] = {"order_type": "LIMIT", "product": Product.NRML}


async def test_orders_rest_across_a_week_of_the_market(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "LOOK_SECONDS", 0.05)
    master, ticks = tmp_path / "master.csv", tmp_path / "week.csv"
    master.write_text(MASTER)
    ticks.write_text(TICKS)

    def buy_and_rest(desk: StrategyContext) -> None:
        desk.buy(EXPIRING, 75, price=26000, client_order_id="held", **LIMIT)

    def rest(name: str) -> Any:
        return lambda desk: desk.buy(SHARE, 10, order_type="LIMIT", price=90, client_order_id=name)

    def on_the_last_day(desk: StrategyContext) -> None:
        desk.sell(EXPIRING, 75, price=27000, client_order_id="on-the-last-day", **LIMIT)

    def rest_with_the_old_lot(desk: StrategyContext) -> None:
        desk.buy(LATER, 75, price=20000, client_order_id="rests-with-the-old-lot", **LIMIT)

    def alerts() -> list[str]:
        with home.ledger(home.settings()) as database, database.read() as connection:
            return [event.message for event in events_of(connection, f"account:{home.settings().account}")]

    def wait_for_the_alert(_desk: StrategyContext) -> None:
        until(lambda: [words for words in alerts() if words.startswith("rests-with-the-old-lot: ")])

    def after_the_week(desk: StrategyContext) -> None:
        desk.buy(EXPIRING, 75, price=26000, client_order_id="expired", **LIMIT)
        master.write_text(NEXT_MASTER)
        desk.buy(WEEKLY, 65, price=200, client_order_id="new-weekly", **LIMIT)
        desk.buy(LATER, 75, price=26200, client_order_id="old-lot", **LIMIT)
        desk.buy(LATER, 65, price=26200, client_order_id="new-lot", **LIMIT)

    steps = {0: buy_and_rest, 1: rest("thursday"), 2: on_the_last_day, 4: rest("muhurat")}
    steps |= {5: rest_with_the_old_lot, 6: after_the_week, 9: wait_for_the_alert}
    market = {"ticks": str(ticks), "speed": 100_000, "instruments": str(master), "exceptions": EXCEPTIONS}
    home = make_home({"market": market, "execution": {"paper": PLAIN}})
    script = Script(steps)
    found = await run_on(home, script)

    assert found.ended == Why.CLOSED
    orders = {order.client_order_id: order for order in await all_ended(home)}
    assert script.ticks == 11, "nothing is seen of the two closed days"
    assert orders["thursday"].status is Status.EXPIRED
    assert said(orders["thursday"]).endswith("the session of 2026-11-05 has ended")
    assert said(orders["muhurat"]).endswith("the session of 2026-11-08 has ended")
    assert orders["held"].status is Status.FILLED
    assert orders["on-the-last-day"].status is Status.EXPIRED
    [settled] = [order for order in orders.values() if order.strategy == "external"]
    assert (settled.symbol, settled.quantity, settled.average_price) == (EXPIRING, 75, Decimal("26012.35"))
    assert said(orders["expired"]).startswith(f"EXPIRED_CONTRACT: {EXPIRING} expired on 06 Nov 2026")
    assert said(orders["old-lot"]) == "LOT_SIZE: quantity must be a multiple of the lot of 65, was 75"
    [alerted] = [words for words in alerts() if words.startswith("rests-with-the-old-lot: ")]
    assert alerted.endswith("does not hold: quantity must be a multiple of the lot of 65, was 75")
    assert orders["rests-with-the-old-lot"].status is Status.EXPIRED
    assert orders["new-lot"].status is Status.FILLED
    assert orders["new-weekly"].status is Status.FILLED
    with home.ledger(home.settings()) as database:
        held = {each.symbol: each.quantity for each in book_of(home, home.settings(), database).positions()}
    assert held == {LATER: 65, WEEKLY: 65}


async def all_ended(home: Home) -> list[Order]:
    """What the last ticks have ended may be told after the run: the next worker does so, its market standing still."""

    async def ended() -> list[Order] | None:
        found = await orders_of(home)
        is_settled = any(order.strategy == "external" for order in found)
        return found if is_settled and all(order.status.terminal for order in found) else None

    async with staffed(home):
        orders = await eventually(ended, "all orders have ended, the settlement is adopted")
    assert orders is not None
    return orders


def said(order: Order) -> str:
    return order.reasons[-1] if order.reasons else ""
