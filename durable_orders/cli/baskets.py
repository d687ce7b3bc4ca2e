"""The command for orders in several instruments that are wanted together or not at all."""

import csv
import io
import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app
from durable_orders.cli.ordering import money
from durable_orders.cli.planning import PlanIdOption, ReasonOption, start
from durable_orders.trading.config.given import yaml_value
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.terms import whole
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.line_terms import basket_of

LARGEST = 1_000_000
"""Bytes of a file that describes a basket."""


@app.command()
def basket(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its legs: YAML, JSON or CSV (docs/plans.md).")],
    within: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="From the first leg to the last fill; 30 by default.")
    ] = None,
    max_loss: Annotated[
        str | None, typer.Option("--max-loss", metavar="RUPEES", help="What may be lost while legs are waited for.")
    ] = None,
    net_debit: Annotated[
        str | None, typer.Option("--net-debit", metavar="RUPEES", help="What a unit of it may cost at most.")
    ] = None,
    net_credit: Annotated[
        str | None, typer.Option("--net-credit", metavar="RUPEES", help="What a unit of it has to bring in at least.")
    ] = None,
    hedged: Annotated[
        bool, typer.Option("--hedged", help="Refuse it unless every option sold is covered by one bought.")
    ] = False,
    strategy: Annotated[str | None, typer.Option(help="Who wants it; manual by default.")] = None,
    plan_id: PlanIdOption = None,
    reason: ReasonOption = "",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trade several legs together: all of them within a time, or what was had is closed again. Exit code 1 if it is
    refused.

    Legs that are bought go out before those that are sold, unless the file gives an order of its own.
    """
    content = read_basket(file)
    named = content.pop("id", None)
    limits = {"max_loss": max_loss, "net_debit": net_debit, "net_credit": net_credit}
    given: dict[str, Any] = {field: money(field, text) for field, text in limits.items() if text is not None}
    given |= {"within": within} if within is not None else {}
    given |= {"strategy": strategy} if strategy is not None else {}
    given |= {"hedged": True} if hedged else {}
    given |= {"reason": reason} if reason else {}

    def made(own: dict[str, Any]) -> BasketIntent:
        return basket_of(content | given | own)

    start(home, config, plan_id or named, made, as_json)


def read_basket(file: Path) -> dict[str, Any]:
    """What a file says of a basket: its legs, and in YAML and JSON its limits beside them. Raises `InvalidOrder` that
    names the file and what is wrong."""
    try:
        data = file.read_bytes()
        if len(data) > LARGEST:
            raise InvalidOrder(f"{file.name}: is larger than a basket's file can be, {LARGEST} bytes")
        text = data.decode("utf-8-sig")
        found = _of_csv(text) if file.suffix.lower() == ".csv" else _of_text(text, file.suffix.lower())
    except OSError as error:
        raise InvalidOrder(f"{file}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidOrder(f"{file.name}: is no text in UTF-8") from None
    except (yaml.YAMLError, json.JSONDecodeError, csv.Error) as error:
        words = " ".join(str(error).split())
        raise InvalidOrder(f"{file.name}: cannot be read: {words}") from None
    content = {"legs": found} if isinstance(found, list) else found
    if not isinstance(content, dict) or not isinstance(content.get("legs"), list):
        raise InvalidOrder(f"{file.name}: legs: must be a list, each with symbol, side and quantity")
    for field in ("account", "mode", "plan_id"):
        if field in content:
            raise InvalidOrder(f"{file.name}: {field}: is the home's own, or given as id")
    return content


def _of_text(text: str, suffix: str) -> Any:
    return json.loads(text) if suffix == ".json" else yaml_value(text)


def _of_csv(text: str) -> list[dict[str, Any]]:
    """One leg a line; cells that are empty are left out."""
    rows = []
    for row in csv.DictReader(io.StringIO(text), restkey="more than the header"):
        cells: dict[str, Any] = {(name or "").strip(): cell for name, cell in row.items() if cell not in (None, "")}
        for field in ("quantity", "step"):
            if (number := whole(str(cells.get(field, "")).strip())) is not None:
                cells[field] = number
        rows.append({name: cell.strip() if isinstance(cell, str) else cell for name, cell in cells.items()})
    return rows
