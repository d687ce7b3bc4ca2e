"""The evening of a live account against the sandbox's own accounts: a day with faults, and rows that were falsified."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from temporalio.client import ScheduleActionExecutionStartWorkflow, ScheduleBackfill, ScheduleOverlapPolicy

from chaos.account import log_in
from chaos.venue import INFY, FaultKind
from durable_orders.activities import day_close
from durable_orders.activities.day_close import DayClose, Evening
from durable_orders.cli import run
from durable_orders.trading.brokers.kite.tradebook import COLUMNS, read_tradebook
from durable_orders.trading.errors import BookGone, BookUnreadable, DayNotOver, InvalidTradebook, LoginNeeded
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.certificates import broken_certificates, certificates_of
from durable_orders.trading.ledger.identity import user_of
from durable_orders.trading.ledger.tables import certificates, events
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Fill, Order, OrderType, Product, Side, Status, Terms
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from durable_orders.workers import components
from durable_orders.workers.evenings import ensure_evenings
from durable_orders.workflows.names import day_close_id
from tests.live.desk import FAR, Desk, eventually
from tests.live.test_external_orders import adopted


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_close, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(day_close, "LOOKS", 2)


@pytest.fixture
async def traded(desk: Desk) -> Desk:
    """A day with a lost answer, a sale, a part of an order, a cancel, a refusal, and an order of somebody else."""
    await desk.venue.fault(FaultKind.ACCEPT_THEN_DROP)
    assert (await (await desk.place(OrderType.MARKET, client_order_id="bought")).result()).status is Status.FILLED
    sold = await desk.place(OrderType.MARKET, side=Side.SELL, quantity=30, product=Product.MIS, client_order_id="sold")
    assert (await sold.result()).status is Status.FILLED
    half = await desk.resting(client_order_id="half")
    (row,) = desk.at_the_broker(half)
    await desk.venue.fill(row.broker_order_id, 4, FAR)
    await desk.recorded(half, Status.PARTIAL)
    await half.cancel()
    order_id = await desk.venue.place_foreign(Terms(symbol=INFY, side=Side.SELL, quantity=3))
    await adopted(desk, ExternalKind.EXTERNAL, order_id, Status.FILLED)
    return desk


async def closed(desk: Desk) -> Evening:
    """In a thread: the sandbox is in this event loop."""
    return (await asyncio.to_thread(closing(desk).close))[0]


def closing(desk: Desk) -> DayClose:
    return components.day_close_of(desk.home, desk.settings, desk.orders.database)


async def falsified(desk: Desk, route: str, where: dict[str, Any], **what: Any) -> list[tuple[str, str | None]]:
    """What the evening finds while those rows tell something else: kind, and the order's own name."""
    await desk.venue.ask("POST", "falsified", {"route": route, "where": where, **what})
    found = (await closed(desk)).differences
    await desk.venue.ask("DELETE", "falsified")
    return [(each.kind.value, each.order_id and each.order_id.rpartition(":")[2]) for each in found]


async def test_exactly_what_was_falsified_is_found(traded: Desk) -> None:
    orders = {order.client_order_id: order for order in await traded.orders.list()}
    bought, sold = orders["bought"], orders["sold"]
    trade = {"trade_id": bought.fills[0].trade_id, "order_id": bought.broker_order_id}
    sale = {"order_id": sold.broker_order_id}

    assert await falsified(traded, "trades", trade, remove=True) == [("trade", "bought")]
    assert await falsified(traded, "trades", trade, change={"average_price": 1500.05}) == [("trade", "bought")]
    assert await falsified(traded, "trades", trade, change={"quantity": 9}) == [("trade", "bought")]
    assert await falsified(traded, "order_book", sale, change={"filled_quantity": 29}) == [("order", "sold")]
    moved = {"product": "MIS"}
    assert await falsified(traded, "positions", moved, change={"quantity": -29}) == [("position", None)]
    rounded = {"charges.transaction_tax": 11}
    assert await falsified(traded, "contract_note", sale, change=rounded) == [("charge", "sold")]
    assert (await closed(traded)).agrees

    dearer = {"charges.brokerage": 20, "charges.gst.total": 4}
    assert await falsified(traded, "contract_note", sale, change=dearer) == [("charge", "sold"), ("charge", "sold")]
    alert = await traded.alerted("brokerage is not the broker's")
    assert "our rate for equity_intraday on NSE is 0.03 % and at most 20 rupees, since " in alert.message
    brokerage, gst = certificates_of_desk(traded)[-1].content["differences"]
    assert (brokerage["about"], gst["cause"]) == ("NSE:INFY brokerage", "follows from brokerage")


