"""What a flatten reads from the ledger, and how it ends there."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.activities.exit_quotes import ExitQuotes
from durable_orders.activities.gtt_watch import LONGEST, RESULT_WITHIN
from durable_orders.activities.positions import PositionReader
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.flatten.closing import Held, Key, Target, quantities, stuck, targets
from durable_orders.trading.flatten.costs import costs
from durable_orders.trading.flatten.deleting import doomed, is_covered, open_gtt, position_of
from durable_orders.trading.flatten.exits import WorkingExit
from durable_orders.trading.flatten.flatten import Progress
from durable_orders.trading.flatten.request import (
    Difference,
    FlattenRequest,
    FlattenResult,
    GttOutcome,
    OpenPosition,
    OrderOutcome,
)
from durable_orders.trading.flatten.snapshot import OpenGtt, OpenOrder, Snapshot
from durable_orders.trading.ledger.accounts import (
    AccountState,
    Permission,
    permission_of,
    set_state_within,
    stay_reducing,
)
from durable_orders.trading.ledger.alerts import add_event, alert
from durable_orders.trading.ledger.audit import orders_named
from durable_orders.trading.ledger.broker_positions import BrokerReading
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.delivery import moved_today
from durable_orders.trading.ledger.gtts import find_gtt, list_gtts, triggered_untold
from durable_orders.trading.ledger.position_differences import unexplained
from durable_orders.trading.ledger.reading import (
    find_order,
    list_orders,
    positions_of,
    strategy_positions_of,
    traded_in_other_mode,
)
from durable_orders.trading.ledger.rows import CHUNK
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Amendment, Mode, Order, Product
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from durable_orders.trading.reconciliation.positions import PositionDifference, differences

Requests = Sequence[FlattenRequest]
IN_THE_BOOK = RESULT_WITHIN + timedelta(seconds=LONGEST)
"""From when a GTT is seen to have triggered: by then the ledger has its order, if there is one. The watch meets that in
the book a while later, and waits for so long to be told whose it is."""


class FlattenActivities:
    """One account's. All of them block, and may be repeated."""

    def __init__(
        self, settings: Settings, database: Database, client: Client, positions: PositionReader, quotes: ExitQuotes
    ) -> None:
        self._settings = settings
        self._account = settings.account
        self._database = database
        self._client = client
        self._positions = positions
        self._quotes = quotes

    @activity.defn(name="picture")
    def snapshot(self, requests: list[FlattenRequest], placed: list[str], asked: list[str]) -> Snapshot:
        """How the account stands, which of the closing orders that were placed have ended, and which of the GTTs that
        were asked to go, by their ids, are still there.

        While it is asked for, an account that was stopped for it does not trade again by itself at midnight.
        """
        if any(request.flatten and request.until_resumed for request in requests):
            stay_reducing(self._database, self._account, datetime.now(UTC))
        reading, waits = self._read() if any(request.flatten for request in requests) else (None, "")
        with self._database.read() as connection:
            found = list_orders(connection, self._account, open_only=True)
            own = self._named(connection, placed)
            over = [order for order in own if order.status.terminal]
            now = datetime.now(UTC)
            found_targets = self._targets(connection, requests, reading)
            return Snapshot(
                state=permission_of(connection, self._account).state,
                mode=self._settings.execution.mode,
                open=tuple(
                    OpenOrder.of(order, followed=order.strategy not in list(ExternalKind))
                    for order in found
                    if order.order_id not in placed and _is_asked_for(order, requests)
                ),
                closings=tuple(
                    self._quotes.closing(connection, target, now) for target in found_targets if target.closable
                ),
                stuck=tuple(_stuck(found_targets, reading)),
                over=tuple(order.order_id for order in over),
                outcomes=tuple(OrderOutcome.of(order) for order in over),
                differences=tuple(self._differences(connection, requests, reading)),
                gtts=tuple(self._gtts(connection, requests, found_targets, reading, asked)),
                settle_seconds=self._settings.placing.positions_window,
                waits=waits,
                working=tuple(WorkingExit.of(order) for order in own if not order.status.terminal),
                exits=None if self._settings.execution.dry_run else self._settings.exits,
            )

    @activity.defn
    def stored_order(self, order_id: str) -> Order | None:
        """The order as the ledger has it."""
        with self._database.read() as connection:
            return find_order(connection, order_id)

    @activity.defn(name="alert_of_flatten")
    def alert(self, words: str) -> None:
        """Say something to a human."""
        alert(self._database, self._account, words, datetime.now(UTC))

    @activity.defn(name="change_closing_order")
    async def change_order(self, order_id: str, change: Amendment, number: int) -> None:
        """Ask the order's workflow for a change, which is told again under the same id. Whether it is made is not
        waited for; an order that has ended, or that nobody follows, makes none."""
        handle = self._client.get_workflow_handle(order_id)
        try:
            await handle.start_update(
                "amend", change, id=f"exit-{number}-{change.price}", wait_for_stage=WorkflowUpdateStage.ACCEPTED
            )
        except WorkflowUpdateFailedError:
            return
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    @activity.defn
    def finish(self, progress: Progress, seen: Snapshot, problems: list[str]) -> FlattenResult:
        """Halt the account if that was asked for and nothing is left to close, and tell how everything ended."""
        now = datetime.now(UTC)
        with self._database.write(self._account) as connection:
            standing = permission_of(connection, self._account, now).state
            halts = [each for each in progress.requests if each.halt]
            is_left = seen.closings or seen.stuck or seen.waits
            if halts and not is_left and standing is AccountState.REDUCING:
                halt = Permission(AccountState.HALTED, halts[-1].reason, halts[-1].who, now)
                set_state_within(connection, self._account, halt)
            for words in problems:
                add_event(connection, self._account, EventType.ALERT, words, now)
            return FlattenResult(
                state=permission_of(connection, self._account, now).state,
                cancelled=self._became(connection, progress.asked),
                closed=self._became(connection, progress.closed),
                left=self._left(connection, progress.requests, seen),
                problems=tuple(problems),
                differences=seen.differences,
                costs=tuple(costs(progress.exits, self._named(connection, progress.closed))),
                stays=tuple(self._stays(connection, progress.requests)),
                gtts=tuple(self._gtts_became(connection, list(progress.gtts))),
            )

    def local(self) -> Sequence[Callable[..., object]]:
        return (self.snapshot, self.stored_order, self.alert, self.finish)

    def activities(self) -> Sequence[Callable[..., object]]:
        return (self.change_order,)

    def _read(self) -> tuple[BrokerReading | None, str]:
        """What the broker has, and if that cannot be told, why not: a reading of a few seconds ago still counts."""
        try:
            return self._positions.read(), ""
        except BookUnreadable as error:
            reading = self._positions.fresh()
            return reading, "" if reading is not None else f"the broker's positions cannot be read: {error}"

    def _left(self, connection: sa.Connection, requests: Requests, seen: Snapshot) -> tuple[OpenPosition, ...]:
        if any(request.flatten for request in requests):
            return (
                tuple(
                    OpenPosition(symbol=each.symbol, product=each.product, quantity=-each.side.sign * sum(each.slices))
                    for each in seen.closings
                )
                + seen.stuck
            )
        return tuple(
            OpenPosition(symbol=held.symbol, product=held.product, quantity=held.quantity)
            for held in positions_of(connection, self._account)
            if held.quantity
        )

    def _stays(self, connection: sa.Connection, requests: Requests) -> Iterator[OpenPosition]:
        """What is held within the requests, by the ledger or by the broker alone, and that none of them wants closed.
        Whoever names products means those alone."""
        found: dict[Key, int] = {}
        for request in requests:
            if request.flatten and request.products is None:
                found |= self._held_by(connection, request.strategy)
        for (symbol, product), quantity in found.items():
            asked = [each for each in requests if each.flatten and each.symbol in (None, symbol)]
            if asked and quantity and not any(each.closes(product, self._settings.guardian) for each in asked):
                yield OpenPosition(symbol=symbol, product=product, quantity=quantity)

    def _held_by(self, connection: sa.Connection, strategy: str | None) -> dict[Key, int]:
        if strategy is not None:
            return quantities(strategy_positions_of(connection, self._account, strategy).values())
        ours = quantities(positions_of(connection, self._account))
        alone = [each for each in unexplained(connection, self._account) if each.product in list(Product)]
        return {(each.symbol, Product(each.product)): each.theirs for each in alone} | ours

    def _targets(self, connection: sa.Connection, requests: Requests, reading: BrokerReading | None) -> list[Target]:
        """None without a reading: what the broker has decides what may be closed."""
        if reading is None:
            return []
        strategies = {request.strategy for request in requests if request.strategy is not None}
        own = {name: quantities(strategy_positions_of(connection, self._account, name).values()) for name in strategies}
        account = self._in_this_mode(connection, quantities(positions_of(connection, self._account)))
        broker = {key: reading.at_broker(*key).closable for key in account}
        return targets(requests, Held(account, own, broker), self._settings.guardian)

    def _gtts(
        self,
        connection: sa.Connection,
        requests: Requests,
        found: Sequence[Target],
        reading: BrokerReading | None,
        asked: Sequence[str],
    ) -> Iterator[OpenGtt]:
        """Those of what is closed, and those that have just placed an order which is to be cancelled; none without a
        reading. In a dry run nothing is deleted, and on paper there are none."""
        execution = self._settings.execution
        if reading is None or execution.dry_run or execution.mode is not Mode.LIVE:
            return
        states = list_gtts(connection, self._account, open_only=True)
        keys = {(each.intent.symbol, each.intent.product) for each in states}
        there = {key: reading.everywhere(*key) for key in keys}
        for state in doomed(states, requests, found, there, self._settings.guardian, asked):
            yield open_gtt(state, position_of(state, found))
        for state in triggered_untold(connection, self._account, datetime.now(UTC) - IN_THE_BOOK):
            if is_covered(state, requests):
                yield open_gtt(state, position_of(state, found))

    def _gtts_became(self, connection: sa.Connection, ids: Sequence[str]) -> Iterator[GttOutcome]:
        for own in ids:
            if (known := find_gtt(connection, self._account, own)) is not None:
                state = known[0]
                orders = [each.order_id for each in state.results if each is not None and each.order_id]
                words = f"its order is {', '.join(orders)}" if orders else "; ".join(state.reasons)
                summary = open_gtt(state, "").summary
                yield GttOutcome(gtt_id=own, summary=summary, status=state.status, words=words)

    def _in_this_mode(self, connection: sa.Connection, held: Mapping[Key, int]) -> dict[Key, int]:
        """What was traded on paper is never sold for real, nor the other way round."""
        mode = self._settings.execution.mode
        return {key: held[key] - traded_in_other_mode(connection, self._account, key, mode) for key in held}

    def _differences(
        self, connection: sa.Connection, requests: Requests, reading: BrokerReading | None
    ) -> Iterator[Difference]:
        if reading is None:
            return
        is_live = self._settings.execution.mode is Mode.LIVE
        held = quantities(positions_of(connection, self._account))
        ours = {(symbol, product.value): quantity for (symbol, product), quantity in held.items()}
        moved = moved_today(connection, self._account, datetime.now(UTC)) if is_live else {}
        for each in differences(ours, moved, reading, is_of_one_day=is_live):
            if any(self._concerns(connection, request, each) for request in requests):
                yield Difference(**each._asdict())

    def _concerns(self, connection: sa.Connection, request: FlattenRequest, each: PositionDifference) -> bool:
        """Whether it is of what the request wants closed: of one strategy's, where that holds something itself."""
        if not request.flatten or request.symbol not in (None, each.symbol):
            return False
        if each.product not in list(Product):
            return request.strategy is None and request.products is None
        product = Product(each.product)
        if request.strategy is None or not request.closes(product, self._settings.guardian):
            return request.closes(product, self._settings.guardian)
        own = strategy_positions_of(connection, self._account, request.strategy).get((each.symbol, product))
        return own is not None and own.quantity != 0

    def _became(self, connection: sa.Connection, ids: Sequence[str]) -> tuple[OrderOutcome, ...]:
        return tuple(OrderOutcome.of(order) for order in self._named(connection, ids))

    def _named(self, connection: sa.Connection, ids: Sequence[str]) -> list[Order]:
        """Those of the orders that the ledger has, in that order."""
        found: dict[str, Order] = {}
        for start in range(0, len(ids), CHUNK):
            chunk, _ = orders_named(connection, ids[start : start + CHUNK])
            found |= {str(order.order_id): order for order in chunk}
        return [found[order_id] for order_id in ids if order_id in found]


def _stuck(found: Iterable[Target], reading: BrokerReading | None) -> Iterator[OpenPosition]:
    asked = list(found)
    there = {
        (each.symbol, each.product): reading.at_broker(each.symbol, each.product).total for each in asked if reading
    }
    return stuck(asked, there)


def _is_asked_for(order: Order, requests: Requests) -> bool:
    return any(request.covers(order.symbol, order.strategy) for request in requests)
