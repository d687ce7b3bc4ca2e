"""A plan's orders at an exchange that may do to them what exchanges, brokers and networks do."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_orders.trading.gtt.gtt import GttChange, GttIntent
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.orders.order import (
    CLOSING,
    Amendment,
    BrokerOrderId,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Status,
    TradeId,
)
from durable_orders.trading.plans import actions
from durable_orders.trading.plans.by_gtt import is_of_plan, order_of
from durable_orders.trading.plans.news import (
    Admitted,
    Answered,
    CancelAsked,
    ExcessSeen,
    Priced,
    Recalled,
    Seen,
    Surveyed,
)
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.process import PlanProcess
from durable_orders.trading.plans.standing import is_over, view_of
from durable_orders.trading.plans.state import PlanState, PlanView, closing_id

START = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
TICK = Decimal("0.05")


def plan(**content: Any) -> PlanIntent:
    """A bracket: BUY 75 at 100, stop 95, target 110."""
    told: dict[str, Any] = {
        "plan_id": "p1",
        "symbol": "NFO:NIFTY25MAYFUT",
        "side": "BUY",
        "quantity": 75,
        "product": "NRML",
        "entry": {"order_type": "LIMIT", "price": "100"},
        "stop": {"trigger_price": "95"},
        "targets": ({"price": "110"},),
    }
    return PlanIntent(**told | content)


@dataclass
class Real:
    """An order as it is in truth, and as its workflow and the ledger have told it."""

    told: Order
    terms: dict[str, Any]
    filled: int = 0
    state: str = "sent"
    """`sent`, `working` or an end's status."""
    changes: list[Amendment] = field(default_factory=list)
    """That were asked for and may reach the exchange yet."""
    answers: list[Amendment] = field(default_factory=list)
    """That were asked for and not answered yet."""

    @property
    def quantity(self) -> int:
        return int(self.terms["quantity"])

    @property
    def working(self) -> int:
        """What it may still trade at the exchange: under the worst of what is on the way to it."""
        if self.state not in ("sent", "working"):
            return 0
        most = max([self.quantity, *(change.quantity or 0 for change in self.changes)])
        return max(most - self.filled, 0)


