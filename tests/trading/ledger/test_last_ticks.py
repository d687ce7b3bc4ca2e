from datetime import timedelta
from decimal import Decimal

from tests.trading.ledger.examples import START
from trading.ledger.database import Database
from trading.ledger.last_ticks import LastTick, last_tick, save_ticks
from trading.market.ticks import Tick

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


def test_a_replay_that_starts_again_goes_back(ledger: Database) -> None:
    for hours, price in ((6, 1510), (0, 1500)):
        tick = Tick("NSE:INFY", Decimal(price), START + timedelta(hours=hours))
        with ledger.write() as connection:
            save_ticks(connection, "paper", [tick], RECEIVED)
            save_ticks(connection, "paper", [], RECEIVED)
    with ledger.read() as connection:
        assert last_tick(connection, "paper", "NSE:INFY") == LastTick(Decimal(1500), START, RECEIVED)
