"""What is built out of the settings: feeds, their pace, and the end of the session."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.config.settings import Market, Settings
from durable_orders.trading.errors import InvalidInstruments, InvalidSettings, InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.tables import exchange_markets
from durable_orders.trading.market.calendar import ALWAYS_OPEN, segment_calendar
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.orders.order import Account, Order, OrderIntent, Side
from durable_orders.workers.components import pace, session_end, tick_source
from durable_orders.workers.home import Home
from durable_orders.workers.instruments import instruments_of
from tests.ledgers import open_empty_ledger

XNSE = segment_calendar(MarketSegment.EQUITY)
INSTRUMENTS = Instruments.shipped()
DAY = datetime(2025, 4, 29, tzinfo=UTC)


def of_market(**market: object) -> Settings:
    return Settings(market=Market.model_validate(market))


def test_the_shipped_day_is_played_by_default() -> None:
    feed = tick_source(of_market(), INSTRUMENTS, XNSE)
    first, *rest = islice(feed(None), 10)
    assert (first.tick.symbol, first.tick.at.date()) == (SHIPPED_SYMBOL, DAY.date())
    assert all(earlier.tick.at < later.tick.at for earlier, later in zip([first, *rest], rest, strict=False))
    again = next(feed(rest[-1].tick.at))
    assert again.tick.at > rest[-1].tick.at, "it goes on where it was"


def test_a_file_of_ones_own_is_played_at_its_pace(tmp_path: Path) -> None:
    file = tmp_path / "ticks.csv"
    file.write_text("timestamp,last_price\n2025-04-29T09:15:00+05:30,1500\n2025-04-29T09:15:30+05:30,1500.1\n")
    settings = of_market(ticks=file, symbol="NSE:INFY", speed=10)
    first, second = islice(tick_source(settings, INSTRUMENTS, XNSE)(None), 2)
    assert (first.tick.symbol, first.tick.last_price) == ("NSE:INFY", Decimal(1500))
    assert (second.wait, pace(settings)) == (3.0, 10.0)


def test_a_synthetic_market_keeps_the_walls_time() -> None:
    settings = of_market(feed="synthetic", symbol="NSE:INFY", calendar="always_open", speed=600)
    began = datetime.now(UTC)
    ticks = list(islice(tick_source(settings, INSTRUMENTS, ALWAYS_OPEN)(None), 5))
    assert pace(settings) == 1.0
    assert {timed.tick.symbol for timed in ticks} == {"NSE:INFY"}
    assert all(timed.tick.last_price % Decimal("0.1") == 0 for timed in ticks)
    assert began <= ticks[0].tick.at <= datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("market", "error", "words"),
    [
        ({"symbol": "NSE:NOBODY"}, InvalidSettings, "market.symbol: NSE:NOBODY is not in the instrument master"),
        ({"ticks": Path("/nowhere.csv")}, InvalidTicks, r"nowhere\.csv"),
    ],
)
def test_a_market_that_cannot_be_built(market: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tick_source(of_market(**market), INSTRUMENTS, XNSE)


def test_an_instrument_master_of_ones_own(tmp_path: Path) -> None:
    assert len(instruments_of(Home(tmp_path), Settings())) == len(INSTRUMENTS)
    with pytest.raises(InvalidInstruments, match=r"none\.csv"):
        instruments_of(Home(tmp_path), of_market(instruments=tmp_path / "none.csv"))


def test_the_session_ends_when_the_replayed_one_does(tmp_path: Path) -> None:
    account, noon = Account("paper"), datetime(2026, 1, 5, 6, 30, tzinfo=UTC)
    closes, soon = session_end(account, XNSE), noon + timedelta(minutes=1)
    now, then = (of_moment(moment) for moment in (noon, soon))
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        with database.read() as connection:
            assert closes(connection, now) == XNSE.session_at_or_after(noon).closes
        with database.write() as connection:
            row = {"account": account, "epoch": 1, "version": 1, "closes_at": soon}
            connection.execute(exchange_markets.insert().values(row))
        with database.read() as connection:
            assert closes(connection, now) == soon
            assert closes(connection, then) == XNSE.session_at_or_after(soon).closes, "that one is over"


def test_in_a_replayed_market_each_symbol_has_its_own_end(tmp_path: Path) -> None:
    """The market's clock is at 15:00 of a day in October 2026, and goes 60 times as fast as the wall's."""
    account, noon = Account("paper"), datetime(2026, 1, 5, 6, 30, tzinfo=UTC)
    sessions = InstrumentSessions(Market(), INSTRUMENTS)
    ends = session_end(account, sessions, 60.0)
    row = {"account": account, "epoch": 1, "version": 1, "closes_at": noon + timedelta(hours=1), "wall_at": noon}
    market = row | {"session": date(2026, 10, 6), "market_at": datetime(2026, 10, 6, 15, tzinfo=IST)}
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        with database.write() as connection:
            connection.execute(exchange_markets.insert().values(market))
        with database.read() as connection:
            assert ends(connection, of_moment(noon)) == noon + timedelta(seconds=30)
            assert ends(connection, of_moment(noon, "NFO:NIFTY25MAYFUT")) == noon + timedelta(seconds=40)


def of_moment(moment: datetime, symbol: str = "NSE:INFY") -> Order:
    return Order.from_intent(OrderIntent(symbol=symbol, side=Side.BUY, quantity=75), moment)
