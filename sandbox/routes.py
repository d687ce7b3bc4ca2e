"""The names of the sandbox's routes: what faults, limits and the tally call them."""

from enum import StrEnum


class Route(StrEnum):
    LOGIN = "login"
    LANDING = "landing"
    GENERATE_SESSION = "generate_session"
    INVALIDATE_SESSION = "invalidate_session"
    PROFILE = "profile"
    MARGINS = "margins"
    SEGMENT_MARGINS = "segment_margins"
    ORDER_MARGINS = "order_margins"
    BASKET_MARGINS = "basket_margins"
    CONTRACT_NOTE = "contract_note"
    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"
    ORDER_BOOK = "order_book"
    ORDER_HISTORY = "order_history"
    TRADES = "trades"
    ORDER_TRADES = "order_trades"
    POSITIONS = "positions"
    CONVERT = "convert"
    HOLDINGS = "holdings"
    AUCTIONS = "auctions"
    QUOTE = "quote"
    OHLC = "ohlc"
    LTP = "ltp"
    HISTORY = "history"
    TRIGGER_RANGE = "trigger_range"
    INSTRUMENTS = "instruments"
    EXCHANGE_INSTRUMENTS = "exchange_instruments"
    GTT_PLACE = "gtt_place"
    GTT_MODIFY = "gtt_modify"
    GTT_DELETE = "gtt_delete"
    GTT_LIST = "gtt_list"
    GTT = "gtt"
    SOCKET = "socket"


ORDER_REQUESTS = frozenset({Route.PLACE, Route.MODIFY, Route.CANCEL})
GTT_REQUESTS = frozenset({Route.GTT_PLACE, Route.GTT_MODIFY, Route.GTT_DELETE})
"""Kite counts them among neither orders nor their changes (Kite staff)."""
QUOTES = frozenset({Route.QUOTE, Route.OHLC, Route.LTP})
MARKET_DATA = QUOTES | {Route.HISTORY}
"""What Kite's free plan does not have, besides the socket."""
BOOK_READS = frozenset({Route.ORDER_BOOK, Route.ORDER_HISTORY, Route.TRADES, Route.ORDER_TRADES})
WITHOUT_TOKEN = frozenset(
    {
        Route.LOGIN,
        Route.LANDING,
        Route.GENERATE_SESSION,
        Route.INVALIDATE_SESSION,
        Route.INSTRUMENTS,
        Route.EXCHANGE_INSTRUMENTS,
        Route.SOCKET,
    }
)
"""Served without the Authorization header. The instruments are public (Kite staff); the socket checks for itself."""
READS = frozenset(Route) - ORDER_REQUESTS - MARKET_DATA - WITHOUT_TOKEN


_BY_NAME: dict[str | None, Route] = {route.value: route for route in Route}


def route_of(name: str | None) -> Route | None:
    """`None` for the control endpoint and for what is not there."""
    return _BY_NAME.get(name)
