"""The rules of the exchanges and the broker (`data/rules.yaml`), in one place for whoever takes or sends orders."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from durable_orders.trading.config.sessions import WindowKind
from durable_orders.trading.config.settings import CircuitLimits, Guardian
from durable_orders.trading.data_files import read_data
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session, SessionCalendar, SessionSource
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.orders.order import Order, OrderType, Product, Side, Terms, Validity

FILE = "rules.yaml"
HUNDRED = Decimal(100)
Source = Annotated[str, Field(min_length=15)]


class Way(StrEnum):
    """How an order is sent, beside its terms."""

    ICEBERG = "iceberg"
    AUTOSLICE = "autoslice"
    AMO = "amo"
    DISCLOSED = "disclosed quantity"


SPLIT = frozenset({Way.ICEBERG, Way.AUTOSLICE})
"""As several orders of the exchange."""


class Rule(StrEnum):
    """What may stand against an order; the values are the codes of the guardian's refusals."""

    EXPIRED = "EXPIRED_CONTRACT"
    NOT_TAKEN = "NOT_TAKEN"
    NOT_NOW = "NOT_TAKEN_NOW"
    PRICE_LIMIT = "PRICE_LIMIT"
    STOP_DISTANCE = "STOP_DISTANCE"
    FREEZE = "FREEZE_QUANTITY"
    CIRCUIT = "CIRCUIT_LIMIT"
    MINUTE = "REQUESTS_PER_MINUTE"
    DAY = "ORDERS_PER_DAY"


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that an order breaks."""

    rule: Rule
    words: str
    source: str
    limit: object = None
    value: object = None

    def __str__(self) -> str:
        return f"{self.words} ({self.source})"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    since: date = Field(alias="from")
    source: Source


class Scope(_Entry):
    """Of which instruments an entry is."""

    exchanges: frozenset[str]
    types: frozenset[str] = frozenset()
    """Kite's `instrument_type`; without any, all."""
    underlying: Literal["any", "index", "share"] = "any"

    def covers(self, instrument: Instrument, day: date) -> bool:
        fits = instrument.exchange in self.exchanges and self.since <= day
        if not fits or (self.types and instrument.instrument_type not in self.types):
            return False
        is_index = instrument.name in rules().indices.names
        return self.underlying == "any" or (self.underlying == "index") == is_index


class NotTaken(Scope):
    order_types: frozenset[OrderType] = frozenset()
    validities: frozenset[Validity] = frozenset()
    ways: frozenset[Way] = frozenset()
    words: str

    def fits(self, terms: Terms, ways: frozenset[Way]) -> bool:
        return (
            self.ways <= ways
            and (not self.order_types or terms.order_type in self.order_types)
            and (not self.validities or terms.validity in self.validities)
        )


class Distance(Scope):
    percent: Decimal
    at_least: Decimal = Decimal(0)
    """Rupees."""
    up_to: Decimal | None = None
    """To which reference price `at_least` counts; without one, to every."""

    def around(self, reference: Decimal) -> Decimal:
        share = reference * self.percent / HUNDRED
        counts = self.up_to is None or reference <= self.up_to
        return max(share, self.at_least) if counts else share


class Freeze(Scope):
    units: dict[str, int]


class Band(_Entry):
    percent: Decimal


class CancelledBeforeAuction(_Entry):
    order_types: frozenset[OrderType]
    ways: frozenset[Way]
    words: str

    def __str__(self) -> str:
        return f"{self.words} ({self.source})"


class Delivery(Scope):
    days: int
    """Of trading before the expiry."""


class Depository(Scope):
    products: frozenset[Product]
    words: str


class Limits(_Entry):
    changes: int
    slices: int
    orders_per_second: int
    orders_per_minute: int
    orders_per_day: int


