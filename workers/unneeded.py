"""What the SDK does for payload codecs and for storage outside of histories, left out where there is neither.

Around each task of a workflow it walks through every message six times, for a payload that a codec or a storage might
want to see: a fifth of a worker's time. It has no public way to be spared that, so two private functions of it are
replaced, in versions of which it is known what they do. In any other, and for a converter with a codec or a storage,
all is as the SDK has it.
"""

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from temporalio.converter import DataConverter

KNOWN_VERSIONS = frozenset({"1.35.0"})
PARAMETERS = {
    "decode_activation": ("activation", "data_converter", "decode_headers", "storage_concurrency_limit"),
    "encode_completion": ("completion", "data_converter", "encode_headers", "storage_concurrency_limit"),
}


def leave_visits_out() -> bool:
    """For all workers of this process. Whether it is so now."""
    if version("temporalio") not in KNOWN_VERSIONS:
        return False
    from temporalio.bridge import worker as bridge
    from temporalio.converter._extstore import StorageOperationMetrics

    for name, parameters in PARAMETERS.items():
        visit = getattr(bridge, name)
        if getattr(visit, "is_spared", False):
            continue
        if tuple(inspect.signature(visit).parameters) != parameters:
            return False
        setattr(bridge, name, _spared(visit, StorageOperationMetrics))
    return True


def _spared(visit: Any, nothing: Callable[[], Any]) -> Any:
    async def only_for_somebody(message: Any, data_converter: DataConverter, *own: Any, **options: Any) -> Any:
        if data_converter.payload_codec is None and data_converter.external_storage is None:
            return nothing()
        return await visit(message, data_converter, *own, **options)

    only_for_somebody.is_spared = True  # type: ignore[attr-defined]
    return only_for_somebody
