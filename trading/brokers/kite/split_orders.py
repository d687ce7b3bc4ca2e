"""Orders that Kite makes several rows of (variety iceberg, autoslice), as the one row each that was asked for.

What holds a family together: legs of an iceberg share `parent_order_id`, and the first has none (Kite staff, on the
kite.trade forum; Zerodha's published samples); slices are tagged `autoslice:<id of the first>` (the same samples).
Whether legs and slices carry the user's tag is not documented: one that does is enough. An iceberg's `meta` tells its
total and its leg.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.order import BrokerOrderId, Fill

ICEBERG = "iceberg"
SLICE, SLICE_OF = "autoslice", "autoslice:"
ENDS = (BookState.CANCELLED, BookState.EXPIRED, BookState.REJECTED)
"""How a family ended that did not fill, by what counts first."""


@dataclass(frozen=True, slots=True)
class Part:
    """A row of Kite's book."""

    row: BrokerOrder
    is_ours: bool
    """Whether it has a tag as this system makes them."""
    parent: BrokerOrderId | None = None
    """The order whose part this is; `None` of a first part, too."""
    leg: int = 0
    """Of an iceberg: which leg, from 1."""
    total: int = 0
    """Of an iceberg: the quantity of all legs together."""

    @property
    def root(self) -> BrokerOrderId:
        return self.parent or self.row.broker_order_id


@dataclass(frozen=True, slots=True)
class Book:
    """A reading of the book, with every family as one row."""

    rows: list[BrokerOrder] = field(default_factory=list)
    members: dict[BrokerOrderId, tuple[BrokerOrder, ...]] = field(default_factory=dict)
    """Of the rows that stand for a family."""
    heads: dict[BrokerOrderId, BrokerOrderId] = field(default_factory=dict)
    """Of every row that Kite shows: the one that stands for it."""


def part_of(raw: Mapping[str, Any], row: BrokerOrder, *, is_ours: bool) -> Part:
    """Raises `ValueError`, `KeyError` or `TypeError` for an iceberg that does not tell of what it is a leg."""
    if row.variety == ICEBERG:
        told = raw["meta"]["iceberg"]
        parent = raw.get("parent_order_id")
        own_parent = BrokerOrderId(str(parent)) if parent else None
        return Part(row, is_ours, own_parent, leg=int(told["leg"]), total=int(told["total_quantity"]))
    tags = [tag for tag in raw.get("tags") or [] if isinstance(tag, str)]
    of = next((tag.removeprefix(SLICE_OF) for tag in tags if tag.startswith(SLICE_OF)), None)
    return Part(row, is_ours, BrokerOrderId(of) if of else None)


def book_of(parts: Sequence[Part], now: datetime, settle_window: timedelta) -> Book:
    """Raises `BookUnreadable` for a book that has a leg of an order of ours and not the first.

    What tells nobody's tag may be ours, too. A leg is left out until its first is shown, which there must be. A slice
    is left out for a settle window: where an order was split elsewhere, its first may be none of the book.
    """
    families = _families(parts)
    family_of = {part.row.broker_order_id: root for root, group in families.items() for part in group}
    book, since = Book(), now - settle_window
    for part in parts:
        order_id = part.row.broker_order_id
        root = family_of.get(order_id)
        if root is None:
            book.rows.append(part.row)
            book.heads[order_id] = order_id
        elif (group := families.pop(root, None)) and _is_settled(root, group, since):
            _add(book, _merged(root, sorted(group, key=lambda part: part.leg)), group)
    return book


def _add(book: Book, one: BrokerOrder, group: Sequence[Part]) -> None:
    book.rows.append(one)
    book.members[one.broker_order_id] = tuple(part.row for part in group)
    book.heads.update({part.row.broker_order_id: one.broker_order_id for part in group})


