#!/usr/bin/env bash
# mcp 2.3.0 (the official SDK), an MCPServer and its own client over stdio: a tool with one optional argument is called
# with that argument misspelt.
#
# Expected: an error that names the argument, or at least a schema that says `additionalProperties: false`, so that the
# client can tell.
# Seen: the argument is dropped in silence and the tool runs without it, so a filter that is misspelt finds everything;
# the schema that the tool is listed with does not say that it takes no others.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0
cat > "$place/server.py" <<'P'
from mcp.server.mcpserver import MCPServer

server = MCPServer("orders", log_level="WARNING")


@server.tool()
def orders(symbol: str | None = None) -> str:
    """The orders of a symbol, or all."""
    return f"orders of {symbol or 'everything'}"


server.run("stdio")
P
cat > "$place/client.py" <<'P'
import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    async with (
        stdio_client(StdioServerParameters(command=sys.executable, args=[sys.argv[1]])) as (read, write),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        [tool] = (await session.list_tools()).tools
        print("says that it takes no other:", tool.input_schema.get("additionalProperties") is False)
        answer = await session.call_tool("orders", {"symbl": "NSE:INFY"})
        print("an error:", bool(answer.is_error), "| answered:", answer.content[0].text)


asyncio.run(main())
P
seen=$("$place/env/bin/python" "$place/client.py" "$place/server.py")
echo "$seen"
[ "$seen" = "says that it takes no other: False
an error: False | answered: orders of everything" ]
echo "as seen before"
