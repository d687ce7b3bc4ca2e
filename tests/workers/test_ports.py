"""Ports: two servers that start at once never share one, and nobody else's server is taken for the home's own."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from durable_orders.trading.errors import ServerUnreachable
from durable_orders.workers import ports, server
from durable_orders.workers.home import Home


def listening(port: int = 0) -> socket.socket:
    return socket.create_server((ports.LOOPBACK, port))


def test_a_port_is_the_wanted_one_or_one_that_nobody_has() -> None:
    with listening() as taken:
        port = taken.getsockname()[1]
        assert ports.choose(port, 0) == port, "whoever names it is told later"
        assert ports.choose(None, port) in ports.QUIET
        assert ports.choose(ports.ANY, port) in ports.QUIET
        with pytest.raises(ServerUnreachable, match=f"port {port} cannot be used .*: choose another"):
            ports.must_be_free(port)
    assert ports.choose(None, port) == port
    ports.must_be_free(port)


def test_it_is_known_who_listens() -> None:
    with listening() as own:
        port = own.getsockname()[1]
        assert ports.listens(os.getpid(), port)
        assert not ports.listens(os.getppid(), port)
    assert not ports.listens(os.getpid(), port)


async def test_two_homes_that_start_at_once_have_a_server_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find the usual ports free, and only one of them gets them."""
    usual = ports.choose(ports.ANY, 0), ports.choose(ports.ANY, 0)
    monkeypatch.setattr(server, "DEFAULT_PORT", usual[0])
    monkeypatch.setattr(server, "DEFAULT_UI_PORT", usual[1])
    homes = [Home(tmp_path / name).make() for name in ("one", "two")]
    started = await asyncio.gather(*map(server.start, homes), return_exceptions=True)
    try:
        one, two = (each for each in started if not isinstance(each, BaseException))
        assert usual[0] in (one.port, two.port)
        assert one.port != two.port
        for found, home in zip((one, two), homes, strict=True):
            assert ports.listens(found.pid, found.port)
            assert home.address() == found
    finally:
        for home in homes:
            if address := home.address():
                await server.stop(address, home)
