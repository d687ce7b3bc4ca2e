"""A day against a tradebook: what differs, and what it proves of orders whose end is not known."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from durable_orders.trading.brokers.kite.tradebook import Tradebook, TradebookRow
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.lifecycle import AnswerLost, Settled, step
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Instructions, Order, Side, Status, TradeId
from durable_orders.trading.reconciliation.tradebook import Verdict, differences, verdicts
from tests.trading.ledger.examples import START, limit_order
from tests.trading.reconciliation.test_compare import NOW, TRADE, ended

DAY = START.astimezone(IST).date()
NAME = "tradebook-AB1234-EQ.csv"
NUMBERS = count(1)


def rows_of(order: Order) -> list[TradebookRow]:
    order_id = order.broker_order_id or BrokerOrderId("")
    return [
        row(fill.quantity, str(fill.price), trade_id=fill.trade_id, order_id=order_id, side=order.side)
        for fill in order.fills
    ]


def row(quantity: int, price: str = "1500", **known: object) -> TradebookRow:
    line, name = next(NUMBERS), limit_order().symbol.partition(":")[2]
    order_id, trade = BrokerOrderId("B-1"), TradeId(str(line))
    at = START + timedelta(hours=1)
    made = TradebookRow(line, name, "EQ", "NSE", DAY, Side.BUY, quantity, Decimal(price), trade, order_id, at)
    return replace(made, **known)  # type: ignore[arg-type]


def book(*rows: TradebookRow) -> Tradebook:
    return Tradebook(NAME, "AB1234", rows)


LATER = row(1, day=DAY + timedelta(days=1), order_id=BrokerOrderId("later"))
PART = ended(BookState.CANCELLED, TRADE)
(SAID,) = rows_of(PART)
LOST = step(limit_order("lost"), AnswerLost("no answer"), NOW)
assert LOST.status is Status.UNKNOWN


def judged(order: Order, *rows: TradebookRow, others: tuple[Order, ...] = ()) -> Verdict:
    """By a file that goes on to the next day."""
    (verdict,) = verdicts([order, *others], book(*rows, LATER), DAY, {order.order_id})
    return verdict


def test_the_same_trades_agree_and_each_that_is_not_the_same_is_one_difference() -> None:
    assert differences([PART], book(SAID), DAY) == []
    others = [replace(SAID, quantity=39), replace(SAID, price=Decimal(1500)), replace(SAID, side=Side.SELL)]
    for said in ([LATER], *([other] for other in others)):
        (found,) = differences([PART], book(*said), DAY)
        assert (found.kind.value, found.order_id) == ("trade", PART.order_id)
    strange = replace(SAID, order_id=BrokerOrderId("other"), trade_id=TradeId("9"))
    (found,) = differences([PART], book(SAID, strange), DAY)
    assert (found.order_id, found.ours, found.cause) == ("other", None, "no order of the ledger")


@pytest.mark.parametrize(
    "changed",
    [
        {"exchange": "BSE"},
        {"segment": "FO", "exchange": "NFO"},
        {"segment": "FO", "exchange": "NFO", "tradingsymbol": "NIFTY26JANFUT"},
        {"side": Side.SELL},
        {"quantity": 1},
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_stray_row_with_the_id_of_a_trade_is_one_difference_and_hides_nothing(
    changed: dict[str, object], is_first: bool
) -> None:
    """Wherever it stands in the file, under the order's id or another one, beside a trade that agrees or does not."""
    stray = replace(SAID, **changed)  # type: ignore[arg-type]
    for own, expected in ((SAID, 1), (replace(SAID, price=Decimal(1)), 2)):
        for each in (stray, replace(stray, order_id=BrokerOrderId("of-nobody"))):
            found = differences([PART], book(*([each, own] if is_first else [own, each])), DAY)
            assert len(found) == expected
            assert any(f"{each.side} {each.quantity} {each.symbol}" in (told.broker or "") for told in found)


