"""A Console tradebook is read whole or not at all, and what is wrong with it is named."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.brokers.kite.tradebook import COLUMNS, read_tradebook
from durable_orders.trading.errors import InvalidTradebook
from durable_orders.trading.orders.order import Side

HEADER = ",".join(COLUMNS)
ROW = "INFY,INE009A01021,2026-11-27,NSE,EQ,EQ,buy,false,10.000000,1500.050000,7001,2611270001,2026-11-27T10:30:05"


def saved(path: Path, *lines: str, name: str = "tradebook-AB1234-EQ.csv") -> Path:
    file = path / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_row_is_a_trade(tmp_path: Path) -> None:
    tradebook = read_tradebook(saved(tmp_path, HEADER, ROW), "ab1234")
    (row,) = tradebook.rows
    assert (tradebook.name, tradebook.user) == ("tradebook-AB1234-EQ.csv", "AB1234")
    assert (row.tradingsymbol, row.segment, row.side, row.quantity) == ("INFY", "EQ", Side.BUY, 10)
    assert (row.price, row.trade_id, row.order_id) == (Decimal("1500.05"), "7001", "2611270001")
    assert row.at.isoformat() == "2026-11-27T10:30:05+05:30"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "is empty"),
        ((HEADER.replace("trade_id", "tradeid"), ROW), "has no column trade_id, has an unknown column 'tradeid'"),
        ((HEADER, ROW, ROW[:40]), "line 3: has 7 of 13 fields: the file is not whole"),
        ((HEADER, ROW, ROW), "line 3: has trade 7001 of order 2611270001 a second time; line 2 has it"),
        ((HEADER, ROW.replace("10.000000", "ten")), "line 2: quantity: must be a number above 0, was 'ten'"),
        ((HEADER, ROW.replace("10.000000", "10.5")), "line 2: quantity: must be a whole number, was '10.5'"),
        ((HEADER, ROW.replace("1500.050000", "-1")), "line 2: price: must be a number above 0, was '-1'"),
        ((HEADER, ROW.replace("buy", "bought")), "line 2: trade_type: must be buy or sell, was 'bought'"),
        ((HEADER, ROW.replace(",EQ,EQ,", ",XX,EQ,")), "line 2: segment: must be one of EQ, FO, COM, CDS, was 'XX'"),
        ((HEADER, ROW.replace(",NSE,", ",MCX,")), "line 2: exchange: must be NSE or BSE in segment EQ, was 'MCX'"),
        ((HEADER, ROW.replace("2026-11-27,", "27/11/2026,")), "line 2: trade_date: must be a date"),
        ((HEADER, ROW.replace("7001", "")), "line 2: trade_id: must not be empty"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    file = saved(tmp_path, *lines) if lines else tmp_path / "tradebook.csv"
    if not lines:
        file.touch()
    with pytest.raises(InvalidTradebook) as raised:
        read_tradebook(file, "AB1234")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("exchange", "segment", "kites"),
    [("NSE", "FO", "NFO"), ("BSE", "FO", "BFO"), ("NFO", "FO", "NFO"), ("MCX", "COM", "MCX"), ("NSE", "CDS", "CDS")],
)
def test_a_trade_id_is_one_exchanges(tmp_path: Path, exchange: str, segment: str, kites: str) -> None:
    """The same id on two exchanges is two trades, each with Kite's name of its exchange."""
    other = ROW.replace(",NSE,EQ,", f",{exchange},{segment},")
    rows = read_tradebook(saved(tmp_path, HEADER, ROW, other), None).rows
    assert [row.symbol for row in rows] == ["NSE:INFY", f"{kites}:INFY"]


def test_another_users_tradebook_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidTradebook, match="is of user AB1234, and the account is CD5678's"):
        read_tradebook(saved(tmp_path, HEADER, ROW), "CD5678")
    of_nobody = read_tradebook(saved(tmp_path, HEADER, ROW, name="november.csv"), "CD5678")
    assert (of_nobody.user, len(of_nobody.rows)) == (None, 1)


def test_it_tells_of_the_days_from_its_first_trade_to_its_last_one_of_a_segment(tmp_path: Path) -> None:
    days_and_segments = [("2026-11-27", ",EQ,EQ,"), ("2026-11-30", ",EQ,EQ,"), ("2026-12-01", ",FO,,")]
    rows = [
        ROW.replace("2026-11-27", day).replace(",EQ,EQ,", segment).replace("7001", str(number))
        for number, (day, segment) in enumerate(days_and_segments)
    ]
    tradebook = read_tradebook(saved(tmp_path, HEADER, *rows), None)
    days = [date(2026, 11, 26), *tradebook.days, date(2026, 11, 28), date(2026, 12, 2)]
    assert [tradebook.tells_of(day) for day in days] == [False, True, True, True, True, False]
    assert not read_tradebook(saved(tmp_path, HEADER), None).tells_of(date(2026, 11, 27))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tradebook.csv"
    file.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(InvalidTradebook, match=r"tradebook\.csv: "):
        read_tradebook(file, None)
