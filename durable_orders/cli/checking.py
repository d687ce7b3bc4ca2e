"""Commands that hold the ledger against the truth, and keep it: verify, export, rebuild, backup. What they use is
loaded when they are run."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, errors, fail, print_json
from durable_orders.cli.journal_output import counted
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.export import Export
    from durable_orders.rebuild import Rebuilt
    from durable_orders.verify import Findings


IN_NO_HISTORY = (
    "halts, risk flags, breakers that tripped, the broker's margin, values of reservations, last prices, "
    "the pacer's count, the paper exchange's own book"
)


@app.command()
def verify(
    exported: Annotated[
        Path | None,
        typer.Option("--export", metavar="DIRECTORY", help="Check what `export` wrote there instead; needs no home."),
    ] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the workflows' histories, the ledger and the broker's book, and print each difference.

    Needs the server, and of a live account the login of the day. Exit code 1 if there is a difference.
    """
    if exported is not None:
        _verify_export(exported, as_json=as_json)
        return
    findings = asyncio.run(_verify(home, config))
    if as_json:
        print_json(findings)
    else:
        _print_findings(findings)
    if findings.differences:
        fail(f"{counted(len(findings.differences), 'difference')} between the ledger and the others")


async def _verify(home: Path, config: Path | None) -> "Findings":
    from durable_orders.orders import Orders
    from durable_orders.verify import verify_home

    async with await Orders.connect(home, config) as orders:
        return await verify_home(orders, Home(home))


def _print_findings(findings: "Findings") -> None:
    for each in findings.differences:
        console.print(f"DIFFERENT ({each.between}) {each.about}: {each.words}", markup=False, soft_wrap=True)
    told = findings.orders - findings.adopted - findings.forgotten
    console.print(
        f"Compared {counted(findings.orders, 'order')} of the ledger with {counted(told, 'history', 'histories')} "
        f"and with the broker's {counted(findings.rows, 'order')}, {counted(findings.trades, 'trade')} and "
        f"{counted(findings.positions, 'position')}.",
        soft_wrap=True,
    )
    if findings.adopted:
        console.print(f"{findings.adopted} of them were found at the broker and have no history.")
    if findings.forgotten:
        console.print(f"{findings.forgotten} of them are over, and the server has no history of them any more.")
    if not findings.differences:
        console.print("Histories, ledger and broker agree.", style="green")


def _verify_export(directory: Path, *, as_json: bool) -> None:
    from durable_orders.export import verify_export

    found = verify_export(directory)
    if as_json:
        print_json(found)
    else:
        for each in found.differences:
            console.print(f"DIFFERENT {each}", markup=False, soft_wrap=True)
        _print_export(found)
        if not found.differences:
            console.print("Every byte is as it was exported, and the certificates follow one another.", style="green")
    if found.differences:
        fail(f"{directory} is not as it was exported: {counted(len(found.differences), 'difference')}")


def _print_export(found: "Export") -> None:
    """What is in it, and the two hashes that somebody may have written down elsewhere."""

    def say(words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)

    covered = counted(found.events - found.uncertified, "event")
    say(f"{counted(found.certificates, 'certificate')} of {covered}; {found.uncertified:,} recorded after the last.")
    if found.last is not None:
        say(f"The chain ends with certificate {found.last.number} of {found.last.day}: {found.last.hash}")
    say(f"SHA-256 of SHA256SUMS: {found.seal}")


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="A new directory.")],
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all events, certificates of days and the journal of the account as files to keep for years.

    `verify --export DIRECTORY` checks them on any machine, without a ledger. docs/close-day.md says what is in them.
    """
    from durable_orders.export import export as write

    place = Home(home)
    settings = place.settings(config)
    with place.ledger(settings) as database, database.read() as connection:
        done = write(connection, settings.account, directory, settings.ledger.realized_by, datetime.now(UTC))
    if as_json:
        print_json(done)
        return
    _print_export(done)
    console.print(f"The export is in {directory}.", markup=False, soft_wrap=True)


@app.command()
def rebuild(
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the old one's place, if nothing is up. The old one is kept.")
    ] = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the ledger anew out of the workflows' histories, beside the old one, and compare the two.

    Exit code 1 if they differ, unless the new one was to replace the old one.
    """
    rebuilt = asyncio.run(_rebuild(home, config, replace))
    if as_json:
        print_json(rebuilt)
    else:
        _print_rebuilt(rebuilt)
    if rebuilt.troubles:
        fail(f"{counted(len(rebuilt.troubles), 'history', 'histories')} cannot be followed: those orders stay as is")
    if rebuilt.comparison is not None and not rebuilt.comparison.equal and not replace:
        fail(f"{counted(rebuilt.comparison.different, 'difference')} between the two ledgers")


async def _rebuild(home: Path, config: Path | None, replace: bool) -> "Rebuilt":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from durable_orders import rebuild as rebuilding

    place = Home(home)
    settings = place.settings(config)
    columns = (TextColumn("replaying histories"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        return await rebuilding.rebuild(place, settings, replace=replace, progress=show)


def _print_rebuilt(rebuilt: "Rebuilt") -> None:
    def say(words: str, style: str | None = None) -> None:
        console.print(words, markup=False, soft_wrap=True, style=style)

    sources, comparison = rebuilt.sources, rebuilt.comparison
    say(f"{counted(sources.replayed_orders, 'order')} made anew out of histories.")
    for count, what, why in (
        (sources.adopted_orders, "order", "found at the broker, without a workflow"),
        (sources.other_orders, "order", "without a history, or of another account"),
        (sources.late_events, "event", "added by the account's watch after an order's end"),
        (sources.late_fills, "fill", "reported by the broker after an order's end"),
        (sources.account_events, "event", "an alert of the whole account"),
    ):
        if count:
            say(f"  only in the ledger: {counted(count, what)}, {why}")
    for words in rebuilt.troubles:
        say(f"NOT FOLLOWED {words}")
    if comparison is None:
        say("There is no old ledger that could be read, so there is nothing to compare it with.")
        say(f"In no history, and so not in it: {IN_NO_HISTORY}.")
    else:
        for words in comparison.differences:
            say(f"DIFFERENT {words}")
        if comparison.retimed:
            say(
                f"{counted(comparison.retimed, 'row')} differ in the time alone: a crash made a worker do a step again."
            )
        rows = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in comparison.rows.items())
        equal = "It equals the old one" if comparison.equal else f"{comparison.different:,} rows differ"
        say(f"Taken over from the old one, because no history tells it: {IN_NO_HISTORY}.")
        say(f"{equal}: {rows}.", None if not comparison.equal else "green")
    say(f"The rebuilt ledger is {rebuilt.ledger}.")
    if rebuilt.backup:
        say(f"The old one is kept as {rebuilt.backup}.")


@app.command()
def backup(
    directory: Annotated[Path, typer.Argument(help="A new directory.")],
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the home's ledger, histories and settings, also while it is up. docs/backups.md: how to go back to it."""
    from durable_orders.workers.backup import back_up

    place = Home(home)
    done = back_up(place, place.settings(config), directory)
    if as_json:
        print_json(done)
        return
    for file in done.files:
        console.print(f"{file.name}: {file.size:,} bytes", highlight=False)
    for words in done.left_out:
        console.print(f"Left out: {words}", soft_wrap=True)
    console.print(f"The backup is in {done.directory}.", soft_wrap=True)
