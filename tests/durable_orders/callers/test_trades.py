"""Trades that were made out of cumulative figures: each is kept before anybody is told, and told alike ever after."""

import resource
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.callers.broker import line_of
from durable_orders.callers.rows import row_of_line, trade_of
from durable_orders.callers.trades import KEPT, SeenTrades
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Order, TradeId

OWN = BrokerOrderId("B1")


def fill(number: int = 5, at: datetime | None = None) -> Fill:
    return Fill(
        trade_id=TradeId(f"B1-{number}"),
        broker_order_id=OWN,
        quantity=5,
        price=Decimal("100.5"),
        at=at or datetime.now(UTC),
    )


def order() -> Order:
    return Order(order_id="", symbol="INFY", side="BUY", qty=10, order_type="LIMIT", price=1490, strategy="s")


def test_what_was_seen_is_known_to_the_next_process(tmp_path: Path) -> None:
    first = SeenTrades(tmp_path / "seen")
    first.add(fill())
    again = SeenTrades(tmp_path / "seen")
    assert again.of(OWN) == first.of(OWN)
    again.add(fill(10))
    assert [each.trade_id for each in SeenTrades(tmp_path / "seen").of(OWN)] == ["B1-5", "B1-10"]


def test_a_line_that_was_cut_off_was_told_to_nobody(tmp_path: Path) -> None:
    seen = SeenTrades(tmp_path / "seen")
    seen.add(fill())
    with (tmp_path / "seen").open("a") as file:
        file.write('{"trade_id": "B1-1')
    again = SeenTrades(tmp_path / "seen")
    assert len(again.of(OWN)) == 1
    again.add(fill(10))
    assert len(SeenTrades(tmp_path / "seen").of(OWN)) == 2


def test_a_damaged_file_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("{}\n")
    with pytest.raises(BookUnreadable, match="seen: is damaged"):
        SeenTrades(tmp_path / "seen").of(OWN)


def test_what_cannot_be_kept_is_not_told(tmp_path: Path) -> None:
    seen = SeenTrades(tmp_path / "gone" / "seen")
    with pytest.raises(BookUnreadable, match="cannot be used"):
        seen.add(fill())
    (tmp_path / "gone").mkdir()
    assert seen.of(OWN) == []


def test_what_the_ledger_has_is_not_seen_again_and_old_days_are_left_out(tmp_path: Path) -> None:
    seen = SeenTrades(tmp_path / "seen")
    seen.add(fill(at=datetime.now(UTC) - KEPT - timedelta(hours=1)))
    again = SeenTrades(tmp_path / "seen")
    assert again.of(OWN) == []
    again.know([fill(), fill()])
    assert len(again.of(OWN)) == 1


def test_cumulative_figures_add_up_to_trades() -> None:
    shown = {"order_id": "B1", "status": "OPEN", "filled_quantity": 4, "average_price": 100}
    first = trade_of(order(), line_of(shown), [])
    assert first is not None
    assert (first.quantity, first.price) == (4, Decimal(100))
    assert trade_of(order(), line_of(shown), [first]) is None
    whole = line_of(
        {"order_id": "B1", "status": "COMPLETE", "quantity": 10, "filled_quantity": 10, "average_price": 106}
    )
    second = trade_of(order(), whole, [first])
    assert second is not None
    assert (second.quantity, second.price) == (6, Decimal(110))
    silent = trade_of(order(), line_of({"order_id": "B1", "status": "COMPLETE", "average_price": 106}), [])
    assert silent is not None
    assert silent.quantity == 10
    assert trade_of(order(), line_of(shown | {"average_price": 0}), []) is None


@pytest.mark.parametrize(
    ("line", "state", "quantity"),
    [
        ({"status": "OPEN", "quantity": 20, "price": 1480}, BookState.WORKING, 20),
        ({"status": "COMPLETE", "filled_quantity": 0, "quantity": 10}, BookState.COMPLETE, 10),
        ({"status": "EXPIRED"}, BookState.EXPIRED, 10),
        ({"status": "never heard of"}, BookState.WORKING, 10),
    ],
)
def test_a_lines_terms_are_the_orders_unless_a_change_was_asked_for(
    line: dict[str, object], state: BookState, quantity: int
) -> None:
    shown = line_of({"order_id": "B1"} | line)
    row = row_of_line(order(), shown, may_be_changed=True)
    assert (row.state, row.quantity, row.price) == (state, quantity, Decimal(1480 if "price" in line else 1490))
    placed = row_of_line(order(), shown, may_be_changed=False)
    assert (placed.quantity, placed.price) == (10, Decimal(1490))


def test_a_disk_that_is_full_is_a_reading_that_is_made_again(tmp_path: Path) -> None:
    """With what was cut off left in the file's buffer, and what the ledger alone has still known."""
    seen = SeenTrades(tmp_path / "seen")
    seen.know([fill(1)])
    seen.add(fill())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "seen").stat().st_size + 10, hard))
    try:
        for _ in range(2):
            with pytest.raises(BookUnreadable, match="what was filled cannot be kept"):
                seen.add(fill(10))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    seen.add(fill(10))
    assert [each.trade_id for each in seen.of(OWN)] == ["B1-1", "B1-5", "B1-10"]
    assert [each.trade_id for each in SeenTrades(tmp_path / "seen").of(OWN)] == ["B1-5", "B1-10"]
