"""A financial year by month, class of instrument and strategy: a year whose sums are worked out by hand."""

import csv
import io
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.cli import run
from durable_orders.statement import By, class_of, financial_year, statement, year_of
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import enter
from durable_orders.trading.ledger.yearly import earnings
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from tests.durable_orders.test_workbook import sheets
from tests.ledgers import open_empty_ledger
from tests.trading.ledger.examples import new_order
from tests.trading.ledger.test_journal import traded

D = Decimal
INFY, FUTURE, CALL, CRUDE = "NSE:INFY", "NFO:NIFTY25MAYFUT", "NFO:NIFTY25JUL25000CE", "MCX:CRUDEOIL25MAYFUT"


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=IST)


def trade(ledger: Database, side: Side, symbol: str, quantity: int, price: str, when: datetime, **terms: Any) -> None:
    name = f"{side}-{symbol}-{when:%m%d}".replace(":", "-")
    order = new_order(name, when, side=side, symbol=symbol, quantity=quantity, **{"strategy": "a"} | terms)
    traded(ledger, order, [(quantity, D(price))], BookState.COMPLETE)


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield database


@pytest.fixture
def year(ledger: Database) -> Database:
    """Intraday: +1,000 and -500. A future: -750. Delivery bought in June, sold in July: +1,000 on 16,000. A call that
    was sold for 7,500 and expired worthless. Two lots of crude oil (100 barrels): +400. Then the year is over."""
    mis, nrml, cnc = ({"product": each} for each in (Product.MIS, Product.NRML, Product.CNC))
    trade(ledger, Side.BUY, INFY, 100, "1500", at(2025, 4, 1, 10), **mis)
    trade(ledger, Side.SELL, INFY, 100, "1510", at(2025, 4, 1, 11), **mis)
    trade(ledger, Side.SELL, INFY, 50, "1500", at(2025, 4, 2, 10), strategy="b", **mis)
    trade(ledger, Side.BUY, INFY, 50, "1510", at(2025, 4, 2, 11), strategy="b", **mis)
    trade(ledger, Side.BUY, FUTURE, 75, "24000", at(2025, 5, 5, 10), **nrml)
    trade(ledger, Side.SELL, FUTURE, 75, "23990", at(2025, 5, 6, 10), **nrml)
    trade(ledger, Side.BUY, CRUDE, 2, "5000", at(2025, 5, 7, 18), **nrml)
    trade(ledger, Side.SELL, CRUDE, 2, "5002", at(2025, 5, 7, 19), **nrml)
    trade(ledger, Side.BUY, INFY, 10, "1500", at(2025, 6, 2, 10), **cnc)
    trade(ledger, Side.SELL, INFY, 10, "1600", at(2025, 7, 1, 10), **cnc)
    trade(ledger, Side.SELL, CALL, 75, "100", at(2025, 7, 2, 10), **nrml)
    expired: dict[str, Any] = {
        "kind": EntryKind.EXPIRY,
        "price": 0,
        "evidence": "it was worthless",
        "at": at(2025, 7, 31, 15, 30),
    }
    entry = PositionEntry(symbol=CALL, product=Product.NRML, quantity=75, **expired)
    with ledger.write() as connection:
        enter(connection, "paper", entry, at(2025, 7, 31, 16))
    trade(ledger, Side.BUY, INFY, 10, "1500", at(2026, 4, 1, 0, 0), **mis)
    return ledger


def lines(ledger: Database, *by: By) -> list[dict[str, Any]]:
    since, until = financial_year("2025-26")
    with ledger.read() as connection:
        return statement(earnings(connection, "paper", since, until), by or tuple(By))


