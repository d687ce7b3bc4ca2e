"""What a terminal of 80 columns shows: ids whole, figures whole, the rest wrapped."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from durable_orders.cli import render
from durable_orders.portfolio import PositionLine, totals
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.reading import FeedEvent
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Side,
    Status,
    TradeId,
)

UUID = "01a2036c-f499-715f-81e3-aaa607dbdf30"
NOW = datetime.now(UTC)


def shown(what: RenderableType, width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width, highlight=False)
    console.print(what)
    return str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


def order(own_id: str = UUID, reason: str = "") -> Order:
    intent = OrderIntent(
        client_order_id=own_id,
        symbol="NFO:NIFTY25MAYFUT",
        side=Side.BUY,
        quantity=1800,
        order_type=OrderType.LIMIT,
        price=Decimal("24380.80"),
        reason=reason,
    )
    number = BrokerOrderId("2124493930518020097")
    fill = Fill(trade_id=TradeId("1"), broker_order_id=number, quantity=1800, price=Decimal("24380.8"), at=NOW)
    filled = {"status": Status.FILLED, "broker_order_id": number, "fills": (fill,)}
    return Order.from_intent(intent, NOW).model_copy(update=filled)


def test_a_long_id_stands_whole_above_its_order() -> None:
    header, *lines = shown(render.orders_table([order(), order("short")]))
    assert header.split() == ["time", "status", "filled", "average", "order"]
    assert any(line.rstrip().endswith(f"24380.80  {UUID}") and "1800/1800" in line for line in lines)
    assert "BUY 1800 NFO:NIFTY25MAYFUT LIMIT 24380.80 MIS" in " ".join(" ".join(lines).split())
    assert all(len(line) <= 80 for line in lines)


def test_a_short_id_stands_beside_its_order() -> None:
    _, first, *_ = shown(render.orders_table([order("short"), order("other")]))
    assert "short  BUY 1800" in first


def test_on_a_wide_console_an_order_is_one_line() -> None:
    _, *lines = shown(render.orders_table([order(), order("short")], width=200), width=200)
    assert [line.split()[4] for line in lines] == [UUID, "short"]
    assert all(line.rstrip().endswith("BUY 1800 NFO:NIFTY25MAYFUT LIMIT 24380.80 MIS") for line in lines)


def test_an_order_of_another_day_shows_its_date() -> None:
    before = NOW - timedelta(days=3)
    (line,) = shown(render.orders_table([order("old").model_copy(update={"created_at": before})]))[1:2]
    assert line.startswith(f"{before.astimezone(IST):%d %b %H:%M} ")


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred", "\x07\r\x9b"])
def test_foreign_text_neither_breaks_a_line_nor_steers_the_terminal(text: str) -> None:
    lines = shown(render.order_text(order(reason=text), None), width=200)
    assert len(lines) == len(shown(render.order_text(order(), None), width=200))
    assert all(line.isprintable() for line in lines)


def test_markup_in_foreign_text_is_text() -> None:
    assert any("[bold]not[/bold]" in line for line in shown(render.order_text(order(reason="[bold]not[/bold]"), None)))


def test_events_give_the_id_and_wrap_what_happened() -> None:
    message = "working at the broker as 2124493930518020097"
    event = FeedEvent(
        feed_id=1,
        account="paper",
        order_id=f"order:paper:{UUID}",
        sequence=1,
        type=EventType.ORDER_PARTIALLY_FILLED,
        status=Status.PARTIAL,
        message=message,
        at=NOW,
    )
    _, first, *rest = shown(render.events_table([event], ids=len(UUID)))
    assert first.rstrip().endswith(f"order_partially_filled  {UUID}")
    assert " ".join(" ".join(rest).split()) == message
    _, alone = shown(render.events_table([event], ids=len(UUID), width=200), width=200)
    assert alone.rstrip().endswith(f"{UUID}  {message}")


def test_positions_fit_with_their_symbols_whole() -> None:
    line = PositionLine(
        account="paper",
        symbol="NFO:NIFTY25MAYFUT",
        product="NRML",
        quantity=-18_000,
        average_price=Decimal("24380.8"),
        last_price=Decimal("24441.75"),
        realized_pnl=Decimal("-1234.5"),
        unrealized_pnl=None,
        charges=Decimal("120.25"),
        uncharged_fills=1,
        net_pnl=None,
        day_realized_pnl=Decimal(-50),
        day_unrealized_pnl=None,
        day_charges=Decimal("20.1"),
        day_pnl=None,
    )
    _, row = shown(render.positions_table([line]))
    assert row.split() == ["NFO:NIFTY25MAYFUT", "NRML", "-18000", "24380.80", "24441.75", "-1234.50"]
    _, wide = shown(render.positions_table([line], 120), width=120)
    assert wide.split() == [*row.split(), "120.25"]
    _, whole, day, missing = render.result_text(totals([line, line])).plain.splitlines()
    assert (
        whole.split(maxsplit=2)[2] == "realized -2469.00, unrealized not known, charges 240.50, after charges not known"
    )
    assert day.split(maxsplit=2)[2] == "realized -100.00, unrealized not known, charges 40.20, after charges not known"
    assert missing == "The charges of 2 fills are not known."


@pytest.mark.parametrize(
    ("amount", "text"), [("24380.8000", "24380.80"), ("0", "0.00"), ("83.4275", "83.4275"), ("-1.5", "-1.50")]
)
def test_rupees_are_told_to_the_paisa(amount: str, text: str) -> None:
    assert render.rupees(Decimal(amount)) == text


def test_a_lost_order_is_found_some_time_later() -> None:
    told = [(EventType.ORDER_UNKNOWN, "the answer was lost"), (EventType.ORDER_UPDATED, f"{render.FOUND} 2026")]
    events = [
        FeedEvent(
            feed_id=number,
            account="paper",
            order_id="order:paper:a",
            sequence=number,
            type=kind,
            status=Status.UNKNOWN,
            message=message,
            at=datetime(2026, 11, 26, 10, 0, tzinfo=UTC) + number * timedelta(seconds=2.1),
        )
        for number, (kind, message) in enumerate(told)
    ]
    assert "found in the order book 2.1 s later as 2026" in shown(render.events_table(events, width=120), 120)[-1]
