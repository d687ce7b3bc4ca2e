"""What a basket is: orders in several instruments that are wanted together or not at all, and how they fit together."""

from datetime import datetime
from decimal import Decimal
from math import gcd
from typing import Annotated, Self

from pydantic import Field, model_validator

from durable_orders.trading.orders.content import Why
from durable_orders.trading.orders.order import (
    Frozen,
    Name,
    OrderType,
    Price,
    Product,
    Quantity,
    Side,
    Symbol,
    Terms,
)
from durable_orders.trading.plans.content import MARKET_DEADLINE, Identity, PlanTime

MOST_LEGS = 20
KINDS = (OrderType.MARKET, OrderType.LIMIT)


class BasketLeg(Frozen):
    """One of the orders that belong together."""

    symbol: Symbol
    side: Side
    quantity: Quantity
    order_type: OrderType = OrderType.MARKET
    price: Price | None = None
    """Rupees; for LIMIT only."""
    product: Product = Product.NRML
    step: Annotated[int, Field(ge=1, le=MOST_LEGS)] | None = None
    """Legs of one step go out together, once those of the steps before are filled."""

    @model_validator(mode="after")
    def _is_an_order(self) -> Self:
        if self.order_type not in KINDS:
            raise ValueError(f"order_type: a leg is MARKET or LIMIT, was {self.order_type}")
        self.terms()
        return self

    def terms(self) -> Terms:
        """Raises `ValueError` (pydantic's)."""
        return Terms(
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            order_type=self.order_type,
            price=self.price,
            product=self.product,
        )


class BasketTerms(Frozen):
    """A basket: all of its legs within a time, or none of them is kept."""

    strategy: Name = "manual"
    reason: Why = ""
    legs: Annotated[tuple[BasketLeg, ...], Field(min_length=2, max_length=MOST_LEGS)]
    within: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Seconds from the first leg to the last fill; what was had is closed again where that takes longer."""
    enter_by: PlanTime | None = None
    """On the wall's clock: a basket that has not begun by then is refused as too late, and so is one that has not
    begun 30 s after it was asked for, unless all of its legs have a price and this says later."""
    max_loss: Price | None = None
    """Rupees: what the legs that filled may lose while others are waited for. Beyond that they are closed at once."""
    net_debit: Price | None = None
    """What the basket may cost at most, in rupees a unit of its smallest leg."""
    net_credit: Price | None = None
    """What it has to bring in at least, in rupees a unit of its smallest leg."""
    hedged: bool = False
    """Whether every option that is sold has to be covered by one of the same kind that is bought."""

    @property
    def net(self) -> Decimal | None:
        """Rupees a unit that the basket may cost at most: below zero where it has to bring some in."""
        return -self.net_credit if self.net_credit is not None else self.net_debit

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of the legs that go out together, from 0, in their order: bought ones before sold ones, unless an
        order of the legs is given."""
        wanted = [leg.step or (1 if leg.side is Side.BUY else 2) for leg in self.legs]
        return tuple(tuple(n for n, step in enumerate(wanted) if step == each) for each in sorted(set(wanted)))

    def begin_by(self, asked_at: datetime) -> datetime | None:
        """On the wall's clock: from then on nothing of it is sent, if none of it was before."""
        usual = asked_at + MARKET_DEADLINE
        if self.enter_by is None:
            return usual
        return self.enter_by if all(leg.price is not None for leg in self.legs) else min(self.enter_by, usual)

    @property
    def unit(self) -> int:
        """What the quantities of the legs have in common."""
        return gcd(*(leg.quantity for leg in self.legs))

    def summary(self) -> str:
        """`basket of 2: BUY 75 NFO:NIFTY25MAY24000CE, SELL 75 NFO:NIFTY25MAY24200CE, net debit 80`."""
        legs = [
            f"{leg.side} {leg.quantity} {leg.symbol}" + (f" at {leg.price}" if leg.price else "") for leg in self.legs
        ]
        net = [f"net debit {self.net_debit}"] if self.net_debit else []
        net += [f"net credit {self.net_credit}"] if self.net_credit else []
        return f"basket of {len(legs)}: {', '.join(legs + net)}"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        keys = [(leg.symbol, leg.product) for leg in self.legs]
        for symbol, product in keys:
            if keys.count((symbol, product)) > 1:
                raise ValueError(f"legs: {symbol} {product} is in more than one: each instrument once")
        given = [leg.step is not None for leg in self.legs]
        if any(given) and not all(given):
            raise ValueError("step: give it for every leg, or for none")
        if self.net_debit is not None and self.net_credit is not None:
            raise ValueError("net_debit: give it or net_credit, not both")
        self._limits_keep_the_net()
        return self

    def _limits_keep_the_net(self) -> None:
        if self.net is None or any(leg.price is None for leg in self.legs):
            return
        worst = net_of(self, [leg.price for leg in self.legs])
        if worst > self.net:
            field = "net_debit" if self.net_debit is not None else "net_credit"
            raise ValueError(f"{field}: at the limits of its legs the basket {in_words(worst)}, beyond {abs(self.net)}")


class BasketIntent(BasketTerms, Identity):
    """A basket as somebody asks for it: all of its legs within a time, or none of them is kept."""

    def begin_by(self, asked_at: datetime) -> datetime | None:
        """One that a person approves waits for that."""
        return self.enter_by if self.approve else super().begin_by(asked_at)


def net_of(basket: BasketTerms, prices: list[Price | None] | list[Price]) -> Decimal:
    """Rupees a unit that the basket costs at those prices of its legs; below zero if it brings some in."""
    each = zip(basket.legs, prices, strict=True)
    total = sum(((price or Decimal(0)) * leg.side.sign * leg.quantity for leg, price in each), Decimal(0))
    return total / basket.unit


def in_words(net: Decimal) -> str:
    """`costs 80` or `brings in 45`, of rupees a unit."""
    shown = abs(net).quantize(Decimal("0.01"))
    return f"brings in {shown}" if net < 0 else f"costs {shown}"
