"""The way to the Temporal server: Temporal's own environment configuration, else this home's embedded server."""

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from trading.errors import ServerUnreachable
from workers.home import Home
from workers.payloads import data_converter
from workers.server import is_there


def configured_server() -> str | None:
    """The server that `TEMPORAL_ADDRESS` or a profile of Temporal's environment configuration names."""
    return ClientConfig.load_client_connect_config().get("target_host")


async def connect(home: Home) -> Client:
    """A client whose payloads are Pydantic. Raises `ServerUnreachable`, which says what to start."""
    config = ClientConfig.load_client_connect_config()
    address = home.address()
    hint = "is TEMPORAL_ADDRESS right?"
    if "target_host" not in config:
        hint = f"start one with `durable-orders up --home {home.path}`"
        if address is None or not is_there(address):
            raise ServerUnreachable(f"no server is running for home {home.path}: {hint}")
        config["target_host"] = address.target
    try:
        return await Client.connect(**config, data_converter=data_converter)
    except RuntimeError:
        raise ServerUnreachable(f"no Temporal server answers on {config['target_host']}: {hint}") from None


def ui_link(home: Home, order_id: str, namespace: str = "default") -> str | None:
    """The order's page in the Temporal UI of this home's embedded server."""
    address = home.address()
    return f"{address.ui}/namespaces/{namespace}/workflows/{order_id}" if address else None
