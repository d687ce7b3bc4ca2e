"""Orders in the broker's book that no workflow of ours follows: what they are, and what is to be done.

| what is seen | what it is | what is done |
| --- | --- | --- |
| a row without a tag of ours | EXTERNAL: placed by hand, by RMS | recorded, followed in the ledger |
| a row with a tag of ours that the ledger has not | EXTERNAL: sent before a restore | the same; never sent again |
| a second row with one tag | TWIN: sent twice, by a fault | cancelled, booked if it filled, reported |
| a working row of an ended order | late: the broker took it after all | the same |
"""

from enum import StrEnum

from durable_orders.trading.ledger.reading import OrderSnapshot
from durable_orders.trading.orders.book import BookState, BrokerOrder
from durable_orders.trading.orders.order import Account, Mode, Order, Status, is_adopted, order_id, tag_of
from durable_orders.trading.orders.tags import may_be_ours


class ExternalKind(StrEnum):
    EXTERNAL = "external"
    DUPLICATE = "twin"


def kind_of(row: BrokerOrder, same_tag: OrderSnapshot | None) -> ExternalKind | None:
    """What a row is that no order of the ledger has as its own; `None` if it belongs to the order with its tag.

    An order that has no broker id yet owns whatever row has its tag, a late one after its end included.
    """
    if same_tag is None or is_adopted(same_tag.order_id):
        return ExternalKind.EXTERNAL
    return None if same_tag.broker_order_id in (None, row.broker_order_id) else ExternalKind.DUPLICATE


def is_unwanted(row: BrokerOrder, view: OrderSnapshot) -> bool:
    """Whether the row works in the market while its order has ended: nobody follows it any more, so it must go.

    That is a late arrival (the book did not show it through the whole settle window, or not before a cancel), or a
    twin. An order that is FILLED or EXPIRED is so by its own row: a book that shows it working is an old one.
    """
    given_up = view.status in (Status.REJECTED, Status.CANCELLED)
    is_twin = view.order_id.rsplit(":", 1)[-1].startswith(f"{ExternalKind.DUPLICATE}-")
    return row.state is BookState.WORKING and (given_up or is_twin)


def adopted(row: BrokerOrder, kind: ExternalKind, account: Account, mode: Mode, *, keeps_tag: bool = False) -> Order:
    """The order that the ledger keeps for such a row, still without what the row says of its progress. With
    `keeps_tag`, under the row's tag, if that is one as we make them: the order is found by it when it is asked for.

    Raises `ValueError` for a row whose terms cannot stand, such as one of a type that is not known here.
    """
    name = f"{kind}-{row.broker_order_id}"
    own = order_id(account, name)
    return Order(
        order_id=own,
        client_order_id=name,
        account=account,
        mode=mode,
        strategy=kind.value,
        tag=row.tag if keeps_tag and row.tag is not None and may_be_ours(row.tag) else tag_of(own),
        symbol=row.symbol,
        side=row.side,
        product=row.product,
        order_type=row.order_type,
        validity=row.validity,
        quantity=row.quantity,
        price=row.price,
        trigger_price=row.trigger_price,
        created_at=row.placed_at,
        updated_at=row.placed_at,
    )
