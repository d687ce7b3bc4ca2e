"""The page over plain HTTP: who gets in, what is shown, what a click does, and what it does not."""

import re
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Self

import httpx
import pytest

from durable_orders.trading.ledger.tokens import Role
from durable_orders.web.throttle import FAILURES
from durable_orders.web.view import indian
from tests.durable_orders.conftest import FAR_BELOW, MOST, NUMBERS, SYMBOL
from tests.durable_orders.lost_gtts import LOST, home_with_a_lost_gtt
from tests.durable_orders.program import Program, once_started
from tests.durable_orders.web.conftest import KEPT, MAX_WAIT, Served

PASSWORD = "a-long-enough-word"  # noqa: S105
PAGES = (
    *("/", "/positions", "/plans", "/gtts", "/risk", "/events", "/strategies", "/backtests", "/doctor", "/calendar"),
)
LABELLED = ("input", "select", "textarea")


def make_user(program: Program, role: Role, password: str = PASSWORD) -> str:
    """A new user of that role, by name; the password comes over stdin, as from a script."""
    name = f"u{next(NUMBERS)}"
    created = program.here("user", "create", name, "--role", role, typed=f"{password}\n")
    assert created.code == 0, created.err
    return name


class Visitor(httpx.Client):
    """Somebody at a browser, logged in."""

    def __init__(self, served: Served, role: Role) -> None:
        super().__init__(base_url=served.url, follow_redirects=True, timeout=MAX_WAIT)
        self.name = make_user(served.program, role)
        answer = self.post("/login", data={"name": self.name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text

    def __enter__(self) -> Self:  # it is open already
        return self

    def send_form(self, path: str, **fields: str) -> httpx.Response:
        """As a form of the page does, with the word that is in every one of them."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/").text)
        assert found is not None
        return self.post(path, data={"csrf": found[1], **fields})


@pytest.fixture(scope="module")
def reader(served: Served) -> Iterator[Visitor]:
    with Visitor(served, Role.READ) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def trader(served: Served) -> Iterator[Visitor]:
    with Visitor(served, Role.TRADE) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def halter(served: Served) -> Iterator[Visitor]:
    with Visitor(served, Role.HALT) as visitor:
        yield visitor


class Accessible(HTMLParser):
    """What a screen reader needs of a page: a language, a title, one heading, a label for each field."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.counts: dict[str, int] = {}
        self.ids: list[str] = []
        self._labels = 0
        self._for: set[str] = set()
        self.feed(text)
        self.problems += [
            f"{tag}: {self.counts.get(tag, 0)}" for tag in ("title", "h1", "main") if self.counts.get(tag) != 1
        ]
        self.problems += [f"id {each} twice" for each in set(self.ids) if self.ids.count(each) > 1]

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes = dict(given)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.ids += [str(attributes["id"])] if "id" in attributes else []
        if tag == "html" and not attributes.get("lang"):
            self.problems.append("no language")
        if tag == "label":
            self._labels += 1
            self._for |= {str(attributes.get("for"))}
        is_hidden = attributes.get("type") == "hidden"
        if tag in LABELLED and not (is_hidden or self._labels or attributes.get("id") in self._for):
            self.problems.append(f"{tag} {attributes.get('name')} without a label")
        if "style" in attributes or any(name.startswith("on") for name in attributes):
            self.problems.append(f"{tag}: what the policy of the page's own scripts and styles forbids")

    def handle_endtag(self, tag: str) -> None:
        self._labels -= tag == "label"


def test_whoever_is_not_logged_in_goes_to_do_so_and_comes_back(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=MAX_WAIT, limits=KEPT) as client:
        for path in PAGES:
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")
        assert client.get("/stream").status_code == 303
        name = make_user(served.program, Role.READ)
        entered = client.post("/login?to=/risk", data={"name": name, "password": PASSWORD})
        assert (entered.status_code, entered.headers["location"]) == (303, "/risk")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/risk").status_code == 200
        outside = client.post("/login?to=//evil.example", data={"name": name, "password": PASSWORD})
        assert outside.headers["location"] == "/"
        behind = client.post(
            "/login", data={"name": name, "password": PASSWORD}, headers={"X-Forwarded-Proto": "https"}
        )
        assert "secure" in behind.headers["set-cookie"].lower()


def test_wrong_passwords_are_held_up(desk: Program) -> None:
    with desk.started("web", "--port", "0") as running:
        url = f"{running.line('Page on ').removeprefix('Page on ')}/login"
        name = make_user(desk, Role.READ)
        wrong = [httpx.post(url, data={"name": name, "password": f"guess{n}"}) for n in range(FAILURES + 1)]
        assert [each.status_code for each in wrong] == [401] * FAILURES + [429]
        assert httpx.post(url, data={"name": name, "password": PASSWORD}).status_code == 429, "guessing is over"


def test_a_session_ends_with_logging_out_and_with_its_user(served: Served) -> None:
    with Visitor(served, Role.READ) as visitor:
        kept = dict(visitor.cookies)
        assert visitor.send_form("/logout").url.path == "/login"
        assert httpx.get(f"{served.url}/", cookies=kept).status_code == 303
    with Visitor(served, Role.READ) as visitor:
        assert served.program.here("user", "remove", visitor.name).code == 0
        assert visitor.get("/").url.path == "/login"
    listed = served.program.here("user", "list", "--json")
    assert visitor.name not in [each["name"] for each in listed.json]
    assert "argon2" not in listed.out


def test_a_password_that_is_too_short_is_refused(tmp_path: Path) -> None:
    program = once_started(tmp_path)
    assert program.here("user", "create", "short", "--role", "read").error.startswith("password: must have at least")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_there_and_can_be_read_by_a_screen_reader(halter: Visitor, path: str) -> None:
    answer = halter.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert Accessible(answer.text).problems == []
    assert 'aria-current="page"' in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    links = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', answer.text))
    assert {halter.get(link).status_code for link in links} == {200}


def test_an_order_that_is_placed_shows_its_life_and_is_cancelled(trader: Visitor, own_id: str) -> None:
    fields = {"symbol": SYMBOL.lower(), "side": "BUY", "quantity": "75", "order_type": "LIMIT", "price": FAR_BELOW}
    first = trader.send_form("/place", client_order_id=own_id, strategy="page", **fields)
    assert first.url.path == f"/order/{own_id}"
    assert Accessible(first.text).problems == []
    for words in ("order_placed", f"user {trader.name}", "20,000.00"):
        assert words in first.text
    again = trader.send_form("/place", client_order_id=own_id, strategy="page", **fields)
    assert again.text.count("order_received") == 1
    assert own_id in trader.get("/", params={"strategy": "page", "part": True}).text
    assert own_id not in trader.get("/", params={"strategy": "another"}).text
    amended = trader.send_form(f"/order/{own_id}/amend", price="20010")
    assert "20,010.00" in trader.get(f"/order/{own_id}").text, amended.text
    cancelled = trader.send_form(f"/order/{own_id}/cancel")
    assert "CANCELLED" in cancelled.text
    assert f"cancel requested: by user {trader.name}" in cancelled.text
    assert own_id not in trader.get("/", params={"strategy": "page"}).text, "it is not open any more"
    assert own_id in trader.get("/", params={"strategy": "page", "show": "today"}).text


def test_what_is_wrong_with_an_order_stands_beside_its_fields(trader: Visitor, own_id: str) -> None:
    fields = {"symbol": SYMBOL, "side": "BUY", "order_type": "LIMIT", "price": "20000.02", "strategy": "page"}
    refused = trader.send_form("/place", client_order_id=own_id, quantity="100", **fields)
    assert refused.status_code == 422
    assert 'id="wrong-quantity">LOT_SIZE: ' in refused.text
    assert 'id="wrong-price">TICK_SIZE: ' in refused.text
    assert 'value="20000.02"' in refused.text, "what was typed is kept"
    assert own_id not in refused.text, "another try is another order"
    typed = trader.send_form("/place", client_order_id=f"{own_id}-2", quantity="many", **fields)
    assert 'id="wrong-quantity">quantity: must be a valid integer' in typed.text
    for field, wrong in (("quantity", "1_50"), ("quantity", "७५"), ("price", "200_00")):
        typed = trader.send_form("/place", client_order_id=f"{own_id}-3", **{"quantity": "75", **fields, field: wrong})
        assert f'id="wrong-{field}">{field}: must be a' in typed.text, "Python would read a number"
    assert Accessible(typed.text).problems == []


def test_a_reader_sees_everything_and_changes_nothing(served: Served, reader: Visitor, own_id: str) -> None:
    served.program.here("place", "BUY", SYMBOL, "75", "--type", "LIMIT", "--price", FAR_BELOW, "--id", own_id)
    shown = reader.get("/").text
    assert own_id in shown
    assert "Cancel" not in shown
    for path in ("/place", f"/order/{own_id}/cancel", f"/order/{own_id}/amend", "/act", "/flatten"):
        assert reader.send_form(path, reason="x", what="halt", sure="yes").status_code == 403
    assert served.program.here("show", own_id, "--json").json["order"]["status"] == "PLACED"


def test_a_form_of_another_site_changes_nothing(trader: Visitor, own_id: str) -> None:
    for word in ({}, {"csrf": "0" * 64}):
        answer = trader.post("/place", data=word | {"symbol": SYMBOL, "side": "BUY", "quantity": "75"})
        assert answer.status_code == 403
        assert "load the page again" in answer.text


def test_a_halt_takes_a_reason_and_is_asked_twice(served: Served, halter: Visitor) -> None:
    asked = halter.send_form("/act", what="halt", reason="a drill")
    assert "Take no more orders?" in asked.text
    assert Accessible(asked.text).problems == []
    assert served.program.here("flag", "--json").json["state"] == "ACTIVE"
    assert "Take no more orders?" in halter.send_form("/act", what="halt", reason="", sure="yes").text
    try:
        halted = halter.send_form("/act", what="halt", reason="a drill", sure="yes")
        assert "The account is HALTED." in halted.text
        assert f"a drill, by user {halter.name}" in halted.text
    finally:
        assert "The account is ACTIVE." in halter.send_form("/act", what="resume", reason="over", sure="yes").text
    assert "flag drill" in halter.send_form("/act", what="flag", name="drill", reason="why", sure="yes").text
    assert "None is up." in halter.send_form("/flags/clear", what="clear", name="drill", reason="over", sure="yes").text
    assert halter.send_form("/act", what="explode", reason="x", sure="yes").status_code == 422


def test_a_position_is_closed_once_however_many_press(served: Served, halter: Visitor, own_id: str) -> None:
    served.program.here("place", "BUY", SYMBOL, "75", "--id", own_id, "--wait", "--strategy", own_id[-40:])
    fields = {"what": "flatten", "symbol": "", "strategy": own_id[-40:], "reason": "out"}
    assert "close what is held" in halter.send_form("/flatten", **fields).text
    done = [halter.send_form("/flatten", sure="yes", **fields) for _ in range(2)]
    assert all("Flat." in each.text or "goes on" in each.text for each in done), done[0].text
    assert halter.get("/positions").status_code == 200


def test_what_was_earned_is_shown_by_strategy_after_charges(served: Served, trader: Visitor) -> None:
    own = f"s{next(NUMBERS)}"
    assert served.program("place", "BUY", SYMBOL, "75", "--strategy", own, "--wait").code == 0
    with served.client(Role.READ) as client:
        found = client.get("/portfolio").json()
    [mine] = [each for each in found["strategies"] if each["strategy"] == own]
    assert Decimal(mine["charges"]) > 0
    assert mine["lines"][0]["quantity"] == 75
    charged = sum((Decimal(each["charges"]) for each in found["strategies"]), Decimal(0))
    assert charged == Decimal(found["total"]["charges"]) == sum(Decimal(each["charges"]) for each in found["positions"])
    shown = trader.get("/positions?part=true").text
    [table] = re.findall(r"By strategy</caption>.*?</table>", shown, re.DOTALL)
    assert re.search(rf"<td>{own}</td>.*?<td class=\"n\">{indian(Decimal(mine['charges']))}</td>", table, re.DOTALL)
    assert "After charges" in table
    assert "The account" in table


def test_an_order_shows_how_near_it_came_to_each_limit(served: Served, trader: Visitor, own_id: str) -> None:
    limit = ("--type", "LIMIT", "--price", FAR_BELOW)
    assert served.program("place", "BUY", SYMBOL, "75", *limit, "--id", own_id).code == 0
    with served.client(Role.READ) as client:
        [passed] = client.get(f"/orders/{own_id}/checks").json()
        assert client.get("/orders/nobody/checks").status_code == 404
    sized = next(figure for figure in passed["figures"] if figure["code"] == "MAX_ORDER_QUANTITY")
    assert (sized["limit"], sized["before"], sized["value"], sized["unit"]) == (str(MOST), None, "75", "units")
    shown = trader.get(f"/order/{own_id}").text
    assert f"The order passed {passed['checks']} checks at" in shown
    assert re.search(rf'MAX_ORDER_QUANTITY</td><td class="n">{MOST}</td><td class="n">–</td><td class="n">75<', shown)
    assert served.program("cancel", own_id).code == 0


@pytest.mark.parametrize("path", ["/order/nobody", "/order/%00", "/nowhere", "/static/../app.py"])
def test_what_there_is_not_is_a_page_that_says_so(reader: Visitor, path: str) -> None:
    answer = reader.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Traceback" not in answer.text


def test_a_page_hears_that_something_has_changed(trader: Visitor, own_id: str) -> None:
    with trader.stream("GET", "/stream") as signs:
        lines = signs.iter_lines()
        trader.send_form("/place", symbol=SYMBOL, side="BUY", quantity="75", client_order_id=own_id, strategy="page")
        assert next(line for line in lines if line.startswith("event:")) == "event: changed"


def test_a_gtt_that_is_unknown_is_told_where_the_risk_is(tmp_path: Path) -> None:
    program = home_with_a_lost_gtt(tmp_path)
    with program.started("web", "--port", "0") as running:
        served = Served(program, running.line("Page on ").removeprefix("Page on "))
        with Visitor(served, Role.READ) as visitor:
            for path in ("/risk", "/doctor"):
                assert LOST in visitor.get(path).text


def test_an_empty_home_without_a_server_says_so(tmp_path: Path) -> None:
    program = once_started(tmp_path)
    with program.started("web", "--port", "0") as running:
        served = Served(program, running.line("Page on ").removeprefix("Page on "))
        with Visitor(served, Role.TRADE) as visitor:
            shown = visitor.get("/").text
            for words in ("No orders are open.", "no Temporal server answers", "was last read never"):
                assert words in shown
            assert "No positions." in visitor.get("/positions").text
            fields = {"symbol": SYMBOL, "side": "BUY", "quantity": "75", "client_order_id": "kept"}
            gone = visitor.send_form("/place", **fields)
            assert gone.status_code == 503
            assert "no server is running" in gone.text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "12,34,567"), (-100000, "−1,00,000"), (None, "–")],
)
def test_numbers_are_grouped_as_in_india(amount: int | None, text: str) -> None:
    assert indian(amount) == text


