"""Charges against sums worked out by hand and published bills, and what must hold of any of them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.charges.fees import (
    Charges,
    Exchange,
    ExecutedOrder,
    NoCharges,
    Segment,
    charges_by_fill,
    charges_of,
    charges_of_order,
    contract_note,
    dp_charge,
    segment_of,
)
from durable_orders.trading.charges.rates import first_day
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Product, Side, TradeId
from tests.trading.orders.strategies import prices

BUY, SELL = Side.BUY, Side.SELL
NSE, BSE, NFO, BFO, CDS, BCD, MCX, NCO = Exchange
AUTUMN = date(2026, 10, 1)
TRADED = [
    (segment, exchange)
    for segments, exchanges in (
        ((Segment.EQUITY_DELIVERY, Segment.EQUITY_MTF, Segment.EQUITY_INTRADAY), (NSE, BSE)),
        ((Segment.EQUITY_FUTURES, Segment.EQUITY_OPTIONS), (NFO, BFO)),
        ((Segment.CURRENCY_FUTURES, Segment.CURRENCY_OPTIONS), (CDS, BCD)),
        ((Segment.COMMODITY_FUTURES, Segment.COMMODITY_OPTIONS, Segment.AGRI_FUTURES), (MCX, NCO)),
    )
    for segment in segments
    for exchange in exchanges
]
TAXED_ON_BUYING = (Segment.EQUITY_DELIVERY, Segment.EQUITY_MTF)


def bill(*rupees: str) -> Charges:
    """Brokerage, STT or CTT, exchange with IPFT, SEBI, stamp duty, GST."""
    return Charges(**dict(zip(Charges.model_fields, map(Decimal, rupees), strict=True)))


def fill(number: int, quantity: int, price: str | Decimal, at: datetime = datetime(2026, 10, 1, 6, tzinfo=UTC)) -> Fill:
    return Fill(
        trade_id=TradeId(str(number)),
        broker_order_id=BrokerOrderId("1"),
        quantity=quantity,
        price=Decimal(price),
        at=at,
    )


# Each line of sums: brokerage; STT or CTT; exchange and IPFT; SEBI; stamp; GST, all at the rates of October 2026.
@pytest.mark.parametrize(
    ("segment", "exchange", "side", "quantity", "price", "multiplier", "charged", "total"),
    [
        # 150,000: 0; 0.1% 150; 307/crore 4.605; 10/crore 0.15; 0.015% 22.50; 18% of 4.61 + 0.15 = 0.8568
        (Segment.EQUITY_DELIVERY, NSE, BUY, 100, "1500", 1, "0 150 4.61 0.15 22.50 0.86", "178.12"),
        # the same without stamp duty
        (Segment.EQUITY_DELIVERY, NSE, SELL, 100, "1500", 1, "0 150 4.61 0.15 0 0.86", "155.62"),
        # 150,000 on BSE: 375/crore 5.625; 18% of 5.63 + 0.15 = 1.0404
        (Segment.EQUITY_DELIVERY, BSE, SELL, 100, "1500", 1, "0 150 5.63 0.15 0 1.04", "156.82"),
        # 4,000: 0.3% 12; 0.1% 4; 0.1228; 0.004; 0.015% 0.60; 18% of 12.12 = 2.1816
        (Segment.EQUITY_MTF, NSE, BUY, 10, "400", 1, "12 4 0.12 0 0.60 2.18", "18.90"),
        # 40,000: 0.03% 12; 0.025% 10; 1.228; 0.04; none; 18% of 13.27 = 2.3886
        (Segment.EQUITY_INTRADAY, NSE, SELL, 50, "800", 1, "12 10 1.23 0.04 0 2.39", "25.66"),
        # 250,500: 0.03% 75.15, so 20; none; 375/crore 9.39375; 0.2505; 0.003% 7.515; 18% of 29.64 = 5.3352
        (Segment.EQUITY_INTRADAY, BSE, BUY, 1000, "250.50", 1, "20 0 9.39 0.25 7.52 5.34", "42.50"),
        # 1,800,000: 20; 0.05% 900; 183/crore 32.94; 1.80; none; 18% of 54.74 = 9.8532
        (Segment.EQUITY_FUTURES, NFO, SELL, 75, "24000", 1, "20 900 32.94 1.80 0 9.85", "964.59"),
        # the same bought: 0.002% 36 of stamp duty, no STT
        (Segment.EQUITY_FUTURES, NFO, BUY, 75, "24000", 1, "20 0 32.94 1.80 36 9.85", "100.59"),
        # 1,600,000: BSE takes nothing; 1.60; 0.002% 32; 18% of 21.60 = 3.888
        (Segment.EQUITY_FUTURES, BFO, BUY, 20, "80000", 1, "20 0 0 1.60 32 3.89", "57.49"),
        # 9,030: 20; none; 3553/crore 3.208359; 0.00903; 0.003% 0.2709; 18% of 23.22 = 4.1796
        (Segment.EQUITY_OPTIONS, NFO, BUY, 75, "120.40", 1, "20 0 3.21 0.01 0.27 4.18", "27.67"),
        # 6,200: 20; 0.15% 9.30; 3250/crore 2.015; 0.0062; none; 18% of 22.03 = 3.9654
        (Segment.EQUITY_OPTIONS, BFO, SELL, 20, "310", 1, "20 9.30 2.02 0.01 0 3.97", "35.30"),
        # 10 lots of 1000, 842,525: 20; none; 0.35 + 0.05 per lakh 3.3701; 0.842525; 0.0001% 0.842525; 18% of 24.21
        (Segment.CURRENCY_FUTURES, CDS, BUY, 10, "84.2525", 1000, "20 0 3.37 0.84 0.84 4.36", "29.41"),
        # the same sold on BSE: 45/crore 3.7913625; 18% of 24.63 = 4.4334
        (Segment.CURRENCY_FUTURES, BCD, SELL, 10, "84.2525", 1000, "20 0 3.79 0.84 0 4.43", "29.06"),
        # 5 lots of 1000, 2,250: 20; none; 31.10 + 2 per lakh 0.74475; 0.00225; 0.00225; 18% of 20.74 = 3.7332
        (Segment.CURRENCY_OPTIONS, CDS, BUY, 5, "0.45", 1000, "20 0 0.74 0 0 3.73", "24.47"),
        # the same sold on BSE: 100/crore 0.0225; 18% of 20.02 = 3.6036
        (Segment.CURRENCY_OPTIONS, BCD, SELL, 5, "0.45", 1000, "20 0 0.02 0 0 3.60", "23.62"),
        # a lot of 100 barrels, 586,200: 20; 0.01% 58.62; 2.10 per lakh 12.3102; 0.5862; none; 18% of 32.90 = 5.922
        (Segment.COMMODITY_FUTURES, MCX, SELL, 1, "5862", 100, "20 58.62 12.31 0.59 0 5.92", "97.44"),
        # 5,862: 0.03% 1.7586; 0.01% 0.5862; 0.123102; 0.005862; none; 18% of 1.89 = 0.3402
        (Segment.COMMODITY_FUTURES, MCX, SELL, 1, "5862", 1, "1.76 0.59 0.12 0.01 0 0.34", "2.82"),
        # 586,200 on NSE: 20; none; 0.0001% 0.5862; 0.5862; 0.002% 11.724; 18% of 21.18 = 3.8124
        (Segment.COMMODITY_FUTURES, NCO, BUY, 1, "5862", 100, "20 0 0.59 0.59 11.72 3.81", "36.71"),
        # 2 lots of 10 barrels, 9,512: 20; 0.05% 4.756; 41.80 per lakh 3.976016; 0.009512; none; 18% of 23.99 = 4.3182
        (Segment.COMMODITY_OPTIONS, MCX, SELL, 2, "475.60", 10, "20 4.76 3.98 0.01 0 4.32", "33.07"),
        # 9,512 bought on NSE: 20; none; 0.001% 0.09512; 0.009512; 0.003% 0.28536; 18% of 20.11 = 3.6198
        (Segment.COMMODITY_OPTIONS, NCO, BUY, 2, "475.60", 10, "20 0 0.10 0.01 0.29 3.62", "24.02"),
        # a lot of 48 candies, 2,592,000: 20; no CTT; 54.432; 1/crore 0.2592; none; 18% of 74.69 = 13.4442
        (Segment.AGRI_FUTURES, MCX, SELL, 1, "54000", 48, "20 0 54.43 0.26 0 13.44", "88.13"),
    ],
)
def test_a_trade_costs_what_it_comes_to_by_hand(
    segment: Segment,
    exchange: Exchange,
    side: Side,
    quantity: int,
    price: str,
    multiplier: int,
    charged: str,
    total: str,
) -> None:
    charges = charges_of(segment, exchange, side, quantity, Decimal(price), AUTUMN, multiplier=multiplier)

    assert charges == bill(*charged.split())
    assert charges.total == Decimal(total)


def test_an_option_sold_costs_what_kites_virtual_contract_note_said() -> None:
    """65 NIFTY options at 86.70 on 25 September 2026, as an answer of Kite's /charges/orders quoted in public code."""
    charges = charges_of(Segment.EQUITY_OPTIONS, NFO, SELL, 65, Decimal("86.70"), date(2026, 9, 25))

    assert charges == bill("20", "8.45", "2.00", "0.01", "0", "3.96")
    assert charges.total == Decimal("34.42")


