"""Commands of the desk: its tokens, and the desk itself without `up`."""

import asyncio
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from durable_orders import halting
from durable_orders.cli import render
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, fail, note, print_json
from durable_orders.cli.logs import log_to_stderr
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import BrokenError, RefusedError
from durable_orders.trading.explained import NAME_RULE
from durable_orders.trading.ledger.tokens import Role, Token, create_token, revoke_token, tokens_of
from durable_orders.trading.ledger.users import put_user, remove_user, users_of
from durable_orders.trading.orders.order import Name
from durable_orders.workers.children import end_with_parent
from durable_orders.workers.home import Home

NEEDED = ("apprise", "fastapi", "uvicorn", "jinja2", "argon2", "sse_starlette", "websockets")
MISSING = "the page needs packages that are not installed: pip install 'durable-orders[desk]'"
LONGEST = 3650
PagePort = Annotated[
    int | None,
    typer.Option(
        "--page-port",
        min=0,
        max=65535,
        help="Port of the page and the API, on this machine only; 0 for none. `page.port` of the settings otherwise.",
    ),
]


WithParentOption = Annotated[bool, typer.Option("--with-parent", hidden=True)]
"""End when whoever started it is gone."""


class TokenAction(StrEnum):
    CREATE = "create"
    LIST = "list"
    REVOKE = "revoke"


def must_be_installed() -> None:
    """Raises `BrokenError` where the packages of the desk are missing."""
    if not all(find_spec(name) for name in NEEDED):
        raise BrokenError(MISSING)


