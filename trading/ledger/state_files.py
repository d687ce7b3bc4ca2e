"""What was said of an account last, in a small file of the home: a ledger that is put back has forgotten it.

Whoever changes how far an account may trade (a halt, a resume, a breaker, a risk flag) enters an event; the file is
written with it, just before that transaction is committed, and is on the disk then. It names the event, so that a
ledger without that event is known to be older than the home. What the account may do is then the less of the two.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import AwareDatetime, ValidationError

from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.accounts import (
    STRICTEST_LAST,
    AccountState,
    Permission,
    permission_of,
    tighten,
    update_within,
    words_of,
)
from durable_orders.trading.ledger.alerts import add_event, event_id
from durable_orders.trading.ledger.database import Database, changes_state
from durable_orders.trading.ledger.flags import RiskFlag, flags_of, record_raised_flag
from durable_orders.trading.ledger.tables import accounts, events
from durable_orders.trading.orders.events import STATE_EVENTS, EventType
from durable_orders.trading.orders.order import Frozen

FORGOTTEN = "not known to the ledger: "
"""How the reason of a state begins that is entered again."""
UNREADABLE = "what was said of the account last cannot be read"
LOCK_SECONDS = 2.0
"""How long to wait for whoever puts another file in place: that takes a moment, and never a write to the disk."""

_A, _E = accounts.c, events.c
_ROW = sa.select(_A.state, _A.halt_reason, _A.who, _A.since, _A.until, _A.broker, _A.user_id).where(
    _A.account == sa.bindparam("account")
)
_OF_STATE = _E.type.in_(sorted(STATE_EVENTS))
_LAST = (
    sa.select(_E.at, _E.message)
    .where(_E.order_id == sa.bindparam("own"), _OF_STATE)
    .order_by(_E.sequence.desc())
    .limit(1)
)
_KNOWN = (
    sa.select(sa.literal(1))
    .where(_E.account == sa.bindparam("account"), _E.at == sa.bindparam("at", type_=_E.at.type), _OF_STATE)
    .where(_E.message == sa.bindparam("message"))
    .limit(1)
)


class Said(Frozen):
    """The event that the ledger has of it. Its number may come again in an older ledger; these do not."""

    at: AwareDatetime
    message: str


class LastState(Frozen):
    """How far an account may trade, and whose it is."""

    state: AccountState = AccountState.ACTIVE
    reason: str = ""
    who: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    flags: tuple[RiskFlag, ...] = ()
    broker: str | None = None
    user_id: str | None = None
    said: Said | None = None
    """`None` before anything was said of it."""


class StateFiles:
    """Those of one home, one for each account. Threads and processes may change them at once: whoever has read a file
    replaces that one, or begins again."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._told: set[str] = set()

    def of(self, account: str) -> Path:
        return self._home / f"state-{account}.json"

    def accounts(self) -> list[str]:
        """Those of which something was said here."""
        return sorted(file.stem.removeprefix("state-") for file in self._home.glob("state-*.json"))

    def agrees(self, connection: sa.Connection, account: str) -> bool:
        """Whether the file has what the ledger has. It only reads."""
        kept = self._read(account)
        return kept is not None and kept.model_copy(update={"said": None}) == _state_of(connection, account)

    def keep(self, connection: sa.Connection, account: str) -> None:
        """In the caller's transaction: enter again what the file has and the ledger does not know, then write the file.

        A file that cannot be written is told in an alert, and stops nothing: the ledger has it.
        """
        try:
            while not self._kept(connection, account, datetime.now(UTC)):
                pass  # something was asked for meanwhile, without the ledger
        except OSError as error:
            words = f"{self.of(account)}: how far the account may trade cannot be kept in it ({error.strerror})"
            after = "a ledger that is put back from a backup would not know it"
            self._tell(connection, account, f"{words}: {after}", datetime.now(UTC))

    def _kept(self, connection: sa.Connection, account: str, now: datetime) -> bool:
        """Whether the file is as the ledger has it; `False` if it has become another one meanwhile."""
        kept = self._read(account)
        if kept is not None and not _knows(connection, account, kept):
            _enter_again(connection, account, kept, now)
            stands = permission_of(connection, account, now).state
            self._tell(connection, account, _words_of(kept, self.of(account), stands), now)
        if kept is not None and kept.user_id is not None and _state_of(connection, account).user_id is None:
            update_within(connection, account, now, broker=kept.broker, user_id=kept.user_id)
        own = _state_of(connection, account).model_copy(update={"said": _last_said(connection, account)})
        if own == kept or not self._home.is_dir():  # without a home, nobody works here
            return True
        if not self._replace(account, kept, own):
            return False
        self._told.clear()
        return True

    def ask(self, account: str, wanted: Permission) -> Path:
        """Say it while the ledger cannot be written: a worker of this home enters it once that can be. What lets the
        account do even less stays. The file. Raises `OSError`."""
        at = wanted.since or datetime.now(UTC)
        said = {"reason": wanted.reason, "who": wanted.who, "since": at, "until": wanted.until}
        event = Said(at=at, message=words_of(wanted))
        while True:
            kept = self._read(account)
            last = kept or LastState()
            standing = Permission(last.state, until=last.until).at(at)
            if STRICTEST_LAST.index(standing.state) > STRICTEST_LAST.index(wanted.state):
                return self.of(account)
            asked = last.model_copy(update={"state": wanted.state, "said": event, **said})
            if self._replace(account, kept, asked):
                return self.of(account)

    def write(self, account: str, state: LastState) -> None:
        """Whole, and on the disk, or not at all, whatever was there. Raises `OSError`."""
        with self._half(account, state) as half:
            half.replace(self.of(account))
        self._to_disk()

    def _replace(self, account: str, before: LastState | None, after: LastState) -> bool:
        """Write it if the file still is what was read of it. Raises `OSError`.

        The lock is held for the comparison and the change of names alone: a disk that is slow keeps no halt waiting.
        """
        with self._half(account, after) as half, self._locked(account):
            if self._read(account) != before:
                return False
            half.replace(self.of(account))
        self._to_disk()
        return True

    @contextlib.contextmanager
    def _half(self, account: str, state: LastState) -> Iterator[Path]:
        """It is on the disk, under a name of this thread's, which is gone afterwards."""
        half = self.of(account).with_suffix(f".{os.getpid()}-{threading.get_ident()}.half")
        try:
            with half.open("w", encoding="utf-8") as written:
                written.write(state.model_dump_json(indent=1))
                written.flush()
                os.fsync(written.fileno())
            yield half
        finally:
            with contextlib.suppress(OSError):
                half.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, account: str) -> Iterator[None]:
        """Alone among the threads and processes that change the file. Raises `OSError`, also if it is not in time."""
        until = time.monotonic() + LOCK_SECONDS
        lock = os.open(self.of(account).with_suffix(".lock"), os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.01)
            yield
        finally:
            os.close(lock)

    def _to_disk(self) -> None:
        folder = os.open(self._home, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self, account: str) -> LastState | None:
        """`None` where there is none yet. One that cannot be read may say anything: the account is halted by it."""
        file = self.of(account)
        try:
            return LastState.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            said = Said(at=datetime.fromtimestamp(0, UTC), message=UNREADABLE)
            return LastState(state=AccountState.HALTED, reason=f"{file}: {UNREADABLE}", who="by the home", said=said)

    def _tell(self, connection: sa.Connection, account: str, words: str, at: datetime) -> None:
        """Once, however often it is seen while the file cannot be written."""
        if words not in self._told:
            self._told.add(words)
            add_event(connection, account, EventType.ALERT, words, at)


