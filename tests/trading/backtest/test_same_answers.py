"""The same order meets the same rules of the exchanges in the guardian, on the paper exchange, in a backtest, and in
the sandbox."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
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
from durable_orders.sandbox.rms import Rms
from durable_orders.sandbox.store import OrderDetails
from durable_orders.trading.backtest.exchange import Exchange
from durable_orders.trading.backtest.orders import Live
from durable_orders.trading.config.settings import CircuitLimits, Guardian, Market, Settings
from durable_orders.trading.exchange.matching import Matcher
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.guardian.guardian import Guardian as Guard
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.hours import listing_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.rules import Rule
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.approval import approve
from durable_orders.trading.orders.order import Account, Order, OrderIntent, OrderType, Side, Terms, Validity
from durable_orders.trading.orders.outcome import Refused
from durable_orders.trading.orders.verdict import Refusals
from tests.ledgers import open_empty_ledger
from tests.trading.exchange.exchange import PLAIN
from tests.trading.market.test_rules import ALL_TYPES, MASTER

ACCOUNT = Account("paper")
LAST = Decimal(100)
TICK = Decimal("0.05")
SYMBOLS = [each.symbol for each in MASTER]
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
        steps = MASTER.tick_size
        self.broker = PaperBroker(
            self.ledger, ACCOUNT, PLAIN, steps, lambda: self.at, listing=listing, sessions=SESSIONS
        )
        market = PaperMarket(self.broker, self.ledger, ACCOUNT)
        market.take_over()
        market.on_ticks([tick], self.session, self.session.closes)
        with self.ledger.write() as connection:
            save_ticks(connection, ACCOUNT, [tick], self.at)
        self.tested = Exchange(Matcher(PLAIN, steps), SESSIONS, rules=listing.rules)
        self.tested.show(tick, self.session)
        of_account = Settings(account=ACCOUNT, guardian=own)
        ends = self.at + timedelta(hours=9)
        self.guardian = Guard(self.ledger, MASTER, of_account, lambda *_: ends, lambda: self.at)

    def answer(self, intent: OrderIntent) -> str | None:
        """The rule that the exchange refuses the order by on paper; all others have the same answer."""
        order = Order.from_intent(intent, self.at)
        on_paper = broken(self.broker.place(approve(order)))
        in_backtest = broken(
            self.tested.place(Live(intent, intent.client_order_id, intent.client_order_id, self.at, LAST), self.at)
        )
        verdict = self.guardian.admit(order, "run", f"content {intent.client_order_id}", None)
        told = {refusal.code for refusal in verdict.refusals} if isinstance(verdict, Refusals) else set()
        of_rules = told & RULES
        in_sandbox = refused_by(self.sandbox, intent)
        assert on_paper == in_backtest, intent
        assert on_paper in of_rules if on_paper else not of_rules, (intent, on_paper, told)
        assert in_sandbox in of_rules if in_sandbox else not of_rules, (intent, in_sandbox, told)
        return on_paper


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield database


def orders(instrument: Instrument) -> Iterator[OrderIntent]:
    numbers = iter(range(10_000))
    for kind, usual in ALL_TYPES.items():
        for price in PRICES if "price" in usual else (None,):
            for validity in (Validity.DAY, Validity.IOC) if kind is OrderType.LIMIT else (Validity.DAY,):
                for lots in (1, 100):
                    yield OrderIntent(
                        symbol=instrument.symbol,
                        side="BUY",
                        quantity=instrument.lot_size * lots,
                        order_type=kind,
                        validity=validity,
                        client_order_id=f"n{next(numbers)}",
                        **usual | ({"price": price} if price is not None else {}),
                    )


@pytest.mark.parametrize(
    ("symbol", "at", "expected"),
    [
        ("NFO:NIFTY24JUNFUT", datetime(2024, 6, 27, 11, 0, tzinfo=IST), {Rule.CIRCUIT}),
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
            {Rule.FREEZE, Rule.PRICE_LIMIT, Rule.CIRCUIT},
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


def circuits_of(quotes: Quotes, symbol: str) -> CircuitLimits:
    quote = quotes.get(symbol)
    assert quote is not None
    return CircuitLimits(lower=quote.lower_circuit, upper=quote.upper_circuit)


def refused_by(sandbox: Rms, intent: OrderIntent) -> str | None:
    """The rule that the sandbox refuses by, in Kite's words or in ours."""
    terms = Terms.model_validate(intent.model_dump(include=set(Terms.model_fields)))
    try:
        sandbox.check_placement(Placement(Variety.REGULAR, terms, None, OrderDetails(placed_by="AB1234")))
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
