"""Zerodha Kite as a `Broker`, through the official client. Production and both sandboxes are settings of this one."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from kiteconnect import KiteConnect
from sqlalchemy.exc import SQLAlchemyError

from trading.brokers import kite_rows, kite_ticks
from trading.brokers.book import BookState, BrokerOrder, BrokerPosition, Funds
from trading.brokers.kite_families import ICEBERG, book_of, of_heads
from trading.brokers.kite_http import Replies
from trading.brokers.kite_outcomes import Ending, outcome_of
from trading.brokers.kite_reads import SharedReading
from trading.brokers.kite_receipts import accepted_by
from trading.brokers.kite_rows import IsOpen
from trading.errors import BookUnreadable, LoginNeeded
from trading.guardian.approval import Approved
from trading.ledger.pacing import NO_LIMIT, Pacer, Turn
from trading.market.ticks import Tick
from trading.order import Amendment, BrokerOrderId, Fill, Order, OrderType
from trading.outcome import Accepted, Evidence, NotSent, Outcome, Refused, SessionExpired
from trading.settings import Kite, Live

INSTRUMENT_ROUTES = ("market.instruments", "market.instruments.all")
"""The routes that Zerodha's own sandbox serves without its prefix."""

MOST_QUOTES = 500
"""In one reading (Kite documentation, market quotes)."""
AT_MARKET = (OrderType.MARKET, OrderType.SL_M)
NO_AMO = "Kite splits no after-market order (iceberg, autoslice), and the session is not open"
AT_THE_LIMIT = Evidence(message="the account's order requests are at their limit")

Token = Callable[[], str | None]

log = logging.getLogger(__name__)


