"""The figures as tables."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def heading(report: Mapping[str, Any]) -> str:
    """The machine and the versions, in one line."""
    machine, versions = report["machine"], report["versions"]
    return (
        f"{machine['cores']} cores {machine['cpu']}, {machine['memory_gb']} GB; Python {versions['python']}, "
        f"temporalio {versions['temporalio']}, Temporal server {versions['temporal_server']}"
    )


def durable_tables(report: Mapping[str, Any]) -> list[Table]:
    return [_cases(report), _summary(report["durable"])]


def _cases(report: Mapping[str, Any]) -> Table:
    table = Table(
        title="Paper market orders against bare workflows (start, one task, end)",
        caption=f"{heading(report)}. Both are started alike: Orders.place calls start_workflow with "
        "request_eager_start, which the server grants over the worker's own connection only. Milliseconds as "
        "p50 / p95 / p99. The ratio is orders a second to bare workflows a second, the median over the rounds; a frame "
        "has an order's steps with nothing in them, so its ratio is the most that an order's could be.",
    )
    table.add_column("started over")
    for column in (
        "at once",
        "orders/s",
        "bare/s",
        "ratio",
        "frame's ratio",
        "intent to exchange",
        "intent to end",
        "bare workflow",
    ):
        table.add_column(column, justify="right")
    for case in report["durable"]["cases"]:
        table.add_row(
            case["started_over"],
            str(case["concurrency"]),
            f"{case['orders_per_second']:.1f}",
            f"{case['bare_per_second']:.1f}",
            f"{case['throughput_ratio']:.2f}",
            f"{case['frame_ratio']:.2f}",
            *(_slashed(case[name]) for name in ("intent_to_exchange_ms", "intent_to_end_ms", "bare_workflow_ms")),
        )
    return table


def _summary(durable: Mapping[str, Any]) -> Table:
    ratio = durable["intent_to_exchange_ms"]["p50"] / durable["bare_workflow_ms"]["p50"]
    table = Table(show_header=False)
    lowest = durable["throughput_ratio_to_bare_workflow"], durable["throughput_ratio_to_bare_workflow_eager"]
    table.add_row("lowest throughput ratio, own / worker's connection", f"{lowest[0]:.2f} / {lowest[1]:.2f}")
    table.add_row("the same of an empty frame, own connection", f"{durable['throughput_ratio_of_empty_frame']:.2f}")
    table.add_row("intent to exchange / bare workflow, one at a time, p50", f"{ratio:.2f}")
    table.add_row(
        "history events per market order (most / typical)",
        f"{durable['history_events_per_market_order']} / {durable['history_events_typical']:g}",
    )
    for kind, cpu in durable["cpu_ms"].items():
        what = {"bare": "a bare workflow", "frame": "a frame", "order": "an order"}[kind]
        table.add_row(
            f"CPU of {what}: server's / worker's and client's",
            f"{cpu['server']:.0f} / {cpu['worker_and_client']:.0f} ms",
        )
    return table


def _slashed(spread: Mapping[str, float]) -> str:
    return " / ".join(f"{value:.0f}" for value in spread.values())


def scale_table(report: Mapping[str, Any]) -> Table:
    scale = report["scale"]
    memory, idle, restart = scale["memory"], scale["idle"], scale["restart"]
    table = Table(
        title=f"{scale['orders']} resting orders in one worker", caption=f"{heading(report)}.", show_header=False
    )
    placing = scale["placing"]
    table.add_row("placed, all of them", f"{placing['seconds']:.0f} s, {placing['orders_per_second']:.1f} a second")
    table.add_row(
        "worker's memory before / after", f"{memory['before']['worker_mb']:.0f} / {memory['after']['worker_mb']:.0f} MB"
    )
    table.add_row("a resting order's memory", f"{memory['worker_bytes_per_open_order'] / 1024:.0f} KB")
    for words, name in (("with no orders", "without_orders"), ("with all of them", "with_orders")):
        idling = idle[name]
        reads = ", ".join(f"{count:g} {read}" for read, count in idling["reads_per_interval"].items())
        table.add_row(
            f"idle {words}: worker's / server's CPU",
            f"{idling['worker_cpu_percent']:.1f} / {idling['server_cpu_percent']:.1f} % of a core",
        )
        table.add_row(f"idle {words}: broker reads an interval", reads)
    ticks = scale["tick_to_recorded_ms"]
    table.add_row(
        f"tick to fill recorded, p50 / p99 of {ticks['fills']}", f"{ticks['p50']:.0f} / {ticks['p99']:.0f} ms"
    )
    table.add_row("killed and started again: ready to work", f"{restart['worker_ready_seconds']:.1f} s")
    table.add_row("... book read", f"{restart['book_read_seconds']:.1f} s")
    table.add_row("... every order compared with it", f"{restart['whole_look_done_seconds']:.1f} s")
    again = restart["tick_to_recorded_ms"]
    table.add_row("... then, tick to fill recorded, p50 / p99", f"{again['p50']:.0f} / {again['p99']:.0f} ms")
    return table
