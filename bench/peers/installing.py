"""Installs the other engines from the package index, each into an environment of its own under the user's cache."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "durable-orders-bench"
MAX_WAIT = 300
"""Seconds for an installation."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An engine, and the script that does the same work with it."""

    name: str
    """As the package index has it."""
    script: Path
    version: str | None = None
    """The newest, if none is named."""

    @property
    def wanted(self) -> str:
        return f"{self.name}=={self.version}" if self.version is not None else self.name


PEERS = tuple(
    Peer(name, Path(__file__).parent / f"{script}.py")
    for name, script in (("nautilus_trader", "with_nautilus"), ("basana", "with_basana"))
)


def installed(peer: Peer) -> Path | str:
    """The Python of its environment, made if it is not there; or why there is none."""
    of = f"-{peer.version}" if peer.version is not None else ""
    home = CACHE / f"{peer.name}{of}-{sys.version_info.major}.{sys.version_info.minor}"
    python, ready = home / "bin" / "python", home / ".ready"
    if ready.exists():
        return python
    try:
        _quietly(sys.executable, "-m", "venv", "--clear", str(home))
        _quietly(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer.wanted)
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [str(error)]
        return f"it could not be installed: {lines[-1][:200]}"
    except (OSError, subprocess.SubprocessError) as error:
        return f"it could not be installed: {type(error).__name__}"
    ready.touch()
    return python


def _quietly(*words: str) -> None:
    subprocess.run(words, capture_output=True, text=True, check=True, timeout=MAX_WAIT)
