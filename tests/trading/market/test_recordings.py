"""Recordings: journals that survive a kill, gaps that are said, and files that the reader of ticks takes."""

import struct
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.sandbox.packets import TickMode, frame, packet
from durable_orders.sandbox.quotes import Quote
from durable_orders.trading.brokers.kite.full_packets import columns_of
from durable_orders.trading.brokers.kite.recorder import NOT_WANTED, TickRecorder, ended_unseen
from durable_orders.trading.config.settings import Market
from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.files.reading import Reading, recorded_ticks
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.recordings.compaction import check
from durable_orders.trading.market.recordings.coverage import KILLED, NOT_ASKED, Gap, Turn, gaps, read_turns
from durable_orders.trading.market.recordings.places import Place
from durable_orders.trading.market.recordings.recorded import compact_day, recordings
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.market.ticks import Tick

DAY = date(2026, 11, 30)
NINE, TEN = (datetime(2026, 11, 30, hour, tzinfo=IST) for hour in (9, 10))
OPENS, CLOSES = NINE.replace(minute=15), NINE.replace(hour=15, minute=30)
INFY, INDEX, RUPEE = "NSE:INFY", "NSE:NIFTY 50", "CDS:USDINR26DECFUT"
TOKENS = {408065: INFY, 256265: INDEX, (1 << 8) | 3: RUPEE}
SECOND = timedelta(seconds=1)
TICK = Decimal("0.05")


class Wall:
    now = TEN

    def __call__(self) -> datetime:
        return self.now


def shown(token: int, price: str, at: datetime, volume: int = 0) -> bytes:
    """As Kite's server puts it."""
    segment = "INDICES" if token & 0xFF == 9 else "NSE"
    own = Instrument(TOKENS[token], token, TICK, 1, None, None, "EQ", segment, "")
    value = Decimal(price)
    return packet(Quote(own, value, at, value, value, value, value, volume=volume), TickMode.FULL)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, DAY)


def recorder_of(place: Place, wall: Wall) -> TickRecorder:
    recorder = TickRecorder(wall, place)
    recorder.listen_to(TOKENS)
    recorder.heard(TOKENS.values())
    return recorder


@pytest.fixture
def recorder(place: Place, wall: Wall) -> TickRecorder:
    return recorder_of(place, wall)


def put_down(recorder: TickRecorder) -> None:
    taken = recorder.take()
    taken.write()
    recorder.written(taken)


def compacted(place: Place, unseen: Turn | None = None) -> list[str]:
    sessions = InstrumentSessions(Market())
    return list(compact_day(place, place.journals().keys(), sessions, columns_of, unseen).values())


def prices(place: Place, symbol: str = INFY) -> list[Decimal]:
    return [tick.last_price for tick in read_ticks(place.parquet(symbol), None, TICK)]


def test_what_came_is_read_as_ticks_with_their_book(place: Place, recorder: TickRecorder) -> None:
    recorder.hear(frame([shown(408065, "1500.05", TEN, 700), shown(256265, "26012.35", TEN)]))
    recorder.hear(frame([shown(408065, "1500.1", TEN + SECOND, 900), shown((1 << 8) | 3, "88.4525", TEN)]))
    put_down(recorder)
    assert compacted(place) == []
    first, second = read_ticks(place.parquet(INFY), None, TICK)
    assert (first.symbol, first.last_price, first.at, first.volume) == (INFY, Decimal("1500.05"), TEN, 700)
    assert (second.bid, second.ask, second.volume) == (Decimal("1500.05"), Decimal("1500.15"), 900)
    assert second.depth is not None
    assert [level.price for level in second.depth.asks] == [Decimal("1500.1") + step * TICK for step in range(1, 6)]
    assert read_ticks(place.parquet(INDEX), None, TICK) == [Tick(INDEX, Decimal("26012.35"), TEN)]
    assert prices(place, RUPEE) == [Decimal("88.4525")]
    assert list(place.journals()) == []


def test_the_folder_of_a_day_is_replayed_and_what_is_no_recording_in_it_is_told(
    place: Place, recorder: TickRecorder
) -> None:
    recorder.hear(frame([shown(408065, "1500.05", TEN, 700), shown((1 << 8) | 3, "88.4525", TEN + SECOND)]))
    put_down(recorder)
    with pytest.raises(
        InvalidTicks, match=r"^2026-11-30: the folder has no file of .*: CDS/USDINR26DECFUT.ticks, NSE/"
    ):
        list(recorded_ticks([place.path], Reading(), ReadingReport()))
    assert compacted(place) == []
    place.coverage.touch()
    report = ReadingReport()

    ticks = list(recorded_ticks([place.path], Reading(), report))

    assert [(tick.symbol, tick.at) for tick in ticks] == [(INFY, TEN), (RUPEE, TEN + SECOND)]
    told = "left out of the folder 2026-11-30: coverage.jsonl (a recorder's log of when it listened)"
    assert told in report.notes


