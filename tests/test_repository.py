"""What a repository is expected to have: its picture of itself is true, and its commands say what they do."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from durable_orders.moved import MOVED
from tests.durable_orders.program import Program

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
LAYERS, FLOORS = (
    [re.split(r" [:|] ", layer) for layer in contract["layers"]]
    for contract in PROJECT["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
)


def test_the_readmes_list_of_layers_is_the_rules() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^([a-z_]+)/ {2,}", readme, re.MULTILINE)
    assert listed == ["durable_orders", *(layer for (layer,) in LAYERS[1:-1])]


def test_the_picture_of_the_design_has_every_layer_and_floor_in_the_rules_order() -> None:
    (picture,) = re.findall(
        r"^```mermaid\n(.+?)^```", (ROOT / "docs/design.md").read_text(encoding="utf-8"), re.M | re.S
    )
    drawn = [re.split(r", ", name) for name in re.findall(r"<b>([a-z_, ]+)/?</b>", picture)]
    names = [name.strip() for group in drawn for name in group]
    assert names[:5] == ["durable_orders", *(layer for (layer,) in LAYERS[1:5])]
    assert names[5:] == ["trading", *(name for floor in FLOORS for name in sorted(floor, key=names.index))]
    arrows = re.search(r"backtest --> (.+)$", picture, re.MULTILINE)
    assert arrows is not None
    stairs = dict(zip(arrows[1].split(" --> "), FLOORS[1:], strict=True))
    assert {stair: floor for stair, floor in stairs.items() if len(floor) == 1} == {
        floor[0]: floor for floor in FLOORS[1:] if len(floor) == 1
    }


def test_every_folder_of_the_domain_has_one_job_that_is_said() -> None:
    for folder in (ROOT / "trading").iterdir():
        if (folder / "__init__.py").exists():
            assert (folder / "__init__.py").read_text(encoding="utf-8").startswith('"""'), folder.name


def test_the_changelog_names_where_each_module_is_now() -> None:
    newest = CHANGELOG.split("\n## ")[1]
    rows = re.findall(r"^\| `([a-z_0-9.]+)` \| `([a-z_0-9.]+)` \|$", newest, re.MULTILINE)
    assert len(rows) > len(MOVED)
    assert [new for _, new in rows if find_spec(new) is None] == []
    assert {old: new for old, new in rows if old in MOVED and new in set(MOVED.values())} == MOVED
    assert newest.startswith(PROJECT["project"]["version"])


def test_the_program_says_its_version(tmp_path: Path) -> None:
    answer = Program(tmp_path)("--version")
    assert (answer.code, answer.out) == (0, f"durable-orders {version('durable-orders')}\n")


def test_every_target_of_the_makefile_is_described() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE)
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([a-z-]+) +\S", said, re.MULTILINE) == targets


def test_the_licence_is_there_in_full() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"


@pytest.mark.parametrize("page", ["CHANGELOG.md"])
def test_its_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_no_product_of_a_build_lies_at_its_root() -> None:
    assert [file.name for file in ROOT.iterdir() if file.suffix in {".whl", ".gz", ".zip", ".pyc", ".so"}] == []