def certificates_of_desk(desk: Desk) -> list[Any]:
    with desk.orders.database.read() as connection:
        return certificates_of(connection, desk.settings.account)


async def test_a_day_with_faults_ends_with_nothing_to_explain_and_a_certificate(traded: Desk) -> None:
    account, database = traded.settings.account, traded.orders.database
    evening = await closed(traded)
    assert evening.differences == ()
    figures = evening.figures
    assert (figures["orders"], figures["trades"], figures["broker_trades"], figures["uncharged"]) == (4, 4, 4, 0)
    assert abs(float(figures["charges_total"]) - float(figures["broker_charges_total"])) < 0.1
    (told,) = [event for event in await traded.events(traded.account_events) if event.type is EventType.DAY_CLOSED]
    assert "agree on 4 orders and 4 trades" in told.message
    await closed(traded)
    assert [each.number for each in certificates_of_desk(traded)] == [1], "the same day, the same certificate"
    order = await traded.resting()
    await order.cancel()
    await traded.recorded(order, Status.CANCELLED)
    await closed(traded)
    first, second = certificates_of_desk(traded)
    assert (second.number, second.previous, first.previous) == (2, first.hash, "")
    with database.read() as connection:
        assert broken_certificates(connection, account) == {}

    def broken_by(change: sa.Update | sa.Delete) -> dict[str, str]:
        """What is found after the change, which is then undone."""
        with database.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            connection.execute(change)
            found = broken_certificates(connection, account)
            connection.exec_driver_sql("ROLLBACK")
        return found

    of_first = sa.and_(events.c.order_id == first.last_order_id, events.c.sequence == first.last_sequence)
    one, two = (f"certificate {each.number} of {each.day}" for each in (first, second))
    assert "not those that it was made of" in broken_by(sa.update(events).where(of_first).values(message="x"))[one]
    assert "is gone" in broken_by(sa.delete(events).where(of_first))[one]
    own = certificates.c.account == account
    changed = sa.update(certificates).where(own, certificates.c.number == 2).values(body="{}")
    assert "not what was certified" in broken_by(changed)[two]
    assert "does not follow" in broken_by(sa.delete(certificates).where(own, certificates.c.number == 1))[two]


async def test_the_schedule_closes_the_day_when_somebody_is_logged_in(desk: Desk) -> None:
    """Started by hand here. Without a login it waits."""
    account, client = desk.settings.account, desk.orders.client
    assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
    schedule = client.get_schedule_handle(day_close_id(account))
    await ensure_evenings(client, account)
    spec = (await schedule.describe()).schedule.spec
    times = [(each.hour[0].start, each.minute[0].start) for each in spec.calendars]
    assert (spec.time_zone_name, times) == ("Asia/Kolkata", [(16, 5), (23, 56)])
    await desk.venue.flush_tokens()
    await schedule.trigger()

    async def started() -> str | None:
        running = (await schedule.describe()).info.running_actions
        started = [each for each in running if isinstance(each, ScheduleActionExecutionStartWorkflow)]
        return started[0].workflow_id if started else None

    workflow_id = await eventually(started, "an evening's workflow")
    assert workflow_id is not None
    evening = client.get_workflow_handle(workflow_id)

    async def refused() -> bool:
        pending = (await evening.describe()).raw_description.pending_activities
        failures = [each.last_failure.application_failure_info.type for each in pending]
        return failures == ["LoginNeeded"]

    await eventually(refused, "a try without a login")
    await log_in(desk.home)
    await evening.result()
    (told,) = [event for event in await desk.events(desk.account_events) if event.type is EventType.DAY_CLOSED]
    assert "agree on 1 orders" in told.message


