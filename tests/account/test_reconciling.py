"""Positions that differ from the broker's: said, held against new risk, and explained by the book or by a human."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.activities.positions import PositionReader
from durable_orders.activities.reconciling import PositionReconciliation
from durable_orders.running.view import View, look, view_at
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.position_differences import Cause, Unexplained, unexplained
from durable_orders.trading.ledger.reading import events_of, positions_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.book import BookState, BrokerHolding, BrokerPosition, DayFigures
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Account, Mode, OrderType, Product, Side, Status
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from durable_orders.trading.reconciliation.expiries import Expiries
from durable_orders.trading.reconciliation.position_settling import settle_position
from durable_orders.trading.reconciliation.taking_over import take_over
from tests.account.test_closing import QUICK, bought
from tests.conftest import eventually
from tests.ledgers import open_empty_ledger
from tests.trading.ledger.examples import history, new_order, record_all
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk, now
from tests.workflows.scripted_broker import PRICE, ScriptedBroker, fills_at_once

MIS, CNC, NRML = Product.MIS, Product.CNC, Product.NRML
OPTION = "NFO:NIFTY25MAY24000CE"
SHARE_FUTURE = "NFO:ABCD25MAYFUT"
"""Of a share that no master has any more."""
EVIDENCE = "contract note"


class Reconciled:
    """One account's ledger and broker, and nobody at work: what the watch does with them, one look at a time."""

    def __init__(self, ledger: Database, *, is_of_one_day: bool = True, window: float = 0.0) -> None:
        self.ledger = ledger
        self.broker = ScriptedBroker()
        reader = PositionReader(Account("paper"), self.broker, ledger)
        self.reader = reader
        self.watch = PositionReconciliation(
            *(Account("paper"), ledger, reader),
            is_of_one_day=is_of_one_day,
            window=window,
            interval=0.0,
            expiries=Expiries(Instruments.shipped(), InstrumentSessions(Settings(account="paper").market)),
        )

    def recorded(self, quantity: int, price: Decimal = PRICE, **terms: Any) -> None:
        """On an earlier day."""
        content: dict[str, Any] = {"quantity": abs(quantity), "side": Side.BUY if quantity > 0 else Side.SELL} | terms
        record_all(self.ledger, history(new_order(**content), [(abs(quantity), price)], BookState.COMPLETE))

    def look(self, times: int = 1) -> list[Unexplained]:
        for _ in range(times):
            self.watch.reconcile(self.broker.order_book(), self.broker.trades())
        with self.ledger.read() as connection:
            return unexplained(connection, "paper")

    def said(self) -> list[str]:
        with self.ledger.read() as connection:
            events = events_of(connection, "account:paper")
        return [event.message for event in events if event.type is EventType.POSITION_DIFFERS]

    def settle(self, quantity: int, **content: Any) -> tuple[Unexplained, ...]:
        given: dict[str, Any] = {"symbol": INFY, "product": MIS, "quantity": quantity, "evidence": EVIDENCE}
        return settle_position(
            self.ledger, "paper", PositionEntry(**given | content), now(), is_of_one_day=self.watch._is_of_one_day
        )

    def held(self) -> dict[tuple[str, str], tuple[int, Decimal]]:
        with self.ledger.read() as connection:
            found = positions_of(connection, "paper")
        return {(each.symbol, each.product.value): (each.quantity, each.realized_pnl) for each in found}

    def deliver(self, quantity: int, price: int, symbol: str = INFY) -> None:
        """The demat account has so many, and they are read anew."""
        self.broker.in_demat = [BrokerHolding(symbol, CNC, quantity, quantity, Decimal(price))]
        self.reader._holdings_read = None


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Reconciled]:
    with open_empty_ledger(tmp_path / "ledger.db") as ledger:
        yield Reconciled(ledger)


def test_a_difference_counts_when_two_readings_in_a_row_show_it(account: Reconciled) -> None:
    account.recorded(10)
    assert account.look() == []
    [each] = account.look()
    assert (each.ours, each.theirs, each.cause) == (10, 0, Cause.RMS)
    account.look(3)
    assert account.said() == [
        f"the broker's positions differ from the ledger's: {INFY} MIS: 10 in the ledger, 0 at the broker "
        "(likely: square-off by RMS)"
    ]


