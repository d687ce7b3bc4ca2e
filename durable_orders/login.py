"""The morning's login: a human signs in at Kite, and the access token is kept for all processes of the home."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import requests
from aiohttp import web
from kiteconnect.exceptions import KiteException

from trading.brokers.kite import kite_client
from trading.brokers.kite_session import SessionFile
from trading.errors import BrokenError, InvalidSettings, RefusedError
from trading.settings import Kite
from workers.home import Home

WELCOME = "The login has arrived; the terminal says how it went. This window can be closed."


def login_url(settings: Kite) -> str:
    """Where the human signs in."""
    return f"{settings.login_root}?{urlencode({'v': 3, 'api_key': _api_key(settings)})}"


def exchange(settings: Kite, request_token: str) -> str:
    """The access token for a request token, which works once and for minutes. Raises `RefusedError`."""
    if settings.api_secret is None:
        raise InvalidSettings("kite.api_secret: the login needs it (DURABLE_ORDERS_KITE__API_SECRET)")
    client = kite_client(settings)
    try:
        session: Mapping[str, Any] = client.generate_session(request_token, settings.api_secret.get_secret_value())
        return str(session["access_token"])
    except KiteException as error:
        raise RefusedError(f"the broker refused the login: {error}") from None
    except (requests.RequestException, KeyError, TypeError) as error:
        raise BrokenError(f"the broker did not answer the login as expected ({type(error).__name__})") from None


def keep(home: Home, settings: Kite, access_token: str) -> str:
    """Try the token, keep it, and give the user's name at the broker. Raises `RefusedError` for one that is dead."""
    _api_key(settings)
    client = kite_client(settings)
    client.set_access_token(access_token)
    try:
        user = client.profile()
        name = str(user.get("user_id") or user.get("user_name") or "unknown")
    except KiteException as error:
        raise RefusedError(f"the broker does not accept this access token: {error}") from None
    except (requests.RequestException, KeyError, TypeError, AttributeError) as error:
        raise BrokenError(f"the broker did not answer as expected ({type(error).__name__})") from None
    SessionFile(home.make().session_file, settings).save(access_token)
    return name


async def catch_redirect(port: int) -> str:
    """The request token of the redirect that follows the login, caught on loopback."""

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
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return await caught
    except OSError as error:
        raise BrokenError(f"port {port}: cannot listen for the redirect ({error.strerror})") from None
    finally:
        await runner.cleanup()


def _api_key(settings: Kite) -> str:
    if settings.api_key is None:
        raise InvalidSettings("kite.api_key: the login needs it")
    return settings.api_key
