"""What an own rule of the guardian is written with: a small class that says whether an order passes.

An installed package registers it by the entry point group `durable_orders.guardian_checks`, and
`guardian.strategies.NAME.rules` of the settings switches it on for a strategy, with its options. docs/guardian.md shows
one, and lists the checks that there are.
"""

from typing import TYPE_CHECKING

from durable_orders.moved import renamed
from durable_orders.trading.guardian.check import Check, Failure, Measure, When
from durable_orders.trading.guardian.check_context import CheckContext, Figures
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.approvals import Count, Kind, Scope
from durable_orders.trading.ledger.exposure import Held, Pending
from durable_orders.trading.ledger.funds import Margin
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.orders.order import Terms

__all__ = [
    "AccountState",
    "Check",
    "CheckContext",
    "Count",
    "Failure",
    "Figures",
    "Held",
    "Instrument",
    "Kind",
    "Margin",
    "Measure",
    "Pending",
    "Scope",
    "Terms",
    "When",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        raise renamed(__name__, name)
