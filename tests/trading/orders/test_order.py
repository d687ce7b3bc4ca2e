"""What an intent accepts and refuses, ids and tags, and orders and amendments as values."""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from pydantic import ValidationError

from durable_orders.trading.orders.order import (
    TERMINAL,
    Amendment,
    BrokerOrderId,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Status,
    Terms,
    order_id,
    tag_of,
)
from tests.trading.orders.strategies import (
    PROVE,
    START,
    fills,
    intents,
    moments,
    names,
    odd_names,
    odd_numbers,
    prices,
    quantities,
    symbols,
)

LIMIT = Terms(symbol="NSE:INFY", side=Side.BUY, quantity=10, order_type=OrderType.LIMIT, price=Decimal(1500))
STOP = Amendment(order_type=OrderType.SL, trigger_price=Decimal(1490)).applied_to(LIMIT)


def intent(**fields: Any) -> OrderIntent:
    return OrderIntent.model_validate({"symbol": "NSE:INFY", "side": "BUY", "quantity": 10} | fields)


def named_in(error: ValidationError) -> set[str]:
    """The fields that the errors name: by their place, or as `field: rule` where two fields do not fit together."""
    found = set()
    for problem in error.errors():
        place = [str(part) for part in problem["loc"]]
        found.add(place[0] if place else problem["msg"].removeprefix("Value error, ").split(":")[0])
    return found


def attempt(fields: dict[str, Any]) -> tuple[OrderIntent | None, set[str]]:
    """The intent, or the fields that its refusal names."""
    try:
        return OrderIntent(**fields), set()
    except ValidationError as error:
        return None, named_in(error)


# What the rules say, written down a second time and independently of pydantic.


def is_quantity(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 1_000_000_000


def is_price(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return False
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        return False
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return False
    if not number.is_finite() or not 0 < number < 10**10:
        return False
    _, digits, exponent = number.as_tuple()
    trailing = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return int(exponent) + trailing >= -4


def is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value) is not None


def is_symbol(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Z]{2,5}:[A-Z0-9&_ .-]{1,40}", value) is not None


CHECKS = {
    "symbol": is_symbol,
    "side": lambda value: value in ("BUY", "SELL"),
    "order_type": lambda value: value in ("MARKET", "LIMIT", "SL", "SL-M"),
    "product": lambda value: value in ("MIS", "NRML", "CNC", "MTF"),
    "quantity": is_quantity,
    "price": is_price,
    "trigger_price": is_price,
    "account": is_name,
    "client_order_id": lambda value: is_name(value) and value not in (".", ".."),
    "strategy": is_name,
}


def misfits(fields: dict[str, Any]) -> Iterable[str]:
    """The price fields that do not fit the order type, where each field by itself is good."""
    price, trigger = fields["price"], fields["trigger_price"]
    if (price is not None) != (fields["order_type"] in ("LIMIT", "SL")):
        yield "price"
    if (trigger is not None) != (fields["order_type"] in ("SL", "SL-M")):
        yield "trigger_price"
    if price is not None and trigger is not None:
        gap = Decimal(str(price)) - Decimal(str(trigger))
        if gap < 0 if fields["side"] == "BUY" else gap > 0:
            yield "price"


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "symbol": symbols,
    "side": st.sampled_from([*Side, "BUY"]),
    "order_type": st.sampled_from([*OrderType, "SL-M"]),
    "product": st.sampled_from([*Product, "MTF"]),
    "quantity": quantities,
    "price": st.none() | prices,
    "trigger_price": st.none() | prices,
    "account": names,
    "client_order_id": names,
    "strategy": names,
}
ODD: dict[str, st.SearchStrategy[Any]] = {
    "symbol": odd_names,
    "side": st.sampled_from(["buy", "", None, 1]),
    "order_type": st.sampled_from(["SLM", "GTT", "limit", None]),
    "product": st.sampled_from(["BO", "", None]),
    "quantity": odd_numbers,
    "price": odd_numbers,
    "trigger_price": odd_numbers,
    "account": odd_names,
    "client_order_id": odd_names,
    "strategy": odd_names,
}


