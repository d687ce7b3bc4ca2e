"""Commands that stop an account: halt, resume, flag."""

import asyncio
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client

from durable_orders import halting
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, fail, note, print_json
from durable_orders.halting import Standing
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import LedgerUnusable
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult, OrderOutcome
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.gtts import list_gtts
from durable_orders.trading.orders.order import Product
from durable_orders.workers.connection import connect
from durable_orders.workers.home import Home

CANCEL_HELP = "Also cancel every open order, those placed by hand at the broker included, and wait for their ends."
ALL_HELP = (
    "Also close what the broker has and the ledger does not know, shares in the demat account excepted. Without it, "
    "that is only named."
)
FLATTEN_HELP = "Also cancel every open order, close every position, delete its GTTs, and halt when that is done."


@app.command()
def halt(
    reason: Annotated[str, typer.Option(help="Why; shown with every order that is refused.")] = "halted by hand",
    cancel_open: Annotated[bool, typer.Option("--cancel-open", help=CANCEL_HELP)] = False,
    flatten: Annotated[bool, typer.Option("--flatten", help=FLATTEN_HELP)] = False,
    everything: Annotated[bool, typer.Option("--all", help=f"With --flatten. {ALL_HELP}")] = False,
    reducing: Annotated[
        bool, typer.Option("--reducing", help="Still take orders that only reduce a position.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for that; it goes on after them.")] = (
        halting.FLATTEN_SECONDS
    ),
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take no new orders for the account. What is already working goes on, unless --cancel-open or --flatten is given.

    An order that is UNKNOWN is looked for first: it is cancelled when it is found, and no position in its symbol and
    product is closed before its outcome is proved. While positions are being closed, the account takes only orders that
    reduce one. It survives this command, and asking again joins it. Exit code 1 if it has not ended after
    --wait seconds, or something could not be closed.

    The halt is recorded first. Where the ledger does not answer within a second, or no server or worker takes the
    cancels in hand, the broker itself is asked to cancel all that works there, and stderr says so. Exit code 1 then,
    with what that does not prove.
    """
    if everything and not flatten:
        raise typer.BadParameter("--all goes with --flatten")
    place = Home(home)
    settings = place.settings(config)
    state = AccountState.REDUCING if flatten or reducing else AccountState.HALTED
    if not (cancel_open or flatten):
        _halt(place, settings, halting.checked_reason(reason), state, as_json=as_json)
        return
    request = FlattenRequest(
        account=settings.account,
        reason=halting.checked_reason(reason),
        who=halting.operator(),
        flatten=flatten,
        halt=flatten and not reducing,
    )
    _stop(place, settings, request, state, wait, as_json=as_json, everything=everything)


def _halt(home: Home, settings: Settings, reason: str, state: AccountState, *, as_json: bool) -> None:
    who = halting.operator()
    try:
        with home.ledger(settings) as database:
            found = halting.halt(database, settings, reason, state=state, who=who)
    except (LedgerUnusable, SQLAlchemyError) as error:
        words = halting.halt_without_a_ledger(home, settings.account, reason, state=state, who=who)
        fail(f"{words}: ledger: {getattr(error, 'orig', None) or error}")
    _show(found, as_json)
    _tell_of_gtts(home, settings)


def _tell_of_gtts(home: Home, settings: Settings) -> None:
    """A halt ends none, and what closes positions only those of what it has closed."""
    with suppress(LedgerUnusable, SQLAlchemyError), home.ledger(settings) as database, database.read() as connection:
        if waiting := list_gtts(connection, settings.account, open_only=True):
            note(f"{halting.waiting_gtts(waiting)}; see `durable-orders gtt list`")


def _stop(
    home: Home,
    settings: Settings,
    request: FlattenRequest,
    state: AccountState,
    wait: float,
    *,
    as_json: bool,
    everything: bool,
) -> None:
    """With `everything`, what is taken over is closed after the rest, before the account is halted: no cancel waits."""
    from durable_orders.cli.stopping import stop  # with it come the broker's client and all activities

    first = request.model_copy(update={"halt": False}) if everything else request
    stopped = stop(home, settings, first, state, wait)
    if everything and stopped.flattened is not None:
        with home.ledger(settings) as database:
            stopped.flattened = asyncio.run(_flatten(home, database, settings, request, wait, everything=True))
    for each in stopped.asked:
        note(str(each))
    if stopped.standing is not None:
        with home.ledger(settings) as database:
            standing = halting.standing(database, settings.account)
        _show(standing.model_copy(update={"flattened": stopped.flattened}), as_json)
    _tell_of_gtts(home, settings)
    if stopped.unproved and stopped.flattened is None:
        fail("not proved: " + "; ".join(stopped.unproved))
    _leave(stopped.flattened, wait, is_to_be_flat=request.flatten)


@app.command()
def flatten(
    symbol: Annotated[str | None, typer.Argument(help="Only of this symbol.")] = None,
    product: Annotated[Product | None, typer.Option(case_sensitive=False, help="Only of this product.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only what this strategy's own orders have come to.")] = None,
    everything: Annotated[bool, typer.Option("--all", help=ALL_HELP)] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the orders that close.")] = "flattened by hand",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for it; it goes on after them.")] = (
        halting.FLATTEN_SECONDS
    ),
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel open orders and the GTTs of what is held, then close that. The account goes on trading: `halt` stops both.

    No more is closed than the strategy, the account and the broker all have. It survives this command, and asking again
    joins it. Exit code 1 if it has not ended after --wait seconds, or the broker still has something of it.
    """
    place = Home(home)
    settings = place.settings(config)
    symbol = symbol.upper() if symbol else None
    request = halting.flatten_request(
        settings.account, reason, halting.operator(), symbol=symbol, product=product, strategy=strategy
    )
    with place.ledger(settings) as database:
        if symbol is not None:
            with database.read() as connection:
                halting.must_be_in_a_book(connection, request)
        result = asyncio.run(_flatten(place, database, settings, request, wait, everything=everything))
    if result is not None:
        if as_json:
            print_json(result)
        else:
            _show_flattened(result)
    _tell_of_gtts(place, settings)
    _leave(result, wait, is_to_be_flat=True)


def _leave(result: FlattenResult | None, wait: float, *, is_to_be_flat: bool) -> None:
    """Say in one line, with exit code 1, if it has not ended or not come to what it should."""
    if result is None:
        fail(f"it has not ended after {wait:g} s, and goes on: see `durable-orders list --open`")
    if is_to_be_flat and not result.is_flat:
        fail(result.words)
    if result.problems:
        fail("; ".join(result.problems))


async def _flatten(
    home: Home, database: Database, settings: Settings, request: FlattenRequest, wait: float, *, everything: bool
) -> FlattenResult | None:
    client: Client = await connect(home, settings)
    if everything:
        for each in await halting.take_over_all(database, settings, request):
            _say(f"taken over to be closed: {each}", err=True)
    return await halting.flatten(client, request, wait)


@app.command()
def resume(
    reason: Annotated[str, typer.Option(help="Why; kept with the account's events.")] = "",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take new orders again. Risk flags stay up, and a day beyond its limits takes no new risk before midnight, IST."""
    place = Home(home)
    settings = place.settings(config)
    with place.ledger(settings) as database:
        found = halting.resume(database, settings, reason, who=halting.operator())
    _show(found, as_json)


@app.command()
def flag(
    name: Annotated[str | None, typer.Argument(help="Of the flag. Without one, they are listed.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; raises the flag.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take it down.")] = False,
    who: Annotated[str | None, typer.Option("--by", help="Who says so, for the record; without it, the user.")] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Raise a risk flag, clear it, or list them: while one is up, only orders that reduce a position pass.

    A flag that is raised also does with open orders what `guardian.on_trip` says.
    """
    if (reason is None) == (not clear) and name is not None:
        raise typer.BadParameter("give either --reason, to raise the flag, or --clear")
    if name is None and (clear or reason is not None):
        raise typer.BadParameter("give the NAME of the flag")
    place = Home(home)
    settings = place.settings(config)
    who = who or halting.operator()
    with place.ledger(settings) as database:
        if name is None:
            found = halting.standing(database, settings.account)
        elif reason is not None:
            found = halting.raise_flag(database, settings, name, reason, who=who)
        else:
            found = halting.clear_flag(database, settings, name, who=who)
    _show(found, as_json)


def _show(found: Standing, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    _say(f"account {found.account} is {found.state.lower()}{f': {found.reason}' if found.reason else ''}")
    for each in found.flags:
        _say(f"risk flag {each.name} is up, {each.who}: {each.reason}")
    if found.flattened is not None:
        _show_flattened(found.flattened)


def _show_flattened(result: FlattenResult) -> None:
    for order in result.cancelled:
        _say(f"  open order   {_words(order)}")
    for order in result.closed:
        _say(f"  to close     {_words(order)}")
    for gtt in result.gtts:
        _say(f"  GTT          {gtt}")
    for cost in result.costs:
        _say(f"  cost         {cost}")
    for held in result.left:
        _say(f"  still held   {held}")
    for kept in result.stays:
        _say(f"  stays        {kept}: guardian.flatten_products does not have the product")
    for each in result.differences:
        _say(f"  differs      {each}")
    if not (result.cancelled or result.closed or result.differences or result.gtts):
        _say("  nothing was open")


def _words(order: OrderOutcome) -> str:
    name = order.order_id.rsplit(":", 1)[-1]
    return f"{order.status} {name}: {order.summary}, {order.filled_quantity} filled"


def _say(words: str, *, err: bool = False) -> None:
    """`err`: beside the answer, which may be JSON."""
    (Console(stderr=True) if err else console).print(words, markup=False, soft_wrap=True)
