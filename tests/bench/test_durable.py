"""The measurement's report, from a run with a handful of orders. How fast they were is no business of a test."""

from typing import Any

import pytest

from bench.durable import OWN_CONNECTION, WORKERS_CONNECTION, measure
from bench.tables import durable_tables


@pytest.fixture(scope="module")
async def report() -> dict[str, Any]:
    return await measure({1: 2, 3: 3}, how_often=1, warm_up=1)


def rising(spread: dict[str, float], *names: str) -> bool:
    """Whether these percentiles, and no others, are there, above nothing, and none above the next."""
    figures = [spread[name] for name in names]
    return set(spread) == set(names) and figures[0] > 0 and figures == sorted(figures)


async def test_the_report_says_where_and_with_what_it_was_taken(report: dict[str, Any]) -> None:
    assert set(report) == {"date", "command", "machine", "versions", "durable"}
    assert {"cores", "cpu", "memory_gb"} <= set(report["machine"])
    assert report["machine"]["cores"] >= 1
    assert all(report["versions"][name] for name in ("python", "temporalio", "temporal_server", "durable_orders"))


async def test_every_figure_is_there(report: dict[str, Any]) -> None:
    durable = report["durable"]
    assert durable["throughput_ratio_to_bare_workflow"] > 0
    assert rising(durable["intent_to_exchange_ms"], "p50", "p95", "p99")
    assert rising(durable["bare_workflow_ms"], "p50", "p95", "p99")
    assert set(durable["cpu_ms"]) == {"bare", "frame", "order"}
    assert all(cpu["server"] > 0 and cpu["worker_and_client"] > 0 for cpu in durable["cpu_ms"].values())
    for case in durable["cases"]:
        assert case["orders_per_second"] > 0
        assert case["bare_per_second"] > 0
        assert case["frame_ratio"] > 0
        assert rising(case["intent_to_exchange_ms"], "p50", "p95", "p99")
        assert rising(case["intent_to_end_ms"], "p50", "p95", "p99")
        assert case["intent_to_exchange_ms"]["p50"] < case["intent_to_end_ms"]["p50"]


async def test_a_case_for_each_concurrency_and_way_to_start(report: dict[str, Any]) -> None:
    cases = [(case["concurrency"], case["started_over"], case["orders"]) for case in report["durable"]["cases"]]
    ways = (OWN_CONNECTION, WORKERS_CONNECTION)
    assert cases == [(1, ways[0], 2), (1, ways[1], 2), (3, ways[0], 3), (3, ways[1], 3)]


async def test_a_market_order_takes_at_most_sixteen_events(report: dict[str, Any]) -> None:
    assert 5 < report["durable"]["history_events_per_market_order"] <= 16


async def test_the_report_can_be_shown(report: dict[str, Any]) -> None:
    assert [table.row_count for table in durable_tables(report)] == [4, 7]
