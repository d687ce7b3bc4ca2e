"""Finds what can be traded by what it is: underlying, expiry, a strike near the money. As of the market's day."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from itertools import groupby

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.market.rules import freeze_quantity, rules

KINDS = ("FUT", "CE", "PE")
EXPIRIES = "weekly, monthly, next or a date"
AT_THE_MONEY = re.compile(r"ATM([+-]\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Contract:
    """What can be traded, on a day of the market. Money in rupees."""

    symbol: str
    """As in `NFO:NIFTY25MAYFUT`."""
    underlying: str
    """Of a derivative, Kite's name of what it is of; else the name of the share or index."""
    kind: str
    """`EQ`, `FUT`, `CE` or `PE`."""
    lot: int
    """Quantities are multiples of it."""
    tick: Decimal
    """Prices are multiples of it."""
    expiry: date | None
    strike: Decimal | None
    days_to_expiry: int | None
    """Calendar days; 0 on the day of expiry. `None` for what never expires."""
    freeze: int | None
    """The greatest quantity of one order; `None` where none is known."""


class Contracts:
    """The instrument master, asked by a strategy."""

    def __init__(
        self,
        instruments: Callable[[], Instruments],
        day: Callable[[], date],
        last_price: Callable[[str], Decimal | None],
        freeze: Mapping[str, int] | None = None,
    ) -> None:
        """`day` is the market's; `freeze` are the quantities of the settings (`guardian.freeze_quantity`)."""
        self._read = instruments
        self._day = day
        self._last_price = last_price
        self._freeze = freeze or {}
        self._version: tuple[int, int] | None = None
        self._of: dict[str, list[Instrument]] = {}

    def get(self, symbol: str) -> Contract:
        """Raises `InvalidStrategy` for a symbol that the master does not have."""
        master = self._read()
        found = master.get(symbol)
        if found is None:
            near = master.nearest(symbol)
            meant = f"; did you mean {near}?" if near else ""
            raise InvalidStrategy(f"instruments: {symbol!r:.60} is not in the instrument master{meant}")
        return self._contract(found)

    def find(
        self,
        underlying: str,
        expiry: str | date = "weekly",
        strike: str | int | Decimal | None = None,
        kind: str = "FUT",
        *,
        price: Decimal | None = None,
    ) -> Contract:
        """The future (`kind` FUT) or option (CE, PE) of an underlying, such as `NIFTY`, that has not expired.

        `expiry` is `weekly` (the nearest), `monthly` (the nearest that is the last of its month), `next` (the one after
        the nearest), or a date. `strike` is a number of rupees, or `ATM`, `ATM+2`, `ATM-1`: the listed strike nearest
        to `price`, or so many above or below; without a `price` that is the last one of the underlying.

        Raises `InvalidStrategy`, which says what there is.
        """
        if kind not in KINDS:
            raise InvalidStrategy(f"instruments: kind: must be one of {', '.join(KINDS)}, was {kind!r:.40}")
        if (strike is None) != (kind == "FUT"):
            rule = "an option needs a strike, as in 'ATM+1' or 24400" if strike is None else "a future has no strike"
            raise InvalidStrategy(f"instruments: strike: {rule}")
        listed = [each for each in self._listed(underlying) if each.instrument_type == kind]
        found = self._of_expiry(underlying, kind, listed, expiry)
        return self._contract(found[0] if strike is None else self._at(underlying, found, strike, price))

    def _listed(self, underlying: str) -> Sequence[Instrument]:
        master = self._read()
        if self._version != (id(master), master.version):
            of = defaultdict[str, list[Instrument]](list)
            for each in master:
                if each.expiry is not None:
                    of[each.name].append(each)
            self._of, self._version = dict(of), (id(master), master.version)
        found = self._of.get(underlying)
        if found is None:
            near = get_close_matches(str(underlying), self._of, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise InvalidStrategy(f"instruments: no futures or options of {underlying!r:.40} in the master{meant}")
        return found

    def _of_expiry(
        self, underlying: str, kind: str, listed: Sequence[Instrument], wanted: str | date
    ) -> list[Instrument]:
        day = self._day()
        expiries = sorted({each.expiry for each in listed if each.expiry is not None and each.expiry >= day})
        monthly = [max(of_month) for _, of_month in groupby(expiries, key=lambda each: (each.year, each.month))]
        chosen = {"weekly": expiries[:1], "monthly": monthly[:1], "next": expiries[1:2]}
        if isinstance(wanted, date):
            found = [each for each in expiries if each == wanted]
        elif wanted in chosen:
            found = chosen[wanted]
        else:
            raise InvalidStrategy(f"instruments: expiry: must be {EXPIRIES}, was {wanted!r:.40}")
        if not found:
            there = ", ".join(f"{each:%d %b %Y}" for each in expiries[:6]) or "none"
            raise InvalidStrategy(
                f"instruments: no {kind} of {underlying} expires {wanted} as of {day}; there is: {there}"
            )
        return [each for each in listed if each.expiry == found[0]]

    def _at(
        self, underlying: str, listed: Sequence[Instrument], strike: str | int | Decimal, price: Decimal | None
    ) -> Instrument:
        by_strike = {each.strike: each for each in listed if each.strike is not None}
        strikes = sorted(by_strike)
        if not isinstance(strike, str):
            near = min(strikes, key=lambda each: abs(each - strike))
            if near != strike:
                raise InvalidStrategy(
                    f"instruments: {underlying} has no strike {strike}; the nearest is {near.normalize():f}"
                )
            return by_strike[near]
        match = AT_THE_MONEY.fullmatch(strike)
        if match is None:
            raise InvalidStrategy(
                f"instruments: strike: must be as 'ATM', 'ATM+2', 'ATM-1' or 24400, was {strike!r:.40}"
            )
        spot = price if price is not None else self._spot(underlying)
        nearest = min(strikes, key=lambda each: abs(each - spot))
        number = strikes.index(nearest) + int(match[1] or 0)
        if not 0 <= number < len(strikes):
            there = f"{strikes[0].normalize():f} to {strikes[-1].normalize():f}"
            raise InvalidStrategy(f"instruments: {underlying} has no strike {strike} of {spot}: listed are {there}")
        return by_strike[strikes[number]]

    def _spot(self, underlying: str) -> Decimal:
        """The last price of the index or share; else of its nearest future."""
        symbols = [rules().indices.symbols.get(underlying) or f"NSE:{underlying}"]
        futures = [each for each in self._listed(underlying) if each.instrument_type == "FUT"]
        coming = [(each.expiry, each.symbol) for each in futures if each.expiry and each.expiry >= self._day()]
        symbols += [min(coming)[1]] if coming else []
        for symbol in symbols:
            if (last := self._last_price(symbol)) is not None:
                return last
        words = f"no price of {' or '.join(symbols)} yet: subscribe to it, or give price=... or a strike in rupees"
        raise InvalidStrategy(f"instruments: {words}")

    def _contract(self, found: Instrument) -> Contract:
        day = self._day()
        frozen = freeze_quantity(found, day, self._freeze)
        return Contract(
            symbol=found.symbol,
            underlying=found.name,
            kind=found.instrument_type,
            lot=found.lot_size,
            tick=found.tick_size,
            expiry=found.expiry,
            strike=found.strike,
            days_to_expiry=(found.expiry - day).days if found.expiry is not None else None,
            freeze=frozen[0] if frozen is not None else None,
        )
