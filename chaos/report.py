"""What is printed at the end of a run."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from chaos.run import Result
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Status
from durable_orders.trading.reconciliation.external_orders import ExternalKind

MOST = 40
"""So many violations are shown."""


def show(result: Result, console: Console) -> None:
    evidence, plan = result.evidence, result.plan
    console.print(_table("Orders", _orders(result)))
    console.print(_table("Why orders were rejected", _reasons(result)))
    console.print(_table("Faults that struck", dict(sorted(evidence.tally["faults"].items()))))
    console.print(_table("At the broker", _broker(result)))
    verdict = "no violation" if not result.violations else f"{len(result.violations)} violations"
    console.print(f"seed {plan.seed}, {result.seconds:.0f} s: [bold]{verdict}[/bold]")
    for words in result.violations[:MOST]:
        console.print(f"  {words}", markup=False)


def _orders(result: Result) -> dict[str, int]:
    evidence = result.evidence
    ends = Counter(order.status.value.lower() for order in evidence.ended.values())
    names = [own.rsplit(":", 1)[-1] for own in evidence.ledger]
    late = sum(
        ended.broker_order_id is None and evidence.ledger[own].broker_order_id is not None
        for own, ended in evidence.ended.items()
        if own in evidence.ledger
    )
    resent = sum(len(rows) > 1 for tag, rows in evidence.by_tag.items() if tag)
    lost = sum(any("answer lost" in reason for reason in order.reasons) for order in evidence.ended.values())
    alerts = sum(event.type is EventType.ALERT for events in evidence.events.values() for event in events)
    return {
        "placed": len(evidence.intents),
        **dict(sorted(ends.items())),
        "answers lost after sending": lost,
        "sent twice, the second one dismissed": resent,
        "late arrivals, booked and reported": late,
        "orders of somebody else": sum(name.startswith(f"{ExternalKind.EXTERNAL}-") for name in names),
        "fills": len(evidence.trades),
        "alerts": alerts,
    }


def _reasons(result: Result) -> dict[str, int]:
    """The last reason of each, up to its first colon: a check's code, or whose words they are."""
    rejected = [order for order in result.evidence.ended.values() if order.status is Status.REJECTED]
    return dict(Counter(order.reasons[-1].partition(":")[0] for order in rejected).most_common())


def _broker(result: Result) -> dict[str, int]:
    tally = result.evidence.tally
    requests = {f"{route} requests": sum(answers.values()) for route, answers in sorted(tally["requests"].items())}
    kinds = {f"steps: {kind}": count for kind, count in sorted(result.played.done.items())}
    peaks = tally["order_requests"]
    return (
        requests
        | kinds
        | {
            "most order requests in a second": peaks["most_in_a_second"],
            "most order requests in a minute": peaks["most_in_a_minute"],
        }
    )


def _table(title: str, figures: dict[str, int]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(min_width=40)
    table.add_column(justify="right")
    for name, figure in figures.items():
        table.add_row(str(name), str(figure))
    return table
