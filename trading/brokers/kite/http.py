"""The HTTP session under the Kite client.

It follows no redirect: what answers elsewhere is no answer of Kite's. It takes nothing from `.netrc`, whose password
would stand in for the access token. A proxy that the environment names (`HTTPS_PROXY`) is used for an `https` root, as
a tunnel that it cannot read, and never over plain HTTP. What of our secrets a reply repeats is taken out of it.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from durable_orders.trading.brokers.kite import wire as wires
from durable_orders.trading.brokers.kite.outcomes import NO_ANSWER, Ending
from durable_orders.trading.brokers.kite.wire import LIMIT, POOLS, Wire
from durable_orders.trading.orders.last_look import LastLook

R = TypeVar("R")

REDACTED = b"[redacted]"
SECRET_PARAMETERS = ("access_token", "request_token", "refresh_token", "checksum")
SHORTEST_SECRET, LONG_SECRET = 4, 12
"""Characters. Below the first, hiding a secret would tear other words apart; from the second on it is hidden within
longer words, too."""


class KiteSession(requests.Session):
    """Never sends anything again. Thread-safe: each thread makes one call at a time."""

    def __init__(self, root: str = "", secrets: Iterable[str] = ()) -> None:
        """`root` is the URL that is called; `secrets` are those that no request carries."""
        super().__init__()
        self.trust_env = False
        proxy = select_proxy(root, get_environ_proxies(root)) if root.startswith("https://") else None
        self.proxies = {"https": proxy} if proxy else {}
        self._secrets = tuple(secrets)
        self._looks = threading.local()
        adapter = _Adapter(pool_maxsize=32, max_retries=0)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def call(self, ask: Callable[[], R], last_look: LastLook | None = None) -> tuple[R | None, Ending]:
        """What the client made of the reply, and how the call ended: the wire itself decides. `ask` makes one request,
        over this session. Never raises.
        """
        wires.taken()
        self._looks.last_look = last_look
        try:
            answer, error = ask(), None
        except Exception as raised:  # whatever the client makes of a reply
            answer, error = None, raised
        finally:
            self._looks.last_look = None
        return answer, _ending(wires.taken(), error)

    def request(self, method: str, url: str, **more: Any) -> requests.Response:  # type: ignore[override]
        """One limit, `timeout`, holds for the whole call: from the host's name to the last byte."""
        wire = Wire(more.get("timeout") or LIMIT, getattr(self._looks, "last_look", None))
        wires.begin(wire)
        reply = super().request(method, url, **more | {"allow_redirects": False})
        _redact(reply, [*self._secrets, *_carried(more)])
        wire.reply = reply
        return reply


class _Adapter(HTTPAdapter):
    """Every connection is one that looks before it sends."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        if not proxy.lower().startswith(("http://", "https://")):
            raise requests.exceptions.InvalidProxyURL("only HTTP proxies can be used")
        manager = super().proxy_manager_for(proxy, **named)
        manager.pool_classes_by_scheme = POOLS
        return manager


def _carried(request: Mapping[str, Any]) -> Iterator[str]:
    """The secrets that a request carries."""
    _, _, token = str((request.get("headers") or {}).get("Authorization", "")).partition(":")
    yield token
    for part in (request.get("data"), request.get("params")):
        if isinstance(part, Mapping):
            yield from (str(part[name]) for name in SECRET_PARAMETERS if part.get(name))


def _redact(reply: requests.Response, secrets: Iterable[str]) -> None:
    found = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in (secret, quote(secret, safe=""))}
    for form in sorted(found, key=len, reverse=True):
        pattern = re.escape(form.encode())
        if len(form) < LONG_SECRET:
            pattern = rb"(?<![A-Za-z0-9])" + pattern + rb"(?![A-Za-z0-9])"
        if re.search(pattern, reply.content):
            reply._content = re.sub(pattern, REDACTED, reply.content)


def _ending(wire: Wire | None, error: BaseException | None) -> Ending:
    if wire is None:
        return Ending(error)
    if wire.reply is None:
        words = NO_ANSWER if wire.left and wire.is_over else None
        return Ending(error, message=words, left=wire.left, held=wire.held)
    envelope = _envelope(wire.reply)
    message, kind = envelope.get("message"), envelope.get("error_type")
    return Ending(
        error,
        http_status=wire.reply.status_code,
        error_type=kind if isinstance(kind, str) else None,
        message=message if isinstance(message, str) and message else None,
    )


def _envelope(reply: requests.Response) -> dict[str, Any]:
    try:
        content = reply.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
