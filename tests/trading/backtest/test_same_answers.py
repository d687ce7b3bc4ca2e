"""The same order meets the same rules of the exchanges and of Kite in the guardian, on the paper exchange, in a
backtest, and in the sandbox."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.sandbox.envelopes import KiteError
from durable_orders.sandbox.order_forms import Placement, Variety
from durable_orders.sandbox.portfolio import Portfolio
from durable_orders.sandbox.quotes import Quotes
from durable_orders.sandbox.rate_limits import RateLimits
from durable_orders.sandbox.rms import Rms
from durable_orders.sandbox.routes import Route
from durable_orders.sandbox.store import OrderDetails
from durable_orders.trading.backtest.exchange import Exchange
from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.config.settings import CircuitLimits, Guardian, Market, Settings
from durable_orders.trading.exchange.matching import Matcher
from durable_orders.trading.exchange.orders import Progress
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.exchange.store import save_sent
from durable_orders.trading.guardian.guardian import Guardian as Guard
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.hours import listing_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.request_limits import Sent
from durable_orders.trading.market.rules import Rule, rules
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.approval import grant
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import (
    Account,
    Amendment,
    Instructions,
    Order,
    OrderIntent,
    OrderType,
    Side,
    Terms,
    Validity,
)
from durable_orders.trading.orders.outcome import Accepted, Outcome, Refused
from durable_orders.trading.orders.verdict import Refusals
from tests.ledgers import open_empty_ledger
from tests.trading.exchange.exchange import PLAIN
from tests.trading.market.test_rules import ALL_TYPES, MASTER

ACCOUNT = Account("paper")
LAST = Decimal(100)
TICK = Decimal("0.05")
SYMBOLS = [each.symbol for each in MASTER]
DISCLOSED = Instructions(disclosed_quantity=1)
PRICES = (Decimal(100), Decimal(104), Decimal(150))
SESSIONS = InstrumentSessions(Market(), MASTER)
RULES = {rule.value for rule in Rule}


@dataclass
class Everywhere:
    """The same moment of one symbol's session in all four places, at a last price of 100."""

    ledger: Database
    symbol: str
    session: Session
    at: datetime

    def __post_init__(self) -> None:
        tick, quotes = Tick(self.symbol, LAST, self.at), Quotes(MASTER)
        quotes.show(tick)
        own = Guardian(circuit_limits={self.symbol: circuits_of(quotes, self.symbol)})
        listing = listing_of(SESSIONS, MASTER, own)
        assert listing.rules is not None
        portfolio = Portfolio("AB1234", Decimal(10**12), MASTER, quotes, list)
        portfolio.begin_day(self.session, [])
        day = self.session.date
        self.sandbox = Rms(MASTER, quotes, portfolio, lambda: True, listing.rules, lambda: day, lambda: self.at)
        self.api = RateLimits(lambda: self.at)
        steps = MASTER.tick_size
        self.broker = PaperBroker(
            self.ledger, ACCOUNT, PLAIN, steps, lambda: self.at, listing=listing, sessions=SESSIONS
        )
        self.market = PaperMarket(self.broker, self.ledger, ACCOUNT)
        self.market.take_over()
        self.market.on_ticks([tick], self.session, self.session.closes)
        with self.ledger.write() as connection:
            save_ticks(connection, ACCOUNT, [tick], self.at)
        self.tested = Exchange(Matcher(PLAIN, steps), SESSIONS, rules=listing.rules)
        self.tested.show(tick, self.session)
        of_account = Settings(account=ACCOUNT, guardian=own)
        ends = self.at + timedelta(hours=9)
        self.guardian = Guard(self.ledger, MASTER, of_account, lambda *_: ends, lambda: self.at)

    def show(self, at: datetime) -> None:
        """The next tick."""
        self.at, tick = at, Tick(self.symbol, LAST, at)
        self.market.on_ticks([tick], self.session, self.session.closes)
        self.tested.show(tick, self.session)

    def place(self, intent: OrderIntent) -> tuple[Outcome, Progress | Refused]:
        """On both exchanges."""
        name = intent.client_order_id
        on_paper = self.broker.place(grant(Order.from_intent(intent, self.at)))
        return on_paper, self.tested.place(Live(intent, name, name, self.at, LAST), self.at)

    def answer(self, intent: OrderIntent) -> str | None:
        """The rule that the exchange refuses the order by on paper; all others have the same answer."""
        of_rules = self.told_by_guardian(intent)
        on_paper, in_backtest = map(broken, self.place(intent))
        in_sandbox = refused_by(self.sandbox, intent)
        assert on_paper == in_backtest, intent
        assert on_paper in of_rules if on_paper else not of_rules, (intent, on_paper, of_rules)
        assert in_sandbox in of_rules if in_sandbox else not of_rules, (intent, in_sandbox, of_rules)
        return on_paper

    def told_by_guardian(self, intent: OrderIntent) -> set[str]:
        order = Order.from_intent(intent, self.at)
        verdict = self.guardian.admit(order, "run", f"content {intent.client_order_id}", None)
        told = {refusal.code for refusal in verdict.refusals} if isinstance(verdict, Refusals) else set()
        return told & RULES


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield database


