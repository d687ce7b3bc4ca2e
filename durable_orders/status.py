"""An account at a glance: what runs, what is open, what is held, how the day goes."""

import asyncio
from datetime import UTC, datetime

from pydantic import AwareDatetime
from temporalio.client import Client

from durable_orders.doctor import pollers_of
from durable_orders.portfolio import PositionLine, Totals, position_lines, totals
from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import DurableOrdersError
from durable_orders.trading.ledger.accounts import AccountState, last_book_read, permission_of
from durable_orders.trading.ledger.gtts import unknown_gtts
from durable_orders.trading.ledger.reading import list_orders, unsettled_orders
from durable_orders.trading.market.calendar import segment_calendar
from durable_orders.trading.orders.order import Account, Frozen, Mode, Order, Status
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home

SERVER_SECONDS = 3.0
"""How long a server may take to answer."""


class NextSession(Frozen):
    """The session of NSE's shares that is open, or the next one, in IST."""

    opens: AwareDatetime
    closes: AwareDatetime
    is_open: bool


class AccountStatus(Frozen):
    """What `durable-orders status` shows. Money in rupees."""

    account: str
    mode: Mode
    up: int | None
    """The process that has the home; `None` if it is not up."""
    server: str | None
    """Where the Temporal server answers; `None` if none does."""
    workers: int | None
    """`None` where no server can say."""
    state: AccountState
    reason: str
    book_read_at: AwareDatetime | None
    """When the broker's book was last read."""
    open_orders: tuple[Order, ...]
    unknown: tuple[str, ...]
    """Orders whose outcome is not known; they block new risk."""
    unknown_gtts: tuple[str, ...]
    """GTTs of which it is not known what came of them; they block new ones of their symbols."""
    positions: tuple[PositionLine, ...]
    """Those that are not flat."""
    result: Totals
    session: NextSession | None
    """`None` where a recorded day is replayed, at any hour."""


async def status_of(home: Home, settings: Settings) -> AccountStatus:
    """From the ledger; of the server only what it says within three seconds.

    Raises `HomeUnusable`, `LedgerUnusable`.
    """
    account, now = Account(settings.account), datetime.now(UTC)
    with home.ledger(settings) as database, database.read() as connection:
        permission = permission_of(connection, account)
        read_at = last_book_read(connection, account)
        open_orders = list_orders(connection, account, open_only=True)
        unsettled = unsettled_orders(connection, account)
        lost_gtts = unknown_gtts(connection, account)
        lines = position_lines(connection, account, now, settings.ledger.realized_by)
    server, workers = await _server(home, settings)
    lost = [order.order_id for order in open_orders if order.status is Status.UNKNOWN]
    return AccountStatus(
        account=account,
        mode=settings.execution.mode,
        up=home.holder(),
        server=server,
        workers=workers,
        state=permission.state,
        reason=permission.reason,
        book_read_at=read_at,
        open_orders=tuple(open_orders),
        unknown=tuple(dict.fromkeys([*unsettled, *lost])),
        unknown_gtts=tuple(lost_gtts),
        positions=tuple(line for line in lines if line.quantity or line.unexplained),
        result=totals(lines),
        session=_session(settings, now),
    )


async def _server(home: Home, settings: Settings) -> tuple[str | None, int | None]:
    try:
        async with asyncio.timeout(SERVER_SECONDS):
            client: Client = await connect(home, settings)
            return client.service_client.config.target_host, await pollers_of(client, settings)
    except (DurableOrdersError, TimeoutError):
        return None, None


def _session(settings: Settings, now: datetime) -> NextSession | None:
    if settings.execution.mode is not Mode.LIVE:
        return None
    found = segment_calendar(MarketSegment.EQUITY, settings.market).session_at_or_after(now)
    return NextSession(opens=found.opens, closes=found.closes, is_open=found.contains(now))
