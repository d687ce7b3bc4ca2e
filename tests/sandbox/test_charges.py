"""What orders cost by the sandbox's virtual contract note, through the real client; and rows that are falsified."""

from decimal import Decimal

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import InputException

from tests.sandbox.serving import Served
from tests.sandbox.test_portfolio import LIMIT

BOUGHT = {
    "order_id": "1",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "variety": "regular",
    "product": "MIS",
    "order_type": "LIMIT",
    "quantity": 10,
    "average_price": 1500,
}


def test_a_contract_note_has_a_row_for_each_order_with_its_charges_not_rounded(kite: KiteConnect) -> None:
    """15,000 rupees intraday on NSE: brokerage 0.03 %, STT 0.025 % of a sale, stamp duty 0.003 % of a purchase."""
    bought, sold = kite.get_virtual_contract_note([BOUGHT, BOUGHT | {"transaction_type": "SELL"}])
    assert (bought["tradingsymbol"], bought["quantity"], bought["price"]) == ("INFY", 10, 1500)
    assert "order_id" not in bought
    lines = {name: Decimal(str(bought["charges"][name])) for name in ("brokerage", "transaction_tax", "stamp_duty")}
    assert lines == {"brokerage": Decimal("4.5"), "transaction_tax": 0, "stamp_duty": Decimal("0.45")}
    assert sold["charges"]["transaction_tax"] == 3.75
    assert sold["charges"]["stamp_duty"] == 0
    of_all = [value for name, value in sold["charges"].items() if isinstance(value, int | float) and name != "total"]
    assert sold["charges"]["total"] == pytest.approx(sum(of_all) + sold["charges"]["gst"]["total"])


@pytest.mark.parametrize("wrong", [{"quantity": 0}, {"tradingsymbol": "NIFTY", "exchange": "NFO"}])
def test_what_cannot_be_billed_is_refused(kite: KiteConnect, wrong: dict[str, object]) -> None:
    with pytest.raises(InputException):
        kite.get_virtual_contract_note([BOUGHT | wrong])


def test_rows_tell_something_else_until_they_tell_the_truth_again(served: Served, kite: KiteConnect) -> None:
    for _ in range(2):
        kite.place_order(**LIMIT | {"price": 1500})
    first, second = kite.trades()
    of_first = {"trade_id": first["trade_id"]}
    served.control("POST", "falsified", route="trades", where=of_first, remove=True)
    served.control("POST", "falsified", route="trades", where={"trade_id": second["trade_id"]}, change={"quantity": 3})
    assert kite.trades() == [second | {"quantity": 3}]
    served.control("DELETE", "falsified")
    assert kite.trades() == [first, second]
