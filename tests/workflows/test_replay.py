"""Histories that were recorded once are replayed against today's workflows: a deploy never strands an open order."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.record_histories import HISTORIES, NAMES
from workers.worker import WORKFLOWS, workflow_runner

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


async def test_a_path_that_went_another_way_is_noticed(replayer: Replayer) -> None:
    """An order whose history shows another activity than today's code would run next."""
    other = history_in(HISTORIES / "market_filled.json", instead={'"name": "place"': '"name": "look"'})
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(other)
