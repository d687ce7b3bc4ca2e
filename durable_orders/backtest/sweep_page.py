"""A sweep's results as one HTML file that needs nothing else: a heat map of two parameters, and the table of all."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from durable_orders.backtest.page import STYLE
from durable_orders.backtest.trials import Result, best_first
from durable_orders.backtest.walk_forward import WalkForward
from durable_orders.backtest.walk_table import HEADINGS, cells_of, total
from durable_orders.cli.render import rupees


def write_sweep(path: Path, name: str, results: Sequence[Result]) -> None:
    """Raises `OSError`."""
    rows = f"<h2>All combinations, best first</h2>{_wide(_rows(results))}"
    _write(path, f"{name}: sweep", name, f"Sweep of {len(results)} combinations", _plot(results), rows)


def write_walk_forward(path: Path, name: str, walked: WalkForward) -> None:
    """A bar for each window in and out of sample, and the table. Raises `OSError`."""
    head = "".join(f"<th>{escape(each)}</th>" for each in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells_of(step)) + "</tr>" for step in walked.steps
    )
    when = f"Walk-forward of {len(walked.steps)} windows, {walked.combinations} combinations each"
    rows = f"<p>{escape(total(walked))}</p><h2>All windows</h2>{_wide(f'<tr>{head}</tr>{body}')}"
    _write(path, f"{name}: walk-forward", name, when, _bars(walked), rows)


def _write(path: Path, title: str, name: str, when: str, figure: go.Figure, rows: str) -> None:
    plot = figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f'<h1>{escape(name)}</h1><p class="when">{when}</p>{plot}{rows}</body></html>\n',
        encoding="utf-8",
    )


def _wide(rows: str) -> str:
    return f'<div class="wide"><table>{rows}</table></div>'


def _bars(walked: WalkForward) -> go.Figure:
    """Net profit a day, so that windows of other lengths compare."""
    figure = go.Figure()
    days = [f"{step.window.out_of_sample.first:%d %b %Y}" for step in walked.steps]
    inside = [
        float(step.in_sample.net_profit / step.window.in_sample_days) if step.in_sample else None
        for step in walked.steps
    ]
    outside = [
        float(step.out_of_sample.net_profit / step.window.out_of_sample_days)
        if step.out_of_sample and step.stopped is None
        else None
        for step in walked.steps
    ]
    figure.add_bar(x=days, y=inside, name="in sample")
    figure.add_bar(x=days, y=outside, name="out of sample")
    figure.update_layout(
        template="plotly_white", height=560, xaxis_title="out of sample from", yaxis_title="Net profit a day (rupees)"
    )
    return figure


def _plot(results: Sequence[Result]) -> go.Figure:
    """Net profit over the first two parameters, of any others the best; over one as a line."""
    names = list(results[0].values)
    across = list(dict.fromkeys(each.values[names[0]] for each in results))
    title = "Net profit (rupees)"
    if len(names) == 1:
        figure = go.Figure(go.Scatter(x=across, y=[float(each.net_profit) for each in results], mode="lines+markers"))
        figure.update_layout(xaxis_title=names[0], yaxis_title=title)
    else:
        down = list(dict.fromkeys(each.values[names[1]] for each in results))
        best: dict[tuple[str, str], Decimal] = {}
        for each in results:
            key = each.values[names[0]], each.values[names[1]]
            best[key] = max(best.get(key, each.net_profit), each.net_profit)
        cells = [[float(best[x, y]) for x in across] for y in down]
        scale = {"colorscale": "RdYlGn", "zmid": 0, "colorbar": {"title": title}}
        figure = go.Figure(go.Heatmap(x=across, y=down, z=cells, texttemplate="%{z:,.0f}", **scale))
        further = f"; the best over {', '.join(names[2:])}" if names[2:] else ""
        figure.update_layout(xaxis_title=names[0], yaxis_title=names[1], title=title + further)
    figure.update_xaxes(type="category")
    if len(names) > 1:
        figure.update_yaxes(type="category")
    figure.update_layout(template="plotly_white", height=560)
    return figure


def _rows(results: Sequence[Result]) -> str:
    names = list(results[0].values)
    figures = ("net profit", "before charges", "charges", "largest drawdown", "orders", "won", "lost")
    head = "".join(f'<th class="n">{escape(each)}</th>' for each in (*names, *figures))
    rows = [f"<tr>{head}<th>stopped</th></tr>"]
    for each in best_first(results):
        amounts = (each.net_profit, each.gross_profit, each.charges, each.max_drawdown)
        counts = (each.orders, each.wins, each.losses)
        cells = [*each.values.values(), *(rupees(amount) for amount in amounts), *map(str, counts)]
        numbers = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
        rows.append(f"<tr>{numbers}<td>{escape(each.stopped or '')}</td></tr>")
    return "".join(rows)
