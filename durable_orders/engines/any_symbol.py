"""An instrument master that trades whatever it is asked for: without a file, nobody knows lots and ticks."""

from decimal import Decimal

from durable_orders.trading.market.instruments import SHARES, Instrument, Instruments

TICK = Decimal("0.05")
FINEST = Decimal("0.0001")
"""A step that is finer than that of any exchange: whose tick it is, the broker says."""


class AnySymbol(Instruments):
    """Instruments that no master describes have a lot of 1 and a tick of 0.05 rupees, unless another is given."""

    def __init__(self, tick: Decimal = TICK) -> None:
        super().__init__()
        self._tick = tick
        self._made: dict[str, Instrument] = {}

    def get(self, symbol: str) -> Instrument | None:
        made = self._made.get(symbol)
        if made is None:
            made = self._made[symbol] = self._make(symbol)
        return made

    def tick_size(self, symbol: str) -> Decimal:
        return self._tick

    def _make(self, symbol: str) -> Instrument:
        exchange, _, name = symbol.partition(":")
        is_share = exchange in SHARES
        return Instrument(
            symbol=symbol,
            instrument_token=len(self._made) + 1,
            tick_size=self._tick,
            lot_size=1,
            expiry=None,
            strike=None,
            instrument_type="EQ" if is_share else "FUT",
            segment=exchange if is_share else f"{exchange}-FUT",
            name=name,
        )