async def test_an_evening_that_is_made_up_for_after_midnight_is_told_as_not_closed(desk: Desk) -> None:
    """The late run of the last day of trading, which a server that was away starts now."""
    account, client = desk.settings.account, desk.orders.client
    schedule = client.get_schedule_handle(day_close_id(account))
    await ensure_evenings(client, account)
    day = datetime.now(IST).replace(hour=23, minute=56, second=0, microsecond=0) - timedelta(days=1)
    while closing(desk).is_idle(day.date()):
        day -= timedelta(days=1)
    minute = timedelta(minutes=1)
    await schedule.backfill(ScheduleBackfill(day - minute, day + minute, overlap=ScheduleOverlapPolicy.ALLOW_ALL))

    async def started() -> str | None:
        actions = [each.action for each in (await schedule.describe()).info.recent_actions]
        own = [each.workflow_id for each in actions if isinstance(each, ScheduleActionExecutionStartWorkflow)]
        return own[0] if own else None

    workflow_id = await eventually(started, "an evening's workflow")
    assert workflow_id is not None
    words = await client.get_workflow_handle(workflow_id).result()
    assert words.startswith(f"{day:%Y-%m-%d} was not closed: ")
    alerts = [event for event in await desk.events(desk.account_events) if event.type is EventType.ALERT]
    assert words in [event.message for event in alerts]


async def test_a_day_that_cannot_be_compared_says_why(traded: Desk) -> None:
    """It stays as it was certified; one that never was needs another source."""
    evening = await closed(traded)
    after = closing(traded)
    after._clock = lambda: datetime.now(IST) + timedelta(days=1)
    assert after.close(evening.day)[0] == evening
    with pytest.raises(BookGone, match="is gone, it is of one day"):
        after.close(evening.day - timedelta(days=1))
    with pytest.raises(DayNotOver, match="has not come yet"):
        closing(traded).close(evening.day + timedelta(days=1))
    await traded.venue.flush_tokens()
    with pytest.raises(LoginNeeded):
        await closed(traded)
    assert len(certificates_of_desk(traded)) == 1


def tradebook_row(order: Order, fill: Fill) -> str:
    at = fill.at.astimezone(IST)
    exchange, _, name = order.symbol.partition(":")
    terms = f"{order.side.lower()},false,{fill.quantity}.000000,{fill.price}"
    ids = f"{fill.trade_id},{fill.broker_order_id},{at:%Y-%m-%dT%H:%M:%S}"
    return f"{name},,{at:%Y-%m-%d},{exchange},EQ,EQ,{terms},{ids}"


async def test_a_row_that_is_not_understood_keeps_the_day_from_being_certified(traded: Desk) -> None:
    (foreign,) = [row for row in traded.venue.rows() if row.tag is None]
    where = {"order_id": foreign.broker_order_id}
    with pytest.raises(BookUnreadable, match=f"order {foreign.broker_order_id} are not understood: the day is not"):
        await falsified(traded, "order_book", where, change={"product": "NEW"})
    await traded.venue.ask("DELETE", "falsified")
    with pytest.raises(BookUnreadable, match="rows of trade "):
        await falsified(traded, "trades", where, change={"average_price": 0})
    await traded.venue.ask("DELETE", "falsified")
    assert certificates_of_desk(traded) == []
    assert (await closed(traded)).agrees