@app.command()
def token(
    action: Annotated[TokenAction, typer.Argument(help="What to do.")],
    name: Annotated[str | None, typer.Argument(help="Of the token; to create or revoke one.")] = None,
    role: Annotated[Role | None, typer.Option(help="What it may do; each may what those before it may.")] = None,
    expires: Annotated[
        float | None, typer.Option(min=0.001, max=LONGEST, metavar="DAYS", help="Days after which it ends.")
    ] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a token for the API, list those there are, or revoke one.

    A token is shown once, when it is created: the ledger has only its hash.
    """
    if (name is None) is not (action is TokenAction.LIST):
        raise typer.BadParameter("takes no NAME" if name else "give the NAME of the token")
    if (role is None) is (action is TokenAction.CREATE):
        raise typer.BadParameter("give --role read, propose, trade or halt" if role is None else "--role is for create")
    if expires is not None and action is not TokenAction.CREATE:
        raise typer.BadParameter("--expires is for create")
    place = Home(home)
    settings = place.settings(config)
    now, who = datetime.now(UTC), halting.operator()
    with place.ledger(settings) as database:
        if action is TokenAction.LIST or name is None:
            with database.read() as connection:
                _show(tokens_of(connection, settings.account), now, as_json)
            return
        with database.write(settings.account) as connection:
            if action is TokenAction.REVOKE or role is None:
                revoke_token(connection, settings.account, name, who, now)
                text = ""
            else:
                ends = now + timedelta(days=expires) if expires is not None else None
                text = create_token(connection, settings.account, checked_name(name), role, who, now, ends)
    if as_json:
        print_json({"token": text, "name": name, "role": role} if text else {"name": name, "revoked": True})
    else:
        console.print(text or f"Token {name} is revoked.", markup=False, soft_wrap=True)
        if text:
            note(f"the token {name} is shown this once: keep it, the ledger has only its hash")


def checked_name(name: str) -> str:
    """Raises `RefusedError`."""
    try:
        return TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise RefusedError(f"name: {NAME_RULE}, was {name[:40]!r}") from None


def _show(found: list[Token], now: datetime, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for each in found:
        ends = f"until {render.moment(each.expires_at)}" if each.expires_at else "until revoked"
        state = ends if each.is_good(now) else "over"
        console.print(f"{each.name:<20} {each.role:<7} {state}, {each.created_by}", markup=False, soft_wrap=True)
    if not found:
        console.print("No tokens.")


class UserAction(StrEnum):
    CREATE = "create"
    LIST = "list"
    REMOVE = "remove"


@app.command()
def user(
    action: Annotated[UserAction, typer.Argument(help="What to do.")],
    name: Annotated[str | None, typer.Argument(help="Of the user; to create or remove one.")] = None,
    role: Annotated[Role | None, typer.Option(help="What they may do; each may what those before it may.")] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let somebody log in to the page, list who may, or remove one.

    The password is asked for, or read from stdin. Creating one who is there gives them the new role and password.
    """
    if (name is None) is not (action is UserAction.LIST):
        raise typer.BadParameter("takes no NAME" if name else "give the NAME of the user")
    if (role is None) is (action is UserAction.CREATE):
        raise typer.BadParameter("give --role read, propose, trade or halt" if role is None else "--role is for create")
    place = Home(home)
    settings = place.settings(config)
    now, who = datetime.now(UTC), halting.operator()
    with place.ledger(settings) as database:
        if action is UserAction.LIST or name is None:
            with database.read() as connection:
                found = users_of(connection, settings.account)
            if as_json:
                print_json(found)
            else:
                for each in found:
                    console.print(f"{each.name:<20} {each.role:<7} {each.created_by}", markup=False, soft_wrap=True)
            return
        hashed = "" if role is None else _hashed_password(checked_name(name))
        with database.write(settings.account) as connection:
            if role is None:
                remove_user(connection, settings.account, name, who, now)
            else:
                put_user(connection, settings.account, name, role, hashed, who, now)
    if as_json:
        print_json({"name": name, "role": role} if role else {"name": name, "removed": True})
    else:
        console.print(f"User {name} {f'may {role}' if role else 'is removed'}.", markup=False, soft_wrap=True)


def _hashed_password(name: str) -> str:
    """Raises `RefusedError` for one that is too short."""
    must_be_installed()
    from durable_orders.web.login import SHORTEST, hashed

    if sys.stdin.isatty():
        password = typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < SHORTEST:
        raise RefusedError(f"password: must have at least {SHORTEST} characters")
    return hashed(password)


@app.command()
def web(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; this machine only without it. Others reach it in clear text: "
            "put a proxy with TLS before it."
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 for any that is free.")] = None,
    with_parent: WithParentOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Serve the page and the API of this home until Ctrl-C, beside an `up` that runs or a worker elsewhere."""
    must_be_installed()
    from durable_orders.web.serve import serve

    log_to_stderr()
    place = Home(home)
    settings = place.settings(config)
    if with_parent:
        end_with_parent()
    wanted = port if port is not None else settings.page.port
    serve(place, config, host or settings.page.host, wanted or 0, lambda url: console.print(f"Page on {url}"))


class NotifyAction(StrEnum):
    TEST = "test"
    RUN = "run"


@app.command()
def notify(
    action: Annotated[NotifyAction, typer.Argument(help="test: say something. run: tell what happens, as `up` does.")],
    channel: Annotated[str | None, typer.Argument(help="Only this one, to test it.")] = None,
    with_parent: WithParentOption = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Tell people what happens, over the channels of `notify` in the settings. `up` does so by itself.

    Exit code 1 if a channel does not take its test.
    """
    must_be_installed()
    place = Home(home)
    settings = place.settings(config)
    if not settings.notify:
        raise RefusedError("notify: the settings name no channel")
    if channel is not None and (action is NotifyAction.RUN or channel not in settings.notify):
        raise RefusedError(f"notify: no channel {channel[:64]}, there are {', '.join(settings.notify)}")
    if action is NotifyAction.TEST:
        _test(settings, [channel] if channel is not None else list(settings.notify))
        return
    from durable_orders.news.telling import tell_all

    if not settings.channels:
        raise RefusedError(f"notify: no channel of the settings is for account {settings.account}")
    log_to_stderr()
    if with_parent:
        end_with_parent()
    with place.ledger(settings) as database, place.telling():
        console.print(
            f"Telling {', '.join(settings.channels)} what happens, until Ctrl-C.", markup=False, soft_wrap=True
        )
        with suppress(KeyboardInterrupt):
            asyncio.run(tell_all(database, settings))


def _test(settings: Settings, names: list[str]) -> None:
    from durable_orders.news.sending import NotSent, send

    failed = []
    for name in names:
        try:
            words = f"This is a test of the channel {name} of account {settings.account}."
            send(settings.notify[name].url.get_secret_value(), f"{settings.account}: test", words)
            console.print(f"{name}: sent", markup=False, soft_wrap=True)
        except NotSent as error:
            failed.append(f"{name}: {error}")
    if failed:
        fail("; ".join(failed))


def page_port(given: int | None, settings: Settings) -> int | None:
    """The port of the page: what the command line says, else what the settings say; `None` for none."""
    wanted = given if given is not None else settings.page.port
    if not wanted:
        return None
    must_be_installed()
    return wanted
