"""The kinds of faults, what each does, and which requests it can strike."""

from dataclasses import dataclass
from enum import StrEnum

from durable_orders.sandbox.routes import BOOK_READS, ORDER_REQUESTS, WITHOUT_TOKEN, Route


class FaultKind(StrEnum):
    ACCEPT_THEN_DROP = "accept_then_drop"
    ACCEPT_THEN_504 = "accept_then_504"
    ACCEPT_THEN_500 = "accept_then_500"
    ACCEPT_THEN_LATE = "accept_then_late"
    EMPTY_BODY = "empty_body"
    NO_ERROR_TYPE = "no_error_type"
    SUCCESS_WITH_500 = "success_with_500"
    REDIRECTED = "redirected"
    REDIRECTED_NOWHERE = "redirected_nowhere"
    DRIPPING = "dripping"
    REFUSE_CONNECTION = "refuse_connection"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVICE_UNAVAILABLE = "service_unavailable"
    REFUSED = "refused"
    TOKEN_FLUSHED = "token_flushed"  # noqa: S105
    BOOK_UNREADABLE = "book_unreadable"
    BOOK_STALE = "book_stale"
    ORDER_HIDDEN = "order_hidden"
    GTT_HIDDEN = "gtt_hidden"
    STUCK_OPEN_PENDING = "stuck_open_pending"
    REJECTED_LATER = "rejected_later"
    MARKET_RESTS = "market_rests"
    MARKET_REFUSED = "market_refused"
    SLICE_REFUSED = "slice_refused"
    FILL_DURING_CANCEL = "fill_during_cancel"
    PARTIAL_THEN_CANCEL = "partial_then_cancel"
    FOREIGN_ORDER = "foreign_order"
    SOCKET_SILENT = "socket_silent"
    UPDATES_LOST = "updates_lost"
    UPDATES_DOUBLED = "updates_doubled"
    UPDATES_REORDERED = "updates_reordered"


@dataclass(frozen=True, slots=True)
class Nature:
    """What a kind of fault does, where it can strike, and which seconds it takes if none are given."""

    effect: str
    routes: frozenset[Route] = frozenset()
    """Where it strikes unless the rule says otherwise. Empty: not a fault of single requests."""
    seconds: float | None = None
    """`None`: the kind knows no duration."""


ALL = frozenset(Route) - WITHOUT_TOKEN
PLACE, CANCEL = frozenset({Route.PLACE}), frozenset({Route.CANCEL})
FOR_GOOD = 1e9
K = FaultKind

NATURES: dict[FaultKind, Nature] = {
    K.ACCEPT_THEN_DROP: Nature("does what was asked, then closes the connection without an answer", ORDER_REQUESTS),
    K.ACCEPT_THEN_504: Nature("does what was asked, then answers 504 with an HTML page", ORDER_REQUESTS),
    K.ACCEPT_THEN_500: Nature("does what was asked, then answers 500 NetworkException", ORDER_REQUESTS),
    K.ACCEPT_THEN_LATE: Nature("does what was asked, and answers after `seconds`", ORDER_REQUESTS, 10),
    K.EMPTY_BODY: Nature("does what was asked, and answers 200 with an empty body", ORDER_REQUESTS),
    K.NO_ERROR_TYPE: Nature("does what was asked, and answers 500 in JSON without error_type", ORDER_REQUESTS),
    K.SUCCESS_WITH_500: Nature("does what was asked, and answers 500 with the success envelope", ORDER_REQUESTS),
    K.REDIRECTED: Nature("does what was asked, and answers 303 to a page with another answer", ORDER_REQUESTS),
    K.REDIRECTED_NOWHERE: Nature("does what was asked, and answers 307 to a host that is not there", ORDER_REQUESTS),
    K.DRIPPING: Nature("does what was asked, and answers with a byte every `seconds`", ORDER_REQUESTS, 1),
    K.REFUSE_CONNECTION: Nature("closes the connection without doing anything", ORDER_REQUESTS),
    K.TOO_MANY_REQUESTS: Nature("answers 429 without doing anything", ORDER_REQUESTS),
    K.SERVICE_UNAVAILABLE: Nature("answers 503 NetworkException without doing anything", ORDER_REQUESTS),
    K.REFUSED: Nature("answers `http_status`, `error_type` and `message` without doing anything", PLACE),
    K.TOKEN_FLUSHED: Nature("ends all access tokens, and answers 403 without doing anything", ALL),
    K.BOOK_UNREADABLE: Nature("answers 502 DataException to a reading of orders or trades", BOOK_READS),
    K.BOOK_STALE: Nature("shows orders or trades as they were `seconds` ago", BOOK_READS, 5),
    K.ORDER_HIDDEN: Nature("takes an order that no book, history or trade shows for `seconds`", PLACE, 5),
    K.GTT_HIDDEN: Nature(
        "takes a GTT that neither the list nor its own page shows for `seconds`", frozenset({Route.GTT_PLACE}), 5
    ),
    K.STUCK_OPEN_PENDING: Nature("takes an order that stays OPEN PENDING for `seconds`", PLACE, FOR_GOOD),
    K.REJECTED_LATER: Nature("takes an order, and its row is REJECTED with `message`", PLACE),
    K.MARKET_RESTS: Nature("takes a MARKET order as a LIMIT order that the price has moved away from", PLACE),
    K.MARKET_REFUSED: Nature("refuses a MARKET order with `message`, as of options deep in the money", PLACE),
    K.SLICE_REFUSED: Nature("takes an autoslice order without one of its slices, refused with `message`", PLACE),
    K.FILL_DURING_CANCEL: Nature("takes a cancel, but the order is filled before it gets there", CANCEL),
    K.PARTIAL_THEN_CANCEL: Nature("takes a cancel, and half of the order is filled before it gets there", CANCEL),
    K.FOREIGN_ORDER: Nature("places an order of somebody else, without a tag, beside the one that is placed", PLACE),
    K.SOCKET_SILENT: Nature("at a heartbeat: the socket stays open and says nothing for `seconds`", seconds=FOR_GOOD),
    K.UPDATES_LOST: Nature("an order update is sent to nobody, neither by socket nor as a postback"),
    K.UPDATES_DOUBLED: Nature("an order update is sent twice"),
    K.UPDATES_REORDERED: Nature("an order update is sent after the next one, or after `seconds`", seconds=1),
}

SPECIAL = frozenset(
    {
        *(K.GTT_HIDDEN, K.ORDER_HIDDEN, K.STUCK_OPEN_PENDING, K.REJECTED_LATER, K.FOREIGN_ORDER),
        *(K.FILL_DURING_CANCEL, K.PARTIAL_THEN_CANCEL, K.BOOK_STALE, K.SLICE_REFUSED),
        *(K.MARKET_RESTS, K.MARKET_REFUSED),
    }
)
"""Kinds that make sense on their own routes only; the rest can strike any route that needs a token."""


def possible_routes(kind: FaultKind) -> frozenset[Route]:
    return NATURES[kind].routes if kind in SPECIAL or not NATURES[kind].routes else ALL
