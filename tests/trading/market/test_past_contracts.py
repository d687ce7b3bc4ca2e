"""Instruments of data files that no master has, and masters that come in several files or out of Excel."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.config.settings import Market
from durable_orders.trading.errors import InvalidInstruments, InvalidSettings, InvalidTicks
from durable_orders.trading.market.calendar import ALWAYS_OPEN
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import COLUMNS, Instrument, Instruments
from durable_orders.trading.market.past_contracts import (
    Unlisted,
    expiry_of_symbol,
    index_contracts,
    made_instrument,
)
from durable_orders.trading.market.recorded_ticks import market_ticks
from durable_orders.trading.market.shipped import shipped_instruments

NOTHING = Unlisted()


def made(symbol: str, told: Unlisted = NOTHING) -> Instrument:
    found = made_instrument(symbol, told)
    assert found.instrument is not None, found.words
    return found.instrument


@pytest.mark.parametrize(
    ("symbol", "lot", "tick", "expiry"),
    [
        ("NFO:NIFTY24APR22000CE", 50, "0.05", "2024-04-25"),
        ("NFO:NIFTY2450222500PE", 25, "0.05", "2024-05-02"),
        ("NFO:NIFTY24DECFUT", 25, "0.05", "2024-12-26"),
        ("NFO:NIFTY2510224000CE", 75, "0.05", "2025-01-02"),
        ("NFO:NIFTY25JAN24000CE", 25, "0.05", "2025-01-30"),
        ("NFO:NIFTY25AUGFUT", 75, "0.10", "2025-08-28"),
        ("NFO:NIFTY25SEP25000PE", 75, "0.05", "2025-09-30"),
        ("NFO:NIFTY2610626000CE", 65, "0.05", "2026-01-06"),
        ("NFO:BANKNIFTY24FEBFUT", 15, "0.05", "2024-02-29"),
        ("NFO:BANKNIFTY24DECFUT", 15, "0.05", "2024-12-24"),
        ("NFO:BANKNIFTY25JUL57000CE", 35, "0.05", "2025-07-31"),
        ("NFO:BANKNIFTY26JANFUT", 30, "0.20", "2026-01-27"),
        ("NFO:FINNIFTY24JUL23500CE", 25, "0.05", "2024-07-30"),
        ("NFO:MIDCPNIFTY25DEC13000PE", 140, "0.05", "2025-12-30"),
        ("NFO:NIFTYNXT5024NOVFUT", 10, "0.05", "2024-11-29"),
    ],
)
def test_an_expired_contract_has_the_lot_the_tick_and_the_end_that_it_had(
    symbol: str, lot: int, tick: str, expiry: str
) -> None:
    found = made(symbol)

    assert (found.lot_size, found.tick_size, str(found.expiry)) == (lot, Decimal(tick), expiry)


def test_the_shipped_master_and_the_shipped_past_agree() -> None:
    for each in Instruments.shipped():
        if each.exchange == "NFO":
            found = made(each.symbol)
            same = ("lot_size", "expiry", "strike", "instrument_type", "segment", "name")
            assert [getattr(found, name) for name in same] == [getattr(each, name) for name in same]


def test_no_two_entries_are_of_one_contract() -> None:
    """Else which of them counts would be chance."""
    lots = index_contracts().lots
    for number, one in enumerate(lots):
        for other in lots[number + 1 :]:
            apart = one.until < other.since or other.until < one.since
            assert one.name != other.name or apart or {one.of, other.of} == {"weekly", "monthly"}, (one, other)


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("BFO:SENSEX25MAYFUT", "--lot and --tick would say"),
        ("NFO:RELIANCE25MAYFUT", "--lot and --tick would say"),
        ("NFO:FINNIFTY25JULFUT", "--tick would say"),
        ("NFO:NIFTY23DECFUT", "--lot and --tick would say"),
        ("NSE:WIPRO", "--tick would say"),
    ],
)
def test_what_is_not_known_is_never_made_up(symbol: str, words: str) -> None:
    found = made_instrument(symbol, NOTHING)

    assert found.instrument is None
    assert found.words.startswith(words)


def test_the_user_may_say_it() -> None:
    told = Unlisted(lot=500, tick=Decimal("0.05"))

    assert made("NFO:RELIANCE25MAYFUT", told).lot_size == 500
    assert made("NFO:RELIANCE25MAYFUT", told).expiry == date(2025, 5, 29)
    assert made("BFO:SENSEX25MAYFUT", Unlisted(lot=20, tick=Decimal("0.05"))).expiry is None
    assert expiry_of_symbol("BFO:SENSEX2552081000CE") == date(2025, 5, 20)
    assert made("NFO:NIFTY25AUGFUT", told).lot_size == 500
    assert made("NSE:WIPRO", Unlisted(tick=Decimal("0.05"))).lot_size == 1
    assert not made("NSE:NIFTY BANK").tradable


CONTENT = (
    "date,open,high,low,close,volume\n2024-05-30 09:15:00+05:30,100,100,100,100,1\n"
    "2024-05-30 09:20:00+05:30,100,100,100,100,1\n"
)


def test_a_file_of_an_expired_contract_is_played(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CONTENT)
    instruments, report = Instruments.shipped(), ReadingReport()
    market = Market(ticks=tmp_path / "a.csv", symbol="NFO:NIFTY24MAY22500CE")

    ticks = list(market_ticks(market, instruments, InstrumentSessions(market, instruments), report))

    assert len(ticks) == 40
    found = instruments.get("NFO:NIFTY24MAY22500CE")
    assert found is not None
    assert (found.lot_size, found.expiry) == (25, date(2024, 5, 30))
    assert [words.partition(" (")[0] for words in report.notes] == [
        "NFO:NIFTY24MAY22500CE is in no master: lot 25, tick 0.05, expires 30 May 2024"
    ]
    instruments.renew(Instruments.shipped())
    assert instruments.get("NFO:NIFTY24MAY22500CE") == found, "a new master does not forget it"


def test_an_unknown_symbol_says_which_option_helps(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CONTENT.replace("volume\n", "volume,symbol\n").replace(",1\n", ",1,NSE:WIPRO\n"))
    market = Market(ticks=tmp_path / "a.csv")

    with pytest.raises(InvalidTicks, match=r"line 2: symbol: must be in the instrument master \(.*--tick would say"):
        list(market_ticks(market, Instruments.shipped(), ALWAYS_OPEN, ReadingReport()))
    with pytest.raises(
        InvalidSettings, match=r"market.symbol: NSE:WIPRO is not in the instrument master; --tick would"
    ):
        market_ticks(Market(symbol="NSE:WIPRO"), Instruments.shipped(), ALWAYS_OPEN, ReadingReport())


def test_several_masters_are_one_and_excel_may_have_saved_them(tmp_path: Path) -> None:
    header, *rows = shipped_instruments().read_text().splitlines()
    nse, nfo = ([row for row in rows if row.endswith(end)] for end in (",NSE", ",NFO"))
    (tmp_path / "nse.csv").write_text("\n".join([header, *nse, ""]))
    for written in ("29-05-2025", "29-May-25", "5/29/2025", "29/05/2025"):
        saved = "\r\n".join([header, *(row.replace("2025-05-29", written) for row in nfo), ""])
        (tmp_path / "nfo.csv").write_bytes(saved.encode("utf-8-sig"))

        found = Instruments.read(tmp_path / "nse.csv", tmp_path / "nfo.csv")

        assert not found.left_out
        assert {each.expiry for each in found if each.exchange == "NFO"} == {date(2025, 5, 29)}
        assert found.get("NSE:INFY") == Instruments.shipped().get("NSE:INFY")


def test_a_date_of_excel_that_may_be_two_costs_the_row(tmp_path: Path) -> None:
    row = "1,1,NIFTY25JUNFUT,NIFTY,0,05/06/2025,0,0.05,75,FUT,NFO-FUT,NFO"
    (tmp_path / "nfo.csv").write_text("\n".join([",".join(COLUMNS), row, ""]))

    with pytest.raises(
        InvalidInstruments, match=r"nfo.csv: line 2: expiry: must be a date as in 2025-05-29, was '05/06"
    ):
        Instruments.read(tmp_path / "nfo.csv")