def test_an_order_that_waits_is_approved_or_declined_with_a_click(
    served: Served, reader: Visitor, trader: Visitor, own_id: str
) -> None:
    ask = ("BUY", SYMBOL, "75", "--type", "LIMIT", "--price", FAR_BELOW, "--approve")
    for name in (own_id, f"{own_id}-2"):
        assert served.program.here("place", *ask, "--id", name).code == 0
    assert f'action="/order/{own_id}/approve"' in trader.get("/").text
    assert "Approve" not in reader.get("/").text
    assert "wait for approval" in reader.get("/risk").text, "every page says so"
    assert "waits for a person&#39;s approval until" in reader.get(f"/order/{own_id}").text
    approved = trader.send_form(f"/order/{own_id}/approve")
    assert f"approved by user {trader.name}" in approved.text
    assert served.program.here("show", own_id, "--json").json["order"]["status"] == "PLACED"
    declined = trader.send_form(f"/order/{own_id}-2/decline", reason="too large")
    assert f"DECLINED: by user {trader.name}: too large" in declined.text
    late = trader.send_form(f"/order/{own_id}-2/approve")
    assert (late.status_code, "waits for nobody&#39;s approval" in late.text) == (422, True)
    assert trader.post(f"/order/{own_id}/approve").status_code == 403, "without the word of the form"