def test_a_contract_note_comes_out_as_it_was_printed() -> None:
    """A published MCX note of 18 June 2025: CRUDEOILM options, 20 barrels bought at 491.45 and sold at 475.60.

    Brokerage 80.00, exchange 8.08, CTT 5.00, SEBI 0.02, stamp duty 0.29, GST 15.86. It does not print its four orders,
    so they are of ten barrels each here.
    """
    noon = datetime(2025, 6, 18, 6, 30, tzinfo=UTC)
    bought = ExecutedOrder(Segment.COMMODITY_OPTIONS, MCX, BUY, [fill(1, 10, "491.45", noon)])
    sold = ExecutedOrder(Segment.COMMODITY_OPTIONS, MCX, SELL, [fill(2, 10, "475.60", noon)])

    note = contract_note([bought, bought, sold, sold])

    assert note == bill("80", "5", "8.08", "0.02", "0.29", "15.86")
    assert note.total == Decimal("109.25")


def test_on_a_note_of_nse_stt_and_stamp_duty_are_whole_rupees() -> None:
    """STT of 8,330 sold: 0.15% 12.495, 12.50, 13. Stamp duty of 9,030 bought: 0.2709, 0."""
    sold = ExecutedOrder(Segment.EQUITY_OPTIONS, NFO, SELL, [fill(1, 49, "170")])
    bought = ExecutedOrder(Segment.EQUITY_OPTIONS, NFO, BUY, [fill(2, 75, "120.40")])

    note = contract_note([sold, bought])

    assert (note.transaction_tax, note.stamp_duty) == (Decimal(13), Decimal(0))
    # 3553/crore of 17,360 is 6.168008, the SEBI fee 0.01736; 18% of 40 + 6.17 + 0.02 = 8.3142
    assert (note.exchange_turnover_charge, note.sebi_turnover_charge, note.gst) == tuple(
        map(Decimal, ("6.17", "0.02", "8.31"))
    )


