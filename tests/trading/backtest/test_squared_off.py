"""The broker's square-off in a backtest, where one tick also trades."""

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.orders.order import Side, Status
from tests.trading.backtest.test_differential import INFY, INSTRUMENTS, OPENS, SOON
from tests.trading.backtest.test_flatten import PAPER, held, order, show, tick

CUT_OFF = 180
"""Seconds from the opening to `SOON`'s cut-off."""


def test_an_order_that_a_tick_fills_in_part_and_squares_off_stays_the_strategys_own() -> None:
    content = {"market": {"sessions": SOON}, "execution": {"paper": PAPER | {"square_off_enabled": True}}}
    core = Core(Settings.model_validate(content), INSTRUMENTS, OPENS, {"first"}, lambda _live: None)
    dip = order("dip", Side.BUY, 100, order_type="LIMIT", price="990")
    show(core, [tick(INFY, "1000", 1000, 0), dip, tick(INFY, "985", 1030, CUT_OFF)])
    show(core, [tick(INFY, "985", 1100, CUT_OFF + 1)])
    told = [
        (each.strategy, each.side, each.status, each.filled_quantity, each.quantity)
        for each in (ended.order() for ended in core.ended())
    ]
    assert told == [
        ("first", Side.BUY, Status.CANCELLED, 30, 100),
        ("external", Side.SELL, Status.FILLED, 30, 30),
    ]
    assert not list(core.live())
    assert not held(core)
