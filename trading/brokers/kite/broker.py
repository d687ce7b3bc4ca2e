"""Zerodha Kite as a `Broker`, through the official client. Production and both sandboxes are settings of this one."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from kiteconnect import KiteConnect

from durable_orders.trading.brokers.kite import charges as kite_charges
from durable_orders.trading.brokers.kite import gtt as kite_gtt
from durable_orders.trading.brokers.kite import rows as kite_rows
from durable_orders.trading.brokers.kite import ticks as kite_ticks
from durable_orders.trading.brokers.kite.candles import NAMES, bars_from
from durable_orders.trading.brokers.kite.http import KiteSession
from durable_orders.trading.brokers.kite.outcomes import Ending, outcome_of
from durable_orders.trading.brokers.kite.receipts import accepted_by
from durable_orders.trading.brokers.kite.session_user import READS_AT_THE_LIMIT, MustBe, SessionUser
from durable_orders.trading.brokers.kite.split_orders import ICEBERG, book_of, of_heads
from durable_orders.trading.brokers.shared_reading import SharedReading
from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.config.settings import Kite, Live
from durable_orders.trading.errors import BookUnreadable, LoginNeeded, WrongLogin
from durable_orders.trading.gtt.gtt import BrokerGtt, TriggerId
from durable_orders.trading.gtt.outcome import ApprovedGtt, GttOutcome
from durable_orders.trading.ledger.rate_limiter import NO_LIMIT, RateLimiter, Slot
from durable_orders.trading.market.bars import Bar
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.approval import Approved
from durable_orders.trading.orders.book import (
    BilledOrder,
    BookState,
    BrokerHolding,
    BrokerOrder,
    BrokerPosition,
    Funds,
    OddRow,
)
from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Fill, Order, OrderType, Terms
from durable_orders.trading.orders.outcome import (
    AT_THE_LIMIT,
    Accepted,
    Evidence,
    NotSent,
    Outcome,
    Refused,
    SessionExpired,
    Unknown,
)

INSTRUMENT_ROUTES = ("market.instruments", "market.instruments.all")
"""The routes that Zerodha's own sandbox serves without its prefix."""

MOST_QUOTES = 500
"""In one reading (Kite documentation, market quotes)."""
AT_MARKET = (OrderType.MARKET, OrderType.SL_M)
NO_AMO = "Kite splits no after-market order (iceberg, autoslice), and the session is not open"

R = TypeVar("R")
Token = Callable[[], str | None]

log = logging.getLogger(__name__)


