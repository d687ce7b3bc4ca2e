"""Writes `lifecycle.md` from the transition table: `python docs/generate_lifecycle.py`."""

from collections.abc import Iterable
from pathlib import Path

from durable_orders.trading.orders.lifecycle import TRANSITIONS, Cause
from durable_orders.trading.orders.order import Status

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
    Cause.REFUSE: "the checks, the deadline or the broker's answer said no",
    Cause.WITHDRAW: "it was cancelled before it was sent",
    Cause.ACCEPT: "the broker answered with its order id",
    Cause.LOSE: "the answer to the placement was lost",
    Cause.ABSENT: "the book was read through the whole settle window and does not have it",
    Cause.WORK: "the book shows it working, nothing filled",
    Cause.FILL: "the book shows it with trades, and no end is proved yet",
    Cause.COMPLETE: "the book shows it complete, and the trades add up to it",
    Cause.CANCEL: "the book shows it cancelled, and the trades add up to what was filled",
    Cause.EXPIRE: "the book shows that its validity ran out, and the trades add up to what was filled",
    Cause.REJECT: "the book shows it rejected, and the trades add up to what was filled",
    Cause.VANISH: "the book of its day is over, and its trades do not add up to all of it",
}

PAGE = """\
<!-- Written by docs/generate_lifecycle.py from trading/orders/lifecycle.py. Edit those, then run the script. -->

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

## What is done next

One decision says it (`trading/orders/process.py`), without a clock and without I/O: the durable workflow asks it what
is to be done, does it, and tells it what came of it. A backtest and a paper engine in memory ask the same steps. What
is heard meanwhile (the book's rows, a cancel, an amendment, a settlement by hand) is taken in between two steps, and
what happened is recorded before the next one.

{steps}

Two placements of one order are possible in two cases only: the first is known not to have been sent (nothing reached
the broker, or no login was there to send it with), or the book has proved that it was never placed. That proof
(`trading/orders/absence.py`) takes an unbroken row of readings of the whole book, from the first to the last over the
settle window, none of which shows the order. One reading that fails begins the row anew; one that shows the order, or
a slice of it, ends the search for its absence for good.
"""

STEPS = (
    ("it is new", "`PENDING`", "the guardian is asked; a refusal ends it"),
    ("somebody wants it cancelled, or its deadline has passed", "`PENDING`", "it ends, and was never sent"),
    ("it is approved", "`PENDING`", "it is sent, once"),
    (
        "it was not sent (no connection, no login, no turn)",
        "`PENDING`",
        "sent after a pause that doubles up to 30 s; given up after `max_retries` attempts, and at its deadline",
    ),
    ("the answer was lost", "`UNKNOWN`", "the book is read, every `settle_interval` seconds"),
    ("the book cannot be read", "`UNKNOWN`", "an alert; no new risk in the account; read again, ever more slowly"),
    (
        "it is proved that it was never placed",
        "`UNKNOWN`",
        "a LIMIT or SL order is sent again if it may be (`resend_after_settle`); any other is `REJECTED`",
    ),
    (
        "the book cannot show it any more (its day is over, or it was there and is gone)",
        "`UNKNOWN`",
        "an alert; no new risk; it waits for a human (`settle`), or for a book that has it after all",
    ),
    (
        "somebody wants it cancelled",
        "`PLACED`, `PARTIAL`",
        "the broker is asked, and the book read; asked again after 1, 2, 4 ... 30 s until the book shows an end",
    ),
    (
        "somebody wants it changed",
        "`PLACED`, `PARTIAL`",
        "the guardian is asked, then the broker; answered once the book has been read",
    ),
    (
        "nothing was heard of it for `safety_interval` seconds",
        "`PLACED`, `PARTIAL`",
        "it sees whether the account's watch reads the book, and reads it itself if not",
    ),
    ("it has ended", "an end", "recorded; later trades of it are still booked"),
)


def render() -> str:
    """The whole page, as Markdown with a Mermaid diagram."""
    return PAGE.format(
        statuses=_statuses(),
        diagram=_diagram(),
        table=_table(),
        steps=_markdown(("if", "while it is", "what is done"), STEPS),
    )


def _statuses() -> str:
    return _markdown(("status", "meaning"), ((f"`{status}`", MEANING[status]) for status in Status))


def _diagram() -> str:
    arrows: dict[tuple[Status, Status], list[str]] = {}
    for (before, cause), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(cause)
    lines = [f"    [*] --> {next(iter(Status))}"]
    lines += [f"    {before} --> {after}: {', '.join(triggers)}" for (before, after), triggers in arrows.items()]
    lines += [f"    {status} --> [*]" for status in Status if status.terminal]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _table() -> str:
    opens = [status for status in Status if not status.terminal]
    header = ("cause", "what happened", *(f"from `{status}`" for status in opens))
    rows = ((f"`{cause}`", CAUSE[cause], *(_cell(status, cause) for status in opens)) for cause in Cause)
    return _markdown(header, rows)


def _cell(status: Status, cause: Cause) -> str:
    after = TRANSITIONS.get((status, cause))
    return f"`{after}`" if after else ""


def _markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
