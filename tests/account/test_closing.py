"""What a flatten may close: the smallest of what the strategy, the account and the broker have, product by product."""

import asyncio
from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos import acts
from durable_orders import halting
from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.flatten.closing import FLATTEN, Held, closable, targets
from durable_orders.trading.flatten.request import (
    Difference,
    FlattenRequest,
    FlattenResult,
    OpenPosition,
    before_delivery,
    joined,
)
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.orders.book import BookState, BrokerHolding
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode, Order, OrderType, Product, Side, Status
from durable_orders.workflows.names import JOIN, flatten_id
from tests.conftest import eventually, until
from tests.trading.ledger.examples import history, new_order, record_all
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk
from tests.workflows.scripted_broker import PRICE, fills_at_once

QUICK: dict[str, Any] = {"positions_window": 0.3}
KEY = (INFY, Product.MIS)
CLOSES: dict[str, Any] = {"order_type": OrderType.MARKET, "side": Side.SELL}
HAVE = st.integers(-20, 20)


async def bought(desk: Desk, quantity: int = 10, **terms: Any) -> Order:
    order = await desk.start(fills_at_once, order_type=OrderType.MARKET, quantity=quantity, **terms)
    return await order.result()


def asked(desk: Desk, **request: Any) -> FlattenRequest:
    return FlattenRequest(account=desk.account, reason="enough", who="by a test", flatten=True, **request)


async def halted(desk: Desk) -> FlattenResult:
    """`halt --flatten`, and how it ended."""
    settings = desk.parts.settings
    halting.halt(desk.parts.database, settings, "enough", state=AccountState.REDUCING, who="by a test")
    result = await halting.flatten(desk.client, asked(desk, halt=True))
    assert result is not None
    return result


def sent_to_close(desk: Desk) -> list[tuple[str, Side, int]]:
    return [(order.strategy, order.side, order.quantity) for order in desk.broker.sent[1:]]


@given(strategy=HAVE, account=HAVE, broker=HAVE, product=st.sampled_from(Product))
def test_a_closing_order_never_opens_at_any_of_the_three(
    strategy: int, account: int, broker: int, product: Product
) -> None:
    quantity = closable(product, strategy, account, broker)
    for have in (strategy, account, broker):
        assert abs(have - quantity) == abs(have) - abs(quantity), "it makes each of them smaller, and turns none around"
    if quantity < 0:
        assert not product.is_delivery, "delivery below zero is a sale out of holdings"
    if quantity == 0 and not product.is_delivery:
        assert min(strategy, account, broker) <= 0 <= max(strategy, account, broker)


@given(own=st.dictionaries(st.sampled_from("ABC"), HAVE), account=HAVE, broker=HAVE)
def test_the_strategies_together_close_no_more_than_there_is(own: dict[str, int], account: int, broker: int) -> None:
    requests = [
        FlattenRequest(account="a", reason="r", who="w", flatten=True, strategy=name, until_resumed=False)
        for name in own
    ]
    held = Held({KEY: account} if account else {}, {name: {KEY: held} for name, held in own.items()}, {KEY: broker})
    found = [target.closable for target in targets(requests, held, Guardian())]
    assert abs(sum(found)) <= min(abs(account), abs(broker))
    assert all(quantity * account >= 0 and quantity * broker >= 0 for quantity in found)