def orders(instrument: Instrument) -> Iterator[OrderIntent]:
    numbers = iter(range(10_000))
    for kind, usual in ALL_TYPES.items():
        for price in PRICES if "price" in usual else (None,):
            for validity in (Validity.DAY, Validity.IOC) if kind is OrderType.LIMIT else (Validity.DAY,):
                for lots, disclosed in ((1, None), (100, None), (1, DISCLOSED)):
                    yield OrderIntent(
                        symbol=instrument.symbol,
                        side="BUY",
                        quantity=instrument.lot_size * lots,
                        order_type=kind,
                        validity=validity,
                        client_order_id=f"n{next(numbers)}",
                        instructions=disclosed,
                        **usual | ({"price": price} if price is not None else {}),
                    )


@pytest.mark.parametrize(
    ("symbol", "at", "expected"),
    [
        ("NFO:NIFTY24JUNFUT", datetime(2024, 6, 27, 11, 0, tzinfo=IST), {Rule.NOT_TAKEN, Rule.CIRCUIT}),
        ("NFO:NIFTY24JUNFUT", datetime(2024, 6, 28, 11, 0, tzinfo=IST), {Rule.EXPIRED}),
        ("NSE:RELIANCE", datetime(2026, 7, 31, 15, 16, tzinfo=IST), {Rule.CIRCUIT}),
        ("NSE:RELIANCE", datetime(2026, 8, 3, 15, 16, tzinfo=IST), {Rule.NOT_NOW, Rule.CIRCUIT}),
        ("NSE:RELIANCE", datetime(2026, 11, 25, 15, 22, tzinfo=IST), {Rule.NOT_NOW, Rule.PRICE_LIMIT, Rule.CIRCUIT}),
        ("BSE:RELIANCE", datetime(2026, 11, 25, 11, 0, tzinfo=IST), {Rule.NOT_TAKEN, Rule.CIRCUIT}),
        ("MCX:CRUDEOIL26DECFUT", datetime(2026, 11, 25, 23, 40, tzinfo=IST), {Rule.NOT_TAKEN, Rule.CIRCUIT}),
        ("BFO:SENSEX26DECFUT", datetime(2026, 11, 25, 11, 0, tzinfo=IST), {Rule.NOT_TAKEN, Rule.CIRCUIT}),
        (
            "NFO:BANKNIFTY26DECFUT",
            datetime(2026, 11, 25, 11, 0, tzinfo=IST),
            {Rule.NOT_TAKEN, Rule.FREEZE, Rule.PRICE_LIMIT, Rule.CIRCUIT},
        ),
    ],
)
def test_every_kind_of_order_gets_the_same_answer_everywhere(
    ledger: Database, symbol: str, at: datetime, expected: set[Rule]
) -> None:
    session, instrument = SESSIONS.of(symbol).session_on(at.date()), MASTER.get(symbol)
    assert session is not None
    assert instrument is not None
    everywhere = Everywhere(ledger, symbol, session, at)
    assert {answer for intent in orders(instrument) if (answer := everywhere.answer(intent))} == expected


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, Session, datetime]:
    """Any symbol on any day of three years, at the edge of a window or anywhere in its session."""
    symbol = draw(st.sampled_from(SYMBOLS))
    day = draw(st.dates(date(2024, 1, 1), date(2026, 12, 31)))
    session = SESSIONS.of(symbol).session_at_or_after(datetime.combine(day, datetime.min.time(), IST))
    if not session.known:
        session = SESSIONS.of(symbol).session_at_or_after(datetime(2026, 11, 25, 0, 0, tzinfo=IST))
    edges = [datetime.combine(session.date, at, IST) for each in session.windows for at in (each.opens, each.closes)]
    second = timedelta(seconds=1)
    at_edges = [edge + off for edge in edges for off in (-second, 0 * second) if session.contains(edge + off)]
    seconds = int((session.closes - session.opens).total_seconds())
    anywhere = st.integers(0, seconds - 1).map(lambda after: session.opens + after * second)
    return symbol, session, draw(st.sampled_from(at_edges) | anywhere)