class KiteBroker:
    """Thread-safe. Asks `token()` for the access token at every call, so that a new login counts at once."""

    def __init__(
        self,
        settings: Kite,
        live: Live,
        token: Token,
        sessions: SessionSource,
        clock: Callable[[], datetime],
        reads: RateLimiter | None = None,
        quotes: RateLimiter | None = None,
        commands: RateLimiter | None = None,
        sizes_told: Callable[[Mapping[str, int]], object] = lambda _sizes: None,
        must_be: MustBe | None = None,
        history: RateLimiter | None = None,
    ) -> None:
        """`sessions` says when each symbol trades. `reads`, `quotes` and `history` keep the pace of the
        readings; commands are paced by whoever gives them, but for what a cancel needs beyond one request: `commands`.
        With `must_be`, nothing is sent to, and no book is read of, a user that it does not take.
        """
        self._settings = settings
        self._live = live
        self._token = token
        self._sessions = sessions
        self._clock = clock
        self._session = session_for(settings)
        self._user = SessionUser(self._session, lambda: _turn(reads), must_be)
        self._clients = threading.local()
        self._varieties: dict[BrokerOrderId, str] = {}
        self._odd: dict[str, Mapping[str, OddRow]] = {}
        self._told: set[str] = set()
        self._reads = reads
        self._quotes = quotes
        self._commands = commands
        self._history = history
        self._sizes_told = sizes_told
        self._members: Mapping[BrokerOrderId, tuple[BrokerOrder, ...]] = {}
        self._heads: dict[BrokerOrderId, BrokerOrderId] = {}
        self._shared_book = SharedReading(self._order_book)
        self._shared_trades = SharedReading(self._trades)
        self._shared_positions = SharedReading(self._positions)
        self._shared_holdings = SharedReading(self._holdings)

    def place(self, approved: Approved, last_look: LastLook | None = None) -> Outcome:
        """One POST, with prices by their digits. Outside the session it is an after-market order (variety `amo`)."""
        order = approved.order
        given = order.instructions
        is_open = self._sessions.of(order.symbol).is_regular(self._clock())
        if given is not None and given.splits and not is_open:
            return Refused(evidence=Evidence(message=NO_AMO, error_type="NotApproved"))
        variety = ICEBERG if given is not None and given.is_iceberg else "regular" if is_open else kite_rows.AMO

        def send(kite: Any) -> Any:
            place = kite.place_autoslice_order if order.is_autosliced else kite.place_order
            return place(variety=variety, **self._parameters(order))

        return self._command(send, variety, last_look, is_new=True)

    def modify(self, broker_order_id: BrokerOrderId, change: Amendment) -> Outcome:
        parameters: dict[str, Any] = {
            "quantity": change.quantity,
            "price": _digits(change.price),
            "trigger_price": _digits(change.trigger_price),
            "order_type": change.order_type.value if change.order_type else None,
            "market_protection": self._live.market_protection if change.order_type in AT_MARKET else None,
        }
        variety = self._variety(broker_order_id)
        return self._command(
            lambda kite: kite.modify_order(variety, broker_order_id, **parameters), variety, is_new=True
        )

    def cancel(self, broker_order_id: BrokerOrderId) -> Outcome:
        """One DELETE, or one for each row that works of an order that Kite made several of."""
        if self._is_family(broker_order_id):
            return self._cancel_family(broker_order_id)
        answer = self._cancel_row(broker_order_id)
        # it may be a part of a family that was not shown so far; a refusal may mean that this part has ended
        if isinstance(answer, Refused) and self._is_family(broker_order_id, looks_again=True):
            return self._cancel_family(broker_order_id)
        return answer

    def _cancel_row(self, broker_order_id: BrokerOrderId) -> Outcome:
        variety = self._variety(broker_order_id)
        return self._command(lambda kite: kite.cancel_order(variety, broker_order_id), variety)

    def _is_family(self, broker_order_id: BrokerOrderId, *, looks_again: bool = False) -> bool:
        if looks_again or broker_order_id not in self._varieties:
            try:
                self.order_book()
            except BookUnreadable:
                return False
        return broker_order_id in self._members

    def _cancel_family(self, broker_order_id: BrokerOrderId) -> Outcome:
        """All that works by a fresh book. The answer is the first that is not a plain yes."""
        try:
            self.order_book()
        except BookUnreadable as error:
            return NotSent(evidence=Evidence(message=f"what of it works is not known: {error}"))
        rows = self._members.get(broker_order_id, ())
        working = [row.broker_order_id for row in rows if row.state is BookState.WORKING]
        if not working:
            return Refused(evidence=Evidence(message="none of its parts works at this moment"))
        answers = [self._cancel_row(working[0]), *(self._cancel_in_turn(part) for part in working[1:])]
        return next((answer for answer in answers if not isinstance(answer, Accepted)), answers[0])

    def _cancel_in_turn(self, part: BrokerOrderId) -> Outcome:
        with _turn(self._commands) as slot:
            return self._cancel_row(part) if slot else NotSent(evidence=AT_THE_LIMIT)

    def order_book(self) -> list[BrokerOrder]:
        return self._shared_book()

    def trades(self) -> list[Fill]:
        return self._shared_trades()

    def positions(self) -> list[BrokerPosition]:
        return self._shared_positions()

    def holdings(self) -> list[BrokerHolding]:
        return self._shared_holdings()

    def odd_rows(self) -> tuple[OddRow, ...]:
        """Of the latest readings: what is left out of orders and trades, since it is not understood. Of positions
        nothing is left out: nobody may seem to be flat who is not."""
        return tuple(odd for of_kind in self._odd.values() for odd in of_kind.values())

    def margins(self) -> Funds | None:
        segments = self._read(lambda kite: [kite.margins("equity")])
        return _understood(kite_rows.funds_from, segments[0])  # type: ignore[no-any-return]

    def charges(self, billed: Sequence[BilledOrder]) -> list[Charges]:
        """By Kite's virtual contract note. Raises `LoginNeeded` and `BookUnreadable`."""
        starts = range(0, len(billed), kite_charges.MOST_ORDERS)
        chunks = (billed[start : start + kite_charges.MOST_ORDERS] for start in starts)
        return [charges for chunk in chunks for charges in self._charges(chunk)]

    def _charges(self, billed: Sequence[BilledOrder]) -> list[Charges]:
        asked = [kite_charges.asked_of(order) for order in billed]
        rows = self._read(lambda kite: kite.get_virtual_contract_note(asked))
        if len(rows) != len(billed):
            raise BookUnreadable(f"the contract note has {len(rows)} rows for {len(billed)} orders")
        return [
            _understood(lambda pair: kite_charges.charges_from(*pair), pair) for pair in zip(rows, billed, strict=True)
        ]

    def last_prices(self, symbols: Sequence[str]) -> list[Tick]:
        """One reading of market quotes, which Kite counts apart. Raises `LoginNeeded` and `BookUnreadable`."""
        (quotes,) = self._read(lambda kite: [kite.quote(*symbols[:MOST_QUOTES])], self._quotes)
        return list(_understood(lambda rows: [*kite_ticks.ticks_of(rows, self._clock())], quotes))

    def candles(self, instrument: Instrument, interval: timedelta, first: date, last: date) -> list[Bar]:
        """Those of these days, oldest first, with the one that still forms. Raises `LoginNeeded` and
        `BookUnreadable`."""
        calendar, name = self._sessions.of(instrument.symbol), NAMES[interval]
        since, until = datetime.combine(first, time.min), datetime.combine(last, time(23, 59, 59))
        rows = self._read(
            lambda kite: kite.historical_data(instrument.instrument_token, since, until, name, oi=True), self._history
        )
        return list(_understood(lambda found: [*bars_from(found, instrument.symbol, interval, calendar)], rows))

    def basket_margin(self, orders: Sequence[Terms]) -> Decimal:
        """Rupees that they would bind together, with what is held (Kite documentation, basket margins). Raises
        `LoginNeeded` and `BookUnreadable`."""
        asked = [_for_margin(order) for order in orders]
        (answer,) = self._read(lambda kite: [kite.basket_order_margins(asked, consider_positions=True)])
        return _understood(lambda found: Decimal(str(found["final"]["total"])), answer)  # type: ignore[no-any-return]

    def place_gtt(self, approved: ApprovedGtt, last_look: LastLook | None = None) -> GttOutcome:
        parameters = kite_gtt.parameters_of(approved)
        return self._gtt_command(lambda kite: kite.place_gtt(**parameters), last_look)

    def modify_gtt(self, trigger_id: TriggerId, approved: ApprovedGtt, last_look: LastLook | None = None) -> GttOutcome:
        parameters = kite_gtt.parameters_of(approved)
        return self._gtt_command(lambda kite: kite.modify_gtt(trigger_id, **parameters), last_look)

    def delete_gtt(self, trigger_id: TriggerId, last_look: LastLook | None = None) -> GttOutcome:
        return self._gtt_command(lambda kite: kite.delete_gtt(trigger_id), last_look)

    def gtts(self) -> list[BrokerGtt]:
        return [self._gtt_of(row) for row in self._read(lambda kite: kite.get_gtts())]

    def gtt(self, trigger_id: TriggerId) -> BrokerGtt:
        (row,) = self._read(lambda kite: [kite.get_gtt(trigger_id)])
        return self._gtt_of(row)

    def _gtt_of(self, row: Any) -> BrokerGtt:
        return _understood(kite_gtt.gtt_from, row)  # type: ignore[no-any-return]

    def _gtt_command(self, call: Callable[[Any], Any], last_look: LastLook | None = None) -> GttOutcome:
        """Kite counts it among all other requests, not among those of orders."""
        with _turn(self._reads) as slot:
            if not slot:
                return NotSent(evidence=Evidence(message=READS_AT_THE_LIMIT), tried=False)
            sent = self._sent(call, last_look, is_new=True)
        if not isinstance(sent, tuple):
            return sent
        receipt, ending = sent
        accepted = kite_gtt.accepted_by(receipt) if ending.http_status == 200 else None
        if accepted is not None:
            return accepted
        outcome = outcome_of(ending)
        return outcome if not isinstance(outcome, Accepted) else Unknown(evidence=ending.evidence)

    def _order_book(self) -> list[BrokerOrder]:
        rows = self._read(lambda kite: kite.orders())
        parts = self._those_understood(
            "order", rows, lambda row: kite_rows.part_from(row, self._sessions), lambda row: row["order_id"]
        )
        book = book_of(parts, self._clock(), timedelta(seconds=self._live.settle_window))
        self._varieties.update({part.row.broker_order_id: part.row.variety for part in parts})
        self._varieties.update({row.broker_order_id: row.variety for row in book.rows})
        self._members = book.members
        self._heads = self._heads | book.heads
        return book.rows

    def _those_understood(
        self, kind: str, rows: Sequence[Any], parse: Callable[[Any], R], name: Callable[[Any], Any]
    ) -> list[R]:
        """A row that is not understood costs that row alone, and is told once: it is somebody else's. An order of ours
        must not look as if it were not there."""
        understood, odd = [], {}
        for row in rows:
            try:
                understood.append(parse(row))
            except kite_rows.UNREADABLE:
                what = f"{kind} {_named(row, name)}"
                if kite_rows.may_be_ours(row):
                    raise BookUnreadable(f"the row of {what}, which has a tag of ours, is not understood") from None
                odd[what] = OddRow(what)
        self._odd[kind] = odd
        for what in odd.keys() - self._told:
            self._told.add(what)
            log.warning("%s at the broker is left out: its row is not understood", what)
        return understood

    def _trades(self) -> list[Fill]:
        """Those of a family as of the row that stands for it. A book that was read before may not know all of them."""
        rows = self._read(lambda kite: kite.trades())
        fills = self._those_understood("trade", rows, kite_rows.fill_from, lambda row: row["trade_id"])
        if any(fill.broker_order_id not in self._heads for fill in fills):
            self.order_book()
        return of_heads(fills, self._heads)

    def _positions(self) -> list[BrokerPosition]:
        rows = self._read(lambda kite: kite.positions()["net"])
        if sizes := kite_rows.sizes_from(rows):
            self._sizes_told(sizes)
        return [_understood(kite_rows.position_from, row) for row in rows]

    def _holdings(self) -> list[BrokerHolding]:
        rows = self._read(lambda kite: kite.holdings())
        return [holding for row in rows for holding in _understood(kite_rows.holdings_from, row)]

    def _parameters(self, order: Order) -> dict[str, Any]:
        exchange, tradingsymbol = order.symbol.split(":", 1)
        special = order.instructions.model_dump(exclude_none=True, exclude={"autoslice"}) if order.instructions else {}
        special |= {name: _digits(value) for name, value in special.items() if isinstance(value, Decimal)}
        return {
            "exchange": exchange,
            "tradingsymbol": tradingsymbol,
            "transaction_type": order.side.value,
            "quantity": order.quantity,
            "product": order.product.value,
            "order_type": order.order_type.value,
            "price": _digits(order.price),
            "trigger_price": _digits(order.trigger_price),
            "validity": order.validity.value,
            "tag": order.tag,
            "algo_id": self._live.algo_id,
            "market_protection": self._live.market_protection if order.order_type in AT_MARKET else None,
            **special,
        }

    def _variety(self, broker_order_id: BrokerOrderId) -> str:
        """The variety that the order was placed with; read from the book if this process did not place it."""
        if broker_order_id not in self._varieties:
            try:
                self.order_book()
            except BookUnreadable:
                return "regular"
        return self._varieties.get(broker_order_id, "regular")

    def _command(
        self, call: Callable[[Any], Any], variety: str, last_look: LastLook | None = None, *, is_new: bool = False
    ) -> Outcome:
        """A receipt is an order id under HTTP 200; everything else is what the table makes of it. What is new goes to
        the account's own user alone; a cancel finds nothing elsewhere, and waits for no such question."""
        sent = self._sent(call, last_look, is_new=is_new)
        if not isinstance(sent, tuple):
            return sent
        receipt, ending = sent
        accepted = accepted_by(receipt) if ending.http_status == 200 else None
        if accepted is None:
            return outcome_of(ending)
        for order_id in (accepted.broker_order_id, *accepted.slices):
            self._varieties[order_id] = variety
        return accepted

    def _sent(
        self, call: Callable[[Any], Any], last_look: LastLook | None, *, is_new: bool
    ) -> tuple[Any, Ending] | SessionExpired | NotSent:
        """What the client made of the answer, and how the call ended; or why there was none."""
        client = self._client()
        if client is None:
            return SessionExpired(evidence=Evidence(message="nobody is logged in"))
        try:
            if is_new:
                self._user.of(client, client.access_token)
        except LoginNeeded as error:
            return SessionExpired(evidence=Evidence(message=str(error)))
        except BookUnreadable as error:
            return NotSent(evidence=Evidence(message=str(error)), tried=False)
        return self._session.call(lambda: call(client), last_look)

    def _read(self, call: Callable[[Any], Any], pacer: RateLimiter | None = None) -> list[Any]:
        """The rows of a whole, plain reply. Raises `LoginNeeded` or `BookUnreadable` for anything else."""
        client = self._client()
        if client is None:
            raise LoginNeeded("nobody is logged in")
        user = self._user.of(client, client.access_token)
        with _turn(pacer or self._reads) as slot:
            rows, ending = self._session.call(lambda: call(client)) if slot else (None, None)
        if ending is None:
            raise BookUnreadable(READS_AT_THE_LIMIT)
        if ending.error is None and ending.http_status == 200 and isinstance(rows, list):
            _must_be_of(user, rows)
            return rows
        if isinstance(outcome_of(ending), SessionExpired):
            raise LoginNeeded(str(ending.evidence))
        raise BookUnreadable(str(ending.evidence))

    def _client(self) -> Any | None:
        """This thread's client, with today's token; `None` if nobody is logged in."""
        token = self._token()
        if token is None or self._settings.api_key is None:
            return None
        client = getattr(self._clients, "kite", None)
        if client is None:
            client = kite_client(self._settings, self._session)
            self._clients.kite = client
        client.set_access_token(token)
        return client