def test_a_request_that_joins_keeps_what_the_earlier_ones_close_and_why() -> None:
    """A delivery's close and a flatten of the same symbol, which names no products: neither takes from the other."""
    future = "NFO:RELIANCE26DECFUT"
    common: dict[str, Any] = {"account": "a", "flatten": True, "until_resumed": False}
    delivery = before_delivery("a", future, date(2026, 12, 29))
    by_hand = FlattenRequest(reason="by hand", who="by hand", symbol=future, **common)
    ours = FlattenRequest(reason="its end", who="by first", strategy="first", products=(Product.MIS,), **common)
    held = Held(
        {(future, Product.NRML): 500, KEY: 10, (future, Product.MIS): 500},
        {"first": {KEY: 10, (future, Product.MIS): 500}},
    )
    limits = Guardian(flatten_products=(Product.MIS,))
    for order in permutations([delivery, by_hand, ours]):
        requests: tuple[FlattenRequest, ...] = ()
        for request in (*order, *order):
            requests = joined(requests, request)
        assert requests == order, "the same again is no other"
        found = {(each.symbol, each.product): each for each in targets(requests, held, limits)}
        assert found[future, Product.NRML].reason == delivery.reason
        assert found[KEY].strategy == "first"
        assert found[KEY].reason == "its end"
        whole = [each.reason for each in order if each is not ours]
        assert found[future, Product.MIS].reason == whole[-1]


def test_the_same_again_has_the_later_reason_and_another_wish_takes_nothing_back() -> None:
    halt = FlattenRequest(account="a", reason="a loss", who="by the breaker", flatten=True, halt=True)
    later = FlattenRequest(account="a", reason="square off", who="by run", flatten=True)
    again = halt.model_copy(update={"reason": "another loss"})
    assert joined(joined((), halt), later) == (halt, later)
    assert joined((halt, later), again) == (later, again)


async def test_the_halt_and_the_closing_order_have_the_reason_of_who_asked_for_them(desks: Desks) -> None:
    """Somebody joins who asks for no halt, and for another symbol, while a closing order rests: it goes in two."""
    desk = await desks(**QUICK)
    await bought(desk)
    out = asyncio.create_task(halted(desk))

    async def rests() -> bool:
        return any(order.status is Status.PLACED for order in await desk.orders.list())

    await eventually(rests, "a closing order that rests")
    later = asked(desk, symbol="NSE:TCS", until_resumed=False).model_copy(
        update={"reason": "later", "who": "by another"}
    )
    await desk.client.get_workflow_handle(flatten_id(desk.account)).signal(JOIN, later)
    resting = list(desk.broker.rows)[-1]
    desk.broker.on_place.append(fills_at_once)
    desk.broker.end(resting, BookState.CANCELLED)
    await desk.look()
    assert (await out).is_flat
    with desk.parts.database.read() as connection:
        standing = permission_of(connection, desk.parts.settings.account)
    closing = [order.reason for order in desk.broker.sent[1:]]
    assert closing == ["enough", "enough"]
    assert (standing.state, standing.reason, standing.who) == (AccountState.HALTED, "enough", "by a test")


async def test_what_was_sold_by_hand_meanwhile_is_not_sold_again(desks: Desks) -> None:
    """Or squared off by RMS: the home was down, and no book tells of it."""
    desk = await desks(**QUICK)
    await bought(desk)
    desk.broker.held_besides = {KEY: -10}
    result = await halted(desk)
    assert sent_to_close(desk) == []
    assert (result.state, result.is_flat) == (AccountState.HALTED, True)
    assert [str(each) for each in result.differences] == [f"{INFY} MIS: 10 in the ledger, 0 at the broker"]


async def test_no_more_is_sold_than_the_broker_has(desks: Desks) -> None:
    desk = await desks(**QUICK)
    await bought(desk)
    desk.broker.held_besides = {KEY: -4}
    desk.broker.on_place.append(fills_at_once)
    result = await halted(desk)
    assert sent_to_close(desk) == [(FLATTEN, Side.SELL, 6)]
    assert result.is_flat


async def test_what_was_opened_by_hand_meanwhile_is_named(desks: Desks) -> None:
    desk = await desks(**QUICK)
    desk.broker.held_besides = {KEY: -10}
    result = await halted(desk)
    assert desk.broker.sent == []
    assert not result.is_flat
    assert result.differences == (Difference(symbol=INFY, product="MIS", ours=0, theirs=-10),)


async def test_a_product_that_only_the_broker_has_is_named(desks: Desks) -> None:
    """Such as the row of a cover order."""
    desk = await desks(**QUICK)
    desk.broker.held_besides = {(INFY, "CO"): 25}
    result = await halted(desk)
    assert not result.is_flat
    assert [str(each) for each in result.differences] == [f"{INFY} CO: 0 in the ledger, 25 at the broker"]


