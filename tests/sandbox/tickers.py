"""The test's side of `ticker_process`: says what the tickers shall do, and waits for what they report."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.sandbox.serving import MAX_WAIT, Served

Event = dict[str, Any]
REPOSITORY = Path(__file__).parents[2]


class TickerProcess:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sandbox.ticker_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env=os.environ | {"TZ": "Asia/Kolkata"},
            text=True,
        )
        self._events: list[Event] = []
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._count = 0

    def ticker(self, served: Served, access_token: str | None = None) -> "Ticker":
        """A new `KiteTicker`, which is connecting."""
        self._count += 1
        ticker = Ticker(self, f"ticker{self._count}")
        token = access_token or served.access_token()
        ticker.do("connect", served.sandbox.ws_root, served.settings.api_key, token)
        return ticker

    def command(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def events(self, name: str) -> list[Event]:
        with self._arrived:
            return [event for event in self._events if event["ticker"] == name]

    def wait_for(self, name: str, wanted: Callable[[list[Event]], bool]) -> list[Event]:
        """The events of one ticker, as soon as they are what is wanted. Fails after `MAX_WAIT`."""
        deadline = time.monotonic() + MAX_WAIT
        with self._arrived:
            while True:
                events = [event for event in self._events if event["ticker"] == name]
                if wanted(events):
                    return events
                assert self._arrived.wait(deadline - time.monotonic()), events
                assert self._process.poll() is None, "the ticker process has ended"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(MAX_WAIT)
        self._reader.join(MAX_WAIT)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._arrived:
                self._events.append(json.loads(line))
                self._arrived.notify_all()


class Ticker:
    """One `KiteTicker` over there."""

    def __init__(self, process: TickerProcess, name: str) -> None:
        self._process = process
        self._name = name

    def do(self, action: str, *arguments: Any) -> None:
        """Call a method of the ticker, or `send` it a text as it is."""
        self._process.command(ticker=self._name, do=action, **{"with": list(arguments)})

    def opened(self) -> "Ticker":
        self._process.wait_for(self._name, lambda events: any(event["event"] == "open" for event in events))
        return self

    def events(self, kind: str) -> list[Event]:
        return [event for event in self._process.events(self._name) if event["event"] == kind]

    def first(self, kind: str, number: int = 1) -> list[Event]:
        """The first so many events of a kind, once they are there."""
        events = self._process.wait_for(
            self._name, lambda events: sum(event["event"] == kind for event in events) >= number
        )
        return [event for event in events if event["event"] == kind][:number]

    def updates(self, number: int) -> list[tuple[str, str]]:
        """Order id and status of the first so many order updates."""
        return [(event["data"]["order_id"], event["data"]["status"]) for event in self.first("order", number)]

    def close(self) -> None:
        self.do("close")
        self.first("close")
