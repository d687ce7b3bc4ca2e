"""A day of the ledger against the trades of a later source, and what that proves of UNKNOWN orders. Pure.

A row is of the order whose id it has, or that has its trade. Its order id need not be one that the ledger knows: the
Console is said to give the exchange's, and each part of an order that Kite splits has one of its own. So a row of
nobody may be of any order of which not all trades are known.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import PRICE_PLACES, BrokerOrderId, Fill, Order, OrderId, Side, Status, TradeId
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.trading.reconciliation.day import DayDifference, Kind

BY_HAND = "by-hand-"
"""How the id of a trade begins that no exchange gave: of an order that was settled by evidence."""
AGAIN = "the same trade id in another row"


class SourceRow(Protocol):
    """One trade of the later source."""

    @property
    def symbol(self) -> str:
        """With Kite's exchange."""

    @property
    def side(self) -> Side: ...
    @property
    def quantity(self) -> int: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def trade_id(self) -> TradeId: ...
    @property
    def order_id(self) -> BrokerOrderId: ...
    @property
    def at(self) -> datetime: ...


class Source(Protocol):
    """Trades of one user, told later and by somebody else."""

    @property
    def name(self) -> str: ...
    def rows_of(self, day: date) -> Sequence[SourceRow]: ...
    def has_segment_of(self, symbol: str) -> bool:
        """Whether it has trades of that symbol's segment, of any day."""

    def why_silence_proves_nothing(self, symbol: str, day: date) -> str | None:
        """Why a trade of that symbol and day may be missing from it; `None` where it would have it."""


class Verdict(NamedTuple):
    """What the source says of one UNKNOWN order."""

    order: Order
    settlement: Settlement | None
    """Its end; `None` where it is not proved."""
    why_not: str | None


class _Assigned(NamedTuple):
    """The rows of a day."""

    of: Mapping[str, Sequence[SourceRow]]
    """Those of each order, by the ledger's id."""
    strays: Sequence[SourceRow]
    """Those of no order of the ledger."""


def differences(
    orders: Sequence[Order], source: Source, day: date, why_unknown: Mapping[OrderId, str] | None = None
) -> list[DayDifference]:
    """What was traded in segments that the source does not have is not looked for in it.

    `why_unknown` says of UNKNOWN orders why the source does not prove their end. Such an order is always a difference.
    """
    assigned, found = _assigned(orders, source.rows_of(day)), []
    for order in orders:
        said = assigned.of.get(order.order_id, ())
        if order.status is Status.UNKNOWN:
            found.append(_unknown(order, said, (why_unknown or {}).get(order.order_id)))
        elif source.has_segment_of(order.symbol):
            found += _of_order(order, _of_day(order, day), said)
    alone = "no order of the ledger"
    return found + [_difference(row.order_id, row.symbol, None, row, alone) for row in assigned.strays]


def _assigned(orders: Sequence[Order], rows: Sequence[SourceRow]) -> _Assigned:
    by_id = {order_id: order.order_id for order in orders for order_id in (order.broker_order_id, *order.slices)}
    by_trade = {(order.symbol, order.side, fill.trade_id): order.order_id for order in orders for fill in order.fills}
    of, strays = defaultdict[str, list[SourceRow]](list), list[SourceRow]()
    for row in rows:
        owner = by_id.get(row.order_id) or by_trade.get((row.symbol, row.side, row.trade_id))
        (of[owner] if owner is not None else strays).append(row)
    return _Assigned(of, strays)


def _of_day(order: Order, day: date) -> list[Fill]:
    return [fill for fill in order.fills if fill.at.astimezone(IST).date() == day]


def _unknown(order: Order, said: Sequence[SourceRow], why: str | None) -> DayDifference:
    return DayDifference(
        kind=Kind.ORDER,
        order_id=order.order_id,
        about=order.symbol,
        ours=str(order.status),
        broker=f"{sum(row.quantity for row in said)} traded",
        cause=why or "nothing proves its end: it takes no new risk until it is settled",
    )


def _of_order(order: Order, own: Sequence[Fill], said: Sequence[SourceRow]) -> list[DayDifference]:
    """Each row counts: of several with one trade id, that which is as the ledger's stands against it, or else the
    first; each other one is a difference of its own."""
    by_hand = any(fill.trade_id.startswith(BY_HAND) for fill in own)
    if by_hand and _sums(own) == _sums(said) and all(_is_of(order, row) for row in said):
        return []
    ours, theirs = {fill.trade_id: fill for fill in own}, defaultdict[TradeId, list[SourceRow]](list)
    for row in said:
        theirs[row.trade_id].append(row)
    found = []
    for trade in sorted(ours.keys() | theirs.keys()):
        fill, rows = ours.get(trade), theirs.get(trade, [])
        first = next((row for row in rows if _same(order, fill, row)), rows[0] if rows else None)
        if not _same(order, fill, first):
            found.append(_difference(order.order_id, order.symbol, fill, first))
        found += [_difference(order.order_id, order.symbol, None, row, AGAIN) for row in rows if row is not first]
    return found


