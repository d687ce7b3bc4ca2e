"""Random lives of two exchanges: one runs through, the other is restarted now and then. Nobody can tell them apart.

After every step the machine checks what holds for any exchange: trades add up, no limit is passed, prices lie on the
tick and within the stated slippage, ends are final, and nothing that should have been filled is left resting.
"""

from collections import Counter
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from durable_orders.trading.config.fill_models import PriceImprovement
from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange import fill_models
from durable_orders.trading.ist import IST
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import LEVELS, Depth, Level, Tick
from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Fill, OrderType, Product, Side, Validity
from durable_orders.trading.orders.outcome import Accepted, Outcome, Refused
from tests.ledgers import empty_ledger
from tests.trading.exchange.exchange import INFY, TCS, TICK_SIZE, Clock, Exchange, approved

symbols = st.sampled_from([INFY, TCS])
ticks = st.integers(min_value=1990, max_value=2010).map(lambda number: number * TICK_SIZE)
"""Rupees 99.50 to 100.50, so that orders and prices often meet."""
quantities = st.integers(min_value=1, max_value=30)
PRICES = {
    "slippage_enabled": st.booleans(),
    "slippage_bps": st.sampled_from([Decimal(5), Decimal("17.5")]),
    "spread_enabled": st.booleans(),
    "spread_bps": st.sampled_from([Decimal(2), Decimal(12)]),
    "price_improvement": st.sampled_from(PriceImprovement),
    "time_of_day_enabled": st.booleans(),
    "partial_fill_enabled": st.booleans(),
    "partial_fill_probability": st.sampled_from([0.3, 1.0]),
    "partial_fill_ratio": st.sampled_from([0.2, 0.5]),
    "seed": st.integers(min_value=0, max_value=9),
}
LIQUIDITY = {
    "volume_impact_enabled": st.booleans(),
    "square_root_enabled": st.booleans(),
    "daily_volume": st.none() | st.just(1000),
    "depth_enabled": st.booleans(),
    "queue_enabled": st.booleans(),
    "queue_quantity": st.sampled_from([0, 15]),
    "volume_limit_enabled": st.booleans(),
    "volume_limit": st.sampled_from([Decimal("0.1"), Decimal(1)]),
}
MONEY = {"funds": st.none() | st.just(Decimal(9_000)), "square_off_enabled": st.booleans()}
FAMILIES = {"prices": PRICES, "liquidity": PRICES | LIQUIDITY, "money": LIQUIDITY | MONEY}
LISTING = Listing(Instruments.shipped().get, lambda _symbol, day: datetime.combine(day, time(10, 0, 4), IST))
"""A cut-off that comes soon after `turn_the_session`."""
REFUSALS = ("Insufficient funds.", "Insufficient holdings.", "Intraday orders (MIS)", "margin: ")


@st.composite
def books(draw: st.DrawFn, around: Decimal) -> Depth:
    """Up to five levels a side. The last trade may have been anywhere near."""
    bid = around - TICK_SIZE * draw(st.integers(-2, 3))
    sizes = st.lists(st.integers(1, 40), max_size=LEVELS)
    bids = tuple(Level(bid - n * TICK_SIZE, units) for n, units in enumerate(draw(sizes)))
    asks = tuple(Level(bid + (n + 1) * TICK_SIZE, units) for n, units in enumerate(draw(sizes)))
    return Depth(bids, asks)


AT_MARKET: dict[str, Any] = {
    "order_type": OrderType.MARKET,
    "price": None,
    "trigger_price": None,
    "product": Product.MIS,
    "validity": Validity.DAY,
}


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    order_type, side = draw(st.sampled_from(OrderType)), draw(st.sampled_from(Side))
    low, high = sorted([draw(ticks), draw(ticks)])
    price, trigger = (high, low) if side is Side.BUY else (low, high)
    return {
        "symbol": draw(symbols),
        "side": side,
        "quantity": draw(quantities),
        "order_type": order_type,
        "price": price if order_type.has_price else None,
        "trigger_price": trigger if order_type.has_trigger else None,
        "product": draw(st.sampled_from([Product.MIS, Product.CNC])),
        "validity": draw(st.sampled_from([Validity.DAY, Validity.IOC])),
    }


