"""Orders, fills and their ids. Money is `Decimal` rupees, quantities are whole, times are aware.

A quantity is what Kite counts: shares on NSE and BSE, units on NFO and BFO (a whole number of lots), and lots on MCX,
NCO, CDS and BCD. What one lot is in units of the price is `charges/contracts.py`'s.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, NewType, Self

import uuid_utils
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    computed_field,
    field_validator,
    model_serializer,
    model_validator,
)

from durable_orders.trading.ist import IST
from durable_orders.trading.orders import older_names

Account = NewType("Account", str)
ClientOrderId = NewType("ClientOrderId", str)
OrderId = NewType("OrderId", str)
"""The workflow id: `order:{account}:{client_order_id}`."""
BrokerOrderId = NewType("BrokerOrderId", str)
TradeId = NewType("TradeId", str)
Tag = NewType("Tag", str)
"""What the broker echoes: 20 alphanumeric characters (Kite documentation, order tag)."""

MAX_QUANTITY = 10**9
PRICE_PLACES = Decimal("0.0001")
"""Kite quotes currencies to four places and everything else to two."""

RESERVED_NAMES = ("external-", "twin-")
"""How the orders are named that the ledger keeps for rows of the broker's book which no workflow of ours follows."""
CLOSING = "flatten-"
"""Orders whose client order ids begin with it only ever close a position: the guardian holds that."""
OF_PLAN = re.compile(r"(?P<plan>.+)\.(?:entry|exit-\d+-\d+|leg-\d+-\d+|slice-\d+-\d+)")
"""How the orders of a plan are named."""
NAME = r"^[A-Za-z0-9._-]{1,64}$"
Name = Annotated[str, Field(pattern=NAME)]
"""Accounts, strategies and client order ids: 1 to 64 letters, digits, dots, dashes and underscores."""
Symbol = Annotated[str, Field(pattern=r"^[A-Z]{2,5}:[A-Z0-9&_ .-]{1,40}$")]
"""Exchange and Kite tradingsymbol, as in `NSE:INFY`."""


def is_plain(text: str) -> bool:
    """Whether a number in that text has nothing of what Python reads and a trader does not write: 1_50 is 150 to it,
    and digits are of any script."""
    return text.isascii() and "_" not in text


def _plain(number: object) -> object:
    if isinstance(number, str) and not is_plain(number):
        raise ValueError(f"must be a number, was {number[:40]!r}")
    return number


Rupees = Annotated[Decimal, BeforeValidator(_plain)]
Price = Annotated[Rupees, Field(gt=0, max_digits=14, decimal_places=4, allow_inf_nan=False)]
FillPrice = Annotated[Rupees, Field(ge=0, max_digits=14, decimal_places=4, allow_inf_nan=False)]
"""0 for an option that ends without worth."""
Quantity = Annotated[int, Field(strict=True, gt=0, le=MAX_QUANTITY)]
Tags = dict[str, JsonValue]
"""The caller's own remarks, by name. They travel with the order and mean nothing to it."""
NOT_CONTENT = frozenset({"price", "trigger_price", "place_by", "approve_by", "tags", "plan_id"})
"""What no order is told from another by; prices are, as numbers."""
COMPUTED = frozenset({"filled_quantity", "average_price"})
"""Figures that travel with an order for readers; they are always worked out anew."""


class Mode(StrEnum):
    PAPER = "paper"
    LIVE = "live"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    sign: int
    """1 or -1. An attribute of the member, not a property: it is read a dozen times an order."""

    def __init__(self, word: str) -> None:
        self.sign = 1 if word == "BUY" else -1


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SL_M = "SL-M"

    has_price: bool
    has_trigger: bool

    def __init__(self, word: str) -> None:
        self.has_price = word in ("LIMIT", "SL")
        self.has_trigger = word in ("SL", "SL-M")


class Product(StrEnum):
    MIS = "MIS"
    NRML = "NRML"
    CNC = "CNC"
    MTF = "MTF"

    is_delivery: bool
    """Shares that change hands: what is sold must be held. Everything else is a position, long or short."""

    def __init__(self, word: str) -> None:
        self.is_delivery = word in ("CNC", "MTF")