async def test_a_converted_position_is_not_sold_under_the_product_that_it_had(desks: Desks) -> None:
    desk = await desks(**QUICK)
    await bought(desk)
    desk.broker.held_besides = {KEY: -10, (INFY, Product.NRML): 10}
    result = await halted(desk)
    assert sent_to_close(desk) == []
    assert not result.is_flat


async def test_positions_that_lag_behind_are_waited_for(desks: Desks) -> None:
    desk = await desks(positions_window=60.0)
    await bought(desk)
    desk.broker.held_besides = {KEY: -10}
    desk.broker.on_place.append(fills_at_once)
    out = asyncio.create_task(halted(desk))

    async def is_compared() -> bool:
        return desk.broker.position_reads > 2

    await eventually(is_compared)
    assert sent_to_close(desk) == []
    desk.broker.held_besides = {}
    result = await out
    assert sent_to_close(desk) == [(FLATTEN, Side.SELL, 10)]
    assert (result.is_flat, result.differences) == (True, ())


async def alerted(desk: Desk, words: str) -> None:
    async def is_said() -> bool:
        events = await desk.orders.events()
        return any(event.type is EventType.ALERT and words in event.message for event in events)

    await eventually(is_said, words)


async def test_while_the_positions_cannot_be_read_closing_waits_and_says_so(desks: Desks) -> None:
    desk = await desks(**QUICK)
    await bought(desk)
    desk.broker.positions_unreadable = True
    desk.broker.on_place.append(fills_at_once)
    out = asyncio.create_task(halted(desk))
    await alerted(desk, "closing positions waits: the broker's positions")
    assert sent_to_close(desk) == []
    desk.broker.positions_unreadable = False
    assert (await out).is_flat
    assert sent_to_close(desk) == [(FLATTEN, Side.SELL, 10)]


async def test_one_strategy_is_closed_and_the_others_go_on(desks: Desks) -> None:
    desk = await desks(**QUICK)
    await bought(desk, strategy="first")
    await bought(desk, 5, strategy="second")
    resting = await desk.resting(strategy="second", quantity=3)
    desk.broker.on_place.append(fills_at_once)
    result = await halting.flatten(desk.client, asked(desk, strategy="first", until_resumed=False))
    assert result is not None
    assert result.is_flat
    assert sent_to_close(desk)[-1] == ("first", Side.SELL, 10)
    assert (await resting.now()).status is Status.PLACED
    assert [held.quantity for held in await desk.orders.positions()] == [5]
    assert result.state is AccountState.ACTIVE


async def test_a_strategy_sells_no_more_than_the_account_has(desks: Desks) -> None:
    """Somebody else has sold seven of its ten."""
    desk = await desks(**QUICK)
    await bought(desk, strategy="first")
    await bought(desk, 7, strategy="by-hand", side=Side.SELL)
    desk.broker.on_place.append(fills_at_once)
    result = await halting.flatten(desk.client, asked(desk, strategy="first", until_resumed=False))
    assert result is not None
    assert sent_to_close(desk)[-1] == ("first", Side.SELL, 3)
    assert [held.quantity for held in await desk.orders.positions()] == [0]


async def test_what_was_traded_on_paper_is_never_sold_for_real(desks: Desks) -> None:
    """The home was a paper one, and its settings say `live` now; the broker happens to hold the same shares."""
    desk = await desks(mode=Mode.LIVE, **QUICK)
    paper = new_order(account=desk.account, mode=Mode.PAPER, quantity=10)
    record_all(desk.parts.database, history(paper, [(10, PRICE)], BookState.COMPLETE))
    desk.broker.held_besides = {KEY: 100}
    result = await halted(desk)
    assert desk.broker.sent == []
    assert result.closed == ()


