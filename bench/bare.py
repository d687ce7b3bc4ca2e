"""The floor: a workflow that starts, has one task, and ends."""

from temporalio import workflow


@workflow.defn(name="Bare")
class BareWorkflow:
    @workflow.run
    async def run(self) -> None:
        """Nothing. What this costs is what the server and the worker take for any workflow at all."""
