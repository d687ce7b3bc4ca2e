"""Cover orders: an entry, and the stop that comes behind it once it is filled."""

from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import InputException

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import FUTURE, Served, order, row_of, until


def cover(price: float | None = 1490.0, **terms: Any) -> dict[str, Any]:
    """To buy 10 INFY, with the stop at 1470."""
    return order(price, **{"variety": "co", "trigger_price": 1470.0, "tag": "mine"} | terms)


def stop_of(kite: KiteConnect, entry: str) -> dict[str, Any]:
    """As soon as it is there."""
    until(lambda: any(row["parent_order_id"] == entry for row in kite.orders()))
    (found,) = [row for row in kite.orders() if row["parent_order_id"] == entry]
    return dict(found)


def positions(kite: KiteConnect) -> dict[str, int]:
    return {row["product"]: row["quantity"] for row in kite.positions()["net"]}


def test_the_stop_comes_when_the_entry_is_filled(served: Served, kite: KiteConnect) -> None:
    entry = kite.place_order(**cover())
    assert [(row["product"], row["variety"], row["status"]) for row in kite.orders()] == [("CO", "co", "OPEN")]
    served.tick(1489)
    stop = stop_of(kite, entry)
    told = ("transaction_type", "order_type", "trigger_price", "quantity", "product", "variety", "status", "tag")
    assert [stop[name] for name in told] == ["SELL", "SL-M", 1470.0, 10, "CO", "co", "TRIGGER PENDING", "mine"]
    assert positions(kite) == {"CO": 10}
    served.tick(1470)
    assert row_of(kite, stop["order_id"])["status"] == "COMPLETE"
    assert positions(kite) == {"CO": 0}
    assert [trade["product"] for trade in kite.trades()] == ["CO", "CO"]
    assert kite.margins("equity")["available"]["live_balance"] == 1_000_000_000 - 10 * (1489 - 1470)


def test_to_exit_is_to_sell_at_the_market(served: Served, kite: KiteConnect) -> None:
    entry = kite.place_order(**cover(None))
    stop = stop_of(kite, entry)["order_id"]
    with pytest.raises(InputException, match="Invalid `parent_order_id`"):
        kite.exit_order("co", entry, parent_order_id=stop)
    kite.exit_order("co", stop, parent_order_id=entry)
    exited = row_of(kite, stop)
    assert (exited["status"], exited["order_type"], exited["filled_quantity"]) == ("COMPLETE", "MARKET", 10)
    assert positions(kite) == {"CO": 0}


def test_of_the_stop_only_the_trigger_moves(served: Served, kite: KiteConnect) -> None:
    entry = kite.place_order(**cover(None))
    stop = stop_of(kite, entry)["order_id"]
    kite.modify_order("co", stop, parent_order_id=entry, trigger_price=1480.0)
    assert row_of(kite, stop)["trigger_price"] == 1480.0
    for change in ({"quantity": 5}, {"trigger_price": 1475.0, "quantity": 5}, {"order_type": "LIMIT", "price": 1480.0}):
        with pytest.raises(InputException, match="Only the `trigger_price`"):
            kite.modify_order("co", stop, parent_order_id=entry, **change)
    assert row_of(kite, stop)["quantity"] == 10


def test_an_entry_that_is_cancelled_is_stopped_for_what_it_has_got(served: Served, kite: KiteConnect) -> None:
    nothing, some = kite.place_order(**cover()), kite.place_order(**cover())
    served.control("POST", f"orders/{some}/fill", quantity=4, price="1490")
    for entry in (nothing, some):
        kite.cancel_order("co", entry)
    assert stop_of(kite, some)["quantity"] == 4
    assert not [row for row in kite.orders() if row["parent_order_id"] == nothing]


def test_a_stop_that_is_cancelled_alone_leaves_the_position(served: Served, kite: KiteConnect) -> None:
    stop = stop_of(kite, kite.place_order(**cover(None)))["order_id"]
    kite.cancel_order("co", stop)
    assert row_of(kite, stop)["status"] == "CANCELLED"
    assert positions(kite) == {"CO": 10}


def test_both_kinds_of_position_are_apart_and_outlive_a_restart(serve: Serve) -> None:
    served = serve()
    served.tick(1500)
    kite = served.kite()
    kite.place_order(**order(None, quantity=3))
    entry = kite.place_order(**cover(None))
    stop = stop_of(kite, entry)["order_id"]
    assert positions(kite) == {"MIS": 3, "CO": 10}
    served.stop()
    again = serve()
    again.tick(1500)
    kite = again.kite()
    assert positions(kite) == {"MIS": 3, "CO": 10}
    again.control("POST", "square-off")
    assert (positions(kite), row_of(kite, stop)["status"]) == ({"MIS": 0, "CO": 0}, "COMPLETE")
    assert [row["parent_order_id"] for row in kite.orders()].count(entry) == 1


def test_what_the_day_leaves_goes_on_as_mis(served: Served, kite: KiteConnect) -> None:
    stop_of(kite, kite.place_order(**cover(None)))
    served.next_day()
    assert positions(kite) == {"MIS": 10}


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"trigger_price": None}, "Missing or empty field `trigger_price`"),
        ({"trigger_price": 1400.0}, "within 1417.50 and 1500.00"),
        ({"trigger_price": 1510.0}, "within 1417.50 and 1500.00"),
        ({"transaction_type": "SELL", "price": 1510.0}, "within 1500.00 and 1582.50"),
        ({"trigger_price": 1470.03}, "multiple of tick size"),
        ({"product": "CNC"}, "cover orders are placed as MIS"),
        ({"order_type": "SL"}, "MARKET or LIMIT"),
        ({"market_protection": None, "price": None, "order_type": "MARKET"}, "without market protection"),
    ],
)
def test_what_cannot_be_covered_is_refused(kite: KiteConnect, terms: dict[str, Any], words: str) -> None:
    with pytest.raises(InputException, match=words):
        kite.place_order(**cover() | terms)
    assert kite.orders() == []


def test_there_is_none_in_a_closed_market_or_without_a_price(served: Served, kite: KiteConnect) -> None:
    with pytest.raises(InputException, match="need a last price"):
        kite.place_order(**cover(24400.0, exchange="NFO", tradingsymbol=FUTURE[4:], quantity=75, trigger_price=24000.0))
    served.control("POST", "close-session")
    with pytest.raises(InputException, match="Cover orders cannot be placed while the market is closed"):
        kite.place_order(**cover())
