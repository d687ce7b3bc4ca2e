"""A strategy's desk over durable orders: what it asks for is done when its callback has returned."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from durable_orders.orders import Orders
from durable_orders.running.sources import BEGINNING, FRESH, source_of
from durable_orders.running.view import View
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound
from durable_orders.trading.exchange.store import read_market
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.last_ticks import last_offer
from durable_orders.trading.ledger.reading import find_order, fingerprint_of, list_orders
from durable_orders.trading.ledger.strategy_states import KeptChange, KeptClose, KeptOrders
from durable_orders.trading.ledger.told_positions import ToldPosition, told_positions
from durable_orders.trading.market.bars import Bar
from durable_orders.trading.market.contracts import Contracts
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import (
    Account,
    Amendment,
    ClientOrderId,
    Fill,
    Mode,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Terms,
    order_id,
)
from durable_orders.trading.orders.terms import product_of
from durable_orders.trading.strategies.desk import AskingDesk, numbered_id, of_whom
from durable_orders.trading.strategies.state import State
from durable_orders.trading.strategies.timers import Timers

LATE_TICKS = timedelta(seconds=1)
"""A live bar waits so long for ticks of its last moment: they are of the second in which the exchange sent them."""


@dataclass(frozen=True, slots=True)
class Place:
    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class Cancel:
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Amend:
    client_order_id: str
    change: Amendment


@dataclass(frozen=True, slots=True)
class Watch:
    """Of the ticks of these symbols: all from now on, or none."""

    symbols: tuple[str, ...]
    wanted: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Of a symbol and a product, or of all where that is `None`."""

    symbol: str | None
    product: Product | None
    reason: str


Asked = Place | Cancel | Amend | Close | Watch


