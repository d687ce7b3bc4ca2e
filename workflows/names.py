"""Names that clients, workers and the server's settings share."""

from temporalio.common import SearchAttributeKey

ACCOUNT = SearchAttributeKey.for_keyword("Account")
SYMBOL = SearchAttributeKey.for_keyword("Symbol")
STRATEGY = SearchAttributeKey.for_keyword("Strategy")
SIDE = SearchAttributeKey.for_keyword("Side")
STATUS = SearchAttributeKey.for_keyword("OrderStatus")
MODE = SearchAttributeKey.for_keyword("Mode")
SEARCH_ATTRIBUTES = (ACCOUNT, SYMBOL, STRATEGY, SIDE, STATUS, MODE)

ORDER_WORKFLOW = "Order"
WATCH_WORKFLOW = "AccountWatch"


def orders_queue(account: str) -> str:
    """Workflows of the account, their local activities, and its watch."""
    return f"orders:{account}"


def broker_queue(account: str) -> str:
    """Activities that reach the broker, and nothing else: its rate limit is the account's."""
    return f"broker:{account}"


def watch_id(account: str) -> str:
    return f"watch:{account}"
