"""Commands that stop an account: halt, resume, flag."""

import asyncio
from typing import Annotated

import typer
from temporalio.client import Client

from durable_orders import halting
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, fail, print_json
from durable_orders.halting import Standing
from trading.ledger.accounts import AccountState
from trading.ledger.migrate import open_database
from trading.unwinding import Became, Unwinding, Unwound
from workers.connection import connect
from workers.home import Home

CANCEL_HELP = "Also cancel every open order, those placed by hand at the broker included, and wait for their ends."
FLATTEN_HELP = "Also cancel every open order, close every position at the market, and halt when that is done."


@app.command()
def halt(
    reason: Annotated[str, typer.Option(help="Why; shown with every order that is refused.")] = "halted by hand",
    cancel_open: Annotated[bool, typer.Option("--cancel-open", help=CANCEL_HELP)] = False,
    flatten: Annotated[bool, typer.Option("--flatten", help=FLATTEN_HELP)] = False,
    reducing: Annotated[
        bool, typer.Option("--reducing", help="Still take orders that only reduce a position.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for that; it goes on after them.")] = (
        halting.UNWIND_SECONDS
    ),
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take no new orders for the account. What is already working goes on, unless --cancel-open or --flatten is given.

    An order that is UNKNOWN is looked for first: it is cancelled when it is found, and no position in its symbol and
    product is closed before its outcome is proved. While positions are being closed, the account takes only orders that
    reduce one. Getting out survives this command, and asking again joins it. Exit code 1 if it has not ended after
    --wait seconds, or something could not be closed.
    """
    place = Home(home)
    settings = place.settings(config)
    state = AccountState.REDUCING if flatten or reducing else AccountState.HALTED
    with open_database(place.ledger_url(settings)) as database:
        found = halting.halt(database, settings, reason, state=state, who=halting.operator())
        if not (cancel_open or flatten):
            _show(found, as_json)
            return
        request = Unwinding(
            account=settings.account,
            reason=found.reason,
            who=halting.operator(),
            flatten=flatten,
            halt=flatten and not reducing,
        )
        unwound = asyncio.run(_unwind(place, request, wait))
        found = halting.standing(database, settings.account).model_copy(update={"unwound": unwound})
    _show(found, as_json)
    if unwound is None:
        fail(f"getting out has not ended after {wait:g} s, and goes on: see `durable-orders list --open`")
    if unwound.problems or (flatten and unwound.left):
        left = "; ".join(unwound.problems) or "something is still held"
        fail(f"the account is not flat: {left}")


async def _unwind(home: Home, request: Unwinding, wait: float) -> Unwound | None:
    client: Client = await connect(home)
    return await halting.unwind(client, request, wait)


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
    with open_database(place.ledger_url(settings)) as database:
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
    with open_database(place.ledger_url(settings)) as database:
        if name is None:
            found = halting.standing(database, settings.account)
        elif reason is not None:
            found = halting.put_flag(database, settings, name, reason, who=who)
        else:
            found = halting.take_flag(database, settings, name, who=who)
    _show(found, as_json)


def _show(found: Standing, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    _say(f"account {found.account} is {found.state.lower()}{f': {found.reason}' if found.reason else ''}")
    for each in found.flags:
        _say(f"risk flag {each.name} is up, {each.who}: {each.reason}")
    if found.unwound is not None:
        _show_unwound(found.unwound)


def _show_unwound(unwound: Unwound) -> None:
    for order in unwound.cancelled:
        _say(f"  open order   {_words(order)}")
    for order in unwound.closed:
        _say(f"  to close     {_words(order)}")
    for held in unwound.left:
        _say(f"  still held   {held.quantity} {held.symbol} {held.product}")
    if not (unwound.cancelled or unwound.closed):
        _say("  nothing was open")


def _words(order: Became) -> str:
    name = order.order_id.rsplit(":", 1)[-1]
    return f"{order.status} {name}: {order.summary}, {order.filled_quantity} filled"


def _say(words: str) -> None:
    console.print(words, markup=False, soft_wrap=True)
