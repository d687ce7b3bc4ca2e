"""Real `KiteTicker`s in a process of their own: their reactor can neither be stopped nor started twice.

Reads commands from standard input and writes what the tickers report to standard output, one JSON object a line.
"""

import json
import os
import sys
import threading
from typing import Any

from kiteconnect import KiteTicker
from twisted.internet import reactor as twisted_reactor

reactor: Any = twisted_reactor
TICKERS: dict[str, KiteTicker] = {}


def tell(name: str, event: str, **data: Any) -> None:
    sys.stdout.write(json.dumps({"ticker": name, "event": event, **data}, default=str) + "\n")
    sys.stdout.flush()


def connect(name: str, root: str, api_key: str, access_token: str) -> None:
    ticker = TICKERS[name] = KiteTicker(api_key, access_token, root=root)
    ticker.on_open = lambda _: tell(name, "open")
    ticker.on_ticks = lambda _, ticks: tell(name, "ticks", ticks=ticks)
    ticker.on_order_update = lambda _, data: tell(name, "order", data=data)
    ticker.on_error = lambda _, code, reason: tell(name, "error", code=code, reason=str(reason))
    ticker.on_close = lambda _, code, reason: tell(name, "close", code=code, reason=str(reason))
    ticker.on_message = lambda _, payload, is_binary: tell(name, "message", size=len(payload), binary=is_binary)
    ticker.on_reconnect = lambda _, attempts: tell(name, "reconnect", attempts=attempts)
    ticker.connect()


def follow(command: dict[str, Any]) -> None:
    name, action, arguments = command["ticker"], command["do"], command.get("with", [])
    if action == "connect":
        connect(name, *arguments)
    elif action == "send":
        TICKERS[name].ws.sendMessage(arguments[0].encode())
    else:
        getattr(TICKERS[name], action)(*arguments)


def listen() -> None:
    for line in sys.stdin:
        reactor.callFromThread(follow, json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    reactor.callWhenRunning(threading.Thread(target=listen, daemon=True).start)
    reactor.run(installSignalHandlers=False)
