"""An instrument master that trades whatever it is asked for: without a file, nobody knows lots and ticks."""

from decimal import Decimal

from durable_orders.trading.market.instruments import SHARES, Instrument, Instruments

TICK = Decimal("0.05")


class AnySymbol(Instruments):
    """Instruments that no master describes have a lot of 1 and a tick of 0.05 rupees."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Instrument] = {}

    def get(self, symbol: str) -> Instrument | None:
        made = self._made.get(symbol)
        if made is None:
            made = self._made[symbol] = self._make(symbol)
        return made

    def tick_size(self, symbol: str) -> Decimal:
        return TICK

    def _make(self, symbol: str) -> Instrument:
        exchange, _, name = symbol.partition(":")
        is_share = exchange in SHARES
        return Instrument(
            symbol=symbol,
            instrument_token=len(self._made) + 1,
            tick_size=TICK,
            lot_size=1,
            expiry=None,
            strike=None,
            instrument_type="EQ" if is_share else "FUT",
            segment=exchange if is_share else f"{exchange}-FUT",
            name=name,
        )
