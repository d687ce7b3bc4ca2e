"""What durability costs: whole paper orders against bare workflows, on one server, in one run.

`python -m bench.durable` prints a table; with `--keep` it writes `bench/latest.json`.
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from temporalio.client import Client

from bench import ground
from bench.machine import circumstances
from bench.report import add_keep, keep
from bench.rounds import Placed, Round, one_round
from bench.sampling import at_once, progress_bar, spread
from bench.tables import durable_tables
from durable_orders.trading.ledger.tables import exchange_orders

CONCURRENCIES = {1: 40, 16: 96, 48: 144}
"""How many at once, and how many of each kind there are in a round."""
ROUNDS = 5
WARM_UP = 24
OWN_CONNECTION, WORKERS_CONNECTION = "its own connection", "the worker's connection"
"""How a start comes to the server. Every client of `Orders.connect` has a connection of its own, and the server hands
its workflow's first task to a poller. Over the worker's connection, that task comes with the answer (eager start)."""

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    started_over: str
    concurrency: int
    rounds: Sequence[Round]

    @property
    def placed(self) -> list[Placed]:
        return [placed for each in self.rounds for placed in each.orders.results]


async def measure(concurrencies: Mapping[int, int], how_often: int, warm_up: int = WARM_UP) -> dict[str, Any]:
    """The whole report: circumstances, and the figures under `durable`."""
    async with ground.running() as place:
        report = await circumstances(place.client)
        starters = {OWN_CONNECTION: place.stranger, WORKERS_CONNECTION: place.client}
        with progress_bar(console) as progress:
            task = progress.add_task("warming up", total=3 * how_often * len(starters) * sum(concurrencies.values()))
            for client in starters.values():
                await one_round(place, client, 8, warm_up, lambda: None)
            cases = []
            for concurrency, count in concurrencies.items():
                for name, client in starters.items():
                    progress.update(task, description=f"{concurrency} at once, {name}")
                    made = [
                        await one_round(place, client, concurrency, count, lambda: progress.advance(task))
                        for _ in range(how_often)
                    ]
                    cases.append(Case(name, concurrency, made))
        return report | {"durable": await _figures(place, cases)}


async def _figures(place: ground.Ground, cases: Sequence[Case]) -> dict[str, Any]:
    orders = place.orders(place.client)
    exchange = await orders.read(placed_at)
    details = [_details(case, exchange) for case in cases]
    lengths = await _history_lengths(place.client, [placed for case in cases for placed in case.placed])
    alone = details[0]
    lowest = {
        way: min(one["throughput_ratio"] for one in details if one["started_over"] == way)
        for way in (OWN_CONNECTION, WORKERS_CONNECTION)
    }
    return {
        "throughput_ratio_to_bare_workflow": lowest[OWN_CONNECTION],
        "throughput_ratio_of_empty_frame": min(
            one["frame_ratio"] for one in details if one["started_over"] == OWN_CONNECTION
        ),
        "throughput_ratio_to_bare_workflow_eager": lowest[WORKERS_CONNECTION],
        "history_events_per_market_order": max(lengths),
        "history_events_typical": median(lengths),
        "intent_to_exchange_ms": alone["intent_to_exchange_ms"],
        "bare_workflow_ms": alone["bare_workflow_ms"],
        "cpu_ms": _cpu(cases),
        "cases": details,
    }


def _cpu(cases: Sequence[Case]) -> dict[str, dict[str, float]]:
    """Milliseconds of a core that each kind takes of the server and of this process, at the median of all rounds."""
    rounds = [each for case in cases for each in case.rounds]
    used = {
        "bare": [each.bare.cpu for each in rounds],
        "frame": [each.frames.cpu for each in rounds],
        "order": [each.orders.cpu for each in rounds],
    }
    return {
        kind: {
            "server": round(median(cpu.server for cpu in spent) * 1000, 1),
            "worker_and_client": round(median(cpu.process for cpu in spent) * 1000, 1),
        }
        for kind, spent in used.items()
    }


def placed_at(connection: sa.Connection) -> dict[str, datetime]:
    """When the exchange took each order, by broker order id, on its own clock, which is this machine's."""
    asked = sa.select(exchange_orders.c.broker_order_id, exchange_orders.c.placed_at)
    return {row.broker_order_id: row.placed_at for row in connection.execute(asked)}


def _details(case: Case, exchange: Mapping[str, datetime]) -> dict[str, Any]:
    arrivals = [(exchange[str(p.order.broker_order_id)] - p.called_at).total_seconds() for p in case.placed]
    ratios = [each.ratio for each in case.rounds]
    return {
        "started_over": case.started_over,
        "concurrency": case.concurrency,
        "orders": len(case.placed),
        "throughput_ratio": round(median(ratios), 3),
        "throughput_ratios": [round(ratio, 3) for ratio in ratios],
        "frame_ratio": round(median(each.ratio_of_frames for each in case.rounds), 3),
        "orders_per_second": round(median(each.orders.per_second for each in case.rounds), 1),
        "bare_per_second": round(median(each.bare.per_second for each in case.rounds), 1),
        "intent_to_exchange_ms": spread(arrivals, 50, 95, 99),
        "intent_to_end_ms": spread([placed.seconds for placed in case.placed], 50, 95, 99),
        "bare_workflow_ms": spread([seconds for each in case.rounds for seconds in each.bare.results], 50, 95, 99),
    }


async def _history_lengths(client: Client, placed: Sequence[Placed]) -> list[int]:
    """The number of events in the history of every order."""
    ids = iter([one.order.order_id for one in placed])

    async def length() -> int:
        return (await client.get_workflow_handle(next(ids)).describe()).history_length

    return (await at_once(8, len(placed), length))[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.durable", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of bare workflows and orders in turn")
    add_keep(parser)
    chosen = parser.parse_args()
    report = asyncio.run(measure(CONCURRENCIES, chosen.rounds))
    for table in durable_tables(report):
        console.print(table)
    keep(chosen.keep, report)


if __name__ == "__main__":
    main()
