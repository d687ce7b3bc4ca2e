"""The orders of a plan of several lines at an exchange that does what a test says, and nothing by itself."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_orders.trading.orders.order import BrokerOrderId, Fill, Order, OrderIntent, Side, SignOff, Status, TradeId
from durable_orders.trading.plans import actions
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.lines import LinesProcess, refreshed_lines
from durable_orders.trading.plans.news import CancelAsked, LineClosing, LinesAdmitted, Recalled, Seen
from durable_orders.trading.plans.pieces import LinesState
from durable_orders.trading.plans.state import closing_id

START = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)


@dataclass
class LinesWorld:
    process: LinesProcess
    terms: tuple[LineTerms, ...]
    refusals: tuple[str, ...] = ()
    now: datetime = START
    orders: dict[str, Order] = field(default_factory=dict)
    placed: list[OrderIntent] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    prices: dict[str, Decimal] = field(default_factory=dict)
    waits: str = ""
    is_done: bool = False
    trades: int = 0
    version: int = 0

    @property
    def state(self) -> LinesState:
        return self.process.state

    def run(self, most: int = 400) -> None:
        """What the plan says is to be done, until it waits or is over."""
        for _ in range(most):
            action = self.process.next(self.now)
            if isinstance(action, actions.Wait | actions.Done):
                self.is_done = isinstance(action, actions.Done)
                return
            self._perform(action)
        raise AssertionError("it does not come to rest")

    def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.Admit():
                self.process.hear(LinesAdmitted(self.refusals, self.terms))
            case actions.Place(intent):
                assert intent.client_order_id not in self.orders, "placed twice"
                self.placed.append(intent)
                self.orders[intent.client_order_id] = Order.from_intent(intent, self.now)
            case actions.Cancel(own, _):
                self.cancelled.append(own)
            case actions.Alert(words):
                self.alerts.append(words)
            case actions.Record():
                self.version = self.process.to_record().version
            case actions.Sync():
                self.process.synced(Recalled(orders=tuple(self.orders.values()), version=self.version), self.now)
            case actions.CloseLine():
                self.process.closing_seen(action, self._closing(action), self.now)
            case _:
                self.perform_more(action)

    def perform_more(self, action: actions.Action) -> None:
        raise AssertionError(f"nothing is known of {action}")

    def _closing(self, asked: actions.CloseLine) -> LineClosing:
        if self.waits:
            return LineClosing(left=abs(asked.quantity), waits=self.waits)
        intent = self.state.intent
        own = OrderIntent(
            account=intent.account,
            strategy=intent.strategy,
            client_order_id=closing_id(intent.plan_id, asked.number),
            reason=f"plan {intent.plan_id}: not to be kept",
            symbol=asked.symbol,
            side=Side.SELL if asked.quantity > 0 else Side.BUY,
            quantity=abs(asked.quantity),
            product=asked.product,
        )
        return LineClosing(left=abs(asked.quantity), orders=(own,))

    # What happens to it.

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.run()

    def told(self, own: str, **changes: Any) -> None:
        """Its workflow says how an order stands."""
        known = self.orders[own]
        at_broker = changes.get("status") not in (Status.UNKNOWN, Status.REJECTED)
        told = {"broker_order_id": BrokerOrderId(f"at the broker {own}")} if at_broker else {}
        self.orders[own] = known.model_copy(update={"updated_at": self.now, **told, **changes})
        self.process.hear(Seen(self.orders[own]))

    def work(self, own: str) -> None:
        self.told(own, status=Status.PLACED)

    def fill(self, own: str, quantity: int | None = None, price: str = "100") -> None:
        order = self.orders[own]
        size = quantity or order.quantity - order.filled_quantity
        self.trades += 1
        fill = Fill(
            trade_id=TradeId(f"t{self.trades}"),
            broker_order_id=BrokerOrderId("b1"),
            quantity=size,
            price=Decimal(price),
            at=self.now,
        )
        filled = order.filled_quantity + size
        status = Status.FILLED if filled == order.quantity else Status.PARTIAL
        self.told(own, status=status, fills=(*order.fills, fill))

    def approve(self, own: str) -> None:
        self.told(own, approval=SignOff(approved_by="by user asha", approved_at=self.now), broker_order_id=None)

    def end(self, own: str, status: Status, why: str = "because") -> None:
        self.told(own, status=status, reasons=(why,))

    def cancel(self, *, flatten: bool = False) -> None:
        self.process.hear(CancelAsked("by a test", flatten))

    def live(self) -> list[str]:
        return [own for own, order in self.orders.items() if not order.status.terminal]

    def reset(self, process: LinesProcess) -> None:
        """Another run begins, from what the ledger had at first."""
        self.process = process
        self.run()

    def view_of_ledger(self) -> LinesState:
        return refreshed_lines(self.state.model_copy(deep=True), list(self.orders.values()))

    def must_add_up(self) -> None:
        """No line can come to more than it is for, and what is closed to no more than is held."""
        for piece in self.state.pieces:
            assert piece.may_fill <= piece.quantity
        for key, held in self.state.held().items():
            working = [child for child in self.state.closings if child.is_live and child.order.symbol == key[0]]
            assert sum(child.may_fill - child.filled for child in working) <= abs(held)
