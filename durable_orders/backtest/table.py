"""A backtest's figures as a terminal shows them."""

from collections.abc import Iterable

from rich.table import Table

from durable_orders.backtest.figures import Figures, RefusedLine, TradeLine
from durable_orders.cli.fitting import FittingTable
from durable_orders.cli.render import rupees
from durable_orders.trading.charges.fees import Charges

NAMES = {
    "brokerage": "brokerage",
    "transaction_tax": "STT/CTT",
    "exchange_turnover_charge": "exchange",
    "sebi_turnover_charge": "SEBI",
    "stamp_duty": "stamp duty",
    "gst": "GST",
}
SHOWN = 20
"""Trades in the table; the report and `--json` have all."""


def summary_table(figures: Figures) -> Table:
    """What it came to, a line for each figure."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for name, value, remark in summary(figures):
        table.add_row(name, value, remark)
    return table


def summary(figures: Figures) -> list[tuple[str, str, str]]:
    """Name, figure and remark."""
    statuses = ", ".join(f"{count} {status.value.lower()}" for status, count in figures.by_status.items())
    bps = f"{figures.slippage_bps} bps" if figures.slippage_bps is not None else ""
    rows = [
        ("ticks", f"{figures.ticks:,}", _times(figures)),
        ("orders", f"{figures.orders:,}", statuses),
        ("turnover", rupees(figures.turnover), "rupees"),
        ("profit before charges", rupees(figures.gross_profit), f"{figures.wins} won, {figures.losses} lost"),
        ("charges", rupees(figures.charges.total), charged(figures.charges)),
        ("net profit", rupees(figures.net_profit), ""),
        ("largest drawdown", rupees(figures.max_drawdown), ""),
        ("slippage", rupees(figures.slippage), f"{bps} against the price on arrival".strip()),
    ]
    if figures.funds is not None:
        rows.append(("funds at the end", rupees(figures.funds.available), f"{rupees(figures.funds.utilised)} bound"))
    rows += [
        ("tripped", f"{trip.at:%d %b %H:%M:%S}", f"{trip.cause}: {trip.why}: {trip.done}") for trip in figures.trips
    ]
    rows += [("rejected", str(count), why) for why, count in figures.refusals.items()]
    if figures.uncharged:
        rows.append(("not charged", str(len(figures.uncharged)), "; ".join(figures.uncharged.values())))
    return rows


def charged(charges: Charges) -> str:
    """What the charges are made of."""
    parts = {name: getattr(charges, field) for field, name in NAMES.items()}
    return ", ".join(f"{name} {rupees(amount)}" for name, amount in parts.items() if amount)


def trades_table(lines: Iterable[TradeLine]) -> Table:
    """One line for each order that traded."""
    figures = ("quantity", "average", "slippage", "charges", "realized", "position")
    table = FittingTable(box=None, pad_edge=False, header_style="bold")
    for column in ("time (IST)", "side", "symbol", *figures):
        table.add_column(column, justify="right" if column in figures else "left", no_wrap=True)
    lines = list(lines)
    if any(line.reason for line in lines):
        table.add_column("why", overflow="fold")
    for line in lines:
        amounts = (line.slippage, line.charges, line.realized)
        table.add_row(
            f"{line.at:%d %b %H:%M:%S}",
            line.side.value,
            line.symbol,
            str(line.quantity),
            rupees(line.average_price),
            *(rupees(amount) for amount in amounts),
            str(line.position),
            *([line.reason] if len(table.columns) > len(figures) + 3 else []),
        )
    return table


def refused_table(lines: Iterable[RefusedLine]) -> Table:
    """One line for each order that was rejected."""
    table = FittingTable(box=None, pad_edge=False, header_style="bold")
    for column in ("time (IST)", "side", "symbol", "quantity"):
        table.add_column(column, justify="right" if column == "quantity" else "left", no_wrap=True)
    table.add_column("rejected", overflow="fold")
    for line in lines:
        table.add_row(f"{line.at:%d %b %H:%M:%S}", line.side.value, line.symbol, str(line.quantity), line.why)
    return table


def _times(figures: Figures) -> str:
    if figures.first is None or figures.last is None:
        return ""
    same_day = figures.first.date() == figures.last.date()
    end = f"{figures.last:%H:%M}" if same_day else f"{figures.last:%d %b %Y %H:%M}"
    return f"{figures.first:%d %b %Y %H:%M} to {end} IST"
