"""A backtest's figures as one HTML file that needs nothing else, with the plots of plotly."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from durable_orders.backtest.figures import BPS, Figures, RefusedLine, TradeLine, TripLine
from durable_orders.backtest.table import summary
from durable_orders.cli.render import rupees
from durable_orders.trading.backtest.play import Played
from durable_orders.trading.orders.order import Side

GREEN, RED, BLUE, GREY = "#1a7f37", "#cf222e", "#0969da", "#8c959f"
FILL_RED = "rgba(207,34,46,0.18)"
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1f2328;max-width:1200px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p.when{color:#59636e;margin:.2rem 0 1.2rem}
.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:0 0 1rem}.card{border:1px solid #d1d9e0;border-radius:8px;
padding:.6rem 1rem;min-width:9rem}.card b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
.card span{color:#59636e;font-size:.85rem}.good{color:#1a7f37}.bad{color:#cf222e}
.failure{background:#ffebe9;border:1px solid #cf222e;border-radius:8px;padding:.6rem 1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
td,th{padding:.25rem .6rem;white-space:nowrap;border-bottom:1px solid #eaeef2;text-align:left}
td.n,th.n{text-align:right}
.wide{overflow-x:auto}
"""


def write_page(path: Path, played: Played, figures: Figures) -> None:
    """Raises `OSError`."""
    path.write_text(_page(played, figures), encoding="utf-8")


def _page(played: Played, figures: Figures) -> str:
    plots = _plots(played, figures).to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    failure = f'<p class="failure">Stopped: {escape(figures.failure)}</p>' if figures.failure else ""
    rows = "".join(
        f'<tr><th>{escape(name)}</th><td class="n">{escape(value)}</td><td>{escape(remark)}</td></tr>'
        for name, value, remark in summary(figures)
    )
    name = escape(figures.strategy)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}: backtest</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f'<h1>{name}</h1><p class="when">Backtest, {escape(summary(figures)[0][2])}</p>{failure}'
        f'<div class="cards">{_cards(figures)}</div>{plots}{_slippage(figures.trades)}'
        f'<h2>Figures</h2><div class="wide"><table>{rows}</table></div>'
        f'<h2>Trades</h2><div class="wide"><table>{_trade_rows(figures.trades)}</table></div>'
        f"{_trips(figures.trips)}{_refused(figures.refused)}{_notes(figures.notes)}</body></html>\n"
    )


def _cards(figures: Figures) -> str:
    def card(name: str, amount: Decimal, *, signed: bool) -> str:
        kind = ("good" if amount > 0 else "bad" if amount < 0 else "") if signed else ""
        return f'<div class="card"><b class="{kind}">{amount:,.2f}</b><span>{name}</span></div>'

    return (
        card("net profit, rupees", figures.net_profit, signed=True)
        + card("before charges", figures.gross_profit, signed=True)
        + card("charges", figures.charges.total, signed=False)
        + card("largest drawdown", figures.max_drawdown, signed=False)
        + card("slippage", figures.slippage, signed=False)
    )


def _plots(played: Played, figures: Figures) -> go.Figure:
    symbols = [symbol for symbol in played.prices if any(line.symbol == symbol for line in figures.trades)]
    titles = ("Equity (rupees)", "Drawdown (rupees)", *(f"{symbol} and its trades" for symbol in symbols))
    heights = [0.4, 0.2, *([0.4] * len(symbols))]
    figure = make_subplots(
        rows=len(titles), cols=1, shared_xaxes=True, vertical_spacing=0.07, subplot_titles=titles, row_heights=heights
    )
    _add_curve(figure, figures)
    for row, symbol in enumerate(symbols, 3):
        _add_prices(figure, row, played, symbol, [line for line in figures.trades if line.symbol == symbol])
    figure.update_layout(
        template="plotly_white",
        height=300 + 260 * len(titles),
        margin={"l": 70, "r": 20, "t": 40, "b": 40},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.06, "x": 0},
    )
    figure.update_yaxes(tickformat=",")
    days = {point.at.date() for point in figures.curve}
    if len(days) > 1:
        figure.update_xaxes(rangebreaks=[{"bounds": ["sat", "mon"]}, {"bounds": [15.5, 9.25], "pattern": "hour"}])
    return figure


def slippage_plot(of_orders: Sequence[float]) -> go.Figure:
    """How many orders slipped by how many basis points of their arrival price."""
    figure = go.Figure(go.Histogram(x=of_orders, marker_color=BLUE))
    figure.update_layout(title="Slippage against arrival (basis points), orders", height=320, template="plotly_white")
    return figure