@st.composite
def asked(draw: st.DrawFn, symbol: str, number: int) -> OrderIntent:
    instrument = MASTER.get(symbol)
    assert instrument is not None
    kind, side = draw(st.sampled_from(OrderType)), draw(st.sampled_from(Side))
    content: dict[str, Any] = {"symbol": symbol, "side": side, "order_type": kind, "client_order_id": f"n{number}"}
    content["quantity"] = instrument.lot_size * draw(st.integers(1, 60))
    content["instructions"] = draw(st.sampled_from([None, None, DISCLOSED]))
    if kind is OrderType.LIMIT:
        content["validity"] = draw(st.sampled_from([Validity.DAY, Validity.IOC]))
    away = st.integers(0, 1200).map(lambda steps: steps * TICK)
    price = LAST + draw(st.sampled_from([1, -1])) * draw(away)
    if kind in (OrderType.LIMIT, OrderType.SL):
        content["price"] = price
    if kind is OrderType.SL:
        content["trigger_price"] = max(price - side.sign * draw(away), TICK)
    if kind is OrderType.SL_M:
        content["trigger_price"] = price
    return OrderIntent(**content)


@given(data=st.data(), moment=moments())
@settings(max_examples=40)
def test_any_order_gets_the_same_answer_everywhere(data: st.DataObject, moment: tuple[str, Session, datetime]) -> None:
    symbol, session, at = moment
    with TemporaryDirectory() as directory, open_empty_ledger(Path(directory) / "ledger.db") as ledger:
        everywhere = Everywhere(ledger, symbol, session, at)
        for number in range(8):
            everywhere.answer(data.draw(asked(symbol, number)))


@pytest.mark.parametrize(
    ("symbol", "day", "ended"),
    [
        ("NSE:RELIANCE", date(2026, 11, 25), ["disclosed", "stop", "stop at market"]),
        ("NSE:RELIANCE", date(2026, 7, 31), []),
        ("NSE:PCBL", date(2026, 11, 25), []),
    ],
)
def test_what_the_exchange_cancels_before_the_closing_auction_is_the_same(
    ledger: Database, symbol: str, day: date, ended: list[str]
) -> None:
    session = SESSIONS.of(symbol).session_on(day)
    assert session is not None
    everywhere = Everywhere(ledger, symbol, session, datetime.combine(day, time(15, 14), IST))
    below, above = {"price": LAST - 1}, {"trigger_price": LAST + 1}
    resting = {
        "limit": {"order_type": "LIMIT", **below},
        "disclosed": {"order_type": "LIMIT", **below, "instructions": DISCLOSED},
        "stop": {"order_type": "SL", "price": LAST + 2, **above},
        "stop at market": {"order_type": "SL-M", **above},
    }
    placed = {
        name: everywhere.place(
            OrderIntent(symbol=symbol, side=Side.BUY, quantity=10, client_order_id=name.replace(" ", "-"), **terms)
        )
        for name, terms in resting.items()
    }
    everywhere.show(datetime.combine(day, time(15, 15), IST))
    rows = {row.broker_order_id: row for row in everywhere.broker.order_book()}
    for name, (on_paper, in_backtest) in placed.items():
        assert isinstance(on_paper, Accepted)
        assert isinstance(in_backtest, Progress)
        row, order = rows[on_paper.broker_order_id], in_backtest.order
        state = BookState.EXPIRED if name in ended else BookState.WORKING
        words = str(rules().cancelled_before_auction) if name in ended else None
        assert (row.state, row.message) == (order.state, order.message) == (state, words), name


