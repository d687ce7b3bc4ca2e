"""An order that passes leaves the figures of its checks: the limit, where it stood before, and with the order."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from durable_orders.assistant.explaining import NOT_RECORDED, Evidence, checked, evidence_of, explained_order
from durable_orders.trading.guardian.check import Measure
from durable_orders.trading.guardian.checks.limits import MaxOrderQuantity
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.funds import save_funds
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.reservations import standing, was_ever_made
from durable_orders.trading.ledger.tables import reservations
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.judged import CheckFigure, Judged
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Order, OrderId, Status
from durable_orders.trading.orders.verdict import Approval, Refusals
from tests.trading.guardian.conftest import LAST_PRICE, NOW, MakeGuardian, admitted, an_order
from tests.trading.guardian.test_limits import BUY, LOT_VALUE, SELL, trade

OF_CAPITAL = {"strategies": {"s": {"capital": 3 * LOT_VALUE}}}
PRICED = {"order_type": "LIMIT", "price": "24543"}
LOST = {**SELL, "price": LAST_PRICE - 100}


class NoWords:
    def __str__(self) -> str:
        raise ArithmeticError


def evidence(ledger: Database, order: Order) -> Evidence:
    with ledger.read() as connection:
        return evidence_of(connection, order)


def judged(ledger: Database, order: Order) -> list[Judged]:
    """Those that were recorded."""
    return [each for each in evidence(ledger, order).judged if each is not None]


def figures(ledger: Database, order: Order) -> dict[str, CheckFigure]:
    """Of its only time."""
    [found] = judged(ledger, order)
    assert found.at == NOW
    assert found.checks > len(found.figures)
    return {figure.code: figure for figure in found.figures}


@pytest.mark.parametrize(
    ("limits", "before", "terms", "code", "figure"),
    [
        ({"max_order_quantity": 225}, [], {"quantity": 150}, "MAX_ORDER_QUANTITY", ("225", None, "150", "units")),
        ({"max_order_value": 2000000}, [], BUY, "MAX_ORDER_VALUE", ("2000000", None, LOT_VALUE, "rupees")),
        ({"max_position_per_symbol": 225}, [BUY], BUY, "MAX_POSITION_PER_SYMBOL", ("225", "75", "150", "units")),
        ({"max_position_total": 300}, [BUY], BUY, "MAX_POSITION_TOTAL", ("300", "75", "150", "units")),
        ({"max_gross_exposure": 3 * LOT_VALUE}, [BUY], BUY, "MAX_GROSS_EXPOSURE", (3, 1, 2, "rupees")),
        ({"max_net_exposure": 3 * LOT_VALUE}, [BUY], BUY, "MAX_NET_EXPOSURE", (3, 1, 2, "rupees")),
        ({"max_net_exposure": 3 * LOT_VALUE}, [BUY], SELL, "MAX_NET_EXPOSURE", (3, -1, 0, "rupees")),
        ({"capital": 3 * LOT_VALUE}, [BUY], BUY, "CAPITAL", (3, 1, 2, "rupees")),
        (OF_CAPITAL, [BUY], {"strategy": "s"}, "STRATEGY_CAPITAL", (3, 0, 1, "rupees")),
        (
            {"max_orders_per_day": {"symbol": 5}},
            [BUY, BUY],
            BUY,
            "MAX_ORDERS_PER_DAY",
            ("5", "2", "3", "orders a day of the symbol"),
        ),
        ({"max_open_orders": 9}, [BUY], BUY, "MAX_OPEN_ORDERS", ("9", "0", "1", "open orders")),
        ({"freeze_quantity": {"NIFTY": 150}}, [], BUY, "FREEZE_QUANTITY", ("150", None, "75", "units in one order")),
        ({"price_band_percent": 2}, [], PRICED, "PRICE_BAND", ("2", None, "1.00", "%")),
        ({"max_price_age": 3}, [], BUY, "STALE_PRICE", ("3.0", None, "0.0", "seconds")),
        ({"max_daily_loss": 9000}, [BUY, LOST], BUY, "MAX_DAILY_LOSS", ("9000", "7500", "7500", "rupees lost today")),
        ({"max_loss_streak": 3}, [BUY, LOST], BUY, "MAX_LOSS_STREAK", ("3", "1", "1", "losses in a row")),
        ({}, [], BUY, "TOO_LATE", ("2025-05-05 10:30:30", None, "2025-05-05 10:30:00", "IST")),
    ],
)
def test_what_passes_shows_how_near_it_came(
    guardian_with: MakeGuardian,
    ledger: Database,
    limits: dict[str, Any],
    before: list[dict[str, Any]],
    terms: dict[str, Any],
    code: str,
    figure: tuple[Any, ...],
) -> None:
    """Numbers that are no words stand for so many lots at the last price."""
    guardian = guardian_with(**limits)
    for each in before:
        given = dict(each)
        trade(guardian, ledger, given.pop("price", LAST_PRICE), **given)
    order = an_order(**terms)
    assert isinstance(admitted(guardian, order), Approval)
    found = figures(ledger, order)[code]
    *amounts, unit = figure
    assert found.unit == unit
    for told, wanted in zip(found[1:4], amounts, strict=True):
        if isinstance(wanted, int | Decimal):
            assert Decimal(told or "") == (wanted * LOT_VALUE if isinstance(wanted, int) else wanted)
        else:
            assert told == wanted


def test_the_margin_that_an_order_needs_is_held_against_what_is_left(
    guardian_with: MakeGuardian, ledger: Database
) -> None:
    lot = LOT_VALUE * 12 / 100
    save_funds(ledger, "paper", Funds(4 * lot, Decimal(0)), NOW - timedelta(seconds=1))
    guardian = guardian_with(require_margin=True)
    assert isinstance(admitted(guardian, an_order()), Approval)
    order = an_order(quantity=150)
    assert isinstance(admitted(guardian, order), Approval)
    found = figures(ledger, order)["INSUFFICIENT_MARGIN"]
    assert (Decimal(found.limit), Decimal(found.value)) == (3 * lot, 2 * lot)
    assert found.unit == "rupees of margin for 150"


def test_an_order_that_only_reduces_has_no_figure_of_what_it_passes_for_that(
    guardian_with: MakeGuardian, ledger: Database
) -> None:
    guardian = guardian_with(max_position_per_symbol=150, capital=3 * LOT_VALUE, max_order_quantity=75)
    trade(guardian, ledger)
    order = an_order(**SELL)
    assert isinstance(admitted(guardian, order), Approval)
    found = figures(ledger, order)
    assert "MAX_ORDER_QUANTITY" in found
    assert not {"MAX_POSITION_PER_SYMBOL", "CAPITAL"} & set(found)


def test_each_change_has_its_own(guardian_with: MakeGuardian, ledger: Database) -> None:
    guardian = guardian_with(max_order_quantity=225)
    order = an_order(order_type="LIMIT", price="24000")
    assert isinstance(admitted(guardian, order), Approval)
    assert guardian.check_amendment(order, Amendment(quantity=150)) == ()
    assert guardian.check_amendment(order, Amendment(quantity=300)) != ()
    first, second = judged(ledger, order)
    asked = [{each.code: each.value for each in found.figures}["MAX_ORDER_QUANTITY"] for found in (first, second)]
    assert asked == ["75", "150"]
    assert {each.code: each.value for each in second.figures}["MAX_CHANGES"] == "1"
    told = checked(evidence(ledger, order))
    assert told[0].startswith("At 2025-05-05 10:30:00.000 IST it passed ")
    assert "- MAX_ORDER_QUANTITY: 75 of at most 225 units" in told
    assert any(words.startswith("At 2025-05-05 10:30:00.000 IST change 1 passed ") for words in told)


def test_a_refused_order_passed_nothing(guardian_with: MakeGuardian, ledger: Database) -> None:
    order = an_order(quantity=150)
    assert isinstance(admitted(guardian_with(max_order_quantity=75), order), Refusals)
    found = evidence(ledger, order)
    assert not found.checks()
    assert not checked(found)


def test_an_order_of_before_says_that_nothing_was_recorded(guardian_with: MakeGuardian, ledger: Database) -> None:
    order = an_order()
    assert isinstance(admitted(guardian_with(), order), Approval)
    with ledger.write() as connection:
        connection.execute(sa.update(reservations).values(judged=None))
        assert was_ever_made(connection, order.order_id)
    assert evidence(ledger, order).checks() == []
    assert checked(evidence(ledger, order)) == [NOT_RECORDED.format("it")]


def test_a_change_of_an_order_of_before_is_not_taken_for_the_order(
    guardian_with: MakeGuardian, ledger: Database
) -> None:
    """The version before let one change through, too."""
    guardian = guardian_with(max_order_quantity=225)
    order = an_order(order_type="LIMIT", price="24000")
    assert isinstance(admitted(guardian, order), Approval)
    assert guardian.check_amendment(order, Amendment(quantity=150)) == ()
    with ledger.write() as connection:
        connection.execute(sa.update(reservations).values(judged=None))
    assert guardian.check_amendment(order, Amendment(quantity=225)) == ()
    found = evidence(ledger, order)
    assert [each is not None for each in found.checks()] == [False, False, True]
    told = checked(found)
    assert told[:2] == [NOT_RECORDED.format("it"), NOT_RECORDED.format("change 1")]
    assert " IST change 2 passed " in told[2]


def test_a_change_that_was_not_made_leaves_its_place_to_the_next(guardian_with: MakeGuardian, ledger: Database) -> None:
    """However often the broker refuses one, what is kept of an order does not grow."""
    guardian = guardian_with(max_order_quantity=225)
    order = an_order(order_type="LIMIT", price="24000")
    assert isinstance(admitted(guardian, order), Approval)
    for _ in range(3):
        assert guardian.check_amendment(order, Amendment(quantity=150)) == ()
        guardian.withdraw_amendment(order, Amendment(quantity=150))
    assert guardian.check_amendment(order, Amendment(quantity=225)) == ()
    asked = [{each.code: each.value for each in found.figures} for found in judged(ledger, order)]
    assert [each["MAX_ORDER_QUANTITY"] for each in asked] == ["75", "225"]


def test_what_was_found_at_the_broker_is_not_told_to_have_passed(ledger: Database) -> None:
    order = an_order(client_order_id="o1", order_type="LIMIT", price="24000")
    found = order.model_copy(
        update={
            "client_order_id": "external-1",
            "order_id": OrderId(order.order_id.replace("o1", "external-1")),
            "broker_order_id": BrokerOrderId("1"),
            "status": Status.PLACED,
        }
    )
    record(ledger, found, [Entry(sequence=0, type=EventType.ALERT, at=NOW, message="found", status=found.status)])
    with ledger.read() as connection:
        assert standing(connection, found.order_id) is not None
    assert checked(evidence(ledger, found)) == []
    told = explained_order(found, evidence(ledger, found))
    assert "found in the broker's book" in told
    assert "passed" not in told


@pytest.mark.parametrize(
    "told",
    [None, ("225", "75"), Measure(NoWords(), 75), Measure(225, NoWords()), Measure(225, 75, unit=NoWords())],  # type: ignore[arg-type]
)
def test_a_check_without_its_figure_holds_nothing_up(
    guardian_with: MakeGuardian, ledger: Database, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    """One that raises, and one of a package of which nothing can be written down."""

    def broken(*_: object) -> Any:
        if told is None:
            raise ArithmeticError
        return told

    guardian = guardian_with(max_order_quantity=75, max_order_value=2000000)
    monkeypatch.setattr(MaxOrderQuantity, "measured", broken)
    order = an_order()
    assert isinstance(admitted(guardian, order), Approval)
    assert "MAX_ORDER_VALUE" in figures(ledger, order)
    assert "MAX_ORDER_QUANTITY" not in figures(ledger, order)
