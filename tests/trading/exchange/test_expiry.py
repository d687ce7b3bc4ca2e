"""Contracts that are held to their end: the paper exchange and the backtest settle them alike."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from durable_orders.trading.backtest.exchange import Exchange
from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.config.settings import Calendar, Market, Settings
from durable_orders.trading.exchange.matching import Matcher
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.market.hours import listing_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.approval import grant
from durable_orders.trading.orders.order import Account, Order, OrderIntent, Product, Side
from durable_orders.trading.orders.outcome import Accepted, Refused
from tests.ledgers import open_empty_ledger
from tests.trading.exchange.exchange import PLAIN

ACCOUNT = Account("paper")
INDEX, FUTURE, CALL, PUT, SHARE = (
    "NSE:NIFTY 50",
    "NFO:NIFTY26NOVFUT",
    "NFO:NIFTY26NOV26000CE",
    "NFO:NIFTY26NOV26000PE",
    "NFO:RELIANCE26NOVFUT",
)
TUESDAY = date(2026, 11, 24)  # a holiday: the monthly contracts end on the day before it
EXPIRY = date(2026, 11, 23)
COLUMNS = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
LISTED = f"""{COLUMNS}
1,1,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
2,2,NIFTY26NOVFUT,NIFTY,0,{EXPIRY},0,0.05,65,FUT,NFO-FUT,NFO
3,3,NIFTY26NOV26000CE,NIFTY,0,{EXPIRY},26000,0.05,65,CE,NFO-OPT,NFO
4,4,NIFTY26NOV26000PE,NIFTY,0,{EXPIRY},26000,0.05,65,PE,NFO-OPT,NFO
5,5,RELIANCE26NOVFUT,RELIANCE,0,{EXPIRY},0,0.05,500,FUT,NFO-FUT,NFO
"""
AT = datetime(2026, 11, 23, 11, 0, tzinfo=IST)
PRICES = {FUTURE: Decimal(26010), CALL: Decimal(30), PUT: Decimal(25), SHARE: Decimal(1500)}
CLOSE = Decimal("26012.35")
STATED = {"market": {"settlement_prices": {"NIFTY": {EXPIRY.isoformat(): "26020.10"}}}}


@pytest.fixture(scope="module")
def master() -> Instruments:
    with NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(LISTED)
        file.flush()
        return Instruments.read(Path(file.name))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield database


class Clock:
    now = AT

    def __call__(self) -> datetime:
        return self.now


class Both:
    """The same day on paper and in a backtest: a lot of each contract is held, the put short."""

    def __init__(self, ledger: Database, master: Instruments, market: Market) -> None:
        self.sessions = InstrumentSessions(market, master)
        listing = listing_of(self.sessions, master, None, market)
        self.clock = Clock()
        self.broker = PaperBroker(
            ledger, ACCOUNT, PLAIN, master.tick_size, self.clock, listing=listing, sessions=self.sessions
        )
        self.market = PaperMarket(self.broker, ledger, ACCOUNT)
        self.market.take_over()
        self.tested = Exchange(Matcher(PLAIN, master.tick_size), self.sessions, None, listing.rules, listing.expiry)
        self.settled: list[str] = []
        self.show(AT, *(Tick(symbol, price, AT) for symbol, price in PRICES.items()))
        for number, (symbol, price) in enumerate(PRICES.items()):
            instrument = master.get(symbol)
            assert instrument is not None
            intent = OrderIntent(
                symbol=symbol,
                side=Side.SELL if symbol == PUT else Side.BUY,
                quantity=instrument.lot_size,
                order_type="LIMIT",
                price=price,
                product=Product.NRML,
                client_order_id=f"n{number}",
            )
            assert isinstance(self.place(intent), Accepted)

    def place(self, intent: OrderIntent) -> object:
        """On both, with the answer of the paper exchange."""
        on_paper = self.broker.place(grant(Order.from_intent(intent, self.clock.now)))
        name = intent.client_order_id
        in_backtest = self.tested.place(Live(intent, name, name, self.clock.now, None), self.clock.now)
        assert isinstance(on_paper, Refused) == isinstance(in_backtest, Refused)
        if isinstance(on_paper, Refused) and isinstance(in_backtest, Refused):
            assert on_paper.evidence.message == in_backtest.evidence.message
        return on_paper

    def show(self, at: datetime, *ticks: Tick) -> None:
        self.clock.now = at
        session = self.sessions.of(FUTURE).session_at_or_after(at)
        self.market.on_ticks(ticks, session, session.closes + timedelta(minutes=1))
        for tick in ticks:
            for progress in self.tested.show(tick, session):
                order = progress.order
                if order.tag is None:
                    self.settled.append(f"{order.side} {order.quantity} {order.symbol} {progress.fills[0].price}")

    def on_paper(self) -> list[str]:
        fills = {fill.broker_order_id: fill.price for fill in self.broker.trades()}
        rows = [row for row in self.broker.order_book() if row.tag is None]
        return [f"{row.side} {row.quantity} {row.symbol} {fills[row.broker_order_id]}" for row in rows]

    def words(self) -> set[str]:
        return {row.message or "" for row in self.broker.order_book() if row.tag is None}


def at(hour: int, minute: int, day: date = EXPIRY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST)


def test_what_expires_is_settled_by_the_last_price_of_its_index(ledger: Database, master: Instruments) -> None:
    both = Both(ledger, master, Market())
    both.show(at(15, 29), Tick(INDEX, CLOSE, at(15, 29)))
    assert both.on_paper() == [], "the session is not over"
    both.show(at(15, 40), Tick(INDEX, Decimal(26500), at(15, 40)))
    assert both.on_paper() == [
        "SELL 65 NFO:NIFTY26NOV26000CE 12.35",
        "BUY 65 NFO:NIFTY26NOV26000PE 0",
        "SELL 65 NFO:NIFTY26NOVFUT 26012.35",
        "SELL 500 NFO:RELIANCE26NOVFUT 1500",
    ]
    assert [line.split()[:3] for line in both.settled] == [line.split()[:3] for line in both.on_paper()]
    assert [Decimal(line.split()[3]) for line in both.settled] == [Decimal(line.split()[3]) for line in both.on_paper()]
    assert both.words() == {
        "expired on 23 Nov 2026: settled in cash by NIFTY at 26012.35 (last price of NSE:NIFTY 50)",
        "expired on 23 Nov 2026: closed at its last price, as nothing is delivered here",
    }
    assert both.broker.positions() == []


def test_a_stated_price_counts_before_what_the_feed_showed(ledger: Database, master: Instruments) -> None:
    market = Settings.model_validate(STATED).market
    both = Both(ledger, master, market)
    both.show(at(15, 41), Tick(INDEX, CLOSE, at(15, 41)))
    assert "SELL 65 NFO:NIFTY26NOV26000CE 20.1" in both.on_paper()
    assert any("26020.10 (market.settlement_prices)" in words for words in both.words())


def test_without_the_index_it_is_the_contract_s_own_last_price(ledger: Database, master: Instruments) -> None:
    both = Both(ledger, master, Market())
    both.show(at(15, 41), Tick(SHARE, Decimal(1501), at(15, 41)))
    assert "SELL 65 NFO:NIFTY26NOVFUT 26010" in both.on_paper()
    assert any(words.endswith("at its last price, that of NIFTY is unknown") for words in both.words())


def test_what_nobody_saw_the_end_of_is_settled_with_the_next_session(ledger: Database, master: Instruments) -> None:
    """The market was down at the close, and comes back on Wednesday."""
    both = Both(ledger, master, Market())
    both.show(at(14, 0), Tick(INDEX, CLOSE, at(14, 0)))
    both.show(at(9, 20, date(2026, 11, 25)), Tick(INDEX, Decimal(26500), at(9, 20, date(2026, 11, 25))))
    assert "SELL 65 NFO:NIFTY26NOVFUT 26012.35" in both.on_paper()
    assert len(both.settled) == len(both.on_paper()) == 4


def test_an_expired_contract_takes_no_order_anywhere(ledger: Database, master: Instruments) -> None:
    both = Both(ledger, master, Market())
    both.show(at(9, 20, date(2026, 11, 25)), Tick(INDEX, CLOSE, at(9, 20, date(2026, 11, 25))))
    late = OrderIntent(symbol=FUTURE, side=Side.BUY, quantity=65, order_type="LIMIT", price=26010, product="NRML")
    answer = both.place(late)
    assert isinstance(answer, Refused)
    assert "EXPIRED_CONTRACT: NFO:NIFTY26NOVFUT expired on 23 Nov 2026" in answer.evidence.message


def test_closing_the_session_by_hand_settles_too(ledger: Database, master: Instruments) -> None:
    both = Both(ledger, master, Market())
    both.market.close_session()
    both.tested.close(both.clock.now)
    assert len(both.on_paper()) == 4
    assert both.market.close_session() == [], "once"


def test_no_contract_ends_in_a_market_that_is_always_open(ledger: Database, master: Instruments) -> None:
    """There it takes orders on any day, as the shipped contracts do."""
    both = Both(ledger, master, Market(calendar=Calendar.ALWAYS_OPEN))
    later = at(9, 20, date(2026, 11, 25))
    both.show(later, Tick(FUTURE, CLOSE, later))
    assert both.on_paper() == both.settled == []
    more = OrderIntent(symbol=FUTURE, side=Side.BUY, quantity=65, order_type="LIMIT", price=26010, product="NRML")
    assert isinstance(both.place(more), Accepted)