def test_a_note_without_fills_is_empty_and_one_of_two_days_is_refused() -> None:
    today, tomorrow = (
        ExecutedOrder(Segment.EQUITY_DELIVERY, NSE, BUY, [fill(day, 1, "1", datetime(2026, 10, day, 6, tzinfo=UTC))])
        for day in (1, 2)
    )

    assert contract_note([ExecutedOrder(Segment.EQUITY_DELIVERY, NSE, BUY, [])]) == Charges()
    with pytest.raises(NoCharges, match=r"one day, were of 2026-10-01 to 2026-10-02"):
        contract_note([today, tomorrow])


# 75 options at 100: STT of 7,500, and the exchange's charge with IPFT per crore of it.
@pytest.mark.parametrize(
    ("on", "stt", "exchange"),
    [
        (date(2021, 4, 1), "3.75", "3.98"),  # 0.05%; 5,300.01 per crore 3.9750075
        (date(2023, 3, 31), "3.75", "3.98"),
        (date(2023, 4, 1), "4.69", "3.79"),  # 0.0625% 4.6875; 5,000 + 50 per crore 3.7875
        (date(2024, 3, 31), "4.69", "3.79"),
        (date(2024, 4, 1), "4.69", "3.75"),  # 4,950 + 50
        (date(2024, 9, 30), "4.69", "3.75"),
        (date(2024, 10, 1), "7.50", "2.66"),  # 0.1%; 3,503 + 50 per crore 2.66475
        (date(2026, 2, 28), "7.50", "2.66"),
        (date(2026, 3, 1), "7.50", "2.66"),  # 3,552.99 + 0.01
        (date(2026, 3, 31), "7.50", "2.66"),
        (date(2026, 4, 1), "11.25", "2.66"),  # 0.15%
    ],
)
def test_an_option_is_charged_by_the_rates_of_its_day(on: date, stt: str, exchange: str) -> None:
    charges = charges_of(Segment.EQUITY_OPTIONS, NFO, SELL, 75, Decimal(100), on)

    assert (charges.transaction_tax, charges.exchange_turnover_charge) == (Decimal(stt), Decimal(exchange))


