"""The server's own process: what it says when it does not start."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from durable_orders.workers import ports, server
from durable_orders.workers.home import Home
from tests.conftest import until


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """The server's file, as while a backup is written back."""
    with closing(sqlite3.connect(home.temporal_db, isolation_level=None)) as file:
        file.execute("BEGIN EXCLUSIVE")
        yield


async def test_a_file_that_is_locked_is_waited_for_and_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    await server.stop(await server.start(home, ports.ANY, ports.ANY), home)
    with locked(home):
        monkeypatch.setattr(server, "LOCKED_SECONDS", 0)
        with pytest.raises(server.FileLocked, match=r"temporal\.db: another process has it locked") as refused:
            await server.start(home, ports.ANY, ports.ANY)
        assert "damaged" not in str(refused.value)
        monkeypatch.setattr(server, "LOCKED_SECONDS", 60)
        tried = home.server_log.read_bytes().count(server.LOCKED.encode())
        starting = asyncio.create_task(server.start(home, ports.ANY, ports.ANY))
        await until(lambda: home.server_log.read_bytes().count(server.LOCKED.encode()) > tried, "another try")
    await server.stop(await starting, home)
