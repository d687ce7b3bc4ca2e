"""The same intents on the same ticks come to the same end, to the paisa, in memory and through the database."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from durable_orders.backtest.figures import figures_of
from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.play import Played
from durable_orders.trading.config.sessions import Sessions
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.reading import list_orders, positions_of
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Product, Side, Validity
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from tests.ledgers import empty_ledger
from tests.trading.backtest.durable import DurablePath
from tests.trading.guardian.lots import CRUDE, DOLLAR, NICKEL, with_nickel

__all__ = ["with_nickel"]

INFY, RELIANCE, FUTURE = "NSE:INFY", "NSE:RELIANCE", "NFO:NIFTY25MAYFUT"
INSTRUMENTS = Instruments.shipped()
OPENS = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
SESSION = Session(OPENS.date(), OPENS, OPENS + timedelta(minutes=30))
STEP = Decimal("0.05")
RMS = ExternalKind.EXTERNAL
"""The strategy of an order of the broker's risk management: nobody's."""

PLAIN: dict[str, Any] = {}
PARTIAL = {"execution": {"paper": {"partial_fill_enabled": True, "partial_fill_probability": 0.5, "seed": 7}}}
MODELS = {
    "execution": {
        "paper": {
            "spread_enabled": True,
            "slippage_bps": 12,
            "volume_limit_enabled": True,
            "volume_limit": "0.2",
            "queue_enabled": True,
            "queue_quantity": 30,
            "stale_tick_seconds": 40,
        }
    }
}
LIMITS = {
    "guardian": {
        "max_order_value": 2_000_000,
        "max_position_per_symbol": 200,
        "max_position_total": 400,
        "max_gross_exposure": 3_000_000,
        "max_net_exposure": 2_500_000,
        "capital": 2_800_000,
        "max_open_orders": 6,
        "max_orders_per_second": {"account": 3},
        "max_orders_per_minute": {"account": 9, "symbol": 6},
        "duplicate_seconds": 20,
        "price_band_percent": 1,
        "max_price_age": 50,
        "require_price": True,
        "strategies": {"second": {"capital": 400_000}},
    }
}
DAY = {
    "guardian": {"max_daily_loss": 150, "max_loss_streak": 3},
    "execution": {"circuit_breakers": {"max_trades_per_day": 12, "max_trades_per_strategy_per_day": 9}},
}
SOON = {kind: {"mis_cutoff": "09:18"} for kind in Sessions.model_fields}
MONEY = {
    "execution": {"paper": {"funds": 400_000, "square_off_enabled": True, "queue_enabled": True}},
    "market": {"sessions": SOON},
    "guardian": {"max_daily_loss": 400},
}

Step = tuple[str, Any]
HELD = ("quantity", "open_value", "realized_pnl")
NUMBER = re.compile(r"\d+\.\d+")
"""In a sentence. The ledger keeps fewer places of a price than it was given."""


@st.composite
def intents(draw: st.DrawFn, number: int, prices: dict[str, Decimal]) -> OrderIntent:
    symbol = draw(st.sampled_from([INFY, INFY, RELIANCE, FUTURE, "NSE:NIFTY 50"]))
    lot = 75 if symbol == FUTURE else 1
    side, kind = draw(st.sampled_from(Side)), draw(st.sampled_from(OrderType))
    around = prices.get(symbol, Decimal(1500))
    near = [around + STEP * draw(st.integers(-12, 12)) for _ in range(2)]
    low, high = sorted(near)
    price, trigger = (high, low) if side is Side.BUY else (low, high)
    return OrderIntent(
        symbol=symbol,
        side=side,
        quantity=draw(st.sampled_from([1, 2, 10, 40, 75, 150])) * (1 if lot == 1 else draw(st.sampled_from([1, 75]))),
        order_type=kind,
        price=price if kind.has_price else None,
        trigger_price=trigger if kind.has_trigger else None,
        validity=draw(st.sampled_from([Validity.DAY, Validity.DAY, Validity.IOC])),
        client_order_id=f"order-{number}",
        strategy=draw(st.sampled_from(["first", "second"])),
        product=draw(st.sampled_from([Product.MIS, Product.MIS, Product.NRML if symbol == FUTURE else Product.CNC])),
    )


@st.composite
def schedules(draw: st.DrawFn) -> list[Step]:
    """A market with orders in it: ticks of three symbols, orders near their prices, and cancels."""
    prices = {INFY: Decimal(1500), RELIANCE: Decimal(1400), FUTURE: Decimal(24300)}
    volumes = dict.fromkeys(prices, 0)
    at, number, steps = OPENS, 0, list[Step]()
    for _ in range(draw(st.integers(5, 40))):
        kind = draw(st.sampled_from(["tick", "tick", "place", "place", "cancel"]))
        if kind == "tick":
            at += timedelta(milliseconds=draw(st.sampled_from([0, 400, 5_000, 30_000, 60_000])))
            symbol = draw(st.sampled_from([INFY, INFY, RELIANCE, FUTURE]))
            prices[symbol] += STEP * draw(st.integers(-8, 8))
            volumes[symbol] += draw(st.integers(0, 300))
            steps.append(("tick", Tick(symbol, prices[symbol], min(at, SESSION.closes - STEP_BACK), volumes[symbol])))
        elif kind == "place":
            number += 1
            steps.append(("place", draw(intents(number, prices))))
        elif number:
            steps.append(("cancel", f"order-{draw(st.integers(1, number))}"))
    return steps


STEP_BACK = timedelta(milliseconds=1)


@contextmanager
def ledger() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield empty_ledger(Path(folder) / "ledger.db")


def played(core: Core, steps: list[Step]) -> None:
    for kind, what in steps:
        if kind == "tick":
            core.on_tick(what, SESSION)
        elif kind == "place":
            live = core.ask(what)
            assert live is not None
            core.submit(live)
        else:
            core.cancel(what, "by the test")
    core.close()


def run_durably(path: DurablePath, steps: list[Step]) -> None:
    for kind, what in steps:
        if kind == "tick":
            path.show(what)
        elif kind == "place":
            path.place(what)
        else:
            path.cancel(what, "by the test")
    path.close()


def outcome(order: Order) -> dict[str, Any]:
    """All that is not an id of the broker's."""
    fills = [(fill.quantity, fill.price, fill.at) for fill in order.fills]
    shown = order.model_dump(exclude={"broker_order_id", "fills", "updated_at"})
    reasons = [NUMBER.sub(lambda number: f"{Decimal(number[0]).normalize():f}", reason) for reason in order.reasons]
    return shown | {"fills": fills, "reasons": reasons}