def of_heads(fills: Iterable[Fill], heads: Mapping[BrokerOrderId, BrokerOrderId]) -> list[Fill]:
    """The trades, each as one of the order that stands for its row."""
    return [_of_head(fill, heads.get(fill.broker_order_id, fill.broker_order_id)) for fill in fills]


def _of_head(fill: Fill, head: BrokerOrderId) -> Fill:
    return fill if fill.broker_order_id == head else fill.model_copy(update={"broker_order_id": head})


def _families(parts: Sequence[Part]) -> dict[BrokerOrderId, list[Part]]:
    """The rows of each family, by what holds it together; plain orders are not among them."""
    firsts = [part for part in parts if part.leg == 1]
    roots = {part.root for part in firsts}
    families: dict[BrokerOrderId, list[Part]] = {}
    for part in parts:
        if part.leg or part.parent is not None:
            families.setdefault(_root(part, firsts, roots), []).append(part)
    for part in parts:
        if part.root in families and not part.leg and part.parent is None:
            families[part.root].append(part)
    return families


def _root(part: Part, firsts: Sequence[Part], roots: Set[BrokerOrderId]) -> BrokerOrderId:
    """What holds its family together. Where the parent is nowhere to be seen, a leg may still have its first's tag."""
    if part.leg < 2 or not part.is_ours or part.root in roots:
        return part.root
    same_tag = [first.root for first in firsts if first.row.tag == part.row.tag]
    return same_tag[0] if len(same_tag) == 1 else part.root


def _is_settled(root: BrokerOrderId, group: Sequence[Part], since: datetime) -> bool:
    """Whether it is certain enough whose the rows are."""
    if any(part.row.broker_order_id == root or part.leg == 1 for part in group):
        return True
    has_legs = any(part.leg for part in group)
    if not any(part.is_ours for part in group):
        return not has_legs and all(part.row.placed_at < since for part in group)
    if has_legs:
        raise BookUnreadable(
            f"the book has a leg of an order of ours and not its first: {group[0].row.broker_order_id}"
        )
    return True


def _merged(root: BrokerOrderId, group: Sequence[Part]) -> BrokerOrder:
    rows = [part.row for part in group]
    is_iceberg = group[0].leg > 0
    own = rows[0] if is_iceberg else next((row for row in rows if row.broker_order_id == root), rows[0])
    total = max(part.total for part in group) if is_iceberg else sum(row.quantity for row in rows)
    filled = sum(row.filled_quantity for row in rows)
    working = [row for row in rows if row.state is BookState.WORKING]
    shown = working[-1] if working else rows[-1]
    state = _state(rows, is_done=filled >= total or not is_iceberg)
    return replace(
        own,
        broker_order_id=own.broker_order_id if is_iceberg else root,
        tag=next((part.row.tag for part in group if part.is_ours), own.tag),
        quantity=total,
        filled_quantity=filled,
        price=shown.price,
        trigger_price=shown.trigger_price,
        order_type=shown.order_type,
        status=shown.status,
        state=state,
        message="; ".join(_words(rows)) or None,
        placed_at=min(row.placed_at for row in rows),
        updated_at=max(row.updated_at for row in rows),
        slices=() if is_iceberg else tuple(sorted(row.broker_order_id for row in rows)),
    )


def _state(rows: Sequence[BrokerOrder], *, is_done: bool) -> BookState:
    """It works as long as one does. Where all that is shown of an iceberg is filled, its next leg is on its way."""
    states = {row.state for row in rows}
    if BookState.WORKING in states:
        return BookState.WORKING
    ended = next((state for state in ENDS if state in states), None)
    return ended or (BookState.COMPLETE if is_done else BookState.WORKING)


def _words(rows: Sequence[BrokerOrder]) -> Iterator[str]:
    """What is said of parts that did not fill, each once, with how many it is said of."""
    said = [(row.state, row.message) for row in rows if row.message and row.state in ENDS]
    for state, message in dict.fromkeys(said):
        yield f"{said.count((state, message))} of {len(rows)} parts {state}: {message}"