def kite_client(settings: Kite, session: KiteSession) -> Any:
    """The official client for these settings, over that session."""
    client = KiteConnect(api_key=settings.api_key, root=settings.root, timeout=settings.timeout)
    client.reqsession = session
    client._routes = {  # the client has no other way to say where its routes begin
        name: path if name in INSTRUMENT_ROUTES else settings.route_prefix + path
        for name, path in client._routes.items()
    }
    return client


def session_for(settings: Kite) -> KiteSession:
    """A session for the client of these settings."""
    known = (settings.api_secret, settings.access_token)
    return KiteSession(settings.root, [secret.get_secret_value() for secret in known if secret is not None])


def _must_be_of(user: str | None, rows: list[Any]) -> None:
    """Raises `WrongLogin` for a book that is somebody else's: it would prove that orders were never placed.

    A row that others placed may be the user's all the same (RMS, a dealer); one with a tag of ours may not.
    """
    for row in rows:
        if user is not None and isinstance(row, dict) and kite_rows.may_be_ours(row):
            placed_by = row.get("placed_by") or user
            if placed_by != user:
                raise WrongLogin(f"the book has an order of ours, {row.get('order_id')}, that {placed_by} placed")


def _for_margin(terms: Terms) -> dict[str, Any]:
    exchange, tradingsymbol = terms.symbol.split(":", 1)
    return {
        "exchange": exchange,
        "tradingsymbol": tradingsymbol,
        "transaction_type": terms.side.value,
        "variety": "regular",
        "product": terms.product.value,
        "order_type": terms.order_type.value,
        "quantity": terms.quantity,
        "price": float(terms.price or 0),
        "trigger_price": float(terms.trigger_price or 0),
    }


def _digits(amount: Decimal | None) -> str | None:
    """As Kite reads a number: `Decimal("1E+4")` is 10000."""
    return None if amount is None else f"{amount:f}"


def _turn(pacer: RateLimiter | None) -> AbstractContextManager[Slot]:
    return pacer.turn(urgent=True) if pacer is not None else nullcontext(NO_LIMIT)


def _named(row: Any, name: Callable[[Any], Any]) -> str:
    try:
        return str(name(row))
    except kite_rows.UNREADABLE:
        return "without an id"


def _understood(parse: Callable[[Any], Any], row: Any) -> Any:
    try:
        return parse(row)
    except kite_rows.UNREADABLE as error:
        raise BookUnreadable(f"a row of the reply cannot be understood ({type(error).__name__})") from None
