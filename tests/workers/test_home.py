"""The home directory: who has it, and what a half-written file in it means."""

import json
import os
from pathlib import Path

import pytest

from durable_orders.trading.errors import HomeUnusable, InvalidSettings, ServerUnreachable
from durable_orders.workers.connection import connect
from durable_orders.workers.environment import configured_server
from durable_orders.workers.home import SETTINGS_FILE, Home, ServerAddress

ADDRESS = ServerAddress(pid=1, port=7001, ui_port=8001)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    return Home(tmp_path / "deep" / "home").make()


def test_one_process_at_a_time_has_it(home: Home) -> None:
    with home.locked(), pytest.raises(HomeUnusable, match=rf"already up \(process {os.getpid()}\)"), home.locked():
        pytest.fail("two have it")
    with home.locked():
        pass


def test_a_forked_child_does_not_keep_what_its_parent_has(home: Home) -> None:
    """As a pool's does, that outlives a parent which was killed: the next process would find the home taken."""
    begun, go_on = os.pipe(), os.pipe()
    with home.locked():
        child = os.fork()
        if child == 0:
            os.write(begun[1], b"!")
            os.read(go_on[0], 1)
            os._exit(0)
        os.read(begun[0], 1)
        assert home.holder() == os.getpid()
    try:
        assert home.holder() is None
    finally:
        os.write(go_on[1], b"!")
        os.waitpid(child, 0)
        for end in (*begun, *go_on):
            os.close(end)


def test_the_address_is_remembered(home: Home) -> None:
    assert home.address() is None
    home.save_address(ADDRESS)
    assert home.address() == ADDRESS
    assert home.ui_link("order:paper:x") == "http://127.0.0.1:8001/namespaces/default/workflows/order:paper:x"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 1}', '"text"', "\x00"])
def test_a_half_written_address_is_none(home: Home, content: str) -> None:
    home.address_file.write_text(content)
    assert home.address() is None
    assert home.ui_link("order:paper:x") is None


def test_an_address_is_written_whole(home: Home) -> None:
    home.save_address(ADDRESS)
    assert json.loads(home.address_file.read_text()) == {"pid": 1, "port": 7001, "ui_port": 8001, "host": "127.0.0.1"}
    assert [file.name for file in home.path.iterdir()] == ["server.json"], "no half-written file stays behind"


@pytest.mark.parametrize("place", ["file/home", "/proc/home"])
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match=r"home .*home: not writable \(.+\)"):
        Home(tmp_path / place).make()


def test_its_own_settings_are_taken_unless_others_are_named(home: Home, tmp_path: Path) -> None:
    assert home.settings().account == "paper"
    (home.path / SETTINGS_FILE).write_text("account: own")
    (tmp_path / "other.yaml").write_text("account: other")
    assert home.settings().account == "own"
    assert home.settings(tmp_path / "other.yaml").account == "other"
    with pytest.raises(InvalidSettings, match=r"none\.yaml: no such settings file"):
        home.settings(tmp_path / "none.yaml")


def test_the_ledger_is_in_it_unless_it_is_elsewhere(home: Home) -> None:
    settings = home.settings()
    assert home.ledger_url(settings) == f"sqlite:///{home.path}/ledger.db"
    elsewhere = settings.replaced({"ledger": {"url": "postgresql://h/d"}})
    assert home.ledger_url(elsewhere) == "postgresql://h/d"


async def test_the_environment_names_another_server(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ServerUnreachable, match=r"no server is running for home .*: start one with `durable-orders up --home"
    ):
        await connect(home, home.settings())
    home.save_address(ServerAddress(pid=os.getpid(), port=7001, ui_port=8001))
    with pytest.raises(ServerUnreachable, match="no server is running for home"):
        await connect(home, home.settings())
    assert configured_server() is None
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert configured_server() == "127.0.0.1:1"
    with pytest.raises(ServerUnreachable, match=r"answers on 127\.0\.0\.1:1: is TEMPORAL_ADDRESS right\?"):
        await connect(home, home.settings())


def test_the_settings_that_up_was_started_with_are_followed(home: Home, tmp_path: Path) -> None:
    own, other = home.path / SETTINGS_FILE, tmp_path / "other.yaml"
    own.write_text("account: own")
    other.write_text("account: other")
    home.follow_config(other)
    assert home.settings().account == "other"
    home.follow_config(None)
    assert home.settings().account == "other", "started again without a word, it goes by the same settings"
    other.unlink()
    with pytest.raises(InvalidSettings, match=r"other\.yaml: `up` was started with this settings file, and it is gone"):
        home.settings()
    home.follow_config(own)
    assert home.settings().account == "own"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_no_account_is_guessed_from_a_damaged_file(home: Home, content: str) -> None:
    home.config_file.write_text(content)
    with pytest.raises(InvalidSettings, match=r"config\.json: does not name a settings file; delete it"):
        home.settings()


def test_an_empty_directory_is_not_an_empty_account(home: Home, tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match=r"nothing was started in it yet; `durable-orders up` starts one"):
        home.ledger(home.settings())
    missing = Home(tmp_path / "none")
    with pytest.raises(HomeUnusable, match=r"none: there is none; .* --home names another"):
        missing.ledger(missing.settings())
    assert not missing.path.exists()
