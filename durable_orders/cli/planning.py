"""Commands for orders that belong together: bracket, oco, plan."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from durable_orders.cli.app import (
    HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    app,
    connected,
    console,
    fail,
    note,
    print_json,
)
from durable_orders.cli.numbers import QuantityArgument
from durable_orders.cli.ordering import money
from durable_orders.plans import Plans
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import OrderType, Product, Side
from durable_orders.trading.orders.terms import whole
from durable_orders.trading.plans.kinds import AnyIntent
from durable_orders.trading.plans.plan import PlanChange, PlanIntent, Protect, time_in_ist
from durable_orders.trading.plans.schedule import SCHEDULES
from durable_orders.trading.plans.state import PlanStatus, PlanView
from durable_orders.workers.home import Home

plan = typer.Typer(help="Show, cancel and change plans: orders that belong together.", no_args_is_help=True)

SideArgument = Annotated[Side, typer.Argument(case_sensitive=False, help="What to do.")]
SymbolArgument = Annotated[str, typer.Argument(help="Exchange and tradingsymbol, as in NSE:INFY.")]
StopOption = Annotated[str | None, typer.Option("--stop", metavar="RUPEES", help="Where the position is given up.")]
StopLimitOption = Annotated[
    str | None,
    typer.Option("--stop-limit", metavar="RUPEES", help="Limit of the stop: SL, as options need, and not SL-M."),
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="RUPEES[:QUANTITY]", help="Where profit is taken; may be given several times."),
]
TrailOption = Annotated[
    str | None, typer.Option("--trail", metavar="POINTS", help="The stop follows the best price at this distance.")
]
BreakEvenOption = Annotated[
    str | None,
    typer.Option("--break-even", metavar="RUPEES", help="Once that is traded, the stop goes to the entry's price."),
]
ExitAtOption = Annotated[
    str | None,
    typer.Option("--exit-at", metavar="TIME", help="When what is left is closed, IST, as in '2026-11-26 15:12'."),
]
ProtectOption = Annotated[
    Protect | None,
    typer.Option(help="Whether the broker keeps the stop, also overnight and without a worker: as a GTT (CNC, NRML)."),
]
ProductOption = Annotated[Product, typer.Option(case_sensitive=False, help="Kite's product.")]
StrategyOption = Annotated[str, typer.Option(help="Who wants it.")]
PlanIdOption = Annotated[
    str | None, typer.Option("--id", help="Your name for the plan; the same one again is the same plan.")
]
ReasonOption = Annotated[str, typer.Option(help="Why; kept with the plan.")]
PlanIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The plan's id.")]


@app.command()
def bracket(
    side: SideArgument,
    symbol: SymbolArgument,
    quantity: QuantityArgument,
    price: Annotated[
        str | None, typer.Option("--price", metavar="RUPEES", help="Limit of the entry; without it, at the market.")
    ] = None,
    trigger: Annotated[
        str | None, typer.Option("--trigger", metavar="RUPEES", help="The entry waits for this price.")
    ] = None,
    stop: StopOption = None,
    stop_limit: StopLimitOption = None,
    target: TargetOption = None,
    trail: TrailOption = None,
    break_even: BreakEvenOption = None,
    exit_at: ExitAtOption = None,
    protect: ProtectOption = None,
    product: ProductOption = Product.MIS,
    strategy: StrategyOption = "manual",
    plan_id: PlanIdOption = None,
    reason: ReasonOption = "",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open a position with a stop, targets, or both, which go out as it is filled. Exit code 1 if it is refused.

    The stop works at the broker; a target is watched, and makes the stop its own order when it is traded.
    """
    limit, waits = money("price", price), money("trigger", trigger)
    kinds = {(False, False): OrderType.MARKET, (True, False): OrderType.LIMIT, (False, True): OrderType.SL_M}
    kind = kinds.get((limit is not None, waits is not None), OrderType.SL)
    entry = {"order_type": kind, "price": limit, "trigger_price": waits}
    exits = _exits(stop, stop_limit, target, trail, break_even, exit_at) | {"protect": protect}
    own = {"side": side, "symbol": symbol, "quantity": quantity, "product": product, "strategy": strategy}
    _start(home, config, plan_id, own | exits | {"entry": entry, "reason": reason}, as_json)


