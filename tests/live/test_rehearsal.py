"""`durable-orders rehearse` is a live day against the sandbox in one command; live starts with limits only."""

from pathlib import Path

import pytest
import yaml

from durable_orders.rehearsal import stage
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.guardian.advice import must_be_limited
from durable_orders.workers.home import SETTINGS_FILE, Home
from tests.durable_orders.program import Program

STRATEGY = """
from durable_orders import StrategyContext, Strategy, Tick

class Early(Strategy):
    symbols = ("NSE:INFY",)
    def on_tick(self, context: StrategyContext, tick: Tick) -> None:
        print("tick", tick.at.strftime("%H:%M:%S"))
        if tick.at.strftime("%H:%M") == "09:15":
            context.buy("NSE:INFY", 10, client_order_id="small")
            context.buy("NSE:INFY", 101, client_order_id="large")
        if tick.at.strftime("%H:%M") == "09:17":
            context.sell("NSE:INFY", 10, client_order_id="out")
"""
TICKS = """timestamp,last_price,symbol
2026-11-20 09:15:00+05:30,1500,NSE:INFY
2026-11-20 09:16:00+05:30,1501,NSE:INFY
2026-11-20 09:17:00+05:30,1502,NSE:INFY
2026-11-20 09:18:00+05:30,1503,NSE:INFY
"""
LIMITS = {"max_position_per_symbol": 500, "max_daily_loss": 20000, "max_order_quantity": 100, "max_price_age": 5}


def test_a_rehearsal_is_a_live_day_at_the_sandbox(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / SETTINGS_FILE).write_text(yaml.safe_dump({"guardian": LIMITS}))
    (tmp_path / "early.py").write_text(STRATEGY)
    (tmp_path / "ticks.csv").write_text(TICKS)
    words = ("rehearse", str(tmp_path / "early.py"), "--ticks", str(tmp_path / "ticks.csv"), "--speed", "60", "--json")
    answer = Program(home)(*words)
    assert answer.code == 0, answer.err
    found = answer.json
    assert (found["account"], found["mode"], found["ticks"]) == ("rehearsal", "live", 4)
    assert found["ended"] == "the market has closed"
    assert found["orders"] == {"FILLED": 2, "REJECTED": 1}
    assert "REJECTED large: BUY 101 NSE:INFY" in answer.err, "the settings' own limits hold"
    assert "tick 09:15:00" in answer.err
    [rehearsed] = home.glob("rehearsal-*")
    listed = Program(rehearsed).here("list", "--json")
    assert {row["client_order_id"] for row in listed.json} == {"small", "large", "out"}


def test_a_rehearsal_goes_by_limits_alone_and_speaks_to_nobody(tmp_path: Path) -> None:
    """What a live home has besides, in its file or in the environment, must not reach people, brokers or ledgers."""
    home = tmp_path / "home"
    home.mkdir()
    own = {
        "account": "real",
        "execution": {"mode": "live", "dry_run": True, "live": {"settle_window": 30}},
        "guardian": LIMITS,
        "notify": {"phone": {"url": "tgram://token/chat"}},
        "hooks": {"chart": {"secret": "a-long-secret", "order": {"symbol": "{{s}}", "side": "BUY", "quantity": 1}}},
        "page": {"port": 8000},
    }
    (home / SETTINGS_FILE).write_text(yaml.safe_dump(own))
    (tmp_path / "early.py").write_text(STRATEGY.replace('symbols = ("NSE:INFY",)', "pass  # those of the ticks"))
    (tmp_path / "ticks.csv").write_text(TICKS)
    outside = {
        "DURABLE_ORDERS_ACCOUNT": "real",
        "DURABLE_ORDERS_EXECUTION__DRY_RUN": "true",
        "DURABLE_ORDERS_KITE__API_KEY": "real-key",
        "DURABLE_ORDERS_KITE__ROOT": "http://127.0.0.1:9",
        "DURABLE_ORDERS_LEDGER__URL": f"sqlite:///{tmp_path / 'real.db'}",
        "DURABLE_ORDERS_NOTIFY__PHONE__URL": "tgram://token/chat",
    }
    words = ("rehearse", str(tmp_path / "early.py"), "--ticks", str(tmp_path / "ticks.csv"), "--speed", "60", "--json")
    answer = Program(home)(*words, **outside)
    assert answer.code == 0, answer.err
    assert (answer.json["account"], answer.json["orders"]) == ("rehearsal", {"FILLED": 2, "REJECTED": 1})
    [rehearsed] = home.glob("rehearsal-*")
    written = yaml.safe_load((rehearsed / SETTINGS_FILE).read_text())
    assert written.keys() == {"account", "execution", "guardian", "market", "kite"}
    assert written["execution"]["live"]["settle_window"] == 30
    assert not (tmp_path / "real.db").exists()
    listed = Program(rehearsed).here("list", "--json", **outside)
    assert {row["client_order_id"] for row in listed.json} == {"small", "large", "out"}


def test_a_rehearsal_joins_no_server_of_others(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(STRATEGY)
    answer = Program(tmp_path / "home").here("rehearse", str(tmp_path / "early.py"), TEMPORAL_ADDRESS="127.0.0.1:9")
    assert answer.code == 1
    assert answer.error.startswith("Temporal's environment names the server 127.0.0.1:9")


async def test_a_history_that_the_sandbox_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    market = {"history": str(tmp_path / "before.csv"), "recordings": {"zone": "UTC"}}
    with pytest.raises(
        InvalidSettings, match=r"^market\.recordings\.zone: a rehearsal's sandbox reads market\.history"
    ):
        async with stage(Home(tmp_path / "home"), Settings.model_validate({"market": market})):
            pass
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("limits", "missing"),
    [
        ({}, ["position", "loss", "order"]),
        ({"max_daily_loss": 1}, ["position", "order"]),
        ({"capital": 1, "max_daily_drawdown_pct": 1}, ["order"]),
        ({"max_gross_exposure": 1, "max_daily_loss": 1, "max_order_value": 1}, []),
        (
            {"enabled": False, "max_gross_exposure": 1, "max_daily_loss": 1, "max_order_value": 1},
            ["position", "loss", "order"],
        ),
    ],
)
def test_each_kind_of_limit_is_asked_for(limits: dict[str, int], missing: list[str]) -> None:
    settings = Settings.model_validate({"execution": {"mode": "live"}, "guardian": limits})
    if not missing:
        must_be_limited(settings)
        return
    with pytest.raises(InvalidSettings) as refused:
        must_be_limited(settings)
    for kind in ("position", "loss", "order"):
        assert (f"no limit of {kind} (guardian." in str(refused.value)) == (kind in missing)
    assert str(refused.value).endswith("set them, or say --no-limits")


@pytest.mark.parametrize("words", [("up",), ("worker",), ("run", "STRATEGY")])
def test_live_does_not_start_without_limits(tmp_path: Path, words: tuple[str, ...]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / SETTINGS_FILE).write_text(yaml.safe_dump({"execution": {"mode": "live"}}))
    (tmp_path / "early.py").write_text(STRATEGY)
    asked = [str(tmp_path / "early.py") if word == "STRATEGY" else word for word in words]
    answer = Program(home).here(*asked, "--live")
    assert (answer.code, answer.out) == (1, "")
    assert answer.error.startswith(
        "live trading needs limits: no limit of position (guardian.max_position_per_symbol), "
    )
    without = Program(home).here(*asked, "--live", "--no-limits")
    assert "limits" not in without.error
