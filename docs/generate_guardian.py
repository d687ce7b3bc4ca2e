"""Writes `guardian.md` from the classes of the checks: `python docs/generate_guardian.py`."""

import inspect
from collections.abc import Iterable
from pathlib import Path

from trading.guardian.catalogue import ALWAYS, LIMITS, RULES
from trading.guardian.check import Check

TARGET = Path(__file__).with_name("guardian.md")

PAGE = """\
<!-- Written by docs/generate_guardian.py from the classes in trading/guardian. Edit those, then run the script. -->

# What is checked before an order leaves

Every order, and every change of one, meets the checks below in the transaction that also reserves what it may come to:
positions, exposure, capital, margin and pace count what is open and approved as if it were filled, so no number of
workers can pass a limit together. All checks that fail are reported, each with its code, the limit, the value and a
sentence. A check that itself fails refuses the order.

A limit is off until its setting is there; `durable-orders doctor` names those that a live account should have. Several
names of one limit may be set, and the lowest counts. Orders that only reduce a position pass the limits on positions,
exposure, capital, margin, trades and the day's result, and in an account that is REDUCING those on pace.

Rupees are quantity times price times the contract's multiplier, as in positions: one lot of CRUDEOIL is 100 barrels
(`trading/data/contracts.yaml`; always 1 on NSE, BSE, NFO and BFO). Where the multiplier is not known, a limit in rupees
refuses what it would count too little: orders for that contract, and as long as some of it is held or open, orders that
add to exposure or capital. Units, in the limits on quantity and position, are what an order's quantity is counted in.

## Always

{always}

## Limits

{limits}

## Rules of strategies

Further checks come with packages, by the entry point group `durable_orders.guardian_checks`, and are set for a strategy
by their names. This one is shipped:

{rules}

## Circuit breakers

`MAX_DAILY_LOSS`, `MAX_DAILY_DRAWDOWN` and `MAX_LOSS_STREAK` also trip by themselves: with the fill that takes the day
beyond them, once a day each. `RISK_FLAG` trips when an operator (`durable-orders flag NAME --reason ...`) or a strategy
(`orders.raise_flag(...)`) raises a flag, `BROKER_REFUSALS` when the broker refuses the account itself, or everything in
the same words. A trip is an event of the feed (`breaker_tripped`) and a signal to the account's watch, and
`guardian.on_trip` says what becomes of open orders:

| `guardian.on_trip` | what is done |
| --- | --- |
| `keep` | nothing: they go on, and can be cancelled |
| `cancel_open` | every open order is cancelled |
| `flatten` | every open order is cancelled, then every position is closed at the market |

The account is REDUCING after a trip: until midnight, IST, or until `durable-orders resume`; with a flag until it is
cleared. After `BROKER_REFUSALS` it is HALTED until it is resumed, and nothing is sent, so nothing is flattened either.
"""


def render() -> str:
    """The whole page, as Markdown."""
    return PAGE.format(always=_table(ALWAYS), limits=_table(LIMITS), rules=_table(RULES))


def _table(checks: Iterable[type[Check]]) -> str:
    rows = [("code", "what it says", "applies to", "switched on by")]
    rows.append(("---",) * 4)  # type: ignore[arg-type]
    rows += [(f"`{check.code}`", _words(check), check.when.value, _keys(check)) for check in checks]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _words(check: type[Check]) -> str:
    return " ".join((inspect.getdoc(check) or "").split()).replace("|", "\\|")


def _keys(check: type[Check]) -> str:
    return "<br>".join(f"`{key}`" for key in check.settings) or "always on"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