def _same(order: Order, fill: Fill | None, row: SourceRow | None) -> bool:
    if fill is None or row is None:
        return False
    return _is_of(order, row) and (row.quantity, row.price) == (fill.quantity, fill.price)


def _is_of(order: Order, row: SourceRow) -> bool:
    return (row.symbol, row.side) == (order.symbol, order.side)


def _sums(trades: Sequence[Fill] | Sequence[SourceRow]) -> tuple[int, Decimal]:
    value = sum((trade.quantity * trade.price for trade in trades), Decimal(0))
    return sum(trade.quantity for trade in trades), value


def _difference(
    order_id: str, symbol: str, fill: Fill | None, row: SourceRow | None, cause: str | None = None
) -> DayDifference:
    ours = None if fill is None else f"trade {fill.trade_id}: {fill.quantity} at {fill.price}"
    theirs = None
    if row is not None:
        theirs = f"trade {row.trade_id}: {row.side} {row.quantity} {row.symbol} at {row.price}"
    return DayDifference(kind=Kind.TRADE, order_id=order_id, about=symbol, ours=ours, broker=theirs, cause=cause)


def verdicts(orders: Sequence[Order], source: Source, day: date, sent: Collection[str]) -> list[Verdict]:
    """Of each UNKNOWN order: the end that the source proves, or why it proves none. `sent` are the ids of those that
    were sent within that day's session, which is over.

    What it has of an order is proved by its rows. That there is nothing more takes a source that would have it, with
    every trade that the ledger has of that exchange, and without a trade of nobody that could be of this order.
    """
    assigned = _assigned(orders, source.rows_of(day))
    apart = differences([order for order in orders if order.status is not Status.UNKNOWN], source, day)
    lacks = {each.about.partition(":")[0] for each in apart if each.broker is None}
    found = []
    for order in (order for order in orders if order.status is Status.UNKNOWN):
        said = assigned.of.get(order.order_id, ())
        has_all = {fill.trade_id for fill in _of_day(order, day)} <= {
            row.trade_id for row in said if _is_of(order, row)
        }
        if order.order_id not in sent or order.created_at.astimezone(IST).date() != day:
            proved: Settlement | str = f"it is not recorded that it was sent within a session of {day}"
        elif not source.has_segment_of(order.symbol):
            proved = f"{source.name} has no trade of its segment"
        elif not has_all or order.symbol.partition(":")[0] in lacks:
            proved = f"{source.name} lacks trades of its exchange that the ledger has"
        else:
            proved = _proved(order, said, assigned.strays, source, day)
        found.append(Verdict(order, None, proved) if isinstance(proved, str) else Verdict(order, proved, None))
    return found


def _proved(
    order: Order, said: Sequence[SourceRow], strays: Sequence[SourceRow], source: Source, day: date
) -> Settlement | str:
    settlement = _settlement(order, said, source.name)
    if isinstance(settlement, str):
        return settlement
    if settlement.status is not Status.FILLED:
        if why := source.why_silence_proves_nothing(order.symbol, day):
            return why
        own = next((row for row in strays if _may_be_of(order, row)), None)
        if own is not None:
            return f"{source.name}: trade {own.trade_id}, of no order of the ledger, may be its"
    return settlement.problem_with(order) or settlement


def _may_be_of(order: Order, row: SourceRow) -> bool:
    """The Console may leave out a symbol's series."""
    names = [symbol.partition(":")[2].partition("-")[0] for symbol in (row.symbol, order.symbol)]
    return row.side is order.side and names[0] == names[1]


def _settlement(order: Order, said: Sequence[SourceRow], name: str) -> Settlement | str:
    """Why not, where what was traded beyond the ledger's cannot be told as one trade to the paisa."""
    known = {fill.trade_id: fill for fill in order.fills}
    fresh = [row for row in said if row.trade_id not in known]
    if not all(_is_of(order, row) for row in said):
        return f"{name} has trades under its id of another symbol, exchange or side"
    for number, row in enumerate(said):
        if row.trade_id in {other.trade_id for other in said[:number]}:
            return f"{name} has trade {row.trade_id} of it in two rows"
        if (fill := known.get(row.trade_id)) is not None and not _same(order, fill, row):
            return f"{name} has trade {row.trade_id} otherwise than the ledger"
    quantity, value = _sums(fresh)
    filled = order.filled_quantity + quantity
    status = Status.FILLED if filled == order.quantity else Status.EXPIRED
    if not fresh:
        return Settlement(status=status, evidence=f"{name}: no trade of it that is not recorded")
    price = (value / quantity).quantize(PRICE_PLACES)
    if price * quantity != value:
        return f"its trades in {name} have no average price to four places: settle it by hand"
    traded = ", ".join(row.trade_id for row in fresh)
    words = f"{name}: trades {traded}"
    at = max(row.at for row in fresh)
    return Settlement(status=status, evidence=words[:500], quantity=quantity, price=price, traded_at=at)
