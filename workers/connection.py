"""The way to the Temporal server: Temporal's own environment configuration, else this home's embedded server."""

from temporalio.client import Client

from durable_orders.trading.errors import ServerUnreachable
from durable_orders.workers.environment import configured
from durable_orders.workers.home import Home
from durable_orders.workers.payloads import data_converter
from durable_orders.workers.server import is_there


async def connect(home: Home) -> Client:
    """A client whose payloads are Pydantic. Raises `ServerUnreachable`, which says what to start."""
    config = configured()
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