@app.command()
def oco(
    side: SideArgument,
    symbol: SymbolArgument,
    quantity: QuantityArgument,
    stop: StopOption = None,
    stop_limit: StopLimitOption = None,
    target: TargetOption = None,
    trail: TrailOption = None,
    exit_at: ExitAtOption = None,
    protect: ProtectOption = None,
    product: ProductOption = Product.MIS,
    strategy: StrategyOption = "manual",
    plan_id: PlanIdOption = None,
    reason: ReasonOption = "",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close what is held at a stop or at a target, whichever comes first: SELL closes a long position.

    Exit code 1 if it is refused, as when less is held.
    """
    held = Side.BUY if side is Side.SELL else Side.SELL
    exits = _exits(stop, stop_limit, target, trail, None, exit_at) | {"protect": protect}
    own = {"side": held, "symbol": symbol, "quantity": quantity, "product": product, "strategy": strategy}
    _start(home, config, plan_id, own | exits | {"reason": reason}, as_json)


@plan.command("show")
def show(
    plan_id: PlanIdArgument, home: HomeOption = HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show how a plan stands, with its orders."""

    async def ask() -> PlanView:
        async with await connected(home, config) as orders:
            return await orders.plan(plan_id)

    _print(asyncio.run(ask()), as_json)


@plan.command("list")
def listing(
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the account's plans, newest first."""

    async def ask() -> list[PlanView]:
        async with await connected(home, config) as orders:
            fresh = await Plans(orders).not_started()
            recorded = await orders.plans(open_only=not every)
            known = {view.plan_id for view in recorded}
            return [*(view for view in fresh if view.plan_id not in known), *recorded]

    found = asyncio.run(ask())
    if as_json:
        print_json(found)
        return
    for view in found:
        console.print(_line(view), soft_wrap=True)
    if not found:
        console.print("No plans." if every else "No open plans; --all shows those that are over, too.")


@plan.command("cancel")
def cancel(
    plan_id: PlanIdArgument,
    flatten: Annotated[bool, typer.Option("--flatten", help="Close what it holds, too, at the market.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the plan.")] = "by hand",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel what works of a plan; what it holds stays, without a stop, unless --flatten closes it.

    Exit code 1 if it has not ended after 30 seconds: the request stands then, and goes on; or if with --flatten
    something is still held.
    """

    async def ask() -> PlanView:
        async with await connected(home, config) as orders:
            return await orders.cancel_plan(plan_id, reason, flatten=flatten)

    view = asyncio.run(ask())
    _print(view, as_json)
    if not view.status.terminal:
        fail(f"{plan_id} is still {view.status}; the cancel request stands and goes on")
    if flatten and view.not_flat:
        fail(view.not_flat)
    held = ", ".join(f"{each.quantity} of {each.symbol}" for each in view.holdings)
    if held:
        note(f"{plan_id} is over and {held} are still held, without a stop of its own")


@plan.command("amend")
def amend(
    plan_id: PlanIdArgument,
    stop: StopOption = None,
    target: Annotated[str | None, typer.Option("--target", metavar="RUPEES", help="Where profit is taken.")] = None,
    trail: TrailOption = None,
    exit_at: ExitAtOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a plan that has not ended: its orders follow."""
    content = {"stop": money("stop", stop), "target": money("target", target), "trail": money("trail", trail)}
    try:
        change = PlanChange(**content, exit_at=time_in_ist("exit_at", exit_at))
    except ValidationError as error:
        raise explained(error) from None

    async def ask() -> PlanView:
        async with await connected(home, config) as orders:
            return await orders.amend_plan(plan_id, change)

    _print(asyncio.run(ask()), as_json)


def _start(home: Path, config: Path | None, plan_id: str | None, content: dict[str, Any], as_json: bool) -> None:
    def made(own: dict[str, Any]) -> PlanIntent:
        try:
            return PlanIntent(**own, **content | {"symbol": content["symbol"].upper()})
        except ValidationError as error:
            raise explained(error) from None

    start(home, config, plan_id, made, as_json)


def start(
    home: Path,
    config: Path | None,
    plan_id: str | None,
    made: Callable[[dict[str, Any]], AnyIntent],
    as_json: bool,
) -> None:
    """Start the plan that is `made` of the account's own fields, and print it. Exit code 1 if it is refused."""
    settings = Home(home).settings(config)
    own = {"account": settings.account, "mode": settings.execution.mode, "plan_id": plan_id or str(uuid.uuid4())}
    intent = made(own)

    async def ask() -> PlanView:
        async with await connected(home, config) as orders:
            return await orders.start_plan(intent)

    view = asyncio.run(ask())
    _print(view, as_json)
    if view.status is PlanStatus.REJECTED:
        fail(f"{view.plan_id} was refused: {'; '.join(view.refusals)}")


def _exits(
    stop: str | None,
    stop_limit: str | None,
    target: list[str] | None,
    trail: str | None,
    break_even: str | None,
    exit_at: str | None,
) -> dict[str, Any]:
    further = {"limit_price": stop_limit, "trail": trail, "break_even": break_even}
    fields = {"limit_price": "stop_limit"}
    given = {name: money(fields.get(name, name), text) for name, text in further.items() if text is not None}
    at = money("stop", stop)
    if at is None and given:
        raise InvalidOrder(f"stop: {', '.join(fields.get(name, name) for name in given)} belong to a stop: give one")
    return {
        "stop": None if at is None else {"trigger_price": at, **given},
        "targets": tuple(_target(text) for text in target or ()),
        "exit_at": time_in_ist("exit_at", exit_at),
    }


def _target(text: str) -> dict[str, Any]:
    price, _, quantity = text.partition(":")
    if quantity and whole(quantity) is None:
        raise InvalidOrder(f"target: must be rupees, or rupees:quantity, was {text[:40]!r}")
    return {"price": money("target", price), "quantity": whole(quantity)}


def _print(view: PlanView, as_json: bool) -> None:
    if as_json:
        print_json(view)
        return
    console.print(_line(view), soft_wrap=True)
    for order in view.orders:
        prices = [f"at {order.price}"] if order.price is not None else []
        prices += [f"trigger {order.trigger_price}"] if order.trigger_price is not None else []
        what = order.quantity if view.symbol else f"{order.quantity} {order.symbol}"
        terms = f"{order.side} {what} {order.order_type} {' '.join(prices)}".rstrip()
        words = f"  {order.role:<9}{order.status:<10}{terms}, {order.filled_quantity} filled  {order.client_order_id}"
        console.print(words, soft_wrap=True)
    for reason in view.reasons:
        console.print(f"  - {reason}", markup=False, soft_wrap=True)


def _line(view: PlanView) -> str:
    protection = "protected" if view.protected else "UNPROTECTED"
    if view.unprotected_since is not None:
        protection += f" since {view.unprotected_since.astimezone(IST):%H:%M:%S}"
    stop = f", stop at {view.stop}" if view.stop is not None and not view.status.terminal else ""
    held = f", {view.held} held, {protection}{stop}" if view.held else ""
    if view.kind in SCHEDULES:
        held = f", {view.held} held" if view.held else ""
    if not view.symbol and view.holdings:
        held = ", holds " + ", ".join(f"{each.quantity} {each.symbol}" for each in view.holdings)
    return f"{view.plan_id}  {view.status}{held}: {view.summary}"


app.add_typer(plan, name="plan")
