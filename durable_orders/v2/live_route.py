"""The way of an intent to the caller's broker, and what happens when the answer is lost."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from durable_orders.callers.broker import Answer, CallersBroker, Line, line_of
from durable_orders.callers.figures import exact, section
from durable_orders.callers.lost import Lost, found_in_book, unread
from durable_orders.trading.config.settings import Live
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.older_names import EXCHANGE
from durable_orders.trading.orders.order import Order, Side, Status
from durable_orders.trading.orders.outcome import Accepted, Refused, Unknown
from durable_orders.v2.books import Books, Seen
from durable_orders.v2.intents import ExecutionResult, OrderIntent
from durable_orders.v2.results import rejected, result_of, row_of_update, status_word

DRY_RUN = "Dry run - order not actually placed"
NO_BROKER = "Broker not initialized for live mode"
NEVER_PLACED = "never placed: the broker's book did not show it"


class LiveRoute:
    """Sends each order once. One whose answer was lost is looked up in the broker's book by its tag; until that tells,
    it is `UNKNOWN`, and nothing new is sent.
    """

    def __init__(
        self, broker: Any, books: Books, config: Any, logger: logging.Logger, clock: Callable[[], datetime]
    ) -> None:
        execution = section(config, "execution")
        self.dry_run = bool(execution.get("dry_run", False))
        window = section(config, "execution", "live").get("settle_window", Live().settle_window)
        self._settle_window = timedelta(seconds=float(exact(window, "execution.live.settle_window")))
        self._broker = CallersBroker(broker) if broker is not None else None
        self._books = books
        self._logger = logger
        self._clock = clock

    def blocked_by(self) -> str | None:
        """Why nothing new may be sent: an order whose outcome the book, read now, does not tell."""
        self.settle_all()
        for seen in self._books.unproved():
            row = self.shown(seen.order_id)
            if row is not None:
                self.settled_by(row)
        names = [f"{lost.side} {lost.quantity} {lost.symbol} ({lost.tag})" for lost in self._books.lost()]
        names += [f"{seen.side} {seen.quantity} {seen.symbol} ({seen.order_id})" for seen in self._books.unproved()]
        return f"no new risk while the outcome of {', '.join(names)} is unknown" if names else None

    def _weigh(self, line: Line | None, seen: Seen) -> None:
        if line is not None and line.contradicts_itself:
            self._logger.error("order %s is %s, and its figures do not add up: look at it", seen.order_id, line.word)
            self._books.doubt(seen)
        else:
            self._books.prove(seen.order_id)

    def send(self, intent: OrderIntent, order: Order) -> ExecutionResult:
        """Send the order, and say what is known of it then."""
        if self._broker is None:
            return rejected(intent, NO_BROKER)
        if self.dry_run:
            return replace(result_of(intent, "PLACED", f"DRY-RUN-{int(time.time())}"), message=DRY_RUN)
        lost = _lost(intent, order, self._clock())
        try:
            self._books.send_later(lost)
        except Exception as error:
            self._logger.exception("an order could not be noted, so it was not sent")
            return rejected(intent, f"Execution error: {error} (nothing was sent)")
        return self._result(self._broker.place(_payload(intent, order)), intent, order, lost)

    def shown(self, order_id: str) -> Line | None:
        """The broker's row of an order, if its book can be read and has it."""
        if self._broker is None:
            return None
        with suppress(BookUnreadable):
            return next((line for line in self._broker.book() if line.order_id == order_id), None)
        return None

    def _result(self, answer: Answer, intent: OrderIntent, order: Order, lost: Lost) -> ExecutionResult:
        outcome = answer.outcome
        if isinstance(outcome, Accepted):
            seen = _seen(answer.line, intent, order, str(outcome.broker_order_id))
            self._weigh(answer.line, seen)
            message = answer.line.message if answer.line else None
            return self._accepted(seen, intent, lost, answer.shown, message)
        words = f"Broker error: {outcome.evidence.message}"
        if not isinstance(outcome, Unknown):
            self._books.settle(lost.tag)
            said = "" if isinstance(outcome, Refused) else " (nothing was sent)"
            return replace(rejected(intent, words + said), raw=_raw(answer.shown))
        self._logger.error("the answer to %s was lost: %s", order.summary(), words)
        self._books.keep_lost(replace(lost, words=words))
        row = self._look_up(lost.tag)
        if row is not None:
            seen = _seen(row, intent, order, row.order_id)
            self._weigh(row, seen)
            return self._accepted(seen, intent, lost, row.shown, words)
        said = f"{words}; it may have been placed, and nothing new is sent until the broker's book tells"
        return replace(result_of(intent, "UNKNOWN"), message=said, raw={"tag": lost.tag, "answer": answer.shown})

    def _accepted(
        self, seen: Seen, intent: OrderIntent, lost: Lost, shown: Any, message: str | None
    ) -> ExecutionResult:
        self._books.settle(lost.tag)
        self._books.take(seen)
        if intent.metadata.get("client_order_id"):
            self._books.name(lost.tag, seen.order_id)
        average = float(seen.average) if seen.average is not None else None
        result = result_of(intent, status_word(seen.status), seen.order_id)
        return replace(result, avg_price=average, message=message, raw=_raw(shown) | {"filled_qty": seen.filled})

    def settle_all(self) -> None:
        """Look up every order whose answer was lost, in one reading of the book for each."""
        for lost in self._books.lost():
            row = self._look_up(lost.tag)
            if row is not None:
                self.settled_by(row)

    def _look_up(self, tag: str) -> Line | None:
        """The order's row, if the book has it. An order that is proved absent is settled as never placed."""
        with self._books.lock:
            lost = next((one for one in self._books.lost() if one.tag == tag), None)
            if lost is None or self._broker is None:
                return None
            try:
                book = self._broker.book()
            except BookUnreadable as error:
                self._logger.warning("%s stays unknown: %s", tag, error)
                self._books.keep_lost(unread(lost))
                return None
            found = found_in_book(lost, book, self._books.known_ids(), self._clock(), self._settle_window)
            if found.twins:
                self._logger.error("orders %s have the tag of %s as well: look at them", found.twins, tag)
            if found.others:
                self._logger.warning("%s stays unknown: orders %s could be it", tag, found.others)
            if found.absent:
                self._never_placed(found.lost)
            elif found.row is None:
                self._books.keep_lost(found.lost)
            return found.row

    def _never_placed(self, lost: Lost) -> None:
        self._books.settle(lost.tag)
        self._logger.warning("%s %s %s was %s", lost.side, lost.quantity, lost.symbol, NEVER_PLACED)
        seen = Seen(lost.tag, lost.symbol, Side(lost.side), lost.quantity, Status.REJECTED, lost.strategy)
        self._books.write(row_of_update(seen, None, "live") | {"strategy": lost.strategy, "message": NEVER_PLACED})

    def settled_by(self, row: Line) -> Seen | None:
        """Book what a row of the broker says, and journal it: of a lost order, of a known one, or of a stranger.

        `None` for a row that does not say what it is about.
        """
        with self._books.lock:
            lost = next((one for one in self._books.lost() if one.tag in row.tags), None)
            known = self._books.find(row.order_id)
            seen = _of_row(row, lost, known)
            if seen is None:
                return None
            self._weigh(row, seen)
            if lost is not None:
                self._books.settle(lost.tag)
                self._books.name(lost.tag, seen.order_id)
            is_ours = lost is not None or row.order_id in self._books.known_ids()
            if self._books.take(seen, is_ours=is_ours):
                self._books.write(row_of_update(seen, row.shown, "live") | {"strategy": seen.strategy})
            return seen


