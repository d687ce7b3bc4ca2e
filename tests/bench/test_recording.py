"""The measurements of recorder and quality measure. How fast they were is no business of a test."""

from bench import beside, quality
from bench.recording import measure, table_of


def test_it_gives_ticks_a_second_beside_those_of_reading() -> None:
    report = measure(600, 3)
    names = ("taking_down", "compacting", "recording", "reading")
    assert all(report[f"{name}_per_second"] > 0 for name in names)
    assert report["journal_bytes_a_tick"] > 184
    assert table_of(report).row_count == 7


async def test_orders_are_placed_without_and_beside_a_recorder() -> None:
    report = await beside.measure(orders=2, rounds=1, ticks=2_000)
    assert report["orders"] == 2
    assert min(report[name]["p50"] for name in ("intent_to_exchange_ms", "beside_recorder_ms")) > 0
    assert (len(report["ratios"]), report["ticks_per_second"]) == (1, 2_000)
    assert beside.table_of(report).row_count == 3


def test_quality_is_told_of_every_approved_order() -> None:
    report = quality.measure(200)
    assert 160 <= report["orders"] < 200, "a fifth is refused"
    assert report["groups"] > 1
    assert quality.table_of(report).row_count == 6
