"""Lines of a caller's order book with the tag of an order of this home that the ledger does not know: the folder was
restored, or its ledger was lost. Where the line says all of the order's terms, it is a row like any other, and adopted.
One that does not is told, and as long as nobody knows what it was, no new risk is taken.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from durable_orders.callers.broker import FILLED_NAMES, Line
from durable_orders.callers.figures import first_of
from durable_orders.trading.ledger.alerts import add_event
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.flags import RiskFlag, flags_of, record_cleared_flag, record_raised_flag
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Status

FLAG = "unknown-order-"
"""What the names of the flags begin with."""
WHO = "the broker's book"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


class UnknownRows:
    """One home's. A risk flag stands for each: only orders that reduce a position pass, after a restart, too. It goes
    down once the ledger has the order, or the book shows that it has ended with nothing filled. Of one that the book
    does not show any more nobody knows what it has filled: its flag is cleared by hand."""

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._account = account
        self._up: set[str] | None = None
        """Flags that stand; `None` before the first reading."""
        self._told: set[str] = set()

    def look(self, unknown: Sequence[tuple[Line, str]], lines: Sequence[Line]) -> None:
        """A reading has shown these lines, and of those that are unknown why no row can be made of them. Raises what
        the ledger raises: then nothing may be sent after it."""
        up = self._up if self._up is not None else self._standing()
        stand = {flag_of(line): (line, why) for line, why in unknown if not _is_nothing(line)}
        new = {name: row for name, row in stand.items() if name not in self._told and name not in up}
        gone = {flag_of(line) for line in lines} & up - stand.keys()
        if new or gone:
            now = datetime.now(UTC)
            with self._database.write(self._account) as connection:
                for name, (line, why) in new.items():
                    self._tell(connection, name, line, why, now)
                for name in gone:
                    record_cleared_flag(connection, self._account, name, WHO, now)
        self._told |= stand.keys()
        self._up = (up | new.keys()) - gone

    def _standing(self) -> set[str]:
        with self._database.read() as connection:
            return {flag.name for flag in flags_of(connection, self._account) if flag.name.startswith(FLAG)}

    def _tell(self, connection: sa.Connection, name: str, line: Line, why: str, now: datetime) -> None:
        own = f"order {line.order_id} at the broker"
        reason = f"{own} has a tag of this home, and the ledger does not know it"
        if record_raised_flag(connection, self._account, RiskFlag(name, reason, WHO, now)):
            terms = [
                line.side or "BUY or SELL",
                str(line.quantity or "?"),
                line.symbol or "of a symbol that is not said",
            ]
            shown = f"{' '.join(terms)}, {line.filled_quantity} filled, {line.word or 'without a status'}"
            to_do = f"look at it there, cancel it if it works, then `durable-orders flag {name} --clear`"
            words = f"{reason} ({shown}), nor can it be followed, as {why}: no new risk is taken; {to_do}"
            add_event(connection, self._account, EventType.ALERT, words, now)


def flag_of(line: Line) -> str:
    """The name of the flag that stands for it: 64 characters at most."""
    return FLAG + _NOT_IN_NAMES.sub("_", line.order_id)[:50]


def _is_nothing(line: Line) -> bool:
    """Whether it says that it has ended with nothing filled. A cancelled one must say how much was filled."""
    says_how_much = line.status is Status.REJECTED or first_of(line.shown, *FILLED_NAMES) is not None
    return line.status.terminal and says_how_much and not line.filled_quantity and not line.contradicts_itself
