"""A day of the ledger against contract notes: which trade of the note is which of the ledger."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.activities.tradebook_close import TradebookClose
from durable_orders.trading.brokers.kite.contract_note import read_contract_note
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Account
from tests.ledgers import open_empty_ledger
from tests.trading.brokers.kite.test_contract_note import note, written
from tests.trading.ledger.examples import START, enter, history, new_order, record_all

DAY = START.astimezone(IST).date()
SHARE, FUTURE = "NSE:INFY - EQ / INE009A01021", "NSE:NIFTY 29 JAN 2026 FUT"


def trade(instrument: str, segment: str, order_id: str, quantity: int = 100, price: str = "1500.05") -> str:
    """The first trade of every order of these tests has the id T999."""
    return f"""<trade segment_id="{segment}" instrument_id="{instrument}"><id>T999</id><order_id>{order_id}</order_id>
<timestamp>10:30:05</timestamp><type>B</type><quantity>{quantity}</quantity><average_price>{price}</average_price>
</trade>"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A share and a future, whose exchanges gave the same trade id."""
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        for name, symbol, price in (("share", "NSE:INFY", "1500.05"), ("future", "NFO:NIFTY26JANFUT", "24300")):
            enter(database, order := new_order(name, symbol=symbol))
            record_all(database, history(order, [(100, Decimal(price))], BookState.COMPLETE))
        yield database


def found(database: Database, folder: Path, *trades: str) -> list[tuple[str | None, str | None]]:
    """Of the differences in trades, what the ledger and what the note has."""
    noted = read_contract_note(written(folder, note("".join(trades), str(DAY))), None)
    closing = TradebookClose(Account("paper"), database, None, lambda: START + timedelta(days=1))
    evening, _ = closing.close(noted, DAY)
    return [(each.ours, each.broker) for each in evening.differences if each.kind.value == "trade"]


BOUGHT = trade(SHARE, "NSE-EQ", "B-share")
FUTURE_BOUGHT = trade(FUTURE, "NSE-FO", "B-future", price="24300")


def test_the_same_trade_id_of_two_exchanges_is_two_trades(database: Database, tmp_path: Path) -> None:
    assert found(database, tmp_path, BOUGHT, FUTURE_BOUGHT) == []
    assert found(database, tmp_path, FUTURE_BOUGHT, BOUGHT) == []


@pytest.mark.parametrize("order_id", ["B-share", "1100000012345678"])
@pytest.mark.parametrize(
    ("instrument", "segment", "shown"),
    [
        (SHARE.replace("NSE:", "BSE:"), "BSE-EQ", "BSE:INFY"),
        ("NSE:BANKNIFTY 29 JAN 2026 FUT", "NSE-FO", "NFO:BANKNIFTY 29 JAN 2026 FUT"),
        ("MCX:GOLD 05 FEB 2026 FUT", "MCX-COM", "MCX:GOLD 05 FEB 2026 FUT"),
    ],
)
def test_a_stray_trade_with_a_known_id_is_named_and_the_others_agree(
    database: Database, tmp_path: Path, order_id: str, instrument: str, segment: str, shown: str
) -> None:
    stray = trade(instrument, segment, order_id, quantity=7, price="10")
    for trades in ((BOUGHT, FUTURE_BOUGHT, stray), (stray, BOUGHT, FUTURE_BOUGHT)):
        ((ours, theirs),) = found(database, tmp_path, *trades)
        assert ours is None
        assert theirs is not None
        assert theirs.startswith("trade T999: BUY 7 ")
        assert theirs.endswith(f"{shown} at 10")
