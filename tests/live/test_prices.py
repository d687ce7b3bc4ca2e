"""A live account's last prices: over the socket, by quotes, or refused in clear words."""

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chaos.venue import INFY, SBIN
from durable_orders.trading.brokers.kite.ticks import ticks_in
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Status
from tests.conftest import eventually
from tests.live.conftest import Desks
from tests.live.desk import FAR, Desk

LIMITS = {"require_price": True, "max_price_age": 3600, "price_band_percent": 5}


async def price(desk: Desk, symbol: str) -> LastTick | None:
    return await desk.orders.read(lambda ledger: last_tick(ledger, desk.settings.account, symbol))


async def test_first_order_of_a_symbol_finds_its_price(desks: Desks) -> None:
    desk = await desks(guardian=LIMITS)
    assert (await (await desk.place()).result()).status is Status.FILLED
    far = await (await desk.place(price=FAR)).result()
    assert far.reasons == ("PRICE_BAND: price 1400 may be at most 5 % from the last price 1500, was 6.67 %",)


async def test_socket_brings_the_price_of_what_is_in_use(desks: Desks) -> None:
    desk = await desks()
    await desk.resting()
    await desk.venue.tick(Decimal("812.35"), SBIN)
    quotes = (await desk.venue.tally())["requests"].get("quote", {})
    for said in (Decimal(1507), Decimal("1508.5")):
        await desk.venue.tick(said, INFY)

        async def shown(said: Decimal = said) -> bool:
            found = await price(desk, INFY)
            return found is not None and found.last_price == said

        assert await eventually(shown, f"{INFY} at {said}")
    assert await price(desk, SBIN) is None
    assert (await desk.venue.tally())["requests"].get("quote", {}) == quotes, "not asked for besides"


async def test_account_without_market_data_refuses_what_needs_a_price(desks: Desks) -> None:
    desk = await desks(guardian=LIMITS, sandbox={"market_data": False})
    refused = await (await desk.place()).result()
    assert refused.reasons == (f"NO_PRICE: {INFY} has no last price",)
    await desk.alerted("no last prices (")
    assert await desk.halted() is None


def test_repeated_price_is_as_old_as_the_exchange_showed_it() -> None:
    instruments = Instruments.shipped()
    infy = instruments.get(INFY)
    assert infy is not None
    now = datetime.now(UTC).replace(microsecond=0)
    packet = struct.pack(">2I", infy.instrument_token, 150005) + bytes(52)
    packet += struct.pack(">I", int((now - timedelta(hours=18)).timestamp())) + bytes(120)
    message = struct.pack(">2H", 2, len(packet)) + packet + struct.pack(">H", 8) + struct.pack(">2I", 1, 1)
    (tick,) = ticks_in(message, instruments, now)
    assert (tick.symbol, tick.last_price, tick.at) == (INFY, Decimal("1500.05"), now - timedelta(hours=18))
    assert list(ticks_in(b"\x00", instruments, now)) == list(ticks_in(message[:40], instruments, now)) == []
