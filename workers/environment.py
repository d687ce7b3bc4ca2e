"""Temporal's own environment configuration, which comes before this home's embedded server.

Without Temporal's client: most commands ask no more than whether a server is named.
"""

import os

from temporalio.envconfig import ClientConfig, ClientConnectConfig

from durable_orders.trading.errors import InvalidSettings


def configured() -> ClientConnectConfig:
    """What it says of the way to a server. Raises `InvalidSettings` for a profile that does not exist or a file that
    cannot be read."""
    try:
        return ClientConfig.load_client_connect_config()
    except RuntimeError as error:
        named = os.environ.get("TEMPORAL_PROFILE")
        what = f"TEMPORAL_PROFILE={named}" if named else "Temporal's environment configuration"
        raise InvalidSettings(f"{what}: {error}") from None


def configured_server() -> str | None:
    """The server that `TEMPORAL_ADDRESS` or a profile names."""
    return configured().get("target_host")
