"""What the doctor says of a live account, against the sandbox."""

import asyncio
from datetime import date, timedelta

import pytest

from durable_orders import doctor_live
from durable_orders.doctor import WARN_DAYS, calendar_finding
from durable_orders.doctor_live import examine_broker
from durable_orders.finding import Finding
from durable_orders.trading.config.settings import Settings
from tests.live.conftest import Desks
from tests.live.desk import Desk

NEW_YEAR = date(2027, 1, 1)
"""The exchanges' lists end with 2026."""


def found(desk: Desk) -> dict[str, Finding]:
    return {each.name: each for each in examine_broker(desk.home, desk.settings)}


async def test_a_live_account_s_login_plan_clock_and_address_are_told(desks: Desks) -> None:
    desk = await desks(staffed=False)

    told = await asyncio.to_thread(found, desk)
    assert list(told) == ["master", "address", "login", "plan", "clock"]
    assert "user " in told["login"].detail
    assert told["login"].detail.endswith("06:00 IST")
    assert told["plan"].detail == "with market data (Connect)"
    assert "orders leave from 127.0.0.1" in told["address"].detail
    assert told["clock"].healthy, told["clock"].detail
    assert "s " in told["clock"].detail
    assert all(each.healthy for name, each in told.items() if name != "master")


async def test_a_key_without_market_data_is_told(desks: Desks) -> None:

    desk = await desks(staffed=False, sandbox={"market_data": False})
    plan = (await asyncio.to_thread(found, desk))["plan"]
    assert not plan.healthy
    assert "Personal plan" in plan.detail


async def test_a_dead_login_is_told(desks: Desks) -> None:

    desk = await desks(staffed=False)
    desk.home.session_file.unlink()
    login = (await asyncio.to_thread(found, desk))["login"]
    assert (login.healthy, login.detail) == (False, "nobody is logged in: `durable-orders login`")


@pytest.mark.parametrize(
    ("apart", "is_right", "words"),
    [
        (timedelta(seconds=0.4), True, "0.4 s ahead of the broker's"),
        (timedelta(seconds=-90), False, "90.0 s behind the broker's: set it by NTP"),
        (None, True, "the broker tells no time, so it is not compared"),
    ],
)
def test_a_clock_that_is_wrong_is_told(apart: timedelta | None, is_right: bool, words: str) -> None:
    clock = doctor_live._clock(apart)
    assert (clock.healthy, clock.detail) == (is_right, words)


def test_the_hours_of_a_muhurat_are_asked_for_in_one_line() -> None:
    settings = Settings.model_validate({"execution": {"mode": "live"}})
    [finding] = calendar_finding(settings, date(2026, 11, 1))
    exception = 'market.exceptions: [{date: 2026-11-08, windows: [{opens: "HH:MM", closes: "HH:MM"}]}]'
    assert finding.healthy is False
    assert finding.detail.endswith(
        "agri_international are not known on Sun 08 Nov 2026: live orders are refused then; update, or write into the "
        f"settings {exception}"
    )


@pytest.mark.parametrize(
    ("before", "mode", "healthy", "words"),
    [
        (WARN_DAYS + 1, "live", True, "sessions known before "),
        (
            WARN_DAYS,
            "live",
            False,
            "update, or write into the settings market.known_until: 2027-12-31, and market.exceptions",
        ),
        (WARN_DAYS, "paper", True, "are not known from "),
        (0, "live", False, "are not known from "),
    ],
)
def test_the_end_of_the_known_days_is_told_thirty_days_ahead(before: int, mode: str, healthy: bool, words: str) -> None:
    settings = Settings.model_validate({"execution": {"mode": mode}})
    [finding] = calendar_finding(settings, NEW_YEAR - timedelta(days=before))
    assert finding.healthy is healthy
    assert words in finding.detail
