"""The command that closes a day: the ledger against everything that the broker tells of it."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, connected, console, fail, print_json
from durable_orders.cli.journal_output import counted
from durable_orders.trading.ist import IST
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    import datetime as moments
    from collections.abc import Sequence

    from durable_orders.activities.day_close import Evening
    from durable_orders.trading.ledger.certificates import Certificate

DAY = typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Which day, in IST; today if not given.")


@app.command()
def close_day(
    date: Annotated[datetime | None, DAY] = None,
    tradebook: Annotated[
        Path | None,
        typer.Option(
            help="Against this tradebook of the Console (CSV) instead; settles what it proves.", dir_okay=False
        ),
    ] = None,
    note: Annotated[
        Path | None,
        typer.Option(
            "--contract-note", help="Against the Console's contract notes (XML) instead, charges too.", dir_okay=False
        ),
    ] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the day against the broker's orders, trades, positions, holdings and charges, and certify what was found.

    After the close, and before midnight: the broker's book is of one day. Of a live account it needs the login of the
    day. Exit code 1 if there is a difference.
    """
    from durable_orders.trading.ledger.certificates import certificates_of_day
    from durable_orders.workers.components import day_close_of

    place = Home(home)
    settings = place.settings(config)
    day = date.date() if date else None
    if tradebook is not None and note is not None:
        raise typer.BadParameter("is another source than --tradebook: one at a time", param_hint="'--contract-note'")
    if (file := tradebook or note) is not None:
        evening, certificate = asyncio.run(_by_file(home, config, file, day, is_note=note is not None))
    else:
        with place.ledger(settings) as database:
            evening, certificate = day_close_of(place, settings, database).close(day)
    with place.ledger(settings) as database, database.read() as connection:
        made = certificates_of_day(connection, settings.account, evening.day).values()
    beside = [each for each in made if each.source != certificate.source]
    if as_json:
        print_json(_for_scripts(evening, certificate, beside))
    else:
        _print(evening, certificate, beside)
    if not evening.agrees:
        fail(f"{counted(len(evening.differences), 'difference')} between the ledger and the broker on {evening.day}")


async def _by_file(
    home: Path, config: Path | None, file: Path, day: "moments.date | None", *, is_note: bool
) -> "tuple[Evening, Certificate]":
    """What it proves of UNKNOWN orders is told to their workflows before the two are compared."""
    from durable_orders.trading.brokers.kite.contract_note import read_contract_note
    from durable_orders.trading.brokers.kite.tradebook import read_tradebook
    from durable_orders.trading.ledger.identity import user_of
    from durable_orders.workers.components import tradebook_close_of

    place = Home(home)
    settings = place.settings(config)
    with place.ledger(settings) as database:
        with database.read() as connection:
            user = user_of(connection, settings.account)
        book = (read_contract_note if is_note else read_tradebook)(file, user)
        if day is None and len(book.days) != 1:
            found = f"{len(book.days)} days" if book.days else "no trades"
            raise typer.BadParameter(f"which day: {file.name} has {found}", param_hint="'--date'")
        chosen = day or book.days[0]
        closing = tradebook_close_of(place, settings, database)
        ends = [(each.order, each.settlement) for each in closing.verdicts(book, chosen) if each.settlement]
        if ends:
            async with await connected(home, config) as orders:
                for order, settlement in ends:
                    await orders.handle(order.client_order_id).settle(settlement)
        return closing.close(book, chosen)


def _for_scripts(evening: "Evening", certificate: "Certificate", beside: "Sequence[Certificate]") -> dict[str, object]:
    return {
        "date": evening.day.isoformat(),
        "agrees": evening.agrees,
        "differences": [each.model_dump(mode="json") for each in evening.differences],
        "figures": evening.figures,
        "certificate": {
            "number": certificate.number,
            "made_at": certificate.made_at.isoformat(),
            "hash": certificate.hash,
            "previous": certificate.previous,
        },
        "other_certificates": [
            {"number": each.number, "source": each.source, "differences": len(each.content["differences"])}
            for each in beside
        ],
    }


def _print(evening: "Evening", certificate: "Certificate", beside: "Sequence[Certificate]") -> None:
    def say(words: str, style: str | None = None) -> None:
        console.print(words, markup=False, soft_wrap=True, style=style)

    figures = evening.figures
    whom = figures.get("source", "the broker")
    for each in evening.differences:
        say(f"DIFFERENT {each}")
    if "source" in figures:
        say(
            f"{evening.day}: {counted(figures['trades'], 'trade')} of the ledger, {figures['broker_trades']} of {whom}."
        )
        if figures["not_covered"]:
            say(f"Of {counted(figures['not_covered'], 'trade')} of other segments it tells nothing.")
        if "charges_total" in figures:
            say(f"Charges {figures['charges_total']} of the ledger, {figures['broker_charges_total']} of {whom}.")
    else:
        _print_sums(evening)
    if evening.agrees:
        say(f"The ledger and {whom} agree.", "green")
    made_at = certificate.made_at.astimezone(IST)
    say(f"Certificate {certificate.number}, made {made_at:%Y-%m-%d %H:%M} IST: {certificate.hash}")
    for other in beside:
        found = counted(len(other.content["differences"]), "difference")
        say(f"Beside it certificate {other.number}, against {other.source or 'the broker'}: {found}")


def _print_sums(evening: "Evening") -> None:
    figures = evening.figures

    def say(words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)

    ours = f"{counted(figures['orders'], 'order')} and {counted(figures['trades'], 'trade')} of the ledger"
    theirs = f"{counted(figures['broker_orders'], 'order')} and {counted(figures['broker_trades'], 'trade')}"
    say(f"{evening.day}: {ours}, {theirs} of the broker.")
    by_broker = figures["broker_charges_total"]
    billed = "the broker works out none here" if by_broker is None else f"{float(by_broker):.2f} by the broker"
    say(
        f"Turnover {figures['turnover']}, realized {figures['realized_pnl']}, "
        f"charges {figures['charges_total']} ({billed}), in rupees."
    )
