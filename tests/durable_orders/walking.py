"""A page, walked word for word at a terminal: narrow and wide, with colour and without."""

import re
from collections import Counter
from collections.abc import Iterator

from tests.durable_orders.terminal import COLOUR, Terminal, read

NARROW, WIDE = 60, 120
"""Each page is walked at one with colour and at one without, in the seconds of two walks."""


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block, and the lines that are printed below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip()]


def shape(text: str) -> str:
    """What is said, whatever the moment, the market and the ids: 24454.50 is 0.00, and so is -60.00."""
    text = re.sub(r"\b[0-9a-f]{20}\b|\b\d{19}\b", "ID", text)
    text = re.sub(r"\d\d [A-Z][a-z]{2} \d\d:\d\d|\d\d:\d\d:\d\d(\.\d{3})?", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d", "DATE", text)
    return re.sub(r"-?\d+", "0", text)


def must_say(terminal: Terminal, command: str, shown: list[str], sent: str, *, exact: bool) -> None:
    """Where it is wide, the very lines; where it is narrow, each of their words, none cut. What a strategy prints comes
    between what its run says, so the order is that of the pages' other tests."""
    same = (lambda text: text) if exact else shape
    said = [same(line) for line in read(sent)]
    wanted = [same(" ".join(line.split())) for line in shown if line != "..."]
    where = f"{command}, {terminal}:\n{sent}"
    assert bool(COLOUR.search(sent)) <= terminal.has_colour, where
    assert "…" not in sent, where
    if terminal.columns < WIDE:
        said, wanted = sorted({*" ".join(said).split()}), sorted({*" ".join(wanted).split()})
    assert not list((Counter(wanted) - Counter(said)).elements()), where
