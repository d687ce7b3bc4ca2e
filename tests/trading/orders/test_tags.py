"""What a tag says: of which order it is, and which home has sent it."""

import pytest

from durable_orders.trading.orders.order import Tag, order_id, tag_of
from durable_orders.trading.orders.tags import is_of, mark_in, marked, may_be_ours, new_mark, of_order

ORDER = order_id("live", "run-1-0001")
PLAIN = tag_of(ORDER)


def test_a_marked_tag_is_of_the_same_order_and_names_its_home() -> None:
    for mark in ("0az9q", new_mark()):
        tag = marked(PLAIN, mark)
        assert (len(tag), tag.isalnum(), mark_in(tag)) == (20, True, mark)
        assert of_order(tag) == of_order(PLAIN)
        assert is_of(tag, ORDER)
        assert may_be_ours(tag)
        assert marked(tag, "other") == marked(PLAIN, "other")


def test_a_plain_tag_names_no_home() -> None:
    assert mark_in(PLAIN) is None
    assert may_be_ours(PLAIN)
    assert is_of(PLAIN, ORDER)
    assert not is_of(PLAIN, order_id("live", "run-1-0002"))


@pytest.mark.parametrize("tag", [None, "", "mktp", "MYSTRATEGY0000000001", "h" * 20, "habcdeXYZ34567890123"])
def test_what_others_write_is_nobodys(tag: str | None) -> None:
    assert mark_in(tag) is None
    assert not may_be_ours(tag)
    assert not is_of(tag, ORDER)


@pytest.mark.parametrize("mark", ["", "abcd", "abcdef", "ABCDE", "ab-de"])
def test_a_mark_is_five_letters_and_digits(mark: str) -> None:
    with pytest.raises(ValueError, match="mark: must be five"):
        marked(Tag(PLAIN), mark)
