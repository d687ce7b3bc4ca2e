"""Durable orders for Zerodha Kite: every order is a Temporal workflow, and no outcome is ever guessed.

What code over this package needs is imported from here, from `durable_orders.checks` (own rules of the guardian) and
from `durable_orders.v2` (the interfaces of the older in-process engine). Every other module may move at any time.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from durable_orders.moved import OldImports, renamed

if TYPE_CHECKING:
    from durable_orders.engines import (
        EngineStrategy,
        ExecutionEngine,
        LiveExecutionEngine,
        PaperExecutionEngine,
        SessionEngine,
    )
    from durable_orders.order_handle import OrderHandle
    from durable_orders.orders import Orders
    from durable_orders.orders_sync import OrderHandleSync, OrdersSync
    from durable_orders.portfolio import Portfolio, PositionLine, StrategyLine, StrategyResult, Totals
    from durable_orders.sandbox import FaultRule, FeedKind, Sandbox, SandboxSettings
    from durable_orders.trading.bus.bus import Event, EventBus
    from durable_orders.trading.errors import (
        BookUnreadable,
        BrokenError,
        DataUnavailable,
        DuplicateOrder,
        DurableOrdersError,
        FilesUnusable,
        HomeUnusable,
        InvalidInstruments,
        InvalidOrder,
        InvalidSettings,
        InvalidStrategy,
        InvalidTicks,
        LedgerUnusable,
        LoginNeeded,
        MarketNotOwned,
        NotApproved,
        NotConnected,
        OrderNotFound,
        RefusedError,
        ServerUnreachable,
        StrategyFailed,
        UnknownError,
    )
    from durable_orders.trading.gtt.gtt import GttIntent, GttLeg, GttStatus
    from durable_orders.trading.gtt.view import GttLegView, GttView
    from durable_orders.trading.ledger.position_differences import Cause, Unexplained
    from durable_orders.trading.ledger.positions import Position
    from durable_orders.trading.ledger.reading import FeedEvent
    from durable_orders.trading.ledger.told_positions import ToldPosition
    from durable_orders.trading.market.bars import Bar
    from durable_orders.trading.market.contracts import Contract, Contracts
    from durable_orders.trading.market.shipped import SHIPPED_SYMBOL, shipped_day
    from durable_orders.trading.market.ticks import Depth, Level, Tick
    from durable_orders.trading.orders.book import Funds
    from durable_orders.trading.orders.events import EventType
    from durable_orders.trading.orders.order import (
        Amendment,
        Fill,
        Instructions,
        Mode,
        Order,
        OrderIntent,
        OrderType,
        Product,
        Side,
        Status,
        Validity,
    )
    from durable_orders.trading.orders.position_entry import EntryKind
    from durable_orders.trading.orders.settlement import Settlement
    from durable_orders.trading.orders.terms import ClientOrderTerms, OrderTerms
    from durable_orders.trading.plans.basket import BasketIntent, BasketLeg
    from durable_orders.trading.plans.plan import Entry, PlanChange, PlanIntent, Stop, Target
    from durable_orders.trading.plans.schedule import ScheduleIntent
    from durable_orders.trading.plans.state import PlanHolding, PlanOrder, PlanStatus, PlanView
    from durable_orders.trading.strategies.parameters import Parameter
    from durable_orders.trading.strategies.strategy import Strategy, StrategyContext

__all__ = [
    "SHIPPED_SYMBOL",
    "Amendment",
    "Bar",
    "BasketIntent",
    "BasketLeg",
    "BookUnreadable",
    "BrokenError",
    "Cause",
    "ClientOrderTerms",
    "Contract",
    "Contracts",
    "DataUnavailable",
    "Depth",
    "DuplicateOrder",
    "DurableOrdersError",
    "EngineStrategy",
    "Entry",
    "EntryKind",
    "Event",
    "EventBus",
    "EventType",
    "ExecutionEngine",
    "FaultRule",
    "FeedEvent",
    "FeedKind",
    "FilesUnusable",
    "Fill",
    "Funds",
    "GttIntent",
    "GttLeg",
    "GttLegView",
    "GttStatus",
    "GttView",
    "HomeUnusable",
    "Instructions",
    "InvalidInstruments",
    "InvalidOrder",
    "InvalidSettings",
    "InvalidStrategy",
    "InvalidTicks",
    "LedgerUnusable",
    "Level",
    "LiveExecutionEngine",
    "LoginNeeded",
    "MarketNotOwned",
    "Mode",
    "NotApproved",
    "NotConnected",
    "Order",
    "OrderHandle",
    "OrderHandleSync",
    "OrderIntent",
    "OrderNotFound",
    "OrderTerms",
    "OrderType",
    "Orders",
    "OrdersSync",
    "PaperExecutionEngine",
    "Parameter",
    "PlanChange",
    "PlanHolding",
    "PlanIntent",
    "PlanOrder",
    "PlanStatus",
    "PlanView",
    "Portfolio",
    "Position",
    "PositionLine",
    "Product",
    "RefusedError",
    "Sandbox",
    "SandboxSettings",
    "ScheduleIntent",
    "ServerUnreachable",
    "SessionEngine",
    "Settlement",
    "Side",
    "Status",
    "Stop",
    "Strategy",
    "StrategyContext",
    "StrategyFailed",
    "StrategyLine",
    "StrategyResult",
    "Target",
    "Tick",
    "ToldPosition",
    "Totals",
    "Unexplained",
    "UnknownError",
    "Validity",
    "shipped_day",
]

_MODULES = {
    "durable_orders.engines": (
        "EngineStrategy",
        "ExecutionEngine",
        "LiveExecutionEngine",
        "PaperExecutionEngine",
        "SessionEngine",
    ),
    "durable_orders.order_handle": ("OrderHandle",),
    "durable_orders.orders": ("Orders",),
    "durable_orders.orders_sync": ("OrderHandleSync", "OrdersSync"),
    "durable_orders.portfolio": ("Portfolio", "PositionLine", "StrategyLine", "StrategyResult", "Totals"),
    "durable_orders.sandbox": ("FaultRule", "FeedKind", "Sandbox", "SandboxSettings"),
    "durable_orders.trading.bus.bus": ("Event", "EventBus"),
    "durable_orders.trading.errors": (
        "BookUnreadable",
        "BrokenError",
        "DataUnavailable",
        "DuplicateOrder",
        "DurableOrdersError",
        "FilesUnusable",
        "HomeUnusable",
        "InvalidInstruments",
        "InvalidOrder",
        "InvalidSettings",
        "InvalidStrategy",
        "InvalidTicks",
        "LedgerUnusable",
        "LoginNeeded",
        "MarketNotOwned",
        "NotApproved",
        "NotConnected",
        "OrderNotFound",
        "RefusedError",
        "ServerUnreachable",
        "StrategyFailed",
        "UnknownError",
    ),
    "durable_orders.trading.gtt.gtt": ("GttIntent", "GttLeg", "GttStatus"),
    "durable_orders.trading.gtt.view": ("GttLegView", "GttView"),
    "durable_orders.trading.ledger.position_differences": ("Cause", "Unexplained"),
    "durable_orders.trading.ledger.positions": ("Position",),
    "durable_orders.trading.ledger.reading": ("FeedEvent",),
    "durable_orders.trading.ledger.told_positions": ("ToldPosition",),
    "durable_orders.trading.market.bars": ("Bar",),
    "durable_orders.trading.market.contracts": ("Contract", "Contracts"),
    "durable_orders.trading.market.shipped": ("SHIPPED_SYMBOL", "shipped_day"),
    "durable_orders.trading.market.ticks": ("Depth", "Level", "Tick"),
    "durable_orders.trading.orders.book": ("Funds",),
    "durable_orders.trading.orders.events": ("EventType",),
    "durable_orders.trading.orders.order": (
        "Amendment",
        "Fill",
        "Instructions",
        "Mode",
        "Order",
        "OrderIntent",
        "OrderType",
        "Product",
        "Side",
        "Status",
        "Validity",
    ),
    "durable_orders.trading.orders.position_entry": ("EntryKind",),
    "durable_orders.trading.orders.settlement": ("Settlement",),
    "durable_orders.trading.orders.terms": ("ClientOrderTerms", "OrderTerms"),
    "durable_orders.trading.plans.basket": ("BasketIntent", "BasketLeg"),
    "durable_orders.trading.plans.plan": ("Entry", "PlanChange", "PlanIntent", "Stop", "Target"),
    "durable_orders.trading.plans.schedule": ("ScheduleIntent",),
    "durable_orders.trading.plans.state": ("PlanHolding", "PlanOrder", "PlanStatus", "PlanView"),
    "durable_orders.trading.strategies.parameters": ("Parameter",),
    "durable_orders.trading.strategies.strategy": ("StrategyContext", "Strategy"),
}
"""Loaded when a name is first asked for: whoever imports a part of the package need not load Temporal's client."""
_HOME_OF = {name: module for module, names in _MODULES.items() for name in names}

if not any(isinstance(finder, OldImports) for finder in sys.meta_path):
    sys.meta_path.append(OldImports())


if not TYPE_CHECKING:  # who checks types sees the names above, and no others

    def __getattr__(name: str) -> object:
        if name not in _HOME_OF:
            raise renamed(__name__, name)
        found: object = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