@st.composite
def raw_intents(draw: st.DrawFn) -> dict[str, Any]:
    """Good fields, of which up to three are exchanged for whatever a caller may pass."""
    exchanged = draw(st.sets(st.sampled_from(sorted(ODD)), max_size=3))
    return {field: draw((ODD if field in exchanged else GOOD)[field]) for field in GOOD}


@PROVE
@given(raw_intents())
def test_an_intent_is_good_or_every_fault_is_named(fields: dict[str, Any]) -> None:
    accepted, named = attempt(fields)
    faults = {field for field, good in CHECKS.items() if not good(fields[field])}
    if faults:
        assert named == faults
    elif misfit := set(misfits(fields)):
        assert named
        assert named <= misfit
    else:
        assert accepted is not None
        assert OrderIntent.model_validate_json(accepted.model_dump_json()) == accepted


@PROVE
@given(intents())
def test_a_valid_intent_survives_json_and_becomes_a_pending_order(given_intent: OrderIntent) -> None:
    again = OrderIntent.model_validate_json(given_intent.model_dump_json())
    assert again == given_intent
    assert again.fingerprint() == given_intent.fingerprint()
    order = Order.from_intent(given_intent, START)
    assert (order.status, order.fills, order.broker_order_id) == (Status.PENDING, (), None)
    assert order.created_at == order.updated_at == START
    assert Order.model_validate_json(order.model_dump_json()) == order


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -10}, "quantity"),
        ({"quantity": 10.0}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": "10"}, "quantity"),
        ({"quantity": 10**400}, "quantity"),
        ({"order_type": "LIMIT"}, "price"),
        ({"price": 1500}, "price"),
        ({"order_type": "LIMIT", "price": "NaN"}, "price"),
        ({"order_type": "LIMIT", "price": Decimal("Infinity")}, "price"),
        ({"order_type": "LIMIT", "price": "1500.00001"}, "price"),
        ({"order_type": "LIMIT", "price": 1500, "trigger_price": 1490}, "trigger_price"),
        ({"order_type": "SL-M"}, "trigger_price"),
        ({"order_type": "SL", "price": 1490, "trigger_price": 1500}, "price"),
        ({"order_type": "SL", "side": "SELL", "price": 1500, "trigger_price": 1490}, "price"),
        ({"symbol": "INFY"}, "symbol"),
        ({"symbol": "NSE:infy"}, "symbol"),
        ({"symbol": "NSE:INFY\n"}, "symbol"),
        ({"client_order_id": "x" * 10_000}, "client_order_id"),
        ({"client_order_id": "a/b"}, "client_order_id"),
        ({"client_order_id": "a:b"}, "client_order_id"),
        ({"client_order_id": ""}, "client_order_id"),
        ({"account": "a\x07"}, "account"),
        ({"strategy": "stratégie"}, "strategy"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "nul \0"}, "reason"),
        ({"reason": "half a \ud800"}, "reason"),
        ({"place_by": datetime(2026, 1, 5, 9, 15)}, "place_by"),  # noqa: DTZ001 - that is the fault
        ({"lots": 2}, "lots"),
    ],
)
def test_a_fault_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        intent(**fields)
    assert named_in(refusal.value) == {named}


@pytest.mark.parametrize(("side", "price"), [("BUY", 1500), ("BUY", 1501), ("SELL", 1500), ("SELL", 1499)])
def test_a_stop_limit_may_lie_at_its_trigger_or_beyond(side: str, price: int) -> None:
    accepted = intent(side=side, order_type="SL", price=price, trigger_price=1500)
    assert (accepted.price, accepted.trigger_price) == (Decimal(price), Decimal(1500))


def test_two_intents_without_an_id_are_two_orders() -> None:
    assert intent().order_id != intent().order_id


