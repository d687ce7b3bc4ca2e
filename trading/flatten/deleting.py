"""Which GTTs a flatten deletes: one that is left over a closed position opens another when it triggers. Pure.

It is asked to be deleted before the position is closed, so that both do not sell it. What the broker goes on to have of
the position after that, as shares that this system did not buy, is still covered by the GTTs that sell no more than it.
A share is one on either exchange.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.closing import Key, Target
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.flatten.snapshot import OpenGtt, position_name
from durable_orders.trading.gtt.gtt import GttStatus
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.broker_positions import same_share
from durable_orders.trading.orders.order import Frozen, Side

HOLDS = timedelta(seconds=10)
"""So long a position is not closed while the delete of its GTT is under way: it may have triggered just then."""
GIVEN_UP = timedelta(seconds=60)
"""After which a flatten does not wait for a delete any more, and says that the GTT is still there."""
ASK_AGAIN = timedelta(seconds=30)
"""Between two requests to delete one: the broker may have refused the first."""


class AskedGtt(Frozen):
    """When a GTT was first asked to be deleted, and when last."""

    since: AwareDatetime
    last: AwareDatetime


def doomed(
    states: Iterable[GttState],
    requests: Sequence[FlattenRequest],
    targets: Sequence[Target],
    there: Mapping[Key, int],
    limits: Guardian,
    asked: Collection[str] = (),
) -> list[GttState]:
    """Those of the open ones that are to be deleted. `there` is all that the broker has, signed. One of the ids in
    `asked`, which was asked to go, counts until it is gone, also where its position is closed by then."""
    wanted = {state.intent.gtt_id: state for state in states if _closing(state, requests, limits)}
    of_account = {
        own for own, state in wanted.items() if any(each.strategy is None for each in _closing(state, requests, limits))
    }

    def is_doomed(own: str, state: GttState) -> bool:
        # what stays there is the account's, and of a strategy's own nothing is to stay
        left = there if own in of_account else {}
        return own in asked or _is_left_over(state, list(wanted.values()), targets, left)

    return [state for own, state in wanted.items() if is_doomed(own, state)]


def _closing(state: GttState, requests: Iterable[FlattenRequest], limits: Guardian) -> list[FlattenRequest]:
    """Those that want its position closed."""
    return [each for each in requests if each.closes(state.intent.product, limits) and is_covered(state, [each])]


def is_covered(state: GttState, requests: Sequence[FlattenRequest]) -> bool:
    """Whether one of them is about its order."""
    return any(each.covers(symbol, state.intent.strategy) for symbol in _names(state) for each in requests)


def _is_left_over(
    state: GttState, wanted: Sequence[GttState], targets: Sequence[Target], there: Mapping[Key, int]
) -> bool:
    intent, names = state.intent, _names(state)
    own = [each for each in targets if each.product is intent.product and each.symbol in names]
    key = (intent.symbol, intent.product)
    stays = there[key] - sum(each.closable for each in own) if key in there else 0
    alike = [
        each
        for each in wanted
        if each.intent.symbol in names and (each.intent.product, each.intent.side) == (intent.product, intent.side)
    ]
    if -intent.side.sign * stays >= sum(most_of(each) for each in alike):
        return False
    is_closed = any(each.strategy in (None, intent.strategy) for each in own)
    return is_closed or (intent.side is Side.SELL and intent.product.is_delivery)


def position_of(state: GttState, targets: Iterable[Target]) -> str:
    """The name of the position that its order would trade: of one that is closed, if there is one."""
    intent = state.intent
    closed = {each.symbol for each in targets if each.product is intent.product}
    return position_name(next((name for name in _names(state) if name in closed), intent.symbol), intent.product)


def _names(state: GttState) -> tuple[str, ...]:
    return same_share(state.intent.symbol) if state.intent.product.is_delivery else (state.intent.symbol,)


def most_of(state: GttState) -> int:
    """What its order may trade: one of its legs, never both."""
    return max(leg.quantity for leg in state.legs)


def open_gtt(state: GttState, position: str) -> OpenGtt:
    legs = ", or ".join(leg.summary() for leg in state.legs)
    why = state.change.held_up if state.change is not None and state.change.legs is None else ""
    return OpenGtt(
        gtt_id=state.intent.gtt_id,
        summary=f"{state.intent.side} {state.intent.symbol} {state.intent.product}: {legs}",
        status=state.status,
        position=position,
        why="; ".join([each for each in (why, *state.reasons) if each]),
    )


def to_ask(seen: Iterable[OpenGtt], asked: Mapping[str, AskedGtt], now: datetime) -> list[OpenGtt]:
    """Those whose delete is to be asked for now."""
    waiting = (each for each in seen if each.status is not GttStatus.TRIGGERED)
    return [each for each in waiting if each.gtt_id not in asked or now - asked[each.gtt_id].last >= ASK_AGAIN]


def holding(seen: Iterable[OpenGtt], asked: Mapping[str, AskedGtt], now: datetime, within: timedelta) -> set[str]:
    """The positions with a GTT that is not gone so far, and was not asked to go `within` ago or longer. One whose
    order has just been placed, and is not in the ledger yet, is as good as open."""
    return {
        each.position
        for each in seen
        if each.status is GttStatus.TRIGGERED or each.gtt_id not in asked or now - asked[each.gtt_id].since < within
    }


def problems(seen: Iterable[OpenGtt]) -> list[str]:
    """What is still there at the end."""
    return [
        f"GTT {each.gtt_id} is {each.status} and not deleted so far{f' ({each.why})' if each.why else ''}: "
        f"it may open a position ({each.summary})"
        for each in seen
    ]