def test_repeated_ticks_those_of_yesterday_and_strangers_are_not_taken(place: Place, recorder: TickRecorder) -> None:
    tick = shown(408065, "1500", TEN)
    recorder.hear(frame([shown(408065, "1490", TEN - timedelta(days=1)), tick, tick]))
    recorder.hear(b"\x00")
    recorder.hear(frame([tick])[:40])
    recorder.listen_to({256265: INDEX})
    recorder.hear(frame([shown(408065, "1501", TEN)]))
    assert recorder.take().records == {}
    recorder.listen_to(TOKENS)
    recorder.hear(frame([tick, shown(408065, "1502", TEN), shown(408065, "1499", TEN - SECOND)]))
    put_down(recorder)
    compacted(place)
    assert prices(place) == [1500, 1502]
    (infy,) = recordings(place.folder)
    assert infy.left_out == {"late": 1}


def test_what_is_not_traded_for_a_time_states_that_gap(place: Place, recorder: TickRecorder, wall: Wall) -> None:
    """A symbol of the day before that is traded again at eleven."""
    wall.now = left = TEN + timedelta(minutes=1)
    recorder.listen_to({256265: INDEX})
    wall.now = again = TEN + timedelta(hours=1)
    recorder.listen_to(TOKENS)
    recorder.heard(TOKENS.values())
    put_down(recorder)
    turns = read_turns(place.coverage)
    assert gaps(turns, INFY, TEN, CLOSES) == [Gap(left, again, NOT_WANTED)]
    assert gaps(turns, INDEX, TEN, CLOSES) == []


def test_books_that_no_continuous_trading_has_are_left_out(place: Place, recorder: TickRecorder) -> None:
    """Before the open, bids lie above asks; the reader refuses such a file as a whole."""
    whole = bytearray(shown(408065, "1500", TEN))
    struct.pack_into(">2I", whole, 64, 10, 150100)
    crossed = bytes(whole)
    struct.pack_into(">2I", whole, 64, 10, 0)
    without_a_price = bytes(whole)
    for level in range(1, 5):
        struct.pack_into(">2I", whole, 64 + 12 * level, 0, 0)
    nobody_bids = bytes(whole)
    struct.pack_into(">I", whole, 4, 0)
    recorder.hear(frame([crossed, without_a_price, nobody_bids, bytes(whole)]))
    put_down(recorder)
    compacted(place)
    first, second, third = read_ticks(place.parquet(INFY), None, TICK)
    assert (first.depth, first.bid, second.depth) == (None, None, None)
    assert third.depth is not None
    assert (third.depth.bids, third.bid, third.ask) == ((), None, Decimal("1500.05"))
    (infy,) = recordings(place.folder)
    assert (infy.ticks, infy.left_out) == (3, {"unreadable": 1})


def test_a_killed_recorder_loses_what_was_not_put_down_and_nothing_else(
    place: Place, recorder: TickRecorder, wall: Wall
) -> None:
    recorder.hear(frame([shown(408065, "1500", TEN)]))
    put_down(recorder)
    recorder.hear(frame([shown(408065, "1501", TEN + SECOND)]))
    with place.journal(INFY).open("ab") as journal:
        journal.write(b"half a record")
    wall.now = TEN + 60 * SECOND
    after = recorder_of(place, wall)
    after.hear(frame([shown(408065, "1502", wall.now)]))
    put_down(after)
    assert compacted(place, ended_unseen(place)) == []
    assert prices(place) == [1500, 1502]
    (infy,) = recordings(place.folder)
    assert Gap(TEN, wall.now, KILLED) in infy.gaps
    assert infy.gaps[0] == Gap(OPENS, TEN, NOT_ASKED)


def test_a_day_in_pieces_becomes_one_file(place: Place, recorder: TickRecorder) -> None:
    for number in range(3):
        recorder.hear(frame([shown(408065, str(1500 + number), TEN + number * SECOND)]))
        put_down(recorder)
        compacted(place)
    assert prices(place) == [1500, 1501, 1502]
    assert [file.name for file in (place.path / "NSE").iterdir()] == ["INFY.parquet"]


