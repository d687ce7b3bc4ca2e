"""Changes of a working order that somebody asked for. A part of `process.py`, and pure as that."""

from collections.abc import Sequence

from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.actions import CheckAmendment, Modify, Reply
from durable_orders.trading.orders.order import Amendment, Order
from durable_orders.trading.orders.outcome import Accepted, NotSent, Outcome, Refused, SessionExpired, Unknown
from durable_orders.trading.orders.verdict import Refusal

NotTaken = Refused | NotSent | SessionExpired | Unknown


def not_done(change: Amendment, why: object) -> str:
    """A change that was not made, in words."""
    return f"amendment ({change.summary()}) not done: {why}"


def fate(change: Amendment, answer: NotTaken) -> str:
    """What became of a change that the broker has not taken, in words."""
    if isinstance(answer, Unknown):
        return f"amendment ({change.summary()}) may still be made, its answer was lost: {answer.evidence}"
    return not_done(change, answer.evidence)


class Amendments:
    """One at a time, oldest first: checked by the guardian, asked of the broker, answered when the book has told."""

    def __init__(self) -> None:
        self._asked: list[Amendment] = []
        self._answer: Outcome | None = None
        self.reply: Reply | None = None
        """To the first, once it is known."""

    def ask(self, change: Amendment) -> None:
        self._asked.append(change)

    @property
    def are_asked(self) -> bool:
        return bool(self._asked)

    def first(self) -> CheckAmendment:
        return CheckAmendment(self._asked[0])

    def checked(self, refusals: Sequence[Refusal]) -> Modify | None:
        if not refusals:
            return Modify(self._asked[0])
        self.reply = Reply("; ".join(str(refusal) for refusal in refusals))
        return None

    def answered(self, answer: Outcome) -> None:
        """By the broker. What it came to is judged once the order is as the book has it."""
        self._answer = answer

    @property
    def is_answered(self) -> bool:
        return self._answer is not None

    def judge(self, order: Order) -> lifecycle.Noted | None:
        """Makes the reply of the broker's answer and of the order's terms since. Returns what is to be noted."""
        change, answer, self._answer = self._asked[0], self._answer, None
        if answer is None:
            return None
        if isinstance(answer, Accepted) or change.is_in(order):
            self.reply = Reply()
            return None
        words = fate(change, answer)
        self.reply = Reply(words, is_unknown=isinstance(answer, Unknown))
        return lifecycle.Noted(words)

    def replied(self) -> None:
        self._asked.pop(0)
        self.reply = None