class Names(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    names: frozenset[str]
    symbols: dict[str, str]
    """Of the indices themselves, by name."""
    source: Source


class Rules(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    indices: Names
    not_taken: tuple[NotTaken, ...]
    price_limits: tuple[Distance, ...]
    auction_band: Band
    cancelled_before_auction: CancelledBeforeAuction
    stop_distances: tuple[Distance, ...]
    freeze_quantities: tuple[Freeze, ...]
    physical_settlement: tuple[Delivery, ...]
    depository: Depository
    market_protection: Band
    limits: Limits


@cache
def rules() -> Rules:
    return Rules.model_validate(read_data("durable_orders.trading.market", FILE))


def freeze_quantity(instrument: Instrument, day: date, own: Mapping[str, int]) -> tuple[int, str] | None:
    """The greatest quantity of one order on that day, in units, and where it is from; `None` where none is known. The
    user's own lie over those of the file."""
    told = own.get(instrument.symbol.partition(":")[2]) or own.get(instrument.name)
    if told is not None:
        return told, "guardian.freeze_quantity"
    found = [
        (each.since, each.units[instrument.name], each.source)
        for each in rules().freeze_quantities
        if each.covers(instrument, day) and instrument.name in each.units
    ]
    return max(found)[1:] if found else None


def delivery_of(instrument: Instrument, day: date, calendar: SessionCalendar) -> Delivery | None:
    """The rule by which a contract is in its last days before a delivery of shares; `None` for all others."""
    for entry in rules().physical_settlement:
        if instrument.expiry is not None and day <= instrument.expiry and entry.covers(instrument, day):
            left = sum(1 for _ in calendar.sessions(day, (instrument.expiry - day).days + 1)) - 1
            return entry if left <= entry.days else None
    return None


def ends_before_auction(day: date, waiting: OrderType | None, ways: frozenset[Way]) -> bool:
    """Whether the exchange cancels what rests like that before that day's closing auction, where its symbol has one.
    `waiting` is the type of an order that waits for its trigger."""
    entry = rules().cancelled_before_auction
    return entry.since <= day and (waiting in entry.order_types or bool(ways & entry.ways))


def outside(band: CircuitLimits, terms: Terms) -> str | None:
    """What of an order's prices lies beyond the day's circuit limits, in words; `None` if nothing does."""
    prices = {"price": terms.price, "trigger_price": terms.trigger_price}
    beyond = [
        f"{name} was {price}"
        for name, price in prices.items()
        if price is not None and not band.lower <= price <= band.upper
    ]
    if not beyond:
        return None
    return f"prices of {terms.symbol} must be within {band.lower} to {band.upper}; {', '.join(beyond)}"


def ways_of(order: Order) -> frozenset[Way]:
    """How an order asks to be sent."""
    given = order.instructions
    if given is None:
        return NO_WAYS
    asked = {
        Way.ICEBERG: given.is_iceberg,
        Way.AUTOSLICE: bool(given.autoslice),
        Way.DISCLOSED: given.disclosed_quantity is not None,
    }
    return frozenset(way for way, is_so in asked.items() if is_so)


@dataclass(frozen=True, slots=True)
class _OfInstrument:
    """What there is to ask about one instrument on one day: for most of them, nothing."""

    instrument: Instrument
    expired: bool
    not_taken: tuple[NotTaken, ...]
    not_taken_plain: tuple[NotTaken, ...]
    """Of orders that are sent in no particular way."""
    price_limits: tuple[Distance, ...]
    stop_distances: tuple[Distance, ...]
    freeze: tuple[int, str] | None
    circuit: CircuitLimits | None
    session: Session | None
    has_auction: bool


LastPrice = Callable[[], Decimal | None]
NO_WAYS = frozenset[Way]()


class ExchangeRules:
    """Asks the rules about orders, by the instruments and sessions of one account."""

    def __init__(
        self,
        instruments: Callable[[str], Instrument | None],
        sessions: SessionSource,
        own: Guardian | None = None,
    ) -> None:
        """`own` are the user's settings: what is set there of freeze quantities and circuit limits lies over the
        file."""
        self._freeze = own.freeze_quantity if own is not None else {}
        self._circuits = own.circuit_limits if own is not None else {}
        self._instruments = instruments
        self._sessions = sessions
        self._known: dict[tuple[str, date], _OfInstrument] = {}

    def broken(
        self,
        terms: Terms,
        day: date,
        at: datetime | None,
        last_price: LastPrice,
        ways: frozenset[Way] = NO_WAYS,
    ) -> list[Broken]:
        """What stands against an order that is for the session of that day. `at` is the market's time while the session
        is open, `None` otherwise. What the master does not have breaks nothing here."""
        instrument = self._instruments(terms.symbol)
        if instrument is None:
            return []
        own = self._of(instrument, day)
        if own.expired:
            words = f"{terms.symbol} expired on {instrument.expiry:%d %b %Y}"
            return [Broken(Rule.EXPIRED, words, "instrument master", instrument.expiry, day)]
        found = [
            Broken(Rule.NOT_TAKEN, entry.words, entry.source, value=terms.order_type)
            for entry in (own.not_taken if ways else own.not_taken_plain)
            if entry.fits(terms, ways)
        ]
        if own.freeze is not None and not ways & SPLIT and terms.quantity > own.freeze[0]:
            most, source = own.freeze
            words = f"the exchange takes at most {most} of {instrument.name} in one order, was {terms.quantity}"
            found.append(Broken(Rule.FREEZE, words, source, most, terms.quantity))
        if (band := own.circuit) is not None and (out := outside(band, terms)) is not None:
            found.append(Broken(Rule.CIRCUIT, out, "guardian.circuit_limits", f"{band.lower} to {band.upper}"))
        if own.stop_distances:
            found += _stop(own, terms)
        if own.price_limits:
            found += _prices(own, terms, last_price)
        if at is not None and own.has_auction:
            found += _now(own, terms, at, last_price, ways)
        return found

    def concerned(self, rule: Rule, terms: Terms, instrument: Instrument, day: date) -> bool:
        """Whether the rule can stand against an order with these terms that is for the session of that day and is sent
        in no particular way, whatever its prices and the time of the day are."""
        own = self._of(instrument, day)
        if rule is Rule.EXPIRED:
            return own.expired
        if rule is Rule.NOT_TAKEN:
            return any(entry.fits(terms, NO_WAYS) for entry in own.not_taken_plain)
        if rule is Rule.STOP_DISTANCE:
            return terms.order_type.has_trigger and bool(own.stop_distances)
        if rule is Rule.PRICE_LIMIT:
            return terms.order_type.has_price and (bool(own.price_limits) or own.has_auction)
        return rule is not Rule.NOT_NOW or own.has_auction

    def price_bound(self, symbol: str, side: Side, day: date, at: datetime | None, last: Decimal) -> Decimal | None:
        """The worst limit of an order that is taken while `last` is the last price, in rupees: a buy's highest, a
        sale's lowest; `None` where every one is. `at` as for `broken`."""
        instrument = self._instruments(symbol)
        if instrument is None:
            return None
        own = self._of(instrument, day)
        away = [entry.around(last) for entry in own.price_limits]
        window = own.session.window_at(at) if at is not None and own.session is not None else None
        if window is not None and window.kind is WindowKind.CLOSING_AUCTION:
            away.append(last * rules().auction_band.percent / HUNDRED)
        return last + side.sign * min(away) if away else None

    def _of(self, instrument: Instrument, day: date) -> _OfInstrument:
        """An instrument does not change: a new master brings others."""
        key = (instrument.symbol, day)
        found = self._known.get(key)
        if found is None or found.instrument is not instrument:
            if len(self._known) > KEPT:
                self._known.clear()
            found = self._known[key] = self._looked_up(instrument, day)
        return found

    def _looked_up(self, instrument: Instrument, day: date) -> _OfInstrument:
        every = rules()
        session = self._sessions.of(instrument.symbol).session_on(day)
        windows = session.windows if session is not None else ()
        not_taken = tuple(each for each in every.not_taken if each.covers(instrument, day))
        return _OfInstrument(
            instrument,
            expired=bool(windows) and instrument.expiry is not None and instrument.expiry < day,
            not_taken=not_taken,
            not_taken_plain=tuple(each for each in not_taken if not each.ways),
            price_limits=tuple(each for each in every.price_limits if each.covers(instrument, day)),
            stop_distances=tuple(each for each in every.stop_distances if each.covers(instrument, day)),
            freeze=freeze_quantity(instrument, day, self._freeze),
            circuit=self._circuits.get(instrument.symbol),
            session=session,
            has_auction=any(window.kind is WindowKind.CLOSING_AUCTION for window in windows),
        )


KEPT = 4096
"""Instruments and days whose rules are kept in memory."""


def _stop(own: _OfInstrument, terms: Terms) -> Iterator[Broken]:
    if terms.price is None or terms.trigger_price is None:
        return
    for entry in own.stop_distances:
        most, away = entry.around(terms.trigger_price), abs(terms.price - terms.trigger_price)
        if away > most:
            words = f"price {terms.price} may be at most {most:f} from the trigger {terms.trigger_price}, was {away:f}"
            yield Broken(Rule.STOP_DISTANCE, words, entry.source, most, away)


def _prices(own: _OfInstrument, terms: Terms, last_price: LastPrice) -> Iterator[Broken]:
    """A stop is measured when it fires."""
    if terms.price is None or terms.trigger_price is not None:
        return
    last = last_price()
    if last is None:
        return
    for entry in own.price_limits:
        bound = last + terms.side.sign * entry.around(last)
        is_beyond = terms.price > bound if terms.side is Side.BUY else terms.price < bound
        if is_beyond:
            word = "above" if terms.side is Side.BUY else "below"
            words = f"a {terms.side} is not taken {word} {bound:f} while the last price is {last}, was {terms.price}"
            yield Broken(Rule.PRICE_LIMIT, words, entry.source, bound, terms.price)


def _now(
    own: _OfInstrument, terms: Terms, at: datetime, last_price: LastPrice, ways: frozenset[Way]
) -> Iterator[Broken]:
    """What the windows of a session with a closing auction take at that moment."""
    session = own.session
    if session is None or not session.contains(at):
        return
    local, band = at.astimezone(IST), rules().auction_band
    window = session.window_at(at)
    if window is None:
        following = next((each for each in session.windows if each.opens > local.time()), None)
        until = f" until {following.opens:%H:%M}" if following is not None else ""
        words = f"{terms.symbol} takes no orders{until}, it is {local:%H:%M:%S}"
        yield Broken(Rule.NOT_NOW, words, session.source, value=local.isoformat(timespec="seconds"))
    elif not window.may_take(terms.order_type, terms.validity, terms.side):
        kind = terms.order_type if terms.validity is Validity.DAY else f"{terms.validity} {terms.order_type}"
        words = f"{terms.symbol} takes no {kind} orders at {local:%H:%M:%S}, in the {window.kind.replace('_', ' ')}"
        yield Broken(Rule.NOT_NOW, words, session.source, value=local.isoformat(timespec="seconds"))
    elif window.kind is WindowKind.CLOSING_AUCTION and Way.DISCLOSED in ways:
        words = f"{terms.symbol} takes no disclosed quantity at {local:%H:%M:%S}, in the closing auction"
        yield Broken(Rule.NOT_NOW, words, session.source, value=local.isoformat(timespec="seconds"))
    elif window.kind is WindowKind.CLOSING_AUCTION and terms.price is not None and (last := last_price()) is not None:
        most, away = last * band.percent / HUNDRED, abs(terms.price - last)
        if away > most:
            words = f"price {terms.price} may be at most {band.percent} % from {last} in the closing auction"
            yield Broken(Rule.PRICE_LIMIT, words, band.source, most, away)