def test_a_row_that_is_not_its_trade_proves_no_end() -> None:
    lost = with_id(LOST)
    whole = row(LOST.quantity)
    for other in (replace(whole, exchange="BSE"), replace(whole, segment="FO", exchange="NFO")):
        assert "of another symbol, exchange or side" in (judged(lost, whole, other).why_not or "")
    again = replace(whole, order_id=BrokerOrderId("B-2"))
    sliced = lost.model_copy(update={"instructions": AUTOSLICE, "slices": (BrokerOrderId("B-1"), BrokerOrderId("B-2"))})
    assert "in two rows" in (judged(sliced, whole, again).why_not or "")
    half_known = with_id(PART).model_copy(update={"status": Status.UNKNOWN})
    told = replace(SAID, order_id=BrokerOrderId("B-1"), price=Decimal(1))
    assert "otherwise than the ledger" in (judged(half_known, told).why_not or "")


def test_what_the_file_has_no_segment_of_is_not_looked_for_in_it_but_what_is_unknown_stays_a_difference() -> None:
    assert (
        differences([PART], book(row(75, tradingsymbol="NIFTY26JANFUT", segment="FO", exchange="NFO")), DAY)[1:] == []
    )
    of_futures = book(row(75, tradingsymbol="NIFTY26JANFUT", segment="FO", exchange="NFO", day=DAY + timedelta(days=1)))
    assert differences([PART], of_futures, DAY) == []
    (open_still,) = differences([LOST], of_futures, DAY)
    assert (open_still.ours, open_still.broker) == ("UNKNOWN", "0 traded")


def with_id(order: Order) -> Order:
    return order.model_copy(update={"broker_order_id": BrokerOrderId("B-1")})


def test_the_trades_of_an_order_whose_id_is_known_are_its_end() -> None:
    """By the one rule of settling: all of it is FILLED, a part or nothing EXPIRED; and then the two agree."""
    lost = with_id(LOST)
    for said, status in (([row(lost.quantity)], Status.FILLED), ([row(40)], Status.EXPIRED), ([], Status.EXPIRED)):
        proved = judged(lost, SAID, *said, others=(PART,))
        assert proved.settlement is not None
        assert proved.settlement.status is status
        settled = step(lost, Settled(proved.settlement), NOW)
        assert settled.filled_quantity == sum(each.quantity for each in said)
        assert differences([settled, PART], book(SAID, *said), DAY) == []
        assert verdicts([settled, PART], book(SAID, *said, LATER), DAY, {lost.order_id}) == []


@pytest.mark.parametrize("lost", [LOST, with_id(LOST)])
def test_a_file_that_does_not_go_beyond_the_day_proves_no_absence(lost: Order) -> None:
    """It ends with its last trade, begins with its first, and may be of one symbol alone."""
    before, after = (
        replace(LATER, day=DAY + timedelta(days=days), tradingsymbol="TCS", order_id=BrokerOrderId(str(days)))
        for days in (-1, 1)
    )
    for rows, words in (
        ([before], "may not tell of 2026-01-05"),
        ([after], "may not tell of 2026-01-05"),
        ([row(1, tradingsymbol="TCS", order_id=BrokerOrderId("x")), before], "may not tell of 2026-01-05"),
        ([before, replace(after, segment="FO", exchange="NFO")], "may not tell of 2026-01-05"),
        ([before, after], "it may be of that symbol only"),
    ):
        (verdict,) = verdicts([lost], book(*rows), DAY, {lost.order_id})
        assert verdict.settlement is None
        assert words in (verdict.why_not or "")
        whys = {lost.order_id: verdict.why_not or ""}
        found = differences([lost], book(*rows), DAY, whys)
        assert found[0].cause == verdict.why_not
    (verdict,) = verdicts([lost], book(before, after, LATER), DAY, {lost.order_id})
    assert verdict.settlement is not None
    assert verdict.settlement.status is Status.EXPIRED


def test_what_the_file_has_is_proved_by_it_however_far_it_goes() -> None:
    (verdict,) = verdicts([with_id(LOST)], book(row(LOST.quantity)), DAY, {LOST.order_id})
    assert verdict.settlement is not None
    assert verdict.settlement.status is Status.FILLED


def test_an_order_that_may_be_a_trade_of_nobody_stays_unknown() -> None:
    for name in ("INFY", "INFY-BE"):
        assert "of no order of the ledger, may be its" in (judged(LOST, row(10, tradingsymbol=name)).why_not or "")
    of_others = [row(10, tradingsymbol="TCS"), row(10, side=Side.SELL)]
    assert judged(LOST, *of_others).settlement is not None


