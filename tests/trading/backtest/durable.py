"""The durable path without its server: guardian, broker, market and ledger, told what a workflow tells them."""

from datetime import datetime, timedelta
from pathlib import Path

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.guardian.guardian import Guardian
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.recording import record_within
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.hours import listing_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.book import BrokerOrder, Funds, OrderReport
from durable_orders.trading.orders.events import EVENT_OF, Entry
from durable_orders.trading.orders.order import Account, BrokerOrderId, Mode, Order, OrderIntent
from durable_orders.trading.orders.outcome import Accepted, Refused
from durable_orders.trading.orders.verdict import Approval, Refusals
from durable_orders.trading.reconciliation.external_orders import ExternalKind, adopted


class DurablePath:
    """One account on SQLite. Its clocks show the market's time, and what they are `ahead` of it."""

    def __init__(
        self,
        file: Path,
        settings: Settings,
        instruments: Instruments,
        session: Session,
        ahead: timedelta = timedelta(0),
    ) -> None:
        self._ahead = ahead
        self.now = session.opens + ahead
        self.session = session
        self.database = Database(f"sqlite:///{file}")
        account = self._account = Account(settings.account)
        sizes = {each.symbol: each.tick_size for each in instruments}
        sessions = InstrumentSessions(settings.market, instruments)
        listing = listing_of(sessions, instruments)
        paper = settings.execution.paper
        self._broker = PaperBroker(
            self.database, account, paper, sizes.get, self._clock, listing=listing, sessions=sessions
        )
        self._market = PaperMarket(self._broker, self.database, account)
        self._market.take_over()
        self._guardian = Guardian(
            self.database, instruments, settings, lambda _connection, _moment: session.closes + ahead, self._clock
        )
        self.orders: dict[str, Order] = {}
        self._sequences: dict[str, int] = {}

    def _clock(self) -> datetime:
        return self.now

    def place(self, intent: OrderIntent) -> None:
        order = Order.from_intent(intent, self.now)
        self.orders[intent.client_order_id] = order
        verdict = self._guardian.admit(order, "run", intent.fingerprint(), intent.place_by)
        if isinstance(verdict, Refusals):
            self._apply(order, lifecycle.Refused(tuple(str(refusal) for refusal in verdict.refusals)))
            return
        assert isinstance(verdict, Approval)
        if self.now >= verdict.policy.place_by:
            words = f"TOO_LATE: not sent before {verdict.policy.place_by.isoformat()}"
            self._apply(order, lifecycle.Refused((words,)))
            return
        answer = self._broker.place(self._guardian.redeem(order))
        if isinstance(answer, Refused):
            self._apply(order, lifecycle.Refused((f"refused by the broker: {answer.evidence}",)))
            return
        assert isinstance(answer, Accepted)
        assert answer.report is not None
        self._apply(order, lifecycle.Receipt(answer.broker_order_id), lifecycle.Reported(answer.report))

    def cancel(self, client_order_id: str, reason: str) -> None:
        order = self.orders[client_order_id]
        if order.status.terminal:
            return
        assert order.broker_order_id is not None
        answer = self._broker.cancel(order.broker_order_id)
        asked = lifecycle.CancelRequested(f"cancel requested: {reason}")
        assert isinstance(answer, Accepted)
        assert answer.report is not None
        self._apply(order, asked, lifecycle.Reported(answer.report))

    def show(self, tick: Tick) -> None:
        self.now = tick.at + self._ahead
        self._tell(self._market.on_ticks([tick], self.session, self.session.closes + self._ahead))

    def close(self) -> None:
        self.now = self.session.closes + self._ahead
        self._tell(self._market.close_session())

    def _tell(self, changed: list[BrokerOrderId]) -> None:
        """What the watch does: read the book, and tell the orders that changed, here in the order of their trades."""
        if not changed:
            return
        rows, trades = {row.broker_order_id: row for row in self._broker.order_book()}, self._broker.trades()
        for order_id in changed:
            fills = tuple(fill for fill in trades if fill.broker_order_id == order_id)
            own = self._own(rows[order_id])
            self._apply(own, lifecycle.Reported(OrderReport(rows[order_id], fills)))

    def funds(self) -> Funds | None:
        return self._broker.margins()

    def _own(self, row: BrokerOrder) -> Order:
        """The order of that row; one of RMS is adopted."""
        known = (order for order in self.orders.values() if row.broker_order_id == order.broker_order_id)
        return next(known, None) or adopted(row, ExternalKind.EXTERNAL, self._account, Mode.PAPER)

    def _apply(self, order: Order, *events: lifecycle.Event) -> None:
        entries = []
        for event in events:
            before, order = order, lifecycle.step(order, event, self.now)
            if order is before:
                continue
            number = self._sequences[order.order_id] = self._sequences.get(order.order_id, 0) + 1
            kind = EVENT_OF[order.status]
            entries.append(Entry(sequence=number, type=kind, at=self.now, message="told", status=order.status))
        self.orders[order.client_order_id] = order
        if entries:
            with self.database.write() as connection:
                if record_within(connection, order, entries):
                    self._guardian.breakers.after_fills(connection, order.account, self.now)
