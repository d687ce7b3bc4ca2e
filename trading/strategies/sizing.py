"""How many to trade, by what may be lost or spent."""

from decimal import Decimal, InvalidOperation

from durable_orders.trading.charges.contracts import size_of
from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.market.contracts import Contract

Number = Decimal | int | str


def quantity_for(
    contract: Contract,
    price: Number,
    *,
    risk: Number | None = None,
    stop: Number | None = None,
    capital: Number | None = None,
) -> int:
    """As Kite counts, in whole lots, rounded down: 0 where not even one lot fits. Raises `InvalidStrategy`."""
    if (risk is None) != (stop is None) or (risk is None and capital is None):
        raise InvalidStrategy("quantity_for: needs risk= (rupees) with stop= (a price), or capital= (rupees), or all")
    size = size_of(contract.symbol)
    if size is None:
        raise InvalidStrategy(f"quantity_for: it is not known how much one lot of {contract.symbol} is")
    at, most = _positive("price", price), []
    if risk is not None and stop is not None:
        distance = abs(at - _positive("stop", stop))
        if not distance:
            raise InvalidStrategy(f"quantity_for: stop: must be another price than {at}")
        most.append(_positive("risk", risk) / (distance * size))
    if capital is not None:
        most.append(_positive("capital", capital) / (at * size))
    return int(min(most)) // contract.lot * contract.lot


def _positive(name: str, value: Number) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, Decimal | int | str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise InvalidStrategy(f"quantity_for: {name}: must be rupees above 0, and no float, was {value!r:.40}")
    return number
