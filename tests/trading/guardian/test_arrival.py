"""What the market showed when an order was checked and when it was sent, kept in the very transactions of both."""

from datetime import timedelta
from decimal import Decimal

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.executions import executions
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.quality.measures import quality_of
from tests.trading.guardian.conftest import FUTURE, INSTRUMENTS, NOW, SESSION_END, admitted, an_order, show_tick


def test_prices_at_arrival_and_at_the_first_byte_are_those_of_the_last_tick(ledger: Database) -> None:
    moments = [NOW]
    guardian = Guardian(ledger, INSTRUMENTS, Settings(), lambda _c, _o: SESSION_END, lambda: moments[-1])
    with ledger.write() as connection:
        tick = Tick(FUTURE, Decimal(24300), NOW, bid=Decimal("24299.50"), ask=Decimal("24300.50"))
        save_ticks(connection, "paper", [tick], NOW)
    order = an_order()
    moments.append(NOW + timedelta(milliseconds=7))
    admitted(guardian, order)
    show_tick(ledger, Decimal(24310))
    moments.append(NOW + timedelta(milliseconds=12))
    guardian.redeem(order)
    with ledger.read() as connection:
        (found,) = executions(connection, "paper")
    assert (found.execution.prices.bid, found.execution.prices.ask) == (Decimal("24299.50"), Decimal("24300.50"))
    quality = quality_of(found.execution)
    assert (quality.arrival_price, quality.first_byte_price) == (Decimal(24300), Decimal(24310))
    assert (quality.arrival_price_age_ms, quality.intent_to_checked_ms, quality.intent_to_sent_ms) == (7, 7, 12)


def test_without_a_tick_nothing_is_guessed(ledger: Database) -> None:
    guardian = Guardian(ledger, INSTRUMENTS, Settings(), lambda _c, _o: SESSION_END, lambda: NOW)
    admitted(guardian, an_order(symbol="NSE:INFY", quantity=1, order_type="LIMIT", price="1500"))
    with ledger.read() as connection:
        (found,) = executions(connection, "paper")
    quality = quality_of(found.execution)
    assert (quality.arrival_price, quality.arrival_price_age_ms, quality.shortfall_rupees) == (None, None, None)
    assert quality.intent_to_sent_ms is None
