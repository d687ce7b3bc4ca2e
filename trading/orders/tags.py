"""The tags that our orders carry at the broker: which order, and which home has sent it.

`tag_of` (`order.py`) makes twenty hexadecimal digits of an order's id, the same wherever it is worked out. An order
that a home sends to a real broker has that home's mark in its tag, too: `h`, five characters that are the home's own,
and the first fourteen of those digits. No plain tag begins with an `h`. Kite takes twenty letters and digits (Kite
documentation, order tag).
"""

import re
import secrets
from string import ascii_lowercase, digits

from durable_orders.trading.orders.order import OrderId, Tag, tag_of

_PLAIN = re.compile(r"[0-9a-f]{20}")
_MARKED = re.compile(r"h([0-9a-z]{5})([0-9a-f]{14})")
_OF_ORDER = 14
"""Digits, 56 bits: among a million orders two are alike once in a hundred thousand ledgers."""


def new_mark() -> str:
    """A mark for a home. Two homes have the same once in sixty million times."""
    return "".join(secrets.choice(ascii_lowercase + digits) for _ in range(5))


def marked(tag: Tag, mark: str) -> Tag:
    """The tag of the same order as that home sends it. Raises `ValueError` for what is no mark."""
    made = f"h{mark}{of_order(tag)}"
    if _MARKED.fullmatch(made) is None:
        raise ValueError(f"mark: must be five lower-case letters and digits, was {mark!r}")
    return Tag(made)


def mark_in(tag: str | None) -> str | None:
    """The mark of the home that has sent an order with this tag; `None` where it says none."""
    found = _MARKED.fullmatch(tag or "")
    return found[1] if found else None


def may_be_ours(tag: str | None) -> bool:
    """Whether it is a tag as we make them, here or in another home."""
    return tag is not None and (_PLAIN.fullmatch(tag) or _MARKED.fullmatch(tag)) is not None


def of_order(tag: str) -> str:
    """What it says of the order: the same whichever home has sent it. Of a tag that is not ours, the tag."""
    if (found := _MARKED.fullmatch(tag)) is not None:
        return found[2]
    return tag[:_OF_ORDER] if _PLAIN.fullmatch(tag) else tag


def is_of(tag: str | None, order_id: OrderId) -> bool:
    """Whether an order with this tag is that one, whichever home has sent it."""
    return tag is not None and of_order(tag) == of_order(tag_of(order_id))
