"""What rests in the sandbox ends by the hours of its own instrument, where the market keeps them."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from durable_orders.sandbox import FeedKind, SandboxSettings
from durable_orders.sandbox.components import Components
from durable_orders.sandbox.order_forms import Placement, Variety
from durable_orders.sandbox.store import OrderDetails
from durable_orders.trading.config.settings import Calendar, Market
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.rules import rules
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import BrokerOrderId, OrderType, Side, Terms
from tests.ledgers import open_empty_ledger
from tests.sandbox.serving import Clock

FRIDAY = datetime(2026, 11, 27, 15, 14, tzinfo=IST)
SHARE, FUTURE = "NSE:RELIANCE", "NFO:NIFTY26DECFUT"
ROWS = (
    "901,1,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.1,65,FUT,NFO-FUT,NFO\n"
    "902,2,RELIANCE26DECFUT,RELIANCE,0,2026-12-29,0,0.1,500,FUT,NFO-FUT,NFO\n"
)


async def test_stops_and_disclosed_quantities_end_before_the_closing_auction_and_the_rest_with_its_own_session(
    tmp_path: Path, clock: Clock
) -> None:
    master = tmp_path / "master.csv"
    master.write_text(shipped_instruments().read_text() + ROWS)
    settings = SandboxSettings(feed=FeedKind.SYNTHETIC, calendar=Calendar.XNSE, instruments=master)
    with open_empty_ledger(tmp_path / "exchange.db") as database:
        parts = Components(settings, database, clock)
        await parts.exchange.start()
        session = InstrumentSessions(Market(), parts.instruments).of(FUTURE).session_on(FRIDAY.date())
        assert session is not None

        async def show(symbol: str, price: int, after: timedelta) -> None:
            clock.now = FRIDAY + after
            await parts.feed.show(Tick(symbol, Decimal(price), clock.now), session, session.closes)

        async def place(symbol: str, price: int, trigger: int | None = None, disclosed: int = 0) -> str:
            kind = OrderType.LIMIT if trigger is None else OrderType.SL
            prices = {"price": Decimal(price)} | ({"trigger_price": Decimal(trigger)} if trigger else {})
            terms = Terms(symbol=symbol, side=Side.BUY, quantity=65, order_type=kind, **prices)
            details = OrderDetails(placed_by="SB0001", disclosed_quantity=disclosed)
            return await parts.desk.place(Placement(Variety.REGULAR, terms, None, details))

        def stands(order: str) -> tuple[str, str | None]:
            view = parts.exchange.book.get(BrokerOrderId(order))
            assert view is not None
            return view.row.status, view.row.message

        await show(SHARE, 1400, timedelta(0))
        await show(FUTURE, 26000, timedelta(0))
        stop, share, future = await place(SHARE, 1460, 1450), await place(SHARE, 1390), await place(FUTURE, 25900)
        disclosed, hidden = await place(SHARE, 1390, disclosed=10), await place(SHARE, 1390)
        await parts.desk.modify(Variety.REGULAR, BrokerOrderId(hidden), {"disclosed_quantity": "10", "price": "1391"})
        await show(FUTURE, 26000, timedelta(minutes=1))
        why = str(rules().cancelled_before_auction)
        assert stands(stop) == stands(disclosed) == stands(hidden) == ("CANCELLED", why)
        assert stands(share)[0] == stands(future)[0] == "OPEN"
        await show(FUTURE, 26000, timedelta(minutes=16))
        assert stands(share) == ("CANCELLED", "DAY: the session of 2026-11-27 has ended")
        assert stands(future)[0] == "OPEN"
        await parts.close()