def test_positions_that_lag_behind_trades_raise_no_alarm(account: Reconciled) -> None:
    account.recorded(10)
    account.look()
    account.broker.held_besides = {(INFY, MIS): 10}
    assert account.look() == []
    account.broker.held_besides = {}
    assert account.look() == []
    assert account.said() == []


def test_it_must_last_for_the_window(tmp_path: Path) -> None:
    with open_empty_ledger(tmp_path / "ledger.db") as ledger:
        account = Reconciled(ledger, window=3600.0)
        account.recorded(10)
        assert account.look(4) == []


def test_the_days_book_explains_first(account: Reconciled) -> None:
    """The book has the trade of an order that is not adopted yet."""
    own = account.broker.take(new_order("by-hand", product=MIS))
    account.broker.trade(own, 100)
    assert account.look(4) == []


def test_a_position_that_agrees_again_is_said(account: Reconciled) -> None:
    account.recorded(10)
    assert account.look(2)
    account.broker.held_besides = {(INFY, MIS): 10}
    assert account.look() == []
    assert account.said()[-1] == f"the broker's position agrees with the ledger's again: {INFY} MIS"


def test_a_short_that_was_opened_by_hand_while_down(account: Reconciled) -> None:
    account.broker.held_besides = {(INFY, MIS): -10}
    [each] = account.look(2)
    assert (each.ours, each.theirs, each.cause) == (0, -10, Cause.EXTERNAL_ORDER)
    assert account.settle(-10, price=PRICE) == ()
    assert account.held() == {(INFY, "MIS"): (-10, Decimal(0))}
    assert account.look(2) == []


def test_a_conversion_is_told_as_one_and_takes_the_cost_along(account: Reconciled) -> None:
    account.recorded(10)
    account.broker.held_besides = {(INFY, NRML): 10}
    assert [each.cause for each in account.look(2)] == [Cause.CONVERSION, Cause.CONVERSION]
    assert account.settle(-10, kind=EntryKind.CONVERSION, to_product=NRML) == ()
    assert account.held() == {(INFY, "MIS"): (0, Decimal(0)), (INFY, "NRML"): (10, Decimal(0))}
    assert account.look(2) == []


@pytest.mark.parametrize("is_of_today", [True, False])
def test_what_was_converted_to_delivery_is_a_position_today_and_held_tomorrow(
    account: Reconciled, is_of_today: bool
) -> None:
    account.recorded(10)
    if is_of_today:
        account.broker.held_besides = {(INFY, CNC): 10}
    else:
        account.deliver(10, 1500)
    account.look(2)
    assert account.settle(-10, kind=EntryKind.CONVERSION, to_product=CNC) == ()
    assert account.look(3) == []
    assert account.held()[INFY, "CNC"] == (10, Decimal(0))


def test_an_option_that_expired_is_told_as_such_and_written_off_by_hand(account: Reconciled) -> None:
    account.recorded(75, Decimal(100), symbol=OPTION, product=NRML)
    [each] = account.look(2)
    assert each.cause is Cause.EXPIRY
    account.settle(-75, symbol=OPTION, product=NRML, kind=EntryKind.EXPIRY, price=Decimal(0))
    assert account.held() == {(OPTION, "NRML"): (0, Decimal(-7500))}
    assert account.look(2) == []


def test_an_expiry_is_settled_at_the_price_that_the_brokers_own_figures_say(account: Reconciled) -> None:
    """75 at 100, carried over at a close of 90 and settled at 120.5: the day's profit is 75 times 30.5."""
    account.recorded(75, Decimal(100), symbol=OPTION, product=NRML)
    figures = DayFigures(Decimal("2287.5"), 75, Decimal(90), Decimal(121))
    account.broker.also_shown = [BrokerPosition(OPTION, NRML, 0, Decimal(0), figures)]
    assert account.look(2) == []
    assert account.held() == {(OPTION, "NRML"): (0, Decimal("1537.5"))}
    assert account.said() == []


