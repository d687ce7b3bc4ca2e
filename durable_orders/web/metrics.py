"""The account in numbers, as Prometheus reads them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.ledger.accounts import last_book_read, permission_of
from durable_orders.trading.ledger.position_differences import Unexplained, unexplained
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.orders.order import Account, Order, Status

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Sample = tuple[dict[str, str], float]


def metrics_of(connection: sa.Connection, account: Account, now: datetime) -> str:
    """In the text format; what a label says is of the ledger's own words."""
    orders = list_orders(connection, account, open_only=True)
    differing = unexplained(connection, account)
    read_at = last_book_read(connection, account)
    age: list[Sample] = [({}, (now - read_at).total_seconds())] if read_at is not None else []
    state = permission_of(connection, account).state
    gauges: Sequence[tuple[str, str, Sequence[Sample]]] = (
        ("account_state", "1 for how far the account may trade.", [({"state": state.value}, 1)]),
        ("orders_open", "Orders that have not ended, by status.", _by_status(orders)),
        ("book_age_seconds", "Since the broker's book was last read.", age),
        ("positions_unexplained", "Positions of which broker and ledger differ unexplained.", [({}, len(differing))]),
        ("position_unexplained_quantity", "By how much the broker has more of one.", list(_each(differing))),
    )
    return "".join(_lines(account, *gauge) for gauge in gauges)


def _by_status(orders: Sequence[Order]) -> list[Sample]:
    found = {status: 0 for status in Status if not status.terminal}
    for order in orders:
        found[order.status] += 1
    return [({"status": status.value}, count) for status, count in found.items()]


def _each(differing: Sequence[Unexplained]) -> Iterator[Sample]:
    for each in differing:
        yield {"symbol": each.symbol, "product": each.product, "cause": each.cause.value}, each.quantity


def _lines(account: Account, name: str, says: str, samples: Sequence[Sample]) -> str:
    whole = f"durable_orders_{name}"
    lines = [f"# HELP {whole} {says}", f"# TYPE {whole} gauge"]
    for labels, value in samples:
        told = ",".join(f'{key}="{text.translate(ESCAPED)}"' for key, text in ({"account": account} | labels).items())
        lines.append(f"{whole}{{{told}}} {value!r}")
    return "\n".join(lines) + "\n"
