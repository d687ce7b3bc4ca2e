"""The quality of execution as one HTML file that needs nothing else."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any

import plotly.graph_objects as go

from durable_orders.backtest.page import BLUE, STYLE, slippage_plot
from durable_orders.cli.render import rupees
from durable_orders.execution_quality import Line
from durable_orders.trading.quality.measures import HORIZONS, weighted_mean


def page(told: Sequence[Line], columns: Sequence[str], found: Sequence[Line]) -> str:
    """`told` are the lines of the table, `found` all orders, which the plots show; without them there are none."""
    plots = "".join(
        figure.to_html(full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False})
        for number, figure in enumerate((_slippage(found), _markouts(found)) if found else ())
    )
    counted = f"{len(found)} orders" if found else f"{len(told)} lines"
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in columns)
    rows = "".join(f"<tr>{''.join(_cell(line[name]) for name in columns)}</tr>" for line in told)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Quality of execution</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f'<h1>Quality of execution</h1><p class="when">{counted}</p>{plots}'
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div></body></html>\n'
    )


def _slippage(found: Sequence[Line]) -> go.Figure:
    return slippage_plot([float(line["slippage_bps"]) for line in found if line["slippage_bps"] is not None])


def _markouts(found: Sequence[Line]) -> go.Figure:
    means = {
        seconds: weighted_mean((line[f"markout_{seconds}s_bps"], line["turnover"]) for line in found)
        for seconds in HORIZONS
    }
    known = {seconds: float(mean) for seconds, mean in means.items() if mean is not None}
    figure = go.Figure(go.Scatter(x=list(known), y=list(known.values()), mode="lines+markers", line_color=BLUE))
    figure.update_layout(title="Mean markout (basis points) after so many seconds", height=320, template="plotly_white")
    return figure


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    shown = "" if value is None else rupees(value) if isinstance(value, Decimal) else str(value)
    return f'<td class="n">{shown}</td>'
