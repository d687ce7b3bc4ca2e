"""What a paper account has, binds and may do, as settings. docs/paper-market.md says where the figures come from."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from durable_orders.trading.config.sections import Rupees, Section

Part = Annotated[Decimal, Field(gt=0, le=1)]
Leverage = Annotated[Decimal, Field(ge=1, le=100)]


class Margins(Section):
    """Stand-ins for VaR and SPAN: one figure a product, not one an instrument and day."""

    mis_leverage: Leverage = Decimal(5)
    """Shares with MIS bind a fifth of their value (SEBI's peak margin, since September 2021)."""
    mtf_leverage: Leverage = Decimal(1)
    derivatives: Part = Decimal("0.12")
    """Futures, of their value; options that are sold, of their strike. What is bought of options binds its price."""
    sale_blocked: Part = Decimal("0.2")
    """Of what a delivery sale brings, until the next session (Zerodha, delivery margin)."""


class PaperAccount(Section):
    funds: Rupees | None = None
    """Rupees at the beginning. Without them nothing is refused for want of funds or holdings, nothing is charged."""
    margins: Margins = Margins()
    square_off_enabled: bool = False
    """From the broker's cut-off on (`market.sessions`) MIS positions are closed, and MIS orders refused."""
    square_off_fee: Annotated[Decimal, Field(ge=0, le=10_000)] = Decimal(50)
    """Rupees before GST for each order of such a square-off (Zerodha charges page)."""

    @property
    def has_rms(self) -> bool:
        """Whether the broker's risk management has anything to do."""
        return self.funds is not None or self.square_off_enabled
