"""The paper exchange's tables, read: single orders, an order's trades, and the orders that a price concerns."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.config.fill_models import FillModels
from durable_orders.trading.exchange.orders import ExchangeOrder, KiteStatus, Progress
from durable_orders.trading.exchange.reach import reach_of
from durable_orders.trading.ledger.tables import exchange_history, exchange_orders, exchange_trades, plans
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.order import (
    Account,
    BrokerOrderId,
    Fill,
    OrderType,
    Product,
    Side,
    Tag,
    TradeId,
    Validity,
)

_orders, _trades, _history = exchange_orders.c, exchange_trades.c, exchange_history.c


def order_from(row: Any) -> BrokerOrder:
    """A row of `exchange_orders` as the book shows it."""
    return BrokerOrder(**_shown(row))


def _shown(row: Any) -> dict[str, Any]:
    return {
        "broker_order_id": BrokerOrderId(row.broker_order_id),
        "tag": None if row.tag is None else Tag(row.tag),
        "symbol": row.symbol,
        "side": Side(row.side),
        "product": Product(row.product),
        "order_type": OrderType(row.order_type),
        "validity": Validity(row.validity),
        "quantity": row.quantity,
        "filled_quantity": row.filled_quantity,
        "price": row.price,
        "trigger_price": row.trigger_price,
        "status": row.status,
        "state": BookState(row.state),
        "message": row.message,
        "placed_at": row.placed_at,
        "updated_at": row.updated_at,
    }


def fill_from(row: Any) -> Fill:
    """A row of `exchange_trades`. Not validated again: it was when it was made, and there are many."""
    return Fill.model_construct(
        trade_id=TradeId(row.trade_id),
        broker_order_id=BrokerOrderId(row.broker_order_id),
        quantity=row.quantity,
        price=row.price,
        at=row.at,
        session=row.session,
    )


def _exchange_order_from(row: Any) -> ExchangeOrder:
    kept = {"session": row.session, "triggered": row.triggered, "fill_count": row.fill_count}
    shown = _shown(row)
    return ExchangeOrder(
        marked=shown.pop("tag"),
        **shown,
        **kept,
        queue_ahead=row.queue_ahead,
        margin_price=row.margin_price,
        disclosed_quantity=row.disclosed_quantity,
    )


_WITH_FILL_COUNT = sa.select(
    exchange_orders,
    sa.select(sa.func.count())
    .where(_trades.broker_order_id == _orders.broker_order_id)
    .correlate(exchange_orders)
    .scalar_subquery()
    .label("fill_count"),
).where(_orders.account == sa.bindparam("account"))


def find_order(connection: sa.Connection, account: Account, broker_order_id: BrokerOrderId) -> ExchangeOrder | None:
    chosen = _WITH_FILL_COUNT.where(_orders.broker_order_id == broker_order_id)
    row = connection.execute(chosen, {"account": account}).one_or_none()
    return None if row is None else _exchange_order_from(row)


def working_orders(connection: sa.Connection, account: Account) -> list[ExchangeOrder]:
    chosen = _WITH_FILL_COUNT.where(_orders.state == BookState.WORKING).order_by(_orders.broker_order_id)
    return [_exchange_order_from(row) for row in connection.execute(chosen, {"account": account})]


def has_open_plan(connection: sa.Connection, account: Account, but: Collection[str] = ()) -> bool:
    """Whether a plan is open besides those: it may wait for a price."""
    chosen = sa.select(plans.c.plan_id).where(plans.c.account == account, plans.c.is_open)
    return any(plan_id not in but for plan_id in connection.execute(chosen).scalars())


def intraday_orders(connection: sa.Connection, account: Account, symbol: str) -> list[ExchangeOrder]:
    """The symbol's MIS orders that work."""
    of_symbol = (_orders.symbol == symbol, _orders.product == Product.MIS, _orders.state == BookState.WORKING)
    chosen = _WITH_FILL_COUNT.where(*of_symbol).order_by(_orders.broker_order_id)
    return [_exchange_order_from(row) for row in connection.execute(chosen, {"account": account})]


_SIGNED = sa.func.sum(sa.case((_trades.side == Side.BUY, _trades.quantity), else_=-_trades.quantity))
_HELD = (
    sa.select(_trades.symbol, _trades.product, _SIGNED)
    .where(_trades.account == sa.bindparam("account"))
    .group_by(_trades.symbol, _trades.product)
    .having(_SIGNED != 0)
    .order_by(_trades.symbol, _trades.product)
)


def held(connection: sa.Connection, account: Account) -> list[tuple[str, Product, int]]:
    """The positions that are not flat, from all trades ever."""
    rows = connection.execute(_HELD, {"account": account})
    return [(symbol, Product(product), int(quantity)) for symbol, product, quantity in rows]


def report_of(connection: sa.Connection, progress: Progress) -> OrderReport:
    """The order and all its trades, once what `progress` holds is written."""
    row = progress.order.row
    chosen = sa.select(exchange_trades).where(_trades.broker_order_id == row.broker_order_id).order_by(_trades.number)
    return OrderReport(row=row, fills=tuple(fill_from(trade) for trade in connection.execute(chosen)))


def modifications(connection: sa.Connection, broker_order_id: BrokerOrderId) -> int:
    """How often the order was modified."""
    chosen = sa.select(sa.func.count()).where(
        _history.broker_order_id == broker_order_id, _history.status == KiteStatus.MODIFIED
    )
    return int(connection.execute(chosen).scalar_one())


def _resting(status: KiteStatus, *more: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return _WITH_FILL_COUNT.where(
        _orders.symbol == sa.bindparam("symbol"), _orders.state == BookState.WORKING, _orders.status == status, *more
    )


_CANDIDATES = sa.union_all(
    _resting(KiteStatus.OPEN, _orders.side.in_(list(Side)), _orders.price.is_(None)),
    _resting(KiteStatus.OPEN, _orders.side == Side.BUY, _orders.price >= sa.bindparam("least_bid")),
    _resting(KiteStatus.OPEN, _orders.side == Side.SELL, _orders.price <= sa.bindparam("greatest_ask")),
    _resting(KiteStatus.TRIGGER_PENDING, _orders.side == Side.BUY, _orders.trigger_price <= sa.bindparam("last_down")),
    _resting(KiteStatus.TRIGGER_PENDING, _orders.side == Side.SELL, _orders.trigger_price >= sa.bindparam("last_up")),
).order_by("broker_order_id")
"""Each branch is a range of an index, so ten thousand orders that do not match cost nothing."""


def candidates(connection: sa.Connection, account: Account, tick: Tick, models: FillModels) -> list[ExchangeOrder]:
    """The working orders that this tick may trigger or fill, in the order of their placing."""
    reach = reach_of(tick, models)
    bounds = {
        "least_bid": reach.limit_of[Side.BUY],
        "greatest_ask": reach.limit_of[Side.SELL],
        "last_down": reach.trigger_of[Side.BUY],
        "last_up": reach.trigger_of[Side.SELL],
    }
    rows = connection.execute(_CANDIDATES, {"account": account, "symbol": tick.symbol} | bounds)
    return [_exchange_order_from(row) for row in rows]


def history_of(connection: sa.Connection, broker_order_id: BrokerOrderId) -> Sequence[Any]:
    """The order's statuses, oldest first, as rows of `exchange_history`."""
    chosen = sa.select(exchange_history).where(_history.broker_order_id == broker_order_id)
    return connection.execute(chosen.order_by(_history.history_id)).all()