class Validity(StrEnum):
    DAY = "DAY"
    IOC = "IOC"
    TTL = "TTL"
    """For some minutes; `Instructions.validity_ttl` says how many."""


class Status(StrEnum):
    """Where an order stands. What may follow what is in `lifecycle.TRANSITIONS`, and nowhere else."""

    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    PLACED = "PLACED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    terminal: bool

    def __init__(self, word: str) -> None:
        self.terminal = word in ("FILLED", "CANCELLED", "REJECTED", "EXPIRED")


TERMINAL = frozenset(status for status in Status if status.terminal)


class Frozen(BaseModel):
    """A value that can travel through workflow history: immutable, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Terms(Frozen):
    """What is to be traded. The rules here are those of Kite's `place_order`; the guardian adds the market's."""

    symbol: Symbol
    side: Side
    quantity: Quantity
    """As Kite counts: shares on NSE and BSE, units on NFO and BFO (a whole number of lots), lots on MCX, NCO, CDS and
    BCD."""
    order_type: OrderType = OrderType.MARKET
    price: Price | None = None
    """Rupees; for LIMIT and SL only."""
    trigger_price: Price | None = None
    """Rupees; for SL and SL-M only."""
    product: Product = Product.MIS
    validity: Validity = Validity.DAY

    @model_validator(mode="after")
    def _prices_fit_the_type(self) -> Self:
        kind, price, trigger = self.order_type, self.price, self.trigger_price
        if (price is not None) is not kind.has_price:
            raise ValueError(f"price: a {kind} order {'needs one' if kind.has_price else 'takes none'}")
        if (trigger is not None) is not kind.has_trigger:
            raise ValueError(f"trigger_price: a {kind} order {'needs one' if kind.has_trigger else 'takes none'}")
        if price and trigger and (price - trigger) * self.side.sign < 0:
            where = "at or above" if self.side is Side.BUY else "at or below"
            raise ValueError(f"price: the limit of a {self.side} SL order must lie {where} its trigger_price")
        return self

    def summary(self) -> str:
        """One line a trader reads: `BUY 75 NFO:NIFTY25MAYFUT LIMIT 24000.05 MIS`."""
        prices = [str(self.price)] if self.price is not None else []
        prices += [f"trigger {self.trigger_price}"] if self.trigger_price is not None else []
        validity = [] if self.validity is Validity.DAY else [self.validity]
        return " ".join([self.side, str(self.quantity), self.symbol, self.order_type, *prices, self.product, *validity])


class Instructions(Frozen):
    """How Kite is to handle an order beyond its terms (Kite documentation, place order). All but the disclosed quantity
    are for live accounts only."""

    validity_ttl: Annotated[int, Field(strict=True, ge=1, le=120)] | None = None
    """Minutes, with validity TTL. Kite's own screen takes 1 to 120; for the API no limits are documented."""
    disclosed_quantity: Quantity | None = None
    """Shares of the order that the market sees; equities only. On paper it fills as if all of it showed, and is refused
    and cancelled as live."""
    market_protection: Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)] | None = None
    """Percent, for MARKET and SL-M, instead of the account's setting."""
    iceberg_legs: Annotated[int, Field(strict=True, ge=2, le=50)] | None = None
    """Legs that go to the exchange one after the other, each when the one before is filled."""
    iceberg_quantity: Quantity | None = None
    """Of each leg but the last, which has the rest. As Kite counts, like `quantity`."""
    autoslice: Annotated[bool, Field(strict=True)] | None = None
    """Whether Kite may split what is above the exchange's freeze quantity into several orders, all at once."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("instructions: give at least one")
        if self.autoslice is False:
            raise ValueError("autoslice: is true, or is left out")
        if (self.iceberg_legs is None) != (self.iceberg_quantity is None):
            raise ValueError("iceberg_legs: belongs together with iceberg_quantity")
        if self.is_iceberg and (self.autoslice or self.disclosed_quantity):
            raise ValueError("iceberg_legs: an iceberg order takes neither autoslice nor disclosed_quantity")
        return self

    @property
    def is_iceberg(self) -> bool:
        return self.iceberg_legs is not None

    @property
    def splits(self) -> bool:
        """Whether the order is several rows of Kite's book."""
        return self.is_iceberg or self.autoslice is not None

    def summary(self) -> str:
        """How the order is split, for a trader; empty if it is not."""
        if self.is_iceberg:
            return f"in {self.iceberg_legs} legs of {self.iceberg_quantity}"
        return "in slices" if self.autoslice else ""

    @model_serializer(mode="wrap")
    def _older_ones_read_as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is split is told only where it is: a fingerprint is made of these words."""
        content: dict[str, Any] = dump(self)
        return {name: value for name, value in content.items() if value is not None or name not in SPLITTING}


SPLITTING = frozenset({"iceberg_legs", "iceberg_quantity", "autoslice"})


def new_client_order_id() -> ClientOrderId:
    """A UUIDv7, for strategies that do not name their orders."""
    return ClientOrderId(str(uuid_utils.uuid7()))


class SignOff(Frozen):
    """A person's word on an order, without which it is not sent."""

    needed_by: AwareDatetime | None = None
    """Without it by then the order is rejected. `None` until the guardian has received the order."""
    approved_by: Annotated[str, Field(min_length=1)] | None = None
    """Who has approved it, as in `by user asha`."""
    approved_at: AwareDatetime | None = None
    place_by: AwareDatetime | None = None
    """The deadline that the order's intent has, for whoever goes on with it."""

    @model_validator(mode="after")
    def _says_who_and_when(self) -> Self:
        if (self.approved_by is None) != (self.approved_at is None):
            raise ValueError("approved_by: belongs together with approved_at")
        return self


