"""What comes with the package is whole, and says what its documentation says."""

from decimal import Decimal

from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL, shipped_day, shipped_instruments
from durable_orders.trading.market.tick_files import read_ticks

SEGMENT_NUMBERS = {"NSE": 1, "NFO-FUT": 2, "NFO-OPT": 2, "CDS-FUT": 3, "BSE": 4, "MCX-FUT": 7, "INDICES": 9}


def test_the_shipped_day_is_a_whole_session() -> None:
    ticks = read_ticks(shipped_day(), SHIPPED_SYMBOL, Decimal("0.05"))

    assert len(ticks) == 75 * 20
    assert {tick.symbol for tick in ticks} == {SHIPPED_SYMBOL}
    assert ticks[0].at.isoformat() == "2025-04-29T09:15:00+05:30"
    assert ticks[-1].at.isoformat() == "2025-04-29T15:29:45+05:30"
    assert [str(price) for price in (ticks[0].last_price, ticks[-1].last_price)] == ["24370.70", "24325.45"]
    assert [str(tick.last_price) for tick in ticks[:20:19]] == ["24370.70", "24439.25"]
    assert str(max(tick.last_price for tick in ticks[:20])) == "24442.25"
    assert str(min(tick.last_price for tick in ticks[:20])) == "24364.35"


def test_the_shipped_instruments_can_be_traded_on_the_shipped_day() -> None:
    instruments = Instruments.shipped()

    future = instruments.get(SHIPPED_SYMBOL)
    assert future is not None
    assert (future.lot_size, str(future.tick_size), str(future.expiry)) == (75, "0.05", "2025-05-29")
    assert all(i.expiry is None or str(i.expiry) > "2025-04-29" for i in instruments)


def test_the_shipped_tokens_follow_kites_rule() -> None:
    exchange_tokens = {
        int(line.split(",")[0]): int(line.split(",")[1]) for line in shipped_instruments().read_text().splitlines()[1:]
    }

    for instrument in Instruments.shipped():
        token = instrument.instrument_token
        assert token == exchange_tokens[token] << 8 | SEGMENT_NUMBERS[instrument.segment]
