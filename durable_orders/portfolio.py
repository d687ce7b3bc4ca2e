"""Positions as people ask for them: with the last price, what they earned and cost, and how the day went."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from pydantic import Field

from durable_orders.trading.charges.contracts import size_of
from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.broker_positions import last_reading
from durable_orders.trading.ledger.day import Key, Traded, traded_since
from durable_orders.trading.ledger.day_profit import NOTHING, grown
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick
from durable_orders.trading.ledger.position_differences import Cause, Unexplained, unexplained
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.reading import own_quantities, positions_of, strategy_holdings
from durable_orders.trading.orders.order import Account, Frozen

EARNED = ("realized_pnl", "unrealized_pnl", "charges", "uncharged_fills", "net_pnl")
"""What a position, a strategy and an account have in all, each under the same name."""


class PositionLine(Frozen):
    """One net position. Money in rupees; `quantity` is signed, short is negative. A day begins at midnight, IST."""

    account: str
    symbol: str
    product: str
    quantity: int
    average_price: Decimal | None
    last_price: Decimal | None
    realized_pnl: Decimal | None
    """Of all that was ever closed, before charges, as `ledger.realized_by` says. `None`, as every other profit, where
    it is not known how much one lot is."""
    unrealized_pnl: Decimal | None
    """`None` for an open position whose symbol has had no tick yet."""
    charges: Decimal
    """Of all its fills, but those of which they are not known."""
    uncharged_fills: int
    """Fills whose charges are not known."""
    net_pnl: Decimal | None
    """Realized and unrealized profit after charges. `None` where a part of it is not known."""
    day_realized_pnl: Decimal | None
    """Of what was closed today."""
    day_unrealized_pnl: Decimal | None
    """By how much the unrealized profit changed since the last price of the day before. `None` where one is missing."""
    day_charges: Decimal
    day_pnl: Decimal | None
    """The day's realized and unrealized profit after charges. `None` where a part of it is not known."""
    strategies: dict[str, int] = Field(default_factory=dict)
    """What of it each strategy's own trades have come to; `external` is nobody's."""
    at_broker: int | None = None
    """What the broker has, as last read: shares in the demat account included. `None` if it was never read."""
    unexplained: int = 0
    """By how much the broker has more, where nothing explains that: no new risk in the symbol."""
    likely_cause: Cause | None = None
    """Of what is unexplained."""


class StrategyLine(Frozen):
    """What a strategy's own trades in one symbol and product have come to, as if it were alone: by average cost,
    whatever `ledger.realized_by` says."""

    strategy: str
    symbol: str
    product: str
    quantity: int
    realized_pnl: Decimal | None
    unrealized_pnl: Decimal | None
    """`None`, as of a `PositionLine`, where a price or the size of a lot is not known."""
    charges: Decimal
    uncharged_fills: int
    net_pnl: Decimal | None
    """After charges, as of a `PositionLine`."""


class StrategyResult(Frozen):
    """What all of a strategy's lines add up to. `None` where one of them is not known."""

    strategy: str
    realized_pnl: Decimal | None
    unrealized_pnl: Decimal | None
    charges: Decimal
    uncharged_fills: int
    net_pnl: Decimal | None
    lines: tuple[StrategyLine, ...]


class Totals(Frozen):
    """What the lines add up to. `None` where one of them is not known."""

    realized_pnl: Decimal | None
    unrealized_pnl: Decimal | None
    charges: Decimal
    uncharged_fills: int
    net_pnl: Decimal | None
    day_realized_pnl: Decimal | None
    day_unrealized_pnl: Decimal | None
    day_charges: Decimal
    day_pnl: Decimal | None


class Portfolio(Frozen):
    """An account's positions, what they add up to, and what of that is each strategy's."""

    positions: tuple[PositionLine, ...]
    total: Totals
    strategies: tuple[StrategyResult, ...]
    """By name; `external` is what nobody's order moved. Realized and unrealized profit together, and charges, come to
    those of the account, each in all."""


def portfolio_of(connection: sa.Connection, account: Account, now: datetime, by: RealizedBy) -> Portfolio:
    lines = position_lines(connection, account, now, by)
    return Portfolio(positions=tuple(lines), total=totals(lines), strategies=strategy_results(connection, account))


