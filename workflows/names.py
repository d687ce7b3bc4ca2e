"""Names that clients, workers and the server's settings share."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy

from durable_orders.trading.orders.order import Mode, Order, OrderIntent, Status

if TYPE_CHECKING:
    from durable_orders.trading.gtt.gtt import GttChange, GttIntent
    from durable_orders.trading.plans.kinds import AnyIntent

ACCOUNT = SearchAttributeKey.for_keyword("Account")
SYMBOL = SearchAttributeKey.for_keyword("Symbol")
STRATEGY = SearchAttributeKey.for_keyword("Strategy")
SIDE = SearchAttributeKey.for_keyword("Side")
STATUS = SearchAttributeKey.for_keyword("OrderStatus")
MODE = SearchAttributeKey.for_keyword("Mode")
SEARCH_ATTRIBUTES = (ACCOUNT, SYMBOL, STRATEGY, SIDE, STATUS, MODE)

ANY_CONTENT = ""
"""For the update `placed` of an order: whatever the order is, wait for it."""
ORDER_WORKFLOW = "Order"
WATCH_WORKFLOW = "AccountWatch"
FLATTEN_WORKFLOW = "Unwind"
PLAN_WORKFLOW = "Plan"
GTT_WORKFLOW, GTT_CHANGE_WORKFLOW = "Gtt", "GttChange"
STANDS, ANSWERED, PRICED = "stands", "answered", "priced"
"""Signals of a plan: how an order of it stands, what came of a change of one, and a price that concerns it."""
PACE = "pace"
"""Update of a plan: it is that moment of a market that waits."""
PLAN_STATE = "state"
"""Query of a plan: all that it knows, also when it has ended."""
CHANGE = "change"
"""Signal of an order: its plan wants it changed, and is told what comes of it."""
APPROVE, DECLINE = "approve", "decline"
"""Updates of an order: what a person says of one that waits for an approval."""
RECALL = "recall"
"""Signal of an order: it stands otherwise in the ledger, whose word is read."""
DAY_CLOSE_WORKFLOW = "DayClose"
JOIN = "join"
"""Its signal: somebody else asks for it, too."""
FINGERPRINT = "fingerprint"
"""An order's memo."""
HOME = "home"
"""The memo of an account's watch: the mark of the home that serves it."""
SERVED_BY = "served_by"
"""The signal that says it to a watch."""
TASK_TIMEOUT = timedelta(seconds=5)
"""How long an order's next step waits for a worker that was killed with it in its hands."""


def orders_queue(account: str) -> str:
    """Workflows of the account, their local activities, and its watch."""
    return f"orders:{account}"


def broker_queue(account: str, mode: Mode) -> str:
    """Activities that reach the broker. A live account's queue has nothing else: its rate limit is the account's.

    The paper exchange has no limit, and on the queue of its workflow an activity comes with the answer to the
    workflow's task, without a way through the server's queues (eager activities).
    """
    return f"broker:{account}" if mode is Mode.LIVE else orders_queue(account)


def watch_id(account: str) -> str:
    return f"watch:{account}"


def flatten_id(account: str) -> str:
    return f"unwind:{account}"


def plan_workflow_id(account: str, plan_id: str) -> str:
    return f"plan:{account}:{plan_id}"


def plan_options(intent: "AnyIntent") -> dict[str, Any]:
    """How the workflow of a plan is started, whoever starts it. One of several instruments has no symbol and no side
    that it could be found by: its orders have."""
    own = {SYMBOL: getattr(intent, "symbol", ""), SIDE: str(getattr(intent, "side", ""))}
    attributes = {
        ACCOUNT: intent.account,
        **{key: value for key, value in own.items() if value},
        STRATEGY: intent.strategy,
        STATUS: Status.PENDING.value,
        MODE: intent.mode.value,
    }
    return {
        "id": plan_workflow_id(intent.account, intent.plan_id),
        "task_queue": orders_queue(intent.account),
        "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        "search_attributes": TypedSearchAttributes([SearchAttributePair(key, to) for key, to in attributes.items()]),
        "task_timeout": TASK_TIMEOUT,
        "memo": {FINGERPRINT: intent.fingerprint()},
        "static_summary": intent.summary()[:200],
    }


def gtt_workflow_id(account: str, gtt_id: str) -> str:
    return f"gtt:{account}:{gtt_id}"


def gtt_options(intent: "GttIntent") -> dict[str, Any]:
    """How the workflow that places a GTT is started, whoever starts it."""
    attributes = {ACCOUNT: intent.account, SYMBOL: intent.symbol, SIDE: intent.side.value, STRATEGY: intent.strategy}
    return {
        "id": gtt_workflow_id(intent.account, intent.gtt_id),
        "task_queue": orders_queue(intent.account),
        "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        "search_attributes": TypedSearchAttributes([SearchAttributePair(key, to) for key, to in attributes.items()]),
        "task_timeout": TASK_TIMEOUT,
        "memo": {FINGERPRINT: intent.fingerprint()},
        "static_summary": f"GTT {intent.summary()}"[:200],
    }


def gtt_change_options(change: "GttChange") -> dict[str, Any]:
    """How a change of a GTT is started, whoever starts it: one at a time, and beside it a delete."""
    kind = "delete" if change.legs is None else "change"
    return {
        "id": f"gtt-{kind}:{change.account}:{change.gtt_id}",
        "task_queue": orders_queue(change.account),
        "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        "search_attributes": TypedSearchAttributes([SearchAttributePair(ACCOUNT, change.account)]),
        "task_timeout": TASK_TIMEOUT,
        "static_summary": change.summary()[:200],
    }


def day_close_id(account: str) -> str:
    """Of the schedule, and with the time behind it of each evening's workflow."""
    return f"close-day:{account}"


def order_attributes(order: OrderIntent | Order) -> TypedSearchAttributes:
    """What an order is found by."""
    attributes = {
        ACCOUNT: order.account,
        SYMBOL: order.symbol,
        STRATEGY: order.strategy,
        SIDE: order.side.value,
        STATUS: order.status.value if isinstance(order, Order) else Status.PENDING.value,
        MODE: order.mode.value,
    }
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in attributes.items()])


def order_options(order: OrderIntent | Order, fingerprint: str) -> dict[str, Any]:
    """How the workflow of an order is started, whoever starts it."""
    return {
        "id": order.order_id,
        "task_queue": orders_queue(order.account),
        # One that failed or was terminated may be started again: it goes on from what the ledger has.
        "id_reuse_policy": WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        "search_attributes": order_attributes(order),
        "task_timeout": TASK_TIMEOUT,
        "memo": {FINGERPRINT: fingerprint},
        "static_summary": order.summary(),
    }


def flatten_summary(account: str, reason: str) -> str:
    """The one line that the Temporal UI lists it with."""
    return f"Flatten account {account}: {reason}"[:200]