@pytest.mark.parametrize(("free", "closed"), [(0, []), (6, [(FLATTEN, Side.SELL, 6)])])
async def test_shares_that_are_pledged_are_left_and_it_does_not_say_flat(
    desks: Desks, free: int, closed: list[tuple[str, Side, int]]
) -> None:
    desk = await desks(mode=Mode.LIVE, sections={"guardian": {"flatten_products": ["MIS", "CNC"]}}, **QUICK)
    bought_before = new_order(account=desk.account, mode=Mode.LIVE, quantity=10, product=Product.CNC)
    record_all(desk.parts.database, history(bought_before, [(10, PRICE)], BookState.COMPLETE))
    desk.broker.in_demat = [BrokerHolding(INFY, Product.CNC, 10, free, PRICE)]
    desk.broker.on_place.append(fills_at_once)
    result = await halted(desk)
    assert [(order.strategy, order.side, order.quantity) for order in desk.broker.sent] == closed
    assert result.left == (OpenPosition(symbol=INFY, product=Product.CNC, quantity=10 - free),)
    assert (result.is_flat, result.state) == (False, AccountState.REDUCING)
    assert f"{10 - free} {INFY} CNC cannot be sold now" in result.problems[0]


async def test_what_the_settings_leave_is_named_wherever_it_is_told_how_flat_the_account_is(desks: Desks) -> None:
    desk = await desks(sections={"guardian": {"flatten_products": ["MIS"]}}, **QUICK)
    await bought(desk)
    kept = new_order(account=desk.account, mode=Mode.PAPER, quantity=5, product=Product.CNC)
    record_all(desk.parts.database, history(kept, [(5, PRICE)], BookState.COMPLETE))
    desk.broker.on_place.append(fills_at_once)
    stays = (OpenPosition(symbol=INFY, product=Product.CNC, quantity=5),)
    other = await halting.flatten(desk.client, asked(desk, symbol="NSE:TCS", until_resumed=False))
    assert other is not None
    assert other.stays == (), "it was not asked for that"
    result = await halted(desk)
    assert (result.is_flat, result.left, result.stays) == (True, (), stays)
    assert result.words == f"flat, but for what is of a product that guardian.flatten_products leaves: 5 {INFY} CNC"


def test_what_is_not_flat_is_said_by_its_names() -> None:
    """What only the broker has is no problem that was written down, and still is held."""
    held = OpenPosition(symbol=INFY, product=Product.CNC, quantity=-5)
    other = Difference(symbol="NSE:TCS", product="NRML", ours=0, theirs=75)
    result = FlattenResult(
        state=AccountState.ACTIVE, cancelled=(), closed=(), left=(held,), problems=("look at it",), differences=(other,)
    )
    assert result.words == f"not flat: look at it; -5 {INFY} CNC still held; 75 NSE:TCS NRML at the broker"


@pytest.mark.parametrize("then", [AccountState.HALTED, AccountState.ACTIVE])
async def test_it_does_not_say_flat_where_somebody_ended_it_while_nothing_could_be_read(
    desks: Desks, then: AccountState
) -> None:
    desk = await desks(**QUICK)
    await bought(desk)
    desk.broker.positions_unreadable = True
    out = asyncio.create_task(halted(desk))
    await alerted(desk, "closing positions waits: the broker's positions")
    database, settings = desk.parts.database, desk.parts.settings
    if then is AccountState.HALTED:
        halting.halt(database, settings, "stop that", state=then, who="by a test")
    else:
        halting.resume(database, settings, "", who="by a test")
    result = await out
    assert not result.is_flat
    assert "the broker's positions cannot be read" in result.problems[0]


