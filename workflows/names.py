"""Names that clients, workers and the server's settings share."""

from datetime import timedelta

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from trading.order import Mode, OrderIntent, Status

ACCOUNT = SearchAttributeKey.for_keyword("Account")
SYMBOL = SearchAttributeKey.for_keyword("Symbol")
STRATEGY = SearchAttributeKey.for_keyword("Strategy")
SIDE = SearchAttributeKey.for_keyword("Side")
STATUS = SearchAttributeKey.for_keyword("OrderStatus")
MODE = SearchAttributeKey.for_keyword("Mode")
SEARCH_ATTRIBUTES = (ACCOUNT, SYMBOL, STRATEGY, SIDE, STATUS, MODE)

ORDER_WORKFLOW = "Order"
WATCH_WORKFLOW = "AccountWatch"
UNWIND_WORKFLOW = "Unwind"
JOIN = "join"
"""Its signal: somebody else wants out, too."""
FINGERPRINT = "fingerprint"
"""An order's memo."""
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


def unwind_id(account: str) -> str:
    return f"unwind:{account}"


def order_attributes(intent: OrderIntent) -> TypedSearchAttributes:
    """What a new order is found by."""
    attributes = {
        ACCOUNT: intent.account,
        SYMBOL: intent.symbol,
        STRATEGY: intent.strategy,
        SIDE: intent.side.value,
        STATUS: Status.PENDING.value,
        MODE: intent.mode.value,
    }
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in attributes.items()])
