"""Every command of the program, with the line that the help has of it.

A command's module is imported when the command is called, and not before: it brings what this one command needs. The
help of the program and the completion of a shell need none of them.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

COMMANDS: dict[str, dict[str, str]] = {
    "processes": {
        "up": "Start the Temporal server, the worker and the market feed of this home, until Ctrl-C.",
        "worker": "Join a running Temporal server with a worker for this home's account, until Ctrl-C.",
        "doctor": "Say what is installed, reachable and healthy. Exit code 1 if something is not.",
        "demo": "Trade a real day on paper, with a crash in the middle, and prove what happened to every order.",
    },
    "overview": {
        "status": "Show the account at a glance: server, workers, open orders, unknown outcomes, "
        "positions, the day's result.",
        "stop": "Stop the `up` or `run` that has this home, as Ctrl-C does: open orders wait for the next start.",
    },
    "running": {
        "run": "Run a strategy over durable orders until its market closes, and print what came of it.",
        "rehearse": "Run a strategy as on a live day, against the sandbox: a login, live orders, and "
        "recorded ticks as they come.",
    },
    "live": {
        "login": "Log in at Kite for the day. Orders that wait for it go on by themselves.",
        "sandbox": "Serve Kite Connect v3 on loopback, over a paper exchange, with faults on demand (docs/sandbox.md).",
    },
    "ordering": {
        "place": "Place an order and print it: as it stands once it is at the broker, or with --wait at its end.",
    },
    "changing": {
        "cancel": "Cancel an order and wait for its end, which the broker's book decides.",
        "amend": "Change a working order: price, quantity, trigger price or type.",
        "approve": "Let an order be sent that waits for a person's approval, or list those that do.",
        "decline": "Reject an order that waits for a person's approval: it is never sent.",
    },
    "planning": {
        "bracket": "Open a position with a stop, targets, or both, which go out as it is filled. Exit code "
        "1 if it is refused.",
        "oco": "Close what is held at a stop or at a target, whichever comes first: SELL closes a long position.",
        "plan": "Show, cancel and change plans: orders that belong together.",
    },
    "gtts": {
        "gtt": "Have the broker keep orders until a price is reached (GTT).",
    },
    "schedules": {
        "twap": "Trade a quantity in parts over a time, each an order of its own. Exit code 1 if it is refused.",
    },
    "baskets": {
        "basket": "Trade several legs together: all of them within a time, or what was had is closed again. "
        "Exit code 1 if it is refused.",
    },
    "halting": {
        "halt": "Take no new orders for the account. What is already working goes on, unless "
        "--cancel-open or --flatten is given.",
        "flatten": "Cancel open orders and the GTTs of what is held, then close that. The account goes on trading: "
        "`halt` stops both.",
        "resume": "Take new orders again. Risk flags stay up, and a day beyond its limits takes no new "
        "risk before midnight, IST.",
        "flag": "Raise a risk flag, clear it, or list them: while one is up, only orders that reduce a position pass.",
    },
    "settling": {
        "settle": "Say what became of an order that is UNKNOWN and to be reviewed, as the broker's own papers have it.",
        "settle-position": "Explain a position of which the broker has something else than the ledger, as its own "
        "papers have it.",
    },
    "inquiries": {
        "show": "Show an order, the figures of the checks that it passed, everything that happened to it, and where to "
        "see it in the Temporal UI.",
        "list": "List the account's orders, newest first.",
        "events": "Print what happened in the account, oldest first.",
        "positions": "Print the account's net positions: what they earned and cost, in all and today, and where the "
        "broker has something else; or the same by strategy. As CSV, JSON, a workbook or Parquet with --output.",
    },
    "journal": {
        "journal": "Print the journal, oldest first: one line for each fill, and one for each order that "
        "has none; or every event.",
    },
    "evening": {
        "close-day": "Hold the day against the broker's orders, trades, positions, holdings and charges, and "
        "certify what was found.",
    },
    "quality": {
        "quality": "Tell how well orders were executed: slippage, spread, markouts, shortfall, and where "
        "the time went.",
    },
    "statement": {
        "statement": "Print a financial year by month, class of instrument and strategy, with the turnover "
        "of a tax audit.",
    },
    "recording": {
        "record": "Record Kite's live ticks, with five levels of the book, of what is traded and of what is "
        "named, until Ctrl-C.",
        "recordings": "Tell what was recorded, file by file, and what is missing of it; each is read whole "
        "and verified.",
    },
    "backtest": {
        "backtest": "Play a strategy over recorded ticks: the same checks, lifecycle and paper exchange, in memory.",
    },
    "sweeping": {
        "sweep": "Backtest a strategy with every combination of its parameters' values, on all cores.",
    },
    "calendar": {
        "calendar": "Print the coming sessions of an instrument, each with its source.",
    },
    "desk": {
        "token": "Create a token for the API, list those there are, or revoke one.",
        "user": "Let somebody log in to the page, list who may, or remove one.",
        "web": "Serve the page and the API of this home until Ctrl-C, beside an `up` that runs or a worker elsewhere.",
        "notify": "Tell people what happens, over the channels of `notify` in the settings. `up` does so by itself.",
    },
    "assistant": {
        "mcp": "Serve an assistant over stdin and stdout (MCP): it reads the account, and proposes orders.",
    },
    "checking": {
        "verify": "Compare the workflows' histories, the ledger and the broker's book, and print each difference.",
        "export": "Write all events, certificates of days and the journal of the account as files to keep for years.",
        "rebuild": "Make the ledger anew out of the workflows' histories, beside the old one, and compare the two.",
        "backup": "Copy the home's ledger, histories and settings, also while it is up. docs/backups.md: "
        "how to go back to it.",
    },
}
"""By the module of `durable_orders.cli` in which they are, in the order in which the help shows them. A test holds each
line equal to the first paragraph of its command's own help.
"""
MODULE_OF = {name: module for module, lines in COMMANDS.items() for name in lines}


class OnDemand(TyperGroup):
    """Commands that are known by name and line until they are called."""

    def __init__(self, *, commands: Mapping[str, Any], **settings: Any) -> None:
        known = {name: TyperCommand(name, help=line) for lines in COMMANDS.values() for name, line in lines.items()}
        super().__init__(commands=known | dict(commands), **settings)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in MODULE_OF:
            import_module(f"durable_orders.cli.{MODULE_OF[args[0]]}")
            self.commands.update(get_group(app).commands)
            _collect_garbage()
        return super().resolve_command(ctx, args)


def _collect_garbage() -> None:
    """From now on, if the program has begun without: what was imported stays, and is never looked through again."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def loading() -> Iterator[None]:
    """For what is imported on the way of a command: the same while the block lasts."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count():
            gc.freeze()
        if was_enabled:
            gc.enable()


app = typer.Typer(
    name="durable-orders",
    cls=OnDemand,
    help="Durable order execution for Zerodha Kite: every order is a Temporal workflow, and no outcome is guessed.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