def test_a_year_by_class_adds_up_as_auditors_do(year: Database) -> None:
    found = {line["class"]: line for line in lines(year, By.CLASS)}
    told = {name: (line["trades"], line["realized"], line["turnover"]) for name, line in found.items()}
    assert told == {
        "equity intraday": (4, D(500), D(1500)),
        "equity delivery": (2, D(1000), D(16000)),
        "equity futures": (2, D(-750), D(750)),
        "equity options": (2, D(7500), D(7500)),
        "commodity": (2, D(400), D(400)),
    }
    assert list(found) == list(told), "in this order"
    assert found["equity options"]["premium_received"] == D(7500)
    assert found["commodity"]["bought"] == D(1_000_000)
    delivery = found["equity delivery"]
    assert (delivery["transaction_tax"], delivery["stamp_duty"]) == (D("31.00"), D("2.25"))
    assert all(line["net"] == line["realized"] - line["charges"] for line in found.values())
    assert all(line["charges"] == sum(line[name] for name in Charges.model_fields) for line in found.values())


def test_months_and_strategies_have_their_own_lines_and_the_same_sums(year: Database) -> None:
    by_month = {line["month"]: line["turnover"] for line in lines(year, By.MONTH)}
    assert by_month == {"2025-04": 1500, "2025-05": 1150, "2025-06": 0, "2025-07": 23500}
    by_strategy = {line["strategy"]: line["realized"] for line in lines(year, By.STRATEGY)}
    assert by_strategy == {"a": 9150, "b": -500}
    whole = lines(year)
    assert [line["month"] for line in whole] == sorted(line["month"] for line in whole)
    for name in ("realized", "charges", "turnover", "bought", "sold"):
        sums = {
            sum(line[name] for line in lines(year, *by)) for by in ((By.MONTH,), (By.CLASS,), (By.STRATEGY,), tuple(By))
        }
        assert len(sums) == 1


@pytest.mark.parametrize(
    ("symbol", "product", "expected"),
    [
        ("BSE:INFY", Product.MTF, "equity delivery"),
        ("BFO:SENSEX25DEC80000PE", Product.MIS, "equity options"),
        ("CDS:USDINR26DECFUT", Product.NRML, "currency"),
        ("NFO:ODDNAME", Product.NRML, "equity futures"),
        ("XXX:ANY", Product.NRML, "other"),
    ],
)
def test_a_class_is_told_by_exchange_product_and_symbol(symbol: str, product: Product, expected: str) -> None:
    assert class_of(symbol, product).value == expected


def test_a_financial_year_begins_in_april() -> None:
    since, until = financial_year("2025-26")
    assert (since, until - since) == (at(2025, 4, 1), timedelta(days=365))
    assert (year_of(at(2026, 3, 31).date()), year_of(at(2026, 4, 1).date())) == ("2025-26", "2026-27")
    assert financial_year("1999-00")[1] == at(2000, 4, 1)
    for odd in ("2025", "2025-27", "25-26", "2025-2026", "0000-01", ""):
        with pytest.raises(ValueError, match="must be a financial year as in 2025-26"):
            financial_year(odd)


def test_the_command_writes_a_table_json_csv_and_a_workbook(
    year: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["statement", "--year", "2025-26", "--home", str(tmp_path)]
    assert run([*words, "--by", "class", "--json"]) == 0
    intraday = json.loads(capsys.readouterr().out)[0]
    assert (intraday["class"], intraday["trades"], intraday["turnover"]) == ("equity intraday", 4, "1500.00")
    assert run(words) == 0
    assert "2025-07" in capsys.readouterr().out
    assert run([*words, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["month"] for row in rows} == {"2025-04", "2025-05", "2025-06", "2025-07"}
    file = tmp_path / "year.xlsx"
    assert run([*words, "--output", str(file)]) == 0
    found = sheets(file.read_bytes())
    assert list(found) == ["statement", "by month", "by class", "by strategy"]
    header, first = found["by class"][:2]
    assert dict(zip(header, first, strict=True))["turnover"] == "1500"
    assert run([*words[:-2], "--home", str(tmp_path), "--year", "2024-25"]) == 0
    assert "Nothing was traded in 2024-25." in capsys.readouterr().out
    assert run(["statement", "--year", "2025", "--home", str(tmp_path)]) == 2
    assert "must be a financial year as in 2025-26" in capsys.readouterr().err
    assert run([*words, "--format", "xlsx"]) == 2