@pytest.mark.parametrize(
    ("on", "stt", "exchange"),
    [
        (date(2023, 3, 31), "1000", "200.01"),
        (date(2023, 4, 1), "1250", "200"),
        (date(2024, 9, 30), "1250", "198"),
        (date(2024, 10, 1), "2000", "183"),
        (date(2026, 3, 31), "2000", "183"),
        (date(2026, 4, 1), "5000", "183"),
    ],
)
def test_a_crore_of_futures_is_charged_by_the_rates_of_its_day(on: date, stt: str, exchange: str) -> None:
    charges = charges_of(Segment.EQUITY_FUTURES, NFO, SELL, 500, Decimal(20_000), on)

    assert (charges.transaction_tax, charges.exchange_turnover_charge) == (Decimal(stt), Decimal(exchange))


def test_the_sebi_fee_bears_gst_since_18_july_2022() -> None:
    """A crore of futures: 18% of 20 + 200.01, and of the 10 of SEBI since then."""
    before, since = (
        charges_of(Segment.EQUITY_FUTURES, NFO, SELL, 500, Decimal(20_000), date(2022, 7, day)) for day in (15, 18)
    )

    assert (before.gst, since.gst) == (Decimal("39.60"), Decimal("41.40"))


def test_brokerage_is_for_the_order_and_a_further_fill_adds_what_is_left_of_it() -> None:
    """0.03% of 40,000 is 12; of 80,000 it is 24, so 20: the second fill adds 8 and the third nothing."""
    fills = [fill(number, 50, "800") for number in (1, 2, 3)]

    added = charges_by_fill(Segment.EQUITY_INTRADAY, NSE, BUY, fills)

    assert [charges.brokerage for charges in added] == [Decimal(12), Decimal(8), Decimal(0)]


def test_a_flat_brokerage_comes_with_the_first_fill_only() -> None:
    added = charges_by_fill(Segment.EQUITY_OPTIONS, NFO, BUY, [fill(1, 65, "1"), fill(2, 650, "100")])

    assert [charges.brokerage for charges in added] == [Decimal(20), Decimal(0)]


def test_an_order_without_fills_costs_nothing() -> None:
    assert charges_of_order(Segment.EQUITY_OPTIONS, NFO, BUY, []) == Charges()
    assert charges_by_fill(Segment.EQUITY_OPTIONS, NFO, BUY, []) == ()


def test_the_day_of_a_fill_is_that_of_india() -> None:
    """20:00 UTC on 31 March 2026 is 01:30 on 1 April in India: 0.15% of 7,500, not 0.1%."""
    late = fill(1, 75, "100", datetime(2026, 3, 31, 20, tzinfo=UTC))

    assert charges_of_order(Segment.EQUITY_OPTIONS, NFO, SELL, [late]).transaction_tax == Decimal("11.25")


traded = st.sampled_from(TRADED)
sides = st.sampled_from(Side)
quantities = st.integers(1, 10**6)
multipliers = st.sampled_from([1, 10, 100, 1000])
days = st.dates(date(2024, 10, 1), date(2027, 12, 31))
parts = st.lists(st.tuples(quantities, prices), min_size=1, max_size=6)


@given(traded, sides, quantities, prices, days, multipliers)
def test_charges_are_whole_paise_and_never_negative(
    where: tuple[Segment, Exchange], side: Side, quantity: int, price: Decimal, on: date, multiplier: int
) -> None:
    charges = charges_of(*where, side, quantity, price, on, multiplier=multiplier)

    amounts = charges.model_dump().values()
    assert all(amount >= 0 and amount.as_tuple().exponent == -2 for amount in amounts)
    assert charges.total == sum(amounts)


