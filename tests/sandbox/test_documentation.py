"""docs/sandbox.md tells of every route, fault, setting and control endpoint."""

import re
from pathlib import Path

import pytest

from durable_orders.sandbox import SandboxSettings
from durable_orders.sandbox.components import Components
from durable_orders.sandbox.fault_kinds import NATURES, FaultKind
from durable_orders.sandbox.routes import WITHOUT_TOKEN, Route
from durable_orders.trading.ledger.database import Database
from tests.sandbox.serving import Clock, pushed

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


async def test_every_path_is_there(database: Path) -> None:
    with Database(f"sqlite:///{database}") as opened:
        parts = Components(pushed(), opened, Clock())
        paths = {resource.canonical for resource in parts.app().router.resources()}
        await parts.close()
    assert "/orders/{variety}" in paths
    assert [path for path in sorted(paths) if f"{path}`" not in PAGE] == []


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_has_its_row_with_the_seconds_it_takes(kind: FaultKind) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \| (.*)$", PAGE, re.MULTILINE)
    seconds = NATURES[kind].seconds
    assert ("`seconds`" in row) == (seconds is not None)
    assert seconds is None or seconds > 1e6 or f"({seconds:g})" in row


@pytest.mark.parametrize("route", sorted(frozenset(Route) - WITHOUT_TOKEN))
def test_every_route_that_a_fault_can_name_is_there(route: Route) -> None:
    assert f"`{route}`" in PAGE


@pytest.mark.parametrize("setting", SandboxSettings.model_fields)
def test_every_setting_is_there(setting: str) -> None:
    assert re.search(rf"^\| .*`{setting}`", PAGE, re.MULTILINE)
