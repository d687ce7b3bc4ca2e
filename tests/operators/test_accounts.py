"""An account is one user of one broker in one mode: another user's login, book or row and another mode are refused."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from pydantic import SecretStr

from durable_orders import login
from durable_orders.trading.brokers.kite.broker import KiteBroker
from durable_orders.trading.brokers.kite.session import SessionFile
from durable_orders.trading.config.settings import Kite, Live, Market
from durable_orders.trading.errors import WrongAccount
from durable_orders.trading.ledger.identity import fix_mode
from durable_orders.trading.ledger.rate_limiter import RateLimiter
from durable_orders.trading.ledger.tables import order_requests
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Mode, Status
from durable_orders.workers.home import SETTINGS_FILE, Home
from tests.conftest import MakeHome, until
from tests.durable_orders.program import Program
from tests.ledgers import open_empty_ledger
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite, Handler, Request
from tests.operators.desk import TOKEN, USER, Desk

OTHERS, OTHER = "token-of-second-user", "ZZ9999"


@pytest.fixture
def shared(kite: CountingKite) -> CountingKite:
    """Two users log in at one app."""
    kite.users[OTHERS] = OTHER
    kite.books[OTHER], kite.trades[OTHER] = {}, []
    return kite


def kept(home: Home) -> str:
    return str(json.loads(home.session_file.read_text())["access_token"])


async def test_login_of_another_user_is_refused_in_one_line_and_nothing_goes_there(
    kite_desks: KiteDesks, shared: CountingKite
) -> None:
    """Not the orders of today, nor the lost one, which the other's book would prove absent."""
    desk = await kite_desks()
    await desk.resting("first")

    def loses(handler: Handler, request: Request) -> bool:
        if request.method != "POST":
            return False
        shared.book(USER, request.form)
        return handler.drop()

    shared.instead = loses
    lost = await desk.place("lost", symbol="NSE:SBIN")
    await until(lambda: len(shared.sent()) == 2, "the placement")
    shared.instead = None
    words = rf"^this login is of user {OTHER}, and account {desk.account} is {USER}'s: log in as {USER}, or give "
    with pytest.raises(WrongAccount, match=words):
        login.keep(desk.home, desk.home.settings().kite, OTHERS)
    assert kept(desk.home) == TOKEN
    await desk.reached(lost, Status.PLACED)
    await desk.resting("after", symbol="NSE:RELIANCE")
    assert shared.rows(user=OTHER) == []
    assert len(shared.rows(user=USER)) == 3


async def test_command_refuses_the_other_users_login(kite_desks: KiteDesks, shared: CountingKite) -> None:
    desk = await kite_desks(staffed=False)
    answer = Program(desk.home.path).here("login", "--access-token", OTHERS)
    assert (answer.code, kept(desk.home)) == (1, TOKEN)
    assert answer.error.startswith(f"this login is of user {OTHER}, and account {desk.account} is {USER}'s")


async def slipped_in(desk: Desk) -> None:
    """Another user's token in the login file, past `durable-orders login`: copied by hand, or by the environment."""
    SessionFile(desk.home.session_file, desk.home.settings().kite).save(OTHERS)


async def test_token_that_slips_in_past_the_login_is_as_none(kite_desks: KiteDesks, shared: CountingKite) -> None:
    desk = await kite_desks()
    working = await desk.resting("first")
    await slipped_in(desk)
    alert = await desk.alerted(f"this login is of user {OTHER}")
    assert "no book is read" in alert.message
    waiting = await desk.place("second")
    await desk.story_has(waiting, "not sent: this login is of user")
    assert (await waiting.now()).status is Status.PENDING
    login.keep(desk.home, desk.home.settings().kite, TOKEN)
    await desk.reached(waiting, Status.PLACED)
    assert (await working.now()).status is Status.PLACED
    assert shared.rows(user=OTHER) == []
    paths = {one.path for one in shared.requests if one.headers.get("Authorization", "").endswith(OTHERS)}
    assert paths == {"/user/profile"}, "its book is not even read"
    asked = [one for one in shared.requests if one.headers.get("Authorization", "").endswith(OTHERS)]
    assert len(asked) == 1, "whose session it is does not change"


async def test_book_with_an_order_of_ours_that_another_user_placed_is_none(
    kite_desks: KiteDesks, kite: CountingKite
) -> None:
    desk = await kite_desks()
    order = await desk.resting()
    (row,) = kite.rows()
    kite.books[USER][row["order_id"]]["placed_by"] = OTHER
    await desk.alerted(f"that {OTHER} placed")
    assert (await order.now()).status is Status.PLACED


async def test_row_that_others_placed_by_right_is_adopted(kite_desks: KiteDesks, kite: CountingKite) -> None:
    """RMS squares off, a dealer places for the user: their rows have no tag of ours."""
    desk = await kite_desks()
    form = {"exchange": "NSE", "tradingsymbol": "SBIN", "order_type": "LIMIT", "transaction_type": "BUY"}
    own = kite.book(USER, form | {"product": "MIS", "quantity": "1", "price": "600"})
    kite.books[USER][own]["placed_by"] = "RMS"
    await desk.reached(desk.orders.handle(f"external-{own}"), Status.PLACED)


async def test_account_in_another_mode_is_not_started(kite_desks: KiteDesks, kite: CountingKite) -> None:
    desk = await kite_desks()
    file = desk.home.path / SETTINGS_FILE
    content = yaml.safe_load(file.read_text())
    content["execution"]["mode"] = Mode.PAPER.value
    file.write_text(yaml.safe_dump(content))
    answer = await asyncio.to_thread(Program(desk.home.path), "worker")
    assert answer.code == 1
    words = f"execution.mode: is paper, and account {desk.account} is a live account in this ledger: "
    assert answer.error == f"{words}give the paper account a name of its own (`account:` in the settings)"


async def test_paper_account_does_not_become_a_live_one(make_home: MakeHome, kite: CountingKite) -> None:
    home = make_home({"account": "mine"})
    with home.ledger(home.settings()) as ledger:
        fix_mode(ledger, "mine", Mode.PAPER, datetime.now(UTC))
    live = {"account": "mine", "execution": {"mode": "live"}, "kite": {"api_key": "key", "root": kite.root}}
    (home.path / SETTINGS_FILE).write_text(yaml.safe_dump(live))
    with pytest.raises(WrongAccount, match=r"^execution.mode: is live, and account mine is a paper account"):
        login.keep(home, home.settings().kite, TOKEN)
    assert not home.session_file.exists()


def test_question_whose_session_it_is_keeps_the_pace_of_the_readings(tmp_path: Path, kite: CountingKite) -> None:
    """Kite counts it among them: ten processes that start at once may not ask ten times beside their readings."""
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        broker = KiteBroker(
            Kite(api_key="key", api_secret=SecretStr("x"), root=kite.root),
            Live(),
            lambda: TOKEN,
            InstrumentSessions(Market(), Instruments.shipped()),
            lambda: datetime.now(UTC),
            reads=RateLimiter(database, "reads", 8, 400),
            must_be=lambda _user: None,
        )
        assert broker.order_book() == []
        with database.read() as connection:
            turns = connection.execute(sa.select(sa.func.count()).select_from(order_requests)).scalar_one()
    assert [one.path for one in kite.requests] == ["/user/profile", "/orders"]
    assert turns == 2