@given(traded, sides, quantities, quantities, prices, days)
def test_more_of_it_never_costs_less(
    where: tuple[Segment, Exchange], side: Side, quantity: int, more: int, price: Decimal, on: date
) -> None:
    less = charges_of(*where, side, quantity, price, on)
    greater = charges_of(*where, side, quantity + more, price, on)

    assert all(amount >= 0 for amount in (greater - less).model_dump().values())


@given(traded, sides, parts, multipliers)
def test_fills_sum_to_their_order_in_any_sequence(
    where: tuple[Segment, Exchange], side: Side, executed: list[tuple[int, Decimal]], multiplier: int
) -> None:
    fills = [fill(number, quantity, price) for number, (quantity, price) in enumerate(executed)]
    whole = charges_of_order(*where, side, fills, multiplier=multiplier)

    for sequence in (fills, fills[::-1]):
        added = charges_by_fill(*where, side, sequence, multiplier=multiplier)
        assert sum(added, Charges()) == whole
        assert all(amount >= 0 for charges in added for amount in charges.model_dump().values())


@given(traded, sides, st.lists(quantities, min_size=1, max_size=6), prices)
def test_an_order_in_parts_costs_what_it_costs_at_once(
    where: tuple[Segment, Exchange], side: Side, executed: list[int], price: Decimal
) -> None:
    fills = [fill(number, quantity, price) for number, quantity in enumerate(executed)]

    assert charges_of_order(*where, side, fills) == charges_of(*where, side, sum(executed), price, AUTUMN)


@given(traded, quantities, prices, days)
def test_only_a_buyer_pays_stamp_duty_and_only_delivery_is_taxed_on_buying(
    where: tuple[Segment, Exchange], quantity: int, price: Decimal, on: date
) -> None:
    bought, sold = (charges_of(*where, side, quantity, price, on) for side in (BUY, SELL))

    assert sold.stamp_duty == 0
    assert bought.stamp_duty > 0 or quantity * price < 5000
    assert bought.transaction_tax == (sold.transaction_tax if where[0] in TAXED_ON_BUYING else 0)


@pytest.mark.parametrize(("segment", "exchange"), TRADED)
def test_a_day_before_the_first_rates_is_refused_with_that_day(segment: Segment, exchange: Exchange) -> None:
    first = first_day(segment, exchange)
    charges_of(segment, exchange, BUY, 1, Decimal(1), first)

    with pytest.raises(NoCharges, match=rf"{segment} on {exchange} begin on {first}; there are none for 2019-12-31"):
        charges_of(segment, exchange, BUY, 1, Decimal(1), date(2019, 12, 31))


def test_what_is_traded_is_charged_at_least_since_the_uniform_charges_of_october_2024() -> None:
    assert all(first_day(*where) <= date(2024, 10, 1) for where in TRADED)


@pytest.mark.parametrize(
    ("segment", "exchange"),
    [(segment, exchange) for segment in Segment for exchange in Exchange if (segment, exchange) not in TRADED],
)
def test_a_segment_that_an_exchange_does_not_have_is_refused(segment: Segment, exchange: Exchange) -> None:
    with pytest.raises(NoCharges, match=f"there is no rate for {segment} on {exchange}"):
        charges_of(segment, exchange, SELL, 1, Decimal(1), AUTUMN)


def test_an_unknown_exchange_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(NoCharges, match=r"NYSE:IBM: the exchange must be one of NSE, BSE, .*, was 'NYSE'"):
        Exchange.of("NYSE:IBM")


@pytest.mark.parametrize(
    ("quantity", "price", "multiplier", "named"),
    [(0, "1", 1, "quantity"), (-5, "1", 1, "quantity"), (1, "0", 1, "price"), (1, "1", 0, "multiplier")],
)
def test_what_is_no_trade_is_refused(quantity: int, price: str, multiplier: int, named: str) -> None:
    with pytest.raises(NoCharges, match=f"{named}: must be above 0"):
        charges_of(Segment.EQUITY_DELIVERY, NSE, BUY, quantity, Decimal(price), AUTUMN, multiplier=multiplier)


