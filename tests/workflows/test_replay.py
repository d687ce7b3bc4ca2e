"""Histories that were recorded once are replayed against today's workflows: a deploy never strands an open order."""

import re
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from durable_orders.workers.worker import WORKFLOWS, workflow_runner
from tests.record_histories import HISTORIES, NAMES

RECORDED = sorted(HISTORIES.glob("*.json"))


def test_every_path_is_recorded() -> None:
    assert {file.stem for file in RECORDED} >= NAMES


@pytest.fixture(scope="module")
def replayer() -> Replayer:
    return Replayer(
        workflows=WORKFLOWS,
        data_converter=pydantic_data_converter,
        workflow_runner=workflow_runner(),
    )


def history_in(file: Path, instead: dict[str, str] | None = None) -> WorkflowHistory:
    text = file.read_text(encoding="utf-8")
    for recorded, other in (instead or {}).items():
        assert recorded in text
        text = text.replace(recorded, other)
    return WorkflowHistory.from_json("recorded", text)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_replays(replayer: Replayer, file: Path) -> None:
    await replayer.replay_workflow(history_in(file))


@pytest.mark.parametrize("name", ["mine.entry", "mine.exit-1-1"])
@pytest.mark.parametrize(
    "recorded", ["limit_filled_by_reports", "cancelled_with_an_update", "after_it_continued_as_new"]
)
async def test_an_order_that_is_older_than_plans_may_be_named_as_theirs(
    replayer: Replayer, recorded: str, name: str
) -> None:
    history = history_in(HISTORIES / f"{recorded}.json")
    started = history.events[0].workflow_execution_started_event_attributes
    own = started.workflow_id.rpartition(":")[2]
    renamed = re.sub(
        rb'"data": "([^"]*)"',
        lambda found: b'"data": "' + b64encode(b64decode(found[1]).replace(own.encode(), name.encode())) + b'"',
        history.to_json().replace(f":{own}", f":{name}").encode(),
    )
    assert name.encode() in b64decode(re.findall(rb'"data": "([^"]*)"', renamed)[0])
    await replayer.replay_workflow(WorkflowHistory.from_json("recorded", renamed.decode()))


async def test_a_path_that_went_another_way_is_noticed(replayer: Replayer) -> None:
    """An order whose history shows another activity than today's code would run next."""
    other = history_in(HISTORIES / "market_filled.json", instead={'"name": "place"': '"name": "look"'})
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(other)
