"""The rules of the exchanges and the broker, each on days before and after it began (sources: `data/rules.yaml`)."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from durable_orders.trading.config.settings import Market
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import ExchangeRules, Rule, Way, delivery_of, freeze_quantity, rules
from durable_orders.trading.orders.order import OrderType, Product, Side, Terms, Validity
from durable_orders.trading.orders.slices import MOST_SLICES

D = Decimal


LATE = date(2026, 12, 29)
LISTED = (
    ("NSE", "RELIANCE", "RELIANCE", "EQ", None, 1),
    ("NSE", "PCBL", "PCBL", "EQ", None, 1),
    ("BSE", "RELIANCE", "RELIANCE", "EQ", None, 1),
    ("NFO", "NIFTY26DECFUT", "NIFTY", "FUT", LATE, 65),
    ("NFO", "BANKNIFTY26DECFUT", "BANKNIFTY", "FUT", LATE, 30),
    ("NFO", "RELIANCE26DECFUT", "RELIANCE", "FUT", LATE, 500),
    ("NFO", "NIFTY26DEC25000CE", "NIFTY", "CE", LATE, 65),
    ("NFO", "RELIANCE26DEC1500PE", "RELIANCE", "PE", LATE, 500),
    ("BFO", "SENSEX26DECFUT", "SENSEX", "FUT", LATE, 20),
    ("BFO", "SENSEX26DEC80000CE", "SENSEX", "CE", LATE, 20),
    ("MCX", "CRUDEOIL26DECFUT", "CRUDEOIL", "FUT", LATE, 1),
    ("CDS", "USDINR26DECFUT", "USDINR", "FUT", LATE, 1),
    ("BCD", "USDINR26DECFUT", "USDINR", "FUT", LATE, 1),
    ("NFO", "NIFTY24JUNFUT", "NIFTY", "FUT", date(2024, 6, 27), 25),
)


def master(listed: Iterable[tuple[str, str, str, str, date | None, int]] = LISTED) -> Instruments:
    columns = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size"
    rows = [f"{columns},instrument_type,segment,exchange"]
    for token, (exchange, symbol, name, kind, expiry, lot) in enumerate(listed, 1):
        segment = exchange if kind == "EQ" else f"{exchange}-{'FUT' if kind == 'FUT' else 'OPT'}"
        rows.append(f"{token},{token},{symbol},{name},0,{expiry or ''},0,0.05,{lot},{kind},{segment},{exchange}")
    with NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("\n".join(rows) + "\n")
        file.flush()
        return Instruments.read(Path(file.name))


MASTER = master()
EXCHANGE = ExchangeRules(MASTER.get, InstrumentSessions(Market(), MASTER))
ALL_TYPES: Mapping[OrderType, dict[str, Decimal]] = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"price": D(100)},
    OrderType.SL: {"price": D(100), "trigger_price": D(100)},
    OrderType.SL_M: {"trigger_price": D(100)},
}


def terms(
    symbol: str, kind: OrderType, validity: Validity = Validity.DAY, quantity: int = 1, **prices: Decimal
) -> Terms:
    given = prices or ALL_TYPES[kind]
    return Terms(
        symbol=symbol,
        side=Side.BUY,
        quantity=quantity,
        product=Product.MIS,
        order_type=kind,
        validity=validity,
        **given,
    )


def limit(symbol: str, price: int | str) -> Terms:
    return terms(symbol, OrderType.LIMIT, price=D(price))


def broken(
    asked: Terms, day: date, at: str | None = None, last: Decimal | None = None, ways: frozenset[Way] = frozenset()
) -> list[Rule]:
    moment = datetime.combine(day, datetime.strptime(at, "%H:%M").time(), IST) if at else None  # noqa: DTZ007
    return [each.rule for each in EXCHANGE.broken(asked, day, moment, lambda: last, ways)]


@pytest.mark.parametrize(
    ("symbol", "kind", "validity", "day", "is_taken"),
    [
        ("NFO:NIFTY26DEC25000CE", OrderType.SL_M, Validity.DAY, date(2021, 9, 24), True),
        ("NFO:NIFTY26DEC25000CE", OrderType.SL_M, Validity.DAY, date(2021, 9, 27), False),
        ("NFO:NIFTY26DEC25000CE", OrderType.SL, Validity.DAY, date(2026, 11, 25), True),
        ("NFO:NIFTY26DECFUT", OrderType.SL_M, Validity.DAY, date(2026, 11, 25), True),
        ("BSE:RELIANCE", OrderType.SL_M, Validity.DAY, date(2026, 11, 25), False),
        ("BFO:SENSEX26DECFUT", OrderType.SL_M, Validity.DAY, date(2026, 11, 25), False),
        ("NSE:RELIANCE", OrderType.SL_M, Validity.DAY, date(2026, 11, 25), True),
        ("NFO:RELIANCE26DEC1500PE", OrderType.MARKET, Validity.DAY, date(2026, 11, 25), False),
        ("NFO:NIFTY26DEC25000CE", OrderType.MARKET, Validity.DAY, date(2026, 11, 25), True),
        ("MCX:CRUDEOIL26DECFUT", OrderType.LIMIT, Validity.IOC, date(2026, 3, 31), True),
        ("MCX:CRUDEOIL26DECFUT", OrderType.LIMIT, Validity.IOC, date(2026, 4, 1), False),
        ("NSE:RELIANCE", OrderType.LIMIT, Validity.IOC, date(2026, 4, 1), True),
    ],
)
def test_what_is_taken_depends_on_the_segment_and_the_day(
    symbol: str, kind: OrderType, validity: Validity, day: date, is_taken: bool
) -> None:
    assert (Rule.NOT_TAKEN not in broken(terms(symbol, kind, validity), day)) == is_taken


def test_an_iceberg_is_not_taken_after_the_market() -> None:
    asked, day = terms("NSE:PCBL", OrderType.LIMIT), date(2026, 11, 25)
    assert broken(asked, day, ways=frozenset({Way.ICEBERG, Way.AMO})) == [Rule.NOT_TAKEN]
    assert broken(asked, day, ways=frozenset({Way.ICEBERG})) == []
    assert broken(asked, day, ways=frozenset({Way.AMO})) == []


def test_a_contract_takes_orders_on_its_last_day_and_none_after_it() -> None:
    asked = terms("NFO:NIFTY24JUNFUT", OrderType.MARKET)
    assert broken(asked, date(2024, 6, 27)) == []
    assert broken(asked, date(2024, 6, 28)) == [Rule.EXPIRED]


@pytest.mark.parametrize(
    ("day", "most"),
    [
        (date(2025, 2, 28), None),
        (date(2025, 3, 3), 900),
        (date(2025, 8, 1), 600),
        (date(2025, 9, 1), 900),
        (date(2025, 11, 3), 600),
        (date(2026, 11, 25), 600),
    ],
)
def test_the_freeze_quantity_is_that_of_the_day(day: date, most: int | None) -> None:
    bank = MASTER.get("NFO:BANKNIFTY26DECFUT")
    assert bank is not None
    found = freeze_quantity(bank, day, {})
    assert (found[0] if found else None) == most
    assert freeze_quantity(bank, day, {"BANKNIFTY": 60}) == (60, "guardian.freeze_quantity")


def test_above_the_freeze_quantity_the_source_is_named() -> None:
    asked = terms("NFO:NIFTY26DECFUT", OrderType.MARKET, quantity=1820)
    (found,) = EXCHANGE.broken(asked, date(2026, 11, 25), None, lambda: None)
    assert found.rule is Rule.FREEZE
    assert "NSE/FAOP/75521" in str(found)


@pytest.mark.parametrize(
    ("kind", "validity", "at", "is_taken"),
    [
        (OrderType.SL, Validity.DAY, "15:14", True),
        (OrderType.LIMIT, Validity.DAY, "15:17", False),
        (OrderType.LIMIT, Validity.DAY, "15:25", True),
        (OrderType.SL, Validity.DAY, "15:25", False),
        (OrderType.LIMIT, Validity.IOC, "15:25", False),
    ],
)
def test_a_share_with_a_closing_auction_takes_what_its_windows_take(
    kind: OrderType, validity: Validity, at: str, is_taken: bool
) -> None:
    found = broken(terms("NSE:RELIANCE", kind, validity), date(2026, 11, 25), at)
    assert found == ([] if is_taken else [Rule.NOT_NOW])
    assert broken(terms("NSE:PCBL", kind, validity), date(2026, 11, 25), at) == []
    assert broken(terms("NSE:RELIANCE", kind, validity), date(2026, 7, 31), at) == []


def test_a_disclosed_quantity_is_taken_until_the_closing_auction() -> None:
    day, asked, ways = date(2026, 11, 25), limit("NSE:RELIANCE", 100), frozenset({Way.DISCLOSED})
    assert broken(asked, day, "15:14", ways=ways) == []
    assert broken(asked, day, "15:22", ways=ways) == [Rule.NOT_NOW]
    assert broken(limit("NSE:PCBL", 100), day, "15:22", ways=ways) == []


def test_the_closing_auction_has_a_band() -> None:
    day = date(2026, 11, 25)
    near, far = (terms("NSE:RELIANCE", OrderType.LIMIT, price=D(price)) for price in (103, 104))
    assert broken(near, day, "15:25", D(100)) == []
    assert broken(far, day, "15:25", D(100)) == [Rule.PRICE_LIMIT]
    assert broken(far, day, "15:10", D(100)) == []


def test_a_price_far_beyond_the_market_is_not_taken() -> None:
    day = date(2026, 11, 25)
    assert broken(limit("NFO:NIFTY26DECFUT", 102), day, last=D(100)) == []
    assert broken(limit("NFO:NIFTY26DECFUT", "102.05"), day, last=D(100)) == [Rule.PRICE_LIMIT]
    assert broken(limit("NFO:NIFTY26DECFUT", 50), day, last=D(100)) == []
    assert broken(limit("NFO:RELIANCE26DECFUT", 103), day, last=D(100)) == []
    assert broken(limit("NFO:NIFTY26DEC25000CE", 21), day, last=D(1)) == []
    assert broken(limit("NFO:NIFTY26DEC25000CE", "21.05"), day, last=D(1)) == [Rule.PRICE_LIMIT]
    assert broken(limit("NFO:NIFTY26DECFUT", 200), date(2024, 6, 3), last=D(100)) == []


def test_a_stop_may_not_be_far_from_its_trigger_on_bse() -> None:
    future = terms("BFO:SENSEX26DECFUT", OrderType.SL, price=D(82000), trigger_price=D(80000))
    assert broken(future, date(2026, 1, 16)) == []
    assert broken(future, date(2026, 1, 19)) == [Rule.STOP_DISTANCE]
    option = terms("BFO:SENSEX26DEC80000CE", OrderType.SL, price=D(40), trigger_price=D(30))
    assert broken(option, date(2026, 1, 19)) == []


def test_what_the_code_counts_is_what_the_file_says() -> None:
    assert rules().limits.slices == MOST_SLICES
    assert (rules().limits.orders_per_second, rules().limits.orders_per_minute) == (10, 400)


@pytest.mark.parametrize(
    ("symbol", "day", "is_near"),
    [
        ("NFO:RELIANCE26DECFUT", date(2026, 12, 21), False),
        ("NFO:RELIANCE26DECFUT", date(2026, 12, 22), True),
        ("NFO:RELIANCE26DEC1500PE", LATE, True),
        ("NFO:RELIANCE26DEC1500PE", date(2026, 12, 30), False),
        ("NFO:NIFTY26DECFUT", LATE, False),
        ("NSE:RELIANCE", LATE, False),
    ],
)
def test_contracts_on_shares_have_last_days_before_their_delivery(symbol: str, day: date, is_near: bool) -> None:
    """Four days of trading before Tuesday 29 December; the 25th is a holiday."""
    instrument = MASTER.get(symbol)
    assert instrument is not None
    calendar = InstrumentSessions(Market(), MASTER).of(symbol)
    assert (delivery_of(instrument, day, calendar) is not None) == is_near
