"""Writes `guardian.md` from the classes of the checks: `python docs/generate_guardian.py`."""

import inspect
from collections.abc import Iterable
from pathlib import Path

from durable_orders.trading.guardian.catalogue import ALWAYS, LIMITS, RULES
from durable_orders.trading.guardian.check import Check
from durable_orders.trading.guardian.checks.exchange import OF_EXCHANGE
from durable_orders.trading.guardian.checks.pace import OF_KITE
from durable_orders.trading.market.rules import Distance, Scope, rules

TARGET = Path(__file__).with_name("guardian.md")

PAGE = """\
<!-- Written by docs/generate_guardian.py from the classes in trading/guardian. Edit those, then run the script. -->

# What is checked before an order leaves

Every order, and every change of one, meets the checks below in the transaction that also reserves what it may come to:
positions, exposure, capital, margin and pace count what is open and approved as if it were filled, so no number of
workers can pass a limit together. All checks that fail are reported, each with its code, the limit, the value and a
sentence. A check that itself fails refuses the order.

With an order that passes, and with each change of one, is kept how many checks that were, and of each that has a figure
the limit, where it stood before and with the order: on the order's page, in `durable-orders show`, in
`GET /api/v1/orders/ID/checks` and in what an assistant explains. An order of an earlier version, or of a ledger that
was rebuilt without the old one, says that they were not recorded. What an order passes because it only reduces has no
figure.

A limit is off until its setting is there; `durable-orders doctor` names those that a live account should have. Several
names of one limit may be set, and the lowest counts. Orders that only reduce a position pass the limits on positions,
exposure, capital, margin, trades and the day's result, and in an account that is REDUCING those on pace.

Rupees are quantity times price times the contract's multiplier, as in positions: one lot of CRUDEOIL is 100 barrels
(`trading/charges/data/contracts.yaml`; always 1 on NSE, BSE, NFO and BFO). Where the multiplier is not known, a limit
in rupees refuses what it would count too little: orders for that contract, and as long as some of it is held or open,
orders that add to exposure or capital. Units, in the limits on quantity and position, are what an order's quantity is
counted in.

## Always

{always}

## Rules of the exchanges and the broker

In one file with dates and sources, `trading/market/data/rules.yaml`. An order is judged by the rules of the session it
is for: historic days by the rules of their day. The guardian asks before anything is sent, live and on paper; the paper
exchange, the backtest and the sandbox ask the same. A message names the source. Without a last price, prices are not
judged; an instrument that the master does not have is not judged here at all.

{of_exchange}

{exchange_rules}

Of the last row, what is above the requests a minute and the orders a day is refused: live by the wall's clock, on paper
and in a backtest by the market's (`execution.paper.request_limits: false` lets it pass there). Those a second are kept
by waiting, and so, live, are changes and cancels. What closes positions in a REDUCING account is not held up here.
Above 10 a second, `execution.live.orders_per_second` needs `execution.live.algo_id`, which goes with each order.

`guardian.physical_settlement` says what becomes of contracts on shares in their last days: `warn` alerts of those that
are held, `refuse` also refuses orders that add to one, and `close` also cancels what is open in one and closes what is
held ([exits.md](exits.md)), live, on paper and in backtests.

## Limits

{limits}

## Rules of strategies

Further checks come with packages, by the entry point group `durable_orders.guardian_checks`, and are set for a strategy
by their names. This one is shipped:

{rules}

A rule is a small class. It reads nothing and remembers nothing: what it may look at is in the `CheckContext`. It is
asked within the ledger's transaction, so it must not wait for anything: until it answers, nothing else is recorded.

```python
from durable_orders.checks import Check, CheckContext, Failure, Terms, When


class NoMondays(Check):
    code = "NO_MONDAYS"
    when = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        return Failure("not on a Monday") if situation.market_time.weekday() == 0 else None
```

One that has a figure may say so with `measured`, which gives a `Measure` of an order that has passed: it is then part
of the order's evidence.

The package that it is in registers it in its `pyproject.toml`, and the settings switch it on, with its options:

```toml
[project.entry-points."durable_orders.guardian_checks"]
no_mondays = "my_rules:NoMondays"
```

```yaml
guardian:
  strategies:
    opening-range:
      rules:
        no_mondays: {{}}
```

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
| `flatten` | every open order is cancelled, then every position is closed ([exits.md](exits.md)) |

The account is REDUCING after a trip: until midnight, IST, or until `durable-orders resume`; with a flag until it is
cleared. While its positions are being closed it stays so beyond midnight. After `BROKER_REFUSALS` it is HALTED until it
is resumed, and nothing is sent, so nothing is flattened either.
"""


def render() -> str:
    """The whole page, as Markdown."""
    return PAGE.format(
        always=_table(ALWAYS),
        of_exchange=_table((*OF_EXCHANGE, *OF_KITE)),
        exchange_rules=_exchange_rules(),
        limits=_table(LIMITS),
        rules=_table(RULES),
    )


def _exchange_rules() -> str:
    every = rules()
    rows = [(_of(each), each.words, each) for each in every.not_taken]
    rows += [(_of(each), f"a price at most {_distance(each)} beyond the last", each) for each in every.price_limits]
    rows += [(_of(each), f"a limit at most {_distance(each)} from its trigger", each) for each in every.stop_distances]
    rows += [("closing auction", f"a price at most {every.auction_band.percent} % from the last", every.auction_band)]
    rows += [("closing auction", every.cancelled_before_auction.words, every.cancelled_before_auction)]
    for each in every.freeze_quantities:
        units = ", ".join(f"{name} {units}" for name, units in each.units.items())
        rows.append((_of(each), f"at most so many units in one order: {units}", each))
    for each in every.physical_settlement:
        rows.append((_of(each), f"settled in shares; margins rise {each.days} days of trading before the expiry", each))
    depository = every.depository
    rows.append((f"sales by {', '.join(sorted(depository.products))}", depository.words, depository))
    limits = every.limits
    words = f"{limits.changes} changes of an order, {limits.slices} slices, {limits.orders_per_second} orders a second"
    words += f" without a registered algo, {limits.orders_per_minute} requests a minute,"
    words += f" {limits.orders_per_day} orders a day"
    rows.append(("all", words, limits))
    lines = [f"| {of} | {words} | {entry.since} | {entry.source} |" for of, words, entry in rows]
    return "\n".join(["| of | rule | since | source |", "| --- | --- | --- | --- |", *lines])


def _of(scope: Scope) -> str:
    kinds = f" {', '.join(sorted(scope.types))}" if scope.types else ""
    on = "" if scope.underlying == "any" else f" on {'an index' if scope.underlying == 'index' else 'a share'}"
    return f"{', '.join(sorted(scope.exchanges))}{kinds}{on}"


def _distance(entry: Distance) -> str:
    least = f" (at least ₹{entry.at_least})" if entry.at_least else ""
    return f"{entry.percent} %{least}"


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
