"""Faults as chance arms them: every kind of the sandbox, for the next time, for some times, or for a while."""

from random import Random
from typing import Any

from durable_orders.sandbox import FaultRule
from durable_orders.sandbox.fault_kinds import SPECIAL, FaultKind
from durable_orders.sandbox.routes import BOOK_READS, ORDER_REQUESTS, Route

K = FaultKind
SECONDS: dict[FaultKind, tuple[float, float]] = {
    K.ACCEPT_THEN_LATE: (1.2, 3.0),
    K.BOOK_STALE: (0.5, 5.0),
    K.ORDER_HIDDEN: (0.5, 8.0),
    K.STUCK_OPEN_PENDING: (0.5, 10.0),
    K.SOCKET_SILENT: (2.0, 30.0),
    K.UPDATES_REORDERED: (0.1, 2.0),
    K.DRIPPING: (0.1, 1.0),
}
"""From, to. The longest outlast the settle window of a run, so that twins and late arrivals come about."""
ANYWHERE = (
    *(K.ACCEPT_THEN_DROP, K.ACCEPT_THEN_504, K.ACCEPT_THEN_500, K.EMPTY_BODY, K.NO_ERROR_TYPE, K.SUCCESS_WITH_500),
    *(K.REFUSE_CONNECTION, K.TOO_MANY_REQUESTS, K.SERVICE_UNAVAILABLE),
    *(K.REDIRECTED, K.REDIRECTED_NOWHERE, K.DRIPPING),
)
"""Kinds that also strike the readings of the book, and not only order requests."""
LOST_ANSWERS = (K.ACCEPT_THEN_DROP, K.ACCEPT_THEN_504, K.ACCEPT_THEN_500)
REFUSALS: tuple[dict[str, Any], ...] = (
    {"http_status": 400, "error_type": "MarginException", "message": "Insufficient funds. Required margin is 1.00."},
    {"http_status": 400, "error_type": "InputException", "message": "The order price is outside of the LPP range."},
    {"http_status": 400, "error_type": "OrderException", "message": "Trading in this stock is suspended."},
    {"http_status": 428, "error_type": "OrderException", "message": "Needs authorisation at depository."},
    {},
)
"""The last one is the static-IP rule, which halts the account."""


def some_faults(random: Random) -> list[FaultRule]:
    """One, and with what makes the book hard to read sometimes a lost answer: then the book is what is asked."""
    kind = random.choice(list(FaultKind))
    rules = [FaultRule(kind=kind, **_when(random, kind), **_how(random, kind))]
    if kind in (K.ORDER_HIDDEN, K.BOOK_STALE, K.BOOK_UNREADABLE) and random.random() < 0.6:
        rules.append(FaultRule(kind=random.choice(LOST_ANSWERS), next=True, routes=frozenset({Route.PLACE})))
    return rules


def _when(random: Random, kind: FaultKind) -> dict[str, Any]:
    chance = random.random()
    if kind is K.TOKEN_FLUSHED or chance < 0.6:
        return {"next": True}
    return {"count": random.randint(2, 3)} if chance < 0.9 else {"probability": round(random.uniform(0.1, 0.6), 2)}


def _how(random: Random, kind: FaultKind) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if kind in SECONDS:
        rule["seconds"] = round(random.uniform(*SECONDS[kind]), 2)
    if kind in ANYWHERE and random.random() < 0.3:
        rule["routes"] = _sorted(BOOK_READS)
    elif kind not in SPECIAL and kind in ANYWHERE and random.random() < 0.3:
        rule["routes"] = [random.choice(_sorted(ORDER_REQUESTS))]
    return rule | (random.choice(REFUSALS) if kind is K.REFUSED else {})


def _sorted(routes: frozenset[Route]) -> list[Route]:
    """Sets have no order of their own from run to run."""
    return sorted(routes)
