"""The desk's page and API, served by the program itself over the home that the command line's tests share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from durable_orders.trading.ledger.tokens import Role
from tests.durable_orders.conftest import NUMBERS
from tests.durable_orders.program import Program

MAX_WAIT = 180.0
KEPT = httpx.Limits(keepalive_expiry=1)
"""A line that idles is let go long before the server ends it, which a request of that moment would meet."""
CLIENT = Callable[[Role], httpx.Client]


@dataclass(frozen=True, slots=True)
class Served:
    """A desk that is served, and the home that it is of."""

    program: Program
    url: str

    def token(self, role: Role, *more: str) -> str:
        """A new token of that role."""
        made = self.program.here("token", "create", f"t{next(NUMBERS)}", "--role", role, *more, "--json")
        return str(made.json["token"])

    def client(self, role: Role) -> httpx.Client:
        """With a new token of that role."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=MAX_WAIT, limits=KEPT)


@pytest.fixture(scope="session")
def served(desk: Program) -> Iterator[Served]:
    with desk.started("web", "--port", "0") as running:
        yield Served(desk, running.line("Page on ").removeprefix("Page on "))


@pytest.fixture(scope="module")
def trader(served: Served) -> Iterator[httpx.Client]:
    with served.client(Role.TRADE) as client:
        yield client


def events_about(client: httpx.Client, words: str) -> list[str]:
    """The messages of the account's events that hold these words."""
    found, after = [], 0
    while batch := client.get("/events", params={"after": after}).json():
        found += [event["message"] for event in batch if words in event["message"]]
        after = batch[-1]["feed_id"]
    return found
