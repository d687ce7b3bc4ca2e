"""A GTT as somebody asks for it, and as the broker shows it (Kite documentation, GTT).

It waits at the broker for up to a year: when the last price reaches or passes a trigger, the broker places that
trigger's LIMIT order for the day, once, whatever becomes of it. A two-leg one has two triggers, one on each side of the
last price; the first that is reached ends the other. There is no tag: a GTT is told from others by its content alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NewType, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from durable_orders.trading.orders.content import Why, fingerprint_of
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Frozen,
    Mode,
    Name,
    Order,
    OrderIntent,
    OrderType,
    Price,
    Product,
    Quantity,
    Side,
    Symbol,
    new_client_order_id,
)

TriggerId = NewType("TriggerId", str)
"""The broker's id of a GTT."""
EXTERNAL = "external-"
"""How the GTTs are named that somebody placed at the broker, past this system."""
NOT_FREE = f"gtt_id: must not begin with {EXTERNAL}: those are named so that others placed"
GttId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,48}$")]
"""1 to 48 letters, digits, dots, dashes and underscores."""

SHARES, DERIVATIVES = ("NSE", "BSE"), ("NFO", "BFO")
"""The exchanges: not those of currencies and commodities (Zerodha support, GTT in futures and options)."""
PRODUCTS = {**dict.fromkeys(SHARES, (Product.CNC, Product.MTF)), **dict.fromkeys(DERIVATIVES, (Product.NRML,))}
"""A GTT outlives the day, so it is not for MIS (Zerodha support, what is the GTT feature)."""
DROPPED = frozenset(
    {
        *("tag", "tags", "validity", "validity_ttl", "disclosed_quantity", "market_protection", "variety"),
        *("iceberg_legs", "iceberg_quantity", "autoslice", "instructions", "algo_id"),
    }
)
"""Terms of an order that Kite's client drops from one of a GTT without a word (kiteconnect 5.2.2)."""


class GttType(StrEnum):
    SINGLE = "single"
    TWO_LEG = "two-leg"


def kind_problem(symbol: str, product: Product, side: Side, legs: int) -> str | None:
    """Why no GTT can be of that kind; field and rule."""
    exchange = symbol.partition(":")[0]
    if exchange not in PRODUCTS:
        return f"symbol: a GTT is for {', '.join(PRODUCTS)}, was {exchange}"
    if product not in PRODUCTS[exchange]:
        return f"product: a GTT on {exchange} is {' or '.join(PRODUCTS[exchange])}, was {product}"
    if legs == 2 and exchange in SHARES and side is Side.BUY:
        return "side: a two-leg GTT of shares sells; to buy, it is for NFO and BFO only"
    return None


def reason_of(gtt_id: str) -> str:
    """Of the order that it has placed."""
    return f"GTT {gtt_id} was triggered"


def stays(kind: GttType) -> str:
    """Why it has not as many triggers as it is to have (Kite documentation, GTT: its type is not changed)."""
    return f"a {kind} GTT stays one: delete it, and place another"


class GttStatus(StrEnum):
    """Where a GTT stands. All but the first two are Kite's."""

    PENDING = "PENDING"
    """Recorded; the broker's list has not shown it yet."""
    UNKNOWN = "UNKNOWN"
    """Sent, and the answer was lost: the list is being read until it tells, or a human does."""
    ACTIVE = "ACTIVE"
    TRIGGERED = "TRIGGERED"
    """Its order was sent, and may have been refused: see the leg."""
    DISABLED = "DISABLED"
    """By the broker, as on a bonus or a split."""
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    """By the broker."""
    REJECTED = "REJECTED"
    """By the checks, or by the broker."""
    DELETED = "DELETED"
    """By whoever may."""

    is_open: bool
    """Whether something may still come of it."""

    is_final: bool
    """Whether it never becomes another again: a list that says so is an old one. What a human or the checks rejected
    may be at the broker after all."""

    def __init__(self, word: str) -> None:
        self.is_open = word in ("PENDING", "UNKNOWN", "ACTIVE")
        self.is_final = word in ("TRIGGERED", "EXPIRED", "CANCELLED", "DELETED")