ICEBERG = Instructions(iceberg_legs=2, iceberg_quantity=50)
AUTOSLICE = Instructions(autoslice=True)


@pytest.mark.parametrize("instructions", [ICEBERG, AUTOSLICE])
def test_an_order_that_the_broker_split_does_not_end_with_its_first_part(instructions: Instructions) -> None:
    """The other parts have ids of their own, and nothing in the file says whose they are."""
    lost = with_id(LOST).model_copy(update={"instructions": instructions})
    first, second = row(50), row(50, order_id=BrokerOrderId("B-2"))
    assert "may be its" in (judged(lost, first, second).why_not or "")
    alone = judged(lost, first, row(50, order_id=BrokerOrderId("B-2"), side=Side.SELL)).settlement
    assert alone is not None
    assert (alone.status, alone.quantity) == (Status.EXPIRED, 50)


def test_the_parts_that_are_known_make_up_the_order() -> None:
    ids = (BrokerOrderId("B-1"), BrokerOrderId("B-2"))
    lost = with_id(LOST).model_copy(update={"instructions": AUTOSLICE, "slices": ids})
    rows = [row(50, order_id=order_id) for order_id in ids]
    proved = judged(lost, *rows).settlement
    assert proved is not None
    assert (proved.status, proved.quantity) == (Status.FILLED, 100)
    rest = judged(lost, rows[0]).settlement
    assert rest is not None
    assert (rest.status, rest.quantity) == (Status.EXPIRED, 50)


def test_order_ids_of_the_exchange_are_no_ids_of_nobody() -> None:
    """Recorded trades are known by their own ids; what is not recorded stays a question."""
    exchange_id = BrokerOrderId("1100000006006988")
    assert differences([PART], book(replace(SAID, order_id=exchange_id)), DAY) == []
    filled = row(LOST.quantity, order_id=exchange_id)
    assert "may be its" in (judged(with_id(LOST), filled).why_not or "")
    said = (replace(SAID, order_id=exchange_id), filled)
    assert "may be its" in (judged(with_id(LOST), *said, others=(PART,)).why_not or "")


@pytest.mark.parametrize("instructions", [ICEBERG, AUTOSLICE])
def test_the_recorded_trades_of_all_parts_are_of_the_order(instructions: Instructions) -> None:
    """The ledger has them under the first part's id, the file each under its own."""
    rows = [row(50, order_id=BrokerOrderId(order_id)) for order_id in ("B-1", "B-2")]
    fills = tuple(
        Fill(
            trade_id=each.trade_id,
            broker_order_id=BrokerOrderId("B-1"),
            quantity=each.quantity,
            price=each.price,
            at=START,
        )
        for each in rows
    )
    filled = with_id(limit_order()).model_copy(
        update={"instructions": instructions, "fills": fills, "status": Status.FILLED, "filled_quantity": 100}
    )
    assert differences([filled], book(*rows), DAY) == []
    (moved,) = differences([filled], book(rows[0], replace(rows[1], quantity=49)), DAY)
    assert moved.order_id == filled.order_id


def test_half_a_tradebook_one_of_another_segment_and_an_order_of_another_session_prove_nothing() -> None:
    lost = with_id(LOST)
    assert "lacks trades" in (judged(lost, others=(PART,)).why_not or "")
    half_known = PART.model_copy(update={"status": Status.UNKNOWN})
    assert "lacks trades" in (judged(half_known, row(60, order_id=BrokerOrderId("B-a"))).why_not or "")
    (of_futures,) = verdicts([lost], book(replace(LATER, segment="FO", exchange="NFO")), DAY, {lost.order_id})
    assert "has no trade of its segment" in (of_futures.why_not or "")
    (not_sent,) = verdicts([lost], book(row(100), LATER), DAY, ())
    assert "not recorded that it was sent" in (not_sent.why_not or "")


def test_trades_that_make_no_price_to_the_paisa_are_left_to_a_human() -> None:
    said = [row(1, "1500.0001"), row(2, "1500.0003")]
    assert "settle it by hand" in (judged(with_id(LOST), *said).why_not or "")
