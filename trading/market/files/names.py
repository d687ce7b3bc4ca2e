"""Whose a row is: from what a file calls its instrument to Kite's symbol."""

import re
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instruments import EXCHANGES, Instruments
from durable_orders.trading.market.past_contracts import Unlisted, made_instrument
from durable_orders.trading.orders.order import Symbol

SYMBOL: TypeAdapter[str] = TypeAdapter(Symbol)
YAHOO_EXCHANGES = {".NS": "NSE", ".BO": "BSE"}
YAHOO_INDICES = {
    "^NSEI": "NSE:NIFTY 50",
    "^NSEBANK": "NSE:NIFTY BANK",
    "^INDIAVIX": "NSE:INDIA VIX",
    "^BSESN": "BSE:SENSEX",
}
"""Yahoo's names of what Kite's master calls so."""
BY_FILE = re.compile(rf"({'|'.join(EXCHANGES)})[ _:-]([^_]+)")
"""`NSE_INFY`, as files of one symbol each are called."""


class UnknownName(ValueError):
    """A name that is nobody's; the words are the rule and the value."""


class Names:
    """Of one reading. Raises `UnknownName`."""

    def __init__(
        self, given: str | None, instruments: Instruments | None, report: ReadingReport, told: Unlisted
    ) -> None:
        """`given` is whose the rows are where a file does not say. With `instruments`, only what they have is known,
        and what can be made of the rest (`past_contracts`), which they have from then on."""
        self._told = told
        self._given = given
        self._instruments = instruments
        self._report = report
        self._known: dict[tuple[str, str], str] = {}
        self._tokens: dict[int, str] = {}
        self._stands_for: int | None = None
        """The token that the master does not have, and the given symbol stands for."""

    def by_name(self, text: str, exchange: str) -> str:
        """`exchange` may be empty."""
        found = self._known.get((text, exchange))
        if found is None:
            found = self._known[text, exchange] = self._checked(self._spelled(text, exchange))
        return found

    def lot_of(self, symbol: str) -> int:
        """Units; 1 where no master is at hand."""
        found = self._instruments.get(symbol) if self._instruments is not None else None
        return found.lot_size if found is not None else 1

    def by_token(self, token: int) -> str:
        """KiteTicker's and Kite's number of it."""
        found = self._tokens.get(token)
        if found is not None:
            return found
        instrument = self._instruments.by_token(token) if self._instruments is not None else None
        if instrument is not None:
            symbol = instrument.symbol
        elif self._given is not None and self._stands_for is None:
            symbol, self._stands_for = self._checked(self._given), token
        else:
            raise UnknownName(f"must be in the instrument master, was {token}")
        self._tokens[token] = symbol
        return symbol

    def by_file(self, path: Path) -> str:
        """Where no row says whose it is."""
        if self._given is not None:
            return self.by_name(self._given, "")
        stem = path.name.partition(".")[0]
        match = BY_FILE.fullmatch(stem)
        symbol = f"{match[1]}:{match[2]}" if match else self._only(stem)
        if symbol is None:
            raise UnknownName("must be in the file, or set as market.symbol, was ''")
        self._report.note(f"{path.name} was taken for {symbol} by its name")
        return self.by_name(symbol, "")

    def _spelled(self, text: str, exchange: str) -> str:
        if ":" in text:
            return text
        if text in YAHOO_INDICES:
            return YAHOO_INDICES[text]
        if text[-3:] in YAHOO_EXCHANGES:
            return f"{YAHOO_EXCHANGES[text[-3:]]}:{text[:-3]}"
        if exchange:
            return f"{exchange}:{text}"
        return self._only(text) or text

    def _only(self, name: str) -> str | None:
        """The one symbol of that name, if it is listed once."""
        if self._instruments is None:
            return None
        there = [f"{each}:{name}" for each in EXCHANGES if self._instruments.get(f"{each}:{name}") is not None]
        if len(there) > 1:
            raise UnknownName(f"must say which of {', '.join(there)} it is, was {name!r}")
        return there[0] if there else None

    def _checked(self, symbol: str) -> str:
        try:
            SYMBOL.validate_python(symbol)
        except ValidationError:
            words = f"must be an exchange and a tradingsymbol as in NSE:INFY, was {symbol!r}"
            raise UnknownName(words) from None
        if self._instruments is not None and self._instruments.get(symbol) is None:
            made = made_instrument(symbol, self._told)
            if made.instrument is None:
                near = self._instruments.nearest(symbol)
                meant = f"did you mean {near}? " if near else ""
                raise UnknownName(f"must be in the instrument master ({meant}{made.words}), was {symbol!r}")
            self._instruments.add(made.instrument)
            self._report.note(made.words)
        return symbol
