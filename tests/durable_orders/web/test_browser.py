"""The page in a real browser: Debian's chromium, headless, at two widths, dark and light, by hand and by keyboard.

It takes the package `chromium` of Debian, and playwright, which development has; without them these tests are skipped,
and `test_pages.py` is what there is.
"""

import json
import os
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.backtest.sweep_page import write_sweep
from durable_orders.backtest.trials import Result
from durable_orders.trading.ledger.tokens import Role
from tests.conftest import any_port
from tests.durable_orders.conftest import FAR_ABOVE, FAR_BELOW, SYMBOL
from tests.durable_orders.program import once_started
from tests.durable_orders.web.conftest import MAX_WAIT, Served
from tests.durable_orders.web.test_pages import PAGES, PASSWORD, make_user

CHROMIUM = shutil.which("chromium")
SIZES = {"phone": (390, 844), "desk": (1440, 900)}
READABLE = 4.5
"""Contrast of a text of usual size (WCAG 2, level AA)."""
SHOTS = os.environ.get("DESK_SCREENSHOTS")
"""A directory for a screenshot of each page, as docs/images has them."""

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser walks the page")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: `apt-get install chromium` lets a browser walk")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tools:
        yield tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


class Walk:
    """Somebody who is logged in, at a screen of that size, and all that the browser complained of."""

    def __init__(self, browser: Any, served: Served, role: Role, size: str = "desk", colours: str = "light") -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(
            base_url=served.url, viewport={"width": width, "height": height}, color_scheme=colours, locale="en-IN"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(MAX_WAIT * 1000)
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.name = make_user(served.program, role)
        self.page.goto("/login")
        self.page.get_by_label("Name").fill(self.name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("nav")

    def __enter__(self) -> "Walk":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def overflows(self) -> bool:
        """Whether the page is wider than its screen."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def contrasts(self) -> float:
        """The lowest contrast between a text and what is behind it (WCAG 2, of colours without transparency)."""
        return float(self.page.evaluate(CONTRAST))


CONTRAST = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const line = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => { const [r, g, b] = c.map((v) => line(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
  let lowest = 21;
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest(".sr, .skip, script")) continue;
    const [a, b] = [light(parts(getComputedStyle(e).color).slice(0, 3)), light(behind(e))].sort((x, y) => y - x);
    lowest = Math.min(lowest, (a + 0.05) / (b + 0.05));
  }
  return lowest; }"""


AMOUNTS = ("net_profit", "gross_profit", "charges", "max_drawdown")
SWEPT: dict[str, Any] = {
    "values": {"fast": "5", "slow": "20"},
    "net_profit": "1250.50",
    "gross_profit": "1400",
    "charges": "149.50",
    "max_drawdown": "900",
    "orders": 12,
    "wins": 4,
    "losses": 2,
    "failure": None,
}


def make_report(served: Served) -> None:
    """A report with a script of its own, and a sweep, as the commands leave them in the home."""
    for folder in ("reports", "sweeps"):
        (served.program.home / folder).mkdir(exist_ok=True)
    (served.program.home / "sweeps" / "s.jsonl").write_text(f"{json.dumps(SWEPT)}\n")
    result = Result(**SWEPT | {name: Decimal(str(SWEPT[name])) for name in AMOUNTS})
    write_sweep(served.program.home / "reports" / "cross.html", "cross", [result])


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_every_page_fits_its_screen_and_can_be_read(browser: Any, served: Served, size: str, colours: str) -> None:
    served.program("place", "BUY", SYMBOL, "75", "--type", "LIMIT", "--price", FAR_BELOW, "--id", "shown")
    served.program("bracket", "BUY", SYMBOL, "75", "--stop", "19900", "--target", FAR_ABOVE, "--id", "held")
    make_report(served)
    with Walk(browser, served, Role.HALT, size, colours) as walk:
        ones = ("/order/shown", "/order/held.entry", "/plan/held", "/backtests/sweep/s.jsonl")
        for path in (*PAGES, *ones, "/plans?show=all"):
            walk.page.goto(path)
            assert not walk.overflows(), f"{path} is wider than a {size}"
            assert walk.contrasts() >= READABLE, path
            if SHOTS is not None and colours == "light":
                name = path.strip("/").replace("/", "-").partition("?")[0] or "blotter"
                walk.page.screenshot(path=Path(SHOTS) / f"desk-{name}-{size}.png")
        assert walk.complaints == []


def test_an_order_is_placed_seen_live_and_cancelled(browser: Any, served: Served, own_id: str) -> None:
    with Walk(browser, served, Role.TRADE) as walk, Walk(browser, served, Role.READ) as watcher:
        watcher.page.goto(f"/?strategy={own_id[-40:]}")
        watcher.page.wait_for_selector("text=No orders are open.")
        page = walk.page
        page.goto("/")
        form = page.get_by_role("region", name="Place an order")
        form.get_by_label("Symbol").fill(SYMBOL)
        form.get_by_label("Quantity").fill("100")
        form.get_by_label("Strategy").fill(own_id[-40:])
        form.get_by_label("Type").select_option("LIMIT")
        form.get_by_label("Price", exact=True).fill(FAR_BELOW)
        form.get_by_role("button", name="Place").click()
        page.wait_for_selector("#wrong-quantity")
        assert "LOT_SIZE" in page.locator("#wrong-quantity").inner_text()
        page.get_by_label("Quantity").fill("75")
        page.get_by_role("button", name="Place").click()
        page.wait_for_selector("ol.life")
        watcher.page.wait_for_selector(f"td:has-text('{own_id[-40:]}')")
        page.get_by_role("button", name="Cancel the order").click()
        page.wait_for_selector(".tag.cancelled")
        watcher.page.wait_for_selector("text=No orders are open.")
        refused = [each for each in walk.complaints if "422" in each]  # the browser counts it as an error
        assert walk.complaints + watcher.complaints == refused


@pytest.mark.parametrize("size", list(SIZES))
def test_a_plan_is_changed_and_flattened_when_asked_twice(
    browser: Any, served: Served, short_id: str, size: str
) -> None:
    words = ("BUY", SYMBOL, "75", "--stop", "19900", "--target", FAR_ABOVE, "--id", short_id)
    assert served.program("bracket", *words).code == 0
    with Walk(browser, served, Role.TRADE, size) as walk, Walk(browser, served, Role.TRADE, size) as other:
        page = walk.page
        page.goto("/plans")
        page.get_by_role("link", name=short_id, exact=True).click()
        page.wait_for_selector("text=protected")
        page.get_by_label("Stop").fill("19910")
        page.get_by_role("button", name="Amend").click()
        page.wait_for_selector(f"h1:has-text('Change {short_id}: stop 19910?')")
        assert not walk.overflows()
        page.get_by_label("Reason").fill("closer")
        page.get_by_role("button", name="Yes, amend").click()
        page.wait_for_selector("text=19,910.00")
        page.get_by_role("button", name="Cancel the plan").click()
        page.get_by_role("link", name="No").click()
        for each in (page, other.page):
            each.goto(f"/plan/{short_id}")
            each.get_by_role("button", name="Cancel and flatten").click()
            each.get_by_label("Reason").fill("out")
        for each in (page, other.page):  # both have pressed before either is answered
            each.get_by_role("button", name="Yes, flatten").click(no_wait_after=True)
        for each in (page, other.page):
            each.wait_for_selector(".facts .tag.closed")
        assert walk.complaints + other.complaints == []
    ended = served.program("plan", "show", short_id, "--json").json
    assert sum(order["filled_quantity"] for order in ended["orders"] if order["side"] == "SELL") == 75


@pytest.mark.parametrize("size", list(SIZES))
def test_an_order_asks_for_approval_and_is_approved(browser: Any, served: Served, own_id: str, size: str) -> None:
    with Walk(browser, served, Role.TRADE, size) as walk:
        page = walk.page
        form = page.get_by_role("region", name="Place an order")
        form.get_by_label("Symbol").fill(SYMBOL)
        form.get_by_label("Quantity").fill("75")
        form.get_by_label("Type").select_option("LIMIT")
        form.get_by_label("Price", exact=True).fill(FAR_BELOW)
        form.get_by_label("Ask for approval").check()
        form.get_by_role("button", name="Place").click()
        page.get_by_role("button", name="Approve the order").click()
        page.wait_for_selector("text=approved by user")
        name = page.locator("h1").inner_text()
        page.goto("/")
        assert not walk.overflows()
        page.get_by_role("link", name=f"Amend {name}").click()
        page.get_by_role("region", name="Change it").get_by_label("Price", exact=True).fill("20010")
        page.get_by_role("button", name="Amend").click()
        page.wait_for_selector("dd:has-text('20,010.00')")
        page.get_by_role("button", name="Cancel the order").click()
        page.wait_for_selector(".tag.cancelled")
        assert walk.complaints == []


@pytest.mark.parametrize("size", list(SIZES))
def test_reports_are_shown_with_their_plots(browser: Any, served: Served, size: str) -> None:
    make_report(served)
    with Walk(browser, served, Role.READ, size) as walk:
        page = walk.page
        page.goto("/backtests")
        page.get_by_role("link", name="s.jsonl").click()
        page.wait_for_selector("td:has-text('1,250.50')")
        page.goto("/backtests")
        page.get_by_role("link", name="cross.html").click()
        page.wait_for_selector(".plotly svg")
        assert page.evaluate("() => { try { return document.cookie } catch { return 'none' } }") in ("", "none")
        assert walk.complaints == []


def test_what_takes_its_time_says_so_and_what_fails_is_told_as_old(browser: Any, served: Served) -> None:
    """The answer is held back, and then is one of a desk whose ledger cannot be read."""
    with Walk(browser, served, Role.READ) as walk:
        page, held = walk.page, list[Any]()
        page.goto("/positions")
        assert page.locator("#loading").is_hidden()
        page.route("**/positions?part=true", lambda route: held.append(route))
        part = page.get_by_role("region", name="Positions").first
        page.evaluate("htmx.trigger(document.querySelector('section[hx-get]'), 'sse:changed')")
        page.wait_for_selector("#loading", state="visible")
        assert part.get_attribute("aria-busy") == "true"
        for route in held:
            route.continue_()
        page.unroute("**/positions?part=true")
        page.wait_for_selector("#loading", state="hidden")
        assert part.get_attribute("aria-busy") is None
        page.route("**/positions?part=true", lambda route: route.fulfill(status=503, body="ledger: locked"))
        page.evaluate("htmx.trigger(document.querySelector('section[hx-get]'), 'sse:changed')")
        page.wait_for_selector("#lost", state="visible")
        page.unroute("**/positions?part=true")
        page.evaluate("htmx.trigger(document.querySelector('section[hx-get]'), 'sse:changed')")
        page.wait_for_selector("#lost", state="hidden")


@pytest.mark.parametrize("size", list(SIZES))
def test_what_is_old_and_a_server_that_is_gone_are_told_on_each_page(browser: Any, tmp_path: Path, size: str) -> None:
    program = once_started(tmp_path / "home")
    with program.started("web", "--port", "0") as running:
        url = running.line("Page on ").removeprefix("Page on ")
        with Walk(browser, Served(program, url), Role.READ, size) as walk:
            for path in PAGES:
                walk.page.goto(path)
                bar = walk.page.locator(".bar[role=status]").inner_text()
                assert "no Temporal server answers" in bar, path
                assert "the broker's book was last read never" in bar, path
                assert not walk.overflows(), path
                assert walk.contrasts() >= READABLE, path


def test_the_keyboard_reaches_everything(browser: Any, served: Served) -> None:
    with Walk(browser, served, Role.READ) as walk:
        page = walk.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        named = {"p": "Positions", "r": "Risk", "e": "Events", "c": "Calendar", "l": "Plans", "s": "Strategies"}
        for key, heading in {**named, "t": "Backtests", "d": "Doctor", "b": "Blotter"}.items():
            page.keyboard.press("g")
            page.keyboard.press(key)
            page.wait_for_selector(f"h1:has-text('{heading}')")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.name") == "symbol"


def test_a_halt_is_asked_twice_and_two_people_may_press_flatten(browser: Any, served: Served) -> None:
    with Walk(browser, served, Role.HALT) as first, Walk(browser, served, Role.HALT, "phone") as second:
        for walk in (first, second):
            walk.page.goto("/risk")
            walk.page.get_by_role("region", name="Stop and go on").get_by_label("Reason").first.fill("a drill")
        try:
            first.page.get_by_role("button", name="Halt").click()
            first.page.wait_for_selector("h1:has-text('Take no more orders?')")
            first.page.get_by_role("button", name="Yes, halt").click()
            first.page.wait_for_selector("text=The account is HALTED.")
        finally:
            second.page.get_by_role("button", name="Resume").click()
            second.page.get_by_role("button", name="Yes, resume").click()
            second.page.wait_for_selector("text=The account is ACTIVE.")
        assert first.complaints + second.complaints == []


def test_a_desk_that_is_gone_says_so_and_goes_on_when_it_is_back(browser: Any, served: Served, own_id: str) -> None:
    port = any_port()
    web = ("web", "--port", str(port))
    with served.program.started(*web) as running:
        url = running.line("Page on ").removeprefix("Page on ")
        walk = Walk(browser, Served(served.program, url), Role.READ)
        assert walk.page.locator("#lost").is_hidden()
    with walk:
        walk.page.wait_for_selector("#lost", state="visible")
        with served.program.started(*web) as running:
            running.line("Page on ")
            walk.page.wait_for_selector("#lost", state="hidden")
            limit = ("--type", "LIMIT", "--price", FAR_BELOW)
            assert served.program("place", "BUY", SYMBOL, "75", *limit, "--id", own_id).code == 0
            walk.page.wait_for_selector(f"td:has-text('{own_id}')")  # the page was never loaded anew
            served.program("cancel", own_id)
