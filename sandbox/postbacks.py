"""Postbacks: POST to the app's URL when one of its orders changes (Kite documentation, postbacks)."""

import asyncio
import logging
from hashlib import sha256
from typing import Any

import aiohttp

from durable_orders.sandbox.envelopes import as_json
from durable_orders.sandbox.order_updates import Update
from durable_orders.trading.exchange.orders import KiteStatus

TIMEOUT = 3.0
"""Seconds that the app has to answer. There is no second try (Kite staff)."""
APP_ID = 1

log = logging.getLogger(__name__)


class Postbacks:
    """Sends in the background; a receiver that is slow or gone harms nobody."""

    def __init__(self, url: str, user_id: str, api_secret: str) -> None:
        self._url = url
        self._user_id = user_id
        self._api_secret = api_secret
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        self._sending: set[asyncio.Task[None]] = set()

    def send(self, update: Update) -> None:
        """COMPLETE, CANCELLED, REJECTED and UPDATE, of orders that were placed with the app's key."""
        if update.by_app and update.row["status"] != KiteStatus.OPEN:
            task = asyncio.create_task(self._post(self._payload(update)))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._client.close()

    def _payload(self, update: Update) -> dict[str, Any]:
        row = update.row
        sum_of = checksum(row["order_id"], row["order_timestamp"], self._api_secret)
        return row | {"user_id": self._user_id, "app_id": APP_ID, "checksum": sum_of}

    async def _post(self, payload: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._client.post(self._url, data=as_json(payload).encode(), headers=headers):
                pass
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("a postback was not taken: %s", type(error).__name__)


def checksum(order_id: str, order_timestamp: str, api_secret: str) -> str:
    return sha256(f"{order_id}{order_timestamp}{api_secret}".encode()).hexdigest()
