"""Takes over what the broker has and the ledger does not know, by an operator's word, so that it can be closed."""

from collections.abc import Callable
from datetime import datetime

from durable_orders.trading.ledger.broker_positions import last_reading
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import enter
from durable_orders.trading.ledger.position_differences import Unexplained, keep_differences, unexplained
from durable_orders.trading.orders.order import Product
from durable_orders.trading.orders.position_entry import PositionEntry
from durable_orders.trading.reconciliation.position_settling import held_by_ledger


def take_over(
    database: Database, account: str, wanted: Callable[[Unexplained], bool], who: str, at: datetime
) -> list[Unexplained]:
    """Enter of those that are wanted what the broker has more than the ledger, or on the other side, at the broker's
    own average price. What was taken over.

    What the ledger has and the broker lacks stays unexplained: there is nothing to close of it. So does a product that
    cannot be ordered, such as Kite's `CO`, and a position that has changed since it was put down: the watch looks at
    that again.
    """
    with database.write(account) as connection:
        reading = last_reading(connection, account)
        standing = unexplained(connection, account)
        ours = held_by_ledger(connection, account)
        taken = []
        for each in standing:
            row = reading.rows.get((each.symbol, each.product)) if reading is not None else None
            still = row is not None and (ours.get(each[:2], 0), row.total) == (each.ours, each.theirs)
            if row is None or not (still and _is_more(each) and wanted(each)):
                continue
            entry = PositionEntry(
                symbol=each.symbol,
                product=Product(each.product),
                quantity=each.quantity,
                price=row.average_price,
                evidence="the broker has it: taken over to be closed, at its own average price",
                who=who,
            )
            enter(connection, account, entry, at)
            taken.append(each)
        if taken:
            keep_differences(connection, account, [each for each in standing if each not in taken])
    return taken


def _is_more(each: Unexplained) -> bool:
    """Delivery beyond what the ledger has is nothing to be explained, and never taken over."""
    if each.product not in list(Product) or Product(each.product).is_delivery or not each.theirs:
        return False
    return abs(each.theirs) > abs(each.ours) or each.theirs * each.ours < 0
