"""The orders of a plan of several lines, by what the exchange and the account take in one; and those that close one."""

from collections.abc import Sequence
from datetime import date

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.closing import closable, closing_order, slices
from durable_orders.trading.flatten.snapshot import Closing
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Product, Side
from durable_orders.trading.plans.claims import Line
from durable_orders.trading.plans.kinds import closes_by_itself
from durable_orders.trading.plans.line import LineTerms
from durable_orders.trading.plans.news import LineClosing
from durable_orders.trading.plans.pieces import LinesState
from durable_orders.trading.plans.state import closing_id


def terms_of_line(
    symbol: str,
    side: Side,
    quantity: int,
    instrument: Instrument | None,
    tick: Tick | None,
    limits: Guardian,
    day: date,
) -> LineTerms:
    """What is known of a line when its plan is admitted. `tick` is the last one, if that is one of now; `day` says
    whose freeze quantities count."""
    there = None if tick is None else (tick.ask if side is Side.BUY else tick.bid) or tick.last_price
    last = tick.last_price if tick is not None else None
    return LineTerms(
        tick_size=instrument.tick_size if instrument is not None else None,
        multiplier=multiplier_of(symbol),
        reference=there,
        sizes=slices(quantity, limits, instrument, last, day),
    )


def line_of(state: LinesState, symbol: str, product: Product, quantity: int) -> Line:
    """What the plan holds of an instrument; `quantity` is signed."""
    intent, side = state.intent, Side.BUY if quantity > 0 else Side.SELL
    return Line(intent.account, symbol, product, intent.strategy, side)


def closing_of_line(
    state: LinesState,
    line: Line,
    left: int,
    number: int,
    have: Sequence[int],
    limits: Guardian,
    instrument: Instrument | None,
    day: date,
) -> LineClosing:
    """The orders that close what is `left` of a line, the first one with that number: no more than the account and its
    broker `have`, signed. What a schedule has traded while neither of them has any of it on that side was a way out:
    it is done with, and not held."""
    intent, symbol, product = state.intent, line.symbol, line.product
    if not closes_by_itself(intent) and all(each * line.side.sign <= 0 for each in have):
        return LineClosing(left=0)
    wanted = min(abs(closable(product, *have, left * line.side.sign)), left)
    if wanted <= 0:
        ours, broker = have
        return LineClosing(left=left, waits=f"the broker has {broker}, and the ledger {ours}" if left else "")
    sizes = slices(wanted, limits, instrument, None, day)
    closing = Closing(symbol=symbol, product=product, side=line.exit_side, slices=sizes, strategy=intent.strategy)
    reason = f"plan {intent.plan_id}: {state.gives_up or state.why or 'it is not to be kept'}"
    orders = [
        closing_order(intent.account, intent.mode, closing_id(intent.plan_id, number + more), reason, closing, size)
        for more, size in enumerate(sizes)
    ]
    return LineClosing(left=left, orders=tuple(orders))
