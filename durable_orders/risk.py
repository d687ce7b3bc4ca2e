"""The limits of an account, and where each stands now."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.reading import list_orders, positions_of
from durable_orders.trading.ledger.results import losses_in_a_row, realized_since


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, and where it stands."""

    name: str
    limit: Decimal | int
    now: Decimal | int | None
    """`None` for a limit of each order."""

    @property
    def percent(self) -> int:
        return 0 if self.now is None else min(100, int(Decimal(self.now) * 100 / Decimal(self.limit)))


def limits_of(connection: sa.Connection, settings: Settings) -> list[Limit]:
    """The limits of the account that are set, with what counts against them now."""
    guardian, account, now = settings.guardian, settings.account, datetime.now(UTC)
    day = start_of_day(now)
    lost = max(Decimal(0), -realized_since(connection, account, day, settings.ledger.realized_by))
    held = [abs(position.quantity) for position in positions_of(connection, account)]
    capital = guardian.capital or settings.trading.paper_capital
    by = settings.ledger.realized_by
    known: list[tuple[str, Decimal | int | None, Decimal | int | None]] = [
        ("max_daily_loss", guardian.max_daily_loss, lost),
        ("max_daily_drawdown_pct", guardian.max_daily_drawdown_pct, round(lost * 100 / capital, 2)),
        ("max_loss_streak", guardian.max_loss_streak, losses_in_a_row(connection, account, day, by)),
        ("max_open_orders", guardian.max_open_orders, len(list_orders(connection, account, open_only=True))),
        ("max_position_per_symbol", guardian.max_position_per_symbol, max(held, default=0)),
        ("max_position_total", guardian.max_position_total, sum(held)),
        ("max_order_quantity", guardian.max_order_quantity, None),
        ("max_order_value", guardian.max_order_value, None),
    ]
    return [Limit(name, limit, standing) for name, limit, standing in known if limit is not None]
