"""Random schedules of orders, cancels, amendments, faults of all kinds, and kills; then the proof, row by row.

`make chaos ORDERS=1000 FAULTS=500 SEED=...` runs as much as is asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chaos.run import Result, run
from chaos.schedule import Plan, schedule
from chaos.verdict import Evidence, violations
from durable_orders.trading.orders.book import BookState

SEEDS = (1, 2, 3)
Runs = dict[int, "asyncio.Task[Result]"]


def plan(seed: int) -> Plan:
    return Plan(seed=seed, orders=40, faults=45, worker_kills=1, server_kills=1)


@pytest.fixture(scope="module")
async def runs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runs]:
    """Side by side: most of a run is waiting."""
    tasks = {
        seed: asyncio.create_task(run(plan(seed), tmp_path_factory.mktemp(f"seed-{seed}"), lambda what: None))
        for seed in SEEDS
    }
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_order_is_doubled_lost_or_guessed(runs: Runs, seed: int) -> None:
    result = await runs[seed]
    assert result.violations == []
    assert len(result.evidence.ended) == 40
    assert result.played.done["KillWorker"] == result.played.done["KillServer"] == 1
    struck = result.evidence.tally["faults"]  # how often each does depends on how fast the machine is
    assert result.played.done["Arm"] > 30
    assert len(struck) > 3


async def test_some_of_it_is_traded(runs: Runs) -> None:
    """Not of each: on a busy machine an order that is UNKNOWN for seconds keeps all those after it from leaving."""
    assert await traded(runs) is not None


async def traded(runs: Runs) -> Evidence | None:
    """That of the first run in which something was traded."""
    found = [(await runs[seed]).evidence for seed in SEEDS]
    return next((evidence for evidence in found if evidence.trades), None)


def test_schedule_hangs_on_its_seed_alone() -> None:
    assert schedule(plan(1)) == schedule(plan(1))
    assert schedule(plan(1)) != schedule(plan(2))


def without_an_end(evidence: Evidence) -> Evidence:
    return replace(evidence, ended=dict(list(evidence.ended.items())[1:]))


def without_an_order_in_the_ledger(evidence: Evidence) -> Evidence:
    gone = evidence.intents[0].order_id
    return replace(evidence, ledger={own: order for own, order in evidence.ledger.items() if own != gone})


def with_an_order_sent_twice(evidence: Evidence) -> Evidence:
    row = next(row for row in evidence.rows if row.tag)
    return replace(evidence, rows=[*evidence.rows, replace(row, broker_order_id="1")])


def with_a_share_less(evidence: Evidence) -> Evidence:
    return replace(evidence, trades=evidence.trades[1:])


def with_a_paisa_more(evidence: Evidence) -> Evidence:
    first, *others = evidence.trades
    return replace(evidence, trades=[replace(first, price=first.price + Decimal("0.01")), *others])


def with_a_late_order(evidence: Evidence) -> Evidence:
    late = [replace(row, placed_at=row.placed_at + timedelta(days=1)) for row in evidence.rows]
    return replace(evidence, rows=late)


def with_an_order_still_working(evidence: Evidence) -> Evidence:
    row = next(row for row in evidence.rows if row.tag)
    others = [other for other in evidence.rows if other is not row]
    return replace(evidence, rows=[replace(row, state=BookState.WORKING, status="OPEN"), *others])


def with_an_eleventh_request(evidence: Evidence) -> Evidence:
    peaks = {"most_in_a_second": 11, "most_in_a_minute": 300}
    return replace(evidence, tally={**evidence.tally, "order_requests": peaks})


def with_a_gap_in_the_events(evidence: Evidence) -> Evidence:
    own, events = next((own, events) for own, events in evidence.events.items() if len(events) > 1)
    return replace(evidence, events={**evidence.events, own: events[1:]})


def with_a_secret(evidence: Evidence) -> Evidence:
    return replace(evidence, secrets_in=["ledger.db"])


@pytest.mark.parametrize(
    "tampered",
    [
        without_an_end,
        without_an_order_in_the_ledger,
        with_an_order_sent_twice,
        with_a_share_less,
        with_a_paisa_more,
        with_a_late_order,
        with_an_order_still_working,
        with_an_eleventh_request,
        with_a_gap_in_the_events,
        with_a_secret,
    ],
)
async def test_proof_would_notice(runs: Runs, tampered: Callable[[Evidence], Evidence]) -> None:
    evidence = await traded(runs)
    assert evidence is not None
    assert violations(evidence) == []
    assert violations(tampered(evidence)) != []
