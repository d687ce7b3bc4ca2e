"""Contract notes of the Console in XML: what is taken from one, and what is refused of it."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.brokers.kite.contract_note import read_contract_note
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.errors import InvalidTradebook
from durable_orders.trading.orders.order import Side
from durable_orders.trading.reconciliation.charges import of_note

SOLD = """<trade segment_id="NSE-EQ " instrument_id="NSE:INFY - EQ / INE009A01021"><id>10000001</id>
<order_id>1100000012345678</order_id><timestamp>10:30:05</timestamp><type>S</type><quantity>-30</quantity>
<average_price>1500.00</average_price><value>-45000.00</value></trade>"""
TOTALS = """<grandtotal><name>PAY IN / PAY OUT OBLIGATION</name><value>45000.00</value></grandtotal>
<grandtotal><name>Brokerage</name><value>-13.50</value></grandtotal>
<grandtotal><name>Exchange Transaction Charges</name><value>-1.34</value></grandtotal>
<grandtotal><name>Clearing Charges</name><value>None</value></grandtotal>
<grandtotal><name>Central GST</name><value>-1.34</value></grandtotal>
<grandtotal><name>State GST</name><value>-1.34</value></grandtotal>
<grandtotal><name>Securities Transaction Tax</name><value>-11.00</value></grandtotal>
<grandtotal><name>SEBI Turnover Fees</name><value>-0.05</value></grandtotal>
<grandtotal><name>Net amount Receivable/(Payable By Client)</name><value>44971.43</value></grandtotal>"""
BILLED = Charges(
    brokerage=Decimal("13.50"),
    exchange_turnover_charge=Decimal("1.34"),
    gst=Decimal("2.68"),
    transaction_tax=Decimal(11),
    sebi_turnover_charge=Decimal("0.05"),
)


def note(trades: str = SOLD, day: str = "2026-11-27", client: str = "AB1234", totals: str = TOTALS) -> str:
    return f"""<contract><id>CNT-26/27-1</id><timestamp>{day}</timestamp><client><name>A. Trader</name>
<ucc>{client}</ucc></client><trades>{trades}</trades><totals><grandtotals>{totals}</grandtotals></totals></contract>"""


def written(folder: Path, *notes: str) -> Path:
    file = folder / "notes.xml"
    file.write_text(f'<contract_note version="0.1"><contracts>{"".join(notes)}</contracts></contract_note>')
    return file


def test_trades_and_what_was_billed_are_taken_of_each_day(tmp_path: Path) -> None:
    quiet = note("", "2026-11-30", totals="")
    found = read_contract_note(written(tmp_path, note(), quiet), "AB1234")
    (row,) = found.rows_of(day := date(2026, 11, 27))
    assert (row.tradingsymbol, row.segment, row.side, row.quantity) == ("INFY", "EQ", Side.SELL, 30)
    assert (row.price, str(row.trade_id), row.at.hour, row.at.second) == (Decimal(1500), "10000001", 10, 5)
    assert found.billed == {day: BILLED, date(2026, 11, 30): Charges()}
    assert (found.tells_of(day), found.tells_of(date(2026, 11, 28))) == (True, False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (note(client="ZZ9999"), "note CNT-26/27-1: is of user ZZ9999, and the account is AB1234's"),
        (note(client=""), "note CNT-26/27-1: does not name its user, and the account is AB1234's"),
        (
            note(SOLD.replace("10:30:05", "2026-11-26T10:30:05")),
            "trade 10000001: timestamp: the note is of 2026-11-27, was '2026-11-26T10:30:05'",
        ),
        (note(SOLD + SOLD), "has trade 10000001 of order 1100000012345678 a second time"),
        (note(SOLD.replace(">S<", ">X<")), "trade 10000001: type: must be B or S, was 'X'"),
        (note(SOLD.replace("-30", "many")), "trade 10000001: quantity: must be a number, was 'many'"),
        (note(SOLD.replace("1500.00", "")), "trade 10000001: average_price: must not be empty"),
        (note(SOLD.replace("NSE:INFY - EQ", "INFY")), "must be as in NSE:INFY - EQ / INE009A01021 and NSE-EQ"),
        (note(day="27 Nov"), "timestamp: must be a date, as in 2026-11-27, was '27 Nov'"),
        (note(totals=TOTALS.replace("Brokerage", "Levy")), "levy: is no charge that is known here"),
        ("", "is not a Console contract note"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InvalidTradebook) as refused:
        read_contract_note(written(tmp_path, content), "AB1234")
    assert words in str(refused.value)


def test_half_a_file_and_one_that_declares_entities_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, note())
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    with pytest.raises(InvalidTradebook, match="is no whole XML file"):
        read_contract_note(file, None)
    file.write_text(f'<!DOCTYPE x [<!ENTITY a "b">]>{whole}')
    with pytest.raises(InvalidTradebook, match="declares a document type"):
        read_contract_note(file, None)


def test_a_note_may_differ_by_its_rounding_and_by_no_more() -> None:
    """One order in one column: the tax goes to the rupee, every other line to the paisa."""
    ours = BILLED.model_copy(update={"transaction_tax": Decimal("11.25"), "gst": Decimal("2.67")})
    assert of_note(ours, BILLED, 1, 1) == []
    dearer = BILLED.model_copy(update={"transaction_tax": Decimal(12), "brokerage": Decimal("13.52")})
    assert of_note(ours, dearer, 1, 1) == [
        ("brokerage", Decimal("13.50"), Decimal("13.52")),
        ("transaction_tax", Decimal("11.25"), Decimal(12)),
    ]