async def test_no_tradebook_ends_an_order_whose_trades_it_may_lack(desk: Desk) -> None:
    """It was filled, and its answer was lost. Each file lacks something that says so, and none settles it."""
    await (before_it := await desk.resting()).cancel()
    await desk.recorded(before_it, Status.CANCELLED)
    await desk.venue.fault(FaultKind.BOOK_UNREADABLE, probability=1)
    await desk.venue.fault(FaultKind.ACCEPT_THEN_DROP)
    lost = await desk.place(OrderType.MARKET)
    await desk.recorded(lost, Status.UNKNOWN)
    closing = components.tradebook_close_of(desk.home, desk.settings, desk.orders.database)
    closing._clock = lambda: datetime.now(IST) + timedelta(days=3)
    day = datetime.now(IST).date()

    def row(name: str, days: int) -> str:
        on, trade = day + timedelta(days=days), 7001 + days
        return f"{name},,{on},NSE,EQ,EQ,buy,false,10,1500,{trade},26112700{trade},{on}T10:30:05"

    traded, before, after, later = row("INFY", 0), row("TCS", -1), row("TCS", 1), row("SBIN", 2)

    def said(name: str, *rows: str) -> str | None:
        file = desk.home.path / name
        file.write_text("\n".join([",".join(COLUMNS), *rows]))
        (verdict,) = closing.verdicts(read_tradebook(file, user), day)
        if verdict.settlement is None:
            (difference,) = closing.close(read_tradebook(file, user), day)[0].differences[:1]
            assert (difference.order_id, difference.cause) == (lost.order_id, verdict.why_not)
        return verdict.why_not

    user = await desk.orders.read(lambda ledger: user_of(ledger, desk.settings.account))
    own = f"tradebook-{user}-EQ.csv"
    assert f"the Console saves it as {own}" in (said("november.csv", before, after, later) or "")
    assert "may not tell of" in (said(own, before, row("TCS", 0)) or "")
    assert "of that symbol only" in (said(own, before, after) or "")
    assert "trade 7001, of no order of the ledger, may be its" in (said(own, before, traded, after) or "")
    assert said(own, before, after, later) is None
    with pytest.raises(InvalidTradebook, match="has no trade of"):
        said(own, after)
    with pytest.raises(InvalidTradebook, match="has no trade of"):
        said(own)
    assert (await lost.now()).status is Status.UNKNOWN
    await desk.venue.clear()
    assert (await lost.result()).status is Status.FILLED


async def test_for_scripts_it_is_one_json_value_and_an_exit_code(
    traded: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["close-day", "--home", str(traded.home.path), "--json"]
    assert await asyncio.to_thread(run, words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["agrees"], told["differences"]) == (True, [])
    file = traded.home.path / "tradebook.csv"
    rows = [tradebook_row(order, fill) for order in await traded.orders.list() for fill in order.fills]
    file.write_text("\n".join([",".join(COLUMNS), *rows]))
    assert await asyncio.to_thread(run, [*words, "--tradebook", str(file)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["agrees"], told["figures"]["trades"], told["certificate"]["number"]) == (True, 4, 2)
    assert told["other_certificates"] == [{"number": 1, "source": None, "differences": 0}]
    day_after = closing(traded)
    day_after._clock = lambda: datetime.now(IST) + timedelta(days=1)
    assert day_after.close(datetime.now(IST).date())[1].number == 1, "the tradebook's stands beside it"
    assert (await asyncio.to_thread(closing(traded).close))[1].number == 1
    file.write_text("\n".join([",".join(COLUMNS), *rows[1:]]))
    assert await asyncio.to_thread(run, [*words, "--tradebook", str(file)]) == 1
    assert [each["kind"] for each in json.loads(capsys.readouterr().out)["differences"]] == ["trade"]
    order = next(order for order in await traded.orders.list() if order.client_order_id == "sold")
    await traded.venue.ask(
        "POST", "falsified", {"route": "trades", "where": {"order_id": order.broker_order_id}, "remove": True}
    )
    assert await asyncio.to_thread(run, words) == 1
    answer = capsys.readouterr()
    (difference,) = json.loads(answer.out)["differences"]
    assert (difference["kind"], difference["order_id"], difference["broker"]) == ("trade", order.order_id, None)
    assert "1 difference between the ledger and the broker" in answer.err
