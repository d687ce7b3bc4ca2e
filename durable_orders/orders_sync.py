"""The same client for scripts and notebooks: every call waits for its answer.

Written by docs/generate_orders_sync.py from orders.py and order_handle.py. Edit those, then run the script.
"""

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from durable_orders import halting
from durable_orders.background import BackgroundLoop
from durable_orders.halting import Standing
from durable_orders.order_handle import PLACED_SECONDS, OrderHandle
from durable_orders.orders import EVENTS, Orders
from durable_orders.portfolio import Portfolio
from durable_orders.trading.bus.bus import Event
from durable_orders.trading.flatten.request import FlattenResult
from durable_orders.trading.gtt.gtt import GttIntent, GttLeg
from durable_orders.trading.gtt.view import GttView
from durable_orders.trading.ledger.position_differences import Unexplained
from durable_orders.trading.ledger.reading import FeedEvent
from durable_orders.trading.ledger.told_positions import ToldPosition
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Amendment, Order, OrderIntent, Product, Side, Status
from durable_orders.trading.orders.position_entry import EntryKind
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.trading.orders.terms import ClientOrderTerms
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.plan import PlanChange, PlanIntent, Protect
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import PlanView


class OrderHandleSync:
    """One order, by its id."""

    def __init__(self, loop: BackgroundLoop, handle: OrderHandle) -> None:
        self.order_id = handle.order_id
        self._loop = loop
        self._handle = handle

    def placed(self, timeout: float = PLACED_SECONDS) -> Order:
        """The order once it is at the broker, has ended or waits for a person; as it stands after `timeout` seconds.

        Raises `OrderNotFound`, `DuplicateOrder`, `ServerUnreachable`.
        """
        return self._loop.run(self._handle.placed(timeout))

    def result(self) -> Order:
        """The order at its proved end, however long that takes; also through a reset of its workflow, and when it is
        taken up again after somebody has terminated it.

        Raises `DuplicateOrder` where its id turned out to be that of another, and `ServerUnreachable`; whatever else
        made its workflow fail is a `BrokenError`.
        """
        return self._loop.run(self._handle.result())

    def now(self) -> Order:
        """The order as the ledger has it, or as its workflow's history has it before the first recording.

        Raises `OrderNotFound`.
        """
        return self._loop.run(self._handle.now())

    def events(self) -> list[FeedEvent]:
        """Everything recorded about the order, oldest first."""
        return self._loop.run(self._handle.events())

    def cancel(self, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """Cancel and wait for the proved end: the book decides between the cancel and a fill.

        The request is a signal, so it stands from the moment the server has it. Where nobody takes it within a second,
        because the server, the workflow or its worker is gone, the broker itself is asked at once, by its own id or by
        the order's tag in its book; that is logged as a warning. Returns the order as it stands if the end takes longer
        than `timeout` seconds. Raises `OrderNotFound`, and `ServerUnreachable` if the broker could not be asked either.
        """
        return self._loop.run(self._handle.cancel(reason, timeout))

    def amend(self, change: Amendment, timeout: float = 30.0) -> Order:
        """Change a working order. Raises `InvalidOrder` with the reason where that is not possible, and `UnknownError`
        if there is no answer within `timeout` seconds: then the change may still be made.
        """
        return self._loop.run(self._handle.amend(change, timeout))

    def approve(self, who: str, timeout: float = PLACED_SECONDS) -> Order:
        """Let an order be sent that waits for a person's approval; `who` is kept. The guardian judges it once more.
        Said again by the same one, it stands.

        The order once it is at the broker or has ended. Raises `InvalidOrder` for one that waits for nobody's approval,
        and `UnknownError` without an answer within `timeout` seconds: the approval may still stand.
        """
        return self._loop.run(self._handle.approve(who, timeout))

    def decline(self, who: str, reason: str = "", timeout: float = PLACED_SECONDS) -> Order:
        """Reject an order that waits for a person's approval: it is never sent. Raises as `approve`."""
        return self._loop.run(self._handle.decline(who, reason, timeout))

    def settle(self, settlement: Settlement, timeout: float = 30.0) -> Order:
        """Say what became of an order that is to be reviewed, as nothing can prove it any more. Raises `InvalidOrder`
        for what cannot be said of it, and `UnknownError` without an answer within `timeout` seconds.
        """
        return self._loop.run(self._handle.settle(settlement, timeout))


class OrdersSync:
    """Places and follows the orders of one account, from any number of threads, also where an event loop runs.

        with OrdersSync() as orders:
            order = orders.buy("NFO:NIFTY25MAYFUT", 75).result()

    Each call is that of `Orders`.
    """

    def __init__(self, home: Path | str | None = None, config: Path | str | None = None) -> None:
        """As `Orders`. Connects with `open`, or at the beginning of a `with`."""
        self._orders = Orders(home, config)
        self._loop = BackgroundLoop("durable-orders")

    def open(self) -> Self:
        """Connect, if it is not connected.

        Raises `ServerUnreachable`, `InvalidSettings`, `LedgerUnusable`, and `HomeUnusable` where there is no home.
        """
        self._loop.run(self._orders.open())
        return self

    def close(self) -> None:
        """Disconnect, and end the thread. Orders are not touched by that. Closing twice is fine."""
        with closing(self._loop):
            if self._loop.is_open:
                self._loop.run(self._orders.close())

    def __enter__(self) -> Self:
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def follow(self, after: int | None = None) -> Generator[Event, None, None]:
        """The account's events behind the feed id `after`, or from now on, each once and in order, without end."""
        events = self._orders.follow(after)
        try:
            while True:
                yield self._loop.run(events.__anext__())
        finally:
            self._loop.run(events.aclose())

    def handle(self, client_order_id: str) -> OrderHandleSync:
        """The handle of an order by its client order id, or by its whole order id.

        Raises `OrderNotFound` for what cannot be the id of an order.
        """
        return self._of(self._orders.handle(client_order_id))

    def buy(self, symbol: str, quantity: int, **terms: Unpack[ClientOrderTerms]) -> OrderHandleSync:
        """Start an order to buy, as `place` does. Prices are in rupees as quoted; `quantity` is as Kite counts: shares
        or units, and lots on MCX, NCO, CDS and BCD.

        Raises `InvalidOrder`, which names every field that is wrong and its rule; else what `place` raises.
        """
        return self._of(self._loop.run(self._orders.buy(symbol, quantity, **terms)))

    def sell(self, symbol: str, quantity: int, **terms: Unpack[ClientOrderTerms]) -> OrderHandleSync:
        """Start an order to sell; everything else is as for `buy`."""
        return self._of(self._loop.run(self._orders.sell(symbol, quantity, **terms)))

    def cancel(self, client_order_id: str, reason: str = "by the strategy", timeout: float = 30.0) -> Order:
        """Cancel an order and wait for its proved end; see `OrderHandle.cancel`. Raises `OrderNotFound`."""
        return self._loop.run(self._orders.cancel(client_order_id, reason, timeout))

    def get(self, client_order_id: str) -> Order:
        """The order as it stands now. Raises `OrderNotFound`, `ServerUnreachable`, `NotConnected`."""
        return self._loop.run(self._orders.get(client_order_id))

    def place(self, intent: OrderIntent) -> OrderHandleSync:
        """Start the order. From the moment this returns it is durable, whatever happens to this process.

        The same intent again gives the same order; another content under its id raises `DuplicateOrder`. If the
        history of that order is gone from the server, waiting for the order raises it. Where `execution.dry_run` is
        set here, the order is a dry run, whatever the settings of the worker are.

        Raises `NotConnected`; and `ServerUnreachable`, after which it may have been started or not: place the same
        intent again.
        """
        return self._of(self._loop.run(self._orders.place(intent)))

    def place_and_wait(self, intent: OrderIntent, timeout: float = PLACED_SECONDS) -> Order:
        """Start the order and wait until it is at the broker, has ended or waits for a person, in one round trip.

        As it stands if that takes longer than `timeout` seconds: it goes on. Raises as `place`, and `ServerUnreachable`
        also where the server has not said within that time whether it has it.
        """
        return self._loop.run(self._orders.place_and_wait(intent, timeout))

    def awaiting_approval(self) -> list[Order]:
        """Orders that wait for a person's approval, newest first. Raises `NotConnected`."""
        return self._loop.run(self._orders.awaiting_approval())

    def approve(self, client_order_id: str, who: str = "by the client") -> Order:
        """Let an order be sent that waits for a person's approval; see `OrderHandle.approve`. Raises `OrderNotFound`,
        `InvalidOrder`, `UnknownError`.
        """
        return self._loop.run(self._orders.approve(client_order_id, who))

    def decline(self, client_order_id: str, who: str = "by the client", reason: str = "") -> Order:
        """Reject an order that waits for a person's approval: it is never sent. Raises as `approve`."""
        return self._loop.run(self._orders.decline(client_order_id, who, reason))

    def close_position(
        self,
        symbol: str,
        *,
        product: Product | str | None = None,
        strategy: str | None = None,
        reason: str = "closed by the client",
        timeout: float = halting.FLATTEN_SECONDS,
    ) -> FlattenResult | None:
        """Cancel what is open in a symbol and close what is held of it, as `flatten`. Raises as it."""
        return self._loop.run(
            self._orders.close_position(symbol, product=product, strategy=strategy, reason=reason, timeout=timeout)
        )

    def flatten(
        self,
        *,
        symbol: str | None = None,
        product: Product | str | None = None,
        strategy: str | None = None,
        everything: bool = False,
        reason: str = "flattened by the client",
        timeout: float = halting.FLATTEN_SECONDS,
    ) -> FlattenResult | None:
        """Cancel open orders, then close what is held: of the account, or only in a symbol, of a strategy
        or under a product. No more is closed than the strategy, the account and the broker all have, and the account
        may go on trading meanwhile. With `everything`, what the broker has and the ledger does not know is taken over
        and closed, too, but for shares in the demat account; without it, that is named in the result's `differences`.

        `None` if it has not ended after `timeout` seconds: it goes on, and asked again, it is joined. Raises
        `InvalidOrder` for a symbol of which nothing is held or open, or a product that there is not, and
        `ServerUnreachable`.
        """
        return self._loop.run(
            self._orders.flatten(
                symbol=symbol, product=product, strategy=strategy, everything=everything, reason=reason, timeout=timeout
            )
        )

    def bracket(
        self,
        side: Side | str,
        symbol: str,
        quantity: int,
        *,
        stop: Decimal | str | None = None,
        target: Decimal | str | None = None,
        price: Decimal | str | None = None,
        trail: Decimal | str | None = None,
        stop_limit: Decimal | str | None = None,
        product: Product | str = Product.MIS,
        strategy: str = "manual",
        plan_id: str | None = None,
        exit_at: datetime | None = None,
        protect: Protect | str | None = None,
    ) -> PlanView:
        """Open a position with a stop, a target or both, which go out as it is filled. Prices are in rupees as quoted,
        `trail` in points; without a `price` the entry is at the market. With `protect="broker"` the stop outlives the
        worker and the day (docs/plans.md). The same `plan_id` again is the same plan.

        For several targets and further terms, `start_plan` takes them all. Raises `InvalidOrder`, which names the field
        and the rule, and what `start_plan` raises.
        """
        return self._loop.run(
            self._orders.bracket(
                side,
                symbol,
                quantity,
                stop=stop,
                target=target,
                price=price,
                trail=trail,
                stop_limit=stop_limit,
                product=product,
                strategy=strategy,
                plan_id=plan_id,
                exit_at=exit_at,
                protect=protect,
            )
        )

    def start_plan(
        self, intent: PlanIntent | BasketIntent | ScheduleIntent, timeout: float = PLACED_SECONDS
    ) -> PlanView:
        """Start a plan: orders that belong together. It is durable from the moment this returns, and is shown as it
        stands once its first order is at the broker or waits for a person, or after `timeout` seconds. One that was
        refused is REJECTED, with every reason.

        Raises `DuplicateOrder` for an id that is another plan's, `ServerUnreachable` and `NotConnected`.
        """
        return self._loop.run(self._orders.start_plan(intent, timeout))

    def plan(self, plan_id: str) -> PlanView:
        """How a plan stands, with its orders. Raises `OrderNotFound`, `NotConnected`, and `ServerUnreachable`, which is
        also where only a worker could tell and none does.
        """
        return self._loop.run(self._orders.plan(plan_id))

    def plans(self, *, open_only: bool = False, limit: int | None = None) -> Sequence[PlanView]:
        """The account's plans, newest first. Raises `NotConnected`."""
        return self._loop.run(self._orders.plans(open_only=open_only, limit=limit))

    def cancel_plan(
        self, plan_id: str, reason: str = "by the strategy", *, flatten: bool = False, timeout: float = 30.0
    ) -> PlanView:
        """Cancel what works of a plan, and with `flatten` close what it holds. The plan at its end, or as it stands
        after `timeout` seconds: the request stands then. Raises `OrderNotFound`, `ServerUnreachable`.
        """
        return self._loop.run(self._orders.cancel_plan(plan_id, reason, flatten=flatten, timeout=timeout))

    def amend_plan(self, plan_id: str, change: PlanChange, timeout: float = 30.0) -> PlanView:
        """Change a plan that has not ended; its orders follow. Raises `InvalidOrder` with the field and the rule,
        `UnknownError` without an answer in time, and `OrderNotFound`.
        """
        return self._loop.run(self._orders.amend_plan(plan_id, change, timeout))

    def place_gtt(self, intent: GttIntent, timeout: float = PLACED_SECONDS) -> GttView:
        """Have the broker keep a LIMIT order until a price is reached, for up to a year; of two legs, until the first
        of two is. It is durable from the moment this returns, and shown as the broker's list has it, or after `timeout`
        seconds as it stands. One that was refused is REJECTED, with every reason; one whose answer was lost is UNKNOWN,
        and is never sent again. Live accounts only.

        Raises `DuplicateOrder` for an id that is another GTT's, `ServerUnreachable` and `NotConnected`.
        """
        return self._loop.run(self._orders.place_gtt(intent, timeout))

    def gtt(self, gtt_id: str) -> GttView:
        """How a GTT stands, with the orders that came of it. Raises `OrderNotFound`, `NotConnected`."""
        return self._loop.run(self._orders.gtt(gtt_id))

    def gtts(self, *, open_only: bool = False, limit: int | None = None) -> Sequence[GttView]:
        """The account's GTTs, newest first, with those that were placed at the broker past this system. Raises
        `NotConnected`.
        """
        return self._loop.run(self._orders.gtts(open_only=open_only, limit=limit))

    def change_gtt(
        self,
        gtt_id: str,
        legs: Sequence[GttLeg],
        *,
        last_price: Decimal | str | None = None,
        timeout: float = PLACED_SECONDS,
    ) -> GttView:
        """Have an ACTIVE GTT wait for other prices: `legs` are all that it is to have. Without a `last_price` (rupees)
        the broker is asked. Raises `InvalidOrder` with why it was not changed, `UnknownError` where that is not known
        within `timeout` seconds, `OrderNotFound` and `ServerUnreachable`.
        """
        return self._loop.run(self._orders.change_gtt(gtt_id, legs, last_price=last_price, timeout=timeout))

    def delete_gtt(self, gtt_id: str, timeout: float = PLACED_SECONDS) -> GttView:
        """End a GTT, whatever change of it is on its way. One that was not sent so far never is; one that is UNKNOWN is
        deleted as soon as the broker's list shows it. Raises as `change_gtt`; `InvalidOrder` also for one that was
        triggered before.
        """
        return self._loop.run(self._orders.delete_gtt(gtt_id, timeout))

    def settle_gtt(
        self, gtt_id: str, trigger_id: str | None, evidence: str, timeout: float = PLACED_SECONDS
    ) -> GttView:
        """Say of an UNKNOWN GTT which one of the broker's list it is (`trigger_id`), or with `None` that it is not
        there, and what shows it. It stays UNKNOWN until the list shows it so: what that says is waited for, through
        `timeout` seconds. Raises `InvalidOrder` and `OrderNotFound`.
        """
        return self._loop.run(self._orders.settle_gtt(gtt_id, trigger_id, evidence, timeout))

    def plan_result(self, plan_id: str) -> PlanView:
        """A plan at its end, however long that takes. Raises `OrderNotFound`, `ServerUnreachable`."""
        return self._loop.run(self._orders.plan_result(plan_id))

    def raise_flag(self, name: str, reason: str, who: str = "by a strategy") -> Standing:
        """Raise a risk flag: until it is cleared, the account takes only orders that reduce a position, and what
        `guardian.on_trip` says is done with open orders. Raises `InvalidOrder` for a name or reason that will not do.
        """
        return self._loop.run(self._orders.raise_flag(name, reason, who))

    def clear_flag(self, name: str, who: str = "by a strategy") -> Standing:
        """Clear a risk flag. Raises `InvalidOrder` if it is not up."""
        return self._loop.run(self._orders.clear_flag(name, who))

    def positions(self) -> list[ToldPosition]:
        """The account's net positions, as the recorded fills make them, each with what its strategies and the broker
        have of it. Flat ones with what they have earned are among them. Raises `NotConnected`.
        """
        return self._loop.run(self._orders.positions())

    def portfolio(self) -> Portfolio:
        """The positions with what they earned and cost in rupees, in all and today, and what of that is each
        strategy's; at the last prices that the ledger has. Raises `NotConnected`.
        """
        return self._loop.run(self._orders.portfolio())

    def journal(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
    ) -> list[dict[str, Any]]:
        """The journal, oldest first: a row for each fill, and one for each order without any, from `since` to before
        `until`. `pandas.DataFrame(rows)` and `polars.DataFrame(rows)` take them as they are: amounts are `Decimal`
        rupees, times have a zone. Raises `NotConnected`.
        """
        return self._loop.run(self._orders.journal(since=since, until=until, symbol=symbol, strategy=strategy))

    def events(self, after: int = 0, limit: int = EVENTS) -> list[FeedEvent]:
        """The account's next events behind the feed id `after`, oldest first and at most `limit`.

        Where as many came, there may be more: ask again after the `feed_id` of the last one. `follow` gives all of
        them, and goes on. Raises `ValueError` for a `limit` below 1, and `NotConnected`.
        """
        return self._loop.run(self._orders.events(after, limit))

    def settle(self, order_id: str, settlement: Settlement) -> Order:
        """Settle an order that no workflow follows, in the ledger. Raises `OrderNotFound`, `InvalidOrder`."""
        return self._loop.run(self._orders.settle(order_id, settlement))

    def settle_position(
        self,
        symbol: str,
        product: Product | str,
        quantity: int,
        evidence: str,
        *,
        price: Decimal | str | float | None = None,
        kind: EntryKind | str = EntryKind.OTHER,
        to_product: Product | str | None = None,
        strategy: str | None = None,
        who: str = "by the client",
    ) -> tuple[Unexplained, ...]:
        """Explain a position of which the broker has something else than the ledger: `quantity`, signed, is added to
        the ledger's position, at `price` in rupees as quoted, without an order. A conversion goes `to_product` and
        keeps the cost, as a corporate action does. What is left unexplained in the symbol.

        Raises `InvalidOrder`, with nothing written: for a field that is wrong, a symbol in no book, and a quantity
        beyond what differs.
        """
        return self._loop.run(
            self._orders.settle_position(
                symbol,
                product,
                quantity,
                evidence,
                price=price,
                kind=kind,
                to_product=to_product,
                strategy=strategy,
                who=who,
            )
        )

    def instruments(self) -> Instruments:
        """The account's instrument master, read again where there is a newer one. Raises `InvalidInstruments`."""
        return self._orders.instruments()

    def list(
        self,
        *,
        statuses: Collection[Status] | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        open_only: bool = False,
        limit: int | None = None,
    ) -> list[Order]:
        """The account's orders to which everything given applies, newest first: all of them without a `limit`. Raises
        `NotConnected`.
        """
        return self._loop.run(
            self._orders.list(statuses=statuses, symbol=symbol, strategy=strategy, open_only=open_only, limit=limit)
        )

    def _of(self, handle: OrderHandle) -> OrderHandleSync:
        return OrderHandleSync(self._loop, handle)