def updated(route: LiveRoute, update: Mapping[str, Any]) -> Seen | None:
    """Take an order update of the broker. Raises `ValueError` for one that cannot be read."""
    return route.settled_by(line_of(update))


def _payload(intent: OrderIntent, order: Order) -> dict[str, Any]:
    """The keys of the older engine, and a tag by which the order can be looked up."""
    return {
        "symbol": intent.symbol,
        "side": order.side.value,
        "qty": order.quantity,
        "order_type": order.order_type.value,
        "product": order.product.value,
        "validity": order.validity.value,
        "price": intent.price,
        "trigger_price": intent.trigger_price,
        "exchange": intent.metadata.get("exchange") or order.symbol.partition(":")[0] or EXCHANGE,
        "tag": str(order.tag),
    }


def _lost(intent: OrderIntent, order: Order, at: datetime) -> Lost:
    return Lost(
        tag=str(order.tag),
        symbol=intent.symbol,
        side=order.side.value,
        quantity=order.quantity,
        sent_at=at,
        strategy=intent.strategy_code,
        order_type=order.order_type.value,
        price=intent.price,
    )


def _seen(row: Line | None, intent: OrderIntent, order: Order, order_id: str) -> Seen:
    """What an answer shows of the order; without a row, that it was taken."""
    status = row.status if row else Status.PLACED
    whole = status is Status.FILLED and row is not None and row.quantity is None
    filled = order.quantity if whole else row.filled_quantity if row else 0
    average = row.average_price if row else None
    return Seen(
        order_id=order_id,
        symbol=intent.symbol,
        side=order.side,
        quantity=order.quantity,
        status=status,
        strategy=intent.strategy_code,
        filled=filled,
        average=average,
        price=intent.price,
    )


def _of_row(row: Line, lost: Lost | None, known: Seen | None) -> Seen | None:
    """An order of ours keeps its own symbol, side and strategy; of a stranger's, the row's count."""
    symbol = lost.symbol if lost else known.symbol if known else row.symbol
    side = lost.side if lost else known.side.value if known else row.side
    if not symbol or side not in (Side.BUY, Side.SELL):
        return None
    quantity = row.quantity or (lost.quantity if lost else known.quantity if known else row.filled_quantity)
    whole = row.status is Status.FILLED and row.quantity is None
    return Seen(
        order_id=row.order_id,
        symbol=symbol,
        side=Side(side),
        quantity=quantity,
        status=row.status,
        strategy=lost.strategy if lost else known.strategy if known else "",
        filled=quantity if whole else row.filled_quantity,
        average=row.average_price,
        price=lost.price if lost else known.price if known else None,
    )


def _raw(shown: Any) -> dict[str, Any]:
    """The broker's own answer."""
    if isinstance(shown, Mapping):
        return dict(shown)
    return {} if shown is None else {"answer": shown}
