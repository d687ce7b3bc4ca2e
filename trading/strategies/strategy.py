"""What a strategy file is written against: the same for backtest, paper and live.

    from durable_orders import StrategyContext, Strategy, Tick

    class BuyOnce(Strategy):
        def on_tick(self, context: StrategyContext, tick: Tick) -> None:
            if not context.open_orders() and not context.position(tick.symbol).quantity:
                context.buy(tick.symbol, 75)

A strategy is told things and asks for things. It never waits: what it asks for happens after its callback has
returned, and what becomes of it is told to `on_order`.
"""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Protocol, Unpack

from durable_orders.trading.ledger.told_positions import ToldPosition
from durable_orders.trading.market.bars import Bar
from durable_orders.trading.market.contracts import Contracts
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import ClientOrderId, Fill, Order, OrderIntent, Product, Side
from durable_orders.trading.orders.terms import Changes, OrderTerms
from durable_orders.trading.plans.basket import BasketLeg
from durable_orders.trading.plans.line_terms import BasketLimits, TwapTerms
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.plans.terms import BracketTerms, ExitTerms, PlanChanges


class StrategyContext(Protocol):
    """What a strategy can see and do. It is given to every callback and is good for use within it.

    Orders get the strategy's own name, its account and mode, and a UUIDv7 for an id where none is given. An id is
    asked for once: the same id with the same content is the order that exists, so a strategy that names its orders
    after their reason may ask again after a restart.
    """

    @property
    def now(self) -> datetime:
        """The market's clock, IST: where a day is replayed, the replay's."""

    def buy(self, symbol: str, quantity: int, **terms: Unpack[OrderTerms]) -> ClientOrderId:
        """Ask for an order, and give its id at once. Prices are in rupees as quoted; `quantity` is as Kite counts:
        shares or units, and lots on MCX, NCO, CDS and BCD.

        Raises `InvalidOrder` for one that cannot be expressed and `DuplicateOrder` for an id that belongs to an order
        with other content. Everything else, a refusal of the guardian included, is told to `on_order`.
        """

    def sell(self, symbol: str, quantity: int, **terms: Unpack[OrderTerms]) -> ClientOrderId:
        """Ask for an order to sell; everything else is as for `buy`."""

    def place(self, intent: OrderIntent) -> ClientOrderId:
        """Ask for this order, as it is: its strategy, account and mode are those that it says. Raises as `buy`."""

    def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel. One of an order that has ended changes nothing. Raises `OrderNotFound`."""

    def amend(self, client_order_id: str, **terms: Unpack[Changes]) -> None:
        """Ask for a change of a working order: `price`, `trigger_price`, `quantity` (in all, as Kite counts) or
        `order_type`. The order works on meanwhile, so a stop that is trailed never leaves the position without one. One
        that has ended stays as it is; a change that is refused is told to `on_order`, among the order's `reasons`.
        Raises `InvalidOrder` for a change that cannot be expressed, and `OrderNotFound`."""

    def cancel_all(self, symbol: str | None = None) -> None:
        """Ask for a cancel of all this strategy's open orders, or of those in one symbol. Those of a plan are the
        plan's: `cancel_plan`."""

    def close(self, symbol: str, product: Product | str | None = None, *, reason: str = "close") -> None:
        """Have this strategy's plans in a symbol close what they hold, cancel its other orders there, and then close
        what it still holds of it, in one product or all. Never more is closed than strategy, account and broker have;
        it is done in orders that keep the limits on a single one (docs/exits.md)."""

    def target(self, symbol: str, quantity: int, product: Product | str = Product.MIS) -> None:
        """Bring this strategy's position to that quantity, signed, at the market, and keep it there as long as the run
        lasts, or until another target. One order works for it at a time; one that is wrong by now is cancelled first.
        Where the order for it is refused or expires, or the close for 0 leaves something, the target is given up until
        it is asked for again. 0 is `close`; while any close of the position goes on, nothing is sent beside it.
        Raises `InvalidStrategy`."""

    def bracket(self, side: Side | str, symbol: str, quantity: int, **terms: Unpack[BracketTerms]) -> str:
        """Open a position with a stop, a target or both, which go out as it is filled, and give the plan's id at once
        (docs/plans.md). `terms`: `price` or `trigger` of the entry, which else is at the market; `stop`, `stop_limit`,
        `target`, `trail`, `break_even`, in rupees or points; `exit_at`, a time of this day or a moment; `protect`,
        `product`, `reason`, `plan_id`. From the moment it is asked for the plan goes on by itself, whatever becomes of
        the run.

        Raises `InvalidOrder` for one that does not fit together and `DuplicateOrder` for an id that is another plan's.
        Everything else, a refusal of the guardian included, is told to `on_plan`; and its orders to `on_order`."""

    def oco(self, side: Side | str, symbol: str, quantity: int, **terms: Unpack[ExitTerms]) -> str:
        """Close what is held at a stop or at a target, whichever comes first: SELL closes a long position. The rest is
        as for `bracket`."""

    def basket(self, *legs: BasketLeg | Mapping[str, Any], **terms: Unpack[BasketLimits]) -> str:
        """Trade several legs together: all of them `within` so many seconds, or what was had is closed again. A leg is
        a `BasketLeg`, or a mapping of its fields: `symbol`, `side`, `quantity`, and `price` with `order_type` LIMIT,
        `product` (NRML if not given), `step`. `terms`: `within`, `max_loss`, `net_debit`, `net_credit`, `hedged`,
        `reason`, `plan_id`. Once it is FILLED the plan is over, and what it holds is the strategy's. The rest is as for
        `bracket`."""

    def twap(self, side: Side | str, symbol: str, quantity: int, **terms: Unpack[TwapTerms]) -> str:
        """Trade a quantity in `slices` from `begins_at`, now if not given, until `ends_at`, times of this day or
        moments. `terms`: `price`, which no part is beyond; `randomise` in percent, `profile`, `catch_up`, `product`,
        `reason`, `plan_id`. The rest is as for `bracket`."""

    def amend_plan(self, plan_id: str, **changes: Unpack[PlanChanges]) -> None:
        """Ask for a change of a plan: `stop`, `target`, `trail` or `exit_at`; its orders follow. Raises `InvalidOrder`
        with the field and the rule, and `OrderNotFound`."""

    def cancel_plan(self, plan_id: str, *, flatten: bool = False, reason: str = "by the strategy") -> None:
        """Ask for what works of a plan to be cancelled; with `flatten`, what it holds is closed, else it stays without
        a stop. Of one that has ended it changes nothing. Raises `OrderNotFound`."""

    def plan(self, plan_id: str) -> PlanView:
        """How one of this account's plans stands, with its orders. Raises `OrderNotFound`."""

    def plans(self, *, open_only: bool = True) -> list[PlanView]:
        """This strategy's plans, oldest first: also those that an earlier run has started."""

    def quantity_for(
        self,
        symbol: str,
        *,
        risk: Decimal | int | str | None = None,
        stop: Decimal | int | str | None = None,
        capital: Decimal | int | str | None = None,
        price: Decimal | int | str | None = None,
    ) -> int:
        """How much may be traded so that no more than `risk` rupees are lost between the price and the `stop`, and no
        more than `capital` rupees spent at it; as Kite counts, in whole lots, 0 where not even one fits. `price` is
        the last one if not given. Charges, slippage and margins are not in it. Raises `InvalidStrategy`."""

    def subscribe(self, *symbols: str) -> None:
        """Ask for the ticks of these symbols too, from now on. A backtest and a paper market show all that they have
        anyway; a symbol of which there is no tick is told at the end. Raises `InvalidStrategy` for a symbol that the
        instrument master does not have."""

    def unsubscribe(self, *symbols: str) -> None:
        """No more of their ticks come to `on_tick`. Orders in them go on."""

    def order(self, client_order_id: str) -> Order:
        """One of this account's orders, as it stands. Raises `OrderNotFound`."""

    def square_off_at(self, when: time | str) -> None:
        """At that time of each day, IST, cancel all this strategy's orders and close all it holds. Until the next day
        it hears of no tick and no timer then. Asked for later in the day, it is done at once."""

    def at(
        self,
        when: time | datetime | str,
        callback: "Callable[[StrategyContext], object]",
        *,
        late: bool = False,
        again: bool = False,
        name: str | None = None,
    ) -> None:
        """Call back at a time of each day of the market, IST, as in `"9:20"`, or once at a moment. It comes also when
        no tick does, up to the market's close; a tick of that very moment comes first.

        A time that passed more than a minute ago is missed, and told, unless `late`: then it is called at once. What
        was called is not called again after a restart on the same day, unless `again`. The timer's `name` tells it
        from others; without one it is made of the time and the callback's name. Raises `InvalidStrategy`."""

    def every(
        self, interval: timedelta, callback: "Callable[[StrategyContext], object]", *, name: str | None = None
    ) -> None:
        """Call back every so often, counted from the opening of each day's session: with five minutes at 9:20, 9:25
        and so on, up to the close. After a restart it goes on with the next one. Raises `InvalidStrategy`."""

    def bars(
        self,
        interval: timedelta | str,
        callback: "Callable[[StrategyContext, Mapping[str, Bar]], object]",
        *symbols: str,
        name: str | None = None,
    ) -> None:
        """Call back as bars of these symbols end, with those that ended at one moment, by symbol; without any, of all
        whose ticks come. `interval` is Kite's name for it (`"5minute"`, `"day"`) or whole minutes.

        They are counted from the opening of the session, and the last one of a day may be shorter; it comes a moment
        before the close. In which a symbol had no tick it has no bar. Raises `InvalidStrategy`, for symbols that do not
        open at one time, too."""

    def history(
        self,
        symbol: str,
        interval: timedelta | str,
        count: int | None = None,
        *,
        since: datetime | date | None = None,
    ) -> list[Bar]:
        """The last `count` bars that have ended by now, or those that begin `since` then, oldest first: fewer where
        there are no more. `interval` is one of Kite's (`"minute"`, `"15minute"`, `"day"`).

        Live it is Kite's historical data; days that are over are kept in the home, and asked for once. In a backtest
        and on paper it is what the recording has shown by then, and `market.history` before that. Raises
        `InvalidStrategy`, and `DataUnavailable` where Kite does not give it, as to a plan without it."""

    def funds(self) -> Funds | None:
        """What there is to trade with, in rupees: `available` and `utilised`. Live as Kite tells, without commodities;
        on paper and in a backtest by `execution.paper.funds`, and `None` without. Raises `DataUnavailable`."""

    def margin_of(self, *orders: OrderIntent) -> Decimal:
        """Rupees that these orders would bind together, more than is bound now; an order at the market counts at the
        last price. Live by Kite's basket margins; on paper and in a backtest by `execution.paper.margins`, without
        what is held where the account has no funds. Raises `InvalidStrategy` and `DataUnavailable`."""

    @property
    def instruments(self) -> Contracts:
        """The instrument master: `find` by underlying, expiry and strike, `get` by symbol."""

    def quote(self, symbol: str) -> Tick | None:
        """The last tick of any symbol, with its bid, ask and depth as far as they are known; `None` before the first.
        It may be old: `at` says of when it is. Live, Kite is asked for one of which no tick has come for a second; what
        was asked for of late is asked for together, once a second at most."""

    def last_price(self, symbol: str) -> Decimal | None:
        """Rupees; `None` before the first tick."""

    @property
    def state(self) -> MutableMapping[str, Any]:
        """What the strategy keeps: text, numbers, lists and dictionaries, which can be JSON, by name. It is written to
        the ledger together with the orders that the same callback asks for, and is back at the next start, as are
        those orders where the run died in between. In a backtest it begins empty. Raises `InvalidStrategy` for a value
        that would not come back as it was, such as a `Decimal`: keep `str()` of it."""

    def orders(self) -> list[Order]:
        """All this strategy's orders, those that have ended included, oldest first."""

    def fills(self) -> list[Fill]:
        """The trades of all this strategy's orders, in their order."""

    def positions(self, of: str = "strategy") -> list[ToldPosition]:
        """What is held, by symbol and product; flat ones are left out. `of` is `strategy` (what its own orders have
        come to), `account` (whoever traded it), or `broker` (its own word, as far as it was compared; in a backtest and
        on paper that is the account's). Raises `InvalidStrategy` for anything else."""

    def open_orders(self) -> list[Order]:
        """This strategy's orders that have not ended, oldest first. One that was just asked for is among them."""

    def position(self, symbol: str, product: Product | str = Product.MIS) -> ToldPosition:
        """What this strategy's own orders have come to, flat if there were none; and beside that what the account and
        the broker have, and what is unexplained."""


