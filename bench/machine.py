"""Where and with what a measurement was taken."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

ROOT = Path(__file__).parent.parent


async def circumstances(client: Client) -> dict[str, Any]:
    """What every report begins with: machine, versions, date (UTC) and command line."""
    server = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    report = local_circumstances()
    return report | {"versions": report["versions"] | {"temporal_server": server.server_version}}


def local_circumstances() -> dict[str, Any]:
    """The same where no server is needed."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "machine": {
            "cores": os.cpu_count(),
            "cpu": cpu_model(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "python": platform.python_version(),
            "temporalio": version("temporalio"),
            "durable_orders": version("durable-orders"),
            "commit": commit(),
        },
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def commit() -> str | None:
    """The commit that was measured, with `-dirty` if the tree has changes; `None` outside a repository."""
    asked = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        answer = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
