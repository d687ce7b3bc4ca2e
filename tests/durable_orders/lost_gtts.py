"""A home whose ledger has a GTT of which nobody knows what came of it."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from durable_orders.trading.gtt.gtt import GttIntent, GttLeg, GttStatus
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.gtts import record_gtt
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.workers.home import Home
from tests.durable_orders.program import Program, once_started

LOST = "exit-1"


def home_with_a_lost_gtt(path: Path) -> Program:
    """Nothing else has happened in it, and nothing is up."""
    program, home = once_started(path), Home(path)
    legs = (GttLeg(trigger_price=Decimal(1400), price=Decimal(1399), quantity=10),)
    at = datetime.now(UTC)
    lost = GttState.of(GttIntent(symbol="NSE:INFY", side="SELL", legs=legs, gtt_id=LOST), at)
    database = open_database(home.ledger_url(home.settings()))
    with database.write() as connection:
        record_gtt(connection, lost.updated(status=GttStatus.UNKNOWN, sent_at=at, attempts=1), at)
    database.close()
    return program