class OrderIntent(Terms):
    """What a strategy wants, before anybody has checked it."""

    account: Name = "paper"
    mode: Mode = Mode.PAPER
    client_order_id: Name = Field(default_factory=new_client_order_id)
    strategy: Name = "manual"
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    """Why, in the strategy's words. Kept in the history and the journal. No NUL: PostgreSQL stores none in a text."""
    instructions: Instructions | None = None
    tags: Tags = Field(default_factory=dict)
    place_by: AwareDatetime | None = None
    """After this moment nothing is sent. Without one: 30 s for MARKET and SL-M, end of session for the rest."""
    dry_run: bool = False
    """Check and record it, and send nothing. A worker whose `execution.dry_run` is set takes every order as one."""
    approve: bool = False
    """Wait for a person's approval before it is sent; so do the orders of a strategy that is marked in the settings."""
    approve_by: AwareDatetime | None = None
    """Without an approval by then it is rejected. Without a moment: within `guardian.approve_within`."""

    @model_validator(mode="after")
    def _approval_is_asked_for(self) -> Self:
        if self.approve_by is not None and not self.approve:
            raise ValueError("approve_by: belongs to an order that is to be approved: set approve")
        return self

    @model_validator(mode="after")
    def _instructions_fit(self) -> Self:
        given = self.instructions
        named = given.model_dump(exclude_none=True, exclude={"disclosed_quantity"}) if given is not None else {}
        if named and self.mode is Mode.PAPER:
            raise ValueError(f"{', '.join(named)}: for live accounts only, the paper exchange takes none")
        minutes = given.validity_ttl if given is not None else None
        if (minutes is not None) != (self.validity is Validity.TTL):
            raise ValueError("validity_ttl: belongs to an order of validity TTL, and such an order needs it")
        if given is None:
            return self
        if given.disclosed_quantity is not None and given.disclosed_quantity > self.quantity:
            raise ValueError("disclosed_quantity: may be at most the quantity")
        if given.market_protection is not None and self.order_type not in (OrderType.MARKET, OrderType.SL_M):
            raise ValueError("market_protection: is for MARKET and SL-M orders")
        self._iceberg_fits(given)
        return self

    def _iceberg_fits(self, given: Instructions) -> None:
        """Kite's documentation names order types for no variety; that an iceberg order rests is what is certain."""
        if given.iceberg_legs is None or given.iceberg_quantity is None:
            return
        if self.order_type is not OrderType.LIMIT:
            raise ValueError("iceberg_legs: an iceberg order is a LIMIT order")
        if self.validity is Validity.IOC:
            raise ValueError("iceberg_legs: an iceberg order cannot be IOC, its legs wait for each other")
        if (
            not (given.iceberg_legs - 1) * given.iceberg_quantity
            < self.quantity
            <= (given.iceberg_legs * given.iceberg_quantity)
        ):
            legs = f"{given.iceberg_legs} legs of {given.iceberg_quantity}"
            raise ValueError(f"iceberg_quantity: {legs} do not make up {self.quantity}: all but the last are whole")

    @field_validator("client_order_id")
    @classmethod
    def _name_is_free(cls, name: str, info: ValidationInfo) -> str:
        """What is read back from a history or a ledger may be older than plans, and be named as their orders are."""
        if info.mode == "json" and not name.startswith(RESERVED_NAMES):
            return name
        if reason := kept_for(name):
            raise ValueError(reason)
        return name

    @property
    def order_id(self) -> OrderId:
        return order_id(self.account, self.client_order_id)

    def __hash__(self) -> int:
        return hash(self.client_order_id)

    def named(self, client_order_id: str) -> Self:
        """The same under another name, one that `is_free`: nothing is checked again."""
        return self.model_copy(update={"client_order_id": client_order_id})

    def fingerprint(self) -> str:
        """Equal for equal content, however it was written: 1500 and 1500.00 are one price. Deadline and tags do not
        count: a strategy that asks again later asks for the same order. An id may be started again only with the same
        one.
        """
        prices = [price and str(price.normalize()) for price in (self.price, self.trigger_price)]
        usual = {name for name in ("dry_run", "approve") if not getattr(self, name)}  # as before there were any
        rest = self.model_dump_json(exclude={*NOT_CONTENT, *usual})
        return sha256(f"{rest} {prices}".encode()).hexdigest()[:32]


