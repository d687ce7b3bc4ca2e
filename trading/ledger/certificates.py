"""Certificates of days: what a day came to, chained to all that the ledger had recorded until then.

Each has the SHA-256 of the account's events since the certificate before it, in the order of the feed, and of its own
content with the hash of the one before. So an event that is changed, taken away or put in later, and a certificate that
is, no longer agree with what follows. A certificate of a day that is made again is another one, behind the first.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Protocol

import sqlalchemy as sa
from pydantic import AwareDatetime

from durable_orders.trading.ledger.tables import certificates, events
from durable_orders.trading.orders.order import Frozen

NOTHING = ""
"""The hash before the first certificate."""

_C, _E = certificates.c, events.c
_HASHED = (_E.order_id, _E.sequence, _E.type, _E.status, _E.dry_run, _E.message, _E.at)


class Certificate(Frozen):
    """Kept once, and never changed."""

    account: str
    number: int
    """From 1 for each account."""
    day: date
    made_at: AwareDatetime
    events: int
    """Of the account, since the certificate before."""
    last_order_id: str
    """The last of these events; the same as before where there is none."""
    last_sequence: int
    events_hash: str
    previous: str
    """The hash of the certificate before; empty for the first."""
    body: str
    """What the day came to, as JSON."""
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """The body: `figures` and `differences`."""
        return dict(json.loads(self.body))

    @property
    def source(self) -> str | None:
        """The tradebook that the day was held against; `None` where that was the broker's own book."""
        name: str | None = self.content.get("figures", {}).get("source")
        return name


def canonical(content: Mapping[str, Any]) -> str:
    """One text for one content: keys sorted, nothing between them."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def certificates_of_day(connection: sa.Connection, account: str, day: date) -> dict[str | None, Certificate]:
    """The newest of each source."""
    asked = sa.select(certificates).where(_C.account == account, _C.day == day).order_by(_C.number)
    made = (Certificate(**row) for row in connection.execute(asked).mappings())
    return {each.source: each for each in made}


def certificates_of(connection: sa.Connection, account: str) -> list[Certificate]:
    """By number."""
    asked = sa.select(certificates).where(_C.account == account).order_by(_C.number)
    return [Certificate(**row) for row in connection.execute(asked).mappings()]


def certify(connection: sa.Connection, account: str, day: date, body: str, at: datetime) -> Certificate:
    """Keep a certificate over everything that was recorded so far, in the caller's transaction."""
    before = _last(connection, account)
    after = 0
    if before is not None and before.last_order_id:
        after = _Ledger(connection, account).place_of(before.last_order_id, before.last_sequence) or 0
    counted, digest, last = _digest(connection, account, after, None)
    if last is None:
        last = (before.last_order_id, before.last_sequence) if before is not None else ("", -1)
    made = Certificate(
        account=account,
        number=before.number + 1 if before is not None else 1,
        day=day,
        made_at=at.astimezone(UTC),
        events=counted,
        last_order_id=last[0],
        last_sequence=last[1],
        events_hash=digest,
        previous=before.hash if before is not None else NOTHING,
        body=body,
        hash="",
    )
    made = made.model_copy(update={"hash": _hash_of(made)})
    connection.execute(sa.insert(certificates).values(**made.model_dump()))
    return made


class Recorded(Protocol):
    """What was recorded of an account, in its order, wherever it is kept now."""

    def place_of(self, order_id: str, sequence: int) -> int | None:
        """Above 0; `None` of an event that is not there."""

    def digest(self, after: int, until: int) -> tuple[int, str]:
        """How many events lie between two places, and their hash."""


def broken_certificates(connection: sa.Connection, account: str) -> dict[str, str]:
    """`broken`, of the ledger's own."""
    return broken(certificates_of(connection, account), _Ledger(connection, account))


def broken(made: Iterable[Certificate], recorded: Recorded) -> dict[str, str]:
    """What is wrong with each that no longer agrees with itself, with the one before it, or with what was recorded;
    by `certificate NUMBER of DAY`."""
    found: dict[str, str] = {}
    previous, number, after = NOTHING, 0, 0
    for each in made:
        last = recorded.place_of(each.last_order_id, each.last_sequence) if each.last_order_id else None
        if each.hash != _hash_of(each):
            problem = "its content is not what was certified"
        elif each.previous != previous or each.number != number + 1:
            problem = "it does not follow from the certificate before it"
        elif last is None and each.last_order_id:
            problem = f"the event it ends with is gone: {each.last_order_id} {each.last_sequence}"
        elif recorded.digest(after, last or 0) != (each.events, each.events_hash):
            problem = "the events are not those that it was made of"
        else:
            problem = ""
        if problem:
            found[f"certificate {each.number} of {each.day}"] = problem
        previous, number, after = each.hash, each.number, last or after
    return found


class _Ledger:
    """By the numbers of its own feed. They change when it is rebuilt, so no certificate has them."""

    def __init__(self, connection: sa.Connection, account: str) -> None:
        self._connection, self._account = connection, account

    def place_of(self, order_id: str, sequence: int) -> int | None:
        asked = sa.select(_E.feed_id).where(_E.order_id == order_id, _E.sequence == sequence)
        return self._connection.execute(asked).scalar_one_or_none()

    def digest(self, after: int, until: int) -> tuple[int, str]:
        return _digest(self._connection, self._account, after, until)[:2]


def event_lines(
    connection: sa.Connection, account: str, after: int = 0, until: int | None = None
) -> Iterator[tuple[str, int, bytes]]:
    """Each event as its order, its number there, and the line that is hashed. Read as a stream."""
    asked = sa.select(*_HASHED).where(_E.account == account, _E.feed_id > after)
    if until is not None:
        asked = asked.where(_E.feed_id <= until)
    for row in connection.execute(asked.order_by(_E.feed_id), execution_options={"yield_per": 1000}):
        told = [*row[:-1], row.at.astimezone(UTC).isoformat()]
        yield row.order_id, row.sequence, json.dumps(told, separators=(",", ":")).encode() + b"\n"


def _last(connection: sa.Connection, account: str) -> Certificate | None:
    asked = sa.select(certificates).where(_C.account == account).order_by(_C.number.desc()).limit(1)
    row = connection.execute(asked).mappings().one_or_none()
    return None if row is None else Certificate(**row)


def _hash_of(made: Certificate) -> str:
    content = made.model_dump(mode="json", exclude={"hash", "made_at"})
    content["made_at"] = made.made_at.astimezone(UTC).isoformat()
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def _digest(
    connection: sa.Connection, account: str, after: int, until: int | None
) -> tuple[int, str, tuple[str, int] | None]:
    """How many events, their hash, and the last of them."""
    digest, counted, last = hashlib.sha256(), 0, None
    for order_id, sequence, line in event_lines(connection, account, after, until):
        digest.update(line)
        counted += 1
        last = (order_id, sequence)
    return counted, digest.hexdigest(), last