def test_a_journal_that_was_compacted_and_not_deleted_is_not_taken_twice(
    place: Place, recorder: TickRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.hear(frame([shown(408065, "1500", TEN)]))
    put_down(recorder)
    with monkeypatch.context() as died:
        died.setattr(Path, "unlink", _dies)
        with pytest.raises(KeyboardInterrupt):
            compacted(place)
    assert len(place.journals()[INFY]) == 1
    assert compacted(place) == []
    assert prices(place) == [1500]


def _dies(_file: Path, *, missing_ok: bool = False) -> None:
    raise KeyboardInterrupt


def test_files_that_changed_are_told_and_nothing_is_added_to_them(place: Place, recorder: TickRecorder) -> None:
    recorder.hear(frame([shown(408065, str(1500 + number), TEN + number * SECOND) for number in range(9)]))
    put_down(recorder)
    compacted(place)
    file = place.parquet(INFY)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(InvalidTicks, match="is not whole"):
        check(file)
    with pytest.raises(InvalidTicks, match=r"INFY\.parquet: "):
        prices(place)
    (infy,) = recordings(place.folder)
    assert infy.problem is not None
    recorder.hear(frame([shown(408065, "1600", TEN + 60 * SECOND)]))
    put_down(recorder)
    (trouble,) = compacted(place)
    assert "its journal stays" in trouble
    assert file.read_bytes() == content
    assert len(place.journals()[INFY]) == 1


def test_a_record_that_changed_is_left_out(place: Place, recorder: TickRecorder) -> None:
    recorder.hear(frame([shown(408065, "1500", TEN), shown(408065, "1501", TEN)]))
    put_down(recorder)
    content = bytearray(place.journal(INFY).read_bytes())
    content[30] ^= 0xFF
    place.journal(INFY).write_bytes(content)
    compacted(place)
    assert prices(place) == [1501]
    (infy,) = recordings(place.folder)
    assert infy.left_out == {"damaged": 1}


def test_a_disk_that_refuses_costs_a_gap_and_no_memory(place: Place, recorder: TickRecorder, wall: Wall) -> None:
    recorder.hear(frame([shown(408065, "1500", TEN)]))
    put_down(recorder)
    wall.now = TEN + 10 * SECOND
    recorder.hear(frame([shown(408065, "1501", wall.now)]))
    taken = recorder.take()
    recorder.refused(taken, "the disk is full")
    recorder.hear(frame([shown(408065, "1502", wall.now)]))
    again = recorder.take()
    assert again.records == {}
    recorder.refused(again, "and again")
    wall.now = TEN + 30 * SECOND
    recorder.resume()
    recorder.hear(frame([shown(408065, "1503", wall.now)]))
    put_down(recorder)
    compacted(place)
    assert prices(place) == [1500, 1503]
    (infy,) = recordings(place.folder)
    assert infy.gaps == (Gap(OPENS, TEN, NOT_ASKED), Gap(TEN, wall.now, "the disk is full"))


def test_what_was_given_up_before_anything_was_written_is_a_gap_too(
    place: Place, recorder: TickRecorder, wall: Wall
) -> None:
    recorder.lost("the connection was lost", TEN - 60 * SECOND)
    recorder.heard(TOKENS.values())
    wall.now = TEN + 10 * SECOND
    recorder.refused(recorder.take(), "the disk is full")
    wall.now = TEN + 30 * SECOND
    recorder.resume()
    recorder.hear(frame([shown(408065, "1500", wall.now)]))
    put_down(recorder)
    compacted(place)
    (infy,) = recordings(place.folder)
    assert infy.gaps == (Gap(OPENS, TEN, NOT_ASKED), Gap(TEN, wall.now, "the disk is full"))


def test_a_new_day_begins_in_a_folder_of_its_own(place: Place, recorder: TickRecorder, wall: Wall) -> None:
    recorder.hear(frame([shown(408065, "1500", TEN)]))
    tomorrow = Place(place.folder, DAY + timedelta(days=1))
    wall.now = TEN + timedelta(days=1)
    last = recorder.next_day(tomorrow)
    assert last is not None
    last.write()
    recorder.hear(frame([shown(408065, "1500", TEN), shown(408065, "1600", wall.now)]))
    assert recorder.next_day(tomorrow) is None
    put_down(recorder)
    for each in (place, tomorrow):
        assert ended_unseen(place) is None
        compacted(each)
    assert prices(place) == [1500]
    assert prices(tomorrow) == [1600]


def told(*turns: tuple[int, bool, str]) -> Iterator[Turn]:
    for minute, heard, why in turns:
        yield Turn(OPENS + timedelta(minutes=minute), (INFY,), heard=heard, why=why)


def test_gaps_are_what_was_not_heard_of_the_session() -> None:
    def minutes(*turns: tuple[int, bool, str]) -> list[tuple[int, int, str]]:
        found = gaps(list(told(*turns)), INFY, OPENS, CLOSES)
        return [((gap.begin - OPENS) // SECOND // 60, (gap.end - OPENS) // SECOND // 60, gap.why) for gap in found]

    whole = (CLOSES - OPENS) // SECOND // 60
    assert minutes() == [(0, whole, NOT_ASKED)]
    assert minutes((-5, True, "")) == []
    assert minutes((-5, True, ""), (whole + 1, False, "stopped")) == []
    assert minutes((5, True, ""), (9, False, "lost"), (12, True, "")) == [(0, 5, NOT_ASKED), (9, 12, "lost")]
    assert minutes((-5, True, ""), (-1, False, "lost"), (2, True, "")) == [(0, 2, "lost")]
    assert minutes((-5, True, ""), (20, False, "stopped")) == [(20, whole, "stopped")]