def test_an_expiry_that_was_delivered_waits_for_a_human(account: Reconciled) -> None:
    """A contract on a share, though the broker's figures would give a price."""
    account.recorded(400, Decimal(100), symbol=SHARE_FUTURE, product=NRML)
    figures = DayFigures(Decimal(400), 400, Decimal(100), Decimal(101))
    account.broker.also_shown = [BrokerPosition(SHARE_FUTURE, NRML, 0, Decimal(0), figures)]
    [each] = account.look(2)
    assert (each.ours, each.theirs, each.cause) == (400, 0, Cause.EXPIRY)


def test_a_split_of_what_is_held_is_seen_and_the_cost_stays(account: Reconciled) -> None:
    """1:5. Of shares that were not bought here, nothing has to be said."""
    account.recorded(10, product=CNC)
    account.deliver(20, 1500)
    assert account.look(2) == []
    account.deliver(100, 300)
    for times in (1, 2):
        [each] = account.look(times)
        assert (each.ours, each.theirs, each.cause) == (10, 50, Cause.CORPORATE_ACTION)
    assert account.settle(40, product=CNC, kind=EntryKind.CORPORATE_ACTION) == ()
    assert account.look(2) == []
    account.recorded(-50, Decimal(300), client_order_id="sold", product=CNC)
    assert account.held() == {(INFY, "CNC"): (0, Decimal(0))}


def test_a_split_is_seen_whoever_reads_first(account: Reconciled) -> None:
    """A flatten, a plan, an order that closes: the watch finds nothing new afterwards."""
    account.recorded(10, product=CNC)
    account.deliver(10, 1500)
    account.look(2)
    account.deliver(50, 300)
    account.reader.read()
    [each] = account.look(3)
    assert (each.ours, each.theirs, each.cause) == (10, 50, Cause.CORPORATE_ACTION)
    assert account.said() == [each.as_news]


def test_a_split_stands_until_it_is_settled_whatever_is_sold_meanwhile(account: Reconciled) -> None:
    account.recorded(10, product=CNC)
    account.deliver(10, 1500)
    account.look(2)
    account.deliver(50, 300)
    account.look(2)
    account.recorded(-4, Decimal(300), client_order_id="sold", product=CNC)
    for times in (1, 2):
        [each] = account.look(times)
        assert (each.ours, each.theirs, each.cause) == (6, 46, Cause.CORPORATE_ACTION)
    assert account.settle(40, product=CNC, kind=EntryKind.CORPORATE_ACTION) == ()
    assert account.look(2) == []


def test_holdings_that_go_back_were_no_split(account: Reconciled) -> None:
    account.recorded(10, product=CNC)
    for quantity, price in ((10, 1500), (50, 300), (10, 1500)):
        account.deliver(quantity, price)
        standing = account.look(2)
    assert standing == []
    assert len(account.said()) == 2


def test_what_has_changed_since_it_was_put_down_is_not_taken_over(account: Reconciled) -> None:
    account.broker.held_besides = {(INFY, MIS): 7, (INFY, Product.NRML): 5, ("NSE:TCS", MIS): 3}
    assert len(account.look(2)) == 3
    account.broker.held_besides = {(INFY, Product.NRML): 6, ("NSE:TCS", MIS): 3}
    account.reader.read()
    taken = take_over(account.ledger, "paper", lambda _each: True, "by a test", now())
    assert [(each.symbol, each.theirs) for each in taken] == [("NSE:TCS", 3)]
    assert account.held() == {("NSE:TCS", "MIS"): (3, Decimal(0))}


def test_shares_that_are_bought_elsewhere_are_no_split(account: Reconciled) -> None:
    account.recorded(10, product=CNC)
    account.deliver(10, 1500)
    account.look(2)
    account.deliver(20, 1450)
    assert account.look(3) == []


def test_shares_that_went_away_are_a_transfer(account: Reconciled) -> None:
    account.recorded(10, product=CNC)
    account.deliver(4, 1500)
    [each] = account.look(2)
    assert (each.ours, each.theirs, each.cause) == (10, 4, Cause.TRANSFER)


