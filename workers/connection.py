"""The way to the Temporal server: Temporal's own environment configuration, else this home's embedded server."""

from pathlib import Path
from shlex import quote

from temporalio.client import Client, GrpcCompression

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import ServerUnreachable
from durable_orders.trading.orders.order import Mode
from durable_orders.workers.environment import configured
from durable_orders.workers.home import Home
from durable_orders.workers.payloads import data_converter
from durable_orders.workers.server import is_there


async def connect(home: Home, settings: Settings, config: Path | None = None) -> Client:
    """A client whose payloads are Pydantic. Raises `ServerUnreachable`, which says what to start: `up` for the account
    of these settings, from that file where one was given."""
    server = configured()
    address = home.address()
    hint, packing = "is TEMPORAL_ADDRESS right?", GrpcCompression.GZIP
    if "target_host" not in server:
        live = " --live" if settings.execution.mode is Mode.LIVE else ""
        given = "" if config is None else f" --config {quote(str(config))}"
        hint = f"start one with `durable-orders up --home {quote(str(home.path))}{live}{given}`"
        if address is None or not is_there(address):
            missing = "" if home.path.is_dir() else ", which is not there"
            raise ServerUnreachable(f"no server is running for home {home.path}{missing}: {hint}")
        server["target_host"] = address.target
        packing = GrpcCompression.NONE  # it would cost both sides more than it saves on one machine
    try:
        return await Client.connect(**server, data_converter=data_converter, grpc_compression=packing)
    except RuntimeError:
        raise ServerUnreachable(f"no Temporal server answers on {server['target_host']}: {hint}") from None
