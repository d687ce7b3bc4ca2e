"""Splits, bonus issues and consolidations of what is held: seen where one reading of the holdings follows another."""

from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.broker_positions import BrokerReading, last_reading, save_reading
from durable_orders.trading.ledger.position_differences import Cause, Unexplained, keep_differences, unexplained
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.reconciliation.position_causes import corporate_actions
from durable_orders.trading.reconciliation.position_settling import held_by_ledger


def keep_reading(connection: sa.Connection, account: str, reading: BrokerReading, at: datetime) -> None:
    """Keep a reading, and put down what it shows of splits against the one before, in the caller's transaction: whoever
    reads, none is lost. What is put down stands until it is settled."""
    known = last_reading(connection, account)
    if not save_reading(connection, account, reading) or known is None or known.rows == reading.rows:
        return
    ours = held_by_ledger(connection, account)
    standing = {each[:2]: each for each in unexplained(connection, account)}
    grown = {key: each.theirs for key, each in standing.items() if each.cause is Cause.CORPORATE_ACTION}
    found = corporate_actions(ours | grown, known, reading)
    for each in found:
        key = each.symbol, each.product
        stood = standing.pop(key, None)
        now = Unexplained(*key, ours.get(key, 0), each.theirs, Cause.CORPORATE_ACTION, at)
        if now.quantity:
            standing[key] = now
        words = now.as_news if now.quantity or stood is None else stood.as_settled
        add_event(connection, account, EventType.POSITION_DIFFERS, words, at)
    if found:
        keep_differences(connection, account, standing.values())
