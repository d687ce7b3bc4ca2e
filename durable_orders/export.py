"""What an account did, as files that need no ledger: kept for years, and checked by whoever has them.

`events.jsonl` has the very lines that the certificates hash, so a part of the file proves a certificate. What no
certificate covers, the journal, is sealed by the SHA-256 of `SHA256SUMS` alone.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import ValidationError

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.errors import RefusedError
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.certificates import Certificate, broken, canonical, certificates_of, event_lines
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.ledger.journal_csv import write_csv
from durable_orders.trading.orders.order import Frozen
from durable_orders.workers.directories import new_directory

README, CERTIFICATES, EVENTS, JOURNAL = "README.txt", "certificates.jsonl", "events.jsonl", "journal.csv"
FILES = (README, CERTIFICATES, EVENTS, JOURNAL)
SUMS, A_SUM = "SHA256SUMS", re.compile(rb"^[0-9a-f]{64}  ")
TEXT = """What account {account} did until {at}, exported from Durable Orders.

events.jsonl        {events} events: everything that was recorded, in order, a JSON array on each line:
                    order, number there, type, status, dry run, what happened, time (UTC)
certificates.jsonl  {certificates} certificates of days: what each evening was held against and what was found,
                    with the SHA-256 of its events, chained to the certificate before
journal.csv         {lines} lines: every fill, and every order without one, with what it earned and was charged
SHA256SUMS          of these files

To check them on any machine, without a ledger:  durable-orders verify --export DIRECTORY
Without that program, the files alone:           sha256sum -c SHA256SUMS
"""


class Last(Frozen):
    """The certificate with which the chain ends."""

    number: int
    day: date
    hash: str


class Difference(Frozen):
    """What is not as it was exported."""

    about: str
    """A file, a line of one, or a certificate."""
    words: str

    def __str__(self) -> str:
        return f"{self.about}: {self.words}"


class Export(Frozen):
    """What is in a directory, and what of it is not as it was exported."""

    directory: str
    certificates: int
    events: int
    uncertified: int
    """Events after the last certificate: no certificate covers them."""
    last: Last | None
    seal: str
    """The SHA-256 of `SHA256SUMS`."""
    differences: tuple[Difference, ...] = ()


def export(connection: sa.Connection, account: str, directory: Path, realized_by: RealizedBy, at: datetime) -> Export:
    """Write all that is recorded of the account into a new directory. Raises as `new_directory` does."""
    with new_directory(directory, "an export") as half:
        with (half / CERTIFICATES).open("xb") as file:
            made = certificates_of(connection, account)
            file.writelines(_line(each) for each in made)
        with (half / EVENTS).open("xb") as file:
            events = 0
            for events, (_, _, line) in enumerate(event_lines(connection, account), 1):  # noqa: B007
                file.write(line)
        with (half / JOURNAL).open("x", encoding="utf-8", newline="") as text:
            lines = write_csv(journal_lines(connection, Chosen(account=account, realized_by=realized_by)), text)
        told = {"account": account, "at": f"{at.astimezone(IST):%d %B %Y %H:%M} IST", "certificates": len(made)}
        (half / README).write_text(TEXT.format(**told, events=events, lines=lines), encoding="utf-8")
        (half / SUMS).write_text("".join(f"{_sum_of(half / name)}  {name}\n" for name in FILES), encoding="utf-8")
    return verify_export(directory)


def verify_export(directory: Path) -> Export:
    """Whether every byte is as it was exported, and the chain of certificates as it was made. Raises `RefusedError` for
    what is no export."""
    there = [name for name in (*FILES, SUMS) if (directory / name).is_file()]
    if not there:
        raise RefusedError(f"{directory}: is no export: it has none of {', '.join((*FILES, SUMS))}")
    found = [Difference(about=name, words="is missing") for name in (*FILES, SUMS) if name not in there]
    if SUMS in there:
        found += _against_sums(directory, there)
    made, senseless = _read_certificates(directory) if CERTIFICATES in there else ([], [])
    found += senseless
    recorded = EventFile(directory / EVENTS, {(each.last_order_id, each.last_sequence) for each in made})
    if EVENTS in there:
        found += [Difference(about=about, words=words) for about, words in recorded.senseless.items()]
        found += [Difference(about=about, words=words) for about, words in broken(made, recorded).items()]
    last = made[-1] if made else None
    return Export(
        directory=str(directory),
        certificates=len(made),
        events=recorded.count,
        uncertified=recorded.count - sum(each.events for each in made),
        last=None if last is None else Last(number=last.number, day=last.day, hash=last.hash),
        seal=_sum_of(directory / SUMS) if SUMS in there else "",
        differences=tuple(found),
    )


def _against_sums(directory: Path, there: Collection[str]) -> Iterator[Difference]:
    """A file that is not as its sum says cannot be told from a sum that was changed."""
    lines = (directory / SUMS).read_bytes().split(b"\n")
    if [A_SUM.sub(b"", line, count=1) for line in lines] != [*(name.encode() for name in FILES), b""]:
        yield Difference(about=SUMS, words=f"is not a line for each of {', '.join(FILES)}")
    for name in (name for name in FILES if name in there):
        if f"{_sum_of(directory / name)}  {name}".encode() not in lines:
            yield Difference(about=name, words=f"is not the file whose sum {SUMS} has, or that sum was changed")


def _read_certificates(directory: Path) -> tuple[list[Certificate], list[Difference]]:
    made, found = list[Certificate](), list[Difference]()
    with (directory / CERTIFICATES).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                each = Certificate.model_validate_json(line)
            except ValidationError:
                found.append(Difference(about=f"{CERTIFICATES} line {number}", words="is no certificate"))
                continue
            made.append(each)
            if _line(each) != line:
                found.append(Difference(about=f"{CERTIFICATES} line {number}", words="is not as it was written"))
    return made, found


class EventFile:
    """An `events.jsonl`; places are offsets into it, in bytes, behind a line."""

    def __init__(self, path: Path, wanted: Collection[tuple[str, int]]) -> None:
        """`wanted` are the events of which the place is asked."""
        self._path = path
        self._places: dict[tuple[str, int], int] = {}
        self.count = 0
        self.senseless: dict[str, str] = {}
        """What is wrong with a line, by the line."""
        if not path.is_file():
            return
        with path.open("rb") as file:
            place = 0
            for line in file:
                self.count += 1
                place += len(line)
                if (event := _event_of(line)) is None:
                    self.senseless[f"{EVENTS} line {self.count}"] = "is no event"
                elif event in wanted:
                    self._places[event] = place

    def place_of(self, order_id: str, sequence: int) -> int | None:
        return self._places.get((order_id, sequence))

    def digest(self, after: int, until: int) -> tuple[int, str]:
        digest, counted = hashlib.sha256(), 0
        with self._path.open("rb") as file:
            file.seek(after)
            while file.tell() < until:
                line = file.readline()
                digest.update(line)
                counted += 1
        return counted, digest.hexdigest()


def _event_of(line: bytes) -> tuple[str, int] | None:
    """Its order and its number there."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    match event:
        case [str() as order_id, int() as sequence, *_]:
            return order_id, sequence
    return None


def _line(made: Certificate) -> bytes:
    at = made.made_at.astimezone(UTC)
    return canonical(made.model_copy(update={"made_at": at}).model_dump(mode="json")).encode() + b"\n"


def _sum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
