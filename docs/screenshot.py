"""Takes the README's picture: the page of one order in the Temporal UI.

    .venv/bin/python docs/screenshot.py

needs nothing but Chromium, as `chromium` on the PATH. It starts a home of its own on free ports, lets a limit order
rest until the price comes down to it, opens the order's page in the real, headless browser, and writes
docs/images/order-in-temporal-ui.png.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from durable_orders.workers.home import Home
from durable_orders.workers.server import temporal_program

TARGET = Path(__file__).parent / "images" / "order-in-temporal-ui.png"
PROGRAM = Path(sys.executable).with_name("durable-orders")
SYMBOL = "NFO:NIFTY25MAYFUT"
RESTS, FALLS_TO, LIMIT = "24350.00", "24290.00", "24300"
"""Rupees: the price at first, the price later, and the limit of the order between them."""
ORDER = ["--type", "LIMIT", "--price", LIMIT, "--strategy", "breakout", "--reason", "back to the morning range"]
CLIENT_ORDER_ID = "breakout-7"
SIZE = {"width": 1560, "height": 1100}
CLIP = {"x": 258, "y": 112, "width": 1302, "height": 920, "scale": 1}
"""Without the UI's own navigation."""
COMPACT = """localStorage.eventView = '"compact"'"""
"""The UI's view without the server's own bookkeeping: a setting of each browser."""
SCROLL = """
for (let box of document.querySelectorAll(".cm-scroller")) box.scrollTop = box.scrollHeight - box.clientHeight - 36
"""
"""The lower part of the result says where the order stands."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
SHIM = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
"""Chromium reads commands from descriptor 3 and answers on 4."""
MAX_WAIT = 60.0


def main() -> None:
    with tempfile.TemporaryDirectory() as place, up(Path(place)) as home:
        link = place_order(home)
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_bytes(picture(link, Path(place) / "browser"))
    print(f"wrote {TARGET}")  # noqa: T201


@contextmanager
def up(place: Path) -> Iterator[Home]:
    """A home whose market stays above the order's limit for some seconds, and falls below it then."""
    times = [f"2025-04-29T09:{15 + second // 60}:{second % 60:02}+05:30" for second in range(120)]
    prices = [RESTS if second < 15 else FALLS_TO for second in range(120)]
    ticks = place / "ticks.csv"
    rows = "".join(f"{at},{price},{SYMBOL}\n" for at, price in zip(times, prices, strict=True))
    ticks.write_text("timestamp,last_price,symbol\n" + rows, encoding="utf-8")
    line = [
        str(PROGRAM),
        "up",
        "--home",
        str(place / "home"),
        "--port",
        "0",
        "--ui-port",
        "0",
        "--ticks",
        str(ticks),
        "--speed",
        "1",
    ]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101
        try:
            while "Ctrl-C" not in process.stdout.readline():
                if process.poll() is not None:
                    sys.exit("error: `up` ended before it was ready")
            yield Home(place / "home")
        finally:
            process.terminate()


def place_order(home: Home) -> str:
    """The link to the history of an order that has rested and been filled."""
    line = [str(PROGRAM), "place", "BUY", SYMBOL, "75", "--id", CLIENT_ORDER_ID, *ORDER, "--home", str(home.path)]
    subprocess.run([*line, "--wait"], check=True, timeout=MAX_WAIT)
    address, link = home.address(), home.ui_link(f"order:paper:{CLIENT_ORDER_ID}")
    assert address is not None  # noqa: S101
    line = [temporal_program(), "workflow", "describe", "--workflow-id", f"order:paper:{CLIENT_ORDER_ID}"]
    line += ["--address", address.target, "--output", "json"]
    shown = json.loads(subprocess.run(line, check=True, capture_output=True, timeout=MAX_WAIT).stdout)
    return f"{link}/{shown['workflowExecutionInfo']['execution']['runId']}/history"


def picture(link: str, profile: Path) -> bytes:
    """A PNG of the page as soon as it shows the whole story."""
    with browser(profile) as page:
        page.ask("Page.enable")
        page.ask("Page.addScriptToEvaluateOnNewDocument", source=COMPACT)
        page.ask("Emulation.setDeviceMetricsOverride", **SIZE, deviceScaleFactor=1, mobile=False)
        page.ask("Page.navigate", url=link)
        page.wait_for("working at the broker")
        page.ask("Runtime.evaluate", expression=SCROLL)
        page.wait_for('"updated_at"')
        return base64.b64decode(page.ask("Page.captureScreenshot", format="png", clip=CLIP)["data"])


class Page:
    """One page of the browser, driven over a pipe (Chrome DevTools Protocol): JSON messages that end with a NUL."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._answers = os.fdopen(answers, "rb")
        self._number = 0
        self._session: dict[str, str] = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}

    def ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            continue  # an event
        if "error" in answer:
            sys.exit(f"error: {method}: {answer['error']['message']}")
        return answer["result"]

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + MAX_WAIT
        expression = f"document.body.innerText.includes({json.dumps(words)})"
        while not self.ask("Runtime.evaluate", expression=expression)["result"].get("value"):
            if time.monotonic() > deadline:
                sys.exit(f"error: the page did not show {words!r}")
            time.sleep(0.2)

    def _read(self) -> Any:
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                sys.exit("error: the browser ended")
            message += byte
        return json.loads(message)


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("error: no `chromium` on the PATH")
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
    shim = [sys.executable, "-c", SHIM, *(str(end) for end in theirs)]
    line = [*shim, chromium, *FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(line, pass_fds=theirs, stderr=subprocess.DEVNULL)
    for end in (theirs_in, theirs_out, *theirs):
        os.close(end)
    try:
        yield Page(ours_out, ours_in)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