async def test_a_flatten_that_is_reset_follows_the_order_that_it_had_placed(desks: Desks) -> None:
    desk = await desks(**QUICK)
    await bought(desk)
    out = asyncio.create_task(halted(desk))
    await until(lambda: len(desk.broker.rows) == 2, "a closing order that rests")
    own = flatten_id(desk.account)
    [point, *_] = await acts.reset_points(desk.client, own)
    await acts.reset(desk.client, own, point)

    async def is_followed() -> bool:
        history = await desk.client.get_workflow_handle(own).fetch_history()
        return any(event.HasField("start_child_workflow_execution_failed_event_attributes") for event in history.events)

    await eventually(is_followed, "the name that is used already")
    desk.broker.trade(list(desk.broker.rows)[-1], 10)
    await desk.look()
    result = await out
    assert result.is_flat
    assert sent_to_close(desk) == [(FLATTEN, Side.SELL, 10)]
    assert [order.filled_quantity for order in result.closed] == [10]


async def test_an_order_of_that_name_never_opens(desk: Desk) -> None:
    refused = await (await desk.start(client_order_id="flatten-mine", quantity=3)).result()
    assert refused.reasons == ("CLOSE_ONLY: an order that closes must not open: 0 held, BUY 3 asked for",)
    await bought(desk, 5)
    turned = await (await desk.start(client_order_id="flatten-six", side=Side.SELL, quantity=6)).result()
    assert turned.status is Status.REJECTED
    closed = await bought(desk, 5, side=Side.SELL, client_order_id="flatten-five")
    assert closed.status is Status.FILLED


@pytest.mark.parametrize("besides", [-10, -7, -25])
async def test_what_was_sold_by_hand_after_it_was_sized_stops_a_closing_order(desks: Desks, besides: int) -> None:
    """At the last moment: neither the ledger nor the guardian knows of it yet."""
    desk = await desks(mode=Mode.LIVE, **QUICK)
    await bought(desk)
    desk.broker.held_besides = {KEY: besides}
    refused = await (await desk.start(fills_at_once, **CLOSES, client_order_id="flatten-late")).result()
    assert refused.status is Status.REJECTED
    assert f"it may only close, and the broker has {10 + besides} of {INFY} MIS" in refused.reasons[-1]
    assert sent_to_close(desk) == []


async def test_a_closing_order_is_kept_while_the_positions_cannot_be_read_and_says_so(desks: Desks) -> None:
    desk = await desks(mode=Mode.LIVE, retry_delay=0.1, **QUICK)
    await bought(desk)
    desk.broker.positions_unreadable = True
    closing = await desk.start(fills_at_once, **CLOSES, client_order_id="flatten-blind")
    words = "not sent: nothing is closed while the broker's positions cannot be read"
    await desk.event(closing, EventType.ORDER_UPDATED, words)
    assert sent_to_close(desk) == []
    desk.broker.positions_unreadable = False
    assert (await closing.result()).status is Status.FILLED


async def test_the_client_closes_a_symbol_and_lets_the_account_go_on(desks: Desks) -> None:
    desk = await desks(**QUICK)
    await bought(desk)
    resting = await desk.resting(quantity=3)
    desk.broker.on_place.append(fills_at_once)
    result = await desk.orders.close_position(INFY)
    assert result is not None
    assert (result.state, result.is_flat) == (AccountState.ACTIVE, True)
    assert (await resting.result()).status is Status.CANCELLED
    assert sent_to_close(desk)[-1] == (FLATTEN, Side.SELL, 10)


@pytest.mark.parametrize(
    ("asked_for", "words"),
    [
        ({"symbol": "NSE:TYPO"}, "symbol: nothing of NSE:TYPO is held or open"),
        ({"symbol": "infy"}, "symbol: must be an exchange and a tradingsymbol, as in NSE:INFY, was 'infy'"),
        ({"product": "BO"}, "product: must be one of MIS, NRML, CNC, MTF, was 'BO'"),
        ({"strategy": "a b"}, "strategy: may have letters, digits, dot, dash and underscore, at most 64"),
        ({"reason": " "}, "reason: must say something, in at most 500 characters"),
    ],
)
async def test_what_makes_no_sense_is_said_and_nothing_is_sent(
    desk: Desk, asked_for: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidOrder) as refused:
        await desk.orders.flatten(**asked_for)  # type: ignore[arg-type]
    assert str(refused.value) == words
    assert desk.broker.sent == []
