"""When an armed fault strikes, and which rules make sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from durable_orders.sandbox.fault_kinds import NATURES, FaultKind, possible_routes
from durable_orders.sandbox.faults import FaultRule, Faults
from durable_orders.sandbox.routes import Route

DROP = FaultKind.ACCEPT_THEN_DROP


def strikes(faults: Faults, times: int, kind: FaultKind = DROP, route: Route = Route.PLACE) -> list[bool]:
    return [faults.take(kind, route) is not None for _ in range(times)]


def test_the_next_time_is_once() -> None:
    faults = Faults(0, [FaultRule(kind=DROP, next=True)])
    assert strikes(faults, 3) == [True, False, False]
    assert faults.struck == {DROP: 1}


@given(st.integers(1, 20))
def test_a_count_is_so_many_times_in_a_row(count: int) -> None:
    faults = Faults(0, [FaultRule(kind=DROP, count=count)])
    assert strikes(faults, 25) == [True] * count + [False] * (25 - count)


@given(st.integers(), st.floats(0.05, 0.95))
def test_a_probability_strikes_the_same_requests_for_the_same_seed(seed: int, probability: float) -> None:
    rule = FaultRule(kind=DROP, probability=probability)
    first, second = Faults(seed, [rule]), Faults(seed, [rule])
    struck = strikes(first, 400)
    strikes(second, 50, FaultKind.TOO_MANY_REQUESTS)
    assert strikes(second, 400) == struck, "another kind draws from its own numbers"
    assert abs(sum(struck) / 400 - probability) < 0.2
    assert first.struck[DROP] == sum(struck)


def test_a_certain_fault_strikes_always_and_an_unarmed_one_never() -> None:
    faults = Faults(0, [FaultRule(kind=DROP, probability=1)])
    assert all(strikes(faults, 50))
    assert not any(strikes(faults, 50, FaultKind.EMPTY_BODY))


def test_a_rule_strikes_its_routes_only() -> None:
    faults = Faults(0, [FaultRule(kind=DROP, count=2, routes=frozenset({Route.CANCEL}))])
    assert not any(strikes(faults, 3))
    assert strikes(faults, 1, route=Route.CANCEL) == [True]
    faults.clear()
    faults.arm(FaultRule(kind=DROP, count=1))
    assert not any(strikes(faults, 3, route=Route.ORDER_BOOK)), "by itself it strikes order requests"
    assert strikes(faults, 1, route=Route.MODIFY) == [True]


def test_two_rules_of_a_kind_strike_one_after_the_other() -> None:
    faults = Faults(0, [FaultRule(kind=FaultKind.BOOK_STALE, next=True, seconds=seconds) for seconds in (1, 2)])
    taken = [faults.take(FaultKind.BOOK_STALE, Route.ORDER_BOOK) for _ in range(3)]
    assert [rule.lasts if rule else None for rule in taken] == [1, 2, None]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": DROP}, "exactly one of"),
        ({"kind": DROP, "next": True, "count": 1}, "exactly one of"),
        ({"kind": DROP, "probability": 0}, "greater than 0"),
        ({"kind": DROP, "probability": 1.1}, "less than or equal to 1"),
        ({"kind": DROP, "count": 0}, "greater than 0"),
        ({"kind": DROP, "next": True, "seconds": 3}, "knows no duration"),
        ({"kind": DROP, "next": True, "routes": ["login"]}, "strikes only"),
        ({"kind": "order_hidden", "next": True, "routes": ["cancel"]}, "strikes only"),
        ({"kind": "updates_lost", "next": True, "routes": ["place"]}, "by itself"),
        ({"kind": DROP, "next": True, "message": "no"}, "takes none"),
        ({"kind": "rejected_later", "next": True, "http_status": 400}, "takes none"),
        ({"kind": "refused", "next": True, "http_status": 200}, "greater than or equal to 400"),
        ({"kind": DROP, "next": True, "when": "now"}, "Extra inputs"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FaultRule.model_validate(rule)


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_is_described_and_strikes_where_it_may(kind: FaultKind) -> None:
    nature = NATURES[kind]
    assert nature.effect
    assert nature.routes <= possible_routes(kind)
    seconds = {} if nature.seconds is None else {"seconds": 0.5}
    rule = FaultRule.model_validate({"kind": kind, "next": True, **seconds})
    faults = Faults(0, [rule])
    route = min(nature.routes) if nature.routes else None
    assert faults.take(kind, route) == rule
    assert rule.lasts == (0.5 if seconds else 0.0)
