"""The core's figures as a terminal shows them."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table


def tables(core: Mapping[str, Any]) -> list[Table]:
    """Every case of every engine, and what they come to beside the goals."""
    table = Table(
        box=None,
        pad_edge=False,
        collapse_padding=True,
        title="The core: a strategy's orders through guardian and paper exchange to their end",
        caption=f"{core['machine']['cores']} cores {core['machine']['cpu']}, of which one is used; Python "
        f"{core['versions']['python']}. Ten orders a tick; CPU time of the process, the median of {core['rounds']} "
        "rounds, but of the largest case one. p50 and p99 in us; bytes that an ended order keeps.",
    )
    for column in ("engine", "orders"):
        table.add_column(column)
    for column in ("count", "orders/s", "us each", "p50", "p99", "bytes"):
        table.add_column(column, justify="right")
    missing = []
    for engine, case in _cases(core):
        kind, count = case["kind"].replace("_and_", "+"), f"{case['orders']:,}"
        if "missing" in case:
            table.add_row(engine, kind, count, "missing")
            missing.append(f"{engine}, {kind}, {count} orders: {case['missing']}")
        else:
            table.add_row(engine, kind, count, *_figures(case))
    return [table, _summary(core, missing)]


def _cases(core: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for case in core["cases"]:
        yield "durable-orders", case
    for name, peer in core["peers"].items():
        for case in peer.values():
            yield f"{name} {case.get('version', '')}".strip(), case


def _figures(case: Mapping[str, Any]) -> tuple[str, ...]:
    rate, latency = case["orders_per_second"], case.get("latency_us")
    percentiles = [f"{latency[name]:.0f}" if latency else "" for name in ("p50", "p99")]
    return f"{rate:,.0f}", f"{1e6 / rate:.1f}", *percentiles, str(case.get("bytes_per_order", ""))


def _summary(core: Mapping[str, Any], missing: list[str]) -> Table:
    rows = {
        "market orders a second (goal: 20,000)": ("orders_per_second", ",.0f"),
        "cost of an order, 100,000 to 1,000 (goal: not growing)": ("cost_ratio_100k_to_1k", ""),
        "bytes an ended order keeps (goal: under 1,024)": ("bytes_per_order", ","),
    }
    table = Table(show_header=False)
    for name, (key, shape) in rows.items():
        table.add_row(name, "missing" if core[key] is None else format(core[key], shape))
    for line in missing:
        table.add_row("missing", line)
    return table
