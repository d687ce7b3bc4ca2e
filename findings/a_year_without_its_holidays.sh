#!/usr/bin/env bash
# holidays 0.109, financial_holidays("XNSE"), a year whose list the exchange has not published yet.
#
# Expected: nothing for that year, or an error or a warning (they are errors here) that its list is not known.
# Seen: 2027 has nine holidays of the fifteen or so, without a word: those that move with the moon and are announced
# are missing, so Diwali, Ganesh Chaturthi or Guru Nanak Jayanti of 2027 read as days of trading, while 2028, a year
# later, has fourteen again. A count is no proof that a year is known.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check holidays==0.109
"$place/venv/bin/python" -W error - <<'P' | tee "$place/seen"
import datetime

from holidays import financial_holidays

for year in (2025, 2026, 2027, 2028):
    found = financial_holidays("XNSE", years=year)
    print(year, len(found), "|".join(sorted(f"{day:%m-%d}" for day in found)))
P
diff <(cut -d' ' -f1-2 "$place/seen") - <<'SEEN'
2025 14
2026 15
2027 9
2028 14
SEEN
echo "as seen before"