def outcome_of_rms(order: Order) -> dict[str, Any]:
    """Its name is the broker's id for it, and the ledger has no reason for a stranger."""
    return outcome(order) | dict.fromkeys(("order_id", "client_order_id", "tag", "reason"))


RESTING = {
    "execution": {"paper": {"market_rests_probability": 0.4, "volume_limit_enabled": True, "volume_limit": "0.2"}}
}
CASES = {"plain": PLAIN, "partial": PARTIAL, "models": MODELS, "limits": LIMITS, "day": DAY, "money": MONEY}
CASES["resting"] = RESTING
QUICKLY = settings(max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""Without shrinking: a step through the database takes milliseconds, and shrinking takes thousands of them."""


@pytest.mark.parametrize("own", CASES.values(), ids=CASES)
@given(steps=schedules())
@QUICKLY
def test_both_paths_come_to_the_same_ends(own: dict[str, Any], steps: list[Step]) -> None:
    compare(own, steps, INSTRUMENTS)


def compare(own: dict[str, Any], steps: list[Step], instruments: Instruments) -> Core:
    configured = Settings.model_validate(own)
    core = Core(configured, instruments, OPENS, {"first", "second"}, lambda _live: None)
    played(core, steps)
    with ledger() as file:
        path = DurablePath(file, configured, instruments, SESSION)
        with closing(path.database):
            run_durably(path, steps)
            with path.database.read() as connection:
                positions = positions_of(connection, configured.account)
            funds = path.funds()
    assert core.exchange.funds() == funds
    for client_order_id, order in path.orders.items():
        if order.strategy != RMS:
            assert outcome(core.order(client_order_id)) == outcome(order)
    by_rms = sorted((each.order() for each in core.ended() if each.strategy == RMS), key=lambda o: o.client_order_id)
    theirs = [order for order in path.orders.values() if order.strategy == RMS]
    assert [outcome_of_rms(order) for order in by_rms] == [outcome_of_rms(order) for order in theirs]
    for position in positions:
        ours = core.guard.holdings.position(position.symbol, position.product)
        assert [getattr(ours, name) for name in HELD] == [getattr(position, name) for name in HELD]
    return core


def test_a_replayed_day_is_charged_at_its_own_rates() -> None:
    """One lot of 75 is bought at 24,000 and sold at 24,100 in April 2025, and replayed in November 2026, when STT on
    futures is 0.05 %. Bought, 1,800,000 rupees: 20 + exchange 1.73 per lakh and IPFT 10 per crore 32.94 + SEBI 1.80 +
    stamp duty 36.00 + GST 9.85 of 54.74. Sold, 1,807,500: 20 + STT 0.02 % 361.50 + 33.08 + 1.81 + GST 9.88 of 54.89.
    """
    own = {"symbol": FUTURE, "quantity": 75, "product": "NRML", "strategy": "first"}
    steps: list[Step] = [
        ("tick", Tick(FUTURE, Decimal(24_000), OPENS)),
        ("place", OrderIntent(**own, side=Side.BUY, client_order_id="order-1")),
        ("tick", Tick(FUTURE, Decimal(24_100), OPENS + timedelta(seconds=1))),
        ("place", OrderIntent(**own, side=Side.SELL, client_order_id="order-2")),
    ]
    exact = Settings.model_validate({"execution": {"paper": {"slippage_enabled": False, "funds": 1_000_000}}})
    core = Core(exact, INSTRUMENTS, OPENS, {"first"}, lambda _live: None)
    played(core, steps)
    with ledger() as file:
        later = datetime(2026, 11, 27, 12, tzinfo=IST) - OPENS
        path = DurablePath(file, exact, INSTRUMENTS, SESSION, later)
        with closing(path.database):
            run_durably(path, steps)
            with path.database.read() as connection:
                [position] = positions_of(connection, exact.account)
                fills = [order.fills for order in list_orders(connection)]
            funds = path.funds()
    assert position.charges == Decimal("100.59") + Decimal("426.27")
    assert figures_of(Played("first", core)).charges.total == position.charges
    assert core.exchange.funds() == funds
    assert [(fill.day, fill.at.year) for [fill] in fills] == 2 * [(OPENS.date(), 2026)]


EXPOSURE = "MAX_GROSS_EXPOSURE MAX_NET_EXPOSURE CAPITAL"
IN_LOTS = {
    "guardian": {
        "max_order_value": 1_200_000,
        "max_gross_exposure": 1_500_000,
        "max_net_exposure": 1_400_000,
        "capital": 1_300_000,
        "max_daily_loss": 2_000,
        "strategies": {"second": {"capital": 500_000}},
    }
}
LOTS: list[tuple[str, Side, int, str, str, str]] = [
    (CRUDE, Side.BUY, 2, "5800", "first", ""),
    (CRUDE, Side.BUY, 1, "5801", "second", "MAX_GROSS_EXPOSURE MAX_NET_EXPOSURE CAPITAL STRATEGY_CAPITAL"),
    (DOLLAR, Side.SELL, 8, "83.9", "second", "MAX_GROSS_EXPOSURE CAPITAL STRATEGY_CAPITAL"),
    (DOLLAR, Side.SELL, 3, "83.9", "first", "CAPITAL"),
    (NICKEL, Side.BUY, 1, "1400", "first", f"MAX_ORDER_VALUE {EXPOSURE} MAX_DAILY_LOSS"),
    (CRUDE, Side.BUY, 3, "5800", "first", f"MAX_ORDER_VALUE {EXPOSURE}"),
    (CRUDE, Side.SELL, 1, "5750", "first", ""),
    (CRUDE, Side.BUY, 1, "5750", "first", "REDUCING MAX_DAILY_LOSS"),
    (CRUDE, Side.SELL, 1, "5750", "first", ""),
]
"""What is bought and sold, one after the other, with a tick at that price before each, and what refuses it."""


def test_lots_are_counted_in_rupees_on_both_paths(with_nickel: Instruments) -> None:
    steps: list[Step] = [("tick", Tick(CRUDE, Decimal(5800), OPENS)), ("tick", Tick(DOLLAR, Decimal(84), OPENS))]
    for number, (symbol, side, lots, price, strategy, _) in enumerate(LOTS):
        given = {"symbol": symbol, "side": side, "quantity": lots, "order_type": OrderType.LIMIT, "price": price}
        own = {"product": "NRML", "client_order_id": f"order-{number}", "strategy": strategy}
        steps.append(("tick", Tick(symbol, Decimal(price), OPENS + timedelta(seconds=number + 1))))
        steps.append(("place", OrderIntent(**given | own)))
    core = compare(IN_LOTS, steps, with_nickel)
    found = [core.order(f"order-{number}").reasons for number in range(len(LOTS))]
    assert [" ".join(reason.partition(":")[0] for reason in reasons) for reasons in found] == [lot[-1] for lot in LOTS]
