"""How values travel through workflow history: as Pydantic's JSON, and compressed where that is long."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadCodec,
)

_PYDANTIC = PydanticJSONPlainPayloadConverter()
LONG = 256 * 1024
"""Bytes from which on a payload is compressed. The server takes two megabytes: an order with 15,000 trades."""
ENCODING, COMPRESSED = "encoding", b"binary/zlib"


class PayloadConverter(CompositePayloadConverter):
    """The SDK's own Pydantic converter, with one cache of type adapters for all workflows.

    The SDK makes a converter for each workflow; without this, each builds the adapters of its types anew.
    """

    def __init__(self) -> None:
        defaults = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_PYDANTIC if isinstance(one, JSONPlainPayloadConverter) else one for one in defaults))


class Compression(PayloadCodec):
    """Of long payloads alone: the Temporal UI shows all others as they are."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_compressed(each) if len(each.data) > LONG else each for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_plain(each) if each.metadata.get(ENCODING) == COMPRESSED else each for each in payloads]


def _compressed(payload: Payload) -> Payload:
    return Payload(metadata={ENCODING: COMPRESSED}, data=zlib.compress(payload.SerializeToString(), level=1))


def _plain(payload: Payload) -> Payload:
    return Payload.FromString(zlib.decompress(payload.data))


data_converter = replace(pydantic_data_converter, payload_converter_class=PayloadConverter, payload_codec=Compression())
