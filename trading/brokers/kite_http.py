"""The HTTP session under the Kite client: what the wire really said, kept for each thread."""

import threading
from typing import Any

import requests

from trading.brokers.kite_outcomes import Ending


class Replies(requests.Session):
    """A `requests` session that remembers the last reply of each thread. Never retries anything."""

    def __init__(self) -> None:
        super().__init__()
        self._last = threading.local()
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=32, max_retries=0)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        self._last.reply = None
        reply = super().request(*args, **kwargs)
        self._last.reply = reply
        return reply

    def ending(self, error: BaseException | None) -> Ending:
        """How this thread's last call ended, given what the client made of it. Told once: the next call has its own."""
        reply: requests.Response | None = getattr(self._last, "reply", None)
        self._last.reply = None
        if reply is None:
            return Ending(error)
        envelope = _envelope(reply)
        message = envelope.get("message")
        kind = envelope.get("error_type")
        return Ending(
            error,
            http_status=reply.status_code,
            error_type=kind if isinstance(kind, str) else None,
            message=message if isinstance(message, str) and message else None,
        )


def _envelope(reply: requests.Response) -> dict[str, Any]:
    try:
        content = reply.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
