"""What a restarted sandbox must still know and the exchange does not keep: order details, GTTs and access tokens."""

import logging
from decimal import Decimal
from typing import Annotated

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.order import BrokerOrderId

log = logging.getLogger(__name__)

metadata = sa.MetaData()
_orders = sa.Table(
    "sandbox_orders",
    metadata,
    sa.Column("broker_order_id", sa.Text, primary_key=True),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("wiped", sa.Boolean, nullable=False),
)
"""`wiped`: of a day that is over, so that no book shows it any more."""
_gtts = sa.Table(
    "sandbox_gtts", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("gtt", sa.Text, nullable=False)
)
_tokens = sa.Table("sandbox_tokens", metadata, sa.Column("access_token", sa.Text, primary_key=True))


class Leg(BaseModel):
    """Of an iceberg order: which of its rows this is, and what all of them are to add up to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[int, Field(ge=1)]
    legs: int
    quantity: int
    """Of each leg but the last."""
    total: int
    parent: BrokerOrderId | None = None
    """The first leg; `None` of the first."""

    @property
    def remaining(self) -> int:
        """What is left for the legs behind it."""
        return max(self.total - self.number * self.quantity, 0)

    @property
    def own_quantity(self) -> int:
        return min(self.quantity, self.total - (self.number - 1) * self.quantity)

    def next(self, own: BrokerOrderId) -> "Leg | None":
        """The leg behind this one, whose order id is `own`; `None` behind the last."""
        if not self.remaining:
            return None
        return self.model_copy(update={"number": self.number + 1, "parent": self.parent or own})


class Cover(BaseModel):
    """Of a cover order: where its stop lies, and whether this is the stop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trigger_price: Decimal
    """Rupees."""
    parent: BrokerOrderId | None = None
    """The order that the stop belongs to; `None` of that itself."""


class OrderDetails(BaseModel):
    """What Kite's rows show of an order and the exchange has no use for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variety: str = "regular"
    placed_by: str
    """The user, or whoever else placed it."""
    by_app: bool = True
    """Whether it was placed with the app's key. Only such orders make postbacks."""
    validity: str | None = None
    """Where it is TTL; else it is the exchange's."""
    validity_ttl: Annotated[int, Field(gt=0)] | None = None
    """Minutes."""
    disclosed_quantity: int = 0
    market_protection: Decimal = Decimal(0)
    """Percent; -1 is Kite's own choice."""
    system_tags: tuple[str, ...] = ()
    """Kite's own, such as `mktp`."""
    leg: Leg | None = None
    """Of an iceberg order."""
    cover: Cover | None = None
    """Of a cover order."""

    @property
    def parent(self) -> BrokerOrderId | None:
        """The order that Kite made this one for."""
        part = self.leg or self.cover
        return part.parent if part is not None else None


class Store:
    """Small tables beside the exchange's, in the same database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.write() as connection:
            metadata.create_all(connection)

    def details(self) -> tuple[dict[BrokerOrderId, OrderDetails], set[BrokerOrderId]]:
        """Details by order, and the orders of earlier days."""
        known: dict[BrokerOrderId, OrderDetails] = {}
        wiped: set[BrokerOrderId] = set()
        with self._database.read() as connection:
            for row in connection.execute(sa.select(_orders)):
                if row.wiped:
                    wiped.add(BrokerOrderId(row.broker_order_id))
                else:
                    known[BrokerOrderId(row.broker_order_id)] = OrderDetails.model_validate_json(row.details)
        return known, wiped

    def keep(self, order: BrokerOrderId, details: OrderDetails) -> None:
        """Must not fail the placement that has already happened: without details an order shows the usual ones."""
        row = {"broker_order_id": order, "details": details.model_dump_json(), "wiped": False}
        try:
            with self._database.write() as connection:
                connection.execute(sa.insert(_orders).prefix_with("OR REPLACE"), row)
        except SQLAlchemyError:
            log.warning("the details of order %s could not be kept", order)

    def wipe(self, orders: list[BrokerOrderId]) -> None:
        rows = [{"broker_order_id": order, "details": "", "wiped": True} for order in orders]
        if rows:
            with self._database.write() as connection:
                connection.execute(sa.insert(_orders).prefix_with("OR REPLACE"), rows)

    def gtts(self) -> list[str]:
        """As they were kept, in the order of their ids."""
        with self._database.read() as connection:
            return list(connection.execute(sa.select(_gtts.c.gtt).order_by(_gtts.c.id)).scalars())

    def keep_gtt(self, number: int, gtt: str) -> None:
        with self._database.write() as connection:
            connection.execute(sa.insert(_gtts).prefix_with("OR REPLACE"), {"id": number, "gtt": gtt})

    def access_tokens(self) -> set[str]:
        with self._database.read() as connection:
            return set(connection.execute(sa.select(_tokens.c.access_token)).scalars())

    def add_access_token(self, token: str) -> None:
        with self._database.write() as connection:
            connection.execute(sa.insert(_tokens), {"access_token": token})

    def drop_access_tokens(self, tokens: set[str]) -> None:
        with self._database.write() as connection:
            connection.execute(sa.delete(_tokens).where(_tokens.c.access_token.in_(tokens)))
