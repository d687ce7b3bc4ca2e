"""Changes and deletes of a GTT, step by step, with a broker that shows what a test says."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from temporalio.testing import ActivityEnvironment

from durable_orders.activities.gtt import GttActivities
from durable_orders.activities.gtt_changes import ChangeVerdict, GttChangeActivities
from durable_orders.trading.brokers.broker import GttBroker
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.gtt.gtt import BrokerGtt, GttChange, GttLeg, GttStatus, TriggerId
from durable_orders.trading.gtt.outcome import GttAccepted, GttOutcome
from durable_orders.trading.gtt.state import Change, GttState
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.gtt_changes import open_changes
from durable_orders.trading.ledger.gtts import find_gtt, list_gtts, put_back, settle_gtt
from durable_orders.trading.ledger.reading import find_order, strategy_positions_of
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.tables import gtts
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.lifecycle import Reported, step
from durable_orders.trading.orders.order import Account, Mode
from durable_orders.trading.orders.outcome import Evidence, NotSent, Refused, Unknown
from durable_orders.trading.reconciliation.external_orders import ExternalKind, adopted
from tests.ledgers import open_empty_ledger
from tests.trading.gtt.test_watch import ASKED, AT, OWN, ListedGtts, Watched, kites, placed_by_it, row

LOWER = GttLeg(trigger_price=Decimal(1300), price=Decimal(1299), quantity=10)
DELETE = GttChange(account="paper", gtt_id="exit")
STOP = replace(row(900), symbol="NSE:SBIN")
"""Somebody else's."""


class Deleting(ListedGtts):
    """Takes deletes, too. `paused` happens before the last look at one."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[TriggerId] = []
        self.paused: Callable[[], None] = lambda: None
        self.answer: GttOutcome | None = None

    def delete_gtt(self, trigger_id: TriggerId, last_look: LastLook) -> GttOutcome:
        self.paused()
        if self.answer is not None:
            return self.answer
        with last_look.leaving() as held:
            if held is not None:
                return held
            self.deleted.append(trigger_id)
        return GttAccepted(trigger_id=trigger_id)


class Changing(Watched):
    """Its changes as activities, each with the run of a workflow."""

    def __init__(self, path: Path, state: GttState) -> None:
        super().__init__(open_empty_ledger(path).__enter__())
        self.broker: Deleting = Deleting()
        self.watch._broker = cast("GttBroker", self.broker)
        self.record(state)
        self.changes = GttChangeActivities(
            Settings(), self.database, cast("Guardian", None), cast("GttBroker", self.broker), ThreadPoolExecutor(2)
        )

    async def run(self, activity: Callable[..., Any], *arguments: Any) -> Any:
        beside = ActivityEnvironment()
        beside.info = replace(beside.info, started_time=datetime.now(UTC), workflow_run_id="run")
        answer = beside.run(activity, *arguments)
        return await answer if hasattr(answer, "__await__") else answer

    async def admit(self, change: GttChange = DELETE) -> ChangeVerdict:
        return cast("ChangeVerdict", await self.run(self.changes.admit_change, change, datetime.now(UTC), "first"))

    async def sent(self, trigger_id: str, change: GttChange = DELETE) -> GttOutcome:
        return cast("GttOutcome", await self.run(self.changes.change, change, TriggerId(trigger_id), "first"))

    async def look(self, trigger_id: str, *, is_accepted: bool = False, was_sent: bool = True) -> Any:
        row = TriggerId(trigger_id)
        return await self.run(self.changes.look_for_change, "exit", row, "first", is_accepted, was_sent)

    def settle(self, trigger_id: str, gtt_id: str = "exit") -> None:
        with self.database.write() as connection:
            settle_gtt(connection, "paper", gtt_id, TriggerId(trigger_id), "typed", AT, timedelta(seconds=30))

    def placing(self) -> GttActivities:
        settings, guardian, broker = Settings(), cast("Guardian", None), cast("GttBroker", self.broker)
        return GttActivities(settings, self.database, guardian, broker, ThreadPoolExecutor(2))

    def forget(self) -> None:
        """The ledger is put back to before any GTT was asked for."""
        with self.database.write() as connection:
            connection.execute(sa.delete(gtts))

    def is_known(self, gtt_id: str) -> bool:
        with self.database.read() as connection:
            return find_gtt(connection, "paper", gtt_id) is not None


SENT = GttState.of(ASKED, AT).updated(sent_at=AT, attempts=1)


@pytest.fixture
def unknown(tmp_path: Path) -> Iterator[Changing]:
    """Nobody knows what came of it, and a delete waits for that."""
    found = Changing(tmp_path / "ledger.db", SENT.updated(status=GttStatus.UNKNOWN))
    yield found
    found.database.close()


@pytest.fixture
def active(tmp_path: Path) -> Iterator[Changing]:
    found = Changing(tmp_path / "ledger.db", SENT.shown(row()))
    found.broker.rows = [row()]
    yield found
    found.database.close()


async def test_a_delete_waits_until_the_row_that_a_human_named_is_proved(unknown: Changing) -> None:
    unknown.reads(STOP, row(112), row(113))
    assert (await unknown.admit()).waits
    unknown.settle("900")
    assert unknown.is_known("external-900"), "a human may have mistyped"
    assert (await unknown.admit()).waits
    assert isinstance(await unknown.sent("900"), NotSent)
    assert unknown.broker.deleted == []
    unknown.reads(STOP, row(112), row(113))
    assert (unknown.state().status, unknown.state().trigger_id) == (GttStatus.UNKNOWN, None)
    assert unknown.state("external-900").status is GttStatus.ACTIVE
    unknown.settle("113")
    unknown.reads(STOP, row(112), row(113))
    assert (await unknown.admit()).trigger_id == "113"
    await unknown.sent("113")
    assert unknown.broker.deleted == ["113"]
    assert [unknown.is_known(f"external-{number}") for number in (113, 900)] == [False, True]


async def test_two_are_not_settled_as_the_same_row(unknown: Changing) -> None:
    unknown.record(SENT.updated(intent=ASKED.model_copy(update={"gtt_id": "other"}), status=GttStatus.UNKNOWN))
    unknown.settle("112")
    with pytest.raises(InvalidOrder, match="112 is another GTT's"):
        unknown.settle("112", "other")


async def test_what_came_of_another_row_is_not_told_of_this_one(active: Changing) -> None:
    """The ledger was put back to before it was found, and a human names another row."""
    assert (await active.admit()).trigger_id == "112"
    assert isinstance(await active.sent("112"), GttAccepted)
    own = active.state().change
    for trigger_id, is_settled in ((None, False), (TriggerId("900"), True)):
        status = GttStatus.UNKNOWN
        active.record(SENT.updated(status=status, change=own, trigger_id=trigger_id, is_settled=is_settled))
        active.broker.rows = [replace(STOP, status=GttStatus.DELETED), row(status=GttStatus.DELETED)]
        seen = await active.look("112", is_accepted=True)
        assert (seen.is_unknown, active.state().status, active.state().change) == (True, status, own)
    assert (await active.look("900", is_accepted=True)).is_unknown
    assert isinstance(await active.sent("900"), Unknown), "it was sent"


async def test_a_delete_that_was_given_up_does_not_leave(active: Changing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker stands still after the delete was marked as sent, and another one finds that nothing came of it."""
    await active.admit()
    monkeypatch.setattr(active.changes, "_window", timedelta(0))

    def given_up() -> None:
        for _ in range(5):
            active.changes._look_for_change("exit", TriggerId("112"), "first", is_accepted=False, was_sent=True)
        assert active.state().change is None

    active.broker.paused = given_up
    assert isinstance(await active.sent("112"), Refused)
    assert active.broker.deleted == []