class PaperExchangeLife(RuleBasedStateMachine):
    family: ClassVar[dict[str, st.SearchStrategy[Any]]]
    """Settings that the exchanges of these lives may have."""
    traded_at_all: ClassVar[Counter[str]]

    @initialize(data=st.data())
    def open(self, data: st.DataObject) -> None:
        model = data.draw(st.builds(Paper, **self.family))
        self.directory = TemporaryDirectory()
        self.steady = self.new("steady.db", model)
        self.restarted = self.new("restarted.db", model)
        self.model = model
        self.numbers = iter(range(10_000))
        self.volume: dict[str, int] = {}
        self.last: dict[str, Tick] = {}
        self.traded: dict[str, int | None] = {}
        self.taken: dict[tuple[str, Side], int] = {}
        self.rows: dict[BrokerOrderId, BrokerOrder] = {}
        self.fills: list[Fill] = []
        self.ever: dict[BrokerOrderId, BrokerOrder] = {}
        self.every_fill: dict[str, Fill] = {}
        self.show_and_place(data)
        self.show_and_place(data)

    def new(self, name: str, model: Paper) -> Exchange:
        empty_ledger(Path(self.directory.name) / name)
        exchange = Exchange(f"sqlite:///{self.directory.name}/{name}", model, Clock(), LISTING)
        exchange.market.take_over()
        return exchange

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.steady.close()
            self.restarted.close()
            self.directory.cleanup()

    @property
    def exchanges(self) -> tuple[Exchange, Exchange]:
        return self.steady, self.restarted

    def both(self, outcomes: list[Outcome]) -> Outcome:
        first, second = outcomes
        assert first == second
        return first

    @rule(wanted=terms())
    def place(self, wanted: dict[str, Any]) -> None:
        order = approved(client_order_id=f"order-{next(self.numbers)}", **wanted)
        outcome = self.both([exchange.broker.place(order) for exchange in self.exchanges])
        refused = wanted["validity"] is Validity.IOC and wanted["order_type"].has_trigger
        if isinstance(outcome, Refused) and outcome.evidence.message.startswith(REFUSALS):
            assert self.model.funds is not None or self.model.square_off_enabled
            return
        assert isinstance(outcome, Accepted) != refused
        if isinstance(outcome, Accepted) and outcome.report and wanted["validity"] is Validity.IOC:
            assert outcome.report.row.state in (BookState.COMPLETE, BookState.EXPIRED)

    @rule(data=st.data())
    def show_and_place(self, data: st.DataObject) -> None:
        """Three orders that compete for one tick. One is at the market, so that every life has trades."""
        price, market = data.draw(ticks), AT_MARKET | {"side": data.draw(st.sampled_from(Side))}
        orders = [data.draw(terms()), market | {"quantity": data.draw(quantities)}, data.draw(terms())]
        symbol = data.draw(symbols)
        self.show_tick(symbol, price, data.draw(st.integers(0, 120)), data.draw(st.none() | books(price)))
        for wanted in orders:
            self.place(wanted | {"symbol": symbol})
            self.everything_holds()

    @rule(symbol=symbols, price=ticks, traded=st.integers(0, 120), data=st.data())
    def show(self, symbol: str, price: Decimal, traded: int, data: st.DataObject) -> None:
        depth = data.draw(st.none() | books(price))
        self.show_tick(symbol, price, traded, depth)

    def show_tick(self, symbol: str, price: Decimal, traded: int, depth: Depth | None) -> None:
        self.volume[symbol] = self.volume.get(symbol, 0) + traded
        self.traded[symbol] = traded if self.volume[symbol] else None
        self.taken |= {(symbol, side): 0 for side in Side}
        volume = self.volume[symbol]
        self.last[symbol] = Tick(symbol, price, self.steady.clock.now + timedelta(seconds=1), volume, depth=depth)
        changed, also = (exchange.show(price, symbol=symbol, volume=volume, depth=depth) for exchange in self.exchanges)
        assert changed == also
        self.everything_holds()
        self.nothing_is_left_behind(symbol, price)

    @precondition(lambda self: self.rows)
    @rule(
        data=st.data(),
        quantity=st.none() | quantities,
        price=st.none() | ticks,
        kind=st.none() | st.sampled_from(OrderType),
    )
    def modify(self, data: st.DataObject, quantity: int | None, price: Decimal | None, kind: OrderType | None) -> None:
        if quantity is None and price is None and kind is None:
            return
        before = self.rows[data.draw(st.sampled_from(sorted(self.rows)))]
        change = Amendment(quantity=quantity, price=price, order_type=kind)
        outcome = self.both([e.broker.modify(before.broker_order_id, change) for e in self.exchanges])
        if before.state is not BookState.WORKING:
            assert outcome.kind == "refused"
        if outcome.kind == "refused":
            assert self.steady.row(before.broker_order_id) == before

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        before = self.rows[data.draw(st.sampled_from(sorted(self.rows)))]
        outcome = self.both([exchange.broker.cancel(before.broker_order_id) for exchange in self.exchanges])
        assert (outcome.kind == "accepted") == (before.state is BookState.WORKING)

    @rule()
    def let_the_ticks_go_stale(self) -> None:
        for exchange in self.exchanges:
            exchange.clock.advance(seconds=self.model.stale_tick_seconds + 1)
        self.last.clear()

    @rule()
    def turn_the_session(self) -> None:
        open_before = [row for row in self.rows.values() if row.state is BookState.WORKING]
        for exchange in self.exchanges:
            exchange.clock.now = (exchange.clock.now + timedelta(days=1)).replace(hour=10)
        self.last.clear()
        self.volume.clear()
        had_a_session = self.steady.market.resume_point() is not None
        self.show_tick(INFY, Decimal(100), 50, None)
        for row in open_before:
            assert self.rows[row.broker_order_id].state is not BookState.WORKING or not had_a_session

    @rule()
    def restart(self) -> None:
        clock, url = self.restarted.clock, self.restarted.url
        self.restarted.close()
        self.restarted = Exchange(url, self.model, clock, LISTING)
        self.restarted.market.take_over()

    @invariant()
    def everything_holds(self) -> None:
        book = self.steady.broker.order_book()
        fills = self.steady.broker.trades()
        assert book == self.restarted.broker.order_book()
        assert fills == self.restarted.broker.trades()
        assert self.steady.broker.positions() == self.restarted.broker.positions()
        assert self.steady.broker.margins() == self.restarted.broker.margins()
        self.positions_add_up(book, fills)
        assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
        assert all(fill.session == fill.at.astimezone(IST).date() for fill in fills)
        for row in book:
            self.row_holds(row, self.rows.get(row.broker_order_id), fills)
        known = {fill.trade_id for fill in self.fills}
        rows = {row.broker_order_id: row for row in book}
        for fill in fills:
            if fill.trade_id not in known:
                self.fill_holds(fill, rows[fill.broker_order_id])
        self.rows, self.fills = rows, fills

    def row_holds(self, row: BrokerOrder, before: BrokerOrder | None, fills: list[Fill]) -> None:
        traded = sum(fill.quantity for fill in fills if fill.broker_order_id == row.broker_order_id)
        assert traded == row.filled_quantity <= row.quantity
        assert (row.state is BookState.COMPLETE) == (row.filled_quantity == row.quantity)
        assert row.placed_at <= row.updated_at <= self.steady.clock.now
        if before is not None:
            assert row.filled_quantity >= before.filled_quantity
            assert row.updated_at >= before.updated_at
            assert before.state is BookState.WORKING or row == before

    def positions_add_up(self, book: list[BrokerOrder], fills: list[Fill]) -> None:
        self.ever |= {row.broker_order_id: row for row in book}
        self.every_fill |= {fill.trade_id: fill for fill in fills}
        held: dict[tuple[str, Product], int] = {}
        for fill in self.every_fill.values():
            row = self.ever[fill.broker_order_id]
            held[row.symbol, row.product] = held.get((row.symbol, row.product), 0) + row.side.sign * fill.quantity
        shown = {(each.symbol, each.product): each.quantity for each in self.steady.broker.positions()}
        assert shown == {key: quantity for key, quantity in held.items() if quantity}

    def fill_holds(self, fill: Fill, row: BrokerOrder) -> None:
        """Against a tick that is not stale: never better than what it shows, and worse by no more than said."""
        tick, model, sign = self.last[row.symbol], self.model, row.side.sign
        opposite = () if tick.depth is None else (tick.depth.asks if row.side is Side.BUY else tick.depth.bids)
        shown = sorted((tick.last_price, *(level.price for level in opposite)), key=lambda price: price * sign)
        assert fill.price % TICK_SIZE == 0
        assert (fill.price - shown[0]) * sign >= 0
        factor = Decimal(2) if model.time_of_day_enabled else Decimal(1)
        spread = model.spread_bps / 2 * factor / 10_000 * model.spread_enabled
        slippage = model.slippage_bps * factor / 10_000 * model.slippage_enabled
        impact = model.volume_impact * model.volume_impact_enabled
        impact += model.square_root_coefficient * model.daily_volatility_bps / 10_000 * model.square_root_enabled
        stated = (1 + spread) * (1 + slippage) * (1 + impact) - 1
        at_its_limit = model.price_improvement is not PriceImprovement.ALWAYS and fill.price == row.price
        assert at_its_limit or (fill.price - shown[-1]) * sign <= shown[-1] * stated + TICK_SIZE
        assert row.price is None or (fill.price - row.price) * sign <= 0
        self.not_more_than_there_was(fill, row, opposite)

    def not_more_than_there_was(self, fill: Fill, row: BrokerOrder, opposite: tuple[Level, ...]) -> None:
        self.traded_at_all["again on a tick" if any(self.taken[row.symbol, side] for side in Side) else "once"] += 1
        self.taken[row.symbol, row.side] += fill.quantity
        traded = self.traded[row.symbol]
        if self.model.volume_limit_enabled and traded is not None:
            assert sum(self.taken[row.symbol, side] for side in Side) <= traded * self.model.volume_limit
        if self.model.depth_enabled and not self.model.queue_enabled and self.last[row.symbol].depth is not None:
            assert self.taken[row.symbol, row.side] <= sum(level.quantity for level in opposite)

    def nothing_is_left_behind(self, symbol: str, price: Decimal) -> None:
        """After a tick, whatever still rests does not meet it, unless it was filled in part."""
        for row in self.rows.values():
            if row.symbol != symbol or row.state is not BookState.WORKING:
                continue
            if row.status == "TRIGGER PENDING":
                assert row.trigger_price is not None
                assert (price - row.trigger_price) * row.side.sign < 0
            elif not self.model.shares_liquidity and fill_models.marketable(
                row.side, row.price, self.last[symbol], self.model
            ):
                assert self.model.partial_fill_enabled
                assert row.filled_quantity > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_random_lives(name: str) -> None:
    class Life(PaperExchangeLife):
        family = FAMILIES[name]
        traded_at_all: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(Life, settings=settings(max_examples=12, stateful_step_count=15))
    assert Life.traded_at_all["once"] >= 15, "lives without trades prove nothing"
    assert Life.traded_at_all["again on a tick"] >= 5