CARRIED = tuple(field for field in OrderIntent.model_fields if field not in ("place_by", "approve", "approve_by"))
"""The fields of an intent that are its order's."""


class PlanOrderIntent(OrderIntent):
    """An order that a plan starts: only such a one is named after a plan."""

    plan_id: Name

    @field_validator("client_order_id")
    @classmethod
    def _name_is_free(cls, name: str, _info: ValidationInfo) -> str:
        return name

    @model_validator(mode="after")
    def _name_is_the_plans(self) -> Self:
        if plan_of(self.client_order_id) != self.plan_id:
            raise ValueError(f"client_order_id: must be of plan {self.plan_id}, was {self.client_order_id}")
        return self


def plan_of(client_order_id: str) -> str | None:
    """The plan whose order that is, by its name."""
    named = OF_PLAN.fullmatch(client_order_id)
    return named["plan"] if named else None


_as_name = re.compile(NAME).fullmatch


def is_free(name: str) -> bool:
    """Whether an order without a plan may have that client order id."""
    return _as_name(name) is not None and not kept_for(name)


def kept_for(name: str) -> str:
    """For whom names like that are kept, in words; empty for most."""
    if name.startswith(RESERVED_NAMES):
        return f"names that begin with {' or '.join(RESERVED_NAMES)} are for orders found at the broker"
    if "." in name and plan_of(name) is not None:
        return "names that end in .entry, .exit-N-N, .leg-N-N or .slice-N-N are for the orders of plans"
    return of_a_path(name)


def of_a_path(name: str) -> str:
    """Why no order and no plan is named so that its address is another's; empty for most."""
    return "must not be . or ..: in an address, those are folders" if name in (".", "..") else ""


def is_closing(client_order_id: str) -> bool:
    """Whether an order of that name may only close a position."""
    return client_order_id.startswith(CLOSING)


def only_closes(client_order_id: str) -> bool:
    """Whether it is that of a flatten or of a plan's exit."""
    return is_closing(client_order_id) or (plan_of(client_order_id) is not None and ".exit-" in client_order_id)


def order_id(account: str, client_order_id: str) -> OrderId:
    return OrderId(f"order:{account}:{client_order_id}")


