"""The command that prints when the market trades."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, note, print_json
from durable_orders.trading.orders.order import Frozen

if TYPE_CHECKING:
    from durable_orders.trading.config.settings import Settings
    from durable_orders.trading.market.calendar import Session
    from durable_orders.workers.home import Home


LAST_YEAR = 2099
"""As far as the library's holidays go."""


class Shown(Frozen):
    """A session, for scripts."""

    date: date
    opens: datetime | None
    """`None` where it is not known."""
    closes: datetime | None
    known: bool
    source: str


@app.command()
def calendar(
    days: Annotated[int, typer.Option(min=1, max=3660, help="So many days, those without a session too.")] = 10,
    begin: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Their first; today if not set.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Whose sessions; without one, those of shares of NSE.")] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the coming sessions of an instrument, each with its source.

    A day without a session has no line. A day beyond the exchanges' published lists is not known: live orders for it
    are refused.
    """
    from durable_orders.trading.ist import IST
    from durable_orders.workers.home import Home

    settings = Home(home).settings(config)
    first = _day(begin) if begin is not None else datetime.now(UTC).astimezone(IST).date()
    if first.year > LAST_YEAR:
        raise typer.BadParameter(f"must be before {LAST_YEAR + 1}, was {first}", param_hint="--from")
    whose, found = _sessions(settings, Home(home), symbol, first, days)
    if as_json:
        print_json([_row(session) for session in found])
        return
    if not found:
        console.print("No sessions.")
    for session in found:
        console.print(_line(session), markup=False, highlight=False, soft_wrap=True)
    note(whose)


def _sessions(
    settings: "Settings", home: "Home", symbol: str | None, first: date, days: int
) -> "tuple[str, list[Session]]":
    """Whose hours they are, and the sessions. Raises `InvalidSettings` for a symbol of no exchange."""
    from durable_orders.trading.charges.rates import Exchange
    from durable_orders.trading.config.sessions import MarketSegment
    from durable_orders.trading.errors import InvalidSettings
    from durable_orders.trading.market.calendar import segment_calendar
    from durable_orders.trading.market.instrument_sessions import InstrumentSessions
    from durable_orders.workers.instruments import instruments_of

    if symbol is None:
        return "shares of NSE", list(segment_calendar(MarketSegment.EQUITY, settings.market).sessions(first, days))
    wanted = symbol.upper()
    exchange, _, name = wanted.partition(":")
    if not name or exchange not in set(Exchange):
        words = f"must be an exchange ({', '.join(Exchange)}) and a tradingsymbol, as in NSE:INFY; was {symbol!r}"
        raise InvalidSettings(f"--symbol: {words}")
    instruments = instruments_of(home, settings)
    sessions = InstrumentSessions(settings.market, instruments)
    words = f"{wanted}: the hours of {sessions.segment(wanted)}"
    if instruments.get(wanted) is None:
        words += " (it is not in the instrument master)"
    return words, list(sessions.of(wanted).sessions(first, days))


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        raise typer.BadParameter(f"must be a date, as in 2026-11-06; was {text!r}", param_hint="--from") from None


def _row(session: "Session") -> Shown:
    known = session.known
    return Shown(
        date=session.date,
        opens=session.opens if known else None,
        closes=session.closes if known else None,
        known=known,
        source=session.source,
    )


def _line(session: "Session") -> str:
    hours = f"{session.opens:%H:%M}-{session.closes:%H:%M}" if session.known else "not known  "
    missing = "" if session.known else f"; to have it known, write into the settings {session.in_settings}"
    return f"{session.date:%a %d %b %Y}  {hours}  {session.source}{missing}"
