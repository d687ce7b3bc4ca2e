"""Orders, events and positions as a terminal shows them. Ids and links stay whole; the last column takes the wrap."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from durable_orders.cli.app import as_given
from durable_orders.cli.fitting import FittingTable
from durable_orders.json_text import rupees as rupees
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.reading import FeedEvent
from durable_orders.trading.orders.decision import sign_off_words
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, Status

if TYPE_CHECKING:
    from durable_orders.finding import Finding
    from durable_orders.portfolio import Portfolio, PositionLine, StrategyLine, StrategyResult, Totals

COLOURS = {
    Status.FILLED: "green",
    Status.REJECTED: "red",
    Status.UNKNOWN: "bold red",
    Status.CANCELLED: "yellow",
    Status.EXPIRED: "yellow",
}
DRY_RUN = "[dry run] "
"""In front of an order that is never sent, and of each of its events."""
FOUND = "found in the order book as"
LONGEST_EVENT = len("order_partially_filled")
STAMP = len("09:15:00.000") + LONGEST_EVENT + 4
"""Columns in front of what an event says."""
ORDER_FIGURES = 42
"""Columns in front of an order in a list, about."""
WITH_CHARGES = 96
"""Columns that a table of positions takes with its charges."""
LABEL = 15
"""Columns of the names in front of an order's figures."""


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = FittingTable(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        last = column == columns[-1]
        table.add_column(column, justify="right" if column in right else "left", no_wrap=not last, overflow="fold")
    return table


def _plain(text: str) -> Text:
    """What brokers and strategies wrote, without what would break a line or steer a terminal."""
    return Text("".join(character if character.isprintable() else " " for character in text))


def status_text(status: Status) -> Text:
    return Text(status.value, style=COLOURS.get(status, "cyan"))


def moment(at: datetime, *, milliseconds: bool = False) -> str:
    """In IST: today's by the second or finer, another day's by its date."""
    local = at.astimezone(IST)
    if local.date() != datetime.now(IST).date():
        return f"{local:%d %b %H:%M}"
    return f"{local:%H:%M:%S.%f}"[:-3] if milliseconds else f"{local:%H:%M:%S}"


def exact(at: datetime) -> str:
    return f"{at.astimezone(IST):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " IST"


def orders_table(orders: Sequence[Order], width: int = 80) -> Table:
    """One line an order, in the order given; on a narrow terminal a long id stands above what it is the id of."""
    table = _table("time", "status", "filled", "average", "order", right=("filled", "average"))
    longest = max((len(order.client_order_id) for order in orders), default=0)
    for order in orders:
        why = "; ".join(order.reasons if order.status is Status.REJECTED else order.reasons[-1:])
        if order.awaits_approval and order.approval is not None:
            why = "; ".join(each for each in (sign_off_words(order.approval), why) if each)
        said = f"{DRY_RUN if order.dry_run else ''}{order.summary()}  {why}".rstrip()
        table.add_row(
            moment(order.created_at),
            status_text(order.status),
            f"{order.filled_quantity}/{order.quantity}",
            rupees(order.average_price),
            _after_id(order.client_order_id, longest, said, width - ORDER_FIGURES),
        )
    return table


def order_text(order: Order, link: str | None) -> Text:
    """All about one order. To be printed with `soft_wrap`, so that the link can be clicked and copied."""
    asked = "  (cancel requested)" if order.cancel_requested and not order.status.terminal else ""
    average = f" at {rupees(order.average_price)}" if order.fills else ""
    rows: dict[str, str | Text] = {
        "order": f"{DRY_RUN if order.dry_run else ''}{order.summary()}",
        "status": status_text(order.status).append(asked, style="yellow"),
        "filled": f"{order.filled_quantity} of {order.quantity}{average}",
        "id": order.client_order_id,
        "order id": order.order_id,
        "account": f"{order.account} ({order.mode})",
        "strategy": _plain(order.strategy + (f": {order.reason}" if order.reason else "")),
        "broker order": order.broker_order_id or "none yet",
        "tag": order.tag,
        "created": exact(order.created_at),
        "updated": exact(order.updated_at),
    }
    if order.approval is not None and (order.awaits_approval or order.approval.approved_by is not None):
        rows["approval"] = sign_off_words(order.approval)
    rows |= {"Temporal UI": link} if link else {}
    return Text("\n").join(Text(f"{name:<{LABEL}}", style="bold").append(value) for name, value in rows.items())


def _after_id(order_id: str, longest: int, text: str, room: int) -> Text:
    """The text beside its id, or below it where the ids take more than half of the room."""
    return _plain(order_id.ljust(longest)).append("  " if longest <= room // 2 else "\n").append(_plain(text))


def events_table(events: Sequence[FeedEvent], *, ids: int | None = None, header: bool = True, width: int = 80) -> Table:
    """One line an event. `ids` is the width of the order ids in front of what happened; `None` leaves them out."""
    table = _table("time (IST)", "event", "what happened" if ids is None else "order, and what happened")
    table.show_header = header
    table.columns[1].min_width = LONGEST_EVENT
    lost: dict[str, datetime] = {}
    for event in events:
        if event.type is EventType.ORDER_UNKNOWN:
            lost[event.order_id] = event.at
        words = f"{DRY_RUN if event.dry_run else ''}{_how_late(event, lost.get(event.order_id))}"
        said = _plain(words) if ids is None else _after_id(client_id(event), ids, words, width - STAMP)
        table.add_row(moment(event.at, milliseconds=True), event.type.value, said)
    return table


def _how_late(event: FeedEvent, lost: datetime | None) -> str:
    """The message; where a lost order was found, with how long that took."""
    if lost is None:
        return event.message
    return event.message.replace(
        FOUND, f"found in the order book {(event.at - lost).total_seconds():.1f} s later as", 1
    )


def client_id(event: FeedEvent) -> str:
    return event.order_id.split(":", 2)[-1]


def positions_table(lines: "Sequence[PositionLine]", width: int = 80) -> Table:
    """With what each has cost, if the terminal has room for it."""
    charged = width >= WITH_CHARGES
    figures = ("quantity", "average", "last", "realized", "unrealized", *(["charges"] if charged else []))
    table = _table("symbol", "product", *figures, right=figures)
    for line in lines:
        amounts = [line.average_price, line.last_price, line.realized_pnl, line.unrealized_pnl]
        amounts += [line.charges] if charged else []
        table.add_row(line.symbol, line.product, str(line.quantity), *(rupees(amount) for amount in amounts))
    return table


def strategies_table(found: "Portfolio") -> Table:
    """What each strategy's own trades came to, with a sum where there are several, and the account's."""
    amounts = ("realized", "unrealized", "charges", "after charges")
    table = _table("strategy", "symbol", "product", "quantity", *amounts, right=("quantity", *amounts))
    for each in found.strategies:
        for line in each.lines:
            own = (_plain(line.strategy), line.symbol, line.product, str(line.quantity))
            table.add_row(*own, *_earned(line))
        if len(each.lines) > 1:
            table.add_row(_plain(each.strategy), "in all", "", "", *_earned(each), style="bold")
    table.add_row("the account", "in all", "", "", *_earned(found.total), style="bold")
    return table


def _earned(line: "StrategyLine | StrategyResult | Totals") -> list[str]:
    return [rupees(amount) for amount in (line.realized_pnl, line.unrealized_pnl, line.charges, line.net_pnl)]


def unexplained_lines(lines: "Sequence[PositionLine]") -> list[Text]:
    """Of each position of which the broker has something else."""
    return [
        Text(
            as_given(
                f"NOT EXPLAINED: {line.symbol} {line.product}: {line.quantity} in the ledger, "
                f"{line.quantity + line.unexplained} at the broker (likely: {line.likely_cause}). No new risk in it "
                "until `durable-orders settle-position`."
            ),
            style="bold red",
        )
        for line in lines
        if line.unexplained
    ]


def result_text(every: "Totals") -> Text:
    """All positions and the day, a line each, and what is missing in them."""
    whole = {
        "realized": every.realized_pnl,
        "unrealized": every.unrealized_pnl,
        "charges": every.charges,
        "after charges": every.net_pnl,
    }
    day = {
        "realized": every.day_realized_pnl,
        "unrealized": every.day_unrealized_pnl,
        "charges": every.day_charges,
        "after charges": every.day_pnl,
    }
    text = Text("\n")
    for name, amounts in (("in all", whole), ("today (IST)", day)):
        said = (f"{what} {'not known' if amount is None else rupees(amount)}" for what, amount in amounts.items())
        text.append(f"{name:<{LABEL}}", style="bold").append(f"{', '.join(said)}\n")
    if every.uncharged_fills:
        text.append(f"The charges of {every.uncharged_fills} fills are not known.\n", style="yellow")
    text.rstrip()
    return text


def findings_table(findings: "Sequence[Finding]") -> Table:
    table = _table("", "what", "how it is")
    table.show_header = False
    for finding in findings:
        mark = Text("ok", style="green") if finding.healthy else Text("NOT OK", style="bold red")
        table.add_row(mark, finding.name, _plain(as_given(finding.detail)))
    return table
