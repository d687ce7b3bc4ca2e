"""The order's card: Markdown that the Temporal UI shows as the workflow's current details."""

from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from durable_orders.trading.ist import IST
    from durable_orders.trading.orders.decision import sign_off_words
    from durable_orders.trading.orders.order import Order

LAST_REASONS = 8


def card(order: Order) -> str:
    """A heading, the figures, and the latest reasons."""
    average = f" at {order.average_price}" if order.average_price is not None else ""
    rows = [
        ("filled", f"{order.filled_quantity} of {order.quantity}{average}"),
        ("broker order", order.broker_order_id or "none yet"),
        ("tag", order.tag),
        ("strategy", f"{order.strategy}{f': {order.reason}' if order.reason else ''}"),
        ("account", f"{order.account} ({order.mode})"),
        *([("approval", sign_off_words(order.approval))] if order.approval is not None else []),
        ("updated", f"{order.updated_at.astimezone(IST):%d %b %Y %H:%M:%S.%f}"[:-3] + " IST"),
    ]
    dry_run = " (dry run)" if order.dry_run else ""
    title = f"### {order.summary()} · {order.status}{dry_run}{f' {order.average_price}' if average else ''}"
    return f"{title}\n\n{_table(rows)}\n{_list(order.reasons[-LAST_REASONS:])}"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(f"| {name} | {_cell(value)} |\n" for name, value in rows)
    return f"| | |\n| --- | --- |\n{body}"


def _list(reasons: Sequence[str]) -> str:
    return "".join(f"- {_cell(reason)}\n" for reason in reasons)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