def test_a_strategy_hears_when_somebody_else_has_moved_what_it_holds(account: Reconciled) -> None:
    """Another one's order, a settlement; not of its own orders."""

    def seen(before: View | None) -> View:
        with account.ledger.read() as connection:
            if before is None:
                return view_at(connection, "paper", "mine", newest_id(connection, "paper"))
            found = look(connection, "paper", "mine", before.feed_id)
        assert found is not None
        return found

    account.recorded(10, strategy="mine", product=MIS)
    first = seen(None)
    account.recorded(5, client_order_id="more", strategy="mine", product=MIS)
    second = seen(first)
    assert second.moved_by_others("paper", first) == []
    account.recorded(-4, client_order_id="other", strategy="other", product=MIS)
    third = seen(second)
    [held] = third.moved_by_others("paper", second)
    assert (held.quantity, held.of_account) == (15, 11)
    account.look(2)
    account.settle(-11, price=PRICE)
    fourth = seen(third)
    [held] = fourth.moved_by_others("paper", third)
    assert (held.of_account, held.at_broker) == (0, 0)


@pytest.mark.parametrize(
    ("quantity", "content", "words"),
    [
        (-11, {"price": PRICE}, f"quantity: {INFY} MIS differs by -10, and may be settled as far, was -11"),
        (10, {"price": PRICE}, f"quantity: {INFY} MIS differs by -10, and may be settled as far, was +10"),
        (-1, {"price": PRICE, "product": NRML}, f"quantity: nothing of {INFY} NRML differs, was -1"),
        (
            -1,
            {"price": PRICE, "symbol": "NSE:TYPO"},
            "symbol: NSE:TYPO is in no book: neither the ledger nor the broker has it",
        ),
        (
            -10,
            {"kind": EntryKind.CONVERSION, "to_product": NRML},
            f"quantity: nothing of {INFY} NRML differs, was +10",
        ),
        (-10, {"kind": EntryKind.CORPORATE_ACTION}, "quantity: corporate-action keeps the side of what is held, 10"),
    ],
)
def test_beyond_what_differs_nothing_is_written(
    account: Reconciled, quantity: int, content: dict[str, Any], words: str
) -> None:
    account.recorded(10)
    account.look(2)
    with pytest.raises(InvalidOrder) as refused:
        account.settle(quantity, **content)
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)
    assert account.held() == {(INFY, "MIS"): (10, Decimal(0))}
    assert len(account.look()) == 1


def test_without_a_reading_nothing_can_be_settled(account: Reconciled) -> None:
    account.recorded(10)
    with pytest.raises(InvalidOrder, match="were never read"):
        account.settle(-10, price=PRICE)


async def compared(desk: Desk) -> None:
    """Until the account's watch has seen the difference."""

    async def stands() -> bool:
        positions = desk.parts.watch._positions
        assert positions is not None
        await asyncio.to_thread(positions.reconcile, desk.broker.order_book(), desk.broker.trades())
        return bool(await desk.orders.read(lambda connection: unexplained(connection, desk.account)))

    await eventually(stands)


async def test_what_is_not_explained_takes_no_new_risk_in_its_symbol(desks: Desks) -> None:
    """10 bought here, 4 of them sold by hand while the home was down."""
    desk = await desks(**QUICK)
    await bought(desk)
    desk.broker.held_besides = {(INFY, MIS): -4}
    await compared(desk)
    more = await (await desk.start(quantity=1)).result()
    assert more.status is Status.REJECTED
    assert more.reasons[0].startswith(f"POSITION_UNEXPLAINED: no new risk in {INFY} until it is explained")
    short = await (await desk.start(side=Side.SELL, quantity=7)).result()
    assert short.status is Status.REJECTED, "the broker has 6: the ledger's 10 are not there"
    desk.broker.on_place.append(fills_at_once)
    other = await desk.start(symbol="NSE:RELIANCE", order_type=OrderType.MARKET, quantity=1)
    assert (await other.result()).status is Status.FILLED
    closing = await bought(desk, 6, side=Side.SELL)
    assert closing.status is Status.FILLED
    await compared(desk)
    left = await desk.orders.settle_position(INFY, "MIS", -4, EVIDENCE, price=1490)
    assert left == ()
    [held] = [each for each in await desk.orders.positions() if each.symbol == INFY]
    assert (held.quantity, held.realized_pnl) == (0, Decimal(-40))
    assert (await bought(desk, 1)).status is Status.FILLED