MARKED = Change(legs=(LOWER,), asked_at=AT, change_id="first", sent_at=AT, sent_by="run")
"""A change that was sent."""


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (kites("failed", reason="outside the circuit"), "so that nothing was placed: outside the circuit"),
        (row(status=GttStatus.DISABLED), "DISABLED at the broker"),
        (row(status=GttStatus.EXPIRED), "EXPIRED at the broker"),
    ],
)
@pytest.mark.parametrize("reader", ["place", "change"])
async def test_who_reads_first_that_it_protects_nothing_any_more_says_so(
    active: Changing, shown: BrokerGtt, words: str, reader: str
) -> None:
    active.broker.rows = [shown]
    if reader == "change":
        active.record(active.state().updated(change=MARKED))
        assert (await active.look("112")).refusal is not None
    else:
        active.record(SENT)
        await active.run(active.placing().look, ASKED, TriggerId("112"))
    for _ in range(2):
        active.reads(shown)
    [alert] = [said for kind, said in active.said() if kind == "alert"]
    assert words in alert


@pytest.mark.parametrize("result", [row(), row(status=GttStatus.TRIGGERED)])
def test_one_that_the_ledger_does_not_know_to_be_sent_is_looked_for(active: Changing, result: BrokerGtt) -> None:
    """It was put back to between the check and the sending, and the workflow is started anew."""
    active.record(GttState.of(ASKED, AT))
    assert isinstance(active.placing()._begin(ASKED, 1, "run", [result]), Unknown)
    assert active.state() == GttState.of(ASKED, AT)
    older = replace(result, created_at=AT - timedelta(hours=1))
    begun = active.placing()._begin(ASKED, 1, "run", [older])
    assert begun is None or isinstance(begun, Refused), "that one is another"


