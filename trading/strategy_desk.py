"""What every desk of a strategy has in common: how what it asks for becomes an order, and how it is called."""

import sysconfig
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trading.errors import InvalidOrder, StrategyFailed
from trading.explained import explained
from trading.order import ClientOrderId, OrderIntent, OrderType, Product, Side

LONGEST_NAME = 50
"""Of the strategy's name in the ids of its orders, which may have 64 characters."""
HOUSE = Path(__file__).parents[1]
LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


def numbered_id(strategy: str, number: int) -> str:
    """The id of a strategy's order without one of its own: the same in a backtest, on paper and live."""
    return f"{strategy[:LONGEST_NAME]}-{number}"


class AskingDesk(ABC):
    """The part of a `Desk` that asks for orders."""

    def __init__(self, own: Mapping[str, Any], ids: Callable[[], str]) -> None:
        """`own` is what every order has that is asked for by its terms; `ids` makes the ids of those without one."""
        self._own = own
        self._ids = ids

    @abstractmethod
    def place(self, intent: OrderIntent) -> ClientOrderId: ...

    def buy(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | None = None,
        trigger_price: Decimal | str | None = None,
        product: Product | str = Product.MIS,
        client_order_id: str | None = None,
    ) -> ClientOrderId:
        return self._ask(Side.BUY, symbol, quantity, order_type, price, trigger_price, product, client_order_id)

    def sell(
        self,
        symbol: str,
        quantity: int,
        *,
        order_type: OrderType | str = OrderType.MARKET,
        price: Decimal | str | None = None,
        trigger_price: Decimal | str | None = None,
        product: Product | str = Product.MIS,
        client_order_id: str | None = None,
    ) -> ClientOrderId:
        return self._ask(Side.SELL, symbol, quantity, order_type, price, trigger_price, product, client_order_id)

    def _ask(
        self,
        side: Side,
        symbol: str,
        quantity: int,
        order_type: OrderType | str,
        price: Any,
        trigger_price: Any,
        product: Product | str,
        client_order_id: str | None,
    ) -> ClientOrderId:
        try:
            intent = OrderIntent(
                symbol=symbol,
                side=side,
                quantity=quantity,
                order_type=order_type if isinstance(order_type, OrderType) else OrderType(order_type),
                price=price,
                trigger_price=trigger_price,
                product=product if isinstance(product, Product) else Product(product),
                client_order_id=client_order_id or self._ids(),
                **self._own,
            )
        except ValidationError as error:
            raise explained(error) from None
        except ValueError as error:
            raise InvalidOrder(str(error)) from None
        return self.place(intent)


def guarded(strategy: str, callback: str, call: Callable[[], object]) -> None:
    """Call a callback of somebody's code. Raises `StrategyFailed`, one line that says where it failed."""
    try:
        call()
    except Exception as error:  # whatever it may raise
        frames = traceback.extract_tb(error.__traceback__)
        where = ([frame for frame in frames if not _is_library(frame.filename)] or frames)[-1]
        place = f"{Path(where.filename).name} line {where.lineno}"
        said = explained(error) if isinstance(error, ValidationError) else error
        words = f"{strategy}: {callback} failed at {place}: {type(error).__name__}: {said}"
        raise StrategyFailed(words) from error


def _is_library(file: str) -> bool:
    """Whether it is of this project, of Python or of an installed package, and not of who is called."""
    ours = (HOUSE / "trading", HOUSE / "durable_orders")
    return any(Path(file).is_relative_to(place) for place in (*ours, *LIBRARIES))
