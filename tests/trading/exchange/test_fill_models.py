from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange import fill_models
from durable_orders.trading.market.liquidity import Liquidity
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Side
from tests.trading.exchange.exchange import OPENS

PROVE = settings(max_examples=200)

sides = st.sampled_from(Side)
tick_sizes = st.sampled_from([Decimal(size) for size in ("0.01", "0.05", "0.10", "0.0025", "1", "5", "0.03")])
prices = st.decimals(min_value="0.0001", max_value="999999", places=4)
bps = st.decimals(min_value=0, max_value=500, places=2)
models = st.builds(
    Paper, slippage_enabled=st.booleans(), slippage_bps=bps, spread_enabled=st.booleans(), spread_bps=bps
)


def tick_of(last: Decimal) -> Tick:
    return Tick("NSE:INFY", last, OPENS)


def paid(side: Side, last: Decimal, limit: Decimal | None, tick_size: Decimal, model: Paper) -> Decimal:
    """Rupees a share, by the last price alone."""
    met = fill_models.touch(side, tick_of(last), model)
    assert met is not None
    return fill_models.fill_price(side, met, limit, tick_size, 1, Liquidity(tick_of(last)), model)


def exact_price(side: Side, last: Decimal, model: Paper) -> Fraction:
    """Touch and slippage in exact arithmetic, before the tick and the limit."""
    half_spread = Fraction(model.spread_bps) / 20_000 if model.spread_enabled else Fraction(0)
    slippage = Fraction(model.slippage_bps) / 10_000 if model.slippage_enabled else Fraction(0)
    return Fraction(last) * (1 + side.sign * half_spread) * (1 + side.sign * slippage)


@PROVE
@given(sides, prices, tick_sizes, models)
def test_a_market_order_pays_what_the_model_says_rounded_to_the_next_worse_tick(
    side: Side, last: Decimal, tick: Decimal, model: Paper
) -> None:
    price = paid(side, last, None, tick, model)
    exact = exact_price(side, last, model)
    assert price % tick == 0
    assert price > 0
    assert 0 <= (Fraction(price) - exact) * side.sign < Fraction(tick) or price == tick


@PROVE
@given(sides, prices, st.integers(min_value=1, max_value=10**6), tick_sizes, models)
def test_a_marketable_limit_order_fills_on_the_tick_and_never_past_its_limit(
    side: Side, last: Decimal, ticks: int, tick: Decimal, model: Paper
) -> None:
    limit = ticks * tick
    if not fill_models.marketable(side, limit, tick_of(last), model):
        assert (limit - last) * side.sign < 0 or model.spread_enabled
        return
    price = paid(side, last, limit, tick, model)
    assert price % tick == 0
    assert (price - limit) * side.sign <= 0
    assert (price - last) * side.sign >= 0


@PROVE
@given(sides, prices, st.decimals(min_value="0.0001", max_value="999999", places=4), models)
def test_the_bound_for_the_query_selects_exactly_the_marketable_limits(
    side: Side, last: Decimal, limit: Decimal, model: Paper
) -> None:
    bound = fill_models.marketable_bound(side, tick_of(last), model)
    assert bound is not None
    selected = limit >= bound if side is Side.BUY else limit <= bound
    assert selected == fill_models.marketable(side, limit, tick_of(last), model)


@PROVE
@given(
    st.integers(min_value=1, max_value=10**9),
    st.text(max_size=8),
    st.integers(min_value=0, max_value=50),
    st.builds(
        Paper,
        partial_fill_enabled=st.booleans(),
        partial_fill_probability=st.floats(min_value=0, max_value=1),
        partial_fill_ratio=st.floats(min_value=0.01, max_value=0.99),
        seed=st.integers(),
    ),
)
def test_a_round_fills_at_least_one_share_at_most_what_remains_and_always_the_same(
    remaining: int, key: str, number: int, model: Paper
) -> None:
    filled = fill_models.fill_quantity(remaining, key, number, model)
    assert 1 <= filled <= remaining
    assert filled == fill_models.fill_quantity(remaining, key, number, model)
    if not model.partial_fill_enabled or model.partial_fill_probability == 0:
        assert filled == remaining


def test_partial_fills_come_as_often_as_their_probability_says() -> None:
    model = Paper(partial_fill_enabled=True, partial_fill_probability=0.3, partial_fill_ratio=0.5)
    filled = [fill_models.fill_quantity(100, f"tag{number % 100}", number, model) for number in range(5_000)]
    assert set(filled) == {50, 100}
    assert 0.27 < filled.count(50) / 5_000 < 0.33


def test_another_seed_gives_other_chances() -> None:
    assert {fill_models.chance(seed, "tag", 0) for seed in range(20)}.__len__() == 20


def test_a_known_case_by_hand() -> None:
    """100 with 2 bps of spread is 100.01 to buy; 5 bps of slippage make it 100.060005; the next tick is 100.10."""
    model = Paper(spread_enabled=True)
    assert paid(Side.BUY, Decimal(100), None, Decimal("0.05"), model) == Decimal("100.10")
    assert paid(Side.SELL, Decimal(100), None, Decimal("0.05"), model) == Decimal("99.90")
    assert paid(Side.BUY, Decimal(100), Decimal("100.05"), Decimal("0.05"), model) == Decimal("100.05")