async def test_evidence_is_needed(desk: Desk) -> None:
    with pytest.raises(InvalidOrder, match="evidence"):
        await desk.orders.settle_position(INFY, "MIS", -4, " ", price=1490)


async def sold_from_holdings(desks: Desks, **guardian: Any) -> Desk:
    """A live desk with 100 shares in the demat account, of which 10 are pledged, and which this system never bought."""
    desk = await desks(mode=Mode.LIVE, guardian=guardian, **QUICK)
    desk.broker.in_demat = [BrokerHolding(INFY, CNC, 100, 90, Decimal(1400))]
    positions = desk.parts.watch._positions
    assert positions is not None
    positions._positions._holdings_read = None
    await asyncio.to_thread(positions.reconcile)
    return desk


async def test_a_sale_out_of_holdings_reduces(desks: Desks) -> None:
    """It passes the limits on positions and capital, and needs no margin; flatten does not buy it back."""
    limits = {"max_position_per_symbol": 5, "capital": 500, "max_gross_exposure": 500, "require_margin": True}
    desk = await sold_from_holdings(desks, **limits)
    sold = await bought(desk, side=Side.SELL, product=CNC)
    assert sold.status is Status.FILLED
    result = await desk.orders.flatten()
    assert result is not None
    assert len(desk.broker.sent) == 1
    beyond = await (await desk.start(side=Side.SELL, product=CNC, quantity=81)).result()
    words = f"at most 80 of {INFY} may be sold as CNC, 81 asked for: 80 can be delivered, 0 of them are offered already"
    assert f"NOT_DELIVERABLE: {words}; the broker's holdings are read every 60 s" in beyond.reasons
    assert (await bought(desk, 80, side=Side.SELL, product=CNC)).status is Status.FILLED


async def test_a_sale_out_of_holdings_passes_while_reducing(desks: Desks) -> None:
    desk = await sold_from_holdings(desks)
    await desk.orders.raise_flag("risk", "enough")
    assert (await bought(desk, side=Side.SELL, product=CNC)).status is Status.FILLED
    back = await (await desk.start(product=CNC)).result()
    assert back.status is Status.REJECTED, "a purchase for delivery closes nothing"


async def test_with_all_what_the_broker_has_and_nobody_knows_is_closed_too(desks: Desks) -> None:
    """A short that was opened by hand, and a row that no order of this system can close."""
    desk = await desks(**QUICK)
    desk.broker.held_besides = {(INFY, MIS): -10, (INFY, "CO"): 5}
    await compared(desk)
    named = await desk.orders.flatten()
    assert named is not None
    assert (desk.broker.sent, named.is_flat) == ([], False)
    desk.broker.on_place.append(fills_at_once)
    result = await desk.orders.flatten(everything=True)
    assert result is not None
    assert [(order.side, order.quantity) for order in desk.broker.sent] == [(Side.BUY, 10)]
    assert [each.key for each in result.differences] == [f"{INFY} CO"]
    [held] = await desk.orders.positions()
    assert (held.quantity, held.at_broker) == (0, 0)


async def test_all_is_never_of_one_strategy(desk: Desk) -> None:
    with pytest.raises(InvalidOrder, match="all: "):
        await desk.orders.flatten(strategy="mine", everything=True)


async def test_positions_tell_whose_they_are_and_what_the_broker_has(desks: Desks) -> None:
    desk = await desks(**QUICK)
    await bought(desk, strategy="first")
    desk.broker.held_besides = {(INFY, MIS): -4}
    await compared(desk)
    [held] = await desk.orders.positions()
    assert (held.quantity, held.strategies, held.at_broker, held.unexplained) == (10, {"first": 10}, 6, -4)
