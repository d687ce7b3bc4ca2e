"""Whether the exchange and the broker take an order at all, by their rules of the day: `trading/market/rules.py`."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from durable_orders.trading.guardian.check import Check, Failure, When
from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session, SessionSource
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.rules import ExchangeRules, Rule, Way, delivery_of, rules, ways_of
from durable_orders.trading.orders.order import Mode, Side, Terms


@dataclass(frozen=True, slots=True)
class _RuleCheck(Check):
    """Asks for one of the rules. On paper nothing is judged before the market has a time."""

    rules: ExchangeRules
    sessions: SessionSource
    rule: ClassVar[Rule]
    when: ClassVar[When] = When.NEW_PRICE

    def concerns(self, terms: Terms, instrument: Instrument, session: Session) -> bool:
        return self.rules.concerned(self.rule, terms, instrument, session.date)

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        if situation.instrument is None or not situation.has_market_time:
            return None
        at, ways = situation.market_time, ways_of(situation.order)
        calendar = self.sessions.of(terms.symbol)
        session = calendar.session_at_or_after(at)
        if situation.order.mode is Mode.LIVE and not calendar.is_regular(at):
            ways |= {Way.AMO}
        open_at = at if session.contains(at) else None
        for broken in self.rules.broken(terms, session.date, open_at, lambda: situation.last_price, ways):
            if broken.rule is self.rule:
                return Failure(str(broken), broken.limit, broken.value)
        return None


class NotExpired(_RuleCheck):
    """The contract must not have expired before the session that the order is for."""

    code: ClassVar[str] = Rule.EXPIRED.value
    rule: ClassVar[Rule] = Rule.EXPIRED
    when: ClassVar[When] = When.ALWAYS


class TakenAtAll(_RuleCheck):
    """The exchange and the broker must take orders of this type, validity and kind for this instrument."""

    code: ClassVar[str] = Rule.NOT_TAKEN.value
    rule: ClassVar[Rule] = Rule.NOT_TAKEN


class TakenNow(_RuleCheck):
    """A share with a closing auction must take such an order at this moment: from 15:15 to 15:20 it takes none, then no
    SL, no IOC, no disclosed quantity, and prices near the last one only. Live, there is also a while between the close
    and the evening in which neither orders of the day nor after-market orders are taken."""

    code: ClassVar[str] = Rule.NOT_NOW.value
    rule: ClassVar[Rule] = Rule.NOT_NOW
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        at = situation.market_time
        if situation.order.mode is Mode.LIVE and situation.instrument is not None:
            calendar = self.sessions.of(terms.symbol)
            session = calendar.session_on(at.astimezone(IST).date())
            if session is not None and not calendar.is_regular(at) and not calendar.takes_amo(at):
                return _between(terms, at, session.amo_from, session.amo_until)
        return super().__call__(terms, situation)


class WithinPriceLimit(_RuleCheck):
    """A buy may not be too far above, nor a sale too far below the market: limit price protection, and the band of the
    closing auction. Without a last price nothing is judged."""

    code: ClassVar[str] = Rule.PRICE_LIMIT.value
    rule: ClassVar[Rule] = Rule.PRICE_LIMIT


class StopWithinReach(_RuleCheck):
    """The limit of an SL order may not be too far from its trigger."""

    code: ClassVar[str] = Rule.STOP_DISTANCE.value
    rule: ClassVar[Rule] = Rule.STOP_DISTANCE


@dataclass(frozen=True, slots=True)
class NotBeforeDelivery(Check):
    """No order may add to a contract on a share in its last days of trading: it ends in a delivery of shares, and
    margins rise before."""

    sessions: SessionSource
    code: ClassVar[str] = "PHYSICAL_SETTLEMENT"
    settings: ClassVar[tuple[str, ...]] = ("guardian.physical_settlement",)
    figures: ClassVar[Figures] = Figures.SYMBOL

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        instrument = situation.instrument
        if instrument is None or not situation.has_market_time:
            return None
        calendar = self.sessions.of(terms.symbol)
        day = calendar.session_at_or_after(situation.market_time).date
        rule = delivery_of(instrument, day, calendar)
        if rule is None or situation.only_reduces():
            return None
        words = f"{terms.symbol} is settled in shares on {instrument.expiry:%d %b %Y}: in the {rule.days} days of"
        words += f" trading before it only orders that reduce it pass ({rule.source})"
        return Failure(words, instrument.expiry, day)


class NoDeliverySale(Check):
    """No sale of shares held for delivery may leave: without a DDPI the depository must authorise it on the day."""

    code: ClassVar[str] = "DEPOSITORY_AUTHORISATION"
    settings: ClassVar[tuple[str, ...]] = ("guardian.refuse_delivery_sales",)
    when: ClassVar[When] = When.NEW_ORDER

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        rule, exchange = rules().depository, terms.symbol.partition(":")[0]
        if terms.side is Side.BUY or terms.product not in rule.products or exchange not in rule.exchanges:
            return None
        return Failure(f"{rule.words} ({rule.source})", value=terms.product)


OF_EXCHANGE: tuple[type[_RuleCheck], ...] = (NotExpired, TakenAtAll, TakenNow, WithinPriceLimit, StopWithinReach)


def _between(terms: Terms, at: datetime, amo_from: datetime | None, amo_until: datetime | None) -> Failure:
    begins = amo_from if amo_until is None or at >= amo_until else amo_until
    since = (
        f"after-market orders are taken from {begins:%H:%M}" if begins and begins > at else "the session begins soon"
    )
    words = f"{terms.symbol} takes no orders at {at.astimezone(IST):%a %H:%M:%S}: {since}"
    return Failure(words, value=at.isoformat(timespec="seconds"))
