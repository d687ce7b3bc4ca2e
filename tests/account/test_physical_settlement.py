"""Contracts on shares that are held in their last days of trading: what is told, and what is to be closed when."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.activities.physical_settlement import AGAIN, PhysicalDeliveries
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import AccountState, set_state
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import events_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Mode, Product, Side
from tests.ledgers import open_empty_ledger
from tests.trading.exchange.exchange import PLAIN
from tests.trading.ledger.examples import history, new_order, record_all
from tests.trading.market.test_rules import LATE, LISTED, master

FUTURE, PUT, INDEX = "NFO:RELIANCE26DECFUT", "NFO:RELIANCE26DEC1500PE", "NFO:NIFTY26DECFUT"
NEW_INDEX = "NFO:NIFTYNEW26DECFUT"
MASTER = master((*LISTED, ("NFO", "NIFTYNEW26DECFUT", "NIFTYNEW", "FUT", LATE, 75)))
FIRST = datetime(2026, 12, 22, 9, 15, tzinfo=IST)
"""The opening of the fourth session before the last, with a holiday between: they expire on the 29th."""
BEFORE = datetime(2026, 12, 21, 15, 39, tzinfo=IST)
TOLD = "500 NFO:RELIANCE26DECFUT NRML is settled in shares on 29 Dec 2026"


class Watched:
    """A live account that holds what it is given, and its clock."""

    def __init__(self, ledger: Database, setting: str, **held: int) -> None:
        self.ledger, self.now = ledger, FIRST
        content = {"guardian": {"physical_settlement": setting}}
        self.settings = Settings.model_validate(content | {"account": "live1", "execution": {"mode": "live"}})
        self.deliveries = self.worker()

    def worker(self) -> PhysicalDeliveries:
        sessions = InstrumentSessions(self.settings.market, MASTER)
        return PhysicalDeliveries(self.settings, self.ledger, MASTER, sessions, lambda: self.now)

    def holds(self, quantity: int, symbol: str, product: Product = Product.NRML) -> None:
        side = Side.BUY if quantity > 0 else Side.SELL
        terms: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": abs(quantity), "product": product}
        order = new_order(f"{symbol[-6:]}-{product}", account="live1", mode=Mode.LIVE, **terms)
        record_all(self.ledger, history(order, [(abs(quantity), Decimal(100))], BookState.COMPLETE))

    def look(self) -> list[FlattenRequest]:
        self.deliveries._looked_at = None
        return self.deliveries.look()

    def alerts(self) -> list[str]:
        with self.ledger.read() as connection:
            events = events_of(connection, f"account:{self.settings.account}")
        return [event.message for event in events if event.type is EventType.ALERT]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield database


@pytest.mark.parametrize("setting", ["warn", "refuse"])
def test_what_is_held_in_the_last_days_is_told_once_a_session_and_stays(ledger: Database, setting: str) -> None:
    account = Watched(ledger, setting)
    for quantity, symbol in ((500, FUTURE), (-500, PUT), (65, INDEX)):
        account.holds(quantity, symbol)
    account.now = BEFORE
    assert account.look() == []
    assert account.alerts() == [], "five sessions are left"
    account.now = FIRST
    assert account.look() == account.look() == []
    told = account.alerts()
    assert told == [
        f"{each} unless it is closed before, and its margin rises until then"
        for each in (TOLD.replace("500", "-500").replace("FUT", "1500PE"), TOLD)
    ]
    account.now = FIRST + timedelta(days=1)
    account.look()
    assert len(account.alerts()) == 4
    account.now = datetime(2026, 12, 29, 16, 0, tzinfo=IST)
    account.look()
    assert len(account.alerts()) == 4, "its last session is over"


def test_where_the_settings_say_so_it_is_closed_as_soon_as_its_session_is_open(ledger: Database) -> None:
    account = Watched(ledger, "close")
    account.holds(500, FUTURE)
    account.holds(65, INDEX)
    account.now = FIRST - timedelta(seconds=1)
    assert account.look() == []
    assert account.alerts() == [f"{TOLD}: it is closed in the session of 22 Dec (guardian.physical_settlement)"]
    account.now = FIRST
    [request] = account.look()
    assert (request.symbol, request.flatten, request.until_resumed) == (FUTURE, True, False)
    assert request.products == (Product.NRML, Product.MIS)
    assert request.reason == "PHYSICAL_SETTLEMENT: NFO:RELIANCE26DECFUT is settled in shares on 29 Dec 2026"
    assert account.look() == [request], "nobody was told"
    account.deliveries.asked(request)
    assert account.look() == []
    account.now = datetime(2026, 12, 22, 15, 40, tzinfo=IST)
    account.deliveries = account.worker()
    assert account.look() == [], "its session is over"


def test_a_contract_of_which_the_master_has_no_share_is_told_and_stays(ledger: Database) -> None:
    """An index that is new is not among the known ones: its contracts end in cash, and may be a hedge."""
    account = Watched(ledger, "close")
    account.holds(75, NEW_INDEX)
    assert account.look() == []
    [told] = account.alerts()
    assert told == (
        f"75 {NEW_INDEX} NRML expires on 29 Dec 2026, in shares if it is on one: the master has no share of its"
        " name, so it is not closed by itself"
    )


def test_it_is_asked_for_again_as_long_as_it_is_held(ledger: Database) -> None:
    """The flatten may have been ended by hand, or found the account halted."""
    account = Watched(ledger, "close")
    account.holds(500, FUTURE)
    [request] = account.look()
    account.deliveries.asked(request)
    account.deliveries._asked[FUTURE] -= AGAIN
    assert account.look() == [request]


def test_a_halted_account_is_told_and_closes_nothing(ledger: Database) -> None:
    account = Watched(ledger, "close")
    account.holds(500, FUTURE)
    set_state(ledger, "live1", AccountState.HALTED, "by a test", FIRST, who="by a test")
    assert account.look() == []
    assert account.alerts()[0].startswith(TOLD)


def test_a_paper_account_goes_by_the_time_of_its_market(ledger: Database) -> None:
    account = Watched(ledger, "close")
    account.settings = Settings.model_validate({"guardian": {"physical_settlement": "close"}, "account": "live1"})
    account.deliveries = account.worker()
    account.now = datetime(2027, 6, 1, 11, 0, tzinfo=IST)
    account.holds(500, FUTURE)
    assert account.look() == [], "its market has no time yet"
    sessions = InstrumentSessions(account.settings.market, MASTER)
    broker = PaperBroker(ledger, Account("live1"), PLAIN, MASTER.tick_size, lambda: account.now, sessions=sessions)
    market = PaperMarket(broker, ledger, Account("live1"))
    market.take_over()
    session = sessions.of(FUTURE).session_at_or_after(FIRST)
    market.on_ticks([Tick(FUTURE, Decimal(100), FIRST)], session, account.now + timedelta(hours=1))
    assert [each.symbol for each in account.look()] == [FUTURE]