def _slippage(lines: Sequence[TradeLine]) -> str:
    """A plot of it; nothing where no arrival price is known."""
    found = [
        float(line.side.sign * (line.average_price - line.arrival_price) / line.arrival_price * BPS)
        for line in lines
        if line.arrival_price
    ]
    if not found:
        return ""
    return str(slippage_plot(found).to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False}))


def _add_curve(figure: go.Figure, figures: Figures) -> None:
    times = [_local(point.at) for point in figures.curve]
    lines = {
        "before charges": ([float(point.gross) for point in figures.curve], GREY),
        "after charges": ([float(point.equity) for point in figures.curve], BLUE),
    }
    for name, (values, colour) in lines.items():
        figure.add_trace(go.Scatter(x=times, y=values, name=name, line={"color": colour, "width": 1.8}), row=1, col=1)
    drawdown = [float(point.drawdown) for point in figures.curve]
    style = {"fill": "tozeroy", "fillcolor": FILL_RED, "line": {"color": RED, "width": 1.2}}
    figure.add_trace(go.Scatter(x=times, y=drawdown, name="drawdown", showlegend=False, **style), row=2, col=1)


def _add_prices(figure: go.Figure, row: int, played: Played, symbol: str, lines: list[TradeLine]) -> None:
    prices = played.prices[symbol]
    xs, ys = [_local(at) for at, _ in prices], [price for _, price in prices]
    line = {"color": GREY, "width": 1.2}
    figure.add_trace(go.Scatter(x=xs, y=ys, name="last price", line=line, showlegend=False), row=row, col=1)
    for side, colour, shape in ((Side.BUY, GREEN, "triangle-up"), (Side.SELL, RED, "triangle-down")):
        mine = [line for line in lines if line.side is side]
        marker = {"color": colour, "symbol": shape, "size": 10, "line": {"color": "white", "width": 1}}
        figure.add_trace(
            go.Scatter(
                x=[_local(line.at) for line in mine],
                y=[float(line.average_price) for line in mine],
                name=side.value.lower(),
                legendgroup=side.value,
                showlegend=row == 3,
                mode="markers",
                marker=marker,
                text=[f"{line.quantity} at {line.average_price:.2f}" for line in mine],
                hovertemplate="%{text}",
            ),
            row=row,
            col=1,
        )


def _trade_rows(lines: list[TradeLine]) -> str:
    names = ("time (IST)", "order", "side", "symbol")
    figures = ("quantity", "average", "arrival", "slippage", "charges", "realized", "position")
    head = "".join(f"<th>{name}</th>" for name in names) + "".join(f'<th class="n">{name}</th>' for name in figures)
    head += "<th>why</th>"
    rows = [f"<tr>{head}</tr>"]
    for line in lines:
        words = (f"{line.at:%Y-%m-%d %H:%M:%S}", line.client_order_id, line.side.value, line.symbol)
        amounts = (line.average_price, line.arrival_price, line.slippage, line.charges, line.realized)
        numbers = (str(line.quantity), *(rupees(amount) for amount in amounts), str(line.position))
        cells = "".join(f"<td>{escape(word)}</td>" for word in words)
        cells += "".join(f'<td class="n">{number}</td>' for number in numbers)
        rows.append(f"<tr>{cells}<td>{escape(line.reason)}</td></tr>")
    return "".join(rows)


def _trips(lines: list[TripLine]) -> str:
    if not lines:
        return ""
    rows = ["<tr><th>time (IST)</th><th>breaker</th><th>why</th><th>what it did</th></tr>"]
    for line in lines:
        words = (f"{line.at:%Y-%m-%d %H:%M:%S}", line.cause, line.why, line.done)
        rows.append(f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in words)}</tr>")
    return f'<h2>Breakers</h2><div class="wide"><table>{"".join(rows)}</table></div>'


def _refused(lines: list[RefusedLine]) -> str:
    if not lines:
        return ""
    rows = ["<tr><th>time (IST)</th><th>order</th><th>side</th><th>symbol</th><th>quantity</th><th>why</th></tr>"]
    for line in lines:
        words = (f"{line.at:%Y-%m-%d %H:%M:%S}", line.client_order_id, line.side.value, line.symbol)
        cells = "".join(f"<td>{escape(word)}</td>" for word in words)
        rows.append(f'<tr>{cells}<td class="n">{line.quantity}</td><td>{escape(line.why)}</td></tr>')
    return f'<h2>Rejected</h2><div class="wide"><table>{"".join(rows)}</table></div>'


def _notes(lines: list[str]) -> str:
    return f"<h2>Notes</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _local(at: object) -> str:
    """The time as IST shows it: plotly would turn an aware one into the browser's."""
    return f"{at:%Y-%m-%d %H:%M:%S}"
