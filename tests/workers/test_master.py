"""The instrument master of a worker that runs for days: read before it is kept, and never worse than the one before."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidInstruments
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.reading import events_of
from durable_orders.trading.ledger.recording import receive
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Side
from durable_orders.workers import instruments
from durable_orders.workers.home import Home
from durable_orders.workers.instruments import Master
from durable_orders.workers.renewals import Renewals
from tests.ledgers import open_empty_ledger

HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange\n"
)
INFY = "408065,1594,INFY,INFOSYS,0,,0,0.1,1,EQ,NSE,NSE\n"
FUTURE = "112,2,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.1,65,FUT,NFO-FUT,NFO\n"
WEEKLY = "113,3,NIFTY26D0126000PE,NIFTY,0,2026-12-01,26000,0.05,65,PE,NFO-OPT,NFO\n"
MONDAY = datetime(2026, 11, 30, 8, 45, tzinfo=IST)
DAY = timedelta(days=1)


class Kite:
    """The instruments of a Kite on loopback, as a test sets them."""

    def __init__(self) -> None:
        self.content = HEADER + INFY + FUTURE
        self.status = 200
        self.asked = 0
        kite = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kite.asked += 1
                self.send_response(kite.status)
                self.end_headers()
                self.wfile.write(kite.content.encode())

            def log_message(self, *words: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Clock:
    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def kite() -> Iterator[Kite]:
    kite = Kite()
    yield kite
    kite.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def live(kite: Kite, tmp_path: Path, clock: Clock) -> Master:
    settings = Settings.model_validate({"execution": {"mode": "live"}, "kite": {"root": kite.root}})
    return Master(Home(tmp_path), settings, clock)


def kept(tmp_path: Path) -> list[str]:
    return sorted(each.name for each in tmp_path.iterdir())


def test_a_new_weekly_a_new_lot_and_a_new_tick_are_known_the_next_morning(
    kite: Kite, tmp_path: Path, clock: Clock
) -> None:
    master = live(kite, tmp_path, clock)
    held = master.instruments
    assert not master.renew(), "it is of today"
    kite.content = HEADER + INFY.replace("0.1,1", "0.5,1") + FUTURE.replace(",65,", ",75,") + WEEKLY

    clock.now = MONDAY + DAY - timedelta(minutes=20)
    assert not master.renew(), "Kite has not made it yet"
    clock.now = MONDAY + DAY
    assert master.renew()

    assert held.tick_size("NSE:INFY") == Decimal("0.5")
    future = held.get("NFO:NIFTY26DECFUT")
    assert future is not None
    assert future.lot_size == 75
    assert held.get("NFO:NIFTY26D0126000PE") is not None
    assert kept(tmp_path) == ["instruments-2026-12-01.csv"]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ("<html>maintenance</html>\n", 200, "header: must have the column instrument_token"),
        (HEADER, 200, "has a header but no rows"),
        (HEADER + INFY + FUTURE[:30], 200, "may be half-written"),
        (HEADER + INFY.replace("0.1", "x"), 200, "tick_size: must be a number"),
        (HEADER + INFY, 503, "did not give any (HTTPError)"),
        ("", 200, "is empty"),
    ],
)
def test_what_is_no_master_is_not_kept_and_the_last_good_one_stays(
    kite: Kite, tmp_path: Path, clock: Clock, content: str, status: int, words: str
) -> None:
    master = live(kite, tmp_path, clock)
    kite.content, kite.status, clock.now = content, status, MONDAY + DAY

    assert not master.renew()

    assert master.instruments.get("NFO:NIFTY26DECFUT") is not None
    assert kept(tmp_path) == ["instruments-2026-11-30.csv"]
    (told,) = master.told
    assert words in told
    assert told.endswith("; the master of 2026-11-30 stays")
    asked = kite.asked
    assert not master.renew()
    assert kite.asked == asked, "not again at once"
    kite.content, kite.status = HEADER + INFY + FUTURE + WEEKLY, 200
    clock.now += timedelta(minutes=6)
    assert master.renew()
    assert master.told == []


def test_a_piece_of_a_master_is_not_the_whole(kite: Kite, tmp_path: Path, clock: Clock) -> None:
    rows = "".join(INFY.replace("INFY", f"S{n}").replace("408065", str(n)) for n in range(1, 11))
    kite.content = HEADER + rows
    master = live(kite, tmp_path, clock)
    kite.content, clock.now = HEADER + INFY, MONDAY + DAY

    assert not master.renew()

    assert len(master.instruments) == 10
    assert "is not the whole master: it has 1 instruments, and the one before it has 10" in master.told[0]


def test_a_start_without_kite_takes_the_last_good_one(kite: Kite, tmp_path: Path, clock: Clock) -> None:
    live(kite, tmp_path, clock)
    kite.status, clock.now = 503, MONDAY + DAY

    master = live(kite, tmp_path, clock)

    assert len(master.instruments) == 2
    assert master.told[0].endswith("; the master of 2026-11-30 stays")
    kite.status = 200
    clock.now += timedelta(minutes=6)
    assert master.renew()


def test_a_first_start_without_any_is_refused(kite: Kite, tmp_path: Path, clock: Clock) -> None:
    kite.status = 503
    with pytest.raises(InvalidInstruments, match="did not give any"):
        live(kite, tmp_path, clock)


def test_a_kept_one_that_is_damaged_is_fetched_anew(kite: Kite, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "instruments-2026-11-30.csv").write_text("<html>\n")

    assert len(live(kite, tmp_path, clock).instruments) == 2


def test_a_symbol_that_is_not_known_is_looked_for_once(kite: Kite, tmp_path: Path, clock: Clock) -> None:
    master = live(kite, tmp_path, clock)
    kite.content += WEEKLY
    asked = kite.asked

    for _ in range(3):
        master.ensure("NFO:NIFTY26D0126000PE")
        master.ensure("NSE:NOBODY")
        master.ensure("NSE:INFY")

    assert master.instruments.get("NFO:NIFTY26D0126000PE") is not None
    assert kite.asked == asked + 2, "once for each that was not known"


def test_a_file_of_ones_own_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text(HEADER + INFY)
    master = Master(Home(tmp_path), Settings.model_validate({"market": {"instruments": str(file)}}))
    assert not master.renew()

    file.write_text(HEADER + INFY + FUTURE[:20])
    assert not master.renew()
    assert master.told[0].endswith("; the one that was read before stays")
    file.write_text(HEADER + INFY + FUTURE)
    master.ensure("NFO:NIFTY26DECFUT")

    assert master.instruments.get("NFO:NIFTY26DECFUT") is not None
    file.unlink()
    assert not master.renew(), "while there is none, the one that was read stays"


def test_rows_that_cannot_be_read_are_told(kite: Kite, tmp_path: Path, clock: Clock) -> None:
    kite.content += "9,1,ZERO,Z,0,,0,0,1,EQ,NSE,NSE\n"

    master = live(kite, tmp_path, clock)

    (told,) = master.told
    assert told.startswith("1 symbols of the instrument master cannot be ordered: ")
    assert "line 4: tick_size: must be above 0, was '0'" in told


def test_open_orders_whose_terms_hold_no_more_are_told_once(kite: Kite, tmp_path: Path, clock: Clock) -> None:
    kite.content += WEEKLY
    master = live(kite, tmp_path, clock)
    with open_empty_ledger(tmp_path / "ledger.db") as ledger:
        for symbol, quantity, price in (
            ("NFO:NIFTY26DECFUT", 65, "26000.1"),
            ("NSE:INFY", 10, "1500.1"),
            ("NFO:NIFTY26D0126000PE", 65, "100"),
        ):
            intent = OrderIntent(
                symbol=symbol, side=Side.BUY, quantity=quantity, order_type=OrderType.LIMIT, price=Decimal(price)
            ).model_copy(update={"client_order_id": symbol.partition(":")[2], "account": "live1"})
            with ledger.write() as connection:
                receive(connection, Order.from_intent(intent, MONDAY), "run", "print")
        renewals = Renewals("live1", ledger)
        renewals.tell(master)
        kite.content = HEADER + INFY.replace("0.1,1", "0.5,1") + FUTURE.replace(",65,", ",75,")
        clock.now = MONDAY + DAY
        assert master.renew()
        renewals.tell(master)
        renewals.tell(master)

        with ledger.read() as connection:
            told = [each for each in events_of(connection, "account:live1") if each.type is EventType.ALERT]

    words = {each.message.partition(": ")[0]: each.message for each in told}
    assert len(told) == len(words) == 3
    assert words["NIFTY26DECFUT"].endswith("quantity must be a multiple of the lot of 75, was 65")
    assert "prices must be multiples of the tick of 0.5" in words["INFY"]
    assert "is not in the instrument master" in words["NIFTY26D0126000PE"]


async def test_what_a_symbol_asked_for_has_renewed_is_told_too(
    kite: Kite, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments, "LOOK_SECONDS", 0.01)
    master = live(kite, tmp_path, clock)
    told: asyncio.Queue[bool] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def renewed(master: Master) -> None:
        has_weekly = master.instruments.get("NFO:NIFTY26D0126000PE") is not None
        loop.call_soon_threadsafe(told.put_nowait, has_weekly)

    keeping = asyncio.create_task(master.keep(renewed))
    assert not await told.get(), "at the first look"
    kite.content += WEEKLY
    await asyncio.to_thread(master.ensure, "NFO:NIFTY26D0126000PE")
    assert await told.get()
    keeping.cancel()
    assert told.empty()
