"""The way to the Temporal server: Temporal's own environment configuration, else this home's embedded server."""

import os

from temporalio.client import Client, GrpcCompression
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from durable_orders.trading.errors import InvalidSettings, ServerUnreachable
from durable_orders.workers.home import Home
from durable_orders.workers.payloads import data_converter
from durable_orders.workers.server import is_there


def configured_server() -> str | None:
    """The server that `TEMPORAL_ADDRESS` or a profile of Temporal's environment configuration names."""
    return _environment().get("target_host")


def _environment() -> ClientConnectConfig:
    """Raises `InvalidSettings` for a profile that does not exist or a file that cannot be read."""
    try:
        return ClientConfig.load_client_connect_config()
    except RuntimeError as error:
        named = os.environ.get("TEMPORAL_PROFILE")
        what = f"TEMPORAL_PROFILE={named}" if named else "Temporal's environment configuration"
        raise InvalidSettings(f"{what}: {error}") from None


async def connect(home: Home) -> Client:
    """A client whose payloads are Pydantic. Raises `ServerUnreachable`, which says what to start."""
    config = _environment()
    address = home.address()
    hint, packing = "is TEMPORAL_ADDRESS right?", GrpcCompression.GZIP
    if "target_host" not in config:
        hint = f"start one with `durable-orders up --home {home.path}`"
        if address is None or not is_there(address):
            raise ServerUnreachable(f"no server is running for home {home.path}: {hint}")
        config["target_host"] = address.target
        packing = GrpcCompression.NONE  # it would cost both sides more than it saves on one machine
    try:
        return await Client.connect(**config, data_converter=data_converter, grpc_compression=packing)
    except RuntimeError:
        raise ServerUnreachable(f"no Temporal server answers on {config['target_host']}: {hint}") from None


def ui_link(home: Home, order_id: str, namespace: str = "default") -> str | None:
    """The order's page in the Temporal UI of this home's embedded server."""
    address = home.address()
    return f"{address.ui}/namespaces/{namespace}/workflows/{order_id}" if address else None
