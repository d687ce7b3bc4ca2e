"""The command by which an assistant reads the account, and proposes orders."""

from importlib.util import find_spec

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, app
from durable_orders.cli.logs import log_to_stderr
from durable_orders.trading.errors import BrokenError
from durable_orders.workers.home import Home

MISSING = "an assistant's server needs a package that is not installed: pip install 'durable-orders[mcp]'"


@app.command()
def mcp(home: HomeOption = HOME, config: ConfigOption = None) -> None:
    """Serve an assistant over stdin and stdout (MCP): it reads the account, and proposes orders.

    A proposed order waits for a person's approval, on the page or with `durable-orders approve ID`. It is started by
    the assistant's program, and ends with it.
    """
    if find_spec("mcp") is None:
        raise BrokenError(MISSING)
    log_to_stderr()
    from durable_orders.assistant.server import serve

    serve(Home(home), config)
