"""Writes `lifecycle.md` from the transition table: `python docs/generate_lifecycle.py`."""

from collections.abc import Iterable
from pathlib import Path

from trading.lifecycle import TRANSITIONS, Trigger
from trading.order import Status

TARGET = Path(__file__).with_name("lifecycle.md")

MEANING = {
    Status.PENDING: "recorded; nothing has been sent yet",
    Status.UNKNOWN: (
        "sent, but the answer was lost, and the broker's book is being read until it tells; or gone from the book with "
        "its day, until you settle it"
    ),
    Status.PLACED: "the broker has it and it works",
    Status.PARTIAL: "it works, and some of it is filled",
    Status.FILLED: "the end: filled in full",
    Status.CANCELLED: "the end: cancelled, by you, the broker or the exchange; it keeps what was filled before",
    Status.REJECTED: "the end: refused by the checks, the deadline, the broker or the exchange",
    Status.EXPIRED: "the end: the day closed, or the rest of an IOC found nobody; it keeps what was filled before",
}

CAUSE = {
    Trigger.REFUSE: "the checks, the deadline or the broker's answer said no",
    Trigger.WITHDRAW: "it was cancelled before it was sent",
    Trigger.ACCEPT: "the broker answered with its order id",
    Trigger.LOSE: "the answer to the placement was lost",
    Trigger.ABSENT: "the book was read through the whole settle window and does not have it",
    Trigger.WORK: "the book shows it working, nothing filled",
    Trigger.FILL: "the book shows it with trades, and no end is proved yet",
    Trigger.COMPLETE: "the book shows it complete, and the trades add up to it",
    Trigger.CANCEL: "the book shows it cancelled, and the trades add up to what was filled",
    Trigger.EXPIRE: "the book shows that its validity ran out, and the trades add up to what was filled",
    Trigger.REJECT: "the book shows it rejected, and the trades add up to what was filled",
    Trigger.VANISH: "the book of its day is over, and its trades do not add up to all of it",
}

PAGE = """\
<!-- Written by docs/generate_lifecycle.py from trading/lifecycle.py. Edit those, then run the script. -->

# An order's life

Every order is in one of eight statuses. It moves only along the arrows below, and it ends only when the end is
proved: by the broker's own book, or because nothing reached the broker. If an answer is lost, the order says
`UNKNOWN`, in plain sight, until the book has told what became of it.

Read an outcome as filled quantity and average price, not as the status alone: a `CANCELLED`, `EXPIRED` or `REJECTED`
order may have bought or sold something before it ended. A trade that the exchange reports after the end is still
booked, and a trade that is reported twice is booked once. A cancel request changes no status; the book does.

{statuses}

## The diagram

{diagram}

## The table

What happens stands on the left; where it leads to, under the status that the order is in. An empty cell changes no
status, so whatever is told twice, late or in the wrong order does no harm. The four ends have no column: nothing
leaves them.

{table}
"""


def render() -> str:
    """The whole page, as Markdown with a Mermaid diagram."""
    return PAGE.format(statuses=_statuses(), diagram=_diagram(), table=_table())


def _statuses() -> str:
    return _markdown(("status", "meaning"), ((f"`{status}`", MEANING[status]) for status in Status))


def _diagram() -> str:
    arrows: dict[tuple[Status, Status], list[str]] = {}
    for (before, trigger), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(trigger)
    lines = [f"    [*] --> {next(iter(Status))}"]
    lines += [f"    {before} --> {after}: {', '.join(triggers)}" for (before, after), triggers in arrows.items()]
    lines += [f"    {status} --> [*]" for status in Status if status.terminal]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _table() -> str:
    opens = [status for status in Status if not status.terminal]
    header = ("trigger", "what happened", *(f"from `{status}`" for status in opens))
    rows = ((f"`{trigger}`", CAUSE[trigger], *(_cell(status, trigger) for status in opens)) for trigger in Trigger)
    return _markdown(header, rows)


def _cell(status: Status, trigger: Trigger) -> str:
    after = TRANSITIONS.get((status, trigger))
    return f"`{after}`" if after else ""


def _markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
