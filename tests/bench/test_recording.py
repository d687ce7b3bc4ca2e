"""The measurement of the recorder measures."""

from bench.recording import measure, table_of


def test_it_gives_ticks_a_second_beside_those_of_reading() -> None:
    report = measure(600, 3)
    names = ("taking_down", "compacting", "recording", "reading")
    assert all(report[f"{name}_per_second"] > 0 for name in names)
    assert report["journal_bytes_a_tick"] > 184
    assert table_of(report).row_count == 7
