"""Today's access token: a secret that a human renews each morning, shared by all processes of a home."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_orders.trading.config.settings import Kite
from durable_orders.trading.errors import HomeUnusable


class SessionFile:
    """The file that `durable-orders login` writes, readable by its owner only.

    Read again whenever it changes, so that a new login lets waiting orders go on without a restart.
    """

    def __init__(self, path: Path, settings: Kite) -> None:
        self._path = path
        self._settings = settings
        self._seen: tuple[int, int] | None = None
        self._token: str | None = None

    def token(self) -> str | None:
        """The token of the last login; without one, that of the settings; without that, `None`."""
        configured = self._settings.access_token
        return self._read() or (configured.get_secret_value() if configured else None)

    def login_at(self) -> datetime | None:
        """When the token that is kept came; `None` where none is, or that is not known."""
        try:
            return datetime.fromisoformat(self._content()["login_at"])
        except (KeyError, TypeError, ValueError):
            return None

    def save(self, token: str) -> None:
        """Keep the token. Raises `HomeUnusable` where that is not possible; the old one then stays."""
        content = {"api_key": self._settings.api_key, "access_token": token, "login_at": datetime.now(UTC).isoformat()}
        half = self._path.with_suffix(f".{os.getpid()}")
        try:
            with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(content, file)
            half.replace(self._path)
        except OSError as error:
            raise HomeUnusable(f"the login cannot be kept: {error.strerror}") from None

    def _read(self) -> str | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        mark = (stat.st_mtime_ns, stat.st_ino)
        if mark != self._seen:
            self._token, self._seen = self._content().get("access_token"), mark
        return self._token

    def _content(self) -> dict[str, Any]:
        """Nothing for a file that is half written or of another app's key."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        of_this_app = isinstance(content, dict) and content.get("api_key") == self._settings.api_key
        return content if of_this_app else {}
