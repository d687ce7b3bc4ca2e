"""Which of an account's open orders are followed by a workflow that goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey

from durable_orders.trading.ledger.open_orders import OpenOrder
from durable_orders.workflows import names

PROBLEMS = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
"""The server's own: set on a workflow whose tasks fail again and again, and gone with the first one that works."""


class Running(NamedTuple):
    """A running workflow, as the server lists it."""

    problems: str
    """Why its tasks fail; empty for one that goes on."""
    status: str | None
    """Where its order stands by its own account."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What the server and the ledger say of an account."""

    watch_runs: bool
    failing: Mapping[str, str]
    """Running workflows whose tasks fail, by id, with what the server says of it."""
    running: frozenset[str]
    """All of the account's running workflows, by id."""
    open: Mapping[str, OpenOrder]
    missing: frozenset[str]
    """Orders that are open in the ledger, and have no running workflow."""
    left: frozenset[str]
    """Orders whose workflow runs, and which the ledger does not have as open: it ends soon, or one of both is older."""
    differing: frozenset[tuple[str, str]]
    """Open orders that stand otherwise by their workflow, each with how: it changes just now, or one of both is older.
    """

    @classmethod
    def of(cls, account: str, orders: Iterable[OpenOrder], running: Mapping[str, Running]) -> "Followed":
        known = {order.order_id: order for order in orders}
        return cls(
            watch_runs=names.watch_id(account) in running,
            failing={own: each.problems for own, each in running.items() if each.problems},
            running=frozenset(running),
            open=known,
            missing=frozenset(known.keys() - running.keys()),
            left=frozenset(own for own in running.keys() - known.keys() if own.startswith("order:")),
            differing=frozenset(
                (own, f"{each.status} by its workflow, {known[own].status} in the ledger")
                for own, each in running.items()
                if own in known and each.status not in (None, known[own].status)
            ),
        )


async def running_workflows(client: Client, account: str) -> dict[str, Running]:
    """All of the account's running workflows by id, each with its problems or nothing; in one listing, a thousand a
    page. The server's list is up to date within a second, or some more under load. Raises `RPCError`."""
    ids = (names.watch_id(account), names.flatten_id(account))
    whose = " OR ".join([f'{names.ACCOUNT.name}="{account}"', *(f'WorkflowId="{own}"' for own in ids)])
    listing = client.list_workflows(f'ExecutionStatus="Running" AND ({whose})')
    return {each.id: Running(_problems(each), each.typed_search_attributes.get(names.STATUS)) async for each in listing}


def _problems(workflow: WorkflowExecution) -> str:
    reported = workflow.typed_search_attributes.get(PROBLEMS) or ()
    return ", ".join(problem.removeprefix("cause=") for problem in reported if not problem.startswith("category="))
