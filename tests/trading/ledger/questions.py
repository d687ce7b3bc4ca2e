"""What is asked of a ledger that `many.fill_up` has filled: every question of `reading` and of `journal`."""

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger import day, open_orders, reading, results, trips
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.journal import Chosen, are_few, journal_lines
from durable_orders.trading.ledger.journal_events import journal_events
from durable_orders.trading.ledger.reservations import judged_of
from durable_orders.trading.orders.order import Mode, Product, Status
from tests.trading.ledger.examples import START

OWN, TAG = "order:paper:whole-1001", "0" * 20
SINCE, UNTIL = START + timedelta(days=30), START + timedelta(days=31)
SOME = (Status.CANCELLED, Status.REJECTED)

LAST_DAY = START + timedelta(days=364)

Ask = Callable[[sa.Connection], object]
QUESTIONS: dict[str, Ask] = {
    "find_order": lambda c: reading.find_order(c, OWN),
    "find_by_tag": lambda c: reading.find_by_tag(c, "paper", TAG),
    "fingerprint_of": lambda c: reading.fingerprint_of(c, OWN),
    "tag_recorded": lambda c: reading.tag_recorded(c, OWN),
    "list_orders": lambda c: reading.list_orders(c, "paper", limit=200),
    "list_orders, oldest first": lambda c: reading.list_orders(c, "paper", limit=200, newest_first=False),
    "list_orders of a symbol": lambda c: reading.list_orders(c, "paper", limit=200, symbol="NSE:INFY"),
    "list_orders of a strategy": lambda c: reading.list_orders(c, "paper", limit=200, strategy="manual"),
    "list_orders that are open": lambda c: reading.list_orders(c, "paper", open_only=True),
    "list_orders of a status": lambda c: reading.list_orders(c, "paper", limit=200, statuses=[Status.EXPIRED]),
    "list_orders of statuses": lambda c: reading.list_orders(c, "paper", limit=200, statuses=SOME, strategy="s1"),
    "open_orders": lambda c: open_orders.open_orders(c, "paper"),
    "unsettled_orders": lambda c: reading.unsettled_orders(c, "paper"),
    "events_of": lambda c: reading.events_of(c, OWN),
    "last_sequence": lambda c: reading.last_sequence(c, OWN),
    "events_after": lambda c: reading.events_after(c, 100_000, account="paper"),
    "events_after, of all": lambda c: reading.events_after(c, 100_000),
    "positions_of": lambda c: reading.positions_of(c, "paper"),
    "strategy_positions_of": lambda c: reading.strategy_positions_of(c, "paper", "manual"),
    "traded_in_other_mode": lambda c: reading.traded_in_other_mode(c, "paper", ("NSE:INFY", Product.MIS), Mode.PAPER),
    "own_quantities": lambda c: reading.own_quantities(c, "paper"),
    "strategy_holdings": lambda c: reading.strategy_holdings(c, "paper"),
    "trades_of_symbols": lambda c: reading.trades_of_symbols(c, "paper", ["NSE:INFY"], LAST_DAY),
    "judged_of": lambda c: judged_of(c, OWN),
    "trade_ids": lambda c: reading.trade_ids(c, OWN),
    "open_views": lambda c: reading.open_views(c, "paper", ended_since=LAST_DAY),
    "views_for": lambda c: reading.views_for(c, "paper", tags=[TAG], broker_order_ids=["B-1"]),
    "are_few": lambda c: are_few(c, Chosen("paper", strategy="s1")),
    "journal_lines": lambda c: next(journal_lines(c, Chosen("paper"))),
    "journal_lines of a day": lambda c: list(journal_lines(c, Chosen("paper", SINCE, UNTIL))),
    "journal_lines of a strategy": lambda c: next(journal_lines(c, Chosen("paper", strategy="s1"))),
    "journal_lines of a status": lambda c: next(journal_lines(c, Chosen("paper", statuses=[Status.FILLED]))),
    "journal_events": lambda c: next(journal_events(c, Chosen("paper"))),
    "journal_events of a day": lambda c: list(journal_events(c, Chosen("paper", SINCE, UNTIL))),
    "journal_events of a strategy": lambda c: next(journal_events(c, Chosen("paper", strategy="s1"))),
    "journal_events of statuses": lambda c: next(journal_events(c, Chosen("paper", statuses=SOME))),
    "traded_since": lambda c: day.traded_since(c, "paper", LAST_DAY),
    "traded_since of a strategy": lambda c: day.traded_since(c, "paper", LAST_DAY, "s1"),
    "strategy_day_over": lambda c: trips.strategy_day_over(c, "paper", "s1", LAST_DAY),
    "realized_since": lambda c: results.realized_since(c, "paper", LAST_DAY),
    "realized_since, first in, first out": lambda c: results.realized_since(c, "paper", LAST_DAY, RealizedBy.FIFO),
}
SORTED: dict[str, Ask] = {
    "journal_events of a symbol's day": lambda c: list(journal_events(c, Chosen("paper", SINCE, UNTIL, "NSE:S1"))),
    "journal_lines of a symbol's day": lambda c: list(journal_lines(c, Chosen("paper", SINCE, UNTIL, "NSE:S1"))),
    "journal_lines of a symbol": lambda c: list(journal_lines(c, Chosen("paper", symbol="NSE:INFY"))),
    "journal_lines of all that": lambda c: list(journal_lines(c, Chosen("paper", SINCE, UNTIL, "NSE:S1", "s1", SOME))),
    "journal_lines of rare statuses": lambda c: next(journal_lines(c, Chosen("paper", statuses=SOME))),
    "losses_in_a_row": lambda c: results.losses_in_a_row(c, "paper", LAST_DAY),
    "losses_in_a_row, first in, first out": lambda c: results.losses_in_a_row(c, "paper", LAST_DAY, RealizedBy.FIFO),
}
"""Of which the little that an index finds is then sorted."""
PAGE = 50
CHOSEN: dict[str, Chosen] = {
    "": Chosen("paper"),
    " of a day": Chosen("paper", SINCE, UNTIL),
    " since a day": Chosen("paper", LAST_DAY),
    " of a symbol": Chosen("paper", symbol="NSE:S1"),
    " of a rare symbol": Chosen("paper", symbol="NSE:INFY"),
    " of a strategy": Chosen("paper", strategy="s1"),
    " of a rare strategy": Chosen("paper", strategy="manual"),
    " of nobody's": Chosen("paper", strategy="nobody"),
    " of a status": Chosen("paper", statuses=[Status.FILLED]),
    " of a rare status": Chosen("paper", statuses=[Status.PLACED]),
    " of statuses": Chosen("paper", statuses=SOME),
    " of all that": Chosen("paper", SINCE, UNTIL, "NSE:S1", "s1", SOME),
}
"""Of the journal, as may be asked for."""


def _page(ask: Any, chosen: Chosen) -> Ask:
    return lambda connection: list(islice(ask(connection, chosen), PAGE))


PAGES: dict[str, Ask] = {
    f"first page of {name}{what}": _page(ask, chosen)
    for name, ask in (("journal_lines", journal_lines), ("journal_events", journal_events))
    for what, chosen in CHOSEN.items()
}
"""What somebody sees first who asks for it."""


def plan_of(database: Database, ask: Ask) -> list[str]:
    """What SQLite does for the statements behind a question, one line a step."""
    sent: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        sent.append((arguments[2], arguments[3]))

    with database.read() as connection:
        sa.event.listen(database.engine, "before_cursor_execute", note)
        try:
            ask(connection)
        finally:
            sa.event.remove(database.engine, "before_cursor_execute", note)
        asked = [(sql, values) for sql, values in sent if sql.startswith("SELECT")]
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in asked]
    return [str(step[3]) for plan in plans for step in plan]


EVERY = QUESTIONS | SORTED