def test_the_minute_s_and_the_day_s_last_request_is_the_same_everywhere(ledger: Database) -> None:
    """By the market's clock: a minute is over when its next tick comes."""
    symbol, at = "NSE:PCBL", datetime(2026, 11, 25, 11, 0, 30, tzinfo=IST)
    session, limits, numbers = SESSIONS.of(symbol).session_on(at.date()), rules().limits, count()
    assert session is not None
    everywhere = Everywhere(ledger, symbol, session, at)

    def intent() -> OrderIntent:
        own = f"n{next(numbers)}"
        return OrderIntent(
            symbol=symbol, side=Side.BUY, quantity=1, order_type="LIMIT", price=LAST - 1, client_order_id=own
        )

    def sent(requests: int, orders: int) -> None:
        """As if so many were: they are counted one by one in tests of their own."""
        with ledger.write() as connection:
            save_sent(connection, ACCOUNT, Sent(everywhere.at.replace(second=0), requests, session.date, orders))

    def answers() -> tuple[set[str], str | None, str | None, str | None]:
        asked = intent()
        told = everywhere.told_by_guardian(asked)
        on_paper, in_backtest = everywhere.place(asked)
        return told, broken(on_paper), broken(in_backtest), over_rate(everywhere.api)

    placed = None
    for second in range(limits.orders_per_minute):
        placed = everywhere.tested.place(Live(intent(), f"b{second}", f"b{second}", at, LAST), at)
        everywhere.at = at.replace(second=second // limits.orders_per_second)
        assert over_rate(everywhere.api) is None
    sent(limits.orders_per_minute - 1, limits.orders_per_minute - 1)
    everywhere.at = at.replace(second=45)
    assert everywhere.told_by_guardian(intent()) == set()
    resting, _ = everywhere.place(intent())
    assert isinstance(resting, Accepted)
    minute = Rule.MINUTE.value
    assert answers() == ({minute}, minute, minute, "429")
    assert isinstance(placed, Progress)
    change = Amendment(price=LAST - 2)
    assert broken(everywhere.broker.modify(resting.broker_order_id, change)) == minute
    assert broken(everywhere.tested.modify(placed.order, change, everywhere.at)) == minute
    assert isinstance(everywhere.broker.cancel(resting.broker_order_id), Accepted), "a cancel would wait for its turn"
    assert isinstance(everywhere.tested.cancel(placed.order, everywhere.at), Progress)

    everywhere.show(at + timedelta(minutes=1))
    assert answers() == (set(), None, None, None)
    sent(1, limits.orders_per_day)
    assert everywhere.told_by_guardian(intent()) == {Rule.DAY.value}
    assert broken(everywhere.place(intent())[0]) == Rule.DAY.value


def over_rate(api: RateLimits) -> str | None:
    """Whether the sandbox's API takes one more order."""
    try:
        api.admit(Route.PLACE)
    except KiteError as error:
        return str(error.status)
    return None


def circuits_of(quotes: Quotes, symbol: str) -> CircuitLimits:
    quote = quotes.get(symbol)
    assert quote is not None
    return CircuitLimits(lower=quote.lower_circuit, upper=quote.upper_circuit)


def refused_by(sandbox: Rms, intent: OrderIntent) -> str | None:
    """The rule that the sandbox refuses by, in Kite's words or in ours."""
    terms = Terms.model_validate(intent.model_dump(include=set(Terms.model_fields)))
    disclosed = intent.instructions.disclosed_quantity if intent.instructions is not None else None
    details = OrderDetails(placed_by="AB1234", disclosed_quantity=disclosed or 0)
    try:
        sandbox.check_placement(Placement(Variety.REGULAR, terms, None, details))
    except KiteError as error:
        words = error.message
        known = {"maximum quantity": Rule.FREEZE, "circuit limits": Rule.CIRCUIT}
        return next((rule.value for part, rule in known.items() if part in words), words.partition(":")[0])
    return None


def broken(outcome: object) -> str | None:
    """The rule that an exchange refuses by."""
    if not isinstance(outcome, Refused):
        return None
    code = outcome.evidence.message.partition(":")[0]
    return code if code in RULES else None
