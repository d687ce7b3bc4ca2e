"""What the doctor asks the broker of a live account: whose login it is, what its plan gives, and how its clock stands.

It sends three readings and no order. Whether the address that orders leave from is registered is seen by no reading:
Kite binds orders alone to it, and says so in its refusal of the first one.
"""

import socket
from datetime import UTC, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from durable_orders.finding import Finding
from durable_orders.trading.brokers.kite.broker import kite_client, session_for
from durable_orders.trading.brokers.kite.outcomes import Ending
from durable_orders.trading.brokers.kite.session import SessionFile
from durable_orders.trading.config.settings import Kite, Settings
from durable_orders.trading.ist import IST
from durable_orders.workers.home import Home

SYMBOL = "NSE:INFY"
"""Whose quote is asked for."""
FLUSHED = time(6)
"""IST: a login ends at six the next morning (Kite documentation); staff have it up to half past seven."""
CLOCKS_DIFFER = timedelta(seconds=2)
"""Kite tells its time in whole seconds."""
NEW_MASTER = time(8, 30)
ADDRESS_SECONDS = 2.0


def examine_broker(home: Home, settings: Settings) -> list[Finding]:
    """Blocks for some seconds at most where the broker does not answer."""
    found = [_master(home, settings, datetime.now(UTC)), _address(settings.kite)]
    if settings.kite.api_key is None:
        return [*found, Finding(name="login", healthy=False, detail="kite.api_key is not set")]
    token = SessionFile(home.session_file, settings.kite).token()
    if token is None:
        return [*found, Finding(name="login", healthy=False, detail="nobody is logged in: `durable-orders login`")]
    return [*found, *_Asking(home, settings.kite, token).findings()]


class _Asking:
    """The broker, with the day's token."""

    def __init__(self, home: Home, settings: Kite, token: str) -> None:
        self._file = SessionFile(home.session_file, settings)
        self._session = session_for(settings)
        self._session.hooks["response"].append(self._note)
        self._client = kite_client(settings, self._session)
        self._client.set_access_token(token)
        self._apart: timedelta | None = None
        self._began = datetime.now(UTC)

    def findings(self) -> list[Finding]:
        self._began = datetime.now(UTC)
        profile, ending = self._session.call(self._client.profile)
        found = [_login(profile, ending, self._file.login_at())]
        if isinstance(profile, dict):
            _, ending = self._session.call(lambda: self._client.quote(SYMBOL))
            found.append(_plan(ending))
        return [*found, _clock(self._apart)]

    def _note(self, reply: Any, **_: Any) -> None:
        """The broker's time against the middle of the call."""
        if self._apart is not None:
            return
        try:
            theirs = parsedate_to_datetime(reply.headers["Date"])
        except (KeyError, TypeError, ValueError):
            return
        ours = self._began + (datetime.now(UTC) - self._began) / 2
        self._apart = ours - theirs.astimezone(UTC) - timedelta(seconds=0.5)


def _login(profile: Any, ending: Ending, login_at: datetime | None) -> Finding:
    user = profile.get("user_id") if isinstance(profile, dict) else None
    if user is None:
        why = f"the token is not taken ({ending.message or ending.error_type or 'no answer'}): `durable-orders login`"
        return Finding(name="login", healthy=False, detail=why)
    if login_at is None:
        return Finding(
            name="login", healthy=True, detail=f"user {user}, by a token of the settings; it ends at 06:00 IST"
        )
    local = login_at.astimezone(IST)
    ends = datetime.combine(local.date(), FLUSHED, IST)
    ends += timedelta(days=1) if local >= ends else timedelta(0)
    words = f"user {user}, since {local:%a %d %b %H:%M} IST, until {ends:%a %d %b %H:%M} IST"
    return Finding(name="login", healthy=True, detail=words)


def _plan(ending: Ending) -> Finding:
    if ending.error is None and ending.http_status == 200:
        return Finding(name="plan", healthy=True, detail="with market data (Connect)")
    if ending.error_type == "PermissionException":
        words = "the key has no market data, as on Kite's Personal plan: checks that need a price refuse live orders"
        return Finding(name="plan", healthy=False, detail=words)
    return Finding(name="plan", healthy=False, detail=f"a quote was not answered ({ending.message or 'no answer'})")


def _clock(apart: timedelta | None) -> Finding:
    if apart is None:
        return Finding(name="clock", healthy=True, detail="the broker tells no time, so it is not compared")
    seconds = apart.total_seconds()
    words = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} the broker's"
    is_right = abs(apart) <= CLOCKS_DIFFER
    return Finding(name="clock", healthy=is_right, detail=words if is_right else f"{words}: set it by NTP")


def _master(home: Home, settings: Settings, now: datetime) -> Finding:
    """How old what is ordered by is; nothing is fetched."""
    if settings.market.masters:
        return min((_file_age(each, now) for each in settings.market.masters), key=lambda each: each.healthy)
    days = sorted(each.stem.removeprefix("instruments-") for each in home.path.glob("instruments-????-??-??.csv"))
    if not days:
        return Finding(name="master", healthy=True, detail="none was fetched yet; a worker does so when it starts")
    local = now.astimezone(IST)
    due = local.date() if local.time() >= NEW_MASTER else local.date() - timedelta(days=1)
    is_fresh = days[-1] >= due.isoformat()
    words = f"of {days[-1]}" + ("" if is_fresh else f", and that of {due} is out: a running worker fetches it")
    return Finding(name="master", healthy=is_fresh, detail=words)


def _file_age(file: Path, now: datetime) -> Finding:
    try:
        written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError as error:
        return Finding(name="master", healthy=False, detail=f"{file}: {error.strerror}")
    words = f"{file} of {written.astimezone(IST):%Y-%m-%d %H:%M} IST (market.instruments): it is not fetched"
    return Finding(name="master", healthy=now - written < timedelta(days=1), detail=words)


def _address(settings: Kite) -> Finding:
    """By which address of this machine the broker is reached. What the internet makes of it only the broker sees."""
    parts = urlsplit(settings.root)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), ADDRESS_SECONDS) as reached:
            own = reached.getsockname()[0]
    except OSError as error:
        words = f"{parts.hostname} is not reached ({error.strerror or error})"
        return Finding(name="address", healthy=False, detail=words)
    words = (
        f"orders leave from {own} of this machine. Kite takes them from the static address registered at its developer"
    )
    words += " console alone; no reading shows whether it is this one, the refusal of an order names the address it saw"
    return Finding(name="address", healthy=True, detail=words)
