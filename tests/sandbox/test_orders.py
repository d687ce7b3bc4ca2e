"""Orders through the real client: the ways they go, and what the book, the history and the trades show of them."""

from datetime import datetime, timedelta

import pytest
from kiteconnect import KiteConnect

from durable_orders.trading.ist import IST
from tests.sandbox.serving import FUTURE, MORNING, Served, order, row_of, statuses, until

NAIVE = MORNING.replace(tzinfo=None)
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657


def test_a_limit_order_rests_and_is_filled_by_a_tick(served: Served, kite: KiteConnect) -> None:
    placed = kite.place_order(**order(1490.0, tag="t1"))
    row = row_of(kite, placed)
    assert (row["status"], row["filled_quantity"], row["pending_quantity"]) == ("OPEN", 0, 10)
    assert kite.order_trades(placed) == kite.trades() == []
    served.clock.advance(seconds=5)
    served.tick(1495, 1490)
    row = row_of(kite, placed)
    assert (row["status"], row["filled_quantity"], row["pending_quantity"]) == ("COMPLETE", 10, 0)
    assert row["average_price"] == 1490.0
    assert statuses(kite, placed) == [
        "PUT ORDER REQ RECEIVED",
        "VALIDATION PENDING",
        "OPEN PENDING",
        "OPEN",
        "COMPLETE",
    ]


def test_a_market_order_is_filled_at_the_last_price_and_shows_its_protection(kite: KiteConnect) -> None:
    placed = kite.place_order(**order(None, tag="t1", market_protection=2))
    row = row_of(kite, placed)
    assert (row["status"], row["price"], row["average_price"]) == ("COMPLETE", 0, 1500.0)
    assert (row["tag"], row["tags"]) == ("t1", ["t1", "mktp", "mktp:2.00"])
    assert row["market_protection"] == 2


def test_an_order_id_is_a_snowflake_of_19_digits_that_tells_its_time(kite: KiteConnect) -> None:
    first, second = kite.place_order(**order()), kite.place_order(**order())
    assert isinstance(first, str)
    assert len(first) == len(second) == 19
    assert first < second
    milliseconds = (int(first) >> 22) + SNOWFLAKE_EPOCH_MS
    assert datetime.fromtimestamp(milliseconds / 1000, IST) == MORNING


def test_times_are_ist_without_an_offset_and_ids_of_the_exchange_come_with_its_answer(
    served: Served, kite: KiteConnect
) -> None:
    placed = kite.place_order(**order())
    served.clock.advance(seconds=70)
    kite.modify_order("regular", placed, price=1491.0)
    row = row_of(kite, placed)
    assert row["order_timestamp"] == row["exchange_timestamp"] == NAIVE + timedelta(seconds=70)
    assert row["exchange_update_timestamp"] == "2026-01-05 10:01:10", "the client leaves this one as text"
    history = kite.order_history(placed)
    assert [line["order_timestamp"] for line in history[:5]] == [NAIVE] * 4 + [NAIVE + timedelta(seconds=70)]
    assert [bool(line["exchange_order_id"]) for line in history[:4]] == [False, False, False, True]
    assert history[2]["exchange_timestamp"] is None
    assert "guid" not in history[0]


def test_a_modification_passes_its_statuses_and_changes_the_row(kite: KiteConnect) -> None:
    placed = kite.place_order(**order(1490.0, disclosed_quantity=1))
    assert kite.modify_order("regular", placed, price=1480.0, quantity=20, disclosed_quantity=2) == placed
    row = row_of(kite, placed)
    assert (row["price"], row["quantity"], row["disclosed_quantity"]) == (1480.0, 20, 2)
    assert statuses(kite, placed)[4:] == ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"]
    assert [line["price"] for line in kite.order_history(placed)[4:]] == [1490.0, 1490.0, 1480.0, 1480.0]


def test_a_modification_to_market_fills_and_carries_its_protection(kite: KiteConnect) -> None:
    placed = kite.place_order(**order())
    kite.modify_order("regular", placed, order_type="MARKET", market_protection=-1)
    row = row_of(kite, placed)
    assert (row["status"], row["order_type"], row["tags"]) == ("COMPLETE", "MARKET", ["mktp"])


def test_a_cancel_ends_the_order_and_keeps_its_fills(served: Served, kite: KiteConnect) -> None:
    placed = kite.place_order(**order())
    served.control("POST", f"orders/{placed}/fill", quantity=4, price="1490")
    assert kite.cancel_order("regular", placed) == placed
    row = row_of(kite, placed)
    assert (row["status"], row["filled_quantity"], row["cancelled_quantity"]) == ("CANCELLED", 4, 6)
    assert statuses(kite, placed)[-3:] == ["OPEN", "CANCEL PENDING", "CANCELLED"]