class Strategy(Protocol):
    """The callbacks. A class that inherits from this one writes those that it needs; any other object that has all
    but `on_position`, `on_missed` and `on_plan` is as good. Plain functions, called one at a time. One that raises
    stops the strategy.

    `name`, if there is one, is the strategy's code in orders and journal; else it is the name of the file.
    """

    def on_start(self, context: StrategyContext) -> None:
        """Before the first tick; after a restart too. `context.open_orders()` shows what an earlier run left behind."""

    def on_tick(self, context: StrategyContext, tick: Tick) -> None:
        """The market moved. Resting orders have met the tick already."""

    def on_order(self, context: StrategyContext, order: Order) -> None:
        """An order of the strategy stands differently. Several changes that came together may be told as one."""

    def on_missed(self, context: StrategyContext, orders: Sequence[Order]) -> None:
        """After `on_start`: what became of the strategy's orders while it did not run, of the same day, in the order of
        their last change, each as it stands. Not needed: without it, each of them is told to `on_order`."""
        return

    def on_plan(self, context: StrategyContext, plan: PlanView) -> None:
        """A plan of the strategy stands differently: it was refused, holds something, moved its stop, is over. Several
        changes that came together are told as one, after those of its orders. Not needed: who has none is not told."""
        return

    def on_position(self, context: StrategyContext, position: ToldPosition) -> None:
        """Somebody else has moved a position that the strategy has or had: an order of another one, by hand or by RMS,
        a settlement; or the broker has something else of it. Not needed: who has none is not told."""
        return

    def on_stop(self, context: StrategyContext) -> None:
        """After the last tick, or when the strategy is stopped. Orders asked for here are not matched any more."""


CALLBACKS = {
    "on_start": ("context",),
    "on_tick": ("context", "tick"),
    "on_order": ("context", "order"),
    "on_stop": ("context",),
}
"""The names, and what each is given."""
OPTIONAL = {"on_position": ("context", "position"), "on_missed": ("context", "orders"), "on_plan": ("context", "plan")}
"""The same of those that an object may do without."""


def has_own(strategy: object, name: str) -> bool:
    """Whether it has an optional callback, and not only the empty one of `Strategy`."""
    own = getattr(type(strategy), name, None) or getattr(strategy, name, None)
    return callable(own) and own is not getattr(Strategy, name)