UNRESOLVED = (GttStatus.PENDING, GttStatus.UNKNOWN)
"""Of one that may be at the broker, and that no list has shown."""


class GttLeg(Frozen):
    """One trigger, and the LIMIT order that the broker places when the last price reaches it. Rupees."""

    trigger_price: Price
    price: Price
    quantity: Quantity
    """As Kite counts: shares, or units."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_dropped(cls, data: Any) -> Any:
        return told_of_dropped(data)

    def summary(self) -> str:
        return f"{self.quantity} at {self.price} from {self.trigger_price} on"


class GttIntent(Frozen):
    """A GTT as somebody asks for it."""

    account: Name = "paper"
    mode: Mode = Mode.LIVE
    gtt_id: GttId = Field(default_factory=new_client_order_id)
    strategy: Name = "manual"
    reason: Why = ""
    symbol: Symbol
    side: Side
    product: Product = Product.CNC
    legs: Annotated[tuple[GttLeg, ...], Field(min_length=1, max_length=2)]
    """Of a two-leg one the lower trigger first."""
    last_price: Price | None = None
    """Rupees, which tell from which side a trigger is reached. Without one, the broker is asked."""
    place_by: AwareDatetime | None = None
    """After this moment nothing is sent: by default 30 s after it was asked for, since the price moves on."""

    @property
    def type(self) -> GttType:
        return GttType.SINGLE if len(self.legs) == 1 else GttType.TWO_LEG

    def summary(self) -> str:
        """`SELL NSE:INFY CNC: 10 at 1399 from 1400 on, or 10 at 1601 from 1600 on`."""
        return f"{self.side} {self.symbol} {self.product}: {', or '.join(leg.summary() for leg in self.legs)}"

    def fingerprint(self) -> str:
        """Equal for equal content, however its prices were written."""
        return fingerprint_of(self.model_dump(exclude={"place_by", "last_price"}))

    def orders(self, at: datetime) -> Iterator[Order]:
        """The order of each leg, as it would be placed."""
        for number, leg in enumerate(self.legs, 1):
            own = {"account": self.account, "mode": self.mode, "strategy": self.strategy, "reason": self.reason}
            intent = OrderIntent(
                **own,
                client_order_id=f"gtt.{self.gtt_id}.leg{number}",
                symbol=self.symbol,
                side=self.side,
                product=self.product,
                quantity=leg.quantity,
                order_type=OrderType.LIMIT,
                price=leg.price,
            )
            yield Order.from_intent(intent, at)

    def with_legs(self, legs: tuple[GttLeg, ...], last_price: Decimal | None = None) -> Self:
        """Raises `ValueError` (pydantic's) for legs that do not fit together, or around that last price."""
        own = {"legs": [leg.model_dump() for leg in legs], "last_price": last_price}
        return type(self).model_validate(self.model_dump() | own)

    def side_problem(self, last_price: Decimal) -> str | None:
        """Why triggers and last price do not fit: one that is reached already, or two on the same side."""
        if len(self.legs) == 2 and not self.legs[0].trigger_price < last_price < self.legs[1].trigger_price:
            low, high = (leg.trigger_price for leg in self.legs)
            return f"trigger_price: the last price must lie between {low} and {high}, was {last_price}"
        if self.legs[0].trigger_price == last_price:
            return f"trigger_price: {last_price} is the last price, so it is reached already"
        return None

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_dropped(cls, data: Any) -> Any:
        return told_of_dropped(data)

    @field_validator("gtt_id")
    @classmethod
    def _id_is_free(cls, gtt_id: str) -> str:
        if not gtt_id.startswith(EXTERNAL) or gtt_id.removeprefix(EXTERNAL).isdecimal():
            return gtt_id
        raise ValueError(NOT_FREE)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (problem := kind_problem(self.symbol, self.product, self.side, len(self.legs))) is not None:
            raise ValueError(problem)
        if len(self.legs) == 2 and self.legs[0].trigger_price >= self.legs[1].trigger_price:
            raise ValueError("trigger_price: of a two-leg GTT the lower one comes first")
        if self.last_price is not None and (problem := self.side_problem(self.last_price)) is not None:
            raise ValueError(problem)
        return self


class GttChange(Frozen):
    """A change that is asked for."""

    account: Name
    gtt_id: GttId
    legs: Annotated[tuple[GttLeg, ...], Field(min_length=1, max_length=2)] | None = None
    """As they are to be, all of them; without any, it is to be deleted."""
    last_price: Price | None = None
    """As of `GttIntent`."""
    reason: Why = ""
    asked_at: AwareDatetime | None = None
    """Without it, when its workflow was started."""
    takes_up: str = ""
    """The id of the change that this one is, where its workflow was ended from outside and is started anew."""

    def summary(self) -> str:
        if self.legs is None:
            return f"delete {self.gtt_id}"
        return f"change {self.gtt_id}: {', or '.join(leg.summary() for leg in self.legs)}"


def told_of_dropped(data: Any) -> Any:
    """Raises `ValueError` for terms that would not arrive, each by its name."""
    if not isinstance(data, dict):
        return data
    if lost := sorted(DROPPED & data.keys()):
        raise ValueError(f"{lost[0]}: Kite's client drops it from the orders of a GTT: leave it out")
    if (kind := data.get("order_type")) is not None and kind != OrderType.LIMIT:
        raise ValueError(f"order_type: a GTT places LIMIT orders, was {kind!r:.20}")
    return {name: value for name, value in data.items() if name != "order_type"}


@dataclass(frozen=True, slots=True)
class LegResult:
    """What came of a leg that was triggered."""

    triggered_at: Decimal | None
    """The last price that did it, in rupees."""
    order_id: BrokerOrderId | None
    """`None` where it was refused."""
    rejection_reason: str
    at: datetime | None = None
    """When, as the broker says."""


@dataclass(frozen=True, slots=True)
class BrokerLeg:
    """As the broker shows it: it may be of a kind that cannot be asked for here."""

    trigger_price: Decimal
    side: str
    quantity: int
    product: str
    order_type: str
    price: Decimal
    result: LegResult | None


@dataclass(frozen=True, slots=True)
class BrokerGtt:
    """A row of the broker's list."""

    trigger_id: TriggerId
    symbol: str
    status: GttStatus | None
    """`None` for a word that is not known here."""
    legs: tuple[BrokerLeg, ...]
    created_at: datetime | None
    expires_at: datetime | None

    def has_content_of(self, intent: GttIntent, legs: Sequence[GttLeg] | None = None) -> bool:
        """Whether it is what was asked for, with these legs instead of its own if they are given."""
        return self.symbol == intent.symbol and [_content(leg) for leg in self.legs] == [
            (leg.trigger_price, intent.side, leg.quantity, intent.product, OrderType.LIMIT, leg.price)
            for leg in (legs or intent.legs)
        ]

    def as_intent(self, account: str) -> GttIntent:
        """As if it had been asked for here. Raises `ValueError` for one that cannot be."""
        first = self.legs[0] if self.legs else None
        if first is None or any((leg.side, leg.product) != (first.side, first.product) for leg in self.legs):
            raise ValueError("its legs are not of one side and product")
        if any(leg.order_type != OrderType.LIMIT for leg in self.legs):
            raise ValueError("its orders are not LIMIT orders")
        return GttIntent(
            account=account,
            gtt_id=f"{EXTERNAL}{self.trigger_id}",
            strategy="external",
            symbol=self.symbol,
            side=Side(first.side),
            product=Product(first.product),
            legs=self.own_legs(),
        )

    def own_legs(self) -> tuple[GttLeg, ...]:
        """Raises `ValueError` (pydantic's)."""
        return tuple(
            GttLeg(trigger_price=leg.trigger_price, price=leg.price, quantity=leg.quantity) for leg in self.legs
        )


def _content(leg: BrokerLeg) -> tuple[object, ...]:
    return (leg.trigger_price, leg.side, leg.quantity, leg.product, leg.order_type, leg.price)
