"""Kite's two envelopes: a success with data, or an error with a type (Kite documentation, response structure)."""

import json
from decimal import Decimal
from enum import StrEnum
from typing import Any

from aiohttp import web


class ErrorType(StrEnum):
    """Kite's names (Kite documentation, exceptions). The Python client has no class for some of them."""

    TOKEN = "TokenException"  # noqa: S105
    USER = "UserException"
    PERMISSION = "PermissionException"
    INPUT = "InputException"
    ORDER = "OrderException"
    MARGIN = "MarginException"
    HOLDING = "HoldingException"
    NETWORK = "NetworkException"
    DATA = "DataException"
    GENERAL = "GeneralException"


class KiteError(Exception):
    """Ends a request with the error envelope."""

    def __init__(self, status: int, error_type: str, message: str, data: dict[str, Any] | None = None) -> None:
        """`data` may carry hints, as in `{"hints": ["switch_to_amo"]}`; the Python client drops it."""
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.data = data


def wrong_input(message: str, data: dict[str, Any] | None = None) -> KiteError:
    return KiteError(400, ErrorType.INPUT, message, data)


def unknown_order() -> KiteError:
    """Kite's words for an order id that it does not know (observed; the HTTP status is not established)."""
    return KiteError(400, ErrorType.GENERAL, "Couldn't find that `order_id`.")


def success(data: Any) -> web.Response:
    return json_answer(200, {"status": "success", "data": data})


def failure(error: KiteError) -> web.Response:
    body = {"status": "error", "message": error.message, "data": error.data, "error_type": error.error_type}
    return json_answer(error.status, body)


def json_answer(status: int, body: Any) -> web.Response:
    return web.Response(status=status, text=as_json(body), content_type="application/json")


def as_json(body: Any) -> str:
    """Money leaves as a JSON number, as Kite's does."""
    return json.dumps(body, default=_number)


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"cannot be JSON: {type(value).__name__}")
