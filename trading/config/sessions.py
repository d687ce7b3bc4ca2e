"""The parts of a trading day, as sections of the settings and of `market/data/sessions.yaml`. All times are IST."""

from datetime import date, time
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from durable_orders.trading.config.sections import ClockTime, Section
from durable_orders.trading.orders.order import OrderType, Side, Validity


class MarketSegment(StrEnum):
    """Instruments that keep the same hours."""

    EQUITY = "equity"
    """Shares of NSE and BSE that have no futures and options."""
    AUCTION_EQUITY = "auction_equity"
    """Shares that have futures and options: since 3 August 2026 they end in the closing auction."""
    EQUITY_FUTURES = "equity_futures"
    """NFO and BFO."""
    EQUITY_OPTIONS = "equity_options"
    """NFO and BFO."""
    CURRENCY = "currency"
    """CDS and BCD."""
    COMMODITY = "commodity"
    """MCX and NCO: what is quoted around the world, such as metals and energy."""
    AGRI = "agri"
    """Farm products that trade until the end of the morning session."""
    AGRI_INTERNATIONAL = "agri_international"
    """Farm products with a price abroad, such as cotton."""


EQUITY_DERIVATIVES = (MarketSegment.EQUITY_FUTURES, MarketSegment.EQUITY_OPTIONS)


class WindowKind(StrEnum):
    PRE_OPEN = "pre_open"
    CONTINUOUS = "continuous"
    CLOSING_AUCTION = "closing_auction"
    POST_CLOSE = "post_close"
    """Trades at the closing price."""


class Window(Section):
    """A part of the day in which orders are taken. Its end does not belong to it."""

    opens: ClockTime
    closes: ClockTime
    kind: WindowKind = WindowKind.CONTINUOUS
    may_close_from: ClockTime | None = None
    """From then on the exchange may end it at any moment, at random."""
    order_types: tuple[OrderType, ...] = tuple(OrderType)
    validities: tuple[Validity, ...] = tuple(Validity)
    sides: tuple[Side, ...] = tuple(Side)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError(f"opens: must be before closes, was {self.opens:%H:%M} to {self.closes:%H:%M}")
        if self.may_close_from is not None and not self.opens <= self.may_close_from < self.closes:
            raise ValueError(f"may_close_from: must be within the window, was {self.may_close_from:%H:%M}")
        return self

    def may_take(self, order_type: OrderType, validity: Validity, side: Side) -> bool:
        """Whether such an order is taken while the window lasts."""
        return order_type in self.order_types and validity in self.validities and side in self.sides

    def takes(self, at: time, order_type: OrderType, validity: Validity, side: Side) -> bool:
        """Whether such an order is surely taken at that time of the day."""
        ends = self.may_close_from or self.closes
        return self.may_take(order_type, validity, side) and self.opens <= at < ends


def in_order(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """Raises `ValueError` unless each begins when the one before it has ended."""
    for before, after in pairwise(windows):
        if after.opens < before.closes:
            both = " and ".join(f"{each.opens:%H:%M}-{each.closes:%H:%M}" for each in (before, after))
            raise ValueError(f"must follow one another without overlapping, were {both}")
    return windows


class SegmentHours(Section):
    """One segment's ordinary day, where it is not as `market/data/sessions.yaml` has it."""

    windows: tuple[Window, ...] | None = None
    """On every day with ordinary hours, of whatever year."""
    mis_cutoff: ClockTime | None = None
    """From then on Zerodha takes no MIS order. RMS may move it at any time."""

    _windows_in_order = field_validator("windows")(lambda windows: windows and in_order(windows))


class Sessions(Section):
    """What of the ordinary days of `market/data/sessions.yaml` is otherwise; a segment that is not set is as there."""

    equity: SegmentHours = SegmentHours()
    auction_equity: SegmentHours = SegmentHours()
    equity_derivatives: SegmentHours = SegmentHours()
    currency: SegmentHours = SegmentHours()
    commodity: SegmentHours = SegmentHours()
    agri: SegmentHours = SegmentHours()
    agri_international: SegmentHours = SegmentHours()

    def of(self, segment: MarketSegment) -> SegmentHours:
        found: SegmentHours = getattr(self, "equity_derivatives" if segment in EQUITY_DERIVATIVES else segment)
        return found


class MarketException(Section):
    """One day that is otherwise than the calendar says. With neither `closed` nor `windows` it has ordinary hours."""

    date: date
    segments: tuple[MarketSegment, ...] = tuple(MarketSegment)
    closed: bool = False
    windows: tuple[Window, ...] = ()
    reason: Annotated[str, Field(max_length=200)] = ""
    """Such as the number of the circular; shown as the source."""

    _windows_in_order = field_validator("windows")(in_order)

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.closed and self.windows:
            raise ValueError("windows: a day that is closed has none")
        return self