@PROVE
@given(st.tuples(names, names), st.tuples(names, names))
@example(("a", "b"), ("a", "b"))
@example(("a", "b-c"), ("a-b", "c"))
def test_ids_and_tags_are_one_to_one(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = order_id(*one), order_id(*other)
    assert first == f"order:{one[0]}:{one[1]}"
    assert (first == second) == (one == other)
    assert (tag_of(first) == tag_of(second)) == (one == other)
    assert re.fullmatch("[0-9a-z]{20}", tag_of(first))


def test_a_tag_never_changes_between_versions() -> None:
    """Orders of an older version that are still open are looked up by it."""
    assert tag_of(order_id("paper", "first")) == "4f247aa0e372a9c9141a"


@st.composite
def pairs(draw: st.DrawFn) -> tuple[OrderIntent, OrderIntent]:
    """An intent, and the same intent as it is or with some fields of another one."""
    one, other = draw(intents()), draw(intents())
    taken = draw(st.sets(st.sampled_from(sorted(OrderIntent.model_fields)), max_size=2))
    try:
        mixed = OrderIntent(**dict(one) | {field: getattr(other, field) for field in taken})
    except ValidationError:
        reject()
    return one, mixed


@PROVE
@given(pairs())
def test_fingerprints_are_equal_for_equal_content_only(pair: tuple[OrderIntent, OrderIntent]) -> None:
    one, other = (intent.model_copy(update={"place_by": None}) for intent in pair)
    assert (one.fingerprint() == other.fingerprint()) == (one == other)
    assert [one.fingerprint(), other.fingerprint()] == [intent.fingerprint() for intent in pair], (
        "whatever the deadline"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"price": 1500}, {"price": "1500.00"}),
        ({"price": 1500.0}, {"price": Decimal("1.5E+3")}),
        ({"price": 1, "place_by": "2026-01-05T09:15:00+05:30"}, {"price": 1, "place_by": "2026-01-06T09:15:00+05:30"}),
    ],
)
def test_the_same_content_in_other_words_has_the_same_fingerprint(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = {"order_type": "LIMIT", "client_order_id": "one"}
    assert intent(**same, **one).fingerprint() == intent(**same, **other).fingerprint()


def order(status: Status, *trades: Fill, broker_order_id: str | None = "B1") -> Order:
    content = dict(Order.from_intent(intent(client_order_id="one"), START))
    own = BrokerOrderId(broker_order_id) if broker_order_id else None
    return Order(**content | {"status": status, "fills": trades, "broker_order_id": own})


def fill(number: int, quantity: int, price: str) -> Fill:
    return Fill.model_validate(
        {"trade_id": f"T{number}", "broker_order_id": "B1", "quantity": quantity, "price": price, "at": START}
    )


@pytest.mark.parametrize("status", [Status.PENDING, Status.PLACED])
def test_an_order_that_has_not_traded_has_no_fills(status: Status) -> None:
    with pytest.raises(ValidationError, match="status: "):
        order(status, fill(1, 10, "1500"))


@pytest.mark.parametrize("status", [Status.PARTIAL, Status.FILLED])
def test_an_order_that_has_traded_has_fills(status: Status) -> None:
    with pytest.raises(ValidationError, match="status: "):
        order(status)
    assert order(status, fill(1, 10, "1500")).status is status


@pytest.mark.parametrize("status", [Status.PLACED, Status.PARTIAL, Status.FILLED])
def test_an_order_that_the_broker_has_carries_the_brokers_id(status: Status) -> None:
    trades = () if status is Status.PLACED else (fill(1, 10, "1500"),)
    with pytest.raises(ValidationError, match="status: "):
        order(status, *trades, broker_order_id=None)
    assert order(status, *trades).broker_order_id == "B1"


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_every_end_can_carry_fills(status: Status) -> None:
    assert order(status, fill(1, 4, "1500")).filled_quantity == 4


def test_the_average_price_is_weighted_by_volume() -> None:
    filled = order(Status.PARTIAL, fill(1, 1, "100"), fill(2, 2, "100.05"))
    assert (filled.filled_quantity, filled.remaining) == (3, 7)
    assert filled.filled_value == Decimal("300.10")
    assert filled.average_price == Decimal("100.0333")
    assert order(Status.PLACED).average_price is None


@PROVE
@given(intents(), st.lists(fills, min_size=1, max_size=4), st.sampled_from(sorted(TERMINAL | {Status.PARTIAL})))
def test_an_order_survives_json_with_its_computed_fields(wanted: OrderIntent, trades: list[Fill], at: Status) -> None:
    content = dict(Order.from_intent(wanted, START))
    whole = Order(**content | {"status": at, "fills": tuple(trades), "broker_order_id": BrokerOrderId("B1")})
    shown = whole.model_dump(mode="json")
    assert shown["filled_quantity"] == sum(trade.quantity for trade in trades)
    assert Decimal(shown["average_price"]) == whole.average_price
    assert Order.model_validate_json(whole.model_dump_json()) == whole


def test_computed_figures_are_never_taken_from_outside() -> None:
    shown = order(Status.PARTIAL, fill(1, 4, "1500")).model_dump(mode="json")
    forged = Order.model_validate(shown | {"filled_quantity": 10, "average_price": "1"})
    assert (forged.filled_quantity, forged.average_price) == (4, Decimal(1500))


def test_an_amendment_changes_something() -> None:
    with pytest.raises(ValidationError, match="amendment: "):
        Amendment()


@pytest.mark.parametrize(
    ("terms", "change", "after"),
    [
        (LIMIT, Amendment(quantity=20), (OrderType.LIMIT, 20, 1500, None)),
        (LIMIT, Amendment(price=Decimal(1510)), (OrderType.LIMIT, 10, 1510, None)),
        (LIMIT, Amendment(order_type=OrderType.MARKET), (OrderType.MARKET, 10, None, None)),
        (LIMIT, Amendment(order_type=OrderType.SL, trigger_price=Decimal(1490)), (OrderType.SL, 10, 1500, 1490)),
        (LIMIT, Amendment(order_type=OrderType.SL_M, trigger_price=Decimal(1490)), (OrderType.SL_M, 10, None, 1490)),
        (STOP, Amendment(trigger_price=Decimal(1495)), (OrderType.SL, 10, 1500, 1495)),
        (STOP, Amendment(order_type=OrderType.SL_M), (OrderType.SL_M, 10, None, 1490)),
        (STOP, Amendment(order_type=OrderType.LIMIT), (OrderType.LIMIT, 10, 1500, None)),
    ],
)
def test_an_amendment_keeps_what_the_type_still_takes(terms: Terms, change: Amendment, after: tuple[Any, ...]) -> None:
    amended = change.applied_to(terms)
    assert (amended.order_type, amended.quantity, amended.price, amended.trigger_price) == after
    assert (amended.symbol, amended.side, amended.product) == (LIMIT.symbol, LIMIT.side, LIMIT.product)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (Amendment(trigger_price=Decimal(1490)), "trigger_price"),
        (Amendment(order_type=OrderType.SL), "trigger_price"),
        (Amendment(order_type=OrderType.MARKET, price=Decimal(1510)), "price"),
        (Amendment(order_type=OrderType.SL, trigger_price=Decimal(1510)), "price"),
    ],
)
def test_an_amendment_that_does_not_fit_is_refused_by_name(change: Amendment, named: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        change.applied_to(LIMIT)
    assert named_in(refusal.value) == {named}


@PROVE
@given(intents(), quantities, moments)
def test_an_amended_order_keeps_its_identity_and_takes_the_new_total(
    wanted: OrderIntent, total: int, at: datetime
) -> None:
    before = Order.from_intent(wanted, at)
    after = Amendment(quantity=total).applied_to(before)
    assert after.quantity == total
    assert after.model_dump(exclude={"quantity"}) == before.model_dump(include=set(Terms.model_fields) - {"quantity"})


LIVE = {"mode": "live", "client_order_id": "one"}
RESTS = {"quantity": 10, "order_type": "LIMIT", "price": 100}
LEGS = {"iceberg_legs": 2, "iceberg_quantity": 5}


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (
            {"mode": "paper", "quantity": 9, "instructions": {"disclosed_quantity": 1, "market_protection": 2}},
            "Value error, market_protection: for live accounts only, the paper exchange takes none",
        ),
        ({"instructions": {}}, "give at least one"),
        ({"validity": "TTL"}, "validity_ttl"),
        ({"instructions": {"validity_ttl": 5}}, "validity_ttl"),
        ({"validity": "TTL", "instructions": {"validity_ttl": 121}}, "validity_ttl"),
        ({"quantity": 10, "instructions": {"disclosed_quantity": 11}}, "disclosed_quantity"),
        ({"order_type": "LIMIT", "price": 1, "instructions": {"market_protection": 2}}, "market_protection"),
        ({"instructions": {"market_protection": 0}}, "market_protection"),
        ({"instructions": {"autoslice": False}}, "autoslice: is true, or is left out"),
        (RESTS | {"instructions": {"iceberg_legs": 2}}, "iceberg_legs: belongs together with iceberg_quantity"),
        (RESTS | {"instructions": {"iceberg_quantity": 5}}, "iceberg_legs: belongs together with iceberg_quantity"),
        (RESTS | {"instructions": {"iceberg_legs": 1, "iceberg_quantity": 10}}, "iceberg_legs"),
        (RESTS | {"instructions": {"iceberg_legs": 51, "iceberg_quantity": 1}}, "iceberg_legs"),
        (RESTS | {"instructions": LEGS | {"autoslice": True}}, "takes neither autoslice nor disclosed_quantity"),
        (RESTS | {"instructions": LEGS | {"disclosed_quantity": 1}}, "takes neither autoslice nor disclosed_quantity"),
        ({"instructions": LEGS}, "an iceberg order is a LIMIT order"),
        (RESTS | {"validity": "IOC", "instructions": LEGS}, "cannot be IOC"),
        (RESTS | {"quantity": 11, "instructions": LEGS}, "2 legs of 5 do not make up 11"),
        (RESTS | {"quantity": 5, "instructions": LEGS}, "2 legs of 5 do not make up 5"),
    ],
)
def test_instructions_that_do_not_fit_are_refused(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        intent(**LIVE | terms)


def test_instructions_travel_with_the_order() -> None:
    given = intent(**LIVE, validity="TTL", instructions={"validity_ttl": 5, "market_protection": "2.5"})
    kept = Order.from_intent(given, START)
    assert Order.model_validate_json(kept.model_dump_json()).instructions == given.instructions


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (RESTS | {"instructions": LEGS}, "LIMIT 100 MIS in 2 legs of 5"),
        ({"instructions": {"autoslice": True}}, "MARKET MIS in slices"),
        ({"instructions": {"market_protection": 2}}, "MARKET MIS"),
    ],
)
def test_a_split_order_says_so(terms: dict[str, Any], words: str) -> None:
    assert Order.from_intent(intent(**LIVE | terms), START).summary().endswith(words)


def test_an_order_that_is_not_split_reads_as_before_there_were_such() -> None:
    """A fingerprint is made of it: an order that was placed before an upgrade is the same order after it."""
    given = intent(**LIVE, instructions={"market_protection": "2.5"})
    assert given.instructions is not None
    assert set(given.instructions.model_dump()) == {"validity_ttl", "disclosed_quantity", "market_protection"}
    assert intent(**LIVE | RESTS, instructions=LEGS).fingerprint() != intent(**LIVE | RESTS).fingerprint()


@pytest.mark.parametrize("price", ["1_500", "१५००", "１５００"])
def test_a_price_is_written_as_a_trader_writes_it(price: str) -> None:
    with pytest.raises(ValidationError, match=r"price\n.*must be a number, was"):
        OrderIntent(symbol="NSE:INFY", side="BUY", quantity=10, order_type="LIMIT", price=price)