class RunDesk(AskingDesk):
    """A `Desk`. Its methods are called by the strategy, in the thread of its callbacks."""

    def __init__(
        self, orders: Orders, strategy: str, view: View, last_number: int, timers: Timers, state: State
    ) -> None:
        """`last_number` is that of the strategy's last order that has a number for an id; `timers` and `state` are as
        an earlier run has left them."""
        settings = orders.settings
        own = {"strategy": strategy, "account": settings.account, "mode": settings.execution.mode}
        freeze = settings.guardian.freeze_quantity
        contracts = Contracts(orders.instruments, lambda: self.now.date(), self.last_price, freeze)
        sessions = InstrumentSessions(settings.market, orders.instruments())
        super().__init__(own, self._next_id, lambda: contracts, timers, state, sessions)
        self.source = source_of(orders, sessions)
        self._is_live = settings.execution.mode is Mode.LIVE
        self._grace = LATE_TICKS if self._is_live else timedelta()
        self._orders = orders
        self._strategy = strategy
        self._number = last_number
        self._asked: deque[Asked] = deque()
        self._in_hand: list[Asked] = []
        """Closes and changes that the server may not have yet."""
        self._intents: dict[str, str] = {}
        self._unrecorded: dict[str, Order] = {}
        self.view = view
        self.market_time: datetime | None = None
        self.begins_at: datetime | None = None
        """When a live market begins that shows what was recorded."""
        self.seen: dict[str, Tick] = {}
        """The last tick of each symbol that the run was shown."""

    def _next_id(self) -> str:
        return numbered_id(self._strategy, self._number + 1)

    @property
    def now(self) -> datetime:
        return (self.market_time or datetime.now(UTC)).astimezone(IST)

    @property
    def _market_time(self) -> datetime | None:
        """Before its first tick a market that replays may be of any day."""
        return self.market_time

    def place(self, intent: OrderIntent) -> ClientOrderId:
        intent = self._of_this_account(intent)
        known = self._intents.get(intent.client_order_id) or self._recorded(intent)
        if known is None:
            self._enter(intent)
        elif known != intent.fingerprint():
            raise DuplicateOrder(f"client_order_id: {intent.client_order_id} is the id of another order")
        return ClientOrderId(intent.client_order_id)

    def cancel(self, client_order_id: str) -> None:
        if self._is_open(client_order_id):
            self._asked.append(Cancel(client_order_id))

    def _change(self, client_order_id: str, change: Amendment) -> None:
        if self._is_open(client_order_id):
            self._asked.append(Amend(client_order_id, change))

    def _watch(self, symbols: Collection[str], *, wanted: bool) -> None:
        if not wanted:
            for symbol in symbols:
                self.seen.pop(symbol, None)
        self.ask(Watch(tuple(symbols), wanted))

    def order(self, client_order_id: str) -> Order:
        for order in self.open_orders():
            if order.client_order_id == client_order_id:
                return order
        with self._orders.database.read() as connection:
            found = find_order(connection, order_id(self._orders.settings.account, client_order_id))
        if found is None:
            raise OrderNotFound(f"no order {client_order_id}")
        return found

    def _close(self, symbol: str | None, product: Product | None, reason: str) -> None:
        self.ask(Close(symbol, product, reason))

    def _is_open(self, client_order_id: str) -> bool:
        """Raises `OrderNotFound`."""
        if any(order.client_order_id == client_order_id for order in self.open_orders()):
            return True
        with self._orders.database.read() as connection:
            found = find_order(connection, order_id(self._orders.settings.account, client_order_id))
        if found is None and client_order_id not in self._intents:
            raise OrderNotFound(f"no order {client_order_id}")
        return found is None or not found.status.terminal

    def quote(self, symbol: str) -> Tick | None:
        goes_on = self._is_live and self.begins_at is None
        if (seen := self.seen.get(symbol)) is not None and (not goes_on or _is_fresh(seen)):
            return seen
        with self._orders.database.read() as connection:
            found = last_offer(connection, self._orders.settings.account, symbol)
        kept = None if found is None else found[0].tick
        if not self._is_live or (kept is not None and _is_fresh(kept)):
            return kept
        asked = self.source.quote(symbol)
        if asked is None:  # an older price would be taken for that of now
            return None
        return max((each for each in (asked, seen, kept) if each is not None), key=lambda tick: tick.at)

    def _bars(self, symbol: str, interval: timedelta, since: datetime | None, count: int) -> list[Bar]:
        at = self.market_time or self.begins_at
        if at is None:
            at = self.now if self._is_live else self._market_at() or BEGINNING
        return self.source.bars(symbol, interval, since, count, at)

    def _watches_since(self) -> datetime | None:
        if self.market_time is not None or self.begins_at is not None:
            return self.market_time
        return self.now if self._is_live else self._market_at()

    def _market_at(self) -> datetime | None:
        """The time of a paper market that goes on already."""
        with self._orders.database.read() as connection:
            market = read_market(connection, Account(self._orders.settings.account))
        return market.market_at if market is not None else None

    def funds(self) -> Funds | None:
        return self.source.funds()

    def _margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        return self.source.margin(priced)

    def orders(self) -> list[Order]:
        account = self._orders.settings.account
        with self._orders.database.read() as connection:
            found = list_orders(connection, account, strategy=self._strategy, newest_first=False)
        return [*found, *self._unrecorded.values()]

    def fills(self) -> list[Fill]:
        return sorted((fill for order in self.orders() for fill in order.fills), key=lambda fill: fill.at)

    def positions(self, of: str = "strategy") -> list[ToldPosition]:
        account = self._orders.settings.account
        if of_whom(of) == "strategy":
            held = [self.view.told(account, key) for key in sorted(self.view.positions)]
            return [each for each in held if each.quantity]
        with self._orders.database.read() as connection:
            found = told_positions(connection, account)
        if of == "broker":
            return [each for each in found if each.at_broker]
        return [each for each in found if each.quantity]

    def kept_asked(self, asked_at: datetime) -> KeptOrders:
        """What is asked for now, so that a run that dies before it was done leaves it behind. What trades at the market
        is not sent any more when it would be too late for it now."""
        to_do = self.to_do
        within = asked_at + timedelta(seconds=self._orders.settings.placing.market_deadline)
        placed = [each.intent for each in to_do if isinstance(each, Place)]
        return KeptOrders(
            placed=tuple(
                intent.model_copy(update={"place_by": within})
                if intent.place_by is None and intent.order_type in (OrderType.MARKET, OrderType.SL_M)
                else intent
                for intent in placed
            ),
            cancelled=tuple(each.client_order_id for each in to_do if isinstance(each, Cancel)),
            changed=tuple(
                KeptChange(client_order_id=each.client_order_id, change=each.change)
                for each in to_do
                if isinstance(each, Amend)
            ),
            closed=tuple(
                KeptClose(symbol=each.symbol, product=each.product, reason=each.reason)
                for each in to_do
                if isinstance(each, Close)
            ),
        )

    def open_orders(self) -> list[Order]:
        return [*self.view.open, *self._unrecorded.values()]

    def position(self, symbol: str, product: Product | str = Product.MIS) -> ToldPosition:
        return self.view.told(self._orders.settings.account, (symbol, product_of(product)))

    def ask(self, asked: Asked) -> None:
        self._asked.append(asked)

    def next_asked(self) -> Asked | None:
        """The oldest thing that was asked for, once."""
        if not self._asked:
            return None
        asked = self._asked.popleft()
        if isinstance(asked, Amend | Close):
            self._in_hand.append(asked)
        return asked

    def drop_orders(self) -> list[str]:
        """Of what was asked for, leave out the orders and changes that were not sent yet. Gives the orders' ids."""
        dropped = [each for each in self._asked if isinstance(each, Place | Amend)]
        self._asked = deque(each for each in self._asked if not isinstance(each, Place | Amend))
        placed = [each.intent.client_order_id for each in dropped if isinstance(each, Place)]
        for own in placed:
            self.forget(own)
        return placed

    def taken(self, asked: Amend | Close) -> None:
        """The server has it, or it came to nothing and that was told."""
        if asked in self._in_hand:
            self._in_hand.remove(asked)

    @property
    def to_do(self) -> tuple[Asked, ...]:
        """What the server does not have yet, as far as it matters to the next run."""
        return tuple(each for each in (*self._in_hand, *self._asked) if not isinstance(each, Watch))

    def see(self, view: View) -> None:
        """Show the strategy how things stand now."""
        self.view = view
        for own in view.recorded:
            self._unrecorded.pop(own, None)

    def adopt(self, order: Order) -> None:
        """An order of the strategy that the ledger does not have yet."""
        if order.strategy == self._strategy and not order.status.terminal:
            self._unrecorded.setdefault(order.client_order_id, order)

    def forget(self, client_order_id: str) -> None:
        """It is not an order of this run after all."""
        self._unrecorded.pop(client_order_id, None)

    @property
    def unrecorded(self) -> list[str]:
        """Client order ids of orders that the ledger does not have yet."""
        return list(self._unrecorded)

    def _enter(self, intent: OrderIntent) -> None:
        if intent.client_order_id == self._next_id():
            self._number += 1
        self._intents[intent.client_order_id] = intent.fingerprint()
        self.adopt(Order.from_intent(intent, datetime.now(UTC)))
        self._asked.append(Place(intent))

    def _of_this_account(self, intent: OrderIntent) -> OrderIntent:
        """An intent that does not say whose it is is this account's. Raises `InvalidOrder` for another's."""
        own = {name: self._own[name] for name in ("account", "mode")}
        for name, value in own.items():
            if name in intent.model_fields_set and getattr(intent, name) != value:
                raise InvalidOrder(f"{name}: must be that of the run, {value}, was {getattr(intent, name)}")
        return intent.model_copy(update=own)

    def _recorded(self, intent: OrderIntent) -> str | None:
        with self._orders.database.read() as connection:
            return fingerprint_of(connection, intent.order_id)


def _is_fresh(tick: Tick) -> bool:
    """Whether it came less than a second ago: its time is that of the second in which the exchange sent it."""
    return datetime.now(UTC) - tick.at < FRESH + LATE_TICKS
