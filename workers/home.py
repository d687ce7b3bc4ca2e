"""The home directory: where everything of one installation lives, and who is using it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import underlying_of, use_sizes
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import HomeUnusable, InvalidSettings
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.state_files import StateFiles

SETTINGS_FILE = "durable-orders.yaml"
UP_LOCK = "up.lock"
LOCK_TRIES, LOCK_EVERY = 5, 0.02


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where this home's embedded Temporal server listens, and its process."""

    pid: int
    port: int
    ui_port: int
    host: str = "127.0.0.1"

    @property
    def target(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def ui(self) -> str:
        return f"http://{self.host}:{self.ui_port}"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one directory. Two homes know nothing of each other."""

    path: Path

    @property
    def temporal_db(self) -> Path:
        return self.path / "temporal.db"

    @property
    def ledger_db(self) -> Path:
        return self.path / "ledger.db"

    @property
    def server_log(self) -> Path:
        return self.path / "temporal.log"

    @property
    def session_file(self) -> Path:
        """Today's access token, readable by its owner only."""
        return self.path / "kite-session.json"

    @property
    def address_file(self) -> Path:
        return self.path / "server.json"

    def make(self) -> "Home":
        """Create the directory. Raises `HomeUnusable` where that, or writing into it, is not possible."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".writable-{os.getpid()}"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise HomeUnusable(f"home {self.path}: not writable ({error.strerror})") from None
        return self

    def settings(self, config: Path | None = None) -> Settings:
        """`--config`, else what `up` was last started with, else the home's own file if there is one; over it the
        environment. A rehearsal's home goes by its own file alone: all else may name an account of real money.

        Raises `InvalidSettings`, `HomeUnusable`.
        """
        if self.rehearsal_mark.exists():
            return self._used(Settings.load(self.path / SETTINGS_FILE, {}))
        if config is not None and not config.is_file():
            raise InvalidSettings(f"{config}: no such settings file")
        followed = config or self.followed_config()
        if followed is not None and not followed.is_file():
            words = f"{followed}: `up` was started with this settings file, and it is gone; name one with --config"
            raise InvalidSettings(words)
        own = self.path / SETTINGS_FILE
        return self._used(Settings.load(followed or (own if own.is_file() else None)))

    def _used(self, settings: Settings) -> Settings:
        use_sizes(self.contract_sizes(), settings.market.contract_sizes)
        return settings

    @property
    def rehearsal_mark(self) -> Path:
        """A file that only the home of a rehearsal has."""
        return self.path / "rehearsal"

    @property
    def sizes_file(self) -> Path:
        return self.path / "contract-sizes.json"

    def contract_sizes(self) -> dict[str, int]:
        """What Kite's positions have told: units of the price that one lot is. What cannot be read was never told."""
        try:
            told = json.loads(self.sizes_file.read_text(encoding="utf-8"))
            return {key: int(size) for key, size in told.items() if underlying_of(key) and int(size) > 0}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def learn_sizes(self, settings: Settings, told: Mapping[str, int]) -> dict[str, int]:
        """Keep what is new of them, and give that. Raises `HomeUnusable` if it cannot be kept."""
        known = self.contract_sizes()
        fresh = {key: size for key, size in told.items() if known.get(key) != size}
        if fresh:
            self._save(self.sizes_file, known | fresh)
            use_sizes(known | fresh, settings.market.contract_sizes)
        return fresh

    @property
    def config_file(self) -> Path:
        """Which settings file `up` was last started with, if it was not the home's own."""
        return self.path / "config.json"

    def followed_config(self) -> Path | None:
        """Raises `InvalidSettings` for a file that does not say it: another account would be taken for this one."""
        try:
            return Path(json.loads(self.config_file.read_text(encoding="utf-8"))["config"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HomeUnusable(f"home {self.path}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError):
            raise InvalidSettings(f"{self.config_file}: does not name a settings file; delete it") from None

    def follow_config(self, config: Path | None) -> None:
        """From now on every command in this home goes by this settings file. `None` leaves it as it is; the home's own
        file, named, ends it."""
        if config is None:
            return
        if config.resolve() == (self.path / SETTINGS_FILE).resolve():
            self.config_file.unlink(missing_ok=True)
        else:
            self._save(self.config_file, {"config": str(config.resolve())})

    def ledger(self, settings: Settings) -> Database:
        """The ledger, which a worker has made. An empty directory is not an empty account.

        Raises `HomeUnusable` where there is none, `LedgerUnusable` where it cannot be opened.
        """
        if settings.ledger.url is None and not self.ledger_db.is_file():
            what = "nothing was started in it yet" if self.path.is_dir() else "there is none"
            raise HomeUnusable(f"home {self.path}: {what}; `durable-orders up` starts one, --home names another")
        return self.open_ledger(settings)

    def open_ledger(self, settings: Settings) -> Database:
        """The same, and made where there is none. What is said of its accounts is kept in this home, too."""
        return open_database(self.ledger_url(settings), states=StateFiles(self.path))

    def ledger_url(self, settings: Settings) -> str:
        """With its password. One that cannot be used is returned as it is: whoever opens it says so."""
        url, password = settings.ledger.url, settings.ledger.password
        if url is None or password is None:
            return url or f"sqlite:///{self.ledger_db.resolve()}"
        with suppress(sa.exc.ArgumentError):
            return sa.make_url(url).set(password=password.get_secret_value()).render_as_string(hide_password=False)
        return url

    def address(self) -> ServerAddress | None:
        """What the last server of this home wrote; `None` without one or from a half-written file."""
        try:
            return ServerAddress(**json.loads(self.address_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def ui_link(self, order_id: str, namespace: str = "default") -> str | None:
        """The order's page in the Temporal UI of this home's embedded server."""
        address = self.address()
        return f"{address.ui}/namespaces/{namespace}/workflows/{order_id}" if address else None

    def save_address(self, address: ServerAddress) -> None:
        self._save(self.address_file, asdict(address))

    def _save(self, file: Path, content: Mapping[str, object]) -> None:
        half = file.with_suffix(".tmp")
        half.write_text(json.dumps(content), encoding="utf-8")
        half.replace(file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for one `up`. The kernel lets go of the lock however the process ends.

        Raises `HomeUnusable` if another process has it.
        """
        with self._held(UP_LOCK, "already up"):
            yield

    def holder(self) -> int | None:
        """The process of the `up` that holds the home; `None` if none does."""
        return self._holder(UP_LOCK)

    def _holder(self, name: str) -> int | None:
        try:
            with (self.path / name).open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except BlockingIOError:
            said = (self.path / name).read_text(encoding="utf-8")
            return int(said) if said.isdecimal() else None
        except OSError:
            return None

    @contextmanager
    def running(self, strategy: str) -> Iterator[None]:
        """Hold a strategy for one run, in the same way: two would take each other's orders for their own."""
        with self._held(f"run-{strategy}.lock", f"{strategy} is already running"):
            yield

    def is_running(self, strategy: str) -> bool:
        """Whether a process has that strategy now."""
        return self._holder(f"run-{strategy}.lock") is not None

    @property
    def recordings(self) -> Path:
        """Recorded ticks, by day, exchange and symbol."""
        return self.path / "ticks"

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Hold the recordings in the same way: two would write into each other's journals."""
        with self._held("record.lock", "ticks are already recorded"):
            yield

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Hold the news in the same way: two would tell everything twice."""
        with self._held("notify.lock", "news is already told"):
            yield

    @contextmanager
    def _held(self, name: str, otherwise: str) -> Iterator[None]:
        with (self.path / name).open("a+", encoding="utf-8") as file:
            if not self._lock(file):
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise HomeUnusable(f"home {self.path}: {otherwise} (process {holder})") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            _held_files.add(file)
            try:
                yield
            finally:
                _held_files.discard(file)

    @staticmethod
    def _lock(file: TextIO) -> bool:
        """Whether the lock was free; asked a few times, as whoever only looks (`holder`) has it for a moment."""
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(LOCK_EVERY)
            else:
                return True
        return False


_held_files: set[TextIO] = set()


def _leave_to_parent() -> None:
    """A forked child would keep what its parent holds, for as long as it lives."""
    for file in _held_files:
        file.close()
    _held_files.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