def test_the_order_of_one_that_is_put_back_is_its_own(active: Changing) -> None:
    """The ledger had forgotten it, and took the row and its order for somebody else's."""
    report = placed_by_it(active, BookState.COMPLETE, 10)
    stranger = adopted(report.row, ExternalKind.EXTERNAL, Account("paper"), Mode.LIVE)
    after = step(stranger, Reported(report), AT)
    record(
        active.database, after, [Entry(sequence=0, type=EventType.ALERT, at=AT, message="found", status=after.status)]
    )
    ended = active.state()
    active.forget()
    for _ in range(2):
        active.reads(replace(kites("success", OWN), created_at=AT))
    with active.database.write() as connection:
        put_back(connection, ended, AT)
        order = find_order(connection, stranger.order_id)
        held = strategy_positions_of(connection, "paper", "swing")
    assert order is not None
    assert (order.strategy, order.reason) == ("swing", "GTT exit was triggered")
    assert sum(each.quantity for each in held.values()) == -10
    assert not active.is_known("external-112")


@pytest.mark.parametrize("is_adopted", [False, True])
def test_a_delete_outlives_the_return_of_its_gtt(active: Changing, is_adopted: bool) -> None:
    """It was asked for since the ledger was put back, of the GTT, or of the row that was taken for somebody else's."""
    ended, wish = active.state(), Change(legs=None, asked_at=AT, change_id="later")
    if is_adopted:
        active.forget()
        active.reads(row())
        active.record(active.state("external-112").updated(change=wish))
    else:
        active.record(GttState.of(ASKED, AT).updated(change=wish))
    with active.database.write() as connection:
        put_back(connection, ended, AT)
        [again] = open_changes("paper", list_gtts(connection, "paper", open_only=True))
    assert (active.state().trigger_id, active.state().change) == ("112", wish)
    assert (again.gtt_id, again.takes_up) == ("exit", "later")


async def test_that_the_broker_took_it_is_known_before_the_workflow_hears_it(active: Changing) -> None:
    await active.admit()
    await active.sent("112")
    own = active.state().change
    assert own is not None
    assert own.is_accepted


@pytest.mark.parametrize("was_sent", [False, True])
async def test_a_sent_change_that_a_delete_superseded_may_have_been_made(active: Changing, was_sent: bool) -> None:
    await active.admit()
    active.record(active.state().updated(change=Change(legs=None, asked_at=AT, change_id="later")))
    seen = await active.look("112", was_sent=was_sent)
    assert (seen.is_over, seen.is_unknown) == (True, was_sent)


async def test_what_came_of_a_change_of_a_gtt_that_is_forgotten_is_unknown(active: Changing) -> None:
    await active.admit()
    await active.sent("112")
    active.forget()
    seen = await active.look("112", is_accepted=True)
    assert (seen.state, seen.is_over, seen.is_unknown) == (None, True, True)


async def test_a_change_that_the_list_never_shows_does_not_hold_the_gtt_for_ever(
    active: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active.changes, "_window", timedelta(0))
    active.record(active.state().updated(change=MARKED))
    seen = await active.look("112", is_accepted=True)
    while not seen.is_over:
        seen = await active.look("112", is_accepted=True)
    assert (seen.is_over, seen.is_unknown) == (True, True)
    assert (active.state().change, active.state().legs) == (None, ASKED.legs)
    alerts = [words for kind, words in active.said() if kind == "alert"]
    assert ["its list does not show it" in alerts[0], "nobody waits for it" in alerts[1]] == [True, True]


def held_up() -> NotSent:
    return NotSent(evidence=Evidence(message="at the limit"), tried=False)


async def test_a_delete_that_is_held_up_stands_and_its_refusal_is_an_alert(active: Changing) -> None:
    await active.admit()
    active.broker.answer = held_up()
    for _ in range(2):
        assert isinstance(await active.sent("112"), NotSent)
        is_sent_again = True
        assert await active.run(active.changes.not_changed, "exit", "at the limit", "first", is_sent_again)
        own = active.state().change
        assert own is not None
        assert (own.sent_at, own.held_up) == (None, "at the limit")
    assert active.said() == [("gtt_updated", "GTT exit: not deleted so far: at the limit")]
    assert (await active.admit()).trigger_id == "112"
    await active.sent("112")
    assert await active.run(active.changes.not_changed, "exit", "no such GTT", "first")
    assert active.said()[1:] == [("alert", "GTT exit: not deleted: no such GTT")]
    assert active.state().change is None


async def test_the_refusal_of_a_delete_that_waited_for_its_gtt_is_an_alert(unknown: Changing) -> None:
    await unknown.admit()
    unknown.reads(row())
    unknown.record(unknown.state().shown(row()))
    assert (await unknown.admit()).trigger_id == "112"
    await unknown.sent("112")
    assert await unknown.run(unknown.changes.not_changed, "exit", "no such GTT", "first")
    assert unknown.said()[-1] == ("alert", "GTT exit: not deleted: no such GTT")


def test_what_a_human_named_and_the_list_has_shown_stays_proved(active: Changing) -> None:
    """Also where it was changed since, and the ledger is put back."""
    ended = active.state().updated(is_settled=True)
    active.forget()
    with active.database.write() as connection:
        put_back(connection, ended, AT)
    assert active.state().status is GttStatus.UNKNOWN
    active.reads(row(price=1398))
    assert (active.state().status, active.state().trigger_id) == (GttStatus.ACTIVE, "112")
