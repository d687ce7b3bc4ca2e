"""What strategies keep: written in one piece, and back as it was."""

from datetime import UTC, datetime

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.strategy_states import Kept, KeptOrders, keep, kept_of
from durable_orders.trading.orders.order import Account, OrderIntent, Side

AT = datetime(2025, 4, 29, 4, 0, tzinfo=UTC)


def test_what_is_kept_last_is_what_comes_back(ledger: Database) -> None:
    account = Account("paper")
    entry = OrderIntent(symbol="NSE:INFY", side=Side.BUY, quantity=10, client_order_id="entry")
    first = Kept('{"day": "\\u0000"}', "{}", KeptOrders(placed=(entry,), cancelled=("stop",)), AT)
    with ledger.write() as connection:
        keep(connection, account, "straddle", first)
        keep(connection, account, "other", Kept("{}", "{}", KeptOrders(), AT))
    with ledger.read() as connection:
        assert kept_of(connection, account, "straddle") == first
        assert kept_of(connection, account, "never") is None
    with ledger.write() as connection:
        keep(connection, account, "straddle", Kept('{"day": 2}', '{"in": "x"}', KeptOrders(), AT))
    with ledger.read() as connection:
        assert kept_of(connection, account, "straddle") == Kept('{"day": 2}', '{"in": "x"}', KeptOrders(), AT)
