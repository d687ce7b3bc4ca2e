"""The home directory: where everything of one installation lives, and who is using it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from trading.errors import HomeUnusable, InvalidSettings
from trading.settings import Settings

DEFAULT_HOME = Path(".durable-orders")
SETTINGS_FILE = "durable-orders.yaml"


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
        """`--config`, else the home's own file if there is one. Raises `InvalidSettings`."""
        if config is not None and not config.is_file():
            raise InvalidSettings(f"{config}: no such settings file")
        own = self.path / SETTINGS_FILE
        return Settings.load(config or (own if own.is_file() else None))

    def ledger_url(self, settings: Settings) -> str:
        return settings.ledger.url or f"sqlite:///{self.ledger_db.resolve()}"

    def address(self) -> ServerAddress | None:
        """What the last server of this home wrote; `None` without one or from a half-written file."""
        try:
            return ServerAddress(**json.loads(self.address_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save_address(self, address: ServerAddress) -> None:
        half = self.address_file.with_suffix(".tmp")
        half.write_text(json.dumps(asdict(address)), encoding="utf-8")
        half.replace(self.address_file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for one `up`. The kernel lets go of the lock however the process ends.

        Raises `HomeUnusable` if another process has it.
        """
        with self._held("up.lock", "already up"):
            yield

    @contextmanager
    def running(self, strategy: str) -> Iterator[None]:
        """Hold a strategy for one run, in the same way: two would take each other's orders for their own."""
        with self._held(f"run-{strategy}.lock", f"{strategy} is already running"):
            yield

    @contextmanager
    def _held(self, name: str, otherwise: str) -> Iterator[None]:
        with (self.path / name).open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise HomeUnusable(f"home {self.path}: {otherwise} (process {holder})") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
