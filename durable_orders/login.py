"""The morning's login: a human signs in at Kite, and the access token is kept for all processes of the home."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from kiteconnect.exceptions import DataException, KiteException

from durable_orders.trading.brokers.kite.broker import kite_client, session_for
from durable_orders.trading.brokers.kite.session import SessionFile
from durable_orders.trading.config.settings import Kite, Settings
from durable_orders.trading.errors import BrokenError, InvalidSettings, RefusedError
from durable_orders.trading.ledger.identity import fix_mode, fix_user
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.home import Home

WELCOME = "The login has arrived; the terminal says how it went. This window can be closed."


def login_url(settings: Kite) -> str:
    """Where the human signs in."""
    return f"{settings.login_root}?{urlencode({'v': 3, 'api_key': _api_key(settings)})}"


def exchange(settings: Kite, request_token: str) -> str:
    """The access token for a request token, which works once and for minutes. Raises `RefusedError`, `BrokenError`."""
    if settings.api_secret is None:
        raise InvalidSettings("kite.api_secret: the login needs it (DURABLE_ORDERS_KITE__API_SECRET)")
    secret = settings.api_secret.get_secret_value()
    session = _answer_to("the login", settings, lambda client: client.generate_session(request_token, secret))
    return _field(session, "access_token")


def keep(home: Home, settings: Kite, access_token: str, account: Settings | None = None) -> str:
    """Try the token, keep it, and give the user's id at the broker. `account` are the home's settings if not given.

    Raises `RefusedError` for a token that is dead, and `WrongAccount` for one of another user than the account's, who
    is whoever logs in first. The old token then stays.
    """

    def profile(client: Any) -> Any:
        client.set_access_token(access_token)
        return client.profile()

    user = _field(_answer_to("this access token", settings, profile), "user_id")
    own = account or home.make().settings()
    if own.execution.mode is Mode.LIVE:
        with home.make().open_ledger(own) as database:
            fix_mode(database, own.account, Mode.LIVE, datetime.now(UTC))
            fix_user(database, own.account, user, datetime.now(UTC))
    SessionFile(home.make().session_file, settings).save(access_token)
    return user


def _answer_to(what: str, settings: Kite, ask: Callable[[Any], Any]) -> Any:
    """What the broker says to it, under a plain 200. A redirect is not followed: nothing is handed to another host."""
    _api_key(settings)
    session = session_for(settings)
    client = kite_client(settings, session)
    answer, ending = session.call(lambda: ask(client))
    if 300 <= (ending.http_status or 0) < 400:
        raise RefusedError(f"{what}: the broker answers with a redirect, which is not followed: is kite.root right?")
    if isinstance(ending.error, DataException):
        raise _not_kite(settings)
    if isinstance(ending.error, KiteException):
        raise RefusedError(f"the broker refused {what}: {ending.evidence}")
    if ending.error is not None or ending.http_status != 200:
        raise BrokenError(f"the broker did not answer {what} as expected ({ending.evidence})")
    return answer


def _field(answer: Any, name: str) -> str:
    """Raises `BrokenError` for an answer without it."""
    value = answer.get(name) if isinstance(answer, Mapping) else None
    if not isinstance(value, str) or not value:
        raise BrokenError(f"the broker did not answer the login as expected ({name} is missing)")
    return value


async def catch_redirect(port: int, listen: str = "127.0.0.1") -> str:
    """The request token of the redirect that follows the login, caught on that address of this machine."""

    caught: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def receive(request: web.Request) -> web.Response:
        token = request.query.get("request_token")
        if not token:
            return web.Response(status=400, text="no request_token in this address")
        if not caught.done():
            caught.set_result(token)
        return web.Response(text=WELCOME)

    application = web.Application()
    application.router.add_get("/{anything:.*}", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen, port).start()
        return await caught
    except OSError as error:
        raise BrokenError(f"port {port}: cannot listen for the redirect ({error.strerror})") from None
    finally:
        await runner.cleanup()


def _not_kite(settings: Kite) -> BrokenError:
    """What came is not repeated: it may be a whole page."""
    return BrokenError(f"{settings.root} answered with what Kite never sends (no JSON): is kite.root right?")


def _api_key(settings: Kite) -> str:
    if settings.api_key is None:
        raise InvalidSettings("kite.api_key: the login needs it")
    return settings.api_key