def check_state(database: Database, account: str) -> None:
    """Before an account is served, and every few seconds after that: a ledger that is older than the home learns what
    it has forgotten, and the home what was said from elsewhere. Raises SQLAlchemy's `OperationalError`."""
    if database.states is None:
        return
    with database.read() as connection:
        if database.states.agrees(connection, account):
            return
    with database.write(account, durable=True) as connection:
        changes_state(connection, account)


def _state_of(connection: sa.Connection, account: str) -> LastState:
    row = connection.execute(_ROW, {"account": account}).one_or_none()
    flags = tuple(flags_of(connection, account))
    if row is None:
        return LastState(flags=flags)
    return LastState(
        state=row.state,
        reason=row.halt_reason,
        who=row.who,
        since=row.since,
        until=row.until,
        flags=flags,
        broker=row.broker,
        user_id=row.user_id,
    )


def _last_said(connection: sa.Connection, account: str) -> Said | None:
    row = connection.execute(_LAST, {"own": event_id(account)}).one_or_none()
    return None if row is None else Said(at=row.at, message=row.message)


def _knows(connection: sa.Connection, account: str, kept: LastState) -> bool:
    """Whether the ledger is at least as new."""
    if kept.said is None:
        return True
    own = {"account": account, "at": kept.said.at, "message": kept.said.message}
    return connection.execute(_KNOWN, own).one_or_none() is not None


def _enter_again(connection: sa.Connection, account: str, kept: LastState, now: datetime) -> None:
    """What lets the account do less than the ledger has it. A resume, and a flag that was cleared, are not taken over:
    the ledger may have been put back for what they ended."""
    reason = FORGOTTEN + kept.reason.removeprefix(FORGOTTEN)
    standing = Permission(kept.state, reason, kept.who, now, kept.until).at(now)
    if standing.state is not AccountState.ACTIVE:
        tighten(connection, account, standing, now)
    up = {flag.name for flag in flags_of(connection, account)}
    for flag in kept.flags:
        if flag.name not in up:
            record_raised_flag(connection, account, replace(flag, at=now))


def _words_of(kept: LastState, file: Path, stands: AccountState) -> str:
    since = f" ({kept.since.astimezone(IST):%d %B %H:%M} IST)" if kept.since else ""
    last = f"{kept.said.message if kept.said else kept.state}{since}"
    words = f"the ledger does not know what {file} has of the account: {last}"
    why = "it was put back, or could not be written then"
    after = "" if stands is AccountState.ACTIVE else ": compare, and then `durable-orders resume`"
    return f"{words}; {why}. The account is {stands}{after}"
