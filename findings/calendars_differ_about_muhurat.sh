#!/usr/bin/env bash
# pandas-market-calendars 5.5.0, XNSE and BSE on Diwali 2024 (1 November) and 2025 (21 October).
#
# Expected: the same answer for both, since both exchanges held the same hour of trading (Muhurat) on that holiday.
# Seen: NSE (also asked for as XNSE) has the hour of both days, BSE is closed on both. A program that takes BSE's
# calendar for shares of BSE calls an open market shut.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pandas-market-calendars==5.5.0 pandas==2.3.3
"$place/venv/bin/python" - <<'P' | tee "$place/seen"
import pandas_market_calendars as calendars

for name in ("NSE", "XNSE", "BSE"):
    calendar = calendars.get_calendar(name)
    for day in ("2024-11-01", "2025-10-21"):
        found = calendar.schedule(day, day, tz="Asia/Kolkata")
        hours = [f"{row.market_open:%H:%M}-{row.market_close:%H:%M}" for row in found.itertuples()]
        print(name, day, hours or "closed")
P
diff - "$place/seen" <<'SEEN'
NSE 2024-11-01 ['18:00-19:00']
NSE 2025-10-21 ['13:45-14:45']
XNSE 2024-11-01 ['18:00-19:00']
XNSE 2025-10-21 ['13:45-14:45']
BSE 2024-11-01 closed
BSE 2025-10-21 closed
SEEN
echo "as seen before"