class KiteBroker:
    """Thread-safe. Asks `token()` for the access token at every call, so that a new login counts at once."""

    def __init__(
        self,
        settings: Kite,
        live: Live,
        token: Token,
        is_open: IsOpen,
        clock: Callable[[], datetime],
        reads: Pacer | None = None,
        quotes: Pacer | None = None,
        commands: Pacer | None = None,
    ) -> None:
        """`is_open` says whether the session of a symbol is open at a moment. `reads` and `quotes` keep the pace of the
        readings; commands are paced by whoever gives them, but for what a cancel needs beyond one request: `commands`.
        """
        self._settings = settings
        self._live = live
        self._token = token
        self._is_open = is_open
        self._clock = clock
        self._replies = Replies()
        self._clients = threading.local()
        self._varieties: dict[BrokerOrderId, str] = {}
        self._left_out: set[str] = set()
        self._reads = reads
        self._quotes = quotes
        self._commands = commands
        self._members: Mapping[BrokerOrderId, tuple[BrokerOrder, ...]] = {}
        self._heads: dict[BrokerOrderId, BrokerOrderId] = {}
        self._shared_book = SharedReading(self._order_book)
        self._shared_trades = SharedReading(self._trades)

    def place(self, approved: Approved) -> Outcome:
        """One POST, with prices by their digits. Outside the session it is an after-market order (variety `amo`)."""
        order = approved.order
        given = order.instructions
        is_open = self._is_open(order.symbol, self._clock())
        if given is not None and given.splits and not is_open:
            return Refused(evidence=Evidence(message=NO_AMO, error_type="NotApproved"))
        variety = ICEBERG if given is not None and given.is_iceberg else "regular" if is_open else "amo"

        def send(kite: Any) -> Any:
            place = kite.place_autoslice_order if order.is_autosliced else kite.place_order
            return place(variety=variety, **self._parameters(order))

        return self._command(send, variety)

    def modify(self, broker_order_id: BrokerOrderId, change: Amendment) -> Outcome:
        parameters: dict[str, Any] = {
            "quantity": change.quantity,
            "price": change.price,
            "trigger_price": change.trigger_price,
            "order_type": change.order_type.value if change.order_type else None,
            "market_protection": self._live.market_protection if change.order_type in AT_MARKET else None,
        }
        variety = self._variety(broker_order_id)
        return self._command(lambda kite: kite.modify_order(variety, broker_order_id, **parameters), variety)

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
        try:
            with _turn(self._commands) as in_turn:
                return self._cancel_row(part) if in_turn else NotSent(evidence=AT_THE_LIMIT)
        except SQLAlchemyError as error:
            return NotSent(evidence=Evidence(message="the ledger could not be used", error_type=type(error).__name__))

    def order_book(self) -> list[BrokerOrder]:
        return self._shared_book()

    def trades(self) -> list[Fill]:
        return self._shared_trades()

    def positions(self) -> list[BrokerPosition]:
        rows = self._read(lambda kite: kite.positions()["net"])
        return [_understood(kite_rows.position_from, row) for row in rows]

    def margins(self) -> Funds | None:
        segments = self._read(lambda kite: [kite.margins("equity")])
        return _understood(kite_rows.funds_from, segments[0])  # type: ignore[no-any-return]

    def last_prices(self, symbols: Sequence[str]) -> list[Tick]:
        """One reading of market quotes, which Kite counts apart. Raises `LoginNeeded` and `BookUnreadable`."""
        (quotes,) = self._read(lambda kite: [kite.quote(*symbols[:MOST_QUOTES])], self._quotes)
        return list(_understood(lambda rows: [*kite_ticks.ticks_of(rows, self._clock())], quotes))

    def _order_book(self) -> list[BrokerOrder]:
        parts = []
        for row in self._read(lambda kite: kite.orders()):
            part = kite_rows.part_from(row, self._is_open)
            if part is None:
                self._not_understood(row)
            else:
                parts.append(part)
        book = book_of(parts, self._clock(), timedelta(seconds=self._live.settle_window))
        self._varieties.update({part.row.broker_order_id: part.row.variety for part in parts})
        self._varieties.update({row.broker_order_id: row.variety for row in book.rows})
        self._members = book.members
        self._heads = self._heads | book.heads
        return book.rows

    def _not_understood(self, row: dict[str, Any]) -> None:
        """Somebody else's order is left out, and told once. One of ours must not look as if it were not there."""
        if kite_rows.may_be_ours(row):
            raise BookUnreadable(f"the row of order {row.get('order_id')}, which has a tag of ours, is not understood")
        if (own_id := str(row.get("order_id"))) not in self._left_out:
            self._left_out.add(own_id)
            log.warning("order %s at the broker is left out: its row is not understood", own_id)

    def _trades(self) -> list[Fill]:
        """Those of a family as of the row that stands for it. A book that was read before may not know all of them."""
        fills = [_understood(kite_rows.fill_from, row) for row in self._read(lambda kite: kite.trades())]
        if any(fill.broker_order_id not in self._heads for fill in fills):
            self.order_book()
        return of_heads(fills, self._heads)

    def _parameters(self, order: Order) -> dict[str, Any]:
        exchange, tradingsymbol = order.symbol.split(":", 1)
        special = order.instructions.model_dump(exclude_none=True, exclude={"autoslice"}) if order.instructions else {}
        return {
            "exchange": exchange,
            "tradingsymbol": tradingsymbol,
            "transaction_type": order.side.value,
            "quantity": order.quantity,
            "product": order.product.value,
            "order_type": order.order_type.value,
            "price": order.price,
            "trigger_price": order.trigger_price,
            "validity": order.validity.value,
            "tag": order.tag,
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

    def _command(self, call: Callable[[Any], Any], variety: str) -> Outcome:
        """A receipt is an order id under HTTP 200; everything else is what the table makes of it."""
        client = self._client()
        if client is None:
            return SessionExpired(evidence=Evidence(message="nobody is logged in"))
        receipt, ending = self._asked(lambda: call(client))
        accepted = accepted_by(receipt) if ending.http_status == 200 else None
        if accepted is None:
            return outcome_of(ending)
        for own_id in (accepted.broker_order_id, *accepted.slices):
            self._varieties[own_id] = variety
        return accepted

    def _read(self, call: Callable[[Any], Any], pacer: Pacer | None = None) -> list[Any]:
        """The rows of a whole, plain reply. Raises `LoginNeeded` or `BookUnreadable` for anything else."""
        client = self._client()
        if client is None:
            raise LoginNeeded("nobody is logged in")
        try:
            with _turn(pacer or self._reads) as in_turn:
                rows, ending = self._asked(lambda: call(client)) if in_turn else (None, None)
        except SQLAlchemyError as error:
            raise BookUnreadable(f"the ledger could not be used ({type(error).__name__})") from None
        if ending is None:
            raise BookUnreadable("the account's readings are at their limit")
        if ending.error is None and ending.http_status == 200 and isinstance(rows, list):
            return rows
        if isinstance(outcome_of(ending), SessionExpired):
            raise LoginNeeded(str(ending.evidence))
        raise BookUnreadable(str(ending.evidence))

    def _asked(self, call: Callable[[], Any]) -> tuple[Any, Ending]:
        """What the client made of the reply, and how the call ended: the reply itself decides."""
        try:
            return call(), self._replies.ending(None)
        except Exception as error:  # whatever the client makes of a reply
            return None, self._replies.ending(error)

    def _client(self) -> Any | None:
        """This thread's client, with today's token; `None` if nobody is logged in."""
        token = self._token()
        if token is None or self._settings.api_key is None:
            return None
        client = getattr(self._clients, "kite", None)
        if client is None:
            client = kite_client(self._settings, self._replies)
            self._clients.kite = client
        client.set_access_token(token)
        return client


def kite_client(settings: Kite, session: Replies | None = None) -> Any:
    """The official client for these settings."""
    client = KiteConnect(api_key=settings.api_key, root=settings.root, timeout=settings.timeout)
    client.reqsession = session or Replies()
    client._routes = {  # the client has no other way to say where its routes begin
        name: path if name in INSTRUMENT_ROUTES else settings.route_prefix + path
        for name, path in client._routes.items()
    }
    return client


def _turn(pacer: Pacer | None) -> AbstractContextManager[Turn]:
    return pacer.turn(urgent=True) if pacer is not None else nullcontext(NO_LIMIT)


def _understood(parse: Callable[[Any], Any], row: Any) -> Any:
    try:
        return parse(row)
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise BookUnreadable(f"a row of the reply cannot be understood ({type(error).__name__})") from None