def is_adopted(order_id: str) -> bool:
    """Whether the ledger keeps this order for a row of the broker's book, without a workflow."""
    return order_id.split(":", 2)[-1].startswith(RESERVED_NAMES)


def tag_of(order: OrderId) -> Tag:
    """The broker tag of an order: deterministic, so that a lost answer can be looked up.

    Hexadecimal digits of a SHA-256: 80 bits, so two orders of one day never share a tag in practice.
    """
    return Tag(sha256(order.encode()).hexdigest()[:20])


class Fill(Frozen):
    """One trade of an order, as the exchange reported it. Identified by `trade_id` within its order."""

    trade_id: TradeId
    broker_order_id: BrokerOrderId
    quantity: Quantity
    """As Kite counts: shares, units, or lots on MCX, NCO, CDS and BCD."""
    price: FillPrice
    """Rupees, as quoted."""
    at: AwareDatetime
    session: date | None = None
    """The market's day, where that is another's than the wall clock's: on paper a recorded day may be replayed."""

    @property
    def day(self) -> date:
        """The day whose charges count."""
        return self.session or self.at.astimezone(IST).date()


class Order(Terms):
    """An order as it stands: its terms as the broker last showed them, and everything proved about it."""

    order_id: OrderId
    client_order_id: Name
    account: Name
    mode: Mode
    strategy: Name
    reason: str = ""
    instructions: Instructions | None = None
    dry_run: bool = False
    """It is checked and recorded like any other, and never sent."""
    tag: Tag
    status: Status = Status.PENDING
    broker_order_id: BrokerOrderId | None = None
    """Of an order that the broker split: that of its first row."""
    slices: tuple[BrokerOrderId, ...] = ()
    """Of an autoslice order: all the rows that the broker made of it, once that is proved."""
    fills: tuple[Fill, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why it stands as it does, oldest first, in words a trader understands."""
    cancel_requested: bool = False
    tags: Tags = Field(default_factory=dict)
    approval: SignOff | None = None
    """Of an order that a person has to approve before it is sent."""
    created_at: AwareDatetime
    updated_at: AwareDatetime

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            symbol: str,
            side: Side | str,
            strategy: str,
            quantity: int = ...,
            qty: int = ...,
            order_type: OrderType | str = ...,
            price: Decimal | float | str | None = ...,
            trigger_price: Decimal | float | str | None = ...,
            product: Product | str = ...,
            validity: Validity | str = ...,
            order_id: str = ...,
            client_order_id: str = ...,
            account: str = ...,
            mode: Mode | str = ...,
            reason: str = ...,
            instructions: Instructions | None = ...,
            dry_run: bool = ...,
            tag: str = ...,
            tags: Mapping[str, Any] | None = ...,
            status: Status | str = ...,
            broker_order_id: str | None = ...,
            slices: Sequence[str] = ...,
            fills: Sequence[Fill] = ...,
            filled_qty: int = ...,
            avg_price: Decimal | float | None = ...,
            reasons: Sequence[str] = ...,
            message: str | None = ...,
            cancel_requested: bool = ...,
            approval: SignOff | None = ...,
            created_at: datetime = ...,
            updated_at: datetime = ...,
        ) -> None:
            """The fields above; or, without a `client_order_id`, those and the older names (`older_names.py`), of which
            only the symbol, the side, the strategy and a quantity have to be said. Raises `ValueError` (pydantic's).
            """

    @classmethod
    def from_intent(cls, intent: OrderIntent, at: datetime) -> "Order":
        """The order of an intent, `PENDING`, created at `at`."""
        content = {field: getattr(intent, field) for field in CARRIED}
        if intent.approve:
            content["approval"] = SignOff(needed_by=intent.approve_by)
        own = intent.order_id
        return cls(**content, order_id=own, tag=tag_of(own), created_at=at, updated_at=at)

    def changed(self, **values: Any) -> "Order":
        """With other values, each of which was found valid where it came from; whether the status is proved by them is
        checked. Raises `ValueError`."""
        after = self.model_copy(update=values)
        after._prove_status()
        return after

    @computed_field  # type: ignore[prop-decorator]
    @property
    def filled_quantity(self) -> int:
        return sum([fill.quantity for fill in self.fills]) if self.fills else 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def average_price(self) -> Decimal | None:
        """Volume-weighted, in rupees, to four places; `None` without a fill."""
        if not self.fills:
            return None
        return (self.filled_value / self.filled_quantity).quantize(PRICE_PLACES)

    @property
    def filled_value(self) -> Decimal:
        """Rupees paid or received for the fills, before charges."""
        return sum((fill.price * fill.quantity for fill in self.fills), Decimal(0))

    @property
    def remaining(self) -> int:
        return max(self.quantity - self.filled_quantity, 0)

    def summary(self) -> str:
        """The terms, and how they are split: `BUY 1000 NSE:INFY LIMIT 1500 MIS in 5 legs of 200`."""
        split = self.instructions.summary() if self.instructions else ""
        return " ".join([super().summary(), *([split] if split else [])])

    @property
    def awaits_approval(self) -> bool:
        """Whether a person has yet to approve it. It is not sent before."""
        approval = self.approval
        return approval is not None and approval.approved_at is None and self.status is Status.PENDING

    @property
    def is_autosliced(self) -> bool:
        return self.instructions is not None and self.instructions.autoslice is not None

    @property
    def qty(self) -> int:
        """An older name of `quantity`."""
        return self.quantity

    @property
    def filled_qty(self) -> int:
        """An older name of `filled_quantity`."""
        return self.filled_quantity

    @property
    def avg_price(self) -> float | None:
        """`average_price` as the number that older code computes with."""
        average = self.average_price
        return None if average is None else float(average)

    @property
    def message(self) -> str | None:
        """All `reasons` on one line; `None` without one."""
        return "; ".join(self.reasons) or None

    def __hash__(self) -> int:
        return hash(self.order_id)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if older_names.is_older(data):
            return cls._named(older_names.read(data))
        return data if COMPUTED.isdisjoint(data) else {name: data[name] for name in data if name not in COMPUTED}

    @classmethod
    def _named(cls, content: dict[str, Any]) -> dict[str, Any]:
        """With what tells an order from all others. It is a paper order unless it says otherwise."""
        content = {"account": "paper", "mode": Mode.PAPER} | content
        own = order_id(content["account"], content["client_order_id"])
        return {"order_id": own, "tag": tag_of(own)} | content

    @model_validator(mode="after")
    def _status_is_proved(self) -> Self:
        self._prove_status()
        return self

    def _prove_status(self) -> None:
        if self.status is Status.PENDING and self.fills:
            raise ValueError("status: a PENDING order has no fills")
        if self.status is Status.PLACED and self.fills:
            raise ValueError("status: a PLACED order has no fills yet")
        if self.status in (Status.PARTIAL, Status.FILLED) and not self.fills:
            raise ValueError(f"status: a {self.status} order has fills")
        if self.status in (Status.PLACED, Status.PARTIAL, Status.FILLED) and self.broker_order_id is None:
            raise ValueError(f"status: a {self.status} order has a broker_order_id")


class Amendment(Frozen):
    """A change of a working order. What is `None` stays as it is; `quantity` is the new total (Kite)."""

    quantity: Quantity | None = None
    price: Price | None = None
    trigger_price: Price | None = None
    order_type: OrderType | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("amendment: give at least one of quantity, price, trigger_price, order_type")
        return self

    def is_in(self, terms: Terms) -> bool:
        """Whether the terms are already as this change wants them."""
        return all(getattr(terms, field) == value for field, value in self.model_dump(exclude_none=True).items())

    def summary(self) -> str:
        return ", ".join(f"{field} {value}" for field, value in self.model_dump(exclude_none=True).items())

    def applied_to(self, terms: Terms) -> Terms:
        """The terms after this change. Raises `ValueError` (pydantic's) where they would not fit together."""
        kept = terms.model_dump(include=set(Terms.model_fields))
        change = self.model_dump(exclude_none=True)
        order_type = self.order_type or terms.order_type
        if not order_type.has_price:
            kept["price"] = None
        if not order_type.has_trigger:
            kept["trigger_price"] = None
        return Terms(**kept | change)
