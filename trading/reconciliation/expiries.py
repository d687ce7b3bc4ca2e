"""When contracts expire, and how they are settled then: asked of what is held, whatever the master still has."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from durable_orders.trading.charges.contracts import contract_of, expires_by, multiplier_of
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import rules
from durable_orders.trading.orders.book import BrokerPosition
from durable_orders.trading.orders.order import PRICE_PLACES
from durable_orders.trading.reconciliation.compare import SAME_MONEY


class Expiries:
    """Kite's master forgets a contract after its last day: then its symbol says by when it has expired."""

    def __init__(self, instruments: Instruments, sessions: SessionSource) -> None:
        self._instruments = instruments
        self._sessions = sessions

    def day_of(self, symbol: str) -> date | None:
        """The last day of trading, or the day by which it is certainly over; `None` for what does not expire."""
        instrument = self._instruments.get(symbol)
        if instrument is not None:
            return instrument.expiry
        return expires_by(symbol)

    def closes_at(self, symbol: str) -> datetime | None:
        """The end of its last session, or of the day by which it is certainly over."""
        day = self.day_of(symbol)
        if day is None:
            return None
        end = datetime.combine(day + timedelta(days=1), datetime.min.time(), IST)
        session = self._sessions.of(symbol).session_on(day)
        return end if session is None else session.closes

    def is_over(self, symbol: str, now: datetime) -> bool:
        closes = self.closes_at(symbol)
        return closes is not None and now >= closes

    def is_settled_in_shares(self, symbol: str) -> bool:
        """Whether what is held of it at the end is delivered: contracts of shares. Those of an index settle in cash, of
        commodities and currencies as their exchange says."""
        contract = contract_of(symbol)
        if contract is None or contract.underlying in rules().indices.names:
            return False
        return any(contract.exchange in each.exchanges for each in rules().physical_settlement)


def settlement_price(held: int, paid_today: Decimal, row: BrokerPosition) -> Decimal | None:
    """At what price the broker has settled a position of so many that it does not have any more: as its own figures of
    the day say, and `None` where they do not. `paid_today` are the rupees of the day's trades and entries in it.

    All that was carried into the day and traded in it is closed at that price, so the day's profit tells it.
    """
    day = row.day
    if day is None or row.quantity or not held or (day.overnight and not day.close):
        return None
    size = multiplier_of(row.symbol)
    price = (day.profit + paid_today + day.overnight * day.close * size) / (held * size)
    rounded = price.quantize(PRICE_PLACES)
    if rounded < 0 or abs(rounded - price) * abs(held) * size > SAME_MONEY:
        return None
    return rounded
