"""Orders, events and positions as a terminal shows them."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from durable_orders.portfolio import PositionLine
from trading.ledger.reading import FeedEvent
from trading.order import Order, Status

IST = ZoneInfo("Asia/Kolkata")
COLOURS = {
    Status.FILLED: "green",
    Status.REJECTED: "red",
    Status.UNKNOWN: "bold red",
    Status.CANCELLED: "yellow",
    Status.EXPIRED: "yellow",
}


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def status_text(status: Status) -> Text:
    return Text(status.value, style=COLOURS.get(status, "cyan"))


def orders_table(orders: Sequence[Order]) -> Table:
    """One line an order, in the order given."""
    table = _table("time", "id", "order", "status", "filled", "average", "why", right=("filled", "average"))
    for order in orders:
        table.add_row(
            f"{order.created_at.astimezone(IST):%H:%M:%S}",
            order.client_order_id,
            order.summary(),
            status_text(order.status),
            f"{order.filled_quantity}/{order.quantity}",
            str(order.average_price or ""),
            order.reasons[-1] if order.reasons else "",
        )
    return table


def order_lines(order: Order, link: str | None) -> Table:
    """All about one order."""
    rows: dict[str, str | Text] = {
        "order": order.summary(),
        "status": status_text(order.status),
        "filled": f"{order.filled_quantity} of {order.quantity}",
        "average price": str(order.average_price or "-"),
        "id": order.client_order_id,
        "order id": order.order_id,
        "account": f"{order.account} ({order.mode})",
        "strategy": order.strategy + (f": {order.reason}" if order.reason else ""),
        "broker order": order.broker_order_id or "-",
        "tag": order.tag,
        "created": f"{order.created_at.astimezone(IST):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " IST",
        "updated": f"{order.updated_at.astimezone(IST):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " IST",
    }
    rows |= {"workflow": link} if link else {}
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def events_table(events: Sequence[FeedEvent], with_order: bool = True) -> Table:
    columns = ["time", "order", "event", "what happened"]
    table = _table(*(columns if with_order else [c for c in columns if c != "order"]))
    for event in events:
        own = event.order_id.split(":", 2)[-1]
        cells = [f"{event.at.astimezone(IST):%H:%M:%S.%f}"[:-3], own, event.type.value, event.message]
        table.add_row(*(cells if with_order else [cells[0], *cells[2:]]))
    return table


def positions_table(lines: Sequence[PositionLine]) -> Table:
    figures = ("quantity", "average", "last", "realized", "unrealized")
    table = _table("account", "symbol", "product", *figures, right=figures)
    for line in lines:
        table.add_row(
            line.account,
            line.symbol,
            line.product,
            str(line.quantity),
            str(line.average_price if line.average_price is not None else ""),
            str(line.last_price if line.last_price is not None else ""),
            str(line.realized_pnl),
            str(line.unrealized_pnl if line.unrealized_pnl is not None else ""),
        )
    return table
