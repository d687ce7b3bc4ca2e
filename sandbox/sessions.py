"""Logins and access tokens, as Kite Connect's login flow hands them out."""

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from durable_orders.sandbox.envelopes import ErrorType, KiteError, wrong_input
from durable_orders.sandbox.settings import SandboxSettings
from durable_orders.sandbox.store import Store

REQUEST_TOKEN_LIVES = timedelta(minutes=5)
"""Single use; "lives minutes" (Kite documentation)."""
WRONG_TOKEN = "Incorrect `api_key` or `access_token`."  # noqa: S105
NO_TOKEN = "Invalid `api_key` or `access_token`."  # noqa: S105
SCHEME = "token "


class Sessions:
    """The tokens of the account's user, and of others who log in with the same app. Access tokens of the former outlive
    a restart of the sandbox; earlier ones stay valid."""

    def __init__(self, settings: SandboxSettings, clock: Callable[[], datetime], store: Store) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._request_tokens: dict[str, tuple[datetime, str]] = {}
        self._others: dict[str, str] = {}
        """Access tokens of other users, with the user of each."""
        self._access_tokens = store.access_tokens()
        self.on_end: list[Callable[[str], None]] = []
        """Called with every access token that ends."""

    def request_token(self, api_key: str, user_id: str | None = None) -> str:
        """What a user's login gives; the account's, unless another is named. Raises `KiteError` for an unknown app."""
        if api_key != self._settings.api_key:
            raise wrong_input("Invalid `api_key`.")
        token = secrets.token_hex(16)
        self._request_tokens[token] = self._clock() + REQUEST_TOKEN_LIVES, user_id or self._settings.user_id
        return token

    def generate(self, api_key: str, request_token: str, checksum: str) -> str:
        """An access token for a request token. Raises `KiteError` 403."""
        secret = self._settings.api_secret.get_secret_value()
        expected = sha256(f"{api_key}{request_token}{secret}".encode()).hexdigest()
        if api_key != self._settings.api_key or not hmac.compare_digest(expected.encode(), checksum.encode()):
            raise KiteError(403, ErrorType.TOKEN, "Invalid `checksum`.")
        until, user_id = self._request_tokens.pop(request_token, (None, ""))
        if until is None or self._clock() >= until:
            raise KiteError(403, ErrorType.TOKEN, "Token is invalid or has expired.")
        return self.open() if user_id == self._settings.user_id else self.open_for(user_id)

    def open(self) -> str:
        """A new access token, without a login."""
        token = secrets.token_hex(16)
        self._store.add_access_token(token)
        self._access_tokens.add(token)
        return token

    def open_for(self, user_id: str) -> str:
        """An access token of another user of the same app."""
        token = secrets.token_hex(16)
        self._others[token] = user_id
        return token

    def user_of(self, authorization: str | None) -> str:
        """Whose token it is, where it is valid."""
        return self._others.get((authorization or "").rpartition(":")[2], self._settings.user_id)

    def check(self, authorization: str | None) -> None:
        """Raises `KiteError`: 400 without credentials, 403 for wrong ones."""
        if authorization is None or not authorization.startswith(SCHEME):
            raise wrong_input(NO_TOKEN)
        api_key, _, token = authorization.removeprefix(SCHEME).partition(":")
        if not self.valid(api_key, token):
            raise KiteError(403, ErrorType.TOKEN, WRONG_TOKEN)

    def valid(self, api_key: str, access_token: str) -> bool:
        is_known = access_token in self._access_tokens or access_token in self._others
        return api_key == self._settings.api_key and is_known

    def invalidate(self, api_key: str, access_token: str) -> None:
        """Log out. Raises `KiteError` for a token that is not valid."""
        if not self.valid(api_key, access_token):
            raise KiteError(403, ErrorType.TOKEN, WRONG_TOKEN)
        self._end({access_token})

    def flush(self) -> None:
        """End all access tokens, as Kite does every morning."""
        self._end(self._access_tokens | self._others.keys())

    def _end(self, tokens: set[str]) -> None:
        self._access_tokens -= tokens
        self._others = {token: user for token, user in self._others.items() if token not in tokens}
        self._store.drop_access_tokens(tokens)
        for token in tokens:
            for call in self.on_end:
                call(token)
