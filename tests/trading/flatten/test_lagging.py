"""Flat by the word of a broker whose positions lag behind its trades: nothing is ever turned around."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.closing import Held, closing, targets
from durable_orders.trading.flatten.flatten import Flatten, Progress
from durable_orders.trading.flatten.request import Difference, FlattenRequest, OrderOutcome
from durable_orders.trading.flatten.snapshot import Snapshot
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import Mode, OrderIntent, Product, Status

SYMBOL, PRODUCT = "NSE:INFY", Product.MIS
WINDOW = 10
"""Seconds."""
REQUEST = FlattenRequest(account="a", reason="enough", who="by a test", flatten=True)


@dataclass
class Market:
    """One position: what the ledger has, what the broker has, and what it shows of that."""

    ours: int
    theirs: int
    lag: int
    """Seconds."""
    limits: Guardian
    shown: list[int] = field(default_factory=list)
    """What the broker had, second by second."""
    outcomes: list[OrderOutcome] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        self.shown.append(self.theirs)
        shows = self.shown[max(len(self.shown) - 1 - self.lag, 0)]
        held = Held({(SYMBOL, PRODUCT): self.ours} if self.ours else {}, broker={(SYMBOL, PRODUCT): shows})
        difference = Difference(symbol=SYMBOL, product=PRODUCT, ours=self.ours, theirs=shows)
        over, self.outcomes = self.outcomes, []
        return Snapshot(
            state=AccountState.REDUCING,
            mode=Mode.LIVE,
            closings=tuple(
                closing(target, self.limits, None, None)
                for target in targets([REQUEST], held, self.limits)
                if target.closable
            ),
            over=tuple(outcome.order_id for outcome in over),
            outcomes=tuple(over),
            differences=(difference,) if difference.quantity else (),
            settle_seconds=WINDOW,
        )

    def refuse(self, order: OrderIntent) -> None:
        self.outcomes.append(
            OrderOutcome(
                order_id=order.order_id, summary="", status=Status.REJECTED, filled_quantity=0, words="no market orders"
            )
        )

    def fill(self, order: OrderIntent) -> None:
        signed = order.side.sign * order.quantity
        before = self.theirs
        self.theirs += signed
        self.ours += signed
        assert abs(self.theirs) == abs(before) - order.quantity, "it closes, and turns nothing around"
        self.outcomes.append(
            OrderOutcome(
                order_id=order.order_id,
                summary="",
                status=Status.FILLED,
                filled_quantity=order.quantity,
                words="",
            )
        )


@given(
    ours=st.integers(-12, 12),
    theirs=st.integers(-12, 12),
    lag=st.integers(0, WINDOW - 1),
    at_once=st.integers(1, 12),
)
def test_a_lagging_broker_is_never_sold_what_it_does_not_have(ours: int, theirs: int, lag: int, at_once: int) -> None:
    market = Market(ours, theirs, lag, Guardian(max_order_quantity=at_once))
    flatten, now = Flatten(Progress(requests=(REQUEST,)), "key"), datetime(2026, 11, 2, 4, tzinfo=UTC)
    for _ in range(60 * (WINDOW + 1)):
        now += timedelta(seconds=1)
        step = flatten.step(market.snapshot(), now)
        for order in step.orders:
            market.fill(order)
        if step.is_done:
            break
    else:
        raise AssertionError("it never ends")
    same_side = ours * theirs > 0
    closed = min(abs(ours), abs(theirs)) if same_side else 0
    assert abs(market.theirs) == abs(theirs) - closed


@given(
    ours=st.integers(-12, 12).filter(bool),
    more=st.integers(1, 12),
    lag=st.integers(0, WINDOW - 1),
    after=st.integers(1, 3 * WINDOW),
)
def test_trades_that_the_ledger_learns_of_after_a_refused_order_are_closed_too(
    ours: int, more: int, lag: int, after: int
) -> None:
    """Somebody traded in the app; the first closing order leaves before the ledger has that, and is refused."""
    market = Market(ours, ours + more * (1 if ours > 0 else -1), lag, Guardian())
    flatten, now = Flatten(Progress(requests=(REQUEST,)), "key"), datetime(2026, 11, 2, 4, tzinfo=UTC)
    sent = 0
    for second in range(60 * (WINDOW + 1)):
        now += timedelta(seconds=1)
        step = flatten.step(market.snapshot(), now)
        for order in step.orders:
            market.fill(order) if sent else market.refuse(order)
            sent += 1
        if second == after:
            market.ours = market.theirs
        if step.is_done and second > after:
            break
    assert market.theirs == 0