class World:
    """One plan's. Nothing happens by itself."""

    def __init__(self, intent: PlanIntent) -> None:
        self.now = START
        self.process = PlanProcess(PlanState.of(intent, START))
        self.real: dict[str, Real] = {}
        self.alerts: list[str] = []
        self.is_done = False
        self.closed_by_others = 0
        self.is_book_read = True
        self.waits = ""
        """Why nothing can be placed now."""
        self.excess_there: int | None = None
        """What the account shows of what went out too much; all of it, if not said."""
        self.closes_excess = False
        self.unrecorded: set[str] = set()
        """Orders that the ledger does not have."""
        self.version: int | None = 0
        self.recordings = self.starts = 0
        self.wait: actions.Wait | None = None
        self.excess: list[int] = []

    @property
    def state(self) -> PlanState:
        return self.process.state

    @property
    def view(self) -> PlanView:
        return view_of(self.state)

    # What the plan does.

    def run_on(self) -> None:
        """The same, where more went out than came in: that is there, and is no fault of the plan's."""
        self.run(checked=False)

    def run(self, most: int = 60, *, checked: bool = True) -> None:
        """What the plan says is to be done, until it waits or is over."""
        for _ in range(most):
            action = self.process.next(self.now)
            if isinstance(action, actions.Wait):
                self.wait = action
                if not is_over(self.state):
                    return
                self.now = action.until  # it only looks once more
                continue
            if isinstance(action, actions.Done):
                self.is_done = True
                return
            self._perform(action)
            if checked:
                self.check()
        raise AssertionError(f"goes on and on: {action}")

    def _perform(self, action: actions.Action) -> None:
        process = self.process
        match action:
            case actions.Admit():
                process.hear(Admitted(tick_size=TICK))
            case actions.Place(intent):
                self.starts += 1
                self._place(intent)
            case actions.Amend(own, change):
                self._amend(self.real[own], change)
            case actions.Cancel(own, _):
                self.real[own].told = self.real[own].told.changed(cancel_requested=True)
            case actions.PlaceGtt() | actions.ChangeGtt() | actions.CancelPlaced():
                self._ask_of_gtt(action)
            case actions.Alert(words):
                self.alerts.append(words)
            case actions.Sync():
                self._sync()
            case actions.Survey():
                process.hear(Surveyed(missing=0 if self.waits else self._missing(), waits=self.waits))
            case actions.CloseExcess(quantity, number):
                self.excess.append(quantity)
                process.excess_seen(self._excess_seen(quantity, number), self.now)
            case _:
                self.version = process.to_record().version
                self.recordings += 1

    def _sync(self) -> None:
        told = tuple(order.told for own, order in self.real.items() if own not in self.unrecorded)
        missing, oversold = self._missing(), self._oversold()
        found = Recalled(
            orders=told, missing=missing, oversold=oversold, version=self.version, book_read_at=self.book_read_at
        )
        self.process.synced(found, self.now)

    def _missing(self) -> int:
        """What others have closed, and the plan does not know of."""
        return max(min(self.closed_by_others - self.state.lost, self.state.exposed), 0)

    def _oversold(self) -> int:
        """What its exits have closed after that."""
        short = self.closed + self.closed_by_others - self.entered
        return max(min(short, self.closed, self.closed_by_others - self.state.lost), 0)

    @property
    def account(self) -> int:
        """What it has."""
        back = sum(order.filled for own, order in self.real.items() if own.startswith(CLOSING))
        return self.entered - self.closed - self.closed_by_others + back

    @property
    def book_read_at(self) -> datetime | None:
        return self.now if self.is_book_read else None

    def _excess_seen(self, quantity: int, number: int) -> ExcessSeen:
        there = max(-self.account, 0) if self.excess_there is None else self.excess_there
        left = min(quantity, there)
        if not left or not self.closes_excess:
            return ExcessSeen(left=left)
        name, intent = closing_id("p1", number), self.state.intent
        content = {"symbol": intent.symbol, "side": intent.side, "product": intent.product, "strategy": intent.strategy}
        closing = OrderIntent(client_order_id=name, quantity=left, reason="plan p1: too much", **content)
        self._place(closing)
        return ExcessSeen(left=left, closing=closing)

    def _amend(self, order: Real, change: Amendment) -> None:
        order.answers.append(change)
        if order.state in ("sent", "working"):
            order.changes.append(change)

    def _place(self, intent: OrderIntent) -> None:
        if intent.client_order_id not in self.real:
            terms = {name: getattr(intent, name) for name in ("quantity", "order_type", "price", "trigger_price")}
            self.real[intent.client_order_id] = Real(Order.from_intent(intent, self.now), terms)
        else:
            self._sync()  # as the workflow does where the order is there already

    def _ask_of_gtt(self, asked: actions.OfGtt) -> None:
        match asked:
            case actions.PlaceGtt(intent):
                self._place_gtt(intent)
            case actions.ChangeGtt(change):
                self._change_gtt(self.real[change.gtt_id], change)
            case actions.CancelPlaced(order):
                own = self.real[order.client_order_id]
                own.told = own.told.changed(cancel_requested=True)

    def _place_gtt(self, intent: GttIntent) -> None:
        self.starts += 1
        if intent.gtt_id in self.real:
            self._sync()
            return
        told = order_of(GttState.of(intent, self.now), self.now)
        terms = {name: getattr(told, name) for name in ("quantity", "order_type", "price", "trigger_price")}
        self.real[intent.gtt_id] = Real(told, terms)

    def _change_gtt(self, order: Real, change: GttChange) -> None:
        """The broker changes and deletes none that has triggered."""
        if change.legs is None:
            order.told = order.told.changed(cancel_requested=True)
            return
        (stop, *_) = change.legs
        wanted = {"price": stop.price, "trigger_price": stop.trigger_price, "quantity": stop.quantity}
        self._amend(order, Amendment(order_type=OrderType.SL, **wanted))

    def triggers(self, own: str) -> None:
        """Of a GTT: the broker has placed its order, whatever is on the way to it."""
        order = self.real[own]
        if is_of_plan(own) and order.state == "working" and order.terms["trigger_price"] is not None:
            order.terms |= {"order_type": OrderType.LIMIT, "trigger_price": None}
            order.changes.clear()

    # What becomes of it.

    def tell(self, own: str) -> None:
        """Its workflow tells how the order stands: what of it is proved."""
        order = self.real[own]
        if order.state == "sent" or order.told.status is Status.UNKNOWN:
            return
        self.now += timedelta(milliseconds=10)
        filled = order.filled
        status = Status(order.state) if order.state != "working" else Status.PARTIAL if filled else Status.PLACED
        broker_id = None if status is Status.REJECTED and not filled else BrokerOrderId(f"b-{own}")
        new = filled - order.told.filled_quantity
        fills = order.told.fills
        if new:
            price = order.terms["price"] or order.terms["trigger_price"] or Decimal(100)
            number = TradeId(f"{own}-{filled}")
            fills = (
                *fills,
                Fill(
                    trade_id=number, broker_order_id=BrokerOrderId(f"b-{own}"), quantity=new, price=price, at=self.now
                ),
            )
        order.told = order.told.changed(
            status=status, broker_order_id=broker_id, fills=fills, updated_at=self.now, **order.terms
        )
        self.process.hear(Seen(order.told))

    def works(self, own: str) -> None:
        """It has come to the exchange, and that is told."""
        self.arrives(own)
        self.tell(own)

    def arrives(self, own: str) -> None:
        if self.real[own].state == "sent":
            self.real[own].state = "working"

    def lose(self, own: str) -> None:
        """The answer to its placement is lost: whether it is there is not known."""
        order = self.real[own]
        if order.told.status is Status.PENDING:
            self.now += timedelta(milliseconds=10)
            order.told = order.told.changed(status=Status.UNKNOWN, updated_at=self.now)
            self.process.hear(Seen(order.told))

    def find(self, own: str) -> None:
        """The lost one is found in the book, or proved not to be there."""
        order = self.real[own]
        if order.told.status is Status.UNKNOWN:
            order.told = order.told.changed(status=Status.PENDING)
            if order.state == "sent":
                order.state = "REJECTED"
            self.tell(own)

    def fill(self, own: str, quantity: int, *, told: bool = True) -> None:
        self.triggers(own)
        order = self.real[own]
        if order.state != "working":
            return
        quantity = min(quantity, order.quantity - order.filled)
        order.filled += max(quantity, 0)
        if order.filled >= order.quantity:
            self._end(order, "FILLED")
        if told:
            self.tell(own)

    def end(self, own: str, status: str) -> None:
        """By the exchange, by somebody else, or as the plan has asked; and it is told."""
        order = self.real[own]
        if order.state == "working" or (order.state == "sent" and status in ("REJECTED", "CANCELLED")):
            self._end(order, status)
            self.tell(own)

    def _end(self, order: Real, status: str) -> None:
        order.state = status
        order.changes.clear()

    def change_arrives(self, own: str) -> None:
        order = self.real[own]
        if order.state == "working" and order.changes:
            change = order.changes.pop(0)
            kind = change.order_type or order.terms["order_type"]
            order.terms = {
                "quantity": max(change.quantity or 0, order.filled),
                "order_type": kind,
                "price": change.price if kind.has_price else None,
                "trigger_price": change.trigger_price if kind.has_trigger else None,
            }
            if order.filled >= order.quantity:
                self._end(order, "FILLED")

    def changed(self, own: str) -> None:
        """The change is made and answered."""
        self.change_arrives(own)
        self.tell(own)
        self.answer(own)

    def answer(self, own: str, refusal: str | None = None, *, is_unknown: bool = False) -> None:
        """To the oldest change. A refused one does not reach the exchange any more."""
        order = self.real[own]
        if order.answers:
            change = order.answers.pop(0)
            if refusal is not None and not is_unknown and change in order.changes:
                order.changes.remove(change)
            self.process.hear(Answered(own, refusal, is_unknown))

    def price(self, price: Decimal | int | str) -> None:
        self.process.hear(Priced(Decimal(price)))

    def cancel(self, *, flatten: bool = False) -> None:
        self.process.hear(CancelAsked("by hand", flatten))

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def begins_anew(self, state: str | None = None) -> None:
        """Another run goes on from what was handed over, or from an older state: what was not told is lost."""
        self.is_done = False
        self.process = PlanProcess(
            PlanState.model_validate_json(state or self.state.model_dump_json()), is_admitted=True
        )

    # What must hold.

    @property
    def exits(self) -> list[Real]:
        return [order for own, order in self.real.items() if ".exit-" in own or is_of_plan(own)]

    @property
    def entered(self) -> int:
        entry = self.real.get("p1.entry")
        return entry.filled if entry is not None else self.state.entered

    @property
    def closed(self) -> int:
        return sum(order.filled for order in self.exits)

    def check(self) -> None:
        """By the exchange's own count: never more out than in, whatever of it the plan knows."""
        out = self.closed + sum(order.working for order in self.exits)
        assert out <= self.entered, f"{out} exits for {self.entered} entered"
        assert not self.excess or self.closed_by_others

    def live_exit(self, leg: int = 1) -> str:
        return next(own for own, order in self.real.items() if f".exit-{leg}-" in own and order.working)


AT_MARKET = OrderType.MARKET


ENTRY, EXIT = "p1.entry", "p1.exit-1-1"


def entered(quantity: int = 75, **content: Any) -> World:
    """A plan of which so much was entered, with what it does then."""
    world = World(plan(**content))
    world.run()
    world.works(ENTRY)
    world.fill(ENTRY, quantity)
    world.run()
    return world


def stopped(quantity: int = 75, **content: Any) -> World:
    """The same, with its stop at work."""
    world = entered(quantity, **content)
    world.works(EXIT)
    world.run()
    return world