def test_the_depository_is_paid_for_a_scrip_that_leaves_the_account() -> None:
    """13 + 18% = 15.34 (Zerodha charges page), 13.50 + 18% = 15.93 before October 2024."""
    assert dp_charge(Segment.EQUITY_DELIVERY, NSE, SELL, AUTUMN) == Decimal("15.34")
    assert dp_charge(Segment.EQUITY_MTF, BSE, SELL, AUTUMN) == Decimal("15.34")
    assert dp_charge(Segment.EQUITY_DELIVERY, NSE, SELL, date(2024, 9, 30)) == Decimal("15.93")
    assert dp_charge(Segment.EQUITY_DELIVERY, NSE, BUY, AUTUMN) == 0
    assert dp_charge(Segment.EQUITY_INTRADAY, NSE, SELL, AUTUMN) == 0
    assert dp_charge(Segment.EQUITY_FUTURES, NFO, SELL, AUTUMN) == 0


def instrument(symbol: str, kind: str, name: str) -> Instrument:
    segment = f"{symbol.partition(':')[0]}-{'FUT' if kind == 'FUT' else 'OPT'}"
    return Instrument(symbol, 1, Decimal("0.05"), 1, date(2026, 11, 30), None, kind, segment, name)


@pytest.mark.parametrize(
    ("symbol", "product", "segment"),
    [
        ("NSE:INFY", Product.CNC, Segment.EQUITY_DELIVERY),
        ("BSE:INFY", Product.MTF, Segment.EQUITY_MTF),
        ("NSE:INFY", Product.MIS, Segment.EQUITY_INTRADAY),
        ("NFO:NIFTY25MAYFUT", Product.MIS, Segment.EQUITY_FUTURES),
        ("NFO:NIFTY25MAY24400CE", Product.NRML, Segment.EQUITY_OPTIONS),
        ("NFO:NIFTY25MAY24400PE", Product.NRML, Segment.EQUITY_OPTIONS),
        ("CDS:USDINR25MAYFUT", Product.NRML, Segment.CURRENCY_FUTURES),
        ("MCX:CRUDEOIL25MAYFUT", Product.NRML, Segment.COMMODITY_FUTURES),
    ],
)
def test_a_listed_instrument_has_the_segment_of_its_exchange_and_product(
    symbol: str, product: Product, segment: Segment
) -> None:
    listed = Instruments.shipped().get(symbol)

    assert listed is not None
    assert segment_of(listed, product) is segment


@pytest.mark.parametrize(
    ("symbol", "kind", "name", "segment"),
    [
        ("BFO:SENSEX26NOV80000PE", "PE", "SENSEX", Segment.EQUITY_OPTIONS),
        ("BCD:USDINR26NOVFUT", "FUT", "USDINR", Segment.CURRENCY_FUTURES),
        ("CDS:USDINR26NOV84CE", "CE", "USDINR", Segment.CURRENCY_OPTIONS),
        ("MCX:GOLD26NOV80000CE", "CE", "GOLD", Segment.COMMODITY_OPTIONS),
        ("NCO:CRUDEOIL26NOVFUT", "FUT", "CRUDEOIL", Segment.COMMODITY_FUTURES),
        ("MCX:COTTONCNDY26NOVFUT", "FUT", "COTTONCNDY", Segment.AGRI_FUTURES),
        ("MCX:MENTHAOIL26NOVFUT", "FUT", "MENTHAOIL", Segment.COMMODITY_FUTURES),
    ],
)
def test_a_derivative_has_the_segment_of_its_exchange_and_kind(
    symbol: str, kind: str, name: str, segment: Segment
) -> None:
    assert segment_of(instrument(symbol, kind, name), Product.NRML) is segment


@pytest.mark.parametrize(
    ("symbol", "product", "message"),
    [
        ("NSE:NIFTY 50", Product.CNC, "an index cannot be traded"),
        ("NSE:INFY", Product.NRML, "shares are traded with CNC, MTF, MIS, not with NRML"),
        ("NFO:NIFTY25MAYFUT", Product.CNC, "derivatives are traded with NRML or MIS, not with CNC"),
    ],
)
def test_what_cannot_be_traded_like_that_has_no_segment(symbol: str, product: Product, message: str) -> None:
    listed = Instruments.shipped().get(symbol)

    assert listed is not None
    with pytest.raises(NoCharges, match=f"{symbol}: {message}"):
        segment_of(listed, product)


def test_a_derivative_of_an_unknown_kind_has_no_segment() -> None:
    with pytest.raises(NoCharges, match="instrument_type must be one of FUT, CE, PE, was EQ"):
        segment_of(instrument("NFO:NIFTY", "EQ", "NIFTY"), Product.NRML)
