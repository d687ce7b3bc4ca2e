from datetime import datetime, timedelta
from decimal import Decimal

from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick, save_ticks
from durable_orders.trading.market.ticks import Tick
from tests.trading.ledger.examples import SECOND, START

RECEIVED = START + timedelta(days=200)


def test_the_last_tick_of_each_symbol_is_kept(ledger: Database) -> None:
    first = [
        Tick("NSE:INFY", Decimal("1500.05"), START),
        Tick("NSE:TCS", Decimal(3000), START),
        Tick("NSE:INFY", Decimal("1500.1"), START + timedelta(seconds=1)),
    ]
    with ledger.write() as connection:
        save_ticks(connection, "paper", first, RECEIVED)
        save_ticks(connection, "other", first[:1], RECEIVED)
    with ledger.read() as connection:
        assert last_tick(connection, "paper", "NSE:INFY") == LastTick(
            Decimal("1500.1"), START + timedelta(seconds=1), RECEIVED
        )
        assert last_tick(connection, "other", "NSE:INFY") == LastTick(Decimal("1500.05"), START, RECEIVED)
        assert last_tick(connection, "other", "NSE:TCS") is None


def test_the_last_price_of_the_day_before_is_kept(ledger: Database) -> None:
    """Days end at midnight in IST, by the time at which a price was received. A weekend keeps Friday's."""
    midnight = datetime(2026, 1, 10, tzinfo=IST)
    monday = midnight + timedelta(days=2, hours=9)
    received = {midnight - SECOND: 1500, midnight: 1510, monday: 1520, monday + SECOND: 1530}
    closes = []
    for at, price in received.items():
        with ledger.write() as connection:
            save_ticks(connection, "paper", [Tick("NSE:INFY", Decimal(price), START)], at)
        with ledger.read() as connection:
            tick = last_tick(connection, "paper", "NSE:INFY")
            assert tick is not None
            closes.append(tick.previous_close)
    assert closes == [None, 1500, 1510, 1510]
    assert tick is not None
    assert tick.close_before(start_of_day(monday)) == 1510
    assert tick.close_before(start_of_day(monday + timedelta(days=1))) == 1530, "nothing was received that day yet"


def test_a_replay_that_starts_again_goes_back(ledger: Database) -> None:
    for hours, price in ((6, 1510), (0, 1500)):
        tick = Tick("NSE:INFY", Decimal(price), START + timedelta(hours=hours))
        with ledger.write() as connection:
            save_ticks(connection, "paper", [tick], RECEIVED)
            save_ticks(connection, "paper", [], RECEIVED)
    with ledger.read() as connection:
        assert last_tick(connection, "paper", "NSE:INFY") == LastTick(Decimal(1500), START, RECEIVED)
