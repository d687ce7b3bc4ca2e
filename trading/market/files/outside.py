"""Why a moment is in no session."""

from datetime import datetime, timedelta

from durable_orders.trading.config.sessions import WindowKind
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SATURDAY, SessionCalendar, SessionSource

IST_OVER_UTC = timedelta(hours=5, minutes=30)
NOTHING = "nothing to replay: no tick lies in a session of its symbol"
MUHURAT = "Muhurat"
"""In the source of such a session."""


def outside(calendar: SessionCalendar, at: datetime) -> str:
    """The reason, in a word or two."""
    local = at.astimezone(IST)
    session = calendar.session_on(local.date())
    if session is None:
        return "on a weekend" if local.weekday() >= SATURDAY else "on a holiday"
    if MUHURAT in session.source:
        return "outside the hour of Muhurat"
    window = session.window_at(at)
    if window is not None and window.kind is WindowKind.PRE_OPEN:
        return "in the pre-open"
    return "before the opening" if at < session.opens else "in the evening, after the close"


def when_outside(symbol: str, at: datetime, sessions: SessionSource) -> str:
    """That nothing can be replayed, when the first tick is, and what is probably wrong with it: times in UTC that do
    not say so."""
    said = f"; the first is of {at.astimezone(IST):%d %b %Y %H:%M} IST, {outside(sessions.of(symbol), at)}"
    if in_session_if_utc(symbol, at, sessions):
        said += ", and would be in one if that were UTC: give its zone (as in 03:45Z or 09:15+05:30)"
    return NOTHING + said


def in_session_if_utc(symbol: str, at: datetime, sessions: SessionSource) -> bool:
    """Of a moment that was taken for IST."""
    return sessions.of(symbol).is_open(at + IST_OVER_UTC)