def test_stop_orders_wait_for_their_trigger(served: Served, kite: KiteConnect) -> None:
    limit = kite.place_order(**order(1512.0, order_type="SL", trigger_price=1510.0))
    market = kite.place_order(**order(None, order_type="SL-M", trigger_price=1520.0))
    assert [row_of(kite, one)["status"] for one in (limit, market)] == ["TRIGGER PENDING"] * 2
    served.tick(1511)
    assert row_of(kite, limit)["average_price"] == 1511.0
    assert row_of(kite, market)["status"] == "TRIGGER PENDING"
    served.tick(1525)
    assert row_of(kite, market)["average_price"] == 1525.0


def test_an_ioc_order_ends_at_once(kite: KiteConnect) -> None:
    placed = kite.place_order(**order(1490.0, validity="IOC"))
    row = row_of(kite, placed)
    assert (row["status"], row["validity"]) == ("CANCELLED", "IOC")


def test_trades_carry_their_own_prices_and_numbers_that_only_an_exchange_knows_apart(
    served: Served, kite: KiteConnect
) -> None:
    served.tick(24400, symbol=FUTURE)
    share = kite.place_order(**order())
    served.control("POST", f"orders/{share}/fill", quantity=4, price="1489.5")
    future = kite.place_order(**order(None, exchange="NFO", tradingsymbol="NIFTY25MAYFUT", quantity=75))
    served.tick(1490)
    trades = kite.trades()
    assert [(trade["order_id"], trade["quantity"], trade["average_price"]) for trade in trades] == [
        (share, 4, 1489.5),
        (future, 75, 24400.0),
        (share, 6, 1490.0),
    ]
    assert [trade["trade_id"] for trade in trades] == ["10000001", "10000001", "10000002"]
    assert (trades[0]["fill_timestamp"], trades[0]["order_timestamp"]) == (NAIVE, "10:00:00")
    assert kite.order_trades(share) == [trades[0], trades[2]]
    assert row_of(kite, share)["average_price"] == pytest.approx(1489.8)


def test_a_ttl_order_is_cancelled_after_its_minutes(served: Served, kite: KiteConnect) -> None:
    placed = kite.place_order(**order(1490.0, validity="TTL", validity_ttl=5))
    assert (row_of(kite, placed)["validity"], row_of(kite, placed)["validity_ttl"]) == ("TTL", 5)
    served.clock.advance(minutes=5)
    until(lambda: row_of(kite, placed)["status"] == "CANCELLED")


def test_an_order_above_the_freeze_quantity_is_sliced_on_request(served: Served, kite: KiteConnect) -> None:
    served.tick(24400, symbol=FUTURE)
    asked = order(24300.0, exchange="NFO", tradingsymbol="NIFTY25MAYFUT", quantity=75 * 50, tag="mine")
    answer = kite.place_autoslice_order(**asked)
    parent, children = answer["order_id"], [child["order_id"] for child in answer["children"]]
    rows = [row_of(kite, one) for one in (parent, *children)]
    assert [row["quantity"] for row in rows] == [75 * 24, 75 * 24, 75 * 2]
    assert rows[0]["tags"] == ["mine", "autoslice"]
    assert rows[1]["tags"] == ["mine", "autoslice", f"autoslice:{parent}"]
    assert served.tally()["accepted"] == {"mine": [parent, *children]}


def test_an_order_within_the_freeze_quantity_has_no_slices_beside_it(served: Served, kite: KiteConnect) -> None:
    served.tick(24400, symbol=FUTURE)
    asked = order(24300.0, exchange="NFO", tradingsymbol="NIFTY25MAYFUT", quantity=75)
    assert kite.place_autoslice_order(**asked)["children"] == []


def test_an_order_of_somebody_else_has_no_tag_and_another_hand(served: Served, kite: KiteConnect) -> None:
    terms = {"symbol": "NSE:INFY", "side": "SELL", "quantity": 3, "order_type": "MARKET"}
    foreign = served.control("POST", "orders", **terms)["order_id"]
    row = row_of(kite, foreign)
    assert (row["placed_by"], row["tag"], row["status"]) == ("RMS", None, "COMPLETE")
    assert served.tally()["foreign"] == [foreign]
    assert served.tally()["accepted"] == {}


def test_the_same_tag_twice_is_two_orders(served: Served, kite: KiteConnect) -> None:
    twins = [kite.place_order(**order(tag="same")) for _ in range(2)]
    assert len(set(twins)) == 2
    assert served.tally()["accepted"] == {"same": twins}