def position_lines(
    connection: sa.Connection, account: Account, now: datetime, by: RealizedBy = RealizedBy.AVERAGE
) -> list[PositionLine]:
    """The account's positions, flat ones with a result included, and what only the broker has and is unexplained; by
    symbol."""
    day = start_of_day(now)
    traded = traded_since(connection, account, day)
    lines = [
        _line(position, last_tick(connection, account, position.symbol), day, traded, by)
        for position in positions_of(connection, account)
    ]
    reading = last_reading(connection, account)
    own = own_quantities(connection, account)
    differing = {(each.symbol, each.product): each for each in unexplained(connection, account)}
    told = [
        line.model_copy(
            update={
                "strategies": own.get((line.symbol, line.product), {}),
                "at_broker": reading.at_broker(line.symbol, line.product).total if reading is not None else None,
            }
            | _unexplained(differing.pop((line.symbol, line.product), None))
        )
        for line in lines
    ]
    told += [_only_there(account, each) for each in differing.values()]
    return sorted(told, key=lambda line: (line.symbol, line.product))


def strategy_lines(connection: sa.Connection, account: str) -> list[StrategyLine]:
    """By strategy and symbol, flat ones included."""
    found = []
    for strategy, held in strategy_holdings(connection, account):
        tick = last_tick(connection, account, held.symbol)
        own = {"strategy": strategy, "symbol": held.symbol, "product": held.product, "quantity": held.quantity}
        found.append(StrategyLine(**own, **_earned(held, tick, RealizedBy.AVERAGE)))
    return found


def strategy_results(connection: sa.Connection, account: str) -> tuple[StrategyResult, ...]:
    """By strategy, each with its lines."""
    return tuple(
        _result(strategy, tuple(lines))
        for strategy, lines in groupby(strategy_lines(connection, account), lambda line: line.strategy)
    )


def _result(strategy: str, lines: tuple[StrategyLine, ...]) -> StrategyResult:
    sums = {name: _sum(getattr(line, name) for line in lines) for name in EARNED}
    return StrategyResult(strategy=strategy, lines=lines, **sums)


def _earned(held: Position, tick: LastTick | None, by: RealizedBy) -> dict[str, Any]:
    """What a position earned and cost in all."""
    realized = held.realized_by(by) if size_of(held.symbol) is not None else None
    unrealized = _unrealized(held, tick, by)
    is_unknown = realized is None or unrealized is None or held.uncharged
    return {
        "realized_pnl": realized,
        "unrealized_pnl": unrealized,
        "charges": held.charges,
        "uncharged_fills": held.uncharged,
        "net_pnl": None if is_unknown else _sum((realized, unrealized, -held.charges)),
    }


def _unexplained(each: Unexplained | None) -> dict[str, Any]:
    return {} if each is None else {"unexplained": each.quantity, "likely_cause": each.cause}


def _only_there(account: Account, each: Unexplained) -> PositionLine:
    """A position of which the ledger has nothing."""
    nothing = Decimal(0)
    return PositionLine(
        account=account,
        symbol=each.symbol,
        product=each.product,
        quantity=0,
        average_price=None,
        last_price=None,
        realized_pnl=nothing,
        unrealized_pnl=nothing,
        charges=nothing,
        uncharged_fills=0,
        net_pnl=nothing,
        day_realized_pnl=nothing,
        day_unrealized_pnl=nothing,
        day_charges=nothing,
        day_pnl=nothing,
        at_broker=each.theirs,
        unexplained=each.quantity,
        likely_cause=each.cause,
    )


def totals(lines: Sequence[PositionLine]) -> Totals:
    return Totals.model_validate({name: _sum(getattr(line, name) for line in lines) for name in Totals.model_fields})


def _sum(amounts: Iterable[Decimal | int | None]) -> Decimal | None:
    known = list(amounts)
    return None if None in known else sum((Decimal(amount or 0) for amount in known), Decimal(0))


def _line(
    position: Position,
    tick: LastTick | None,
    day: datetime,
    traded: Mapping[Key, Traded],
    by: RealizedBy,
) -> PositionLine:
    today = traded.get((position.symbol, position.product), NOTHING)
    realized = today.realized_by(by)
    gained = grown(position, tick, day, today)
    is_sized = size_of(position.symbol) is not None
    return PositionLine(
        account=position.account,
        symbol=position.symbol,
        product=position.product,
        quantity=position.quantity,
        average_price=position.average_price_by(by),
        last_price=tick.last_price if tick else None,
        **_earned(position, tick, by),
        day_realized_pnl=realized if is_sized else None,
        day_unrealized_pnl=None if gained is None else gained - realized,
        day_charges=today.charges,
        day_pnl=None if gained is None or today.uncharged else gained - today.charges,
    )


def _unrealized(position: Position, tick: LastTick | None, by: RealizedBy) -> Decimal | None:
    if size_of(position.symbol) is None:
        return None
    if not position.quantity:
        return Decimal(0)
    return position.unrealized_at(tick.last_price, by) if tick else None
