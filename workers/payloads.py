"""How values travel through workflow history: as Pydantic's JSON, and compressed where that is long."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from temporalio import converter
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

_PYDANTIC = PydanticJSONPlainPayloadConverter()
LONG = 256 * 1024
"""Bytes from which on a payload is compressed. The server takes two megabytes: an order with 15,000 trades."""
ENCODING, COMPRESSED = "encoding", b"binary/zlib"
MOST_TRACE = 1_000
"""Characters of a failure's trace, the last of it. The server keeps no failure of an activity that is tried again which
has more than four kilobytes, and shows "Failure exceeds size limit." in place of its reason; a cause has a trace of its
own."""


class PayloadConverter(CompositePayloadConverter):
    """The SDK's own Pydantic converter, with one cache of type adapters for all workflows.

    The SDK makes a converter for each workflow; without this, each builds the adapters of its types anew. Long payloads
    are compressed here and by no codec: for one, the SDK visits every payload of every task. The Temporal UI shows all
    others as they are.
    """

    def __init__(self) -> None:
        defaults = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_PYDANTIC if isinstance(one, JSONPlainPayloadConverter) else one for one in defaults))

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        return [_compressed(each) if len(each.data) > LONG else each for each in super().to_payloads(values)]

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        return super().from_payloads([_plain(each) for each in payloads], type_hints)


class FailureConverter(DefaultFailureConverter):
    """The SDK's own, with short traces."""

    def to_failure(
        self, exception: BaseException, payload_converter: converter.PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        if len(failure.stack_trace) > MOST_TRACE:
            failure.stack_trace = "…" + failure.stack_trace[-MOST_TRACE:]


def _compressed(payload: Payload) -> Payload:
    return Payload(metadata={ENCODING: COMPRESSED}, data=zlib.compress(payload.SerializeToString(), level=1))


def _plain(payload: Payload) -> Payload:
    is_plain = payload.metadata.get(ENCODING) != COMPRESSED
    return payload if is_plain else Payload.FromString(zlib.decompress(payload.data))


data_converter = replace(
    pydantic_data_converter, payload_converter_class=PayloadConverter, failure_converter_class=FailureConverter
)
