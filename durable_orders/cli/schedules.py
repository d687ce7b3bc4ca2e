"""The command for one order in parts over a time."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app
from durable_orders.cli.numbers import QuantityArgument, whole_number
from durable_orders.cli.ordering import money
from durable_orders.cli.planning import (
    PlanIdOption,
    ProductOption,
    ReasonOption,
    SideArgument,
    StrategyOption,
    SymbolArgument,
    start,
)
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import Product
from durable_orders.trading.plans.line_terms import schedule_of
from durable_orders.trading.plans.schedule import ScheduleIntent


@app.command()
def twap(
    side: SideArgument,
    symbol: SymbolArgument,
    quantity: QuantityArgument,
    slices: Annotated[int, typer.Option(parser=whole_number, metavar="INTEGER", help="In how many parts.")],
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="When all is over, IST: 15:10, or with a date.")],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="When the first part goes out; now by default.")
    ] = None,
    price: Annotated[
        str | None, typer.Option("--price", metavar="RUPEES", help="No part is bought dearer, or sold cheaper.")
    ] = None,
    randomise: Annotated[
        int,
        typer.Option(
            parser=whole_number, metavar="PERCENT", help="By how much a part may be greater or smaller; drawn once."
        ),
    ] = 0,
    profile: Annotated[
        str | None, typer.Option(metavar="W,W,…", help="The market's volume in each part's time: a VWAP.")
    ] = None,
    catch_up: Annotated[
        bool, typer.Option("--catch-up/--no-catch-up", help="Add what a part has not traded to the next one.")
    ] = True,
    product: ProductOption = Product.MIS,
    strategy: StrategyOption = "manual",
    plan_id: PlanIdOption = None,
    reason: ReasonOption = "",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trade a quantity in parts over a time, each an order of its own. Exit code 1 if it is refused.

    What a part has not traded when the next one is due is cancelled, and added to that once its end is proved.
    """
    now = datetime.now(IST)
    begins = _moment("from", since, now) if since is not None else now
    content: dict[str, Any] = {
        "side": side,
        "symbol": symbol.upper(),
        "quantity": quantity,
        "product": product,
        "begins_at": begins,
        "ends_at": _moment("to", until, now),
        "slices": slices,
        "price": money("price", price),
        "randomise": randomise,
        "profile": tuple(money("profile", weight) for weight in profile.split(",")) if profile else (),
        "catch_up": catch_up,
        "strategy": strategy,
        "reason": reason,
    }

    def made(own: dict[str, Any]) -> ScheduleIntent:
        return schedule_of(content | own)

    start(home, config, plan_id, made, as_json)


def _moment(field: str, text: str, now: datetime) -> datetime:
    """A time of today, or one with its date; IST, if it has no zone. `+90` is so many minutes from now. Raises
    `InvalidOrder`."""
    try:
        if text.startswith("+"):
            return now + timedelta(minutes=float(text[1:]))
        if "-" not in text and "T" not in text:
            text = f"{now.date().isoformat()} {text.zfill(5)}"
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        words = "must be a time, as in 15:10, '2026-11-26 15:10' or +90 for so many minutes from now"
        raise InvalidOrder(f"{field}: {words}, was {text[:40]!r}") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=IST)
