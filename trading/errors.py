"""Every error of this project: one root, three families.

The family says what is known about the outside world, and each docstring says what the system does next.
"""

from datetime import timedelta


class DurableOrdersError(Exception):
    """The root. Its text is one line that can be shown to a user; it never holds a secret."""


class RefusedError(DurableOrdersError):
    """Definitely not done. Nothing was sent and nothing changed; the caller corrects it and may ask again."""


class UnknownError(DurableOrdersError):
    """May or may not have been done. The system looks until it knows, and takes no new risk meanwhile."""


class BrokenError(DurableOrdersError):
    """A part that must work does not. The command stops with exit code 1; open orders wait, unharmed."""


class InvalidOrder(RefusedError):
    """An order, or a change of one, that cannot be expressed. Nothing was recorded or sent."""


class DuplicateOrder(RefusedError):
    """The client order id belongs to an order with other content. The existing order is left as it is."""


class OrderNotFound(RefusedError):
    """No order of that id in this account. Nothing was changed."""


class PlanNotFound(OrderNotFound):
    """No plan of that id in this account. Nothing was changed."""


class GttNotFound(OrderNotFound):
    """No GTT of that id in this account. Nothing was changed."""


class NotConnected(RefusedError):
    """The client was used before it was connected, or after it was closed. Nothing was sent."""


class InvalidSettings(RefusedError):
    """A settings file or variable that cannot be used. Nothing is started."""


class WrongAccount(RefusedError):
    """A login of another user, a start in another mode, or a home that does not serve the account. Nothing is kept,
    sent or started."""


class InvalidInstruments(RefusedError):
    """An instrument master that cannot be read. Nothing is started: orders could not be checked."""


class InvalidTicks(RefusedError):
    """A ticks file or a tick that cannot be used. The feed stops; nothing is filled from it."""


class InvalidStrategy(RefusedError):
    """A strategy file that cannot be used, and nothing is started; or one that asks its desk for what cannot be had.
    Nothing of that was done, and a strategy that does not catch it is stopped."""


class DayNotOver(RefusedError):
    """The evening of a day whose session is not over, or has not come. Nothing was compared."""

    def __init__(self, words: str, left: timedelta | None = None) -> None:
        super().__init__(words)
        self.left = left
        """How long it goes on, where that is known."""


class BookGone(RefusedError):
    """The evening of a day that the broker's book does not show any more: it is of one day. Nothing was compared."""


class InvalidTradebook(RefusedError):
    """A tradebook that cannot be used: of another user's, with other columns, not whole, or with a trade twice. Nothing
    of it was compared or booked."""


class NotApproved(RefusedError):
    """Placing was asked for an order that the guardian has not approved. It is not sent."""


class BookUnreadable(UnknownError):
    """The broker's book could not be read. Orders that depend on it stay as they are; the read is repeated."""


class BookNotWhole(BookUnreadable):
    """The broker's book does not show an order that was received today: it is an old copy, or somebody else's. It
    proves no absence; the read is repeated."""


class AttemptUsed(UnknownError):
    """An attempt to send the order was made before, as far as the ledger knows. It is not sent: the book is read until
    it tells what became of it."""


class LoginNeeded(BookUnreadable):
    """The broker's session has ended. Everything waits for `durable-orders login`, up to each order's deadline."""


class WrongLogin(LoginNeeded):
    """The broker's session is another user's. Nothing of it is read or sent: as if nobody were logged in."""


class DataUnavailable(BrokenError):
    """Prices, candles, funds or margins that a strategy asked for cannot be had: the plan does not include them, nobody
    is logged in, or nothing answers. A strategy that does not catch it is stopped."""


class MarketNotOwned(BrokenError):
    """Another process has taken over this paper market. This one stops matching at once."""


class LedgerUnusable(BrokenError):
    """The ledger cannot be opened or is of another version. Orders wait; nothing new is sent."""


class StrategyFailed(BrokenError):
    """A callback of a strategy raised. The strategy is stopped; its open orders are dealt with by policy."""


class HomeUnusable(BrokenError):
    """The home directory cannot be used: not writable, or in use by another process. Nothing is started."""


class ServerUnreachable(BrokenError):
    """No Temporal server answers. Nothing was sent; orders on it continue when it is back."""


class FilesUnusable(BrokenError):
    """A state or journal file of the in-process engine that cannot be read or written. It is left as it was."""
