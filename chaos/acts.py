"""What an operator does to workflows, in the Temporal UI or at a terminal."""

import uuid
from collections.abc import Sequence
from enum import StrEnum

from temporalio.api.batch.v1 import BatchOperationCancellation, BatchOperationTermination
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeBatchOperationRequest,
    ResetWorkflowExecutionRequest,
    StartBatchOperationRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.workflows.names import ACCOUNT, flatten_id, watch_id

WHO, WHY = "an operator", "by an operator"


class Batch(StrEnum):
    CANCEL = "cancel"
    TERMINATE = "terminate"


async def terminate(client: Client, workflow_id: str) -> None:
    await client.get_workflow_handle(workflow_id).terminate(reason=WHY)


async def delete(client: Client, workflow_id: str) -> None:
    """The workflow with its history; one that runs is terminated."""
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id)
    )
    await client.workflow_service.delete_workflow_execution(request)


async def reset_points(client: Client, workflow_id: str) -> Sequence[int]:
    """The events to which the workflow can be reset: the end of each of its tasks, and of those that failed."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    ends = (EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
    return [event.event_id for event in history.events if event.event_type in ends]


async def reset(client: Client, workflow_id: str, point: int, run_id: str = "") -> str:
    """Without a `run_id`, the latest run is reset. Gives the id of the new one."""
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        reason=WHY,
        workflow_task_finish_event_id=point,
        request_id=str(uuid.uuid4()),
        identity=WHO,
    )
    return (await client.workflow_service.reset_workflow_execution(request)).run_id


async def batch(client: Client, account: str, kind: Batch) -> str | None:
    """Begin with all that runs of the account; the job's id, and `None` while another one runs: the server does one at
    a time."""
    whose = f'{ACCOUNT.name}="{account}" OR WorkflowId="{watch_id(account)}" OR WorkflowId="{flatten_id(account)}"'
    request = StartBatchOperationRequest(
        namespace=client.namespace,
        visibility_query=f'ExecutionStatus="Running" AND ({whose})',
        job_id=str(uuid.uuid4()),
        reason=WHY,
    )
    if kind is Batch.CANCEL:
        request.cancellation_operation.CopyFrom(BatchOperationCancellation(identity=WHO))
    else:
        request.termination_operation.CopyFrom(BatchOperationTermination(identity=WHO))
    try:
        await client.workflow_service.start_batch_operation(request)
    except RPCError as error:
        if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
            return None
        raise
    return request.job_id


async def batch_is_over(client: Client, job_id: str) -> bool:
    request = DescribeBatchOperationRequest(namespace=client.namespace, job_id=job_id)
    return (await client.workflow_service.describe_batch_operation(request)).HasField("close_time")
