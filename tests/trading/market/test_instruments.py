"""Kite's instruments CSV: read as it is, refused with the place and the rule."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.errors import InvalidInstruments
from durable_orders.trading.market.instruments import Instrument, Instruments

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n"
)
INFY = "408065,1594,INFY,INFOSYS,0,,0,0.1,1,EQ,NSE,NSE\n"
OPTION = '14720258,57501,NIFTY25MAY24400CE,"NIFTY",0,2025-05-29,24400.5,0.05,75,CE,NFO-OPT,NFO\n'


@pytest.fixture
def master(tmp_path: Path) -> Path:
    return tmp_path / "instruments.csv"


def test_a_row_is_read_in_full(master: Path) -> None:
    master.write_text(HEADER + OPTION)

    (option,) = Instruments.read(master)

    assert option == Instrument(
        symbol="NFO:NIFTY25MAY24400CE",
        instrument_token=14720258,
        tick_size=Decimal("0.05"),
        lot_size=75,
        expiry=date(2025, 5, 29),
        strike=Decimal("24400.5"),
        instrument_type="CE",
        segment="NFO-OPT",
        name="NIFTY",
    )


def test_instruments_are_found_by_symbol_and_by_token() -> None:
    instruments = Instruments.shipped()

    infy = instruments.get("NSE:INFY")
    assert infy is not None
    assert instruments.by_token(408065) is infy
    assert (infy.expiry, infy.strike, infy.tradable) == (None, None, True)
    assert instruments.get("BSE:INFY") not in (None, infy)
    assert instruments.get("INFY") is None
    assert instruments.by_token(1) is None
    assert len(instruments) == len(list(instruments)) == 14


def test_an_index_has_a_usable_tick_and_lot_but_cannot_be_ordered(master: Path) -> None:
    master.write_text(HEADER + "256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE\n")

    (index,) = Instruments.read(master)

    assert (index.symbol, index.tick_size, index.lot_size) == ("NSE:NIFTY 50", Decimal("0.05"), 1)
    assert not index.tradable


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("NSE:INFI", "NSE:INFY"),
        ("INFY", "NSE:INFY"),
        ("NFO:RELIANCE", "NSE:RELIANCE"),
        ("NFO:NIFTY25JUNFUT", "NFO:NIFTY25MAYFUT"),
        ("NSE:ELIANCE", "NSE:RELIANCE"),
        ("XYZ", None),
    ],
)
def test_the_nearest_symbol_is_what_was_probably_meant(mistyped: str, meant: str | None) -> None:
    assert Instruments.shipped().nearest(mistyped) == meant


def test_a_row_that_kite_repeats_is_one_instrument(master: Path) -> None:
    master.write_text(HEADER + INFY + OPTION + INFY)

    assert [instrument.symbol for instrument in Instruments.read(master)] == ["NSE:INFY", "NFO:NIFTY25MAY24400CE"]


def test_further_columns_and_another_order_are_read_too(master: Path) -> None:
    columns, cells = HEADER.strip().split(","), INFY.strip().split(",")
    master.write_text(f"isin,{','.join(reversed(columns))}\nINE009A01021,{','.join(reversed(cells))}\n")

    assert Instruments.read(master).get("NSE:INFY") == Instruments.shipped().get("NSE:INFY")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "instruments.csv: is empty"),
        (HEADER, "instruments.csv: has a header but no rows"),
        (HEADER.replace("lot_size,", ""), "instruments.csv: header: must have the column lot_size"),
        (HEADER.replace("name", "expiry") + INFY, "instruments.csv: header: expiry: must be there only once"),
        (HEADER + INFY.strip(), "instruments.csv: line 2: exchange: the last line must end with a line break"),
        (HEADER + INFY + OPTION[:40] + "\n", "line 3: last_price: is missing, the line is half-written"),
        (HEADER + INFY + OPTION[:36] + "\n", "instruments.csv: line 3: must be CSV: unexpected end of data"),
        (HEADER + "408065,1594,INFY\n", "instruments.csv: line 2: name: is missing, the line is half-written"),
        (HEADER + INFY.replace("NSE\n", "NSE,1\n"), "instruments.csv: line 2: exchange: must be the last of 12 fields"),
        (HEADER + INFY.replace("408065", "x"), "line 2: instrument_token: must be a number, was 'x'"),
        (HEADER + INFY.replace("408065", "0"), "line 2: instrument_token: must be a whole number of at least 1"),
        (HEADER + INFY.replace("0.1", "0"), "line 2: tick_size: must be above 0, was '0'"),
        (HEADER + INFY.replace("0.1", "NaN"), "line 2: tick_size: must be a finite number, was 'NaN'"),
        (HEADER + INFY.replace("0.1,1", "0.1,0"), "line 2: lot_size: must be a whole number of at least 1, was '0'"),
        (HEADER + INFY.replace("0.1,1", "0.1,1.5"), "line 2: lot_size: must be a whole number of at least 1"),
        (HEADER + OPTION.replace("2025-05-29", "29-13-2025"), "line 2: expiry: must be a date as in 2025-05-29"),
        (HEADER + OPTION.replace("24400.5", "-1"), "line 2: strike: must be above 0, was '-1'"),
        (HEADER + INFY.replace("INFY,", ","), "line 2: tradingsymbol: must not be empty"),
        (HEADER + INFY.replace("EQ", ""), "line 2: instrument_type: must not be empty"),
        (
            HEADER + INFY + INFY.replace("0.1", "0.05"),
            "line 3: tradingsymbol: must be one instrument of NSE only, was 'INFY'",
        ),
        (
            HEADER + INFY + INFY.replace("INFY", "TCS"),
            "line 3: instrument_token: must not be that of NSE:INFY too, was '408065'",
        ),
    ],
)
def test_a_bad_master_is_refused_with_the_place_and_the_rule(master: Path, content: str, complaint: str) -> None:
    master.write_text(content)

    with pytest.raises(InvalidInstruments) as refused:
        Instruments.read(master)

    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_master_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInstruments, match=r"^absent.csv: cannot be read: No such file or directory$"):
        Instruments.read(tmp_path / "absent.csv")


BAD_ROWS = {
    "NSE:ZERO": "1,1,ZERO,Z,0,,0,0,1,EQ,NSE,NSE",
    "NSE:NOLOT": "2,1,NOLOT,N,0,,0,0.05,,EQ,NSE,NSE",
    "NSE:NOTYPE": "3,1,NOTYPE,N,0,,0,0.05,1,,NSE,NSE",
    "NYSE:IBM": "4,1,IBM,I,0,,0,0.05,1,EQ,NYSE,NYSE",
    "line 7": "5,1,COMMA,A, B and C,0,,0,0.05,1,EQ,NSE,NSE",
    "NFO:WHEN": "6,1,WHEN,W,0,soon,0,0.05,1,FUT,NFO-FUT,NFO",
}


def test_a_row_that_cannot_be_read_costs_its_symbol_only(master: Path) -> None:
    twice = ["7,1,TWICE,T,0,,0,0.05,1,EQ,NSE,NSE", "8,1,TWICE,T,0,,0,0.10,1,EQ,NSE,NSE"]
    shared = ["9,1,LEFT,L,0,,0,0.05,1,EQ,NSE,NSE", "9,1,RIGHT,R,0,,0,0.05,1,EQ,NSE,NSE"]
    lines = [INFY.strip(), *BAD_ROWS.values(), *twice, *shared, OPTION.strip()]
    master.write_text(HEADER + "\n".join(lines) + "\n")

    found = Instruments.read(master)

    assert [each.symbol for each in found] == ["NSE:INFY", "NFO:NIFTY25MAY24400CE"]
    assert set(found.left_out) == {*BAD_ROWS, "NSE:TWICE", "NSE:LEFT", "NSE:RIGHT"}
    assert found.left_out["NSE:ZERO"] == "instruments.csv: line 3: tick_size: must be above 0, was '0'"
    assert found.by_token(9) is None, "a price of it could be anybody's"


def test_a_midnight_is_a_date(master: Path) -> None:
    master.write_text(HEADER + OPTION.replace("2025-05-29", "2025-05-29 00:00:00"))

    assert [each.expiry for each in Instruments.read(master)] == [date(2025, 5, 29)]


def test_a_master_of_another_exchange_is_refused(master: Path) -> None:
    master.write_text(HEADER + INFY.replace("NSE", "NYSE"))

    with pytest.raises(InvalidInstruments, match=r"^instruments.csv: line 2: exchange: must be one of NSE, .*'NYSE'$"):
        Instruments.read(master)


def test_who_holds_the_instruments_has_the_new_ones_when_they_are_renewed(master: Path) -> None:
    master.write_text(HEADER + INFY)
    held = Instruments.read(master)
    master.write_text(HEADER + INFY.replace("0.1,1", "0.5,1") + OPTION)

    held.renew(Instruments.read(master))

    assert held.tick_size("NSE:INFY") == Decimal("0.5")
    assert held.get("NFO:NIFTY25MAY24400CE") is not None
    assert held.version == 1
