"""The pages of strategies: their runs, backtest reports and sweeps, as the home has them."""

from typing import Any

from fastapi import APIRouter, Request, Response

from durable_orders.backtest.kept import REPORTS, SWEEPS, content_of, file_named, names_in, results_of
from durable_orders.running.runs import runs_of
from durable_orders.web.api import DeskOf
from durable_orders.web.login import Looks
from durable_orders.web.pages import frame
from durable_orders.web.view import page

LISTED = 100
"""Runs that are listed."""
ROWS = 200
"""Combinations of a sweep that are shown."""
ALONE = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
"""A report has scripts of its own. They run as those of no site: they see no cookie, and reach nothing."""

router = APIRouter(include_in_schema=False)


@router.get("/strategies")
async def strategies(request: Request, desk: DeskOf, visitor: Looks, part: bool = False) -> Response:
    """The runs of strategies, newest first."""
    runs = await desk.work(lambda: runs_of(desk.home, LISTED))
    running = await desk.work(lambda: {run.strategy for run in runs if desk.home.is_running(run.strategy)})
    newest = {run.strategy: run.began_at for run in reversed(runs)}
    content: dict[str, Any] = {"runs": runs, "running": running, "newest": newest}
    if part:
        return page(request, "runs.html", visitor=visitor, **content)
    return page(request, "strategies.html", here="strategies", **await frame(desk, visitor), **content)


@router.get("/backtests")
async def backtests(request: Request, desk: DeskOf, visitor: Looks) -> Response:
    """Reports and sweeps, newest first."""
    reports = await desk.work(lambda: names_in(desk.home, REPORTS))
    sweeps = await desk.work(lambda: names_in(desk.home, SWEEPS))
    content: dict[str, Any] = {"reports": reports, "sweeps": sweeps, "folder": desk.home.path / REPORTS}
    return page(request, "backtests.html", here="backtests", **await frame(desk, visitor), **content)


@router.get("/backtests/report/{name}")
async def report(name: str, desk: DeskOf, _visitor: Looks) -> Response:
    """A report as it was written, as a page of its own."""
    path = await desk.work(lambda: file_named(desk.home, REPORTS, name))
    text = await desk.work(lambda: content_of(path))
    headers = {"Content-Security-Policy": ALONE, "Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type="text/html; charset=utf-8")


@router.get("/backtests/sweep/{name}")
async def sweep(request: Request, name: str, desk: DeskOf, visitor: Looks) -> Response:
    """What each combination of a sweep has come to, best first. One file may have those of several parameters."""
    results = await desk.work(lambda: results_of(file_named(desk.home, SWEEPS, name)))
    names = list(dict.fromkeys(name for result in results for name in result.values))
    content: dict[str, Any] = {"swept": name, "results": results[:ROWS], "names": names, "count": len(results)}
    return page(request, "sweep.html", here="backtests", **await frame(desk, visitor), **content)
