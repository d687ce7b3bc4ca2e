"""Which GTTs a flatten reads from the ledger, while what it closes goes, and after that."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from durable_orders.activities.flatten import IN_THE_BOOK, FlattenActivities
from durable_orders.activities.gtt_watch import RESULT_WITHIN
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.flatten.deleting import GIVEN_UP, AskedGtt
from durable_orders.trading.flatten.flatten import Flatten, Progress
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
from durable_orders.trading.gtt.gtt import GttIntent, GttLeg, GttStatus
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.broker_positions import BrokerReading
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.gtts import record_gtt
from durable_orders.trading.orders.order import Mode, Product, Side
from tests.ledgers import open_empty_ledger

NOW = datetime.now(UTC)
FUTURE = "NFO:NIFTY26JANFUT"
ASKED = FlattenRequest(account="live1", reason="enough", who="by a test", flatten=True, until_resumed=False)


class Flat:
    """What it reads where nothing is held, by the ledger and by the broker: all was closed already."""

    def __init__(self, database: Database) -> None:
        settings = Settings.model_validate({"account": "live1", "execution": {"mode": "live"}})
        self.database = database
        self.activities = FlattenActivities(settings, database, *cast(Any, (None, self, None)))

    def read(self) -> BrokerReading:
        return BrokerReading.of(datetime.now(UTC), [], [])

    def record(self, status: GttStatus, side: Side = Side.SELL, symbol: str = FUTURE, at: datetime = NOW) -> None:
        legs = (GttLeg(trigger_price=Decimal(1400), price=Decimal(1399), quantity=10),)
        content: dict[str, Any] = {
            "account": "live1",
            "mode": Mode.LIVE,
            "gtt_id": "exit",
            "symbol": symbol,
            "side": side,
        }
        content |= {"product": Product.NRML if symbol == FUTURE else Product.CNC, "legs": legs}
        state = GttState.of(GttIntent.model_validate(content), NOW).updated(status=status)
        with self.database.write("live1") as connection:
            record_gtt(connection, state, at)

    def ended(self, flatten: Flatten) -> FlattenResult | None:
        """How it ends, if it does before it gives up."""
        for second in range(int(GIVEN_UP.total_seconds()) + 1):
            progress = flatten.progress
            seen = self.activities.snapshot(list(progress.requests), list(progress.placed), list(progress.gtts))
            now = NOW + timedelta(seconds=second)
            if flatten.step(seen, now).is_done:
                return self.activities.finish(flatten.progress, seen, flatten.problems(seen, now))
        return None


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[Flat]:
    database = open_empty_ledger(tmp_path / "ledger.db")
    yield Flat(database)
    database.close()


@pytest.mark.parametrize("side", list(Side))
def test_one_that_is_not_deleted_is_named_also_when_its_position_is_closed(flat: Flat, side: Side) -> None:
    """A future's, which is no entry any more once it was asked to go."""
    flat.record(GttStatus.ACTIVE, side)
    untouched = flat.ended(Flatten(Progress(requests=(ASKED,)), "run"))
    assert untouched is not None, "it never ends"
    assert (untouched.is_flat, untouched.gtts) == (True, ())
    result = flat.ended(Flatten(Progress(requests=(ASKED,), gtts={"exit": AskedGtt(since=NOW, last=NOW)}), "run"))
    assert result is not None, "it never ends"
    assert (result.is_flat, [each.gtt_id for each in result.gtts]) == (False, ["exit"])
    assert result.words.startswith("not flat: GTT exit is ACTIVE and not deleted so far")


@pytest.mark.parametrize("symbol", [FUTURE, "NSE:INFY"])
def test_the_order_of_one_that_has_just_triggered_is_waited_for_whatever_is_held(flat: Flat, symbol: str) -> None:
    flat.record(GttStatus.TRIGGERED, symbol=symbol, at=datetime.now(UTC) - RESULT_WITHIN)
    assert flat.ended(Flatten(Progress(requests=(ASKED,)), "run")) is None
    theirs = ASKED.model_copy(update={"strategy": "other"})
    assert flat.ended(Flatten(Progress(requests=(theirs,)), "run")) is not None, "it is of another strategy"
    flat.record(GttStatus.TRIGGERED, symbol=symbol, at=datetime.now(UTC) - IN_THE_BOOK)
    result = flat.ended(Flatten(Progress(requests=(ASKED,)), "run"))
    assert result is not None, "by now its order is in the ledger, or there is none"
    assert result.is_flat
